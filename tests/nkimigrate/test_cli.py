"""The command as users meet it: streams, exit codes, and what it says when something is wrong."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from reports import mixed, report

from nkimigrate import __version__, cli, engine
from nkimigrate.codemods.rules import all_rules
from nkimigrate.config import Options
from nkimigrate.problems import all_problems
from nkimigrate.report.model import Change, Report

OLD = "from nkilib_standalone.nkilib.core.qkv.qkv import qkv\n"
NEW = "from nkilib.core.qkv.qkv import qkv\n"
UNPROVEN = OLD + "qkv(*given, 1)\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command in this process: exit code, standard output, standard error."""

    def run(*words: str, stdin: bytes = b"") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code = cli.main(words)
        return (code, *capsys.readouterr())

    return run


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Options]:
    """What the engine was asked to do; it reports one finding of each kind."""
    seen: list[Options] = []

    def fake(options: Options, progress: object = None) -> Report:
        seen.append(options)
        return mixed()

    monkeypatch.setattr(engine, "run", fake)
    return seen


def command(*words: str, **how: Any) -> subprocess.CompletedProcess[str]:
    given = {"capture_output": True, "encoding": "utf-8", **how}
    return subprocess.run([sys.executable, "-m", "nkimigrate", *words], **given)


# -- the main job -------------------------------------------------------------------------------------


def test_rewrites_in_place_and_then_has_nothing_to_do(run: Run, folder: Path) -> None:
    (folder / "model.py").write_text(OLD)
    code, out, err = run(".")
    assert (code, err) == (0, "")
    assert out == "Rewritten\nmodel.py: 1 place (NKM101)\n\n1 place affected in 1 file: 1 rewritten\n"
    assert (folder / "model.py").read_text() == NEW
    assert run(".") == (0, "Nothing to migrate in 1 file.\n", "")


@pytest.mark.parametrize("mode", ["--check", "--diff"])
def test_check_and_diff_write_nothing_and_fail(run: Run, folder: Path, mode: str) -> None:
    (folder / "model.py").write_text(OLD)
    assert run(mode, "--no-cache", ".")[0] == 1
    assert run(mode, "--no-cache", ".", "--exit-zero")[0] == 0
    assert [(path.name, path.read_text()) for path in folder.iterdir()] == [("model.py", OLD)]


def test_diff_goes_to_stdout_and_the_report_to_stderr(run: Run, folder: Path) -> None:
    (folder / "model.py").write_text(OLD)
    _, out, err = run("--diff", ".")
    assert out == f"--- a/model.py\n+++ b/model.py\n@@ -1 +1 @@\n-{OLD}+{NEW}"
    assert err == "1 place affected in 1 file: 1 to rewrite\n"


def test_what_needs_a_person_fails_and_is_explained(run: Run, folder: Path) -> None:
    (folder / "model.py").write_text(UNPROVEN)
    code, out, _ = run("model.py")
    assert code == 1
    assert re.search(r"^model\.py:2:1 NKM201 .*\n    next: .*position 4", out, re.MULTILINE)
    assert "2 places affected in 1 file: 1 rewritten, 1 needs you" in out


def test_a_broken_file_fails_and_the_others_are_migrated(run: Run, folder: Path) -> None:
    (folder / "broken.py").write_text(OLD + "def (:\n")
    (folder / "model.py").write_text(OLD)
    code, out, _ = run(".")
    assert code == 3
    assert "broken.py:2:5 NKM901 does not parse" in out
    assert "1 file could not be handled" in out
    assert (folder / "model.py").read_text() == NEW


def test_a_file_for_a_newer_python_is_told_apart(run: Run, folder: Path) -> None:
    (folder / "model.py").write_text(OLD + """print(f"{rows["name"]}")\n""")
    code, out, _ = run("--check", ".")
    if sys.version_info >= (3, 12):
        assert code == 1
        assert "NKM901" not in out
    else:
        assert code == 3
        assert "NKM901 does not parse: f-string: " in out
        assert "run nkimigrate with 3.12 or newer" in out


