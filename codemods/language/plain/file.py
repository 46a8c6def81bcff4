"""A file while it is rewritten: its parts, one for each statement at its top, and the names in them.

A change of a part makes another text of it, so that only this text is parsed again; what the rules ask of the
whole file is counted by part.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field

from ...fresh_names import Taken
from ...trees import children
from . import scopes
from .lines import Text, first_line

SPELLED = ("loaded", "stored", "given")
"""What names are that do not stand in imports."""


@dataclass(frozen=True, eq=False)
class Part:
    """A statement at the top of the file, or several on one line.

    Attributes:
        text: its lines, the comments above it and the blank lines behind it.
        names: those in it. functions: those of the functions among the statements.
    """

    text: Text
    names: scopes.Names
    functions: tuple[str, ...]


@dataclass(frozen=True)
class Spellings:
    """How the file spells functions of libraries: those that make index tiles, those that multiply, folds,
    and operators with what they write.
    """

    grids: Set[str] = frozenset()
    products: Set[str] = frozenset()
    folds: Set[str] = frozenset()
    operators: Mapping[str, str] = field(default_factory=dict)


@dataclass
class File:
    """The parts of a file in their order.

    Attributes:
        unit: what the file indents by. taken: names that no function of it can get.
    """

    parts: list[Part]
    unit: str
    taken: Taken
    spellings: Spellings
    _counted: dict[str, Counter[object]] = field(default_factory=dict)

    @classmethod
    def of(cls, text: Text, unit: str, spellings: Spellings) -> File:
        """The file with this text."""
        file = cls([*_parts(text)], unit, scopes.all_names(text.tree), spellings)
        for part in file.parts:
            file._count(part, 1)
        return file

    def _count(self, part: Part, weight: int) -> None:
        for kind, names in vars(part.names).items():
            counter = self._counted.setdefault(kind, Counter())
            for name in names:
                counter[name] += weight

    def replace(self, index: int, new: Text, whole: bool = False) -> None:
        """Another text for one of the parts; it falls into parts as the file does, or stays ``whole``."""
        parts = [_part(new, 1, len(new.lines), new.tree.body)] if whole else [*_parts(new)]
        self._count(self.parts[index], -1)
        for part in parts:
            self._count(part, 1)
        self.parts[index : index + 1] = parts

    # -- names ----------------------------------------------------------------------------------------

    def is_builtin(self, name: str) -> bool:
        """Whether nothing in the file has the name of this function of Python's."""
        return not any(self._counted[kind][name] for kind in ("stored", "given", "aliased"))

    @property
    def imported(self) -> set[str]:
        """Names that imports bring, and that nothing else in the file gives a value."""
        found = {name for part in self.parts for name in part.names.importing}
        return {name for name in found if not self.is_stored(name)}

    def is_stored(self, name: str) -> bool:
        """Whether something in the file gets this name, other than by an import or a definition."""
        return bool(self._counted["stored"][name])

    def is_outside(self, index: int, outer: ast.FunctionDef, name: str, *kinds: str) -> bool:
        """Whether a name is one of some kinds of :class:`scopes.Names` outside of a function of a part."""
        part = self.parts[index]
        for kind in kinds:
            own = name in getattr(part.names, kind)
            if self._counted[kind][name] > own:
                return True
            if own and name in getattr(scopes.Names.of(_outside(part.text.tree, outer)), kind):
                return True
        return False

    def binds_above(self, index: int, name: str) -> bool:
        """Whether a part above has certainly bound a name."""
        return any(name in part.names.certain for part in self.parts[:index])

    def imports_only(self, name: str, code: str) -> bool:
        """Whether all imports of a name are the same, which :func:`ast.dump` writes as ``code``."""
        return self._counted["imported"][name, code] == self._counted["importing"][name]


def _outside(tree: ast.Module, outer: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a tree that are not in one of its functions."""
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        if node is not outer:
            yield node
            pending += children(node)


def _parts(text: Text) -> Iterator[Part]:
    """A text cut behind its statements."""
    body = text.tree.body
    lines = len(text.lines)
    starts = [*map(first_line, body[1:]), lines + 1]
    first, start, end = 0, 1, 0
    for number, (node, following) in enumerate(zip(body, starts, strict=True), 1):
        end = max(end, node.end_lineno or 0)
        if following <= end:
            continue  # the next statement shares its last line
        while end + 1 < following and not text.line(end + 1).strip():
            end += 1
        last = end if number < len(body) else lines
        yield _part(text, start, last, body[first:number])
        first, start = number, last + 1


def _part(text: Text, first: int, last: int, statements: Sequence[ast.stmt]) -> Part:
    whole = (first, last) == (1, len(text.lines))
    lines = text if whole else Text(tuple(text.between(first, last)))
    functions = tuple(node.name for node in statements if isinstance(node, ast.FunctionDef))
    return Part(lines, scopes.Names.in_all(statements), functions)
