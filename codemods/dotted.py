"""Dotted paths in strings and configuration: what ``package.module.symbol`` became in the new release."""

from __future__ import annotations

from collections.abc import Iterator

from .record import record
from .release import Release


@record
class Path:
    """What becomes of a path that is affected.

    Attributes:
        new: its new spelling; empty when a person has to decide.
        step: what that person does.
        moved: whether what it names is in another module now, which matters to those who replace it there.
    """

    new: str
    step: str = ""
    moved: bool = False


def resolve(release: Release, text: str) -> Path | None:
    """What becomes of ``package.module``, ``package.module.symbol`` or ``package.module:symbol``.

    None when the text is nothing of the library, is unchanged, or is not known under the library's own root.
    """
    dotted = text.replace(":", ".")
    old = release.canonical(dotted)
    if not _within(old, release.root):
        return None
    gone = next((release.removed[p] for p in prefixes(old) if p in release.removed), "")
    if gone:
        return Path("", gone)
    new = successor(release, old)
    if new is None or (new == old and not _exists(release, old)):
        return Path("", _unknown(release, old)) if new is None or old != dotted else None
    if new == dotted:
        return None
    home = release.moved(old.rpartition(".")[0])
    return Path(_colon(text, new), moved=new.rpartition(".")[0] != home)


def prefixes(dotted: str) -> Iterator[str]:
    """The path itself and all that it starts with, longest first."""
    while dotted:
        yield dotted
        dotted = dotted.rpartition(".")[0]


def successor(release: Release, old: str) -> str | None:
    """The new spelling of a path under the library's own root; None when what it names is gone from there."""
    for prefix in prefixes(old):
        rest = old[len(prefix) :]
        if prefix in release.types:
            return prefix + _renamed_attribute(release, prefix, rest)
        new = _renamed(release, prefix)
        if new:
            return new + rest
        if prefix in release.modules or prefix in release.wrong_modules or prefix in release.known:
            return None if _lost(release, prefix, rest) else release.moved(prefix) + rest
    return release.moved(old)


def _renamed(release: Release, name: str) -> str:
    """The new name of a symbol, in the module through which it is reached when that still has it."""
    home = release.packaged_in(name) or name
    if home in release.new_symbol:
        return release.new_symbol[home]
    if home != name:
        return home
    new = release.new_symbol.get(release.defining(name), "")
    return f"{release.moved(name.rpartition('.')[0])}.{new.rpartition('.')[2]}" if new else ""


def _renamed_attribute(release: Release, owner: str, rest: str) -> str:
    first, _, more = rest[1:].partition(".")
    new = release.types[owner].attributes.get(first, first)
    return rest and f".{new}" + (f".{more}" if more else "")


def _lost(release: Release, module: str, rest: str) -> bool:
    """Whether a name that the old module had is no longer in the new one."""
    name = rest[1:].partition(".")[0]
    new = release.new_stars.get(release.moved(module))
    return bool(name) and new is not None and name in release.stars.get(module, ()) and name not in new


def _exists(release: Release, old: str) -> bool:
    """Whether the path leads into a module of either release, or is a package of one."""
    if not release.known:
        return True
    return any(p in release.known for p in prefixes(old)) or any(
        k.startswith(old + ".") for k in release.known
    )


def _unknown(release: Release, old: str) -> str:
    module, _, name = old.rpartition(".")
    if module in release.known:
        return f"`{module}` has no `{name}` in {release.new}; name what takes its place, or drop this."
    return f"No release has `{old}`; write the path that you mean under `{release.root}`."


def _within(name: str, root: str) -> bool:
    return name == root or name.startswith(root + ".")


def _colon(text: str, new: str) -> str:
    """``new`` with a colon where ``text`` has one: before as many parts."""
    _, colon, symbol = text.partition(":")
    if not colon:
        return new
    parts = new.split(".")
    count = symbol.count(".") + 1
    return ".".join(parts[:-count]) + ":" + ".".join(parts[-count:])
