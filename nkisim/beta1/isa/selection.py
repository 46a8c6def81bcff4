"""Selecting, searching, statistics, and patterns made of index tiles."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import isa
from ...core import operators as tokens
from ...core.context import state
from ...core.dtypes import dtype_of, uint32
from ...core.errors import fail
from ...core.tensor import Tensor
from ...isa.common import put
from ..compute import active, computed, in_sbuf, new_tile, part
from ..dtypes import fp32
from ..index import Affine, as_index
from ..masks import Region, as_mask
from ..tile import Operand, Tile
from .issue import Landing, chip_operand, issue, token


def iota(expr: Any, dtype: Any, *, mask: Any = None, **kwargs: Any) -> Tile:
    """The integers of an index tile, as a tile in SBUF. Raises SimulationError for one that is not affine."""
    index = as_index(expr)
    if not isinstance(index, Affine):
        raise fail(f"nisa.iota: expr is no affine expression of index tiles: {index!r}")

    def body(dst: Tensor) -> None:
        pattern, offset, multiplier = _pattern(index, index.shape, active(mask, index.shape, ()))
        isa.iota(dst, pattern, offset, multiplier)

    return computed(body, index.shape, dtype_of(dtype), mask, ())


def affine_select(
    pred: Any, on_true_tile: Any, on_false_value: Any, *, mask: Any = None, dtype: Any = None, **kwargs: Any
) -> Tile:
    """on_true_tile where a comparison of index tiles holds, on_false_value elsewhere."""
    source = chip_operand(on_true_tile, "affine_select", "on_true_tile")
    difference, compare = _relation(pred, source.shape)

    def body(dst: Tensor, values: Tensor) -> None:
        region = active(mask, source.shape, (source,))
        pattern, offset, multiplier = _pattern(difference, source.shape, region)
        isa.affine_select(dst, pattern, offset, multiplier, in_sbuf(values), on_false_value, compare)

    return computed(body, source.shape, dtype_of(dtype or source.dtype), mask, (source,))


_COMPARISONS = {token.test: token for token in tokens.TOKENS.values() if token.test is not None}


def _relation(pred: Any, shape: tuple[int, ...]) -> tuple[Affine, Any]:
    """What a predicate compares with 0, and the operator that does."""
    found = as_mask(pred).relation
    if found is None:
        raise fail(
            "nisa.affine_select: pred must be one comparison of affine expressions of index tiles, such as "
            f"(i_q >= i_k), not {pred!r}"
        )
    difference, test = found
    if np.broadcast_shapes(difference.shape, shape) != tuple(shape):
        raise fail(f"nisa.affine_select: pred has {list(difference.shape)} lanes, on_true_tile {list(shape)}")
    return difference, _COMPARISONS[test]


def _pattern(
    index: Affine, shape: tuple[int, ...], region: Region | None
) -> tuple[list[list[int]], int, int]:
    """An index over the lanes of a region as pattern, offset and channel multiplier."""
    box = tuple((0, n) for n in shape) if region is None or region.lanes is not None else region.box
    steps = index.aligned(len(box))
    start = index.offset + sum(step * low for step, (low, _) in zip(steps, box, strict=True))
    pairs = [[step, high - low] for step, (low, high) in zip(steps, box, strict=True)]
    return pairs[1:] or [[0, 1]], start, pairs[0][0]


def range_select(
    *,
    on_true_tile: Any,
    comp_op0: Any,
    comp_op1: Any,
    bound0: Any,
    bound1: Any,
    reduce_cmd: Any = isa.reduce_cmd.idle,
    reduce_res: Any = None,
    reduce_op: Any = np.max,
    range_start: Any = 0,
    on_false_value: Any = fp32.min,
    mask: Any = None,
    dtype: Any = None,
    **kwargs: Any,
) -> Tile:
    """on_true_tile where both comparisons of ``range_start + i`` with the bounds hold, else -3.4028235e38.

    VectorE's accumulators take each partition's maximum; with reduce_cmd ``reduce`` also of what they held.
    reduce_res receives them. From gen3 on. Raises SimulationError, also for another on_false_value.
    """
    source = chip_operand(on_true_tile, "range_select", "on_true_tile")
    tests = token(comp_op0, "range_select", "comp_op0"), token(comp_op1, "range_select", "comp_op1")
    reducer = token(reduce_op, "range_select", "reduce_op")
    if float(on_false_value) != fp32.min:
        raise fail(
            f"nisa.range_select: on_false_value is {on_false_value}; the hardware has nl.fp32.min only"
        )
    goes_on = reduce_cmd is isa.reduce_cmd.reduce

    def instruction(dst: Any, values: Any, low: Any, high: Any, into: Any) -> None:
        sums = state.running().vector_accumulators
        before = sums.copy()
        isa.range_select(dst, values, *tests, low, high, reduce_op=reducer, range_start=range_start)
        if goes_on:
            np.maximum(sums, before, out=sums)
        if into is not None:
            put(into, sums[: values.array.shape[0]], "range_select", "reduce_res")

    instruction.__name__ = "range_select"
    return issue(instruction, source, dtype, mask, bound0, bound1, what="on_true_tile", results=(reduce_res,))


def select_reduce(
    *,
    dst: Any,
    predicate: Any,
    on_true: Any,
    on_false: Any,
    reduce_res: Any = None,
    reduce_cmd: Any = isa.reduce_cmd.idle,
    reduce_op: Any = np.max,
    reverse_pred: bool = False,
    mask: Any = None,
    dtype: Any = None,
    **kwargs: Any,
) -> None:
    """dst = on_true where predicate is not 0 (is 0: ``reverse_pred``), else on_false; and the maximum."""
    target = chip_operand(dst, "select_reduce", "dst")
    inputs = [
        chip_operand(v, "select_reduce", w) for v, w in ((predicate, "predicate"), (on_true, "on_true"))
    ]
    region = active(mask, target.shape, (target, *inputs))
    if region is not None and region.empty:
        return
    reducer = token(reduce_op, "select_reduce", "reduce_op")
    landing, result = Landing(target, region), Landing(reduce_res, region)
    test, values, other = (part(v, region) for v in (*inputs, on_false))
    isa.select_reduce(landing.tensor, test, values, other, result.tensor, reduce_cmd, reducer, reverse_pred)
    landing.settle()
    result.settle()


def _free(tile: Operand) -> int:
    return int(np.prod(tile.shape[1:], dtype=np.int64))


def max8(*, src: Any, mask: Any = None, dtype: Any = None, **kwargs: Any) -> Tile:
    """The 8 largest values of each partition, largest first: ``[P, 8]``."""
    source = chip_operand(src, "max8", "src")
    return _matrix(issue(isa.max8, source, dtype, mask, what="src", shape=_row(source, 8), fill=-np.inf))


def _row(tile: Operand, count: int) -> tuple[int, ...]:
    """The shape of a result with ``count`` elements in each partition, with as many axes as the tile."""
    return (tile.shape[0], *(1,) * (tile.ndim - 2), count)


def _matrix(tile: Tile) -> Tile:
    """The result as ``[P, n]``."""
    if tile.ndim == 2:
        return tile
    found = tile.reshape((tile.shape[0], tile.shape[-1]))
    if tile.region is not None:
        found.region = Region(found.shape, (tile.region.box[0], (0, found.shape[1])))
    return found


def nc_find_index8(*, data: Any, vals: Any, mask: Any = None, dtype: Any = None, **kwargs: Any) -> Tile:
    """Where in its partition of data each of 8 values first stands: ``[P, 8]``, uint32 or uint16."""
    source, wanted = (
        chip_operand(data, "nc_find_index8", "data"),
        chip_operand(vals, "nc_find_index8", "vals"),
    )
    shape = _row(source, 8)
    return _matrix(issue(isa.nc_find_index8, source, dtype or uint32, mask, wanted, shape=shape, fill=np.nan))


def nc_match_replace8(
    *, data: Any, vals: Any, imm: Any, dst_idx: Any = None, mask: Any = None, dtype: Any = None, **kwargs: Any
) -> Tile:
    """data with the first occurrence of each of 8 values replaced by imm; ``dst_idx``: where they stood."""
    source, wanted = (
        chip_operand(data, "nc_match_replace8", "data"),
        chip_operand(vals, "nc_match_replace8", "vals"),
    )

    def instruction(dst: Any, values: Any, eight: Any, into: Any) -> None:
        isa.nc_match_replace8(dst, values, eight, imm, into)

    instruction.__name__ = "nc_match_replace8"
    return issue(instruction, source, dtype, mask, wanted, results=(dst_idx,), fill=np.nan)


def bn_stats(data: Any, *, mask: Any = None, dtype: Any = None, **kwargs: Any) -> Tile:
    """Count, mean and variance·count of each partition's even, then of its odd elements: ``[P, 6]``."""
    source = chip_operand(data, "bn_stats", "data")
    return _matrix(issue(isa.bn_stats, source, dtype, mask, shape=_row(source, 6)))


