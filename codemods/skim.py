"""A quick look at files that nothing can be found in.

The compiler's package is in the code of every kernel, while only some of its modules have a home in the
library. A file that names none of those, and not the library, is affected only through what other files
export. It is parsed, so that a broken file is reported, and asked for its imports, but its names are not
resolved.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

from .patterns import pattern
from .record import cached_property
from .release import Release

# A whole string, or a part of a formatted one.
_TEXT = pattern(r"""['"}](?:[\w.-]{1,80} ?= ?)?([A-Za-z_]\w*(?:[.:][A-Za-z_]\w*)+)['"{]""")
_PARTS = ("body", "orelse", "finalbody", "handlers", "cases")


class Signs:
    """What a file must spell to be affected on its own."""

    def __init__(self, release: Release) -> None:
        self._release = release
        self._roots = [root.encode() for root in (release.root, *release.legacy_roots)]

    @cached_property
    def _kernels(self) -> list[str]:
        """Private kernels by their paths; not needed where every file spells the library."""
        return [name for entry in self._release.private if not entry.helper for name in entry.old]

    @cached_property
    def _packages(self) -> tuple[list[bytes], re.Pattern[bytes]]:
        """What the packages of private kernels are called, and one such name by itself."""
        homes = {name.rpartition(".")[0] for name in self._kernels} | {*self._release.private_packages}
        outermost = {home.rpartition(".")[2] for home in homes if not _inside(home, homes)}
        words = [word.encode() for word in sorted(outermost)]
        return words, re.compile(rb"\b(?:%s)\b" % b"|".join(map(re.escape, words)))

    @cached_property
    def _names(self) -> frozenset[bytes]:
        return frozenset(name.rpartition(".")[2].encode() for name in self._kernels)

    def within(self, data: bytes) -> bool:
        """Whether ``data`` spells the library, a package of private kernels, or one's name as a string.

        What stands first is told by a search for a few words, which takes a tenth of the time of a pattern.
        """
        if self.library(data):
            return True
        words, alone = self._packages
        if any(word in data for word in words) and alone.search(data):
            return True
        between_quotes = data.replace(b"'", b'"').split(b'"')[1:-1]
        return not self._names.isdisjoint(between_quotes)

    def library(self, data: bytes) -> bool:
        """Whether ``data`` spells the library."""
        return any(root in data for root in self._roots)


def _inside(name: str, homes: Iterable[str]) -> bool:
    return any(name.startswith(f"{home}.") for home in homes)


def named(tree: ast.Module, text: str, module: str, package: bool) -> frozenset[str]:
    """Absolute dotted paths that a file imports (star imports as their module) or spells in strings."""
    found = {path.replace(":", ".") for path in _TEXT.findall(text)}
    for node in _imports(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
            continue
        base = _absolute(node, module, package)
        if base:
            found.update(base if alias.name == "*" else f"{base}.{alias.name}" for alias in node.names)
    return frozenset(found)


def _imports(tree: ast.Module) -> Iterator[ast.Import | ast.ImportFrom]:
    """The import statements, wherever they stand; expressions are not looked into."""
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        else:
            for part in _PARTS:
                pending += getattr(node, part, ())


def _absolute(node: ast.ImportFrom, module: str, package: bool) -> str:
    """The module that is imported from; "" when a relative import leaves the known packages."""
    if not node.level:
        return node.module or ""
    parts = module.split(".") if module else []
    kept = len(parts) - node.level + package
    return ".".join([*parts[:kept], *filter(None, [node.module])]) if parts and kept >= 0 else ""
