"""Calls: of the language's functions, of Python's, of methods of tensors, of the file's own functions."""

from __future__ import annotations

import ast
from collections.abc import Callable

from ...trees import is_none
from ..analysis import values as v
from ..analysis.dtypes import dtype_of
from ..analysis.index import Index, Window
from ..analysis.masks import Region
from ..analysis.refusal import Refused
from ..analysis.symbols import Sym, ceil_div, maximum, minimum
from ..lowering import views
from ..lowering.registry import LOWERINGS
from . import (
    addresses,
    allocations,
    arguments,
    carried,
    expressions,
    functions,
    listed,
    masking,
    numbers,
    operations,
    positions,
    tokens,
)
from .values import Axes, Named, Partitions, UserFunction, Value
from .walker import Walker, integer, known, text


def call(w: Walker, node: ast.Call) -> Value:
    """The value of a call."""
    if isinstance(node.func, ast.Attribute):
        method = _method(w, node, node.func)
        if method is not None:
            return method
    function = known(expressions.evaluate(w, node.func))
    if isinstance(function, UserFunction):
        return functions.call(w, node, function)
    short = w.names.short(node.func)
    if not short and isinstance(function, Named):
        short = function.name
    if short in _WALKED:
        return _WALKED[short](w, node)
    if tokens.is_ours(w.names.qualified(node.func)) and not _of_trace_time(w, node, short):
        if short not in LOWERINGS:
            raise Refused("M-INTERNAL", name=short)
        fresh = _copied_alone(w, node, short)
        if fresh is not None:
            return expressions.evaluate(w, fresh)
        masks = [k.value for k in node.keywords if k.arg == "mask" and not is_none(k.value)]
        return _masked(w, node, short, masks[0]) if masks else _lowered(w, node, short, None)
    return _python(w, node, *numbers.function(w, node, short, function))


def _copied_alone(w: Walker, node: ast.Call, short: str) -> ast.Call | None:
    """What ``nl.copy(nl.transpose(x))`` copies: a tile in SBUF that nothing else knows of; None otherwise."""
    if short not in ("nl.copy", "nisa.tensor_copy") or len(node.args) != 1 or node.keywords:
        return None
    inner = node.args[0]
    return inner if isinstance(inner, ast.Call) and w.names.short(inner.func) == "nl.transpose" else None


def _masked(w: Walker, node: ast.Call, short: str, mask: ast.expr) -> Value:
    """An operation with a mask, which is what stands in the way where nothing else is said to."""
    region = masking.region(w, mask)
    try:
        return _lowered(w, node, short, region)
    except Refused as refusal:
        if refusal.message != "M-MASK":
            raise
        raise Refused(refusal.message, **{"expr": w.segment(mask), **refusal.fields}) from refusal


def _lowered(w: Walker, node: ast.Call, short: str, region: Region | None) -> Value:
    given = operations.beside(w, short, arguments.bound(w, node, short))
    resolved = positions.resolved(w, short, given, region, w.segment(node))
    return operations.lowered(w, short, resolved, region)


def _of_trace_time(w: Walker, node: ast.Call, short: str) -> bool:
    """Whether a function of the language is there as before, and computes nothing on the device."""
    entry = w.module.step.entry(w.names.qualified(node.func))
    return short not in LOWERINGS and entry is not None and entry.status == "same"


def _method(w: Walker, node: ast.Call, func: ast.Attribute) -> Value | None:
    """A method of a tensor."""
    if w.names.qualified(func):
        return None
    base = operations.nested(w, func.value, apart=True)
    if not isinstance(known(base), v.Tensor):
        return None
    name = f"nki.tensor.{func.attr}"
    return operations.lowered(w, name, arguments.bound(w, node, name, base))


# -- what the walker knows itself ---------------------------------------------------------------------


