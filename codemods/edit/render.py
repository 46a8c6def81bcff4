"""The new code of a unit, from the inside out."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from ..model import EditCall, EditImport, Move, Rename, ReplaceStatement, ReplaceString, Span, Wrap
from ..source import Source
from . import calls, imports, statements
from .refusal import EditRefused
from .splices import Splice, splice
from .strings import replaced
from .units import Unit
from .wraps import apart, filled, placeholder, shares_parentheses, wrapped

_OPENING = re.compile(rb"(?:[\s\\)]|#[^\r\n]*(?=[\r\n]))*\(")


def rendered(source: Source, unit: Unit) -> bytes:
    """The code that comes in the place of the unit."""
    moves = [edit for edit in unit.edits if isinstance(edit, Move)]
    return apart(source.utf8, unit.span, moves[0].name).encode("utf-8") if moves else unmoved(source, unit)


def unmoved(source: Source, unit: Unit) -> bytes:
    """The code of the unit after all edits but Move."""
    inner = [Splice(child.span, rendered(source, child), child.edits[0]) for child in unit.inner]
    code = _changed(source, unit, inner)
    for edit in unit.edits:
        if isinstance(edit, Wrap):
            code = _wrapped(source, unit, edit, code.decode("utf-8"), inner).encode("utf-8")
    return code


def _wrapped(source: Source, unit: Unit, edit: Wrap, code: str, inner: Sequence[Splice]) -> str:
    if not edit.parts:
        return wrapped(source, unit.place, unit.node, edit, code)
    template = edit.template
    for index in range(len(edit.parts)):
        template = template.replace(f"{{{index}}}", placeholder(index))
    around = wrapped(source, unit.place, unit.node, replace(edit, template=template), code)
    return filled(edit, around, [_text(source, inner, part) for part in edit.parts])


def _changed(source: Source, unit: Unit, inner: Sequence[Splice]) -> bytes:
    """The code after all edits but Wrap."""
    cut = partial(splice, source.utf8, splices=inner)
    for edit in unit.edits:
        if isinstance(edit, Rename):
            return edit.new.encode("utf-8")
        if isinstance(edit, ReplaceStatement):
            return statements.replaced(source, unit.node, edit)
    if isinstance(unit.node, ast.Call):
        return _call(source, unit.node, [edit for edit in unit.edits if isinstance(edit, EditCall)], inner)
    if texts := [edit for edit in unit.edits if isinstance(edit, ReplaceString)]:
        return replaced(cut(unit.span).decode("utf-8"), texts).encode("utf-8")
    return cut(unit.span)


def _call(source: Source, call: ast.Call, edits: Sequence[EditCall], inner: Sequence[Splice]) -> bytes:
    start, end = source.span(call)
    if not edits:
        return splice(source.utf8, (start, end), inner)
    opening = _OPENING.match(source.utf8, source.span(call.func)[1])
    if opening is None:
        raise EditRefused(edits[0], "the call's opening parenthesis is not where it should be")
    change = calls.resolve(call, edits)
    from .arguments import Value, edit_arguments

    cut = partial(_text, source, inner)
    spans = [_value(source, call, argument) for argument in calls.arguments(call)]
    edges = [opening.end() - 1, *(offset for span, _ in spans for offset in span), end]
    gaps = [cut(span) for span in zip(edges[::2], edges[1::2], strict=True)]
    values = [Value(cut(span), alone) for span, alone in spans]
    head = splice(source.utf8, (start, edges[0]), inner)
    return head + edit_arguments(gaps, values, change, edits[0]).encode("utf-8")


def _text(source: Source, inner: Sequence[Splice], span: Span) -> str:
    return splice(source.utf8, span, inner).decode("utf-8")


def _value(source: Source, call: ast.Call, argument: calls.Argument) -> tuple[Span, bool]:
    """Where an argument's value stands, and whether it cannot do without parentheses next to others."""
    node = argument.value if isinstance(argument, ast.keyword | ast.Starred) else argument
    start, end = source.span(node)
    if shares_parentheses(call, node):
        return (start + 1, end - 1), True
    return (start, end), isinstance(node, ast.NamedExpr)


def removed_statements(units: Iterable[Unit]) -> set[ast.stmt]:
    """The import statements that nothing is left of."""
    return {
        unit.node
        for unit in units
        if isinstance(unit.node, ast.Import | ast.ImportFrom)
        and (change := imports.resolve(unit.node, _import_edits(unit))).empties(unit.node)
        and not change.also
    }


def import_splices(source: Source, unit: Unit, going: Collection[ast.stmt]) -> Iterator[Splice]:
    """What the edits of one import statement come to: other code, statements behind it, its removal."""
    statement, edits = unit.node, _import_edits(unit)
    assert isinstance(statement, ast.Import | ast.ImportFrom)
    change, edit = imports.resolve(statement, edits), unit.edits[0]
    if statement in going:
        yield statements.removed(source, unit.place, edit, going)
        return
    also = change.also
    if change.empties(statement):
        yield Splice(unit.span, also[0].encode("utf-8"), edit)
        also = also[1:]
    else:
        yield Splice(unit.span, _import(source, unit, change), edit)
    if also:
        yield statements.behind(source, unit.span, also, edit)


def _import(source: Source, unit: Unit, change: imports.ImportChange) -> bytes:
    inner = [Splice(child.span, rendered(source, child), child.edits[0]) for child in unit.inner]
    code = splice(source.utf8, unit.span, inner)
    if not change.changes_statement:
        return code
    from .names import edit_import

    return edit_import(code.decode("utf-8"), change, unit.edits[0]).encode("utf-8")


def _import_edits(unit: Unit) -> list[EditImport]:
    return [edit for edit in unit.edits if isinstance(edit, EditImport)]
