"""Edits grouped by the piece of code that they replace, one inside the other."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ..model import Edit, EditCall, EditImport, Move, Rename, ReplaceStatement, ReplaceString, Span, Wrap
from ..source import Source
from .calls import dropped_spans, renames_again
from .imports import written
from .locate import Place
from .refusal import EditRefused
from .targets import target


@dataclass(slots=True)
class Unit:
    """All edits of one range, and the units inside it."""

    span: Span
    node: ast.AST
    place: Place
    edits: list[Edit] = field(default_factory=list)
    inner: list[Unit] = field(default_factory=list)


def units(source: Source, placed: Iterable[tuple[Edit, Place]]) -> list[Unit]:
    """The outermost units in the order of the file.

    Raises:
        EditRefused: an edit does not fit its place, or two contradict each other.
    """
    by_span: dict[Span, Unit] = {}
    for edit, place in placed:
        span, node = target(source, place, edit)
        by_span.setdefault(span, Unit(span, node, place)).edits.append(edit)
    outermost = _nested(sorted(by_span.values(), key=lambda unit: (unit.span[0], -unit.span[1])))
    for unit in by_span.values():
        _check_one(unit)
        _check_inner(source, unit)
    return outermost


def _nested(ordered: Iterable[Unit]) -> list[Unit]:
    outermost: list[Unit] = []
    around: list[Unit] = []
    for unit in ordered:
        while around and around[-1].span[1] <= unit.span[0]:
            around.pop()
        if around and around[-1].span[1] < unit.span[1]:
            _refuse(unit.edits[0], around[-1].edits[0])
        (around[-1].inner if around else outermost).append(unit)
        around.append(unit)
    return outermost


def _check_one(unit: Unit) -> None:
    """Several edits of a kind only on calls, imports and f-strings; none next to a replacement."""
    for kind in (Rename, Wrap, Move, ReplaceStatement, ReplaceString):
        same = [edit for edit in unit.edits if isinstance(edit, kind)]
        if len(same) > 1 and not (kind is ReplaceString and isinstance(unit.node, ast.JoinedStr)):
            _refuse(same[1], same[0])
    for edit in unit.edits:
        others = [other for other in unit.edits if other is not edit]
        if _replaces(edit) and others:
            _refuse(others[0], edit)


def _check_inner(source: Source, unit: Unit) -> None:
    """Nothing inside may be edited in vain."""
    gone = _gone(source, unit)
    parts = [part for edit in unit.edits if isinstance(edit, Wrap) for part in edit.parts]
    for inner in all_inside(unit):
        if any(start <= inner.span[0] and inner.span[1] <= end for start, end in parts):
            continue
        for edit, span in gone:
            if span[0] <= inner.span[0] and inner.span[1] <= span[1]:
                _refuse(inner.edits[0], edit)
    for inner in unit.inner:
        for edit in inner.edits:
            if _renamed_otherwise(unit, inner.node, edit):
                _refuse(edit, unit.edits[0])


def _renamed_otherwise(unit: Unit, node: ast.AST, edit: Edit) -> bool:
    """Whether a keyword of the unit's call is renamed alone, and by the call's edits to something else."""
    own = isinstance(unit.node, ast.Call) and node in unit.node.keywords
    return own and isinstance(edit, Rename) and renames_again(edit, unit.edits) is False


def _gone(source: Source, unit: Unit) -> list[tuple[Edit, Span]]:
    """What the unit's edits take away, by edit."""
    gone: list[tuple[Edit, Span]] = [(edit, unit.span) for edit in unit.edits if _replaces(edit)]
    for edit in unit.edits:
        if isinstance(edit, EditCall) and isinstance(unit.node, ast.Call):
            gone += [(edit, span) for span in dropped_spans(edit, source, unit.node)]
        if isinstance(edit, EditImport) and isinstance(unit.node, ast.Import | ast.ImportFrom):
            named = {old for old, _ in edit.names}
            gone += [(edit, source.span(alias)) for alias in unit.node.names if written(alias) in named]
            gone += [(edit, (unit.span[0], source.span(unit.node.names[0])[0]))] if edit.module else []
    return gone


def _replaces(edit: Edit) -> bool:
    return isinstance(edit, ReplaceStatement) or (isinstance(edit, Wrap) and "{}" not in edit.template)


def all_inside(unit: Unit) -> Iterator[Unit]:
    """All units in a unit, at any depth."""
    for inner in unit.inner:
        yield inner
        yield from all_inside(inner)


def _refuse(edit: Edit, other: Edit) -> None:
    raise EditRefused(edit, f"it contradicts another edit: {other}")
