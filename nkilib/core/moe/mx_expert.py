"""One expert with MX weights: ``y = (act(clamp(xq·Wg + bg)) ∘ clamp(xq·Wu + bu))q·Wd + bd``; NeuronCore-v4.

    gate, up   x4 [E, 128, 2, H/512, I]     uint8 scales [E, 16, 2, H/512, I]     bias [E, P, 2, ⌈I/512⌉, 4]
    down       x4 [E, P, ⌈I/512⌉, H]        uint8 scales [E, P/8, ⌈I/512⌉, H]     bias [E, H]

P = min(128, I/4). x and the product that goes down are quantised on chip to e4m3. Lane q of (partition p,
tile i) is column ``q·H/4 + 128 i + p`` of x, and with ``c = min(512, I - 512 k)`` lane q of (p, k) is column
``512 k + q·c/4 + p`` of the intermediate; the weights are laid out for that. They pass through SBUF in parts,
once for all tokens.
"""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from ...blocks.activation import Gating, gated
from ...blocks.memory import PARTITIONS, PSUM_COLUMNS, Scratch, psum_tile, scratch
from ...blocks.mx import (
    LANES,
    TILE,
    MxOperand,
    arrange,
    mx_columns,
    mx_operand,
    mx_tiles,
    place_scales,
    quantize,
    quarters,
)
from ...blocks.mx_ragged import (
    contract_mx_tiles,
    load_mx_tiles,
    mx_tiles_of,
    project_lanes,
    quantize_tiles,
)
from ...blocks.tiles import as_view
from ..utils.allocator import SbufManager, sizeinbytes
from ..utils.kernel_assert import kernel_assert
from ..utils.tensor_view import TensorView
from .experts import Experts

DOWN_COLUMNS = 2048
"""Columns of the down weights that are on chip at a time; four banks of PSUM."""


PART_BYTES = 64 * 1024
"""Bytes of a partition that two tiles of 512 gate and up columns may take, for two pairs to be there."""


class MxExpert(nl.NKIObject):
    """One expert's tensors, and of them a part of I: views in HBM. Biases may be None.

    Attributes:
        gate_up, gate_up_scale: ``[128, 2, H/512, I]``, ``[16, 2, H/512, I]``. gate_up_bias: ``[P, 2, n, 4]``.
        down, down_scale: ``[P, n, H]``, ``[P/8, n, H]``, n = ⌈I/512⌉. down_bias: ``[1, H]``.
        inner: I.
    """

    gate_up: TensorView
    gate_up_scale: TensorView
    gate_up_bias: Any
    down: TensorView
    down_scale: TensorView
    down_bias: Any
    inner: int


def mx_expert(experts: Experts, index: Any, start: int, size: int) -> MxExpert:
    """Columns ``start`` to ``start + size - 1`` of I of one expert; ``start`` is a multiple of 512.

    index: a number, or an int32 ``[1, 1]`` in SBUF.
    """
    end, first, last = start + size, start // TILE, start // TILE + mx_tiles_of(size)
    bias, down_bias = None, None
    if experts.gate_up_bias is not None:
        bias = as_view(experts.gate_up_bias).select(0, index).slice(2, first, last)
    if experts.down_bias is not None:
        down_bias = as_view(experts.down_bias).select(0, index).expand_dim(0)
    return MxExpert(
        gate_up=as_view(experts.gate_up).select(0, index).slice(3, start, end),
        gate_up_scale=as_view(experts.gate_up_scale).select(0, index).slice(3, start, end),
        gate_up_bias=bias,
        down=as_view(experts.down).select(0, index).slice(1, first, last),
        down_scale=as_view(experts.down_scale).select(0, index).slice(1, first, last),
        down_bias=down_bias,
        inner=size,
    )


def check_mx_sizes(hidden: int, inner: int) -> None:
    """Raise AssertionError unless H comes in tiles of 512, and I in groups of 32."""
    kernel_assert(hidden % TILE == 0, f"Expected H divisible by 512, got H={hidden}")
    more = inner % TILE
    kernel_assert(
        more % 32 == 0,
        f"I512 tile remainder ({more}) must be divisible by quantization block size (32), I is {inner}",
    )


