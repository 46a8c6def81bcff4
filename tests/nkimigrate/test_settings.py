"""Command line and file together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nkimigrate.arguments import plain
from nkimigrate.config import Options
from nkimigrate.discovery import discover
from nkimigrate.errors import UsageError
from nkimigrate.settings import Settings, options


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for path in ("src/gen/a.py", "src/b.py", "gen/c.py", "keep/gen/d.py", "build/e.py", "w[x]/gen/f.py"):
        file = tmp_path / "project" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def configure(project: Path, text: str) -> None:
    (project / "pyproject.toml").write_text("[tool.nkimigrate]\n" + text, encoding="utf-8")


def settle(*words: str) -> tuple[Settings, Options]:
    given = plain(words)
    assert given is not None
    settings = Settings(given)
    return settings, options(settings, given)


def found(*words: str) -> set[str]:
    """The Python files that a command line leads to."""
    _, asked = settle(*words)
    files = discover(
        asked.paths,
        exclude=asked.exclude,
        extend_exclude=asked.extend_exclude,
        respect_gitignore=asked.respect_gitignore,
        root=asked.root,
    )
    return {file.path for file in files if file.path.endswith(".py")}


def test_without_anything_the_defaults_hold(project: Path) -> None:
    _, asked = settle(".")
    assert asked.paths == (".",)
    for name in ("mode", "release_from", "release_to", "select", "exclude", "jobs", "cache", "all_keywords"):
        assert getattr(asked, name) == getattr(Options, name)


def test_command_line_wins_over_file(project: Path) -> None:
    configure(
        project, 'select = ["NKM1"]\nignore = ["NKM101"]\njobs = 2\nall-keywords = true\nno-cache = true'
    )
    _, asked = settle(".")
    assert (asked.select, asked.ignore, asked.jobs) == (("NKM1",), ("NKM101",), 2)
    assert (asked.all_keywords, asked.cache) == (True, False)
    _, asked = settle(".", "--select", "nkm2", "--jobs", "0", "--no-all-keywords", "--cache")
    assert (asked.select, asked.ignore, asked.jobs) == (("NKM2",), ("NKM101",), 0)
    assert (asked.all_keywords, asked.cache) == (False, True)


def test_a_file_cannot_ask_for_quiet_and_verbose(project: Path) -> None:
    configure(project, "quiet = true\nverbose = true")
    with pytest.raises(UsageError, match=r"pyproject\.toml: `quiet` and `verbose` exclude each other"):
        settle(".")
    settings, _ = settle("--no-quiet", ".")
    assert (settings.flag("quiet"), settings.flag("verbose")) == (False, True)


def test_quiet_takes_verbose_of_the_file_back(project: Path) -> None:
    configure(project, "verbose = true")
    settings, _ = settle(".", "-q")
    assert (settings.flag("quiet"), settings.flag("verbose")) == (True, False)


def test_isolated_reads_no_file(project: Path) -> None:
    configure(project, "nonsense = 1")
    settings, _ = settle(".", "--isolated")
    assert settings.file.path == ""


def test_paths_of_the_file_are_relative_to_it(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(project, 'paths = ["src", "../project/gen"]')
    assert settle()[1].paths == ("src", "../project/gen")
    assert settle("keep")[1].paths == ("keep",)
    monkeypatch.chdir(project / "src")
    assert {Path(path).resolve() for path in settle()[1].paths} == {project / "src", project / "gen"}


OUTSIDE = {
    "above": "..",
    "beside": "../other",
    "absolute": "/",
    "through a link": "src/out",
    "to a file through a link": "src/a_link.py",
    "there and back to its name": "../project2",
}


@pytest.mark.parametrize("path", OUTSIDE.values(), ids=OUTSIDE.keys())
@pytest.mark.parametrize("words", [(), ("--check",), ("--config", "pyproject.toml")])
def test_paths_of_the_file_do_not_lead_out_of_its_repository(
    project: Path, path: str, words: tuple[str, ...]
) -> None:
    other, beginning_alike = project.parent / "other", project.parent / "project2"
    other.mkdir()
    beginning_alike.mkdir()
    (other / "a.py").touch()
    (project / "src/out").symlink_to(other)
    (project / "src/a_link.py").symlink_to(other / "a.py")
    configure(project, f'paths = ["src", "{path}"]')
    with pytest.raises(UsageError) as error:
        settle(*words)
    target = (project / path).resolve()
    assert str(error.value) == (
        f"pyproject.toml: `paths`: {path} leads out of {project}, to {target}; "
        "name it on the command line if it is meant"
    )
    assert settle(*words, path)[1].paths == (path,)


def test_paths_of_the_file_may_be_anywhere_in_its_repository(project: Path) -> None:
    (project.parent / ".git").mkdir()
    (project.parent / "other").mkdir()
    configure(project, 'paths = ["../other"]')
    assert settle()[1].paths == ("../other",)
    (project / ".git").write_text("gitdir: ../.git/worktrees/project")  # a worktree, or a submodule
    with pytest.raises(UsageError, match=r"\.\./other leads out of"):
        settle()


ALL = {"src/gen/a.py", "src/b.py", "gen/c.py", "keep/gen/d.py", "w[x]/gen/f.py"}


@pytest.mark.parametrize(
    ("text", "words", "left_out"),
    [
        ("", ["."], set()),
        ('extend-exclude = ["gen/"]', ["."], {"src/gen/a.py", "gen/c.py", "keep/gen/d.py", "w[x]/gen/f.py"}),
        ('extend-exclude = ["/gen/"]', ["."], {"gen/c.py"}),
        ('extend-exclude = ["src/gen"]', ["."], {"src/gen/a.py"}),
        ("", [".", "--extend-exclude", "src/gen,b.py"], {"src/gen/a.py", "src/b.py"}),
        ("", [".", "--extend-exclude", "./gen/"], {"gen/c.py"}),
        ('extend-exclude = ["src/gen"]', [".", "--extend-exclude", "gen/c.py"], {"src/gen/a.py", "gen/c.py"}),
        ('exclude = ["src/"]', [".", "--exclude", "keep/"], {"keep/gen/d.py"}),
        ('extend-exclude = ["gen/", "!keep/gen/"]', ["."], {"src/gen/a.py", "gen/c.py", "w[x]/gen/f.py"}),
    ],
)
def test_exclusion(project: Path, text: str, words: list[str], left_out: set[str]) -> None:
    configure(project, text)
    assert found(*words) - {"build/e.py"} == ALL - left_out


def test_exclude_replaces_the_default(project: Path) -> None:
    assert "build/e.py" not in found(".")
    assert "build/e.py" in found(".", "--exclude", "src/")


@pytest.mark.parametrize(
    ("here", "words", "left_out"),
    [
        ("src", ["..", "--extend-exclude", "./gen"], {"src/gen/a.py"}),
        ("..", ["project", "--extend-exclude", "project/gen"], {"gen/c.py", "keep/gen/d.py"}),
        ("..", ["project", "--extend-exclude", "*/src/gen"], {"src/gen/a.py", "keep/gen/d.py"}),
        ("w[x]", ["..", "--extend-exclude", "gen/f.py"], {"w[x]/gen/f.py", "keep/gen/d.py"}),
    ],
)
def test_patterns_count_from_where_they_are_written(
    project: Path, monkeypatch: pytest.MonkeyPatch, here: str, words: list[str], left_out: set[str]
) -> None:
    """The file leaves out `keep/gen` beside it, the command line what it names from the current folder."""
    configure(project, 'extend-exclude = ["keep/gen"]')
    monkeypatch.chdir(project / here)
    names = {(project / here / path).resolve().relative_to(project).as_posix() for path in found(*words)}
    assert names - {"build/e.py"} == ALL - left_out - {"keep/gen/d.py"}


def test_the_report_is_never_migrated(project: Path) -> None:
    for name in ("report[1].json", "src/other.json"):
        (project / name).touch()
    _, asked = settle(".", "--output", "report[1].json")
    files = discover(asked.paths, extend_exclude=asked.extend_exclude, root=asked.root)
    assert {file.path for file in files if file.path.endswith(".json")} == {"src/other.json"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--check", "--diff", "."], "--check and --diff exclude each other"),
        (["-q", "-v", "."], "--quiet and --verbose exclude each other"),
        (["--config", "a", "--isolated", "."], "--config and --isolated exclude each other"),
        (["-", "a.py"], "- (standard input) cannot be combined with other paths"),
        (["--stdin-filename", "a.py", "."], "--stdin-filename needs - as PATH"),
        (["a", ""], "a PATH is empty"),
        (
            ["--select", "NKM299", "."],
            "--select: no rule's code starts with 'NKM299'; did you mean NKM201 or ",
        ),
        (["--ignore", "positional-argument", "."], "did you mean positional-arguments (NKM201)?"),
        (["--select", "NKM901", "."], "NKM901 is not a rule: it says why a file could not be handled"),
        (["--select", "NKM999", "."], "--select: no rule's code starts with 'NKM999'"),
        (["--to", "2.99", "."], "no release tables lead from 2.27 to 2.99"),
        (["--to", "new", "."], "not a release number"),
        (["--from", "2.28", "."], "no release tables lead from 2.28 to 2.28"),
    ],
)
def test_what_cannot_be_meant_is_refused(project: Path, words: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        settle(*words)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ('select = ["NKX"]', "pyproject.toml: `select`: no rule's code starts with 'NKX'"),
        ('to = "3.0"', "pyproject.toml: no release tables lead from"),
    ],
)
def test_a_wrong_value_of_the_file_names_the_file(project: Path, text: str, start: str) -> None:
    configure(project, text)
    with pytest.raises(UsageError) as caught:
        settle(".")
    assert str(caught.value).startswith(start)


@pytest.mark.parametrize(
    ("given", "codes"),
    [("ALL", ("",)), ("nkm1, NKM201", ("NKM1", "NKM201")), ("positional_arguments", ("NKM201",))],
)
def test_codes_may_be_names_and_lower_case(project: Path, given: str, codes: tuple[str, ...]) -> None:
    assert settle(".", "--select", given)[1].select == codes


def test_releases_are_handed_on(project: Path) -> None:
    _, asked = settle(".", "--from", "2.27", "--to", "2.28")
    assert (asked.release_from, asked.release_to) == ("2.27", "2.28")


@pytest.mark.parametrize(
    ("words", "name"), [(["-"], "<stdin>"), (["-", "--stdin-filename", "src/m.py"], "src/m.py")]
)
def test_standard_input(project: Path, words: list[str], name: str) -> None:
    settings, asked = settle(*words)
    assert settings.stdin
    assert asked.stdin_filename == name


def test_standard_input_is_configured_like_the_file_it_stands_for(project: Path, monkeypatch: Any) -> None:
    configure(project, "jobs = 7")
    monkeypatch.chdir(project.parent)
    assert settle("-", "--stdin-filename", "project/src/b.py")[1].jobs == 7
    assert settle("-")[1].jobs == 0
