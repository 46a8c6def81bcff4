"""Dotted module names of the user's files, from the folders alone (nothing is imported)."""

from __future__ import annotations

import os
from functools import cache

_FOLDERS = 8  # how many of them are looked at: more than anybody's packages have


@cache
def _is_package(folder: str) -> bool:
    return os.path.exists(os.path.join(folder, "__init__.py"))


def module_name(path: str, roots: tuple[str, ...]) -> tuple[str, bool]:
    """``(dotted name, is a package's __init__)`` of a Python file.

    The name starts at the topmost folder that is a package. A file in no package is named from the nearest
    ``src`` or folder of a project around it, else from the given root that it lies under: with that on the
    path it is importable.
    """
    full = os.path.abspath(path)
    folder, file = os.path.split(full)
    stem = file.rpartition(".")[0]
    parts = [] if stem == "__init__" else [stem]
    while _is_package(folder):
        folder, last = os.path.split(folder)
        parts.append(last)
    if len(parts) <= 1 and stem != "__init__":
        parts = [stem, *reversed(_below(folder, roots))]
    return ".".join(reversed(parts)), stem == "__init__"


def _below(folder: str, roots: tuple[str, ...]) -> list[str]:
    """Folder names from where names start, the longest given root at most, down to ``folder``."""
    holding = [r for r in roots if folder == r or folder.startswith(r.rstrip(os.sep) + os.sep)]
    if not holding:
        return []
    root, names = max(holding, key=len), []
    while folder != root and not _starts_names(folder):
        folder, last = os.path.split(folder)
        names.append(last)
    return names[::-1]


@cache
def _starts_names(folder: str) -> bool:
    """Whether the modules of a project are named from this folder."""
    return os.path.basename(folder) == "src" or any(
        os.path.exists(os.path.join(folder, file)) for file in ("pyproject.toml", "setup.py", "setup.cfg")
    )


def climbed(path: str, module: str, package: bool) -> str:
    """The folder that must be on the path for a file to be this module, absolute."""
    folder = os.path.dirname(os.path.abspath(path))
    for _ in range(module.count(".") + package):
        folder = os.path.dirname(folder)
    return folder


def prefixes(path: str, module: str, package: bool) -> tuple[str, ...]:
    """What may stand before a module's name where it is imported: nothing, or the folders around its package.

    A folder without ``__init__.py`` is a package, too, when something above it is on the path.
    """
    return _above(climbed(path, module, package)) if module else ("",)


@cache
def _above(folder: str) -> tuple[str, ...]:
    """Nothing, and the names of a folder and of those around it, as far as they are names."""
    found = [""]
    while len(found) <= _FOLDERS and os.path.basename(folder).isidentifier():
        folder, name = os.path.split(folder)
        found.append(f"{name}.{found[-1]}")
    return tuple(found)