def test_select_and_ignore_choose_rules(run: Run, folder: Path) -> None:
    (folder / "model.py").write_text(UNPROVEN)
    assert re.findall(r":\d (NKM\d+)", run("--check", ".", "--select", "NKM2")[1]) == ["NKM201"]
    assert re.findall(r":\d (NKM\d+)", run("--check", ".", "--ignore", "legacy-import-root")[1]) == ["NKM201"]


# -- where things go ----------------------------------------------------------------------------------


def test_standard_input_is_migrated_to_standard_output(run: Run) -> None:
    code, out, err = run("-", "--stdin-filename", "src/model.py", stdin=UNPROVEN.encode())
    assert (code, out) == (1, NEW + "qkv(*given, 1)\n")
    assert "src/model.py:2:1 NKM201" in err


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"x = 1\r\n", 0),
        (b"\xef\xbb\xbfx = '\xff\n", 0),
        (b"nkilib \0", 3),
        (b"", 0),
        (OLD.encode() + b"def (\n", 3),
    ],
)
def test_what_has_nothing_to_migrate_comes_back_byte_for_byte(folder: Path, data: bytes, code: int) -> None:
    done = command("-", input=data, encoding=None)
    assert (done.returncode, done.stdout) == (code, data)
    assert bool(done.stderr) == bool(code)


def test_checking_standard_input_reports_on_stdout(run: Run) -> None:
    code, out, err = run("--check", "-", stdin=OLD.encode())
    assert (code, err) == (1, "")
    assert out.startswith("To rewrite\n<stdin>:1:1 NKM101 ")


def test_diff_of_standard_input(run: Run) -> None:
    code, out, err = run("--diff", "-", "--stdin-filename", "m.py", stdin=OLD.encode())
    assert code == 1
    assert out.startswith("--- a/m.py\n+++ b/m.py\n")
    assert "1 to rewrite" in err


READERS: dict[str, Callable[[str], Any]] = {
    "json": json.loads,
    "sarif": json.loads,
    "junit": lambda text: ElementTree.fromstring(text.encode()),
    "github": lambda text: re.fullmatch(r"(::(error|warning|notice) .*::.*\n)+", text)[0],  # type: ignore[index]
    "text": lambda text: re.search("6 places affected", text)[0],  # type: ignore[index]
}


@pytest.mark.parametrize("format_", READERS)
def test_every_format_can_be_read_from_stdout_and_from_a_file(
    run: Run, folder: Path, asked: list[Options], format_: str
) -> None:
    code, out, err = run("--check", ".", "--output-format", format_)
    assert (code, err) == (3, "")
    READERS[format_](out)
    code, shown, err = run("--check", ".", "--output-format", format_, "--output", "report")
    assert (code, err) == (3, "")
    assert (folder / "report").read_text(encoding="utf-8") == out
    assert shown.startswith("6 places affected in 2 files: ")
    assert "model.py:" not in shown


def test_the_report_makes_room_for_code_and_diffs(run: Run, folder: Path, asked: list[Options]) -> None:
    _, out, err = run("-", "--output-format", "json", stdin=b"a\n")
    assert out == "b\n"
    json.loads(err)
    _, out, err = run("--diff", ".", "--output-format", "json")
    assert out.startswith("--- a/model.py\n")
    json.loads(err)


def test_quiet_with_a_file_says_nothing(run: Run, folder: Path, asked: list[Options]) -> None:
    assert run(".", "-q", "--output", "report") == (3, "", "")


