"""``mask=a and b``: kernels combine masks with ``and`` and ``or`` too, which Python decides by truth values.

A mask has none, so that these operators, in what a kernel passes as ``mask=``, are read as ``&`` and ``|``.
Nothing else of a kernel's source is touched, and most kernels are run as they are.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from types import CodeType, FunctionType
from typing import Any

_BITWISE = {ast.And: ast.BitAnd, ast.Or: ast.BitOr}


class _Masks(ast.NodeTransformer):
    """Replaces ``and`` and ``or`` in ``mask=`` arguments. ``found``: whether there were any."""

    def __init__(self) -> None:
        self.found = False
        self._inside = False

    def visit_keyword(self, node: ast.keyword) -> ast.AST:
        before, self._inside = self._inside, self._inside or node.arg == "mask"
        node.value = self.visit(node.value)
        self._inside = before
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        self.generic_visit(node)
        if not self._inside:
            return node
        self.found = True
        result: ast.expr = node.values[0]
        for value in node.values[1:]:
            result = ast.BinOp(result, _BITWISE[type(node.op)](), value)
        return ast.copy_location(result, node)


def with_bitwise_masks(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with its masks combined by ``&`` and ``|``; itself when there is nothing to do."""
    if not isinstance(function, FunctionType):
        return function
    try:
        lines, start = inspect.getsourcelines(function)
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, SyntaxError):
        return function  # no source to read
    definition = tree.body[0]
    masks = _Masks()
    masks.visit(definition)
    if not masks.found or not isinstance(definition, ast.FunctionDef):
        return function
    ast.increment_lineno(tree, start - 1)
    return _compiled(function, definition)


def _compiled(function: FunctionType, definition: ast.FunctionDef) -> FunctionType:
    """The definition as a function with the same globals, defaults and closure."""
    definition.decorator_list = []
    free = function.__code__.co_freevars
    around = ast.parse(f"def around({', '.join(free)}): pass").body[0]
    assert isinstance(around, ast.FunctionDef)
    around.body = [definition]
    module = ast.fix_missing_locations(ast.Module(body=[around], type_ignores=[]))
    code = _inner(_inner(compile(module, function.__code__.co_filename, "exec"), "around"), definition.name)
    cells = dict(zip(free, function.__closure__ or (), strict=True))
    made = FunctionType(
        code,
        function.__globals__,
        function.__name__,
        function.__defaults__,
        tuple(cells[name] for name in code.co_freevars),
    )
    made.__kwdefaults__ = function.__kwdefaults__
    return made


def _inner(code: CodeType, name: str) -> CodeType:
    """The code of a function defined in another one."""
    return next(c for c in code.co_consts if isinstance(c, CodeType) and c.co_name == name)
