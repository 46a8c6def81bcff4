"""Products in PSUM: the first write to a fresh tile overwrites, later ones are added."""

from __future__ import annotations

import ast

from .names import Names

PRODUCTS = frozenset(("nisa.nc_matmul", "nl.matmul"))


def is_product(node: ast.expr, names: Names) -> bool:
    """Whether an expression is a matrix product."""
    return isinstance(node, ast.Call) and names.short(node.func) in PRODUCTS


def sums(function: ast.FunctionDef, names: Names) -> frozenset[str]:
    """Names of tiles to which nothing but products is written."""
    only: dict[str, bool] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.AugAssign):
            name = _base(node.target)
            only[name] = (
                only.get(name, True) and isinstance(node.op, ast.Add) and is_product(node.value, names)
            )
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Subscript):
                    name = _base(target)
                    only[name] = only.get(name, True) and is_product(node.value, names)
        elif isinstance(node, ast.Call):
            for name in _written(node, names):
                only[name] = False
    return frozenset(name for name, products in only.items() if products)


def _written(call: ast.Call, names: Names) -> list[str]:
    """Names that a call may write to: of an argument ``dst``, or of any of a function of the file."""
    if isinstance(call.func, ast.Name) and not names.qualified(call.func):
        return [_base(a) for a in (*call.args, *(k.value for k in call.keywords))]
    return [_base(k.value) for k in call.keywords if k.arg in ("dst", "reduce_res")]


def _base(node: ast.expr) -> str:
    while isinstance(node, ast.Subscript | ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""
