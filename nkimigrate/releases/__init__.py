"""The release tables that ship with nkimigrate, one TOML file for one step:
``<product>_<from>_to_<to>.toml``.

Those of the library say which steps there are; those of the language accompany them.
"""

from __future__ import annotations

import os
from functools import cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..codemods.language.step import LanguageStep
    from ..codemods.release import Release

_LIBRARY, _LANGUAGE = "nkilib", "nki"


class UnknownStep(Exception):
    """No chain of tables leads from one release to the other; the text says which ones there are."""


@cache
def _files(product: str = _LIBRARY) -> dict[tuple[str, str], str]:
    """(from, to) → path of the table."""
    folder = os.path.dirname(__file__)
    found = {}
    for name in sorted(os.listdir(folder)):
        step, _, kind = name.partition(".")
        if kind == "toml" and step.startswith(f"{product}_"):
            old, _, new = step.removeprefix(f"{product}_").partition("_to_")
            found[old.replace("_", "."), new.replace("_", ".")] = os.path.join(folder, name)
    return found


def steps() -> list[tuple[str, str]]:
    """All steps there are tables for, oldest first."""
    from packaging.version import Version

    return sorted(_files(), key=lambda step: tuple(map(Version, step)))


def path_between(old: str, new: str) -> list[tuple[str, str]]:
    """The steps that lead from one release to another; raises :class:`UnknownStep`."""
    if (old, new) in _files():
        return [(old, new)]
    from packaging.version import InvalidVersion, Version

    try:
        at, goal = Version(old), Version(new)
    except InvalidVersion as error:
        raise UnknownStep(f"not a release number: {error}") from None
    chosen: list[tuple[str, str]] = []
    while at < goal:
        onward = [s for s in steps() if Version(s[0]) == at and Version(s[1]) <= goal]
        if not onward:
            break
        chosen.append(max(onward, key=lambda s: Version(s[1])))
        at = Version(chosen[-1][1])
    if at != goal or not chosen:
        known = ", ".join(f"{a} → {b}" for a, b in steps())
        raise UnknownStep(f"no release tables lead from {old} to {new}; known steps: {known}")
    return chosen


_OWN = "table"
"""In the place of a release: what follows is the text of a team's own table."""


class BadTable(Exception):
    """A team's table that cannot be used; the text says why."""


def own_step(path: str) -> tuple[str, str]:
    """A team's own table as a step: its text goes wherever the step goes. Raises :class:`BadTable`."""
    from ..reading import Unreadable, read

    try:
        return _OWN, read(path).decode("utf-8")
    except Unreadable as error:
        raise BadTable(error.message) from None
    except UnicodeError as error:
        raise BadTable(f"not TOML: {error}") from None


@cache
def load(old: str, new: str) -> Release:
    """The library's table of one step, or a team's own: ``load(*own_step(path))``.

    Raises :class:`BadTable` for the latter only.
    """
    from ..codemods.release import Release

    if old != _OWN:
        return Release.from_dict(_table(_files()[old, new]))
    try:
        return Release.from_dict(_parsed(new))
    except (ValueError, RecursionError) as error:  # TOML's errors are such
        raise BadTable(f"not TOML: {error}") from None
    except KeyError as error:
        raise BadTable(f"lacks the entry {error}; docs/releases.md describes them") from None
    except (TypeError, AttributeError) as error:
        raise BadTable(f"has an entry of another kind than docs/releases.md says: {error}") from None


@cache
def load_language(old: str, new: str) -> LanguageStep | None:
    """The language's table of one step; None when the language stays as it is."""
    path = _files(_LANGUAGE).get((old, new))
    if path is None:
        return None
    from ..codemods.language.step import LanguageStep

    return LanguageStep.from_dict(_table(path))


def _table(path: str) -> dict[str, Any]:
    with open(path, "rb") as file:
        text = file.read()
    return _built(path, text) or _parsed(text.decode("utf-8"))


def _built(path: str, text: bytes) -> dict[str, Any] | None:
    """What the build of the package wrote down of this very text (see :mod:`.build`), if it did."""
    import marshal

    try:
        with open(f"{path.removesuffix('.toml')}.built", "rb") as file:
            known, table = marshal.loads(file.read())
    except (OSError, ValueError, EOFError, TypeError):
        return None
    return dict(table) if known == text else None


def _parsed(text: str) -> dict[str, Any]:
    import sys

    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    table: dict[str, Any] = tomllib.loads(text)
    return table
