"""Reductions over free dimensions, and the functions that are made of them."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from .. import isa
from ..core import operators as tokens
from ..core.dtypes import DType, bool_, dtype_of, float32
from ..core.errors import fail
from ..core.operators import Operator
from ..core.tensor import Tensor
from .compute import active, computed, lanes_shape
from .elementwise import FUNCTIONS, Function, tile_operand
from .masks import Region
from .tile import Operand, Tile

Axes = int | Sequence[int]


def free_axes(axis: Axes, ndim: int, name: str) -> tuple[int, ...]:
    """The axes, counted from the front. Raises SimulationError for the partition and for missing axes."""
    axes = tuple(axis) if isinstance(axis, list | tuple) else (axis,)
    found = tuple(sorted(int(a) + ndim if int(a) < 0 else int(a) for a in axes))
    if not found or found[0] < 1 or found[-1] >= ndim or len(set(found)) != len(found):
        raise fail(
            f"{name}: axis is {axis}; it must name free dimensions, 1 to {ndim - 1}: dimension 0 lies on the "
            "partitions (nisa.tensor_partition_reduce)"
        )
    return found


def reduced(
    name: str,
    op: Operator,
    data: Operand,
    axis: Axes,
    dtype: DType,
    mask: Any,
    *,
    negate: bool = False,
    keepdims: bool = False,
) -> Tile:
    """``op`` over free axes in float32; a result that would have partitions only keeps one axis of size 1."""
    axes = free_axes(axis, data.ndim, name)
    last = tuple(range(data.ndim - len(axes), data.ndim))
    order = (*(a for a in range(data.ndim) if a not in axes), *axes)
    shape = tuple(1 if a in axes else n for a, n in enumerate(data.shape))

    def body(dst: Tensor, values: Tensor) -> None:
        isa.tensor_reduce(dst, op, values if axes == last else values.permute(order), list(last), negate)

    made = computed(body, data.shape, dtype, mask, (data,), shape=shape, fill=_neutral(op))
    return made if keepdims else _dropped(made, axes)


def _neutral(op: Operator) -> float:
    """What does not change a reduction."""
    return 0.0 if op.identity is None else float(op.identity)


def _dropped(tile: Tile, axes: tuple[int, ...]) -> Tile:
    """The tile without axes of size 1, but for one where nothing else is free."""
    if len(axes) == tile.ndim - 1:
        axes = axes[:-1]
    if not axes:
        return tile
    kept = [a for a in range(tile.ndim) if a not in axes]
    found = tile.reshape([tile.shape[a] for a in kept])
    if tile.region is not None:
        region = tile.region
        lanes = None if region.lanes is None else region.lanes.reshape(found.shape)
        found.region = Region(found.shape, tuple(region.box[a] for a in kept), lanes)
    return found


class Reduction(Function):
    """``f(x, axis)``; the result has the element type of x, unless ``dtype`` says another."""

    def __call__(
        self,
        x: Any,
        axis: Axes,
        *,
        dtype: Any = None,
        mask: Any = None,
        keepdims: bool = False,
        **kwargs: Any,
    ) -> Tile:
        data = tile_operand(x, self.__name__, "x")
        chosen = dtype_of(dtype or self.default or data.dtype)
        return reduced(f"nl.{self.__name__}", self.operator, data, axis, chosen, mask, keepdims=keepdims)


REDUCTIONS: dict[str, Function] = {
    "max": Reduction(tokens.maximum, "max"),
    "min": Reduction(tokens.minimum, "min"),
    "sum": Reduction(tokens.add, "sum"),
    "prod": Reduction(tokens.multiply, "prod"),
    "all": Reduction(tokens.logical_and, "all", bool_),
}


def _count(data: Operand, axis: Axes, mask: Any, name: str) -> int:
    """How many elements a reduction takes in each partition."""
    region = active(mask, data.shape, (data,))
    if region is not None and region.lanes is not None:
        raise fail(
            f"{name}: the mask must bound axes (i_f < n), or every partition would have a count of its own"
        )
    shape = lanes_shape(region, data.shape)
    return prod(shape[a] for a in free_axes(axis, data.ndim, name))


def mean(
    x: Any, axis: Axes, *, dtype: Any = None, mask: Any = None, keepdims: bool = False, **kwargs: Any
) -> Tile:
    """Mean over free axes, in float32."""
    data = tile_operand(x, "mean", "x")
    total = reduced("nl.mean", tokens.add, data, axis, float32, mask, keepdims=keepdims)
    count = max(_count(data, axis, mask, "nl.mean"), 1)
    return _carried(FUNCTIONS["multiply"](total, 1.0 / count, dtype=dtype or data.dtype), total)


def var(x: Any, axis: Axes, *, dtype: Any = None, mask: Any = None, **kwargs: Any) -> Tile:
    """Variance over free axes (divided by their size), in float32."""
    data = tile_operand(x, "var", "x")
    centre = mean(data, axis, dtype=float32, mask=mask, keepdims=True)
    apart = FUNCTIONS["subtract"](data, centre, dtype=float32, mask=mask)
    return mean(FUNCTIONS["square"](apart, mask=mask), axis, dtype=dtype or data.dtype, mask=mask)


def _carried(tile: Tile, source: Tile) -> Tile:
    tile.region = source.region
    return tile


def softmax(
    x: Any, axis: Axes, *, dtype: Any = None, compute_dtype: Any = None, mask: Any = None, **kwargs: Any
) -> Tile:
    """``exp(x - max) / sum(exp(x - max))`` over free axes; intermediate results in float32."""
    data = tile_operand(x, "softmax", "x")
    largest = REDUCTIONS["max"](data, axis, dtype=float32, mask=mask, keepdims=True)
    powers = FUNCTIONS["exp"](FUNCTIONS["subtract"](data, largest, dtype=float32, mask=mask), mask=mask)
    total = REDUCTIONS["sum"](powers, axis, mask=mask, keepdims=True)
    return FUNCTIONS["divide"](powers, total, dtype=dtype or compute_dtype or data.dtype, mask=mask)


def rms_norm(
    x: Any,
    w: Any,
    axis: Axes,
    n: int,
    epsilon: float = 1e-06,
    *,
    dtype: Any = None,
    compute_dtype: Any = None,
    mask: Any = None,
    **kwargs: Any,
) -> Tile:
    """``x / sqrt(sum(x²) / n + epsilon) * w``; intermediate results in float32."""
    data = tile_operand(x, "rms_norm", "x")
    squares = FUNCTIONS["square"](data, dtype=float32, mask=mask)
    total = REDUCTIONS["sum"](squares, axis, mask=mask, keepdims=True)
    scale = FUNCTIONS["rsqrt"](FUNCTIONS["add"](FUNCTIONS["multiply"](total, 1.0 / n), epsilon))
    normed = FUNCTIONS["multiply"](data, scale, dtype=float32, mask=mask)
    return FUNCTIONS["multiply"](normed, w, dtype=dtype or compute_dtype or data.dtype, mask=mask)
