"""What the translation says of the plainer file, said of the file as it is written."""

from __future__ import annotations

import ast
from bisect import bisect_left
from collections.abc import Iterable, Sequence

from ...analysis.context import FileContext
from ...edit.apply import apply
from ...model import AddImport, Edit, Move, ReplaceLines
from ...record import replace
from ...source import Source, split_lines
from ..changed import changed
from ..reasons import Change, Reason, Work
from .lines import Text

CODE = "NKL402"


def plainer_context(ctx: FileContext, text: Text) -> FileContext:
    """The plainer file as a file of its own, at the same place."""
    source = Source.decode(ctx.source.encode(text.code))
    return FileContext(
        ctx.path, source, ast.parse(source.text), ctx.release, ctx.name, ctx.package, pinned=ctx.pinned
    )


def back(ctx: FileContext, plain: FileContext, text: Text, work: Work) -> Work:
    """The work on the plainer file as work on the file."""
    places = _Places(ctx, plain, text)
    reasons = tuple(places.reason(reason) for reason in work.reasons)
    notes = tuple(places.reason(reason) for reason in work.notes)
    left = tuple(places.reason(reason) for reason in work.left)
    if reasons:
        return replace(work, changes=(), reasons=reasons, notes=notes, left=left)
    above, below = _parted(work.changes, _common(ctx.source.utf8, plain.source.utf8))
    new = apply(plain.source, below)
    changes = _changes(
        places, work.changes, above, changed(ctx.source, ctx.source.lines, split_lines(new), 1)
    )
    return replace(work, changes=changes, reasons=reasons, notes=notes, left=left)


def _common(one: bytes, two: bytes) -> int:
    """Up to which line's start two files are the same."""
    end = next((i for i, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two)))
    return one.rfind(b"\n", 0, end) + 1


def _parted(changes: Sequence[Change], common: int) -> tuple[set[Edit], list[Edit]]:
    """Edits that are the same for both files, as they are above all that differs; and the others."""
    edits = [edit for change in changes for edit in change.edits]
    above = {e for e in edits if isinstance(e, AddImport) or (e.span[0] < common and e.span[1] <= common)}
    below = [edit for edit in edits if edit not in above]
    if any(isinstance(edit, Move) for edit in edits) or any(
        not isinstance(edit, AddImport) and edit.span[0] < common for edit in below
    ):
        return set(), edits  # something reaches from one part into the other
    return above, below


class _Places:
    """Nodes of the plainer file → nodes of the file, by the lines that they come from."""

    def __init__(self, ctx: FileContext, plain: FileContext, text: Text) -> None:
        self._ctx, self._plain, self._text = ctx, plain, text
        self._nodes: dict[tuple[type, int, int], ast.AST] = {}
        self._functions: dict[int, ast.AST] = {}
        for node in ctx.module.nodes:
            if isinstance(node, ast.FunctionDef):  # it may have another name and another indentation
                self._functions[node.lineno] = node
            if isinstance(node, ast.expr | ast.stmt | ast.arg | ast.alias | ast.keyword):
                self._nodes.setdefault((type(node), node.lineno, node.col_offset), node)

    def reason(self, reason: Reason) -> Reason:
        return replace(reason, node=self.node(reason.node))

    def node(self, node: ast.AST) -> ast.AST:
        """The node that it comes from; one that stands for the line where there is none."""
        if not hasattr(node, "lineno"):
            return node
        line = self._text.origin(node.lineno)
        written = self._ctx.source.lines[line - 1]
        segment = self._plain.segment(node).partition("\n")[0]
        column = len(written[: max(written.find(segment), 0)].encode())
        known = self._nodes.get((type(node), line, column))
        if known is None and isinstance(node, ast.FunctionDef):
            known = self._functions.get(line)
        if known is not None:
            return known
        column = len(written) - len(written.lstrip())
        return ast.Pass(lineno=line, col_offset=column, end_lineno=line, end_col_offset=len(written.encode()))

    def numbers(self, edit: ReplaceLines) -> range:
        """The numbers of the lines that an edit replaces."""
        first, behind = (bisect_left(self._ctx.source.line_starts, offset) + 1 for offset in edit.span)
        return range(first, behind)

    def lines(self, numbers: range) -> ast.stmt:
        """What stands for whole lines; for the one before which lines are put when there are none."""
        written = self._ctx.source.lines
        first = min(numbers.start, len(written))
        last = max(first, min(numbers.stop - 1, len(written)))
        end = len(written[last - 1].encode())
        return ast.Pass(lineno=first, col_offset=0, end_lineno=last, end_col_offset=end)


def _changes(
    places: _Places,
    changes: Sequence[Change],
    above: set[Edit],
    edits: Iterable[ReplaceLines],
) -> tuple[Change, ...]:
    """Each change with the edits at its place. An edit that has several shares them, and one that has none is
    a change of its own; a change that has none is a part of another.
    """
    moved = [replace(change, node=places.node(change.node), edits=()) for change in changes]
    given: list[list[Edit]] = [[edit for edit in change.edits if edit in above] for change in changes]
    waiting = sorted(range(len(moved)), key=lambda i: -_extent(moved[i])[0])
    near: list[int] = []  # changes that start above the present lines and do not end above them
    for edit in edits:
        lines = places.numbers(edit)
        while waiting and _extent(moved[waiting[-1]])[0] <= max(lines.start, lines.stop - 1):
            near.append(waiting.pop())
        near = sorted(i for i in near if lines.start <= _extent(moved[i])[1])
        for owner in near:
            given[owner].append(edit)
        extents = [_extent(moved[i]) for i in near]
        if not near or not all(any(first <= n <= last for first, last in extents) for n in lines):
            near.append(len(moved))
            moved.append(
                Change(places.lines(lines), CODE, "this stands in another place now, or is not needed", ())
            )
            given.append([edit])
    return tuple(replace(c, edits=tuple(own)) for c, own in zip(moved, given, strict=True) if own)


def _extent(change: Change) -> tuple[int, int]:
    """The numbers of the first and the last line of what a change is about."""
    return getattr(change.node, "lineno", 0), getattr(change.node, "end_lineno", 0) or 0
