"""Finding and checking `[tool.nkimigrate]`."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from nkimigrate.arguments import ARGUMENTS
from nkimigrate.configfile import named, nearest
from nkimigrate.errors import UsageError

TABLE = "[tool.nkimigrate]\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "package" / "deep").mkdir(parents=True)
    (tmp_path / "package" / "deep" / "model.py").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize(
    "start", [".", "package", "package/deep", "package/deep/model.py", "package/nothing.py"]
)
def test_found_at_or_above_the_path(folder: Path, start: str) -> None:
    path = write(folder / "pyproject.toml", TABLE + 'select = ["NKM1"]')
    found = nearest(start)
    assert (found.path, found.folder) == (str(path), str(folder))
    assert found.values == {"select": ("NKM1",)}


def test_the_nearest_file_with_the_table_counts(folder: Path) -> None:
    write(folder / "pyproject.toml", TABLE + "jobs = 1")
    write(folder / "package" / "pyproject.toml", TABLE + "jobs = 2")
    write(folder / "package" / "deep" / "pyproject.toml", '[project]\ndependencies = ["nkimigrate"]')
    assert nearest("package/deep/model.py").values == {"jobs": 2}
    assert nearest(".").values == {"jobs": 1}


@pytest.mark.parametrize(
    "text", ["", "[tool.ruff]\n", "nkimigrate = 1", "[tool]\nother = 'nkimigrate'", "not [valid toml"]
)
def test_files_without_the_table_do_not_count(folder: Path, text: str) -> None:
    write(folder / "package" / "pyproject.toml", text)
    write(folder / "pyproject.toml", TABLE)
    found = nearest("package")
    assert (found.path, found.values) == (str(folder / "pyproject.toml"), {})


@pytest.mark.parametrize("text", ["[tool]\nnkimigrate = {jobs = 3}", '[ "tool" . nkimigrate ]\njobs = 3'])
def test_every_spelling_of_the_table_counts(folder: Path, text: str) -> None:
    write(folder / "pyproject.toml", text)
    assert nearest(".").values == {"jobs": 3}


def test_every_option_that_may_stand_in_the_file_is_read(folder: Path) -> None:
    texts = {"flag": "true", "number": "2", "list": '["a", "b"]'}
    expected = {"flag": True, "number": 2, "list": ("a", "b")}
    lines, values = [TABLE, "paths = ['src']"], {"paths": ("src",)}
    for argument in (a for a in ARGUMENTS if a.in_file):
        text = argument.choices[0] if argument.choices else "2.27"
        lines.append(f"{argument.name} = {texts.get(argument.kind, repr(text))}")
        values[argument.key] = expected.get(argument.kind, text)
    write(folder / "pyproject.toml", "\n".join(lines))
    assert nearest(".").values == values


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("selct = []", "[tool.nkimigrate] has no key `selct`; did you mean `select`?"),
        ("extend_exclude = []", "has no key `extend_exclude`; did you mean `extend-exclude`?"),
        ("xyz = 1", "has no key `xyz`; its keys: paths, from, to, "),
        ("check = true", "`check` belongs on the command line, not into the file"),
        ("version = '1'", "`version` belongs on the command line, not into the file"),
        ("select = 'NKM1'", "`select`: expected a list of strings, not a string ('NKM1')"),
        ("exclude = [1]", "`exclude`: expected a list of strings, not a list ([1])"),
        ("ignore = ['']", "`ignore`: one of the strings is empty"),
        ("paths = ['src', '-']", "`paths`: - (standard input) belongs on the command line"),
        ("paths = 'src'", "`paths`: expected a list of strings, not a string ('src')"),
        ("from = 2.27", '`from`: expected a string, such as "2.28", not a number (2.27)'),
        ("jobs = true", "`jobs`: expected a whole number, 0 or more, not true or false (True)"),
        ("jobs = -1", "`jobs`: expected a whole number, 0 or more, not a whole number (-1)"),
        ("jobs = 1.5", "`jobs`: expected a whole number, 0 or more, not a number (1.5)"),
        ("baseline = ''", "`baseline`: the string is empty"),
        ("quiet = 1", "`quiet`: expected true or false, not a whole number (1)"),
        ("statistics = 'yes'", "`statistics`: expected true or false, not a string ('yes')"),
        (
            "output-format = 'xml'",
            "`output-format`: expected one of text, json, github, gitlab, sarif, junit, not a string ('xml')",
        ),
        ("to = 2026-01-01", "`to`: expected a string, not a date"),
    ],
)
def test_what_is_wrong_is_named_with_file_key_and_expected_type(
    folder: Path, line: str, message: str
) -> None:
    write(folder / "pyproject.toml", TABLE + line)
    with pytest.raises(UsageError) as caught:
        nearest("package")
    assert str(caught.value).startswith("pyproject.toml: [tool.nkimigrate] ")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TABLE + "select = [", "pyproject.toml: not a valid TOML file: "),
        (b"# \xff\n[tool.nkimigrate]", "pyproject.toml: not a valid TOML file: "),
        ("[tool]\nnkimigrate = 1", "pyproject.toml: [tool.nkimigrate] must be a table, not a whole number"),
        (TABLE + "x = " + "[" * 100_000, "pyproject.toml: not a valid TOML file: "),
    ],
)
def test_a_broken_file_is_named(folder: Path, text: str | bytes, message: str) -> None:
    write(folder / "pyproject.toml", text)
    with pytest.raises(UsageError) as caught:
        nearest(".")
    assert str(caught.value).startswith(message)


def test_a_named_file_may_hold_the_keys_alone(folder: Path) -> None:
    write(folder / "own.toml", "jobs = 4")
    assert named("own.toml").values == {"jobs": 4}
    write(folder / "own.toml", TABLE + "jobs = 5")
    assert named("own.toml").values == {"jobs": 5}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("pyproject.toml", "[tool.ruff]", "--config pyproject.toml: the file has no table [tool.nkimigrate]"),
        ("own.toml", "[project]", "own.toml: has no key `project`"),
        ("own.toml", "jobs = 'x'", "own.toml: `jobs`: expected a whole number"),
        ("gone.toml", "", "--config gone.toml: no such file or directory"),
    ],
)
def test_a_named_file_must_be_a_configuration(folder: Path, name: str, text: str, message: str) -> None:
    if name != "gone.toml":
        write(folder / name, text)
    with pytest.raises(UsageError) as caught:
        named(name)
    assert str(caught.value).startswith(message)


def test_the_example_in_the_documentation_is_a_configuration(repository: Path, folder: Path) -> None:
    page = (repository / "docs" / "command.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    write(folder / "pyproject.toml", example)
    assert nearest(".").values["paths"] == ("src", "tests")


def test_a_folder_called_pyproject_is_none(folder: Path) -> None:
    os.mkdir(folder / "pyproject.toml")
    assert nearest(".").path == ""


def test_a_byte_order_mark_is_no_part_of_the_text(folder: Path) -> None:
    write(folder / "pyproject.toml", b"\xef\xbb\xbf" + (TABLE + "jobs = 3").encode())
    assert nearest(".").values == {"jobs": 3}


def test_a_pipe_or_a_device_is_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "pyproject.toml")
    os.symlink("/dev/zero", folder / "package/pyproject.toml")
    assert nearest("package").path == ""
    for name in ("pyproject.toml", "package/pyproject.toml"):
        with pytest.raises(UsageError, match="not a regular file"):
            named(name)


def test_what_an_unreadable_file_says_is_not_missed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder / "pyproject.toml", TABLE + "exclude = ['golden/']\n" + "#" * (5 << 20))
    with pytest.raises(UsageError, match=r"^pyproject\.toml: larger than 5 MiB.*--isolated does without$"):
        nearest("package")
