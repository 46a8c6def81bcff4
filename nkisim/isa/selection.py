"""Selecting, searching and index patterns: GpSimd and Vector Engine."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ..core import operators as nl
from ..core.context import state
from ..core.dtypes import (
    Array,
    bool_,
    float32,
    int8,
    int16,
    int32,
    tfloat32,
    uint8,
    uint16,
    uint32,
)
from ..core.memory import SBUF
from ..core.tensor import Tensor
from . import rules
from .common import F32, instruction, matched, operand, operand_limit, put, vector
from .constants import reduce_cmd
from .elementwise import constant, selected

_LOWEST = F32(np.finfo(np.float32).min)
_COMPARISONS = (nl.equal, nl.not_equal, nl.less, nl.less_equal, nl.greater, nl.greater_equal)
_RANGE_COMPARISONS = (nl.equal, nl.less, nl.less_equal, nl.greater, nl.greater_equal)
_IDLE, _RESET_REDUCE = reduce_cmd.idle, reduce_cmd.reset_reduce
_SEARCHED = 16384


def _free_pattern(pattern: Any, name: str) -> Array:
    """``Σ step·index`` for each element of a partition, flat, as int64; to be read only."""
    pairs: Sequence[Any] = [pattern] if isinstance(pattern[0], int) else pattern
    operand_limit(len(pairs) <= 4, name, f"pattern {pattern} has {len(pairs)} dimensions; at most 4")
    return _sums(tuple([(int(step), int(count)) for step, count in pairs]))


@lru_cache(maxsize=64)
def _sums(pairs: tuple[tuple[int, int], ...]) -> Array:
    total = np.zeros(1, np.int64)
    for step, count in pairs:
        total = (total[:, None] + np.arange(count, dtype=np.int64) * step).reshape(-1)
    total.flags.writeable = False
    return total


def _channels(rows: int, offset: Any, multiplier: Any) -> Array:
    """``offset + p·channel_multiplier`` for each partition, ``[P, 1]``."""
    return np.arange(rows, dtype=np.int64)[:, None] * int(multiplier) + int(offset)


def _elements(tensor: Tensor) -> tuple[int, int]:
    """Partitions of an operand, and elements in each."""
    rows = tensor.shape[0] if tensor.partitioned else 1
    return rows, tensor.size // rows


def _fits(tensor: Tensor, free: Array, name: str, what: str) -> int:
    rows, elements = _elements(tensor)
    operand_limit(
        elements == free.size,
        name,
        f"the pattern has {free.size} elements in a partition, {what} is a {tensor!r}",
    )
    return rows


@instruction
def iota(dst: Any, pattern: Any, offset: Any = 0, channel_multiplier: Any = 0, name: Any = None) -> None:
    """``dst[p, i…] = offset + p·channel_multiplier + Σ step·i`` in 32-bit integers; pattern ``[[step, count],
    …]``.

    At most 4 dimensions, outermost first, as many elements as dst has in a partition. dst: SBUF. Raises
    SimulationError.
    """
    operand(dst, "iota", "dst", (SBUF,))
    free = _free_pattern(pattern, "iota")
    rows = _fits(dst, free, "iota", "dst")
    values = (_channels(rows, offset, channel_multiplier) + free).astype(np.int32)
    put(dst, values if dst.dtype in (int32, uint32) else values.astype(F32), "iota")


@instruction
def affine_select(
    dst: Any,
    pattern: Any,
    offset: Any = 0,
    channel_multiplier: Any = 0,
    on_true_tile: Any = None,
    on_false_value: Any = 0.0,
    cmp_op: Any = nl.equal,
    name: Any = None,
) -> None:
    """on_true_tile where ``cmp_op(offset + p·channel_multiplier + Σ step·i, 0)`` holds, on_false_value
    elsewhere.

    The pattern is that of :func:`iota`; the comparison is in integers. Equal element types copy the stored
    values. Buffers: SBUF only (GpSimd Engine). Raises SimulationError.
    """
    operand(dst, "affine_select", "dst", (SBUF,))
    operand(on_true_tile, "affine_select", "on_true_tile", (SBUF,))
    rules.one_of("affine_select", cmp_op, "cmp_op", _COMPARISONS)
    free = _free_pattern(pattern, "affine_select")
    rows = _fits(on_true_tile, free, "affine_select", "on_true_tile")
    limit = -_channels(rows, offset, channel_multiplier)
    holds = cmp_op.test(free, limit)
    if on_true_tile.dtype is dst.dtype:
        values = on_true_tile.read_raw()
        result = selected(holds.reshape(values.shape), values, constant(on_false_value, dst))
    else:
        values = on_true_tile.read()
        result = np.where(holds.reshape(values.shape), values, F32(on_false_value))
    put(dst, result, "affine_select")


@instruction
def range_select(
    dst: Any,
    on_true_tile: Any,
    comp_op0: Any,
    comp_op1: Any,
    bound0: Any,
    bound1: Any,
    reduce_cmd: reduce_cmd = _RESET_REDUCE,
    reduce_res: Any = None,
    reduce_op: Any = nl.maximum,
    range_start: Any = 0.0,
    on_false_value: Any = -3.4028235e38,
    name: Any = None,
) -> None:
    """on_true_tile where both comparisons of ``range_start + i`` with the bounds hold, -3.4028235e38
    elsewhere.

    i counts the elements of a partition, in float32; bounds are float32 ``[P, 1]`` tiles. reduce_res receives
    each partition's maximum, before conversion to dst. As on the hardware, reduce_cmd and on_false_value are
    ignored (always reset_reduce, lowest float32). From gen3 on. Buffers: SBUF or PSUM. Raises
    SimulationError.
    """
    rules.needs_generation("range_select")
    operand(dst, "range_select", "dst")
    operand(on_true_tile, "range_select", "on_true_tile")
    rules.one_of("range_select", comp_op0, "comp_op0", _RANGE_COMPARISONS)
    rules.one_of("range_select", comp_op1, "comp_op1", _RANGE_COMPARISONS)
    rules.one_of("range_select", reduce_op, "reduce_op", (nl.maximum,))
    rules.dtype_in("range_select", on_true_tile, "on_true_tile", rules.FLOATS)
    for what, bound in (("bound0", bound0), ("bound1", bound1)):
        rules.dtype_in("range_select", operand(bound, "range_select", what), what, (float32,))
    values = on_true_tile.read()
    flat = values.reshape(values.shape[0], -1)
    index = F32(range_start) + np.arange(flat.shape[1], dtype=F32)
    inside = comp_op0.test(index, vector(bound0, flat, "range_select", "bound0"))
    inside &= comp_op1.test(index, vector(bound1, flat, "range_select", "bound1"))
    result = np.where(inside, flat, _LOWEST)
    _reduce_maximum("range_select", result, _RESET_REDUCE, reduce_res)
    put(dst, result.reshape(values.shape), "range_select")


def _reduce_maximum(name: str, result: Array, command: reduce_cmd, into: Any) -> None:
    """Vector Engine's accumulators take each partition's maximum; ``into`` receives them."""
    registers = state.running().vector_accumulators
    rows = result.shape[0]
    if command is _RESET_REDUCE:
        registers[...] = -np.inf
    if command is not _IDLE:
        np.maximum(registers[:rows, 0], result.reshape(rows, -1).max(axis=1), out=registers[:rows, 0])
    if into is not None:
        put(operand(into, name, "reduce_res"), registers[:rows], name, "reduce_res")


@instruction
def select_reduce(
    dst: Any,
    predicate: Any,
    on_true: Any,
    on_false: Any,
    reduce_res: Any = None,
    reduce_cmd: reduce_cmd = _IDLE,
    reduce_op: Any = nl.maximum,
    reverse_pred: bool = False,
    name: Any = None,
) -> None:
    """on_true where predicate is not 0 (is 0, with ``reverse_pred``), on_false elsewhere; and the running
    maximum.

    predicate: int8, uint8, int16, uint16. on_false: a number or a ``[P, 1]`` tile. on_true: no 32-bit
    integer, no tfloat32. reduce_cmd: ``reset_reduce`` takes each partition's maximum, ``reduce`` that and
    what Vector Engine's accumulators held; reduce_res receives them. Buffers: SBUF or PSUM, but not predicate
    and on_true both in PSUM. Raises SimulationError.
    """
    operand(dst, "select_reduce", "dst")
    operand(predicate, "select_reduce", "predicate")
    operand(on_true, "select_reduce", "on_true")
    rules.one_in_psum("select_reduce", predicate, on_true, ("predicate", "on_true"))
    rules.dtype_in("select_reduce", predicate, "predicate", (int8, uint8, int16, uint16, bool_))
    rules.one_of("select_reduce", reduce_op, "reduce_op", (nl.maximum,))
    operand_limit(
        on_true.dtype not in (tfloat32, int32, uint32),
        "select_reduce",
        f"on_true is a {on_true!r}; not this type",
    )
    operand_limit(
        reduce_cmd.name in ("idle", "reduce", "reset_reduce"), "select_reduce", f"{reduce_cmd} is not for it"
    )
    if reduce_res is not None:
        operand(reduce_res, "select_reduce", "reduce_res")
        rules.dtype_in("select_reduce", reduce_res, "reduce_res", rules.FLOATS)
    values = on_true.read()
    flags = matched(values, predicate.read_raw(), "select_reduce", ("on_true", "predicate"))
    chosen = np.equal(flags, 0) if reverse_pred else np.not_equal(flags, 0)
    result = np.where(chosen, values, vector(on_false, values, "select_reduce", "on_false"))
    _reduce_maximum("select_reduce", result, reduce_cmd, reduce_res)
    put(dst, result, "select_reduce")


def _searched(name: str, tensor: Any, what: str, least: int = 1) -> Array:
    """The values as ``[P, N]``, with N within the limits of the search instructions."""
    operand(tensor, name, what)
    values: Array = tensor.read()
    flat = values.reshape(values.shape[0], -1)
    operand_limit(
        least <= flat.shape[1] <= _SEARCHED,
        name,
        f"{what} has {flat.shape[1]} elements in a partition; allowed: {least} to {_SEARCHED}",
    )
    return flat


def _eight(name: str, vals: Any, data: Array) -> Array:
    operand(vals, name, "vals")
    values: Array = vals.read()
    flat = values.reshape(values.shape[0], -1)
    operand_limit(
        flat.shape == (data.shape[0], 8),
        name,
        f"vals is a {vals!r}; it must have the data's partitions and 8 elements",
    )
    return flat


@instruction
def max8(dst: Any, src: Any, name: Any = None) -> None:
    """The 8 largest values of each partition, largest first, compared in float32.

    src: 8 to 16384 elements in a partition; dst: 8. Buffers: SBUF or PSUM. Raises SimulationError.
    """
    operand(dst, "max8", "dst")
    values = _searched("max8", src, "src", 8)
    top = np.partition(values, values.shape[1] - 8, axis=1)[:, -8:] if values.shape[1] > 8 else values
    put(dst, np.sort(top, axis=1)[:, ::-1], "max8")


@instruction
def nc_find_index8(dst: Any, data: Any, vals: Any, name: Any = None) -> None:
    """Where in its partition of data each of 8 values first stands.

    A value that vals repeats takes the following occurrences in turn, so that the indices of a top 8 differ.
    A value that data does not have gives 0 (undefined on the hardware). data: 8 to 16384 elements in a
    partition; dst: 8, uint16 or uint32. Buffers: SBUF or PSUM. Raises SimulationError.
    """
    operand(dst, "nc_find_index8", "dst")
    rules.dtype_in("nc_find_index8", dst, "dst", (uint16, uint32))
    values = _searched("nc_find_index8", data, "data", 8)
    wanted = _eight("nc_find_index8", vals, values)
    found = np.empty(wanted.shape, np.uint32)
    for column in range(8):
        found[:, column] = (values == wanted[:, column : column + 1]).argmax(axis=1)
    _spread_repeats(values, wanted, found)
    put(dst, found.astype(dst.dtype.numpy), "nc_find_index8")


def _spread_repeats(values: Array, wanted: Array, found: Array) -> None:
    """The k-th time a value is wanted takes its k-th occurrence."""
    for column in range(1, 8):
        earlier = (wanted[:, :column] == wanted[:, column : column + 1]).sum(axis=1)
        rows = np.flatnonzero(earlier)
        if rows.size:
            occurrence = np.cumsum(values[rows] == wanted[rows, column : column + 1], axis=1)
            place = (occurrence > earlier[rows, None]).argmax(axis=1)
            there = occurrence[:, -1] > earlier[rows]
            found[rows[there], column] = place[there]


@instruction
def nc_match_replace8(
    dst: Any, data: Any, vals: Any, imm: Any, dst_idx: Any = None, name: Any = None
) -> None:
    """data with the first occurrence of each of 8 values replaced by imm, one value after the other.

    dst_idx receives where they stood (0 for a value that data does not have): 8 elements, uint16 or uint32.
    data: at most 16384 elements in a partition. Buffers: SBUF or PSUM. Raises SimulationError.
    """
    operand(dst, "nc_match_replace8", "dst")
    values = _searched("nc_match_replace8", data, "data").copy()
    wanted = _eight("nc_match_replace8", vals, values)
    places = np.zeros(wanted.shape, np.uint32)
    rows = np.arange(values.shape[0])
    for column in range(8):
        hits = values == wanted[:, column : column + 1]
        first = hits.argmax(axis=1)
        there = hits[rows, first]
        places[there, column] = first[there]
        values[rows[there], first[there]] = F32(imm)
    put(dst, values, "nc_match_replace8")
    if dst_idx is not None:
        operand(dst_idx, "nc_match_replace8", "dst_idx")
        rules.dtype_in("nc_match_replace8", dst_idx, "dst_idx", (uint16, uint32))
        put(dst_idx, places.astype(dst_idx.dtype.numpy), "nc_match_replace8", "dst_idx")


@instruction
def nonzero_with_count(
    dst: Any, src: Any, index_offset: Any = 0, padding_val: Any = -1, name: Any = None
) -> None:
    """Indices of the elements that are not 0, plus index_offset; then padding_val; last, how many there are.

    Works on partitions 0, 16, …, 112; the others of dst stay. src: float32 or int32; dst: int32, one element
    more. From gen3 on. Buffers: SBUF only (GpSimd Engine). Raises SimulationError.
    """
    rules.needs_generation("nonzero_with_count")
    operand(dst, "nonzero_with_count", "dst", (SBUF,))
    operand(src, "nonzero_with_count", "src", (SBUF,))
    rules.dtype_in("nonzero_with_count", src, "src", (float32, int32))
    rules.dtype_in("nonzero_with_count", dst, "dst", (int32,))
    (rows, count), (into_rows, into) = _elements(src), _elements(dst)
    operand_limit(
        rows == into_rows and into == count + 1,
        "nonzero_with_count",
        f"src is a {src!r}, dst a {dst!r}; dst must have the same partitions and one element more in each",
    )
    values = src.read_raw().reshape(rows, -1)
    result = dst.read_raw().reshape(rows, -1).copy()
    for row in range(0, rows, 16):
        indices = np.flatnonzero(values[row])
        result[row, : indices.size] = indices + int(index_offset)
        result[row, indices.size : count] = int(padding_val)
        result[row, count] = indices.size
    put(dst, result, "nonzero_with_count")


@instruction
def sequence_bounds(dst: Any, segment_ids: Any, name: Any = None, dtype: Any = None) -> None:
    """For each element the start and the (exclusive) end of the run of equal ids it stands in.

    segment_ids: one partition of n ids; dst: one partition of 2·n, all starts before all ends. Id 0 is
    padding and gives (n, -1). Both float32 or int32. Buffers: SBUF only (GpSimd Engine). Raises
    SimulationError.
    """
    for what, tensor in (("dst", dst), ("segment_ids", segment_ids)):
        operand(tensor, "sequence_bounds", what, (SBUF,))
        rules.dtype_in("sequence_bounds", tensor, what, (float32, int32))
    rows, count = _elements(segment_ids)
    operand_limit(
        rows == 1, "sequence_bounds", f"segment_ids is a {segment_ids!r}; it must have one partition"
    )
    ids = segment_ids.read_raw().reshape(-1)
    edges = np.flatnonzero(np.concatenate([[True], ids[1:] != ids[:-1], [True]]))
    lengths = np.diff(edges)
    starts, ends = np.repeat(edges[:-1], lengths), np.repeat(edges[1:], lengths)
    bounds = np.stack([np.where(ids == 0, count, starts), np.where(ids == 0, -1, ends)])
    put(dst, bounds.reshape(1, 2, count).astype(dst.dtype.numpy), "sequence_bounds")