def _given(w: Walker, node: ast.Call) -> list[ast.expr]:
    """The arguments of a call that takes a fixed number of them."""
    found = [*node.args, *(keyword.value for keyword in node.keywords)]
    short = w.names.short(node.func)
    least, most = _COUNTS[short]
    starred = any(isinstance(a, ast.Starred) for a in node.args) or any(not k.arg for k in node.keywords)
    if starred or not least <= len(found) <= most:
        raise Refused("M-ARGUMENT", fn=short, parameter="*", value=w.segment(node))
    return found


def _sizes(w: Walker, node: ast.Call) -> list[Sym]:
    found = []
    for argument in _given(w, node):
        value = known(expressions.evaluate(w, argument))
        sym = integer(w, value)
        if sym is None:
            raise Refused("M-IDX", expr=w.segment(node))
        found.append(sym)
    return found


def _arange(w: Walker, node: ast.Call) -> Value:
    return Index.arange(*_sizes(w, node))


def _ds(w: Walker, node: ast.Call) -> Value:
    start, size = _sizes(w, node)
    pairs = [(a, expressions.code(w, a)) for a in (*node.args, *(k.value for k in node.keywords))]
    return Window.of_size(start, size, w.respelled(node, pairs))


def _par_dim(w: Walker, node: ast.Call) -> Value:
    size = known(expressions.evaluate(w, _given(w, node)[0]))
    return Partitions(text(size), integer(w, size))


def _size_in_bytes(w: Walker, node: ast.Call) -> Value:
    (argument,) = _given(w, node)
    dtype = dtype_of(known(expressions.evaluate(w, argument)))
    if dtype is None:
        raise Refused("M-DTYPE", fn="sizeinbytes", operands=w.segment(argument))
    return views.itemsize(dtype, w.writer)


def _program(w: Walker, node: ast.Call) -> Value:
    """``nl.program_id(axis)``, ``nl.num_programs(axes)``."""
    short = w.names.short(node.func)
    values = [known(expressions.evaluate(w, a)) for a in _given(w, node)]
    axes = [value.sym.value if isinstance(value, v.Scalar) and value.sym else None for value in values]
    spelled = w.segment(node)
    if w.function.plan.grid:
        return _grid_loop(w, short, axes)
    if short == "nl.program_ndim":
        return v.Scalar(spelled, Sym.atom(spelled))
    if any(axis != 0 for axis in axes) or (short == "nl.program_id" and not axes):
        w.refused(node, Refused("M-GRID", grid=spelled))  # what follows is looked at all the same
    return v.Scalar(spelled, Sym.atom(spelled))


def _grid_loop(w: Walker, short: str, axes: list[int | None]) -> Value:
    grid = w.function.plan.grid
    if short == "nl.program_ndim":
        return v.Scalar(str(len(grid)), Sym.constant(len(grid)))
    if len(axes) != 1 or axes[0] is None or not 0 <= axes[0] < len(grid):
        raise Refused("M-GRID", grid=", ".join(grid))
    if short == "nl.num_programs":
        return v.Scalar(grid[axes[0]], Sym.atom(grid[axes[0]]))
    if axes[0] >= len(w.programs):
        raise Refused("M-GRID", grid=", ".join(grid))
    name = w.programs[axes[0]]
    return v.Scalar(name, w.env.atom(name))


def _dtype(w: Walker, node: ast.Call) -> Value:
    """``np.dtype(nl.float32)``: element types need no wrapping."""
    (argument,) = _given(w, node)
    found = dtype_of(known(expressions.evaluate(w, argument)))
    if found is None:
        raise Refused("M-DTYPE", fn="np.dtype", operands=w.segment(argument))
    return found


_COUNTS = {
    "nl.arange": (1, 3),
    "nl.ds": (2, 2),
    "nl.constants.sizeinbytes": (1, 1),
    "nl.par_dim": (1, 1),
    "numpy.dtype": (1, 1),
    "nl.program_id": (0, 1),
    "nl.num_programs": (0, 1),
    "nl.program_ndim": (0, 0),
}
"""How many arguments are taken at least and at most."""

