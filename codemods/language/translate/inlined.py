"""Functions of the file that get or give index tiles or masks: the new language has no objects for these.

What such a function returns is written out where it is called, as if it stood there. Where that is done for
all of its calls, the function goes.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Set
from functools import lru_cache

from ...model import ReplaceLines
from ...trees import walk
from ..analysis import values as v
from ..analysis.index import Index
from ..lowering.registry import LOWERINGS
from . import expressions, operations
from .bindings import Values
from .body import Lines
from .parameters import arguments
from .plan import Function, LanguageModule
from .values import VIRTUAL, Grid, Value
from .walker import Walker, known

_MAKERS = frozenset(("nl.arange", "nl.mgrid"))


def value(w: Walker, call: ast.Call, node: ast.FunctionDef, given: Mapping[str, Value]) -> Value | None:
    """What a call gives, with its code in the lines of the statement at hand; None where it is called."""
    body = _body(node)
    takes = any(isinstance(each, VIRTUAL) for each in given.values())
    if body is None or any(_computes(w, each) for each in body[:-1]):
        return None
    if not takes and (_computes(w, body[-1]) or not any(_makes(w, each) for each in body)):
        return None
    if {a.arg for a in arguments(node)} - given.keys() or node.name in w.shared.inlining:
        return None
    outside, w.env.values = w.env.values, Values(given)
    w.shared.inlining.append(node.name)
    try:
        for statement in body[:-1]:
            assert isinstance(statement, ast.Assign)
            assert isinstance(statement.targets[0], ast.Name)
            w.env.values[statement.targets[0].id] = known(operations.nested(w, statement.value))
        found = _given(w, body[-1].value)  # type: ignore[attr-defined]
    finally:
        w.env.values = outside
        w.shared.inlining.pop()
    w.shared.inlined.setdefault(node.name, set()).add(call)
    return found


def _given(w: Walker, node: ast.expr) -> Value:
    """The value of an expression, which may be a tuple of index tiles or masks."""
    if not isinstance(node, ast.Tuple):
        return known(expressions.evaluate(w, node))
    items = [known(operations.nested(w, item)) for item in node.elts]
    indexes = [item for item in items if isinstance(item, Index)]
    if len(indexes) == len(items):
        return Grid(w.segment(node), tuple(indexes))
    if len(w.writer.innermost.names) == len(items) and all(isinstance(item, VIRTUAL) for item in items):
        return v.Items("", tuple(items))  # type: ignore[arg-type]
    return known(expressions.evaluate(w, node))


@lru_cache(maxsize=512)
def _body(node: ast.FunctionDef) -> tuple[ast.stmt, ...] | None:
    """The assignments to names, and the return statement or call behind them, that a function consists of."""
    body = node.body[1 if ast.get_docstring(node, False) is not None else 0 :]
    names = [
        s.targets[0].id
        for s in body[:-1]
        if isinstance(s, ast.Assign) and len(s.targets) == 1 and isinstance(s.targets[0], ast.Name)
    ]
    ends = bool(body) and isinstance(body[-1], ast.Return | ast.Expr) and body[-1].value is not None
    plain = not (node.decorator_list or node.args.vararg or node.args.kwarg)
    return tuple(body) if plain and ends and len(names) == len(body) - 1 == len({*names}) else None


def _makes(w: Walker, statement: ast.stmt) -> bool:
    """Whether index tiles are made in a statement."""
    names = (n for n in walk(statement) if isinstance(n, ast.Attribute | ast.Name))
    return any(w.names.short(name) in _MAKERS for name in names)


def _computes(w: Walker, statement: ast.stmt) -> bool:
    """Whether a statement does something on the device, or calls what may."""
    calls = [n for n in walk(statement) if isinstance(n, ast.Call)]
    names = [w.names.short(call.func) for call in calls]
    own = any(isinstance(call.func, ast.Name) and call.func.id in w.module.functions for call in calls)
    return own or any(name in LOWERINGS for name in names)


def gone(
    module: LanguageModule, function: Function, lines: Lines, written_out: Set[ast.Call]
) -> tuple[ReplaceLines, ...] | None:
    """What takes a function away; None where something else needs it than calls that are written out."""
    node = function.node
    uses = [n for n in module.ctx.module.nodes if isinstance(n, ast.Name) and n.id == node.name]
    calls = {id(call.func) for call in function.callers if call in written_out}
    if node.name in module.ctx.pinned or node not in module.ctx.tree.body:
        return None
    if any(id(use) not in calls for use in uses):
        return None
    last = node.end_lineno or node.lineno
    while last < len(lines.lines) and not lines.lines[last].strip():
        last += 1
    return (_without(module, node.lineno, last),)


def _without(module: LanguageModule, first: int, last: int) -> ReplaceLines:
    starts, end = module.ctx.source.line_starts, len(module.ctx.source.utf8)
    return ReplaceLines((starts[first - 1], starts[last] if last < len(starts) else end), "")
