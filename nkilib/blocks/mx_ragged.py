"""MX operands with the partitions first, whose last tile may be ragged: weights and activations of the MLPs.

    values   HBM x4    [P, tiles, N]        lane q of (partition p, tile i, column n)
    scales   HBM uint8 [P / 8, tiles, N]

A contraction of ``length`` values has ``⌈length / 512⌉`` tiles. The last one has :func:`rest` partitions, a
multiple of 8; TensorE takes multiples of 32, so what lies between is zero on chip. P is 128, or the rest when
there is no other tile. In SBUF operands are as :mod:`.mx` has them.
"""

from typing import Any

import nki.isa as nisa

from ..core.utils.allocator import SbufManager
from ..core.utils.kernel_helpers import div_ceil
from ..core.utils.tensor_view import TensorView
from .memory import PARTITIONS, PSUM_COLUMNS, psum_tile, scratch
from .mx import (
    LANES,
    QUADRANT_PARTITIONS,
    TILE,
    MxOperand,
    contract_mx,
    mx_columns,
    mx_tiles,
    place_scales,
    quantize,
)
from .projection import affine
from .tiles import as_tile, as_view

GROUP = 8
"""Partitions that share a scale."""


def mx_tiles_of(length: int) -> int:
    """Tiles of a contraction of so many values, the ragged one included."""
    return div_ceil(length, TILE)


def rest(length: int) -> int:
    """Partitions of the ragged last tile; 0 without one."""
    return length % TILE // LANES


def padded(partitions: int) -> int:
    """The multiple of 32 partitions that a product with these takes."""
    return div_ceil(partitions, QUADRANT_PARTITIONS) * QUADRANT_PARTITIONS


def mx_partitions(operand: MxOperand, count: int) -> MxOperand:
    """The first ``count`` partitions."""
    return MxOperand(
        values=as_view(operand.values).slice(0, 0, count),
        scales=as_view(operand.scales).slice(0, 0, count),
    )


