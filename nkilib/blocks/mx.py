"""Microscaling (MX) operands and products, for NeuronCore-v4.

A packed element holds four values, its *lanes*; a group of 8 partitions × 4 lanes shares a scale, a byte s
that stands for ``2 ** (s - 127)``. The unit of a product is a tile of 512 values of the contraction: 128
partitions with one packed element for each column.

    values   SBUF x4    [128, tiles, N]
    scales   SBUF uint8 [128, tiles, N]     row r of a tile's 16 on partition 32·(r // 4) + r % 4, no others

Which value of the contraction lies in (tile, lane, partition) is a :class:`Lanes`, one for both operands.
"""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from ..core.utils.allocator import SbufManager, sizeinbytes
from ..core.utils.kernel_assert import kernel_assert
from ..core.utils.tensor_view import TensorView
from .memory import PARTITIONS, PSUM_BANK_BYTES, Scratch, psum_tile, scratch
from .projection import Sums, affine
from .tiles import as_tile, as_view, load_rows

LANES = 4
TILE = PARTITIONS * LANES
"""Values of the contraction in a tile."""
SCALE_ROWS = 16
"""Rows of scales in a tile of 128 partitions."""
QUADRANTS = 4
QUADRANT_PARTITIONS = 32


class Lanes(nl.NKIObject):
    """Value ``tile·i + lane·q + partition·p`` of the contraction is lane q of (partition p, tile i)."""

    tile: int
    lane: int
    partition: int


class MxOperand(nl.NKIObject):
    """Values and scales of one operand, as the module says; tensors as allocated or TensorViews."""

    values: Any
    scales: Any


def neighbours() -> Lanes:
    """Four neighbours in a packed element: row ``128 i + p`` of packed rows is (p, i)."""
    return Lanes(tile=TILE, lane=1, partition=LANES)


