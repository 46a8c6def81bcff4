"""Ignore patterns: the rules of gitignore(5) one by one, then random trees side by side with git itself."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nkimigrate import gitignore
from nkimigrate.discovery import discover
from nkimigrate.gitignore import Patterns, Rules, lines_of


def ignored(lines: str, path: str) -> bool:
    """Whether a .gitignore with these lines ignores ``path`` itself (a folder ends with ``/``)."""
    prefix, name = os.path.split(path.rstrip("/"))
    rules = Rules().plus(Patterns(lines_of(lines.encode())), f"{prefix}/" if prefix else "")
    return rules.ignore(name, path.endswith("/"))


RULES = [
    # a pattern without a slash matches the name at any depth
    ("a.py", "a.py", True),
    ("a.py", "x/y/a.py", True),
    ("a.py", "a.pyi", False),
    ("a.py", "ba.py", False),
    # a slash at the beginning or in the middle anchors it
    ("/a.py", "a.py", True),
    ("/a.py", "x/a.py", False),
    ("x/a.py", "x/a.py", True),
    ("x/a.py", "y/x/a.py", False),
    # a slash at the end: folders only
    ("doc/", "doc/", True),
    ("doc/", "x/doc/", True),
    ("doc/", "doc", False),
    ("doc/frotz/", "doc/frotz/", True),
    ("doc/frotz/", "a/doc/frotz/", False),
    # wildcards do not cross a slash
    ("*.py", "x/a.py", True),
    ("*.py", "x/a.pyc", False),
    ("foo/*", "foo/a.py", True),
    ("foo/*", "foo/bar/a.py", False),
    ("foo/?.py", "foo/a.py", True),
    ("foo?a.py", "foo/a.py", False),
    ("a*", "abc", True),
    ("*", ".hidden", True),
    # two stars
    ("**/foo", "foo", True),
    ("**/foo", "a/b/foo", True),
    ("**/foo/bar", "a/foo/bar", True),
    ("**/foo/bar", "a/foo/x/bar", False),
    ("abc/**", "abc/x/y.py", True),
    ("abc/**", "abc/", False),
    ("a/**/b", "a/b", True),
    ("a/**/b", "a/x/y/b", True),
    ("a/**/b", "ax/b", False),
    ("a**b.py", "axxb.py", True),
    ("x/a**b.py", "x/a/b.py", False),
    # brackets
    ("a[0-9].py", "a7.py", True),
    ("a[0-9].py", "ax.py", False),
    ("a[!0-9].py", "ax.py", True),
    ("a[^0-9].py", "a7.py", False),
    ("a[]x].py", "a].py", True),
    ("a[x-].py", "a-.py", True),
    ("a[\\]x].py", "a].py", True),
    ("a[[:digit:]_].py", "a5.py", True),
    ("a[[:digit:]_].py", "a_.py", True),
    ("a[[:digit:]_].py", "ab.py", False),
    ("x[!a]y", "x/y", False),
    ("a[z-b].py", "ac.py", False),
    # malformed: takes nothing, and does not take the others down
    ("a[b\n*.log", "a[b", False),
    ("a[b\n*.log", "x.log", True),
    ("[[:nonsense:]]", "a", False),
    ("a\\", "a\\", False),
    # escapes, comments, blanks
    ("\\#a.py", "#a.py", True),
    ("#a.py", "#a.py", False),
    ("\\!a.py", "!a.py", True),
    ("\\*.py", "*.py", True),
    ("\\*.py", "a.py", False),
    ("a.py  ", "a.py", True),
    ("a.py\\ ", "a.py ", True),
    ("a.py\\  ", "a.py ", True),
    ("a.py\t", "a.py", False),
    (" a.py", "a.py", False),
    ("a.py\r\nb.py\r\n", "a.py", True),
    ("\ufeffa.py", "a.py", True),
    ("\n\n  \n/\n!\n!/\n", "a.py", False),
    # the last match decides
    ("*.py\n!a.py", "a.py", False),
    ("*.py\n!a.py", "b.py", True),
    ("!a.py\n*.py", "a.py", True),
    ("*\n!*/\n!*.py", "x/", False),
    ("*\n!*/\n!*.py", "x/a.txt", True),
    # characters that mean something to regular expressions
    ("a+b(c).py", "a+b(c).py", True),
    ("a.py", "axpy", False),
    ("[a&&b]x", "&x", True),
    ("é*.py", "éa.py", True),
]


@pytest.mark.parametrize(("lines", "path", "expected"), RULES)
def test_rules_of_the_manual(lines: str, path: str, expected: bool) -> None:
    assert ignored(lines, path) is expected


def test_deeper_files_are_stronger() -> None:
    upper = Rules().plus(Patterns(["*.py"]))
    deeper = upper.below("x").plus(Patterns(["!a.py"]))
    assert upper.ignore("a.py", directory=False)
    assert not deeper.ignore("a.py", directory=False)
    assert deeper.ignore("b.py", directory=False)


def test_anchored_patterns_follow_into_subfolders() -> None:
    rules = Rules().plus(Patterns(["x/y/a.py"])).below("x").below("y")
    assert rules.ignore("a.py", directory=False)
    assert not rules.below("x").ignore("a.py", directory=False)


# -- git as the judge --

PARTS = [
    "a",
    "b",
    "ab",
    "*",
    "?",
    "**",
    "a*",
    "*b",
    "*.py",
    "x.py",
    "y.py",
    "[ab]",
    "[!a]",
    "[a-c]x.py",
    "\\*",
    "\\!a",
    "[",
    "[]a]",
    "[[:alpha:]]*",
    "a[",
    "**.py",
    "?.py",
    "d",
    "build",
    "[^x]*",
    "a?",
    "[a\\]b]",
    "[c-a]",
    "[a-]x",
    "[[:digit:]].py",
    "\\a",
    "[[:foo:]]",
    "x.p[xy]",
    "***",
]
NAMES = ["a", "b", "ab", "d", "build", "*", "!a", "a]", "-x", "]a", "[", "a "]
FILES = ["x.py", "y.py", "ax.py", "bx.py", "1.py", "c.py", "cx.py", "[.py"]


def some_pattern(rng: random.Random) -> str:
    body = "/".join(rng.choices(PARTS, k=rng.randint(1, 3)))
    slash = "/" if rng.random() < 0.25 else ""
    end = "/" if rng.random() < 0.3 else ""
    blank = rng.choice([" ", "\\ ", "  ", "\r"]) if rng.random() < 0.1 else ""
    return ("!" if rng.random() < 0.3 else "") + slash + body + end + blank


def grow(folder: Path, rng: random.Random, depth: int = 0) -> None:
    """Files and folders with awkward names, and ignore files with awkward patterns, three levels deep."""
    for name in rng.sample(FILES, 4):
        (folder / name).touch()
    if depth == 0 or rng.random() < 0.3:
        lines = [some_pattern(rng) for _ in range(rng.randint(1, 4))]
        (folder / ".gitignore").write_text("\n".join(lines) + rng.choice(["", "\n"]), newline="")
    for name in rng.sample(NAMES, 3 if depth < 3 else 0):
        (folder / name).mkdir()
        grow(folder / name, rng, depth + 1)


def seen_by_git(folder: Path) -> list[str]:
    command = ["git", "-c", "core.excludesFile=", "ls-files", "-z", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout
    return sorted(name for name in listed.split("\0") if name.endswith(".py"))


@pytest.mark.skipif(shutil.which("git") is None, reason="git is the judge here")
@pytest.mark.parametrize("seed", range(40))
def test_random_trees_as_git_sees_them(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(seed)
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    grow(tmp_path, rng)
    (tmp_path / ".git/info").mkdir(exist_ok=True)
    (tmp_path / ".git/info/exclude").write_text(some_pattern(rng) + "\n")
    monkeypatch.chdir(tmp_path)
    assert [found.path for found in discover(["."], exclude=[".git/"])] == seen_by_git(tmp_path)


GLOBS = st.lists(st.sampled_from(["a", "b", "*", "*", "?", "/", "**/", "[ab]", "[!a]"]), max_size=9).map(
    "".join
)
PATHS = st.text("ab/", max_size=14)


@settings(max_examples=1500)
@given(GLOBS, st.lists(PATHS, min_size=1, max_size=8))
def test_what_is_taken_once_is_taken_alike(glob: str, paths: list[str]) -> None:
    """The plain translation, in which every star may be tried anew, takes the same paths."""
    with patch.object(gitignore, "_deep", "".join):
        plain = gitignore.translate(glob)
    once = gitignore.translate(glob)
    for path in paths:
        assert bool(re.fullmatch(once, path, re.DOTALL)) == bool(re.fullmatch(plain, path, re.DOTALL))


@pytest.mark.parametrize(
    "pattern",
    ["*a" * 30 + "*b", "**/a*/" * 30 + "b", "/" + "*a*" * 30 + "/" + "**/" * 30 + "b", "[ab]*" * 40 + "c"],
)
def test_a_pattern_of_many_stars_is_not_tried_for_ever(pattern: str) -> None:
    """A repository could have made every run over it hang."""
    signal.alarm(60)
    try:
        path = "/".join(["a" * 60] * 30)
        assert not ignored(pattern, path)
        assert not ignored(f"{pattern}\n{pattern}", path + "/")
        assert ignored(pattern.replace("/", ""), "a" * 100 + ("c" if pattern.endswith("c") else "b"))
    finally:
        signal.alarm(0)
