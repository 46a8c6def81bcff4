"""One file's edits carried out together."""

from __future__ import annotations

import ast
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import accumulate

from ..model import (
    AddImport,
    Edit,
    EditImport,
    InsertBefore,
    KeepBody,
    Move,
    RemoveStatement,
    ReplaceCode,
    ReplaceLines,
    ReplaceText,
)
from ..source import Source
from .locate import Place, locate, parse
from .refusal import EditRefused as EditRefused
from .render import import_splices, removed_statements, rendered, unmoved
from .splices import Splice, ordered, splice
from .statements import code_replaced, inserted, lines_replaced, moved, taken_away
from .toplevel import additions
from .tries import collapsed, in_dropped_arm, kept
from .units import Unit, all_inside, units


def apply(source: Source, edits: Iterable[Edit], tree: ast.Module | None = None) -> str:
    """The file's text with all edits carried out; what they do not name stays as it is, byte for byte.

    Args:
        source: the file.
        edits: in any order; equal ones count once. AddImport sees the result of the others.
        tree: ``ast.parse(source.text)``, if the caller has it.

    Raises:
        EditRefused: one of the edits cannot be carried out exactly, contradicts another, or does not leave
            Python code behind. Nothing is done then.
    """
    wanted = tuple(dict.fromkeys(edits))
    if not wanted:
        return source.text
    try:
        return _applied(source, wanted, tree or _parsed(source, wanted[0]))
    except RecursionError as error:
        raise EditRefused(wanted[0], "the code is nested too deeply") from error


def _applied(source: Source, wanted: Sequence[Edit], tree: ast.Module) -> str:
    placed = [edit for edit in wanted if not isinstance(edit, AddImport)]
    source, tree = _spliced(source, tree, _splices(source, tree, placed))
    imports = [edit for edit in wanted if isinstance(edit, AddImport)]
    return _spliced(source, tree, additions(source, tree, imports))[0].text


def _parsed(source: Source, edit: Edit) -> ast.Module:
    try:
        return parse(source.text)
    except SyntaxError as error:
        raise EditRefused(edit, f"the file does not parse: {error}") from error


def _splices(source: Source, tree: ast.Module, edits: Sequence[Edit]) -> list[Splice]:
    """What the edits come to, each statement that loses its ``except`` arms as one splice."""
    direct = [lines_replaced(source, edit) for edit in edits if isinstance(edit, ReplaceLines)]
    direct += [code_replaced(source, edit) for edit in edits if isinstance(edit, ReplaceCode)]
    rest = [edit for edit in edits if not isinstance(edit, ReplaceLines | ReplaceCode)]
    places = [(edit, _place(source, tree, edit)) for edit in rest]
    tries = [(edit, kept(source, place, edit)) for edit, place in places if isinstance(edit, KeepBody)]
    nodes = [node for _, node in tries]
    inside = [(edit, place) for edit, place in places if not in_dropped_arm(place, nodes)]
    return [*collapsed(source, list(_single(source, tree, inside)), tries), *direct]


def _place(source: Source, tree: ast.Module, edit: Edit) -> Place:
    if isinstance(edit, ReplaceText | AddImport):
        raise EditRefused(edit, "the file is Python")
    return locate(source, tree, edit.span)


def _single(source: Source, tree: ast.Module, placed: Sequence[tuple[Edit, Place]]) -> Iterator[Splice]:
    apart = (InsertBefore, RemoveStatement, KeepBody)
    outermost = units(source, [pair for pair in placed if not isinstance(pair[0], apart)])
    yield from _moved(source, tree, outermost)
    for edit, place in placed:
        if isinstance(edit, InsertBefore):
            yield inserted(source, tree, place, edit)
        elif isinstance(edit, RemoveStatement):
            yield taken_away(source, place, edit)
    going = removed_statements(outermost)
    for unit in outermost:
        if any(isinstance(edit, EditImport) for edit in unit.edits):
            yield from import_splices(source, unit, going)
        else:
            yield Splice(unit.span, rendered(source, unit), unit.edits[0])


def _moved(source: Source, tree: ast.Module, outermost: Sequence[Unit]) -> Iterator[Splice]:
    """The lines that moved expressions get, which come before all other new lines."""
    for unit in (part for outer in outermost for part in (outer, *all_inside(outer))):
        for edit in unit.edits:
            if isinstance(edit, Move):
                yield moved(source, tree, edit, unmoved(source, unit).decode("utf-8"))


def _spliced(source: Source, tree: ast.Module, splices: Sequence[Splice]) -> tuple[Source, ast.Module]:
    """The new text and its syntax tree."""
    if not splices:
        return source, tree
    changes = ordered(splices)
    utf8 = splice(source.utf8, (0, len(source.utf8)), changes)
    new = replace(source, text=utf8.decode("utf-8"), utf8=utf8)
    try:
        return new, parse(new.text)
    except SyntaxError as error:
        raise EditRefused(_blamed(new, changes, error), f"the result does not parse: {error}") from error


def _blamed(new: Source, changes: Sequence[Splice], error: SyntaxError) -> Edit:
    """The last edit that starts on the error's line or before."""
    growth = accumulate(len(change.new) - (change.span[1] - change.span[0]) for change in changes)
    starts = [change.span[0] + grown for change, grown in zip(changes, [0, *growth], strict=False)]
    end = (*new.line_starts[1:], len(new.utf8) + 1)[min(error.lineno or 1, len(new.line_starts)) - 1]
    return changes[max(0, bisect_left(starts, end) - 1)].edit
