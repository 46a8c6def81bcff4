"""The parameter sets that ``@pytest.mark.parametrize`` gives a test."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

Read = Callable[[ast.expr], Any]
"""Gives the value of an expression of the harness."""


def parameter_sets(test: ast.FunctionDef, read: Read) -> list[dict[str, Any]]:
    """Parameter → value, for each set; one empty set for a test without the decorator."""
    choices: list[list[dict[str, Any]]] = []
    for decorator in test.decorator_list:
        if not (isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Attribute)):
            continue
        if decorator.func.attr != "parametrize" or len(decorator.args) < 2:
            continue
        names, rows = read(decorator.args[0]), _rows(decorator.args[1], read)
        keys = [n.strip() for n in names.split(",")] if isinstance(names, str) else names
        if isinstance(keys, list | tuple):
            choices.append([dict(zip(keys, row, strict=False)) for row in _of_width(len(keys), rows)])
    return [{k: v for part in parts for k, v in part.items()} for parts in product(*choices)]


def _rows(node: ast.expr, read: Read) -> list[Any]:
    """The rows of a parameter table; ``pytest.param(a, b, marks=…)`` is the row of its arguments."""
    if not isinstance(node, ast.List | ast.Tuple):
        found = read(node)
        return list(found) if isinstance(found, list | tuple) else []
    return [
        tuple(read(a) for a in item.args) if isinstance(item, ast.Call) and item.args else read(item)
        for item in node.elts
    ]


def _of_width(width: int, rows: list[Any]) -> Iterator[tuple[Any, ...]]:
    """The rows with that many values; a value that is no row is one of width 1."""
    for row in rows:
        if isinstance(row, list | tuple) and len(row) == width:
            yield tuple(row)
        elif width == 1:
            yield (row,)