def quantize_rows_mx(dst: MxOperand, rows: Any, sbm: SbufManager) -> None:
    """Quantise SBUF ``[T ≤ 128, H]`` of 16 bits into ``[128, H/512, T]``."""
    source = as_view(rows)
    tokens, hidden = source.shape
    work = scratch(sbm, name="quantize_rows_mx")
    lanes = work.tile((PARTITIONS, hidden // TILE, tokens, LANES), source.dtype)
    arrange(lanes, source, quarters(hidden), sbm)
    quantize(dst, lanes)
    work.close()


def project_middle(
    expert: MxExpert, x: MxOperand, gating: Gating, work: Scratch, sbm: SbufManager
) -> MxOperand:
    """``act(clamp(x·Wg + bg))·clamp(x·Wu + bu)``, quantised: ``[128, ⌈I/512⌉, T]``, tiles of ``work``.

    x: ``[128, H/512, T]``.
    """
    tokens = as_view(x.values).shape[2]
    middle = mx_operand(mx_tiles_of(expert.inner), tokens, nl.float8_e4m3fn_x4, work)
    bias = None
    if expert.gate_up_bias is not None:
        bias = work.tile(tuple(expert.gate_up_bias.shape), expert.gate_up_bias.dtype)
        nisa.dma_copy(dst=bias, src=expert.gate_up_bias.get_view())
    parts = scratch(sbm, name="gate_up_mx", places=_places(expert))
    for start in range(0, expert.inner, TILE):
        size, tile = min(TILE, expert.inner - start), start // TILE
        both = parts.tile((PARTITIONS, 2, 1, tokens, LANES), nl.float32)
        for which in range(2):
            weight = _load_columns(expert, which, start, size, parts)
            added = None
            if bias is not None:
                added = as_view(bias).select(1, which).slice(1, tile, tile + 1)
            project_lanes(as_view(both).select(1, which), x, weight, added, size, sbm)
        product = parts.tile((PARTITIONS, 1, tokens, LANES), nl.bfloat16)
        gated(product, both[:, 0], both[:, 1], gating)
        quantize_tiles(mx_tiles(middle, tile, tile + 1), product, size, sbm)
        parts.turn()
    parts.close()
    return middle


def _places(expert: MxExpert) -> int:
    """Two, so that weights load while others are in use, unless they take too much room."""
    each = min(TILE, expert.inner) * (sizeinbytes(expert.gate_up.dtype) + 1)
    return 2 if 2 * expert.gate_up.shape[2] * each <= PART_BYTES else 1


def _load_columns(expert: MxExpert, which: int, start: int, size: int, work: Scratch) -> MxOperand:
    """Columns of the gate (0) or up (1) weights, ``[128, H/512, size]``."""
    values = expert.gate_up.select(1, which).slice(2, start, start + size)
    weight = mx_operand(values.shape[1], size, values.dtype, work)
    nisa.dma_copy(dst=weight.values, src=values.get_view())
    place_scales(weight.scales, expert.gate_up_scale.select(1, which).slice(2, start, start + size))
    return weight


def load_down_mx(expert: MxExpert, start: int, end: int, work: Scratch) -> MxOperand:
    """Columns of the down weights, ``[128, ⌈I/512⌉, end - start]``, in tiles of ``work``."""
    values, scales = expert.down.slice(2, start, end), expert.down_scale.slice(2, start, end)
    weight = mx_operand(values.shape[1], end - start, values.dtype, work)
    load_mx_tiles(weight, values, scales, expert.inner)
    return weight


def sum_rows_mx(middle: MxOperand, weight: MxOperand, first: int, rows: int, inner: int) -> nl.ndarray:
    """``middleᵀ·weight`` for tokens ``first`` on, an even number of up to 128: PSUM ``[rows, ≤ 2048]``."""
    width = as_view(weight.values).shape[2]
    sums = psum_tile((rows, width))
    tokens = mx_columns(middle, first, first + rows)
    for start in range(0, width, PSUM_COLUMNS):
        end = min(start + PSUM_COLUMNS, width)
        contract_mx_tiles(sums[:, start:end], tokens, mx_columns(weight, start, end), inner)
    return sums


def sum_planes_mx(middle: MxOperand, weight: MxOperand, inner: int) -> nl.ndarray:
    """The same for one token with the weights' columns on the partitions: PSUM ``[128, columns / 128]``."""
    planes = as_view(weight.values).shape[2] // PARTITIONS
    sums = psum_tile((PARTITIONS, planes))
    for plane in range(planes):
        columns = mx_columns(weight, plane * PARTITIONS, (plane + 1) * PARTITIONS)
        contract_mx_tiles(sums[:, plane : plane + 1], columns, middle, inner)
    return sums
