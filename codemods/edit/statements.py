"""Edits of whole statements, as splices of whole lines."""

from __future__ import annotations

import ast
from collections.abc import Collection, Sequence

from ..model import Edit, EditImport, InsertBefore, ReplaceStatement
from ..source import Source
from .lines import indentation, line_start, newline, next_line, owns_lines, starts_line, tail
from .locate import Place, first_offset
from .refusal import EditRefused
from .splices import Splice
from .targets import target


def inserted(source: Source, tree: ast.Module, place: Place, edit: InsertBefore) -> Splice:
    """Lines before a statement.

    Raises:
        EditRefused: the statement does not start its line, or has to stay the first of its file.
    """
    span, node = target(source, place, edit)
    _check_first(tree, node, edit)
    _check_lines(source, node, edit, starts_line(source.utf8, span[0]))
    start = line_start(source.utf8, span[0])
    line_break = newline(source.utf8)
    indent = indentation(source.utf8, span[0])
    text = indent + _indented(source, span[0], "\n".join(edit.lines), edit)
    return Splice((start, start), text + line_break, edit)


def replaced(source: Source, node: ast.AST, edit: ReplaceStatement) -> bytes:
    """Other code for a statement that has its lines for itself."""
    start, end = first_offset(source, node), source.span(node)[1]
    _check_lines(source, node, edit, owns_lines(source.utf8, (start, end)))
    if not edit.code.strip():
        raise EditRefused(edit, "there is no code to put in the statement's place")
    return _indented(source, start, edit.code, edit)


def removed(source: Source, place: Place, edit: EditImport, going: Collection[ast.AST]) -> Splice:
    """Without the import statement: its lines go, a comment behind it stays, an empty block gets ``pass``.

    ``going`` are all statements that are removed from the file.
    """
    node, block = place.path[-1], place.blocks[-1]
    assert block is not None
    start, end = source.span(node)
    rest = tail(source.utf8, end)
    if rest is None or not starts_line(source.utf8, start):
        return Splice((start, end), b"pass", edit)
    if block is not _module_body(place) and node is block[0] and all(other in going for other in block):
        return Splice((start, end), b"pass", edit)
    if rest[1]:
        return Splice((start, rest[0]), b"", edit)
    return Splice((line_start(source.utf8, start), next_line(source.utf8, end)), b"", edit)


def _module_body(place: Place) -> list[ast.stmt] | None:
    return place.blocks[0]


def behind(source: Source, span: tuple[int, int], code: Sequence[str], edit: Edit) -> Splice:
    """More statements behind a simple one: on the following lines, or on its line if it shares that."""
    data = source.utf8
    rest = tail(data, span[1])
    if rest is None or not starts_line(data, span[0]):
        return Splice((span[1], span[1]), "".join(f"; {line}" for line in code).encode("utf-8"), edit)
    return Splice(*_next_lines(source, span, code), edit)


def _next_lines(source: Source, span: tuple[int, int], code: Sequence[str]) -> tuple[tuple[int, int], bytes]:
    start = newline(source.utf8) + indentation(source.utf8, span[0])
    end = _line_end(source, span[1])
    return (end, end), b"".join(start + line.encode("utf-8") for line in code)


def _line_end(source: Source, offset: int) -> int:
    from .lines import line_end

    return line_end(source.utf8, offset)