def whole_tiles(operand: MxOperand, length: int) -> MxOperand:
    """All tiles but the ragged one."""
    return mx_tiles(operand, 0, length // TILE)


def last_tile(operand: MxOperand, length: int) -> MxOperand:
    """The ragged tile, ``padded(rest(length))`` partitions of it."""
    whole = length // TILE
    return mx_partitions(mx_tiles(operand, whole, whole + 1), padded(rest(length)))


def load_mx_tiles(dst: MxOperand, values: Any, scales: Any, length: int) -> None:
    """A quantised operand of HBM; nothing of it beyond ``length`` is read, and that is zero in ``dst``."""
    load_mx_values(dst, values, length)
    load_mx_scales(dst, scales, length)


def load_mx_values(dst: MxOperand, values: Any, length: int) -> None:
    """The values of :func:`load_mx_tiles`."""
    source, whole, more = as_view(values), length // TILE, rest(length)
    if whole > 0:
        into = as_view(dst.values).slice(1, 0, whole)
        nisa.dma_copy(dst=into.get_view(), src=source.slice(1, 0, whole).get_view())
    if more > 0:
        last = last_tile(dst, length)
        _zero_padding(last.values, more)
        part = source.slice(0, 0, more).slice(1, whole, whole + 1)
        nisa.dma_copy(dst=last.values.slice(0, 0, more).get_view(), src=part.get_view())


def load_mx_scales(dst: MxOperand, scales: Any, length: int) -> None:
    """The scales of :func:`load_mx_tiles`."""
    source, whole, more = as_view(scales), length // TILE, rest(length)
    if whole > 0:
        place_scales(as_view(dst.scales).slice(1, 0, whole), source.slice(1, 0, whole))
    if more > 0:
        last = last_tile(dst, length)
        _zero_padding(last.scales, more)
        place_scales(last.scales, source.slice(0, 0, more // GROUP).slice(1, whole, whole + 1))


def _zero_padding(tile: Any, partitions: int) -> None:
    """Write zeros, before the ``partitions`` in use, over a tile that has others; engines start at 32·n."""
    if partitions % QUADRANT_PARTITIONS != 0:
        nisa.memset(dst=as_tile(tile), value=0)


def quantize_tiles(dst: MxOperand, src: Any, length: int, sbm: SbufManager) -> None:
    """:func:`.mx.quantize` of SBUF ``[128, tiles, N, 4]``; nothing of it beyond ``length`` is read."""
    source, whole, more = as_view(src), length // TILE, rest(length)
    if whole > 0:
        quantize(whole_tiles(dst, length), source.slice(1, 0, whole))
    if more > 0:
        work = scratch(sbm, name="quantize_tiles")
        part = source.slice(0, 0, more).slice(1, whole, whole + 1)
        if more % QUADRANT_PARTITIONS != 0:
            held = work.tile((padded(more), 1, source.shape[2], LANES), source.dtype)
            _zero_padding(held, more)
            nisa.tensor_copy(dst=held[0:more], src=part.get_view())
            part = as_view(held)
        quantize(last_tile(dst, length), part)
        work.close()


def contract_mx_tiles(dst: Any, stationary: MxOperand, moving: MxOperand, length: int) -> None:
    """:func:`.mx.contract_mx` over ``length`` values."""
    if length >= TILE:
        contract_mx(dst, whole_tiles(stationary, length), whole_tiles(moving, length))
    if rest(length) > 0:
        contract_mx(dst, last_tile(stationary, length), last_tile(moving, length))


# -- products with the columns of the weights on the partitions ------------------------------------------


def project_lanes(
    dst: TensorView, activations: MxOperand, weight: MxOperand, bias: Any, columns: int, sbm: SbufManager
) -> None:
    """``dst[p, k, t, q] = Σ_h x[t, h]·W[h, 512 k + q·c/4 + p] + bias[p, k, q]``.

    With ``c = min(512, columns - 512 k)``: lane q of (partition p, tile k) of what a next product sums over.

    Args:
        dst: SBUF ``[128, ⌈columns/512⌉, T, 4]``; of a ragged last tile, zero behind its c/4 partitions.
        activations: ``[128, tiles, T]``. weight: ``[128, tiles, columns]``.
        bias: SBUF ``[P, ⌈columns/512⌉, 4]`` or None; P may be less than 128 when there is one, ragged, tile.
    """
    whole, more, tokens = columns // TILE, rest(columns), dst.shape[2]
    if more > 0 and more < PARTITIONS:
        nisa.memset(dst=dst.select(1, whole).get_view(), value=0.0)
    for start in range(0, tokens, PSUM_COLUMNS):
        end = min(start + PSUM_COLUMNS, tokens)
        part, into = mx_columns(activations, start, end), dst.slice(2, start, end)
        group = max(1, PSUM_COLUMNS // (LANES * (end - start)))
        for first in range(0, whole, group):
            last = min(first + group, whole)
            _project_tiles(into.slice(1, first, last), part, weight, bias, first, PARTITIONS, sbm)
        if more > 0:
            ragged = into.slice(0, 0, more).slice(1, whole, whole + 1)
            _project_tiles(ragged, part, weight, bias, whole, more, sbm)


def _project_tiles(
    dst: TensorView, tokens: MxOperand, weight: MxOperand, bias: Any, first: int, rows: int, sbm: SbufManager
) -> None:
    """``dst`` ``[rows, n, T ≤ 512, 4]``: tiles ``first`` on, of ``4·rows`` columns."""
    count, size = dst.shape[1], dst.shape[2]
    sums = psum_tile((rows, count, LANES, _columns_in_bank(LANES * count, size)))
    for tile in range(count):
        for lane in range(LANES):
            start = (first + tile) * TILE + lane * rows
            contract_mx(sums[:, tile, lane, 0:size], mx_columns(weight, start, start + rows), tokens)
    shift = None
    if bias is not None:
        columns = as_view(bias).slice(0, 0, rows).slice(1, first, first + count)
        shift = columns.expand_dim(3).broadcast(3, size)
    affine(dst.permute((0, 1, 3, 2)), sums[:, :, :, 0:size], sbm, shift=shift)


def _columns_in_bank(sums: int, size: int) -> int:
    """PSUM columns for each of so many sums of ``size`` ≤ 512, so that none lies in two banks."""
    if sums * size <= PSUM_COLUMNS:
        return size
    columns = PSUM_COLUMNS
    while columns // 2 >= size:
        columns = columns // 2
    return columns
