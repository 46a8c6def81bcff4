"""Tiles in PSUM that a function of the file gets and writes products to: is each element written once?.

That is known of a function that one kernel calls at one place, when nothing else writes to the tile. Then the
variables of the loops around the call, which it hands over, count like those of the function's own loops.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..analysis import values as v
from ..analysis.iterations import Counter
from ..analysis.symbols import ONE
from . import accumulation
from .plan import Function
from .walker import Walker

_EVERY = frozenset(("nl.affine_range", "nl.sequential_range", "nl.static_range", "builtins.range"))


def counters(w: Walker, parameter: str) -> list[Counter] | None:
    """What counts the runs of a function since the tile that a parameter gets was allocated; None when some
    other statement may write to it, or it is not known what does.
    """
    function, module = w.function, w.module
    if function.kernel or len(function.callers) != 1 or _calls_itself(function):
        return None
    (call,) = function.callers
    caller = next((f for f in module.functions.values() if call in f.nodes.parents), None)
    given = _given(function.node, call)
    tile = given.get(parameter)
    if caller is None or not caller.kernel or caller.callers or not isinstance(tile, ast.Name):
        return None
    if not (_is_followed(w, function, parameter) and _is_followed(w, caller, tile.id, call)):
        return None
    written = accumulation.writers(function, parameter, w.names)
    if written != 1 or accumulation.writers(caller, tile.id, w.names, but=call):
        return None
    made = [n for n in caller.nodes.every if isinstance(n, ast.Name) and n.id == tile.id and _stores(n)]
    if len(made) != 1:
        return None
    inside = _loops(caller, call)
    around = _loops(caller, made[0])
    if inside[: len(around)] != around:
        return None
    found = [_counter(w, caller, loop, given) for loop in inside[len(around) :]]
    known = [counter for counter in found if counter is not None]
    return known if len(known) == len(found) else None


def _calls_itself(function: Function) -> bool:
    calls = (n.func for n in function.nodes.every if isinstance(n, ast.Call))
    return any(isinstance(f, ast.Name) and f.id == function.node.name for f in calls)


def _given(function: ast.FunctionDef, call: ast.Call) -> dict[str, ast.expr]:
    """The arguments of a call by parameter."""
    names = [a.arg for a in (*function.args.posonlyargs, *function.args.args)]
    pairs = [*zip(names, call.args, strict=False), *((k.arg, k.value) for k in call.keywords if k.arg)]
    return dict(pairs)


def _stores(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Store)


def _is_followed(w: Walker, function: Function, name: str, own: ast.Call | None = None) -> bool:
    """Whether a tile gets no other name in a function, which is not asked for parts of it either."""
    for use in function.nodes.loads.get(name, ()):
        node: ast.AST = use
        parent = function.nodes.parents[node]
        while isinstance(parent, ast.Subscript) and parent.value is node:
            node, parent = parent, function.nodes.parents[parent]
        if isinstance(parent, ast.keyword):
            node, parent = parent, function.nodes.parents[parent]
        if isinstance(parent, ast.Call) and node is not parent.func:
            short = w.names.short(parent.func)
            if parent is not own and not short.startswith("nisa.") and short not in _READING:
                return False
        elif isinstance(parent, ast.Attribute):
            if parent.attr not in ("shape", "dtype"):
                return False
        elif not (isinstance(parent, ast.Assign | ast.AugAssign) and node is not parent.value):
            return False
    return True


_READING = frozenset(("nl.copy", "nl.store"))


def _loops(function: Function, node: ast.AST) -> list[ast.For]:
    """The loops around a place, from the outside in."""
    found: list[ast.For] = []
    here: ast.AST | None = node
    while here is not None:
        here = function.nodes.parents.get(here)
        if isinstance(here, ast.For):
            found.insert(0, here)
    return found


def _counter(w: Walker, caller: Function, loop: ast.For, given: dict[str, ast.expr]) -> Counter | None:
    """The parameter that gets the variable of a loop, which nothing else binds."""
    call, target = loop.iter, loop.target
    every = isinstance(call, ast.Call) and w.names.short(call.func) in _EVERY and len(call.args) < 3
    if not every or not isinstance(target, ast.Name) or any(k.arg == "step" for k in call.keywords):  # type: ignore[attr-defined]
        return None
    bound = [n for n in caller.nodes.every if isinstance(n, ast.Name) and n.id == target.id and _stores(n)]
    for parameter in _getting(given, target.id):
        mine = [n for n in w.function.nodes.every if isinstance(n, ast.Name) and n.id == parameter]
        value = w.env.values.get(parameter)
        if len(bound) == 1 and not any(map(_stores, mine)) and isinstance(value, v.Scalar | v.Unknown):
            number = value.sym if isinstance(value, v.Scalar) else None
            return Counter(w.env.atom(parameter) if number is None else number, None, None, ONE)
    return None


def _getting(given: dict[str, ast.expr], name: str) -> Iterator[str]:
    return (p for p, argument in given.items() if isinstance(argument, ast.Name) and argument.id == name)
