"""A check against findings that are already known."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from nkimigrate import cli

OLD = "from nkilib.core.qkv.qkv import qkv\n\n\ndef f(x, w, rest):\n    return qkv(x, w, *rest)\n"


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.py").write_text(OLD)
    return tmp_path


def check(*words: str) -> int:
    return cli.main(["--check", ".", "--isolated", "--no-cache", *words])


def test_known_findings_do_not_fail_and_new_ones_do(tree: Path, capsys: Any) -> None:
    assert check() == 1
    assert check("--baseline", "known.json", "--write-baseline") == 0
    assert check("--baseline", "known.json") == 0
    assert "in the baseline" in capsys.readouterr().out
    (tree / "model.py").write_text(
        "# moved\n\n" + OLD + "\n\ndef g(x, w, more):\n    return qkv(x, w, *more)\n"
    )
    assert check("--baseline", "known.json") == 1
    out = capsys.readouterr().out
    assert "model.py:11" in out
    assert "model.py:7" not in out


@pytest.mark.parametrize("form", ["baseline", "json", "gitlab", "sarif"])
def test_what_nkimigrate_wrote_into_the_tree_is_not_to_migrate(tree: Path, form: str, capsys: Any) -> None:
    (tree / "model.py").write_text("from nkilib_standalone.nkilib.core.qkv.qkv import qkv\n")
    assert check() == 1
    if form == "baseline":
        check("--baseline", "known.json", "--write-baseline")
    else:
        check("--output-format", form, "--output", "known.json")
    assert "nkilib_standalone" in (tree / "known.json").read_text()
    (tree / "model.py").unlink()
    assert check() == 0
    (tree / "known.json").write_text('{"module": "nkilib_standalone.nkilib.core.qkv.qkv"}\n')
    assert check() == 1


def test_what_is_gone_is_said(tree: Path, capsys: Any) -> None:
    check("--baseline", "known.json", "--write-baseline")
    (tree / "model.py").write_text("")
    assert check("--baseline", "known.json") == 0
    assert "--write-baseline" in capsys.readouterr().out
    check("--baseline", "known.json", "--write-baseline")
    assert json.loads((tree / "known.json").read_text())["findings"] == []


def test_the_file_is_the_same_from_every_folder_and_in_the_configuration(
    tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    check("--baseline", "known.json", "--write-baseline")
    made = (tree / "known.json").read_bytes()
    (tree / "pyproject.toml").write_text('[tool.nkimigrate]\nbaseline = "known.json"\n')
    (tree / "sub").mkdir()
    monkeypatch.chdir(tree / "sub")
    assert cli.main(["--check", "..", "--no-cache"]) == 0
    assert check_from_sub() == 0
    assert (tree / "known.json").read_bytes() == made


def check_from_sub() -> int:
    return cli.main(
        ["--check", "..", "--isolated", "--no-cache", "--baseline", "../known.json", "--write-baseline"]
    )


def test_the_json_report_counts_what_is_known(tree: Path, capsys: Any) -> None:
    check("--baseline", "known.json", "--write-baseline", "-q")
    known = len(json.loads((tree / "known.json").read_text())["findings"])
    capsys.readouterr()
    check("--baseline", "known.json", "--output-format", "json")
    document = json.loads(capsys.readouterr().out)
    assert known > 0
    assert document["summary"]["known"] == known
    assert document["findings"] == []


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "--write-baseline makes it"),
        ("{", "not JSON"),
        ("[]", "not a baseline"),
        ('{"version": 99, "findings": []}', "another nkimigrate"),
    ],
)
def test_a_file_that_is_no_baseline(tree: Path, content: str | None, says: str, capsys: Any) -> None:
    if content is not None:
        (tree / "known.json").write_text(content)
    assert check("--baseline", "known.json") == 2
    assert says in capsys.readouterr().err


def test_a_pipe_is_not_waited_for(tree: Path, capsys: Any) -> None:
    os.mkfifo(tree / "known.json")
    assert check("--baseline", "known.json") == 2
    assert capsys.readouterr().err == "nkimigrate: --baseline known.json: not a regular file\n"


@pytest.mark.parametrize(
    "words", [["--baseline", "b.json", "."], ["--check", "--write-baseline", "."], ["--since", "HEAD", "-"]]
)
def test_combinations_that_cannot_be_meant(tree: Path, words: list[str], capsys: Any) -> None:
    assert cli.main([*words, "--isolated"]) == 2
    assert capsys.readouterr().err.startswith("nkimigrate: --")
