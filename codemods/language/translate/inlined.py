"""Functions of the file that get or give index tiles or masks: the new language has no objects for these.

What such a function returns is written out where it is called, as if it stood there. Where that is done for
all of its calls, the function goes.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Set
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
    if not takes and not _gives_places(w, node):
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


def _gives_places(w: Walker, node: ast.FunctionDef, around: tuple[str, ...] = ()) -> bool:
    """Whether a function makes index tiles, itself or by others, and does nothing on the device."""
    body = _body(node)
    if body is None or node.name in around or any(_computes(w, each, (*around, node.name)) for each in body):
        return False
    inner = [n for each in body for n in walk(each)]
    names = (w.names.short(n) for n in inner if isinstance(n, ast.Attribute | ast.Name))
    return any(name in _MAKERS for name in names) or any(map(_function(w), inner))


def _function(w: Walker) -> Callable[[ast.AST], ast.FunctionDef | None]:
    """The function of the file that a node calls."""

    def found(node: ast.AST) -> ast.FunctionDef | None:
        name = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
        return w.module.functions[name].node if name in w.module.functions else None

    return found


def _computes(w: Walker, statement: ast.stmt, around: tuple[str, ...] = ()) -> bool:
    """Whether a statement does something on the device, or calls what may."""
    inner = [*walk(statement)]
    calls = (w.names.short(n.func) for n in inner if isinstance(n, ast.Call))
    own = [called for called in map(_function(w), inner) if called is not None]
    return any(name in LOWERINGS for name in calls) or not all(_gives_places(w, f, around) for f in own)


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
