"""User code never runs, nothing is written outside of the given paths, and data stay data.

The command runs under an audit hook, which hears of everything that the interpreter executes, opens for writing,
starts and connects to. In the tree each file is a trap: importing or executing it leaves a mark.
"""

from __future__ import annotations

import ast
import html.parser
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from helpers import migrate
from reports import finding, report

from nkimigrate.codemods.language.reasons import Reason
from nkimigrate.codemods.language.wording import mark
from nkimigrate.codemods.model import Finding
from nkimigrate.report import github, gitlab, json_, junit, page, sarif, text
from nkimigrate.report.model import Change, Problem
from nkimigrate.report.view import View

WATCHED = """
import sys

sys.path = [path for path in sys.path if path]  # without the tree, as the command has it
import json, os

ROOT = os.path.realpath(sys.argv[1])
seen = {"executed": [], "written": [], "started": [], "connected": []}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.chmod", "os.chown",
           "os.truncate", "os.setxattr", "os.utime", "shutil.copyfile", "shutil.rmtree", "shutil.move"}
STARTS = {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.startfile", "pty.spawn"}


def note(kind, what):
    seen[kind].append(what if isinstance(what, str) else repr(what))


def path_of(value):
    return os.path.realpath(os.fsdecode(value)) if isinstance(value, (str, bytes)) else repr(value)


def hook(event, args):
    if event == "exec":
        name = args[0].co_filename
        if (os.path.isabs(name) and path_of(name).startswith(ROOT)) or name in ("app.py", "<unknown>", "<stdin>"):
            note("executed", name)
    elif event == "import" and args[1] and path_of(args[1]).startswith(ROOT):
        note("executed", args[0])
    elif event == "open":
        path, mode, flags = args
        if not isinstance(path, int) and ((flags or 0) & WRITING or set(mode or "") & set("wax+")):
            note("written", path_of(path))
    elif event in CHANGES:
        for value in args:
            if isinstance(value, (str, bytes)):
                note("written", path_of(value))
    elif event in STARTS:
        note("started", args[0])
    elif event.startswith("socket.") and event != "socket.__new__":
        note("connected", event)


from nkimigrate import cli

sys.addaudithook(hook)
code = cli.main(json.loads(sys.argv[2]))
sys.stdout.flush()
print(json.dumps({"code": code, **seen}), file=sys.stderr)
"""

CALL = "from nkilib_standalone.nkilib.core.mlp.mlp import mlp_kernel\n\n\ndef run(x, g, u, d):\n    return mlp_kernel(x, g, u, d)\n"
KERNEL = """\
import neuronxcc.nki as nki
import neuronxcc.nki.language as nl


@trap("kernel")
@nki.jit
def kernel(x, n=trap(8)):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    nl.store(out, nl.exp(nl.load(x)))
    return out


kernel[2](trap)
"""