def quarters(length: int) -> Lanes:
    """The lanes are a quarter of the contraction's ``length`` apart."""
    return Lanes(tile=PARTITIONS, lane=length // LANES, partition=1)


def mx_operand(tiles: int, columns: int, dtype: Any, work: Scratch) -> MxOperand:
    """Room for an operand."""
    return MxOperand(
        values=work.tile((PARTITIONS, tiles, columns), dtype),
        scales=work.tile((PARTITIONS, tiles, columns), nl.uint8),
    )


def mx_tiles(operand: MxOperand, first: int, last: int) -> MxOperand:
    """Tiles ``first`` to ``last - 1``."""
    return MxOperand(
        values=as_view(operand.values).slice(1, first, last),
        scales=as_view(operand.scales).slice(1, first, last),
    )


def mx_columns(operand: MxOperand, start: int, end: int) -> MxOperand:
    """Columns ``start`` to ``end - 1``."""
    return MxOperand(
        values=as_view(operand.values).slice(2, start, end),
        scales=as_view(operand.scales).slice(2, start, end),
    )


# -- weights ----------------------------------------------------------------------------------------------


def load_mx(dst: MxOperand, values: Any, scales: Any) -> None:
    """Quantised weights of HBM: packed ``[128·tiles, N]`` and scales ``[16·tiles, N]``.

    Rows ``128 i`` to ``128 i + 127``, and rows ``16 i`` to ``16 i + 15`` of the scales, are tile i.
    """
    load_rows(dst.values, values)
    load_scales(dst.scales, scales)


def load_scales(dst: Any, src: Any) -> None:
    """Scales of HBM ``[16·tiles, N]``, where products look for them."""
    rows = as_view(src)
    kernel_assert(rows.shape[0] % SCALE_ROWS == 0, f"a tile has 16 rows of scales, there are {rows.shape[0]}")
    tiled = rows.reshape_dim(0, (rows.shape[0] // SCALE_ROWS, SCALE_ROWS)).permute((1, 0, 2))
    place_scales(dst, tiled)


def place_scales(dst: Any, src: Any) -> None:
    """Scales of HBM ``[R ≤ 16, tiles, N]``, row r on partition ``32·(r // 4) + r % 4``; a DMA a quadrant."""
    into, rows = as_view(dst), as_view(src)
    each = SCALE_ROWS // QUADRANTS
    for start in range(0, rows.shape[0], each):
        row = rows.slice(0, start, start + each)
        first = start // each * QUADRANT_PARTITIONS
        nisa.dma_copy(dst=into.slice(0, first, first + row.shape[0]).get_view(), src=row.get_view())


# -- activations ------------------------------------------------------------------------------------------


def arrange(
    dst: Any, src: Any, lanes: Lanes, sbm: SbufManager, scale: Any = None, shift: Any = None, first: int = 0
) -> None:
    """``dst[p, i, t, q] = src[t, lanes.tile·(first + i) + lanes.lane·q + lanes.partition·p]``.

    Args:
        dst: SBUF ``[128, tiles, T, 4]``. src: SBUF ``[T ≤ 128, H]`` of 16 bits; TensorE transposes it.
        scale, shift: SBUF fp32 ``[128, tiles, 4]`` of the same tiles (:func:`load_lane_rows`):
            ``scale·src + shift``.
    """
    into, rows = as_view(dst), as_view(src)
    tokens = rows.shape[0]
    group = max(1, PSUM_BANK_BYTES // (LANES * tokens * sizeinbytes(rows.dtype)))
    for start in range(0, into.shape[1], group):
        end = min(start + group, into.shape[1])
        flipped = psum_tile((PARTITIONS, end - start, LANES, tokens), rows.dtype)
        for i in range(end - start):
            for q in range(LANES):
                block = _block(rows, lanes, first + start + i, q)
                nisa.nc_transpose(dst=flipped[:, i, q, :], data=block.get_view(), engine=nisa.tensor_engine)
        target = into.slice(1, start, end).permute((0, 1, 3, 2))
        factors, added = _along_tokens(scale, start, end, tokens), _along_tokens(shift, start, end, tokens)
        if factors is None and added is None:
            # On Scalar Engine: Vector Engine quantises what is arranged.
            nisa.activation(dst=target.get_view(), op=nl.copy, data=flipped)
        else:
            affine(target, flipped, sbm, factors=factors, shift=added)


def _block(rows: TensorView, lanes: Lanes, tile: int, lane: int) -> TensorView:
    """The 128 columns of one lane of a tile."""
    start = lanes.tile * tile + lanes.lane * lane
    return rows.slice(1, start, start + lanes.partition * (PARTITIONS - 1) + 1, lanes.partition)


def _along_tokens(values: Any, start: int, end: int, tokens: int) -> Any:
    """``[128, tiles, 4]`` as ``[128, end - start, 4, T]``; None stays None."""
    if values is None:
        return None
    return as_view(values).slice(1, start, end).expand_dim(3).broadcast(3, tokens)


def load_lane_rows(dst: Any, src: Any) -> None:
    """``dst[p, i, q] = src[0, 512 i + 4 p + q]``: a row ``[1, H]`` of HBM as :func:`neighbours` lie."""
    row = as_view(src)
    tiles = row.shape[1] // TILE
    split = row.select(0, 0).reshape_dim(0, (tiles, PARTITIONS, LANES)).permute((1, 0, 2))
    nisa.dma_copy(dst=as_tile(dst), src=split.get_view())


def quantize(dst: MxOperand, src: Any) -> None:
    """Quantise SBUF ``[128, tiles, N, 4]`` of 16 bits in one instruction; to e4m3 or e5m2 as ``dst`` is."""
    nisa.quantize_mx(dst=as_tile(dst.values), src=as_tile(src), dst_scale=as_tile(dst.scales))


def quantize_spread(dst: MxOperand, src: Any, sbm: SbufManager) -> None:
    """Quantise activations with the hidden dimension over the partitions, as :func:`quarters` lie.

    Args:
        dst: ``[128, H/512, T]``.
        src: SBUF of 16 bits ``[128, T, H/128]``, ``src[p, t, j] = x[t, 128 j + p]``.
    """
    y = as_view(src)
    _, tokens, width = y.shape
    tiles = width // LANES
    work = scratch(sbm, name="quantize_spread")
    lanes = work.tile((PARTITIONS, tiles, tokens, LANES), y.dtype)
    apart = y.reshape_dim(2, (LANES, tiles)).permute((0, 3, 1, 2))
    # On Scalar Engine: Vector Engine quantises, and often normalised before.
    nisa.activation(dst=lanes, op=nl.copy, data=apart.get_view())
    quantize(dst, lanes)
    work.close()


# -- products ---------------------------------------------------------------------------------------------


def contract_mx(dst: nl.ndarray, stationary: MxOperand, moving: MxOperand) -> None:
    """``dst[m, n] (+)= Σ stationary[k, m] · moving[k, n]`` over all tiles and lanes, in one PSUM tile.

    Args:
        dst: PSUM ``[M, N ≤ 512]``. stationary: of M ≤ 128 columns, an even number. moving: of N columns.
    """
    left, left_scales = as_view(stationary.values), as_view(stationary.scales)
    right, right_scales = as_view(moving.values), as_view(moving.scales)
    for tile in range(left.shape[1]):
        nisa.nc_matmul_mx(
            dst=dst,
            stationary=left.select(1, tile).get_view(),
            moving=right.select(1, tile).get_view(),
            stationary_scale=left_scales.select(1, tile).get_view(),
            moving_scale=right_scales.select(1, tile).get_view(),
        )


def add_mx_products(sums: Sums, activations: MxOperand, weight: MxOperand) -> None:
    """Add the products of weights in SBUF to sums with tokens on partitions (``projection.row_sums``)."""
    for piece in sums.pieces:
        left = mx_columns(activations, piece.tokens[0], piece.tokens[0] + piece.tokens[1])
        right = mx_columns(weight, piece.columns[0], piece.columns[1])
        contract_mx(piece.product, left, right)


def accumulate_mx(
    sums: Sums, activations: MxOperand, values: Any, scales: Any, tiles_at_once: int, sbm: SbufManager
) -> None:
    """As :func:`add_mx_products` for weights of HBM (:func:`load_mx`), that pass through SBUF once."""
    packed, bytes_ = as_view(values), as_view(scales)
    tiles = packed.shape[0] // PARTITIONS
    for first in range(0, tiles, tiles_at_once):
        last = min(first + tiles_at_once, tiles)
        work = scratch(sbm, name="weights")
        block = mx_operand(last - first, packed.shape[1], packed.dtype, work)
        rows = packed.slice(0, first * PARTITIONS, last * PARTITIONS)
        load_mx(block, rows, bytes_.slice(0, first * SCALE_ROWS, last * SCALE_ROWS))
        add_mx_products(sums, mx_tiles(activations, first, last), block)
        work.close()
