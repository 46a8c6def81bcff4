"""Reductions over free dimensions, on Vector Engine."""

from __future__ import annotations

import ast

from ...record import replace
from ..analysis.dtypes import FLAGS, FLOAT32
from ..analysis.symbols import Sym, product
from ..analysis.values import Dtype, Scalar, Shape, Space, Tensor, Unknown
from .call import Call, Lowering, code, literal, operand_code
from .tiles import column, copied, matrix, pattern, reshaped, result, size, steps_of, tile, type_of

RANK = 5
"""Dimensions that the instruction counts: the last one is 4 whatever the tile's rank is."""
OPERATIONS = {"sum": "nl.add", "max": "nl.maximum", "min": "nl.minimum", "prod": "nl.multiply"}


def reduction(op: str) -> Lowering:
    """``nl.f(x, axis)`` → ``nisa.tensor_reduce(op=op)``."""

    def lower(call: Call) -> Tensor:
        x = rows(call, "x")
        return reduced(call, op, x, axes(call, x), call.dtype() or type_of(x), call.flag("keepdims"))

    return lower


def every(call: Call) -> Tensor:
    """``nl.all``: truth values."""
    x = rows(call, "x")
    return reduced(call, "nl.logical_and", x, axes(call, x), call.dtype() or FLAGS, call.flag("keepdims"))


def rows(call: Call, parameter: str) -> Tensor:
    """What is reduced; a tile of unknown rank whose axis 1 or last one is reduced counts as a matrix."""
    data, axis = tile(call, parameter), call.integers("axis")
    if data.shape is None and axis == (1,):
        call.out.note("M-RANK", fn=call.name, x=data.text, n="2")
    return matrix(data) if axis in ((1,), (-1,)) else data


def axes(call: Call, data: Tensor) -> tuple[int, ...]:
    """The free axes that the call names, counted from the front."""
    named = call.integers("axis")
    if data.shape is None:
        call.refuse("M-SHAPE", operands=data.text)
    found = tuple(sorted(axis + len(data.shape) if axis < 0 else axis for axis in named))
    if not found or found[0] < 1 or found[-1] >= len(data.shape) or len(set(found)) < len(found):
        call.refuse("M-RED", axes=str(list(named)))
    return found


def reduced(
    call: Call,
    op: str,
    data: Tensor,
    axes: tuple[int, ...],
    dtype: Dtype,
    keepdims: bool = False,
    options: dict[str, str] | None = None,
) -> Tensor:
    """``op`` over free axes; where only partitions would be left, one axis of size 1 stays."""
    assert data.shape is not None
    ordered, which = innermost(call, trailing(call, data, axes), len(axes))

    def write(dst: Tensor) -> None:
        call.out.emit(
            "nisa.tensor_reduce", dst=dst.text, op=op, data=ordered.text, axis=which, **(options or {})
        )

    return result(call, write, remaining(data.shape, axes, keepdims), dtype)


def innermost(call: Call, data: Tensor, count: int) -> tuple[Tensor, str]:
    """The tensor, and the code for its last ``count`` axes: a number for a matrix, else a list.

    Releases count the axes of longer lists differently unless the tensor has all of the dimensions that the
    instruction counts, so that those of a whole tensor become one, and an access pattern gets them all.
    """
    assert data.shape is not None
    if count > 1 and data.whole and ".ap(" not in data.text:
        data, count = reshaped(call, data, (*data.shape[:-count], product(data.shape[-count:])), "flat"), 1
    elif count > 1:
        data = _of_rank(data, RANK)
    assert data.shape is not None
    return data, "1" if len(data.shape) == 2 else str(list(range(RANK - count, RANK)))


def remaining(shape: Shape, axes: tuple[int, ...], keepdims: bool) -> Shape:
    """The shape of the result."""
    if keepdims:
        return tuple(Sym.constant(1) if axis in axes else n for axis, n in enumerate(shape))
    if len(axes) == len(shape) - 1:
        return (shape[0], Sym.constant(1))
    return tuple(n for axis, n in enumerate(shape) if axis not in axes)


def trailing(call: Call, data: Tensor, axes: tuple[int, ...]) -> Tensor:
    """The tensor with these axes last, which are those that the instruction reduces."""
    assert data.shape is not None
    rank = len(data.shape)
    if axes == tuple(range(rank - len(axes), rank)):
        return data
    order = [axis for axis in range(rank) if axis not in axes] + list(axes)
    moved = _reordered(data, order)
    if moved is not None:
        return moved
    source = data if data.whole else copied(call, data, data.dtype, "gathered")
    steps = steps_of(data.shape)
    return pattern(source, [steps[axis] for axis in order], [data.shape[axis] for axis in order])


