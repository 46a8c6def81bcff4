"""``t[...] = nl.loop_reduce(x, op, loop_indices)``, which by its definition is ``t[...] = op(t[...], x)``."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from ...trees import is_none, walk
from ..analysis import values as v
from ..analysis.dtypes import FLOAT32, certainly_same, dtype_of
from ..analysis.refusal import Refused
from . import arguments, expressions, masking, operations, subscripts
from .environment import Loop
from .parameters import arguments as parameters
from .values import Blocks, Value
from .walker import Walker, known, text
from .writer import Goal

NAME = "nl.loop_reduce"
_FILLED = frozenset(("nl.zeros", "nl.ones", "nl.full", "nl.zeros_like"))
"""What gives a tile with elements to start from."""


def is_reduction(w: Walker, node: ast.expr) -> bool:
    """Whether an expression is a call of ``nl.loop_reduce``."""
    return isinstance(node, ast.Call) and w.names.short(node.func) == NAME


def into(w: Walker, target: ast.expr, node: ast.expr) -> None:
    """Combine the tile that the reduction is assigned to with what one iteration gives.

    Raises Refused when the tile is not filled before the loops, or when the dtype in which the reduction is
    rounded is not that of the tile.
    """
    assert isinstance(node, ast.Call)
    given = arguments.named(w, node, NAME)
    base = _base(target)
    _check_start(w, base, given.get("loop_indices"))
    before = known(expressions.evaluate(w, base))
    place = subscripts.element(w, target, before) if isinstance(target, ast.Subscript) else before  # type: ignore[arg-type]
    masks = [k.value for k in node.keywords if k.arg == "mask" and not is_none(k.value)]
    region = masking.region(w, masks[0]) if masks else None
    for parameter in ("x", "op"):
        if parameter not in given:
            raise Refused("M-ARGUMENT", fn=NAME, parameter=parameter, value="nothing")
    value, operation = (known(operations.nested(w, given[key])) for key in ("x", "op"))
    if not isinstance(place, v.Tensor) or not isinstance(value, v.Tensor):
        raise Refused("M-ARGUMENT", fn=NAME, parameter="x", value=text(value))
    rounded = dtype_of(known(operations.nested(w, given["dtype"]))) if "dtype" in given else value.dtype
    if not (certainly_same(rounded, place.dtype) or certainly_same(rounded, FLOAT32)):
        raise Refused("M-DTYPE", fn=NAME, operands=f"{place.text}, {value.text}")
    if not isinstance(operation, v.Token):
        raise Refused("M-OP", fn=NAME, parameter="op", value=text(operation))
    with w.writer.goal(Goal("tile", target=place)):
        if operation.text:
            combined: dict[str, Value] = {"data1": place, "data2": value, "op": operation}
            operations.lowered(w, "nisa.tensor_tensor", combined, region)
        else:
            operations.lowered(w, operation.name, {"x": place, "y": value}, region)


def _base(target: ast.expr) -> ast.Name:
    base = target
    while isinstance(base, ast.Subscript):
        base = base.value
    if not isinstance(base, ast.Name):
        raise Refused("M-CARRIED", fn="loop_reduce", name=NAME)
    return base


def _check_start(w: Walker, base: ast.Name, loops: ast.expr | None) -> None:
    """The tile must be there, and have elements, before the loops that are reduced over."""
    indexes = [n for n in walk(loops) if isinstance(n, ast.Name)] if loops is not None else []
    depth = w.env.depths.get(base.id, 0)
    inside = w.env.loops[depth:]
    made = [
        node.value
        for node in walk(w.function.node)
        if isinstance(node, ast.Assign)
        and any(isinstance(t, ast.Name) and t.id == base.id for t in node.targets)
        and not is_reduction(w, node.value)
    ]
    filled = all(isinstance(call, ast.Call) and w.names.short(call.func) in _FILLED for call in made)
    handed = base.id in {a.arg for a in parameters(w.function.node)}
    known_tile = isinstance(w.env.values.get(base.id), v.Tensor | Blocks)
    over_loops = bool(indexes) and all(_counts(w, index, inside) for index in indexes)
    if not (over_loops and filled and (made or handed) and known_tile):
        raise Refused("M-CARRIED", fn="loop_reduce", name=NAME)


def _counts(w: Walker, index: ast.Name, loops: Iterable[Loop]) -> bool:
    """Whether a name is the variable of one of the loops, or another name for its value."""
    value = w.env.values.get(index.id)
    number = value.sym if isinstance(value, v.Scalar) else None
    return any(loop.variable == index.id or (loop.sym is not None and loop.sym == number) for loop in loops)
