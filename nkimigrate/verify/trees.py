"""The two sides that are compared: on disk, at a git revision, or as files were before a run."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..gitfiles import Repository

if TYPE_CHECKING:
    from ..report.model import Change

_LEFT_OUT = frozenset({".git", ".hg", ".svn", ".venv", "__pycache__", "node_modules", ".nkimigrate_cache"})


@dataclass(frozen=True)
class Tree:
    """One side.

    Attributes:
        root: folder that imports start from, absolute. files: key → path relative to ``root``, with slashes.
            The key is the path below what the user named, "" for a file that was named itself.
        beside: more files whose tests may call the kernels, relative to ``root``.
    """

    root: str
    files: dict[str, str]
    beside: tuple[str, ...] = ()


def named(path: str, root: str = "") -> Tree:
    """The side at a path; ``root``: where it starts when that is known.

    Raises UsageError when there is nothing.
    """
    path = os.path.abspath(path)
    if not os.path.exists(path):
        raise UsageError(f"{path}: no such file or folder")
    root = root or start(path)
    if os.path.isdir(path):
        return Tree(root, {_below(file, path): _below(file, root) for file in python_files(path)})
    return Tree(root, {"": _below(path, root)}, tuple(_below(file, root) for file in _beside(path)))


def _beside(path: str) -> list[str]:
    """Python files in a file's folder, and in folders of tests there."""
    folder = os.path.dirname(path)
    tests = [os.path.join(folder, name) for name in ("test", "tests")]
    here = [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if name.endswith(".py")]
    return [file for file in here if file != path] + [file for place in tests for file in python_files(place)]


def start(path: str) -> str:
    """The folder of a path, or the one above the packages that it is in."""
    folder = path if os.path.isdir(path) else os.path.dirname(path)
    while os.path.exists(os.path.join(folder, "__init__.py")):
        folder = os.path.dirname(folder)
    return folder


def _below(path: str, folder: str) -> str:
    return os.path.relpath(path, folder).replace(os.sep, "/")


def python_files(folder: str) -> list[str]:
    """All Python files in and under a folder, sorted; links to folders are not followed."""
    found = []
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in _LEFT_OUT)
        found += [os.path.join(place, name) for name in sorted(names) if name.endswith(".py")]
    return found


def at_revision(path: str, revision: str, into: str) -> tuple[Tree, Tree]:
    """A path of a git repository at a revision, laid out in ``into``, and as it is now.

    Raises UsageError when git does not give it.
    """
    if not os.path.exists(path):
        raise UsageError(f"{path}: no such file or folder")
    git = Repository("--git", path if os.path.isdir(path) else os.path.dirname(path) or ".", fetch=True)
    top = os.path.realpath(git.top)
    below = os.path.relpath(os.path.realpath(path), top)
    before = os.path.join(into, "before")
    git.lay_out(revision, before)
    old = os.path.normpath(os.path.join(before, below))
    if not os.path.exists(old):
        raise UsageError(f"--git: there is no {below} at {revision}")
    return named(old, os.path.abspath(before)), named(os.path.join(top, below), top)


def with_files(root: str, contents: Mapping[str, bytes], into: str) -> str:
    """A folder in ``into`` that is ``root`` but for the contents of some files; everything else are links.

    ``contents``: path relative to ``root`` → bytes. Returns the new folder, absolute.
    """
    made = {""}
    for path in contents:
        above = os.path.dirname(path)
        while above not in made:
            made.add(above)
            above = os.path.dirname(above)
    for folder in sorted(made):
        here, there = os.path.join(root, folder), os.path.join(into, folder)
        os.makedirs(there, exist_ok=True)
        for name in os.listdir(here):
            path = os.path.join(folder, name)
            if path not in made and path not in contents and name not in _LEFT_OUT:
                os.symlink(os.path.abspath(os.path.join(here, name)), os.path.join(there, name))
    for path, content in contents.items():
        with open(os.path.join(into, path), "wb") as file:
            file.write(content)
    return os.path.abspath(into)


def before_and_after(
    paths: Sequence[str], changes: Sequence[Change], written: bool, into: str
) -> tuple[Tree, Tree]:
    """The files of a run before and after it.

    Args:
        paths: what was migrated. changes: the files that changed.
        written: whether they are on disk as they became, or still as they were. into: an empty folder.
    """
    root = start(os.path.abspath(os.path.commonpath([_folder_of(path) for path in paths])))
    files = {_below(os.path.abspath(c.path), root): c for c in changes if c.path.endswith(".py")}
    contents = {path: change.old if written else change.new for path, change in files.items()}
    other = with_files(root, contents, into)
    beside = tuple(_below(file, root) for path in paths for file in _listed(os.path.abspath(path)))
    keys = {path: path for path in files}
    here, there = Tree(root, keys, beside), Tree(other, keys, beside)
    return (there, here) if written else (here, there)


def _folder_of(path: str) -> str:
    path = os.path.abspath(path)
    return path if os.path.isdir(path) else os.path.dirname(path)


def _listed(path: str) -> list[str]:
    return python_files(path) if os.path.isdir(path) else _beside(path)
