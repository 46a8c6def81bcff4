"""A file while it is rewritten: its parts, one for each statement at its top, and the names in them.

A change of a part makes another text of it, so that only this text is parsed again; what the rules ask of the
whole file is counted by part.
"""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from ...fresh_names import Taken
from ...record import cached_property, record
from ...trees import children
from . import scopes
from .lines import Text, first_line
from .spellings import Spellings

SPELLED = ("loaded", "stored", "given")
"""What names are that do not stand in imports."""
ANY = (*SPELLED, "aliased")


@record
class Part:
    """A statement at the top of the file, or several on one line.

    Attributes:
        text: its lines, the comments above it and the blank lines behind it.
        statements: the same, as they stood when the file was cut.
    """

    text: Text
    statements: Sequence[ast.stmt]

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    @cached_property
    def names(self) -> scopes.Names:
        """The names in it."""
        return scopes.Names.in_all(self.statements)

    @cached_property
    def functions(self) -> tuple[str, ...]:
        """Those of the functions among the statements."""
        return tuple(node.name for node in self.statements if isinstance(node, ast.FunctionDef))

    @cached_property
    def defined(self) -> frozenset[str]:
        """The same, and those of the functions in other statements than functions."""
        pending, found = [*self.statements], set[str]()
        while pending:
            node = pending.pop()
            if isinstance(node, ast.FunctionDef):
                found.add(node.name)
            else:
                pending += (n for n in children(node) if isinstance(n, ast.stmt))
        return frozenset(found)


@record(frozen=False)
class File:
    """The parts of a file in their order.

    Attributes:
        unit: what the file indents by. spellings: how it spells functions of libraries.
    """

    parts: list[Part]
    unit: str
    spellings: Spellings

    @classmethod
    def of(cls, text: Text, unit: str, spellings: Spellings) -> File:
        """The file with this text."""
        return cls([*_parts(text)], unit, spellings)

    @cached_property
    def _counted(self) -> dict[str, Counter[object]]:
        """In how many parts each name is."""
        found: dict[str, Counter[object]] = defaultdict(Counter)
        for part in self.parts:
            _count(found, part, 1)
        return found

    def replace(self, index: int, new: Text, whole: bool = False) -> None:
        """Another text for one of the parts; it falls into parts as the file does, or stays ``whole``."""
        parts = [_part(new, 1, len(new.lines), new.tree.body)] if whole else [*_parts(new)]
        if "_counted" in vars(self):
            _count(self._counted, self.parts[index], -1)
            for part in parts:
                _count(self._counted, part, 1)
        self.parts[index : index + 1] = parts

    # -- names ----------------------------------------------------------------------------------------

    @cached_property
    def taken(self) -> Taken:
        """Names that no function of the file can get."""
        return Taken(name for kind in ANY for name in self._counted[kind] if isinstance(name, str))

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
        return any(name in part.names.certain for part in islice(self.parts, index))

    def imports_only(self, name: str, code: str) -> bool:
        """Whether all imports of a name are the same, which :func:`ast.dump` writes as ``code``."""
        return self._counted["imported"][name, code] == self._counted["importing"][name]


def _count(counted: Mapping[str, Counter[object]], part: Part, weight: int) -> None:
    for kind in scopes.Names.__match_args__:
        for name in getattr(part.names, kind):
            counted[kind][name] += weight


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
    return Part(text if whole else Text(tuple(text.between(first, last))), statements)
