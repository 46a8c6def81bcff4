"""Templates around expressions, with parentheses where leaving them out would mean something else."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence

from ..model import Span, Wrap
from ..source import Source
from .locate import Place, parse
from .refusal import EditRefused

_CLOSED = (ast.Name, ast.Attribute, ast.Call, ast.Subscript)
"""Expressions that bind tighter than everything around them."""
_NEVER_BARE = (ast.Tuple, ast.Yield, ast.YieldFrom)
"""Expressions that not every statement takes without parentheses."""


def wrapped(source: Source, place: Place, node: ast.AST, edit: Wrap, inner: str) -> str:
    """The template with the edited expression ``inner`` in it, fit to stand where the expression stood.

    Raises:
        EditRefused: the template is no expression.
    """
    template = edit.template.replace("{}", "_")
    kind = type(_expression(edit, template))
    if not isinstance(node, _CLOSED) and "{}" in edit.template:
        inner = _safe(edit, inner, lambda code: edit.template.replace("{}", code))
    code = edit.template.replace("{}", inner)
    if shares_parentheses(place.path[max(0, place.path.index(node) - 1)], node):
        return f"({code})"
    code = apart(source.utf8, edit.span, code)
    if _is_closed(template):
        return code
    if issubclass(kind, _NEVER_BARE):
        return f"({code.strip()})"
    return _safe(edit, code, _surroundings(source, place, edit.span))


def filled(edit: Wrap, code: str, parts: Sequence[str]) -> str:
    """Wrapped code in which placeholders stand for the parts, with the parts in it."""
    for index, part in enumerate(parts):
        inside, around = _slot(code, placeholder(index)), _slot(f"({code})", placeholder(index))
        code = inside(_safe(edit, part, around))
    return code


def _slot(code: str, name: str) -> Callable[[str], str]:
    return lambda part: code.replace(name, part)


def placeholder(index: int) -> str:
    """What stands for a part while the code around it takes shape."""
    return f"__part_{index}__"


def _is_closed(code: str) -> bool:
    """Whether an attribute of the code is one of the whole: no operator, no bare tuple."""
    try:
        (statement,) = parse(f"{code}._").body
    except SyntaxError:
        return False
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Attribute)


def _safe(edit: Wrap, code: str, around: Callable[[str], str]) -> str:
    """``code`` if it means the same as ``(code)`` does in its surroundings, else the latter."""
    parenthesised = f"({code.strip()})"
    wanted = _dump(edit, around(parenthesised))
    try:
        same = _dump(edit, around(code)) == wanted
    except EditRefused:
        same = False
    return code if same else parenthesised


def _dump(edit: Wrap, code: str) -> str:
    try:
        return ast.dump(_expression(edit, code))
    except RecursionError as error:
        raise EditRefused(edit, "the expression is nested too deeply") from error


def _expression(edit: Wrap, code: str) -> ast.expr:
    try:
        statement = parse(code).body
    except SyntaxError as error:
        raise EditRefused(edit, f"the template does not give an expression: {error.msg}") from error
    if len(statement) != 1 or not isinstance(statement[0], ast.Expr):
        raise EditRefused(edit, "the template does not give an expression")
    return statement[0].value


def _surroundings(source: Source, place: Place, span: Span) -> Callable[[str], str]:
    """The outermost expression of the statement with other code in the place of ``span``."""
    outermost = next(node for node in place.expressions if not isinstance(node, ast.Starred))
    start, end = source.span(outermost)
    before, after = source.utf8[start : span[0]].decode("utf-8"), source.utf8[span[1] : end].decode("utf-8")
    return lambda code: f"({before}{code}{after})"


def shares_parentheses(call: ast.AST, node: ast.AST) -> bool:
    """Whether the node is a generator expression without parentheses but those of the call it is for."""
    return (
        isinstance(node, ast.GeneratorExp)
        and isinstance(call, ast.Call)
        and call.args == [node]
        and (call.end_lineno, call.end_col_offset) == (node.end_lineno, node.end_col_offset)
    )


def apart(data: bytes, span: Span, code: str) -> str:
    """The code, with a space where it would grow together with a word next to it, as in ``in(a, b)``."""
    before = data[max(0, span[0] - 4) : span[0]].decode("utf-8", "ignore")[-1:]
    after = data[span[1] : span[1] + 4].decode("utf-8", "ignore")[:1]
    left = " " if _word(before) and _word(code[0]) else ""
    right = " " if _word(after) and _word(code[-1]) else ""
    return f"{left}{code}{right}"


def _word(character: str) -> bool:
    return character == "_" or character.isalnum()
