"""Findings one by one, answered from a script and from a real terminal."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from nkimigrate import cli
from nkimigrate.config import Options
from nkimigrate.interactive import Session

OLD = """\
from nkilib.core.qkv.qkv import qkv


def f(x, w, layout, bias, mlp, attention, rest):
    a = qkv(x, w, layout, bias, True, mlp, attention)
    b = qkv(x, w, layout, bias, True, mlp)
    return a, b, qkv(x, w, *rest)
"""
FIRST = OLD.replace(
    "bias, True, mlp, attention", "bias, fused_residual_add=True, mlp_prev=mlp, attention_prev=attention"
)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.py"
    path.write_text(OLD)
    return path


def walk(path: Path, answers: Iterable[str]) -> tuple[Session, list[str], int]:
    """A session whose person gives these answers; what was said, and how many places are left."""
    said: list[str] = []
    rest = iter(answers)
    options = Options(paths=(str(path),), cache=False, jobs=1)
    session = Session(options, said.append, lambda _question: next(rest, ""))
    left = session.walk()
    assert not list(rest), "answers nobody asked for"
    return session, said, len([f for f in left.findings if f.edits or f.outcome == "needs-you"])


def test_apply_and_skip(model: Path) -> None:
    _, said, left = walk(model, ["a", "s", "s"])
    assert model.read_text() == FIRST
    assert left == 2
    assert (
        "+    a = qkv(x, w, layout, bias, fused_residual_add=True, mlp_prev=mlp, attention_prev=attention)"
        in said
    )


def test_the_line_that_needs_a_person_is_marked(model: Path) -> None:
    """As Python counts lines: a form feed ends none."""
    model.write_text("\x0c\n" + OLD)
    _, said, _ = walk(model, ["s", "s", "s"])
    assert ">     8      return a, b, qkv(x, w, *rest)" in said


def test_keep_adds_a_comment_that_a_later_run_heeds(model: Path) -> None:
    walk(model, ["a", "k", "k"])
    lines = FIRST.splitlines()
    kept = [
        f"{line}  # nkimigrate: skip[NKM201]"
        if "qkv(x, w" in line and line not in FIRST.splitlines()[4]
        else line
        for line in lines
    ]
    assert model.read_text().splitlines() == kept
    assert cli.main(["--check", str(model), "--isolated", "--no-cache"]) == 0


def test_the_rest_of_a_file_at_once(model: Path) -> None:
    walk(model, ["f"])
    text = model.read_text()
    assert text.count("fused_residual_add=True") == 2
    assert "*rest" in text


def test_stop_writes_what_was_answered_and_no_more(model: Path) -> None:
    walk(model, ["a", "q"])
    assert model.read_text() == FIRST


@pytest.mark.parametrize("answers", [["s", "s", "s"], ["q"], [], ["x", "?", "s", "s", "s"]])
def test_nothing_is_written_without_a_yes(model: Path, answers: list[str]) -> None:
    walk(model, answers)
    assert model.read_text() == OLD


def test_the_editor_opens_the_file_and_it_is_looked_at_again(
    model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = tmp_path / "edit.sh"
    script.write_text("#!/bin/sh\necho 'x = 1' > \"$1\"\n")
    script.chmod(0o755)
    monkeypatch.setenv("VISUAL", str(script))
    walk(model, ["e"])
    assert model.read_text() == "x = 1\n"


def test_what_it_says_in_the_end(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody asked for --check, so that it is not said how to run without it."""
    monkeypatch.setattr("sys.stdin", io.StringIO("q\n"))
    assert cli.main(["--interactive", str(model), "--isolated", "--no-cache"]) == 1
    last = (
        "0 places rewritten and 0 kept in 0 files\n3 places affected in 1 file: 2 to rewrite, 1 needs you\n"
        "More about a rule: nkimigrate --explain NKM201\n"
    )
    assert capsys.readouterr().out.endswith(last)


def test_in_a_terminal(model: Path) -> None:
    main, side = pty.openpty()
    words = [sys.executable, "-m", "nkimigrate", "--interactive", str(model), "--isolated", "--no-cache"]
    process = subprocess.Popen(
        words, stdin=side, stdout=side, stderr=side, env={**os.environ, "TERM": "xterm"}
    )
    os.close(side)
    os.write(main, b"a\ns\ns\n")
    shown = b""
    try:
        while piece := os.read(main, 4096):
            shown += piece
    except OSError:  # the other side has left
        pass
    os.close(main)
    assert process.wait(30) == 1
    assert b"[a,s,k,e,f,q,?]" in shown
    assert b"\x1b[" in shown
    assert model.read_text() == FIRST


@pytest.mark.parametrize("words", [["--check"], ["--diff"], ["-"]])
def test_what_it_does_not_go_with(model: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--interactive", *words, *([] if words == ["-"] else [str(model)])]) == 2
    assert "--interactive" in capsys.readouterr().err