def test_reports_are_utf_8_and_never_fail_to_encode(folder: Path) -> None:
    (folder / "ä.py").write_text(OLD, encoding="utf-8")
    done = command("--check", ".", cwd=folder, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 1
    assert done.stdout.startswith("To rewrite\n\\xe4.py:1:1 NKM101")


def test_without_utf_8_arrows_and_the_like_are_spelled_in_ascii(folder: Path) -> None:
    plain = {
        **os.environ,
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "PYTHONIOENCODING": "ascii",
    }
    unknown = command("--from", "1", "--to", "2", ".", cwd=folder, env=plain)
    assert unknown.stderr.endswith("known steps: 2.27 -> 2.28\n")
    assert command("--help", cwd=folder, env=plain, encoding="ascii").returncode == 0
    told = command("--explain", "NKM304", cwd=folder, env=plain, encoding="ascii")
    assert "`int(...)`" in told.stdout


def test_colour_can_be_forced_and_refused(folder: Path) -> None:
    (folder / "model.py").write_text(OLD)
    forced = command("--check", ".", cwd=folder, env={**os.environ, "FORCE_COLOR": "1"})
    assert "\x1b[1mmodel.py\x1b[0m:1:1 \x1b[32mNKM101\x1b[0m" in forced.stdout
    refused = command("--check", ".", cwd=folder, env={**os.environ, "FORCE_COLOR": "1", "NO_COLOR": "1"})
    assert "\x1b" not in refused.stdout
    piped = command("--diff", ".", cwd=folder)
    assert "\x1b" not in piped.stdout + piped.stderr


def test_verbose_names_the_configuration(run: Run, folder: Path) -> None:
    (folder / "pyproject.toml").write_text("[tool.nkimigrate]\nverbose = true\n")
    _, out, _ = run(".")
    assert out.startswith(
        f"Configuration: {folder / 'pyproject.toml'}\nNothing to migrate in 1 file.\n2.27 to 2.28: "
    )


# -- what the engine is asked -------------------------------------------------------------------------


def test_the_file_configures_and_the_command_line_wins(run: Run, folder: Path, asked: list[Options]) -> None:
    (folder / "pyproject.toml").write_text(
        '[tool.nkimigrate]\npaths = ["src"]\njobs = 2\noutput-format = "json"\n'
    )
    assert json.loads(run()[1])["mode"] == "write"
    assert run("--jobs", "3", "--output-format", "text", "--check", "lib")[1].startswith("To rewrite")
    assert [(o.paths, o.jobs, o.mode) for o in asked] == [(("src",), 2, "write"), (("lib",), 3, "check")]


@pytest.mark.parametrize("mode", ["--check", "--diff"])
def test_what_writes_nothing_looks_at_the_current_folder(run: Run, asked: list[Options], mode: str) -> None:
    run(mode)
    assert asked[0].paths == (".",)


def test_rewriting_wants_a_path(run: Run, asked: list[Options]) -> None:
    code, out, err = run("--select", "NKM1")
    assert (code, out, asked) == (2, "", [])
    assert err.startswith("nkimigrate: no PATH is given; `nkimigrate .` rewrites the current folder")


def test_nothing_at_all_explains_the_command(run: Run, asked: list[Options]) -> None:
    code, out, err = run()
    assert (code, out, asked) == (2, "", [])
    for word in ("--diff PATH", "nkimigrate PATH", "--check PATH", "--help"):
        assert word in err


# -- wrong usage --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--chek", "."], "no such option: --chek; did you mean --check?"),
        (
            ["--outputformat=json", "."],
            "no such option: --outputformat; did you mean --output-format or --output?",
        ),
        (["-x"], "no such option: -x"),
        (["--jobs", "many", "."], "invalid value for '--jobs': 'many' is not a valid whole number"),
        (["--jobs", "-1", "."], "invalid value for '--jobs': -1 is not in the range x>=0"),
        (["--output-format", "xml", "."], "invalid value for '--output-format': 'xml' is not one of"),
        (["--select"], "option '--select' requires an argument"),
        (["gone.py"], "gone.py: no such file or directory"),
        (["check", "."], "check: no such file or directory; did you mean --check?"),
        (["\x1b[31m.py"], "\\x1b[31m.py: no such file or directory"),
        (["--ignore", "NKM,nkl", "."], "`select` and `ignore` leave no rule: nothing would ever be found"),
        (["--select", "NKM2", "--ignore", "nkm2", "."], "`select` and `ignore` leave no rule"),
        (
            ["--select", "NKM299", "."],
            "--select: no rule's code starts with 'NKM299'; did you mean NKM201 or",
        ),
        (["--explain", "NKM2"], "no rule has the code 'NKM2'; did you mean NKM201 or"),
        (
            ["--explain", "moved-modul"],
            "no rule has the code 'moved-modul'; did you mean moved-module (NKM102)",
        ),
        (["--explain", "zz"], "no rule has the code 'zz' (--list-rules shows all of them)"),
        (["--output", "no/such/folder", "."], "--output no/such/folder: not a file in an existing folder"),
        (["--output", "", "."], "--output: the name of the file is empty"),
        (["--report", "", "."], "--report: the name of the file is empty"),
        (["--check", "--baseline", "", "."], "--baseline: the name of the file is empty"),
        (
            ["--output", "a", "--report", "./a", "."],
            "--report ./a: --output writes that file, too; name another one",
        ),
        (["--to", "2.99", "."], "no release tables lead from 2.27 to 2.99"),
        (["--config", "gone.toml", "."], "--config gone.toml: no such file or directory"),
        (["--check", "--diff", "."], "--check and --diff exclude each other"),
    ],
)
def test_wrong_usage_is_explained(run: Run, words: list[str], message: str) -> None:
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert err.startswith(f"nkimigrate: {message}")
    assert "Traceback" not in err


