"""What pytest gives to parameters of tests and fixtures: rows of ``parametrize``, fixtures of the file."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from ..trees import last_name
from . import containers
from . import values as v
from .scopes import Binding, Scope

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .evaluate import Evaluator

Function = ast.FunctionDef | ast.AsyncFunctionDef


def given(evaluator: Evaluator, binding: Binding) -> v.Value:
    """What a test's or fixture's parameter stands for; None when that is not known."""
    node = binding.scope.node
    outer = binding.scope.parent
    if not isinstance(node, Function) or outer is None or binding.default is not None:
        return None
    for decorator in node.decorator_list:
        names, rows = parametrized(decorator)
        if binding.name in names and _is_indirect(decorator):
            return None
        if binding.name in names and rows is not None:
            place = names.index(binding.name) if len(names) > 1 else None
            return _column(evaluator, rows, place, outer)
    around = outer.node.decorator_list if isinstance(outer.node, ast.ClassDef) else []
    is_test = node.name.startswith("test") or is_fixture(node)
    if not is_test or any(binding.name in parametrized(decorator)[0] for decorator in around):
        return None
    return _fixture(evaluator, binding.name, node)


def _column(evaluator: Evaluator, rows: ast.expr, place: int | None, outer: Scope) -> v.Value:
    """What rows of arguments give to one parameter."""
    if not isinstance(rows, ast.List | ast.Tuple):
        row = containers.element(evaluator.at_end(rows, outer))
        return row if place is None else containers.item(row, place)
    cells = [_cell(row, place) for row in rows.elts]
    values = [None if cell is None else evaluator.at_end(cell, outer) for cell in cells]
    return v.one_of(values) if values else None


def _is_indirect(decorator: ast.expr) -> bool:
    """Whether fixtures get the values, and the parameters what these make of them."""
    return any(keyword.arg == "indirect" for keyword in getattr(decorator, "keywords", ()))


def parametrized(call: ast.expr) -> tuple[list[str], ast.expr | None]:
    """The parameters that a ``parametrize`` is about, and their rows; none for any other decorator."""
    if not isinstance(call, ast.Call) or last_name(call.func) != "parametrize":
        return [], None
    named = {keyword.arg: keyword.value for keyword in call.keywords}
    listed = [
        *call.args[:2],
        *(named[n] for n in ("argnames", "argvalues")[len(call.args[:2]) :] if n in named),
    ]
    if len(listed) < 2:
        return [], None
    spelled = listed[0]
    parts = spelled.elts if isinstance(spelled, ast.Tuple | ast.List) else [spelled]
    texts = [part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)]
    return [name.strip() for text in texts for name in text.split(",")], listed[1]


def _cell(row: ast.expr, place: int | None) -> ast.expr | None:
    """What a row gives to one parameter; ``place`` is None for the only one."""
    if isinstance(row, ast.Call) and last_name(row.func) == "param":
        cells = row.args
        place = place or 0
    elif place is None:
        return None if isinstance(row, ast.Starred) else row
    else:
        cells = row.elts if isinstance(row, ast.Tuple | ast.List) else []
    starred = any(isinstance(cell, ast.Starred) for cell in cells[: place + 1])
    return cells[place] if place < len(cells) and not starred else None


def is_fixture(node: Function) -> bool:
    return any(
        last_name(each.func if isinstance(each, ast.Call) else each) == "fixture"
        for each in node.decorator_list
    )


def _fixture(evaluator: Evaluator, name: str, near: Function) -> v.Value:
    """What the only fixture of a name gives that stands in the same file, outside of classes."""
    found = [b for b in evaluator.module.bindings if b.name == name and b.kind == "function"]
    nodes = [b.node for b in found if isinstance(b.node, Function) and is_fixture(b.node)]
    if len(nodes) != 1 or len(found) != 1 or found[0].scope.kind != "module" or nodes[0] is near:
        return None
    scope = evaluator.module.scope_of[nodes[0]]
    values = [_result(evaluator, result, nodes[0], scope) for result in _results(nodes[0].body)]
    return v.one_of(values) if values else None


def _result(evaluator: Evaluator, node: ast.expr, fixture: Function, scope: Scope) -> v.Value:
    params = [] if scope.parent is None else list(_params(fixture))
    if params and isinstance(node, ast.Attribute) and node.attr == "param" and scope.parent is not None:
        return v.one_of([evaluator.at_end(each, scope.parent) for each in params])
    return evaluator.at_end(node, scope)


def _params(fixture: Function) -> Iterator[ast.expr]:
    """``fixture(params=[…])``."""
    for decorator in fixture.decorator_list:
        for keyword in decorator.keywords if isinstance(decorator, ast.Call) else ():
            if keyword.arg == "params" and isinstance(keyword.value, ast.List | ast.Tuple):
                cells = [_cell(each, None) for each in keyword.value.elts]
                yield from (cell for cell in cells if cell is not None)


def _results(body: Iterable[ast.stmt]) -> Iterator[ast.expr]:
    """What a fixture returns or yields."""
    for stmt in body:
        if isinstance(stmt, ast.Return) and stmt.value is not None:
            yield stmt.value
        elif (
            isinstance(stmt, ast.Expr) and isinstance(stmt.value, ast.Yield) and stmt.value.value is not None
        ):
            yield stmt.value.value
        elif not isinstance(stmt, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for name in ("body", "orelse", "finalbody"):
                yield from _results(getattr(stmt, name, []))
