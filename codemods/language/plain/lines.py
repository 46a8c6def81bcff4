"""The lines of a file while they are rewritten, each with the line of the file that it comes from."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence

from ...record import cached_property, record
from ...source import split_lines
from ...trees import walk

Line = tuple[str, int]
"""A line's text without its newline, and the 1-based number of the line that it comes from."""
Edit = tuple[int, int, Sequence[Line]]
"""Lines that come in the place of others: see :meth:`Text.replaced`."""


@record
class Text:
    """A state of the file; every change makes another one."""

    lines: tuple[Line, ...]
    parsed: ast.Module | None = None

    @classmethod
    def of(cls, code: str, parsed: ast.Module | None = None) -> Text:
        """``parsed``: what it gives, where that is known."""
        return cls(tuple((line, number) for number, line in enumerate(split_lines(code), 1)), parsed)

    @cached_property
    def code(self) -> str:
        return "".join(f"{line}\n" for line, _ in self.lines)

    @cached_property
    def tree(self) -> ast.Module:
        return self.parsed or ast.parse(self.code)

    def line(self, number: int) -> str:
        return self.lines[number - 1][0]

    def origin(self, number: int) -> int:
        return self.lines[number - 1][1]

    def indentation(self, node: ast.stmt) -> str:
        """The blanks before a statement; more than that when it shares its line."""
        return self.line(node.lineno)[: node.col_offset]

    def between(self, first: int, last: int) -> list[Line]:
        return list(self.lines[first - 1 : last])

    def replaced(self, first: int, last: int, new: Sequence[Line]) -> Text:
        """With other lines in the place of these; ``last`` = ``first`` - 1 inserts before ``first``."""
        return Text((*self.lines[: first - 1], *new, *self.lines[last:]))

    def edited(self, edits: Iterable[Edit]) -> Text:
        """With several edits; without those that touch a line that one before them touches."""
        touched: set[int] = set()
        kept: list[Edit] = []
        for first, last, new in edits:
            lines = range(first, max(first, last) + 1)
            if touched.isdisjoint(lines):
                touched.update(lines)
                kept.append((first, last, new))
        found: list[Line] = []
        behind = 0
        for first, last, new in sorted(kept, key=lambda edit: edit[0]):
            found += [*self.lines[behind : first - 1], *new]
            behind = last
        return Text((*found, *self.lines[behind:]))

    def with_code(
        self, first: int, last: int, codes: Mapping[ast.expr | ast.keyword, str], bare: bool = False
    ) -> list[Line]:
        """Lines with other code in the place of nodes, none of which lies in another; ``bare``: and of
        parentheses that only such a node is in.
        """
        found = self.between(first, last)
        for node in sorted(codes, key=lambda node: (node.lineno, node.col_offset), reverse=True):
            start, end = node.lineno - first, (node.end_lineno or node.lineno) - first
            head = found[start][0].encode()[: node.col_offset].decode()
            tail = found[end][0].encode()[node.end_col_offset :].decode()
            if bare and head.endswith(" (") and tail.startswith(")"):
                head, tail = head[:-1], tail[1:]
            found[start : end + 1] = [(head + codes[node] + tail, found[start][1])]
        return found

    def above(self, number: int) -> int:
        """The first of the comment lines right above a line, which are about it; or its own number."""
        indent = len(self.line(number)) - len(self.line(number).lstrip())
        while number > 1:
            before = self.line(number - 1)
            if not before.strip().startswith("#") or len(before) - len(before.lstrip()) != indent:
                break
            number -= 1
        return number

    def stand_in(self, node: ast.stmt) -> list[Line]:
        """What stays where a statement goes: nothing, or ``pass`` when it is all that its block has."""
        place = (node.lineno, node.col_offset)
        for owner in walk(self.tree):
            for _, block in ast.iter_fields(owner):
                alone = isinstance(block, list) and len(block) == 1 and isinstance(block[0], ast.stmt)
                if alone and (block[0].lineno, block[0].col_offset) == place:
                    return [(f"{self.indentation(node)}pass", self.origin(node.lineno))]
        return []

    def segment(self, node: ast.expr | ast.stmt) -> str:
        """The code of a node as it is written."""
        last = node.end_lineno or node.lineno
        raw = "\n".join(line for line, _ in self.between(node.lineno, last)).encode()
        behind = len(self.line(last).encode()) - (node.end_col_offset or 0)
        return raw[node.col_offset : len(raw) - behind].decode()


def moved(lines: Iterable[tuple[int, Line]], old: str, new: str, still: frozenset[int]) -> list[Line]:
    """Numbered lines taken from one indentation to another; those numbered ``still`` stay as they are."""
    return [
        (new + line.removeprefix(old) if line.strip() and number not in still else line, origin)
        for number, (line, origin) in lines
    ]


def first_line(node: ast.stmt) -> int:
    """The number of a statement's first line, decorators included."""
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(d.lineno for d in decorators)])


def in_strings(node: ast.FunctionDef | ast.Assign) -> frozenset[int]:
    """Numbers of lines of a statement that begin inside of a string, other than a function's docstring."""
    first = node.body[0] if isinstance(node, ast.FunctionDef) else node
    docstring = first.value if isinstance(first, ast.Expr) else None
    return frozenset(
        number
        for inner in walk(node)
        if isinstance(inner, ast.JoinedStr)
        or (isinstance(inner, ast.Constant) and isinstance(inner.value, str))
        if inner is not docstring
        for number in range(inner.lineno + 1, (inner.end_lineno or 0) + 1)
    )


def spliced(line: str, pieces: Sequence[tuple[int, int, str]]) -> str:
    """A line with other text at some places, given in bytes."""
    raw = line.encode()
    for start, end, new in sorted(pieces, reverse=True):
        raw = raw[:start] + new.encode() + raw[end:]
    return raw.decode()
