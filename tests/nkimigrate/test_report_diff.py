"""Diffs, judged by `git apply` and by git's own diffs."""

from __future__ import annotations

import random
import subprocess
import time
from pathlib import Path

import pytest

from nkimigrate.report.diff import coloured, unified
from nkimigrate.report.lines import changes
from nkimigrate.report.model import Change

CASES = {
    "plain": (b"a\nb\nc\n", b"a\nB\nc\n"),
    "crlf": (b"a\r\nb\r\nc\r\n", b"a\r\nB\r\nc\r\n"),
    "mixed newlines": (b"a\r\nb\nc\rd\n", b"a\r\nB\nc\rd\n"),
    "no newline at the end": (b"a\nb", b"a\nB"),
    "newline goes": (b"a\nb\n", b"a\nb"),
    "newline comes": (b"a\nb", b"a\nb\n"),
    "context ends without newline": (b"a\nb\nc", b"A\nb\nc"),
    "latin-1": (
        b"# -*- coding: latin-1 -*-\nx = '\xe4'\ny = 1\n",
        b"# -*- coding: latin-1 -*-\nx = '\xe4'\ny = 2\n",
    ),
    "form feed and odd separators": (
        "a\x0cb\n\x1c\x85\u2028x\nc\n".encode(),
        "a\x0cb\n\x1c\x85\u2028y\nc\n".encode(),
    ),
    "bom": (b"\xef\xbb\xbfa\nb\n", b"\xef\xbb\xbfA\nb\n"),
    "from nothing": (b"", b"a\n"),
    "to nothing": (b"a\nb\n", b""),
    "only lines added": (b"a\nb\n", b"a\nnew\nb\n"),
    "far from the start": (b"x\n" * 100 + b"a\n", b"x\n" * 100 + b"A\n"),
    "first and last": (b"a\n" + b"x\n" * 50 + b"b\n", b"A\n" + b"x\n" * 50 + b"B\n"),
    "repeated lines": (b"x\n" * 9, b"x\n" * 8),
}


def apply(folder: Path, change: Change) -> bytes:
    """What `git apply` makes of the old text and the diff."""
    file = folder / change.path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(change.old)
    command = ["git", "apply", "--whitespace=nowarn", "-"]
    done = subprocess.run(command, input=unified(change), cwd=folder, capture_output=True)
    assert done.returncode == 0, done.stderr
    return file.read_bytes()


@pytest.mark.parametrize("name", CASES)
def test_git_applies_the_diff(tmp_path: Path, name: str) -> None:
    old, new = CASES[name]
    assert apply(tmp_path, Change("model.py", old, new)) == new


@pytest.mark.parametrize(
    "path", ["a b.py", "sub/ä.py", 'q"uote\\.py', "tab\there.py", "new\nline.py", "\x1b[31m.py"]
)
def test_git_finds_files_with_unusual_names(tmp_path: Path, path: str) -> None:
    assert apply(tmp_path, Change(path, b"a\n", b"b\n")) == b"b\n"


def test_random_edits_apply(tmp_path: Path) -> None:
    chance = random.Random(7)
    for _ in range(60):
        old = [chance.choice([b"a\n", b"b\r\n", b"c\n", b"d\xff\n"]) for _ in range(chance.randrange(30))]
        new = list(old)
        for _ in range(chance.randrange(1, 4)):
            at = chance.randrange(len(new) + 1)
            new[at : at + chance.randrange(3)] = [b"new\n"] * chance.randrange(3)
        if new != old:
            assert apply(tmp_path, Change("m.py", b"".join(old), b"".join(new))) == b"".join(new)


def test_changes_are_those_and_no_others() -> None:
    """Putting the changes into the old lines gives the new ones, whatever the lines are."""
    chance = random.Random(11)
    for _ in range(300):
        old = chance.choices("abcdefghij", k=chance.randrange(40))
        new = list(old)
        for _ in range(chance.randrange(6)):
            at = chance.randrange(len(new) + 1)
            new[at : at + chance.randrange(3)] = chance.choices("abcdefghijk", k=chance.randrange(3))
        made, at = [], 0
        for a, b, c, d in changes(old, new):
            assert at <= a <= b
            assert (a, c) != (b, d)
            made += [*old[at:a], *new[c:d]]
            at = b
        assert [*made, *old[at:]] == new


def test_headers_and_hunk_are_those_of_a_unified_diff() -> None:
    old = b"".join(b"%d\n" % i for i in range(1, 21))
    assert unified(Change("./a/m.py", old, old.replace(b"\n10\n", b"\nten\n"))).decode() == (
        "--- a/a/m.py\n+++ b/a/m.py\n@@ -7,7 +7,7 @@\n 7\n 8\n 9\n-10\n+ten\n 11\n 12\n 13\n"
    )


def test_an_absolute_path_is_not_one_in_the_header() -> None:
    assert unified(Change("/tmp/m.py", b"a\n", b"b\n")).startswith(b"--- a/tmp/m.py\n+++ b/tmp/m.py\n")


def test_a_long_file_takes_no_time() -> None:
    """Neither many equal lines nor many changes make the diff slow, or longer than it must be."""
    same = b"".join([b"first\n", b"x = 1\n" * 100_000, b"last\n"])
    many = b"".join(b"call(%d)\n\n" % i for i in range(50_000))
    started = time.process_time()
    diff = unified(Change("m.py", same, same.replace(b"first", b"First").replace(b"last", b"Last")))
    assert diff.count(b"\n@@") == 2
    diff = unified(Change("m.py", many, many.replace(b"00)", b"00, x)")))
    assert diff.count(b"\n@@") == 499
    assert time.process_time() - started < 5


def test_the_coloured_diff_controls_nothing() -> None:
    change = Change("a\x1b[2J.py", b"\x1b]0;title\x07\r\n\tx\n", b"\xff\x1b[2J\r\n\tx\n")
    lines = list(coloured(change))
    assert len(lines) == 6
    for line in lines:
        bare = line
        for code in ("1", "31", "32", "36", "0"):
            bare = bare.replace(f"\x1b[{code}m", "")
        assert bare.replace("\t", "").isprintable(), line
    assert lines[3] == "\x1b[31m-\\x1b]0;title\\x07\x1b[0m"
    assert lines[5] == " \tx"