def trap(name: str, mark: Path) -> str:
    """Code that leaves a mark when it runs, whoever runs it and however."""
    return (
        f"import pathlib\npathlib.Path({str(mark)!r}).joinpath({name!r}).touch()\n"
        "def trap(*a, **k):\n"
        f"    pathlib.Path({str(mark)!r}).joinpath({name + '-called'!r}).touch()\n"
        "    return a[0] if a and callable(a[0]) else 0\n"
        f"trap(1)\nclass Meta(type):\n    x = trap(2)\n"
    )


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Files of every kind, each of which would leave a mark in ``marks``."""
    root, marks = tmp_path / "tree", tmp_path / "marks"
    marks.mkdir()
    files = {
        "sitecustomize.py": "", "usercustomize.py": "", "conftest.py": "", "setup.py": "",
        "nkilib/__init__.py": "", "libcst.py": "", "rich.py": "", "click.py": "", "tomllib.py": "", "jinja2.py": "",
        "nki.py": "", "neuronxcc/__init__.py": "", "numpy.py": "", "encodings.py": "", "packaging.py": "",
        "app/__init__.py": CALL, "app/use.py": "from app import mlp_kernel\n\nmlp_kernel(*trap(1))\n",
        "app/kernel.py": KERNEL, "app/__main__.py": CALL,
    }  # fmt: skip
    for name, text_ in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text_ + trap(name.replace("/", "-"), marks) if "future" not in text_ else text_)
    cell = CALL + trap("cell", marks) + "!touch " + str(marks / "shell") + "\n"
    cells = [{"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": 1, "source": cell}]
    (root / "book.ipynb").write_text(
        json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    )
    (root / "doc.md").write_text(f"```python\n{CALL}{trap('doc', marks)}```\n")
    (root / "doc.rst").write_text(
        "Text.\n\n.. code-block:: python\n\n" + "".join(f"   {line}\n" for line in CALL.split("\n"))
    )
    (root / "conf.yaml").write_text(
        f"kernel: nkilib_standalone.nkilib.core.mlp.mlp.mlp_kernel\nx: !!python/object/apply:os.system ['touch {marks}/yaml']\n"
    )
    (root / "pyproject.toml").write_text(
        "[tool.nkimigrate]\nextend-exclude = ['x/']\n[build-system]\nbuild-backend = 'setup'\n"
        "[project.entry-points.'nkimigrate.rules']\nevil = 'conftest'\n"
    )
    (root / "own.toml").write_text(
        "[release]\nproduct = 'app'\nfrom = '1'\nto = '2'\nroot = 'app'\nlegacy_roots = []\n"
        '[symbols]\n"app.old" = "app.new"\n'
    )
    (root / ".git").mkdir()
    (root / ".git/config").write_text(f"[core]\n\tfsmonitor = touch {marks}/git\n")
    return root


def watched(root: Path, *words: str, cwd: Path | None = None, **variables: str) -> dict[str, Any]:
    """Run the command from inside the tree, as its owner would; what the audit hook heard."""
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, str(root), json.dumps(words)],
        cwd=cwd or root, env={**os.environ, **variables}, capture_output=True, text=True, errors="replace",
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stderr.strip().splitlines()[-1])
    return found


WAYS = {
    "rewriting": ["--docs", "."],
    "in processes": ["--docs", "--jobs", "2", "."],
    "partial": ["--partial", "."],
    "checking": ["--check", "--docs", "--tables", "own.toml", "."],
    "diff": ["--diff", "--docs", "."],
    "own tables and a page": ["--tables", "own.toml", "--report", "../page.html", "."],
    "a report": ["--output-format", "sarif", "--output", "../report.sarif", "."],
}


@pytest.mark.parametrize("words", WAYS.values(), ids=WAYS.keys())
def test_nothing_runs_and_nothing_is_written_elsewhere(tree: Path, words: list[str]) -> None:
    before = copied(tree.parent)
    heard = watched(tree, *words)
    assert heard["code"] in (0, 1)
    assert heard["executed"] == heard["started"] == heard["connected"] == []
    assert os.listdir(tree.parent / "marks") == []
    asked = {str(tree.parent / w.removeprefix("../")) for w in words if w.startswith("../")}
    outside = {p for p in heard["written"] if not p.startswith(f"{tree}{os.sep}") and not allowed(p)}
    assert outside == asked
    after = copied(tree.parent)
    changed = {p for p in after if after[p] != before.get(p)}
    assert {p for p in changed if not p.startswith("tree/")} == {os.path.basename(p) for p in asked}
    assert ("tree/app/__init__.py" in changed) == (not {"--check", "--diff"} & set(words))


@pytest.mark.parametrize("module", ["nkimigrate", "nkimigrate.lsp"])
def test_modules_of_the_current_folder_are_not_ours(tree: Path, module: str) -> None:
    """``python -m`` takes them for the tool's own: a ``click.py`` of the project ran."""
    words = (
        ["--check", "--report", str(tree.parent / "page.html"), "."] if module == "nkimigrate" else ["--help"]
    )
    command = [sys.executable, "-m", module, *words]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    assert os.listdir(tree.parent / "marks") == []


def allowed(path: str) -> bool:
    """What the interpreter itself opens: semaphores of processes, compiled modules of the tool."""
    return path == os.devnull or path.startswith("/dev/shm/") or "__pycache__" in path


def copied(folder: Path) -> Mapping[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes()
        for p in folder.rglob("*")
        if p.is_file() and ".nkimigrate_cache" not in p.parts
    }


def test_the_traps_do_spring(tree: Path) -> None:
    """Whoever imports or runs what lies there leaves marks, and the hook hears of it."""
    subprocess.run([sys.executable, "-c", "import app"], cwd=tree, check=False, capture_output=True)
    assert os.listdir(tree.parent / "marks")
    shutil.rmtree(tree.parent / "marks")
    (tree.parent / "marks").mkdir()
    importing = WATCHED.replace(
        "code = cli.main(json.loads(sys.argv[2]))",
        "sys.path.insert(0, ROOT)\nimport conftest\nopen('/dev/null', 'w')\ncode = 0",
    )
    done = subprocess.run(
        [sys.executable, "-c", importing, str(tree), "[]"],
        cwd=tree,
        capture_output=True,
        text=True,
        check=True,
    )
    heard = json.loads(done.stderr.strip().splitlines()[-1])
    assert any("conftest" in name for name in heard["executed"])
    assert "/dev/null" in heard["written"]


