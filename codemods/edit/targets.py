"""What an edit's span stands for, proven on the syntax tree before anything is changed."""

from __future__ import annotations

import ast
import keyword as words
import sys
from collections.abc import Callable
from typing import Any
from unicodedata import normalize

from ..model import (
    Edit,
    EditCall,
    EditImport,
    InsertBefore,
    Move,
    RemoveStatement,
    Rename,
    ReplaceStatement,
    ReplaceString,
    Span,
    Wrap,
)
from ..source import Source
from .locate import Place, first_offset, parse
from .refusal import EditRefused

Target = tuple[Span, ast.AST]
"""The range that the edit replaces, and the node that it is about."""


def target(source: Source, place: Place, edit: Edit) -> Target:
    """The range that an edit replaces, and the node there, which is what the edit expects.

    Raises:
        EditRefused: something else than the edit expects stands there.
    """
    if not place.path:
        raise EditRefused(edit, "there is no statement at this place")
    found = _TARGETS[type(edit)](source, place, edit)
    _check_formatted(source, place, edit)
    return found


def _rename(source: Source, place: Place, edit: Rename) -> Target:
    start, end = edit.span
    if not edit.new.isidentifier() or words.iskeyword(edit.new):
        raise EditRefused(edit, f"{edit.new!r} is not an identifier")
    if source.utf8[start:end] != edit.old.encode("utf-8"):
        found = source.utf8[start:end].decode("utf-8", "replace")
        raise EditRefused(edit, f"the text there is {found!r}, not {edit.old!r}")
    if not _is_name(source, place.node, edit):
        raise EditRefused(edit, f"{edit.old!r} is not an identifier of its own there")
    if isinstance(place.node, ast.keyword) and _has_keyword(place.path[-2], edit.new):
        raise EditRefused(edit, f"there is a keyword argument {edit.new!r} already")
    return edit.span, place.node


def _has_keyword(node: ast.AST, name: str) -> bool:
    return any(keyword.arg == name for keyword in getattr(node, "keywords", ()))


def _is_name(source: Source, node: ast.AST, edit: Rename) -> bool:
    """Whether the innermost node around the span has this very text as its identifier."""
    name = normalize("NFKC", edit.old)
    start, end = source.span(node)
    match node:
        case ast.Name(id=text):
            return text == name and edit.span == (start, end)
        case ast.Attribute(attr=text):
            return text == name and edit.span[1] == end
        case ast.keyword(arg=text) | ast.arg(arg=text):
            return text == name and edit.span[0] == start
        case ast.expr():
            return False
    return name in _identifiers(node) and _stands_alone(source, edit.span)


def _identifiers(node: ast.AST) -> set[str]:
    """All identifiers that are mere strings in the node: of imports, definitions, handlers, patterns."""
    values = [getattr(node, name, None) for name in node._fields]
    texts = [text for value in values for text in (value if isinstance(value, list) else [value])]
    return {part for text in texts if isinstance(text, str) for part in text.split(".")}


def _stands_alone(source: Source, span: Span) -> bool:
    """Whether the span is a whole word outside of comments."""
    line, column = source.position(span[0])
    text = source.utf8[source.line_starts[line - 1] :].decode("utf-8")
    word = source.utf8[slice(*span)].decode("utf-8")
    before, after = text[: column - 1], text[column - 1 + len(word) :]
    return "#" not in before and not _continues(before[-1:]) and not _continues(after[:1])


def _continues(character: str) -> bool:
    return f"_{character}".isidentifier() and character != ""


def _string(source: Source, place: Place, edit: ReplaceString) -> Target:
    node = place.formatted or place.node
    if isinstance(node, ast.JoinedStr):
        return source.span(node), node
    if (
        not isinstance(node, ast.Constant)
        or not isinstance(node.value, str)
        or source.span(node) != edit.span
    ):
        raise EditRefused(edit, "there is no string literal at this place")
    if node.value != edit.old:
        raise EditRefused(edit, f"the string there is {node.value!r}, not {edit.old!r}")
    return edit.span, node


def _expression(source: Source, place: Place, edit: Wrap | Move) -> Target:
    for node in place.expressions:
        if source.span(node) == edit.span:
            return edit.span, node
    raise EditRefused(edit, "there is no expression at this place")


def _call(source: Source, place: Place, edit: EditCall) -> Target:
    for node in place.expressions:
        if isinstance(node, ast.Call) and source.span(node) == edit.span:
            return edit.span, node
    raise EditRefused(edit, "there is no call at this place")


def _import(source: Source, place: Place, edit: EditImport) -> Target:
    node = next((node for node in place.path if isinstance(node, ast.Import | ast.ImportFrom)), None)
    if node is None or source.span(node) != edit.span:
        raise EditRefused(edit, "there is no import statement at this place")
    return edit.span, node


def _statement(
    source: Source, place: Place, edit: ReplaceStatement | InsertBefore | RemoveStatement
) -> Target:
    for node in place.path:
        if isinstance(node, ast.stmt):
            start, (inner, end) = first_offset(source, node), source.span(node)
            if edit.span in ((start, end), (inner, end)):
                return (start, end), node
    raise EditRefused(edit, "there is no statement at this place")


_TARGETS: dict[type, Callable[[Source, Place, Any], Target]] = {
    Rename: _rename,
    ReplaceString: _string,
    Wrap: _expression,
    Move: _expression,
    EditCall: _call,
    EditImport: _import,
    ReplaceStatement: _statement,
    InsertBefore: _statement,
    RemoveStatement: _statement,
}


def _check_formatted(source: Source, place: Place, edit: Edit) -> None:
    """In an f-string new code must not need quotes, and before Python 3.12 positions may be wrong."""
    string = place.formatted
    if (
        string is None
        or isinstance(edit, ReplaceString)
        or source.span(string) == getattr(edit, "span", None)
    ):
        return
    if set(_new_code(edit)) & set("'\"\\#\r\n"):
        raise EditRefused(edit, "the new code has quotes, backslashes or lines, and stands in an f-string")
    if sys.version_info < (3, 12) and not _unambiguous(source, string, list(place.expressions)[-1]):
        raise EditRefused(edit, "its place in the f-string is uncertain; Python 3.12 or later tells")


def _new_code(edit: Edit) -> str:
    if isinstance(edit, EditCall):
        return "".join(value for _, value in edit.added)
    return edit.template if isinstance(edit, Wrap) else ""


def _unambiguous(source: Source, string: ast.JoinedStr, node: ast.expr) -> bool:
    """Whether the text at the node's position is the node, and occurs nowhere else in the string."""
    text, around = (source.utf8[slice(*source.span(part))] for part in (node, string))
    try:
        tree = parse(f"({text.decode('utf-8')})")
    except (SyntaxError, UnicodeDecodeError):
        return False
    found = tree.body[0]
    return around.count(text) == 1 and isinstance(found, ast.Expr) and ast.dump(found.value) == ast.dump(node)