def bn_aggr(data: Any, *, mask: Any = None, dtype: Any = None, **kwargs: Any) -> Tile:
    """Mean and variance from what :func:`bn_stats` gave: ``[P, 2]``."""
    source = chip_operand(data, "bn_aggr", "data")
    return _matrix(issue(isa.bn_aggr, source, dtype, mask, shape=_row(source, 2)))


def tensor_partition_reduce(
    op: Any, data: Any, *, mask: Any = None, dtype: Any = None, **kwargs: Any
) -> Tile:
    """``op`` over the partitions: ``[1, …]``."""
    source = chip_operand(data, "tensor_partition_reduce", "data")
    function = token(op, "tensor_partition_reduce")

    def instruction(dst: Any, values: Any) -> None:
        isa.tensor_partition_reduce(dst, function, in_sbuf(values))

    instruction.__name__ = "tensor_partition_reduce"
    fill = 0.0 if function.identity is None else float(function.identity)
    return issue(instruction, source, dtype, mask, shape=(1, *source.shape[1:]), fill=fill)


def sequence_bounds(*, segment_ids: Any, dtype: Any = None) -> Tile:
    """Start and end of the run of equal ids that each element stands in: ``[1, 2, n]``."""
    source = chip_operand(segment_ids, "sequence_bounds", "segment_ids")
    made = new_tile((1, 2, _free(source)), dtype_of(dtype or source.dtype))
    isa.sequence_bounds(made.tensor, source.part(None))
    return made
