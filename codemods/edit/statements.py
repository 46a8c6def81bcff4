"""Edits of whole statements, as splices of whole lines."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Sequence

from ..model import (
    Edit,
    InsertBefore,
    Move,
    RemoveStatement,
    ReplaceCode,
    ReplaceLines,
    ReplaceStatement,
    Span,
)
from ..source import Source
from .lines import indentation, line_end, line_start, newline, next_line, owns_lines, starts_line, tail
from .locate import Place, first_offset, locate, parse
from .refusal import EditRefused
from .splices import Splice
from .targets import target

_NEWLINE = re.compile(r"\r\n?|\n")
_COMMENT = re.compile(r"[ \t\f]*(#.*)?\Z")


def inserted(source: Source, tree: ast.Module, place: Place, edit: InsertBefore) -> Splice:
    """The splice that puts lines before a statement.

    Raises:
        EditRefused: the statement does not start its line, or has to stay the first of its file.
    """
    (start, _), node = target(source, place, edit)
    if _has_to_be_first(tree, node) and not all(map(_COMMENT.match, edit.lines)):
        raise EditRefused(edit, "nothing may come before a docstring or a __future__ import")
    _check_lines(source, node, edit, starts_line(source.utf8, start))
    at = line_start(source.utf8, start)
    text = _indented(source, start, "\n".join(edit.lines), edit)
    return Splice((at, at), indentation(source.utf8, start) + text + newline(source.utf8), edit)


def moved(source: Source, tree: ast.Module, edit: Move, code: str) -> Splice:
    """The splice that puts a line before a statement, which binds a moved expression to its name."""
    line = f"{edit.name} = {code}"
    try:
        (statement,) = parse(line).body
    except (SyntaxError, ValueError):
        line = f"{edit.name} = ({code})"
    else:
        if not isinstance(statement, ast.Assign):
            line = f"{edit.name} = ({code})"
    return inserted(source, tree, locate(source, tree, edit.before), InsertBefore(edit.before, (line,)))


def replaced(source: Source, node: ast.AST, edit: ReplaceStatement) -> bytes:
    """The bytes that come in the place of a statement.

    Raises:
        EditRefused: the statement shares a line with others, or there is no new code.
    """
    start, end = first_offset(source, node), source.span(node)[1]
    _check_lines(source, node, edit, owns_lines(source.utf8, (start, end)))
    if not edit.code.strip():
        raise EditRefused(edit, "there is no code to put in the statement's place")
    return _indented(source, start, edit.code, edit)


def lines_replaced(source: Source, edit: ReplaceLines) -> Splice:
    """The splice that replaces whole lines by others.

    Raises:
        EditRefused: the span does not start and end at the start of a line.
    """
    if not all(offset == len(source.utf8) or source.position(offset)[1] == 1 for offset in edit.span):
        raise EditRefused(edit, "the range is not one of whole lines")
    line_break = newline(source.utf8)
    return Splice(edit.span, edit.code.encode("utf-8").replace(b"\n", line_break), edit)


def code_replaced(source: Source, edit: ReplaceCode) -> Splice:
    """The splice that replaces a part of a statement.

    Raises:
        EditRefused: another code stands there.
    """
    found = source.utf8[slice(*edit.span)]
    if found != edit.old.encode("utf-8"):
        raise EditRefused(edit, f"the code there is {found.decode('utf-8', 'replace')!r}, not {edit.old!r}")
    return Splice(edit.span, edit.new.encode("utf-8"), edit)


def removed(source: Source, place: Place, edit: Edit, going: Collection[ast.AST]) -> Splice:
    """The splice that removes an import statement.

    Its lines go, a comment behind it stays, and a block that would be empty gets ``pass``. ``going``: all
    statements that are removed from the file.
    """
    block = place.blocks[-1] or []
    start, end = source.span(place.node)
    rest = tail(source.utf8, end)
    nested = block is not place.blocks[0]
    leaves_nothing = nested and place.node is block[0] and all(other in going for other in block)
    if rest is None or not starts_line(source.utf8, start) or leaves_nothing:
        return Splice((start, end), b"pass", edit)
    if rest[1]:
        return Splice((start, rest[0]), b"", edit)
    return Splice((line_start(source.utf8, start), next_line(source.utf8, end)), b"", edit)


def taken_away(source: Source, place: Place, edit: RemoveStatement) -> Splice:
    """The splice that removes a simple statement, its lines and the comment behind it.

    Raises:
        EditRefused: it is a compound one, shares its line, or nothing would be left of its block.
    """
    span, node = target(source, place, edit)
    if hasattr(node, "body"):
        raise EditRefused(edit, "the statement has a body")
    _check_lines(source, node, edit, owns_lines(source.utf8, span))
    if len(place.blocks[place.path.index(node)] or []) < 2:
        raise EditRefused(edit, "nothing would be left of the block")
    return Splice((line_start(source.utf8, span[0]), next_line(source.utf8, span[1])), b"", edit)


def behind(source: Source, span: Span, code: Sequence[str], edit: Edit) -> Splice:
    """The splice that puts statements behind a simple one, each on its own line if that one has its own."""
    data, lines = source.utf8, [line.encode("utf-8") for line in code]
    if not owns_lines(data, span):
        return Splice((span[1], span[1]), b"".join(b"; " + line for line in lines), edit)
    end = line_end(data, span[1])
    start = newline(data) + indentation(data, span[0])
    return Splice((end, end), b"".join(start + line for line in lines), edit)


def _has_to_be_first(tree: ast.Module, node: ast.AST) -> bool:
    if isinstance(node, ast.ImportFrom):
        return node.module == "__future__"
    return node is tree.body[0] and ast.get_docstring(tree, clean=False) is not None


def _check_lines(source: Source, node: ast.AST, edit: Edit, alone: bool) -> None:
    if not alone:
        raise EditRefused(edit, "the statement shares its line with another")
    if isinstance(node, ast.If) and source.utf8.startswith(b"elif", source.span(node)[0]):
        raise EditRefused(edit, "the statement is the elif of another")


def _indented(source: Source, offset: int, code: str, edit: Edit) -> bytes:
    """``code`` for the place of the statement at ``offset``: all lines but the first indented like it."""
    lines = _NEWLINE.split(code.rstrip("\r\n"))
    indent = indentation(source.utf8, offset).decode("utf-8")
    line_break = newline(source.utf8).decode("utf-8")
    if len(lines) == 1 or not indent:
        return line_break.join(lines).encode("utf-8")
    if all(map(_COMMENT.match, lines)):
        return line_break.join([lines[0], *(indent + line if line else line for line in lines[1:])]).encode(
            "utf-8"
        )
    from .blocks import in_block

    return in_block(line_break.join(lines), indent, line_break, edit).encode("utf-8")