def test_nothing_is_written_when_one_path_is_wrong(run: Run, folder: Path) -> None:
    (folder / "model.py").write_text(OLD)
    assert run("model.py", "gone.py")[0] == 2
    assert (folder / "model.py").read_text() == OLD


def test_a_wrong_configuration_is_explained(run: Run, folder: Path) -> None:
    (folder / "pyproject.toml").write_text("[tool.nkimigrate]\nselct = []\n")
    message = "pyproject.toml: [tool.nkimigrate] has no key `selct`; did you mean `select`?"
    assert run(".") == (2, "", f"nkimigrate: {message}\n")


# -- about the rules ----------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [item.code for item in (*all_rules(), *all_problems())])
def test_every_code_is_explained(run: Run, code: str) -> None:
    exit_code, out, err = run("--explain", code.lower())
    assert (exit_code, err) == (0, "")
    assert out.startswith(f"{code} ")
    assert re.search(r"^What it (does|means)\n    \S", out, re.MULTILINE)
    assert "``" not in out


def test_every_rule_is_listed(run: Run) -> None:
    items = sorted((*all_rules(), *all_problems()), key=lambda item: item.code)
    lines = run("--list-rules")[1].splitlines()
    assert [line.split()[:2] for line in lines] == [[item.code, item.name] for item in items]
    listed = json.loads(run("--list-rules", "--output-format", "json")[1])
    assert [row["code"] for row in listed] == [item.code for item in items]
    assert {row["kind"] for row in listed} == {"rule", "problem"}


def test_the_list_in_a_terminal_is_a_table(folder: Path) -> None:
    done = command("--list-rules", env={**os.environ, "FORCE_COLOR": "1", "COLUMNS": "60"})
    assert "\x1b[36mNKM101\x1b[0m" in done.stdout
    plain = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
    assert max(map(len, plain.splitlines())) <= 60


# -- starting and stopping ----------------------------------------------------------------------------


def modules_of(code: str, *words: str) -> set[str]:
    """The modules that are loaded after some code ran with these words as its command line."""
    program = (
        f"import sys; before = set(sys.modules)\n{code}\nprint(*set(sys.modules) - before, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program, *words], capture_output=True, encoding="utf-8", check=True
    )
    return set(done.stderr.split())