def _of_rank(data: Tensor, rank: int) -> Tensor:
    """An access pattern with axes of one element behind the partitions; anything else as it is."""
    pairs = _pairs(data)
    if pairs is None or len(pairs) >= rank:
        return data
    shape = data.shape or ()
    missing = rank - len(pairs)
    ones = (Sym.constant(1),) * missing
    return _with_pairs(data, [pairs[0], *["[1, 1]"] * missing, *pairs[1:]], (shape[0], *ones, *shape[1:]))


def _reordered(data: Tensor, order: list[int]) -> Tensor | None:
    """An access pattern with its pairs in another order; None for what is no access pattern."""
    pairs = _pairs(data)
    if pairs is None or len(pairs) != len(order):
        return None
    shape = tuple((data.shape or ())[axis] for axis in order)
    return _with_pairs(data, [pairs[axis] for axis in order], shape)


def _pattern(data: Tensor) -> ast.List | None:
    """The pairs of a plain access pattern; None for anything else."""
    node = ast.parse(data.text, mode="eval").body
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.func.attr != "ap":
        return None
    given = {keyword.arg: keyword.value for keyword in node.keywords}
    pairs = given.get("pattern")
    return pairs if isinstance(pairs, ast.List) and not set(given) - {"pattern", "offset"} else None


def _pairs(data: Tensor) -> list[str] | None:
    pairs, source = _pattern(data), data.text.encode()
    return None if pairs is None else [source[n.col_offset : n.end_col_offset].decode() for n in pairs.elts]


def _with_pairs(data: Tensor, pairs: list[str], shape: Shape) -> Tensor:
    old, source = _pattern(data), data.text.encode()
    assert old is not None
    start, end = source[: old.col_offset].decode(), source[old.end_col_offset :].decode()
    return replace(data, text=f"{start}[{', '.join(pairs)}]{end}", shape=shape)


def count(data: Tensor, axes: tuple[int, ...]) -> Sym:
    """How many elements are reduced to one."""
    return product(size(data, axis) for axis in axes)


def mean(call: Call) -> Tensor:
    """The sum in float32, times one over the count."""
    x = rows(call, "x")
    chosen, kept = axes(call, x), call.flag("keepdims")
    assert x.shape is not None
    shape = remaining(x.shape, chosen, kept)
    ordered, which = innermost(call, trailing(call, x, chosen), len(chosen))
    total = call.out.temporary("total", shape, FLOAT32, Space.SBUF)
    call.out.emit("nisa.tensor_reduce", dst=total.text, op="nl.add", data=ordered.text, axis=which)
    part = f"1.0 / {operand_code(count(x, chosen).text)}"

    def write(dst: Tensor) -> None:
        call.out.emit("nisa.tensor_scalar", dst=dst.text, data=total.text, op0="nl.multiply", operand0=part)

    return result(call, write, shape, call.dtype() or type_of(x), like=total)


def variance(call: Call) -> Tensor:
    """``nl.var`` over the last axis, by a helper function."""
    x = tile(call, "x")
    return by_helper(call, "variance", x, column(x), call.dtype() or type_of(x))


def by_helper(call: Call, helper: str, x: Tensor, shape: Shape | None, dtype: Dtype, **more: str) -> Tensor:
    """A helper function that reads the rows of a matrix: ``helper(dst, data, …)``."""
    x = matrix(x)
    assert x.shape is not None
    axis = call.value("axis")
    if len(x.shape) != 2:
        call.refuse("M-RED", axes=code(axis))
    if isinstance(axis, Scalar | Unknown) and literal(axis) is None:
        call.out.line(f"assert {operand_code(code(axis))} in [1, -1]")
    elif axes(call, x) != (1,):
        call.refuse("M-RED", axes=str(list(call.integers("axis"))))
    shape = x.shape if shape is None else shape

    def write(dst: Tensor) -> None:
        call.out.emit(call.out.helper(helper), dst=dst.text, data=x.text, **more)

    return result(call, write, shape, dtype, like=x if shape == x.shape else None, reads=(x,))


LOWERINGS: dict[str, Lowering] = {
    **{f"nl.{name}": reduction(op) for name, op in OPERATIONS.items()},
    "nl.all": every,
    "nl.mean": mean,
    "nl.var": variance,
}
