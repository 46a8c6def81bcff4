"""Templates around expressions, with parentheses where leaving them out would mean something else."""

from __future__ import annotations

import ast
from collections.abc import Callable

from ..model import Span, Wrap
from ..source import Source
from .locate import Place, parse
from .refusal import EditRefused

_CLOSED = (ast.Name, ast.Attribute, ast.Call, ast.Subscript)
"""Expressions that bind tighter than everything around them."""
_NEVER_BARE = (ast.Tuple, ast.NamedExpr, ast.Yield, ast.YieldFrom, ast.Starred)
"""Expressions that not even every statement takes without parentheses."""


def wrapped(source: Source, place: Place, node: ast.AST, edit: Wrap, inner: str) -> str:
    """The template with the edited expression ``inner`` in it, fit to stand where the expression stood.

    Raises:
        EditRefused: the template is no expression.
    """
    closed = isinstance(node, _CLOSED)
    filled = _fitting(edit, inner, closed, lambda code: edit.template.replace("{}", code))
    if _shares_parentheses(source, place, node):
        return f"({filled})"
    kind = type(_expression(edit, edit.template.replace("{}", "_")))
    filled = _apart(source, edit.span, filled)
    if issubclass(kind, _NEVER_BARE):
        return f"({filled})"
    if edit.template == "{}" or issubclass(kind, _CLOSED):
        return filled
    return _fitting(edit, filled, False, _surroundings(source, place, edit.span))


def _fitting(edit: Wrap, code: str, closed: bool, around: Callable[[str], str]) -> str:
    """``code``, or ``(code)`` if only that gives the same tree as parentheses do; the former if ``closed``."""
    with_parentheses = around(f"({code})")
    if closed:
        return around(code) if around.__name__ == "template" else code
    return code if _same(edit, around(code), with_parentheses) else f"({code})"