def test_version_imports_nothing() -> None:
    code = "from nkimigrate.__main__ import main; assert main() == 0"
    added = modules_of(code, "--version")
    assert added - {"__future__"} <= {"nkimigrate", "nkimigrate.__main__"}


def test_version_is_that_of_the_package(folder: Path) -> None:
    for words in (["--version"], ["--version", "--check"]):
        done = command(*words)
        assert (done.returncode, done.stdout, done.stderr) == (0, f"nkimigrate {__version__}\n", "")


def test_a_tree_without_a_hit_imports_little(folder: Path) -> None:
    (folder / "other.py").write_text("import os\n")
    (folder / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    code = f"from nkimigrate.cli import main; assert main(['--check', {str(folder)!r}]) == 0"
    added = modules_of(code)
    assert "nkimigrate.engine" in added
    heavy = {
        "libcst",
        "click",
        "rich",
        "packaging",
        "tomllib",
        "tomli",
        "json",
        "difflib",
        "dataclasses",
        "ast",
    }
    heavy |= {"concurrent.futures", "nkimigrate.codemods", "nkimigrate.tasks", "numpy", "nkilib", "logging"}
    assert not heavy & added


def test_what_analyses_files_imports_no_typing() -> None:
    code = "import nkimigrate.engine, nkimigrate.project, nkimigrate.report.found, nkimigrate.pool\n"
    added = modules_of(
        code + "from nkimigrate.codemods.rules import checks\nassert all(rule.module for rule in checks())"
    )
    assert "nkimigrate.codemods.rules.positional_arguments" in added
    assert not {"libcst", "rich", "typing", "dataclasses", "concurrent.futures", "json"} & added


def test_a_check_imports_the_rules_that_the_files_are_something_for(folder: Path) -> None:
    (folder / "layer.py").write_text("from nkilib.core.mlp.mlp import mlp_kernel\n\nmlp_kernel[2](x)\n")
    words = ["--check", "--isolated", "--no-cache", str(folder)]
    added = modules_of(f"from nkimigrate.cli import main; assert main({words!r}) == 1")
    rules = {name.rpartition(".")[2] for name in added if name.startswith("nkimigrate.codemods.rules.")}
    assert {"renamed_symbol", "positional_arguments"} <= rules
    assert not {"star_import", "string_path", "norm_output", "list_became_tuple", "config_path"} & rules
    assert not {"nkimigrate.codemods.embedded", "nkimigrate.codemods.texts"} & added


def test_help_works_without_a_terminal(folder: Path) -> None:
    done = command("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: nkimigrate [OPTIONS] [PATH]...\n")


def test_shell_completion_knows_the_options() -> None:
    environment = {
        "_NKIMIGRATE_COMPLETE": "bash_complete",
        "COMP_WORDS": "nkimigrate --che",
        "COMP_CWORD": "1",
    }
    done = command(env={**os.environ, **environment})
    assert done.stdout.split() == ["plain,--check"]


@pytest.mark.parametrize("mode", ["--diff", "--check"])
def test_a_reader_that_leaves_ends_the_output_quietly(folder: Path, mode: str) -> None:
    (folder / "model.py").write_text(OLD + "".join(f"x{i} = qkv(*a, 1)\n" for i in range(5000)))
    with subprocess.Popen(
        [sys.executable, "-m", "nkimigrate", mode, ".", "-v"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE if mode == "--check" else subprocess.DEVNULL,
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        err = process.stderr.read() if process.stderr else b""
        assert process.wait(60) == 1
    assert err == b""


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("words", ["--list-rules", "--version", "--help", "verify --help"])
def test_a_full_disk_is_said_and_a_reader_that_left_is_none(words: str, unbuffered: str) -> None:
    how: dict[str, Any] = {"env": {**os.environ, "PYTHONUNBUFFERED": unbuffered}, "stderr": subprocess.PIPE}
    with open("/dev/full", "w") as full:
        done = command(*words.split(), stdout=full, capture_output=False, **how)
    assert done.returncode == 2
    assert done.stderr == "nkimigrate: cannot write the output: no space left on device\n"
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as pipe:
        done = command(*words.split(), stdout=pipe, capture_output=False, **how)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_report_that_may_not_be_written_is_said_before_files_are(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "model.py").write_text(OLD)
    monkeypatch.setattr(os, "access", lambda path, mode: (path, mode) != (".", os.W_OK))
    assert run("--report", "page.html", ".") == (2, "", "nkimigrate: --report page.html: permission denied\n")
    assert (folder / "model.py").read_text() == OLD


def test_a_device_takes_both_reports(run: Run, folder: Path) -> None:
    (folder / "model.py").write_text(OLD)
    assert run("--check", "-q", "--output", os.devnull, "--report", os.devnull, ".") == (1, "", "")


@pytest.mark.parametrize(
    ("words", "closed", "code", "said"),
    [
        ("--check .", "<&-", 1, "To rewrite"),
        ("--check .", ">&-", 1, ""),
        ("--check .", ">&- 2>&-", 1, ""),
        ("--diff .", "2>&-", 1, "--- a/model.py"),
        ("--list-rules", ">&-", 0, ""),
        ("--version", ">&-", 0, ""),
        ("-", "<&-", 2, "nkimigrate: standard input is closed"),
    ],
)
def test_streams_that_the_caller_closed(folder: Path, words: str, closed: str, code: int, said: str) -> None:
    (folder / "model.py").write_text(OLD)
    shell = ["sh", "-c", f'"$0" -m nkimigrate {words} {closed}', sys.executable]
    done = subprocess.run(shell, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8")
    assert done.returncode == code
    assert done.stdout.partition("\n")[0] == said


def test_paths_of_the_file_that_do_not_exist_name_the_file(run: Run, folder: Path) -> None:
    (folder / "pyproject.toml").write_text('[tool.nkimigrate]\npaths = ["src"]\n')
    assert run("--check") == (2, "", "nkimigrate: pyproject.toml: `paths`: src: no such file or directory\n")
    assert run("--check", "lib") == (2, "", "nkimigrate: lib: no such file or directory\n")


@pytest.mark.parametrize(
    "words", [("--output",), ("--report",), ("--check", "--write-baseline", "--baseline")]
)
def test_a_report_does_not_take_the_place_of_code(run: Run, folder: Path, words: tuple[str, ...]) -> None:
    """Who takes ``--output`` for where the new code goes would lose the old."""
    (folder / "model.py").write_text(OLD)
    said = f"nkimigrate: {words[-1]} model.py: a report does not go into a file of code; name another one\n"
    assert run("model.py", "--isolated", *words, "model.py") == (2, "", said)
    assert (folder / "model.py").read_text() == OLD


def test_a_path_with_backslashes_is_understood_where_it_is_meant(run: Run, folder: Path) -> None:
    (folder / "src/app").mkdir(parents=True)
    (folder / "pyproject.toml").write_text("[tool.nkimigrate]\npaths = ['src\\app']\n")
    said = r"`paths`: src\app: no such file or directory; did you mean src/app?"
    assert run("--check") == (2, "", f"nkimigrate: pyproject.toml: {said}\n")
    assert run("--check", r"src\other") == (2, "", "nkimigrate: src\\other: no such file or directory\n")


def test_an_interrupt_ends_with_130(folder: Path) -> None:
    code = (
        "import sys, time, nkimigrate.engine as engine\n"
        "def run(options, progress):\n"
        "    print('started', flush=True); time.sleep(60)\n"
        "engine.run = run\n"
        "from nkimigrate.cli import main; sys.exit(main(['.']))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        cwd=folder,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        err = process.stderr.read()
        assert process.wait(60) == 130
    assert err == "nkimigrate: interrupted; each file is either as it was or completely rewritten\n"


@pytest.mark.parametrize("presses", [1, 2])
def test_an_interrupt_shows_no_traceback_whenever_it_comes(tmp_path: Path, presses: int) -> None:
    """While modules are loaded, while files are found and while they are analysed, also when it comes twice."""
    for number in range(300):
        (tmp_path / f"f{number}.py").write_text(UNPROVEN)
    code = (
        "import sys, nkimigrate.__main__ as command\n"
        "def run(run=command._run):\n"
        "    print('started', flush=True)\n"
        "    return run()\n"
        "command._run = run\n"
        "sys.exit(command.main())"
    )
    for moment in range(12):
        with subprocess.Popen(
            [sys.executable, "-c", code, "--check", "--isolated", "--no-cache", "."],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            cwd=tmp_path,
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(moment * 0.01)
            for _ in range(presses):
                process.send_signal(signal.SIGINT)
                time.sleep(0.001)
            _, err = process.communicate(timeout=60)
        # After an interrupt while a module is executed Python ends by the signal, which shells call 130, too.
        assert process.returncode in (130, -signal.SIGINT)
        assert err in ("", "nkimigrate: interrupted; each file is either as it was or completely rewritten\n")


@pytest.mark.parametrize("words", [["--check", "{}"], ["verify", "{}", "{}"], ["--list-rules"]])
def test_a_current_folder_that_is_gone(tmp_path: Path, words: list[str]) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    command = [sys.executable, "-P" if sys.version_info >= (3, 11) else "-I", "-m", "nkimigrate"]
    script = [
        "sh",
        "-c",
        'rmdir "$0" && exec "$@"',
        str(gone),
        *command,
        *(w.format(tmp_path) for w in words),
    ]
    done = subprocess.run(script, cwd=gone, capture_output=True, text=True, check=False)
    said = "nkimigrate: the current folder: no such file or directory\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", said)


def test_a_second_interrupt_ends_the_process_without_a_word() -> None:
    """Here it comes while the first one's frames are freed, where Python would print that it is ignored."""
    code = (
        "import os, signal, sys, time, nkimigrate.__main__ as command\n"
        "class Freed:\n"
        "    def __del__(self):\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "        time.sleep(1)\n"
        "def run():\n"
        "    freed = Freed()\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    time.sleep(60)\n"
        "command._run = run\n"
        "sys.exit(command.main())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, b"", b"")


def test_an_internal_error_asks_for_a_report(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(options: Options, progress: object) -> Report:
        raise ValueError("this \x1b[31mshould not be")

    monkeypatch.setattr(engine, "run", fail)
    code, out, err = run(".")
    assert (code, out) == (2, "")
    assert err.startswith(
        "nkimigrate: internal error (ValueError: this \\x1b[31mshould not be)\nThis is a bug"
    )
    assert "Traceback" not in err
    assert "Traceback" in run(".", "-v")[2]


# -- the progress bar ---------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def slow(options: Options, progress: Callable[[str, int, int], None]) -> Report:
    for done in range(4):
        progress("analysing", done, 4)
        time.sleep(0.4)
    return report(changes=[Change("a.py", b"a\n", b"b\n")])


@pytest.mark.parametrize(
    ("stream", "words", "shown"),
    [(Terminal, ["."], True), (Terminal, [".", "-q"], False), (io.StringIO, ["."], False)],
)
def test_a_bar_is_shown_to_those_who_watch(
    run: Run, monkeypatch: pytest.MonkeyPatch, stream: type[io.StringIO], words: list[str], shown: bool
) -> None:
    screen = stream()
    monkeypatch.setattr(engine, "run", slow)
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    assert run(*words)[0] == 0
    assert ("analysing" in screen.getvalue()) is shown