_WALKED: dict[str, Callable[[Walker, ast.Call], Value]] = {
    "nl.arange": _arange,
    "nl.ds": _ds,
    "nl.ndarray": allocations.ndarray,
    "nl.zeros": allocations.filled,
    "nl.ones": allocations.filled,
    "nl.full": allocations.filled,
    "nl.constants.sizeinbytes": _size_in_bytes,
    "nl.par_dim": _par_dim,
    "nl.program_id": _program,
    "numpy.dtype": _dtype,
    "nl.num_programs": _program,
    "nl.program_ndim": _program,
    "ncc.sbuf.mod_alloc": addresses.given,
    "ncc.psum.mod_alloc": addresses.given,
}


# -- Python's -----------------------------------------------------------------------------------------


def _python(w: Walker, node: ast.Call, short: str, function: Value) -> Value:
    """A call of trace time, as it stands; integers are followed through the common functions."""
    nodes = [*node.args, *(keyword.value for keyword in node.keywords)]
    changes = carried.changed(w, node)
    if changes:
        raise Refused("M-LOOP", v=changes)
    if any(isinstance(a, ast.Starred) for a in node.args) or any(k.arg is None for k in node.keywords):
        raise Refused("M-PY", x=arguments.SPREAD)
    found = [known(operations.nested(w, argument)) for argument in nodes]
    pairs = [(node.func, text(function)), *((n, text(x)) for n, x in zip(nodes, found, strict=True))]
    spelled = w.respelled(node, pairs)
    name = short.removeprefix("builtins.")
    if name == "math.ceil" and len(nodes) == 1:
        return v.Scalar(spelled, _rounded_up(w, nodes[0], spelled))
    if name == "len" and len(found) == 1:
        return _length(found[0], spelled)
    syms = [x.sym if isinstance(x, v.Scalar) else None for x in found]
    known_syms = [sym for sym in syms if sym is not None]
    if len(known_syms) == len(nodes) and name in _INTEGERS and known_syms:
        return v.Scalar(spelled, _INTEGERS[name](known_syms).named(spelled))
    if isinstance(function, Named) and name in _NUMBERS:
        return v.Scalar(spelled)
    tiles = any(isinstance(x, v.Tensor) for x in found)
    if tiles and isinstance(node.func, ast.Attribute) and node.func.attr == "append" and len(found) == 1:
        listed.append(w, node.func.value, found[0])
        return v.Unknown(spelled)
    if tiles and isinstance(node.func, ast.Attribute) and node.func.attr in ("append", "extend", "insert"):
        raise Refused("M-LIST", x=w.segment(node.func.value))
    if tiles and name not in _ABOUT_TENSORS and not tokens.is_of_project(short):
        raise Refused("M-PY", x=f"a call of `{w.segment(node.func)}` with a tile")
    return v.Unknown(spelled)


def _rounded_up(w: Walker, node: ast.expr, spelled: str) -> Sym | None:
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Div):
        return None
    parts = [known(expressions.evaluate(w, part)) for part in (node.left, node.right)]
    syms = [part.sym for part in parts if isinstance(part, v.Scalar) and part.sym is not None]
    return ceil_div(syms[0], syms[1], spelled) if len(syms) == 2 else None


def _length(value: Value, spelled: str) -> Value:
    if isinstance(value, v.Items):
        return v.Scalar(spelled, Sym.constant(len(value.items), spelled))
    return v.Scalar(spelled, Sym.atom(spelled)) if isinstance(value, Axes) else v.Scalar(spelled)


_INTEGERS: dict[str, Callable[[list[Sym]], Sym]] = {
    "min": lambda sizes: minimum(*sizes),
    "max": lambda sizes: maximum(*sizes),
    "int": lambda sizes: sizes[0],
}
_NUMBERS = frozenset(
    [
        "min",
        "max",
        "abs",
        "int",
        "float",
        "bool",
        *(f"math.{name}" for name in numbers.FUNCTIONS),
    ]
)
_ABOUT_TENSORS = frozenset(("print", "isinstance", "hasattr", "getattr"))