def test_a_configuration_cannot_name_a_file_to_write_or_an_executor(tree: Path) -> None:
    for key in ("output", "report", "executor", "write-baseline", "config", "stdin-filename", "verify"):
        (tree / "pyproject.toml").write_text(f'[tool.nkimigrate]\n{key} = "../made"\n')
        assert watched(tree, ".")["code"] == 2
    assert not (tree.parent / "made").exists()


@pytest.mark.parametrize("path", ["..", "../beside", "link", "app/../../beside/a.py"])
def test_a_configuration_does_not_lead_out_of_its_tree(tree: Path, path: str) -> None:
    beside = tree.parent / "beside"
    beside.mkdir()
    (beside / "a.py").write_text(CALL)
    (tree / "link").symlink_to(beside)
    (tree / "pyproject.toml").write_text(f"[tool.nkimigrate]\npaths = ['app', '{path}']\nno-cache = true\n")
    for words in (["--no-docs"], ["--check"], ["--diff"], ["--config", "pyproject.toml"]):
        heard = watched(tree, *words)
        assert heard["code"] == 2
        assert {p for p in heard["written"] if not allowed(p)} == set()
    assert watched(tree, "../beside")["code"] == 0
    assert (beside / "a.py").read_text() != CALL


def test_git_of_the_tree_runs_nothing(tree: Path) -> None:
    """``--since`` asks git, which a repository's own configuration could make run programs."""
    marks = tree.parent / "marks"
    subprocess.run(["git", "init", "-q", str(tree)], check=True)
    git = ["git", "-C", str(tree), "-c", "core.fsmonitor=false", "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "add", "app"], check=True)
    subprocess.run([*git, "commit", "-qm", "one"], check=True)
    with (tree / ".git/config").open("a") as file:
        file.write(f"\n[core]\n\tfsmonitor = touch {marks}/git\n\tpager = touch {marks}/pager\n")
        file.write(f"[diff]\n\texternal = touch {marks}/diff\n")
        file.write(f'[diff "evil"]\n\ttextconv = touch {marks}/textconv\n\tcommand = touch {marks}/command\n')
        file.write(f'[filter "evil"]\n\tclean = touch {marks}/filter\n\trequired = true\n')
    (tree / ".gitattributes").write_text("*.py filter=evil diff=evil\n")
    (tree / "app/use.py").write_text("x = 2\n")
    heard = watched(tree, "--check", "--since", "HEAD", ".")
    assert heard["code"] in (0, 1)
    assert os.listdir(tree.parent / "marks") == []


def test_filters_of_a_worktree_s_configuration_do_not_run(tree: Path) -> None:
    """It stands in another file than that of the repository, and was not asked."""
    clean = "*.py filter=evil"
    refused = "*.py filter=e=vil"
    for attributes, code in ((clean, 1), (refused, 2)):
        name = attributes.partition("filter=")[2]
        subprocess.run(["git", "init", "-q", str(tree)], check=True)
        git = [
            "git",
            "-C",
            str(tree),
            "-c",
            "core.fsmonitor=false",
            "-c",
            "user.name=a",
            "-c",
            "user.email=a@b",
        ]
        (tree / ".gitattributes").write_text(attributes)
        (tree / "app/use.py").write_text(CALL)
        subprocess.run([*git, "add", "app"], check=True)
        subprocess.run([*git, "commit", "-qm", "one", "--allow-empty"], check=True)
        for key, value in (("core.repositoryFormatVersion", "1"), ("extensions.worktreeConfig", "true")):
            subprocess.run([*git, "config", key, value], check=True)
        own = f'[filter "{name}"]\n\tclean = touch {tree.parent}/marks/{name}; cat\n'
        (tree / ".git/config.worktree").write_text(own)
        (tree / "app/use.py").write_text(CALL + "x = 2\n")
        heard = watched(tree, "--check", "--since", "HEAD", "app")
        assert heard["code"] == code
        assert os.listdir(tree.parent / "marks") == []


@pytest.mark.parametrize(
    ("key", "value", "address"),
    [("core.sshCommand", "touch {}; false", "ssh://h/x"), ("protocol.ext.allow", "always", "ext::touch {}")],
)
def test_nothing_is_fetched_for_a_partial_clone(tree: Path, key: str, value: str, address: str) -> None:
    """Its configuration names the program that does."""
    mark = tree.parent / "marks/fetched"
    subprocess.run(["git", "init", "-q", str(tree)], check=True)
    git = ["git", "-C", str(tree), "-c", "core.fsmonitor=false", "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "add", "app"], check=True)
    subprocess.run([*git, "commit", "-qm", "one"], check=True)
    asked = subprocess.run([*git, "rev-parse", "HEAD:app"], check=True, capture_output=True, text=True)
    gone = asked.stdout.strip()
    (tree / "app/use.py").write_text(CALL + "x = 2\n")
    subprocess.run([*git, "commit", "-qam", "two"], check=True)
    (tree / ".git/objects" / gone[:2] / gone[2:]).unlink()
    settings = {
        "core.repositoryFormatVersion": "1",
        "extensions.partialClone": "origin",
        "remote.origin.promisor": "true",
        "remote.origin.url": address.format(mark),
        key: value.format(mark),
    }
    for name, setting in settings.items():
        subprocess.run([*git, "config", name, setting], check=True)
    assert watched(tree, "--check", "--since", "HEAD~1", "app")["code"] == 2
    assert not mark.exists()


def test_the_language_server_runs_nothing(tree: Path) -> None:
    pytest.importorskip("pygls")
    looking = WATCHED.replace(
        "code = cli.main(json.loads(sys.argv[2]))",
        "from nkimigrate.lsp.findings import look\n"
        "path = os.path.join(ROOT, 'app', '__init__.py')\n"
        "found = look([ROOT], {path: open(path, 'rb').read()})\n"
        "assert found[path].findings\nassert found[path].fixed(path, found[path].findings)\ncode = 0",
    )
    done = subprocess.run(
        [sys.executable, "-c", looking, str(tree), "[]"],
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    heard = json.loads(done.stderr.strip().splitlines()[-1])
    assert heard["executed"] == heard["started"] == heard["connected"] == []
    assert [p for p in heard["written"] if not allowed(p)] == []
    assert os.listdir(tree.parent / "marks") == []


# -- texts made to be slow ----------------------------------------------------------------------------

MANY = 200_000
SLOW: dict[str, dict[str, str]] = {
    "blanks behind an import": {
        "k.py": "from nkilib.core.mlp.mlp import mlp_kernel\n",
        "b.py": f"'k mlp_kernel'\nimport{' ' * MANY}\n",
        "c.py": f"'k mlp_kernel'\nfrom{' ' * MANY}{'.' * MANY}\n",
    },
    "blanks in a notebook": {
        "a.ipynb": json.dumps({"cells": [{"cell_type": "code", "source": f"nkilib\n{' ' * MANY}x\n{'a ' * MANY}"}]})
    },
    "words behind a fence": {"a.md": f"```{'a' * MANY}`\nnkilib\n", "b.md": f"```{' ' * MANY}`\nnkilib\n"},
    "quotes before a fence": {"a.md": f"{'> ' * MANY}x\n{' ' * MANY}x\nnkilib\n"},
    "blanks behind a directive": {"a.rst": f".. code::{' ' * MANY}x y\n\n   nkilib\n"},
    "comments in a call": {
        "a.py": f"from nkilib_standalone.nkilib.core.qkv.qkv import qkv\n\ny = (qkv  {'# ' * 3000}\n(x, w, None, b, True))\n"
    },
    "escapes in strings that stand in a row": {
        "a.py": 'import importlib\n\nimportlib.import_module("nkilib_standalone.nkilib" "' + "\\n" * MANY + '" "x")\n'
    },
    "a comment of marks in a kernel": {
        "a.py": KERNEL.replace("@trap(\"kernel\")\n", "").replace("    return out", f"    {'#' * MANY}\n    return out")
    },
    "dots and colons in a configuration": {"a.toml": f"a = 'nkilib_standalone{'.a' * 50_000}{':a' * 50_000}'\n"},
}  # fmt: skip


@pytest.mark.parametrize("files", SLOW.values(), ids=SLOW.keys())
def test_no_text_takes_for_ever(files: Mapping[str, str]) -> None:
    """Searching was quadratic or worse in some of these; a minute is for a very busy machine."""
    signal.alarm(60)
    try:
        result = migrate(files, docs=True)
    finally:
        signal.alarm(0)
    assert not [p for p in result.problems if p.code == "NKM908"]


def test_a_row_of_strings_is_no_single_one() -> None:
    from nkimigrate.codemods.edit.strings import literal

    signal.alarm(60)
    try:
        assert literal('"' + r"\n" * 200 + '" "b"') is None
    finally:
        signal.alarm(0)
    assert literal('"a\\n"') is not None


# -- reports ------------------------------------------------------------------------------------------


class Tags(html.parser.HTMLParser):
    """The elements and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, tuple[tuple[str, str | None], ...]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, tuple(attrs)))


PAYLOADS = {
    "html": "<script>alert(1)</script><img src=x onerror=alert(1)>\"'><svg/onload=alert(1)>",
    "template": "{{ 7*7 }}{% raw %}{# c #}",
    "terminal": "\x1b]0;title\x07\x1b[2J\x1b[31m\x9b31m\x08\x7f\r",
    "annotation": "%0A::error file=x::evil\n::set-output name=a::b\r\n::stop-commands::x",
    "xml": "]]><!ENTITY x SYSTEM 'file:///etc/passwd'>&x;<![CDATA[",
    "json": '"}],"evil":[{"a":"\\u0000',
    "direction": "\u202eevil\u2066\u200b",
    "markdown": "`</code>` [a](javascript:alert(1)) ![b](http://x/y) | * # <b>",
}


def hostile(payload: str) -> View:
    """A report in which every text that a tree can influence holds the payload."""
    path = f"a/{payload.replace(chr(0), '')}.py"
    found: list[Finding] = [
        finding(
            outcome, path=path, message=f"`{payload}` is gone", step="" if outcome == "rewritten" else payload
        )
        for outcome in ("rewritten", "noted", "needs-you")
    ]
    made = report(found, [Problem("NKM901", path, payload)])
    made.changes = [Change(path, f"old = {payload}\n".encode(), f"new = {payload}\n".encode())]
    made.texts = {path: payload.encode()}
    return View(made, "check", verbose=True)


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS.keys())
def test_reports_escape_what_they_show(payload: str) -> None:
    view, harmless = hostile(payload), hostile("harmless")
    for module in (text, json_, github, gitlab, sarif, junit, page):
        shown = "".join(f"{line}\n" for line in module.render(view))
        assert not {c for c in shown if ord(c) < 32 or 127 <= ord(c) < 160} - {"\n", "\t"}, module.__name__
        if module in (json_, gitlab, sarif):
            json.loads(shown)
        else:
            assert "\u202e" not in shown, module.__name__
    lines = [line for line in github.render(view) if line.startswith("::")]
    assert len(lines) == len([line for line in github.render(harmless) if line.startswith("::")])
    one, two = Tags(), Tags()
    one.feed("\n".join(page.render(view)))
    two.feed("\n".join(page.render(harmless)))
    tags = [tag for tag, _ in one.found]
    assert set(tags) <= {t for t, _ in two.found}
    assert not any(name.startswith("on") for _, attributes in one.found for name, _ in attributes)
    links = [
        value or "" for _, attributes in one.found for name, value in attributes if name in ("href", "src")
    ]
    assert all(not link.lower().lstrip().startswith(("javascript:", "data:text")) for link in links)
    assert all(value.count("<script") == 0 for value in ["".join(junit.render(view))])


def test_the_page_holds_no_script_but_its_own() -> None:
    pages = ["\n".join(page.render(hostile(p))) for p in PAYLOADS.values()]
    assert {p.count("<script") for p in pages} == {"\n".join(page.render(hostile("x"))).count("<script")}


def test_marks_in_code_hold_comments_only() -> None:
    """What ``--partial`` writes into files is a comment, whatever the place says."""
    node = ast.parse("x").body[0]
    for payload in (*PAYLOADS.values(), "a\nimport os", "a\rimport os", "a\x0cb"):
        lines = mark(Reason(node, "M-PY", {"x": payload}), payload, "    ")
        code = "def f():\n" + "\n".join(lines) + "\n    pass\n"
        assert [type(n) for n in ast.parse(code).body[0].body] == [ast.Pass]  # type: ignore[attr-defined]
        assert all(line.lstrip().startswith("#") for line in code.splitlines()[1:-1])
