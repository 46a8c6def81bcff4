"""Selecting, searching and index patterns: GpSimd and Vector Engine."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from ..core import operators as nl
from ..core.context import state
from ..core.dtypes import (
    Array,
    DType,
    bool_,
    float32,
    int8,
    int16,
    int32,
    store,
    tfloat32,
    uint8,
    uint16,
    uint32,
)
from ..core.errors import fail
from ..core.memory import SBUF
from ..core.operators import Operator
from ..core.tensor import Tensor
from . import rules
from .common import F32, instruction, matched, number, operand, operand_limit, put, vector
from .constants import reduce_cmd
from .elementwise import constant, selected

_LOWEST = F32(np.finfo(np.float32).min)
_COMPARISONS = (nl.equal, nl.not_equal, nl.less, nl.less_equal, nl.greater, nl.greater_equal)
_RANGE_COMPARISONS = (nl.equal, nl.less, nl.less_equal, nl.greater, nl.greater_equal)
_IDLE, _RESET_REDUCE = reduce_cmd.idle, reduce_cmd.reset_reduce
_COMMANDS = (_IDLE, reduce_cmd.reduce, _RESET_REDUCE)
_SEARCHED = 16384
_EXACT = 1 << 24
"""Up to which float32 has all integers."""
_KEPT = 1 << 16
"""Elements of index patterns that are kept."""
_AT_ONCE = 1 << 13
"""Elements that are searched for all 8 values at once."""
_EARLIER = np.tri(8, k=-1, dtype=np.bool_)


def _pairs(pattern: Any, name: str) -> tuple[tuple[int, int], ...]:
    """A pattern ``[[step, count], …]``, or ``[step, count]`` alone."""
    try:
        pairs = [pattern] if isinstance(pattern[0], int) else pattern
        read = tuple([(int(step), int(count)) for step, count in pairs])
    except (TypeError, ValueError, IndexError):
        raise fail(
            f"nisa.{name}: pattern is {pattern!r}; it must be [[step, count], …] of integers"
        ) from None
    operand_limit(len(read) <= 4, name, f"pattern {pattern} has {len(read)} dimensions; at most 4")
    return read


@lru_cache(maxsize=64)
def _sums(pairs: tuple[tuple[int, int], ...]) -> Array:
    """``Σ step·index`` for each element of a partition, flat, as int64; to be read only."""
    total = np.zeros(1, np.int64)
    for step, count in pairs:
        total = (total[:, None] + np.arange(count, dtype=np.int64) * step).reshape(-1)
    total.flags.writeable = False
    return total


def _channels(rows: int, offset: int, multiplier: int) -> Array:
    """``offset + p·channel_multiplier`` for each partition, ``[P, 1]``."""
    return np.arange(rows, dtype=np.int64)[:, None] * multiplier + offset


def _kept_if_small(function: Callable[..., Array]) -> Callable[..., Array]:
    """Keep results of up to ``_KEPT`` elements, to be read only; pairs and rows come first."""
    kept = lru_cache(maxsize=64)(function)

    @functools.wraps(function)
    def found(pairs: tuple[tuple[int, int], ...], rows: int, *others: Any) -> Array:
        return (kept if rows * _sums(pairs).size <= _KEPT else function)(pairs, rows, *others)

    return found


@_kept_if_small
def _numbers(
    pairs: tuple[tuple[int, int], ...], rows: int, offset: int, multiplier: int, dtype: DType, stored: Any
) -> Array:
    """What :func:`iota` gives, as it is ``stored`` (NumPy's type) for an element type."""
    numbers = (_channels(rows, offset, multiplier) + _sums(pairs)).astype(np.int32)
    into: Array = np.empty(numbers.shape, stored)
    store(into, numbers if dtype is int32 or dtype is uint32 else numbers.astype(F32), dtype)
    return into


@_kept_if_small
def _holds(
    pairs: tuple[tuple[int, int], ...], rows: int, offset: int, multiplier: int, comparison: Operator
) -> Array:
    """Where the comparison of :func:`affine_select` holds."""
    holds: Array = comparison.test(_sums(pairs), -_channels(rows, offset, multiplier))
    return holds


def _elements(tensor: Tensor) -> tuple[int, int]:
    """Partitions of an operand, and elements in each."""
    rows = tensor.shape[0] if tensor.partitioned else 1
    return rows, tensor.size // rows


def _fits(tensor: Tensor, pairs: tuple[tuple[int, int], ...], name: str, what: str) -> int:
    rows, elements = _elements(tensor)
    size = prod([count for _, count in pairs])
    if elements != size:
        raise fail(f"nisa.{name}: the pattern has {size} elements in a partition, {what} is a {tensor!r}")
    return rows


@instruction
def iota(dst: Any, pattern: Any, offset: Any = 0, channel_multiplier: Any = 0, name: Any = None) -> None:
    """``dst[p, i…] = offset + p·channel_multiplier + Σ step·i`` in 32-bit integers; pattern ``[[step, count],
    …]``.

    At most 4 dimensions, outermost first, as many elements as dst has in a partition. dst: SBUF. Raises
    SimulationError.
    """
    operand(dst, "iota", "dst", (SBUF,))
    pairs = _pairs(pattern, "iota")
    rows = _fits(dst, pairs, "iota", "dst")
    kind = dst.dtype
    put(dst, _numbers(pairs, rows, int(offset), int(channel_multiplier), kind, kind.numpy), "iota")


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
    pairs = _pairs(pattern, "affine_select")
    rows = _fits(on_true_tile, pairs, "affine_select", "on_true_tile")
    holds = _holds(pairs, rows, int(offset), int(channel_multiplier), cmp_op)
    otherwise = number(on_false_value, "affine_select", "on_false_value")
    if on_true_tile.dtype is dst.dtype:
        values = on_true_tile.read_raw()
        result = selected(holds.reshape(values.shape), values, constant(on_false_value, dst))
    else:
        values = on_true_tile.read()
        result = np.where(holds.reshape(values.shape), values, otherwise)
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
    start = number(range_start, "range_select", "range_start")
    operand_limit(
        float(start).is_integer() and abs(float(start)) + flat.shape[1] <= _EXACT,
        "range_select",
        f"range_start is {range_start!r}; it and the indices from it on must be integers up to 2^24",
    )
    index = start + np.arange(flat.shape[1], dtype=F32)
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
    operand_limit(reduce_cmd in _COMMANDS, "select_reduce", f"{reduce_cmd} is not for it as its reduce_cmd")
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
    place, first, there = _places(values, wanted)
    put(dst, np.where(there, place, first).astype(dst.dtype.numpy), "nc_find_index8")


def _places(values: Array, wanted: Array) -> tuple[Array, Array, Array]:
    """Where each wanted value stands: the k-th time it is wanted, its k-th occurrence.

    Also where its first occurrence is (0 without one), and whether the k-th one is there.
    """
    rows = np.arange(values.shape[0])[:, None]
    hits = values[:, None, :] == wanted[:, :, None] if values.size <= _AT_ONCE else None
    if hits is not None:
        first = hits.argmax(axis=2)
    else:
        columns = [(values == wanted[:, i : i + 1]).argmax(axis=1) for i in range(8)]
        first = np.stack(columns, axis=1)
    there = values[rows, first] == wanted
    earlier = np.add.reduce((wanted[:, :, None] == wanted[:, None, :]) & _EARLIER, axis=2, dtype=np.int8)
    if not earlier.any():
        return first, first, there
    if hits is not None:
        occurrence = np.cumsum(hits, axis=2, dtype=np.int16)
        place = (occurrence > earlier[:, :, None]).argmax(axis=2)
        return place, first, occurrence[:, :, -1] > earlier
    place = first.copy()
    repeated_rows, repeated = np.nonzero(earlier)
    for row, column in _portions(repeated_rows, repeated, values.shape[1]):
        occurrence = np.cumsum(values[row] == wanted[row, column, None], axis=1, dtype=np.int16)
        before = earlier[row, column]
        place[row, column] = (occurrence > before[:, None]).argmax(axis=1)
        there[row, column] = occurrence[:, -1] > before
    return place, first, there


def _portions(row: Array, column: Array, width: int) -> Iterator[tuple[Array, Array]]:
    """Pairs, as many at a time as keeps what is looked at small."""
    step = max(1, (1 << 20) // width)
    for start in range(0, row.size, step):
        yield row[start : start + step], column[start : start + step]


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
    with_what = number(imm, "nc_match_replace8", "imm")
    replace = _replace_in_turn if (wanted == with_what).any() else _replace
    places = replace(values, wanted, with_what)
    put(dst, values, "nc_match_replace8")
    if dst_idx is not None:
        operand(dst_idx, "nc_match_replace8", "dst_idx")
        rules.dtype_in("nc_match_replace8", dst_idx, "dst_idx", (uint16, uint32))
        put(dst_idx, places.astype(dst_idx.dtype.numpy), "nc_match_replace8", "dst_idx")


def _replace(values: Array, wanted: Array, with_what: np.float32) -> Array:
    """Replace what no later value looks for; where the values stood."""
    place, _, there = _places(values, wanted)
    row, column = np.nonzero(there)
    values[row, place[row, column]] = with_what
    return np.where(there, place, 0)


def _replace_in_turn(values: Array, wanted: Array, with_what: np.float32) -> Array:
    """Each value finds what the ones before it put there."""
    places = np.zeros(wanted.shape, np.uint32)
    rows = np.arange(values.shape[0])
    for column in range(8):
        hits = values == wanted[:, column : column + 1]
        first = hits.argmax(axis=1)
        there = hits[rows, first]
        places[there, column] = first[there]
        values[rows[there], first[there]] = with_what
    return places


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
    values = src.read_raw().reshape(rows, -1)[::16]
    result = dst.read_raw().reshape(rows, -1).copy()
    row, index = np.nonzero(values)
    found = np.bincount(row, minlength=len(values))
    place = np.arange(row.size) - np.repeat(np.cumsum(found) - found, found)
    into = result[::16]
    into[:, :count] = int(padding_val)
    into[row, place] = index + int(index_offset)
    into[:, count] = found
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
