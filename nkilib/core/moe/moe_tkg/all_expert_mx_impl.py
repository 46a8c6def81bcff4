"""All experts with MX weights for all tokens; the cores divide I, and each delivers its half of H.

out[t] = Σ_e a[t, e]·y_e(x[t])     x quantised to e4m3, or given so
"""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from .... import insides
from ....blocks.lnc import Cores, cores, exchange, split
from ....blocks.memory import PARTITIONS, Scratch, manager, scratch
from ....blocks.mx import TILE, MxOperand, mx_columns, mx_operand
from ....blocks.projection import weigh
from ....blocks.tiles import as_view, tile_rows, tiles_of
from ...utils.allocator import SbufManager, sizeinbytes
from ...utils.tensor_view import TensorView
from ..experts import add_bias_row, expert_count, hidden_size, inner_size, load_bias_row
from ..mx_expert import (
    DOWN_COLUMNS,
    MxExpert,
    load_down_mx,
    mx_expert,
    project_middle,
    quantize_rows_mx,
    sum_rows_mx,
)
from .moe_tkg_affinity_masking import local_affinities
from .moe_tkg_parameters import Request, token_count

__getattr__ = insides.named(__name__)

TOKENS = 512
"""Tokens that are processed together; the weights are read once for so many."""
DOWN_BYTES = 48 * 1024
"""Bytes of a partition that the down weights may take to be loaded whole; their scales come in many DMAs."""


def all_experts_mx(request: Request, output: nl.ndarray) -> nl.ndarray:
    """Fill the output, HBM ``[T, H]``, and return it."""
    here, sbm = cores(), manager()
    tokens, count = token_count(request), expert_count(request.experts)
    start, size = split(inner_size(request.experts), here, TILE)
    work = scratch(sbm, name="all_experts_mx")
    local = local_affinities(request.routing, count, tokens, work, sbm)
    for first in range(0, tokens, TOKENS):
        last = min(first + TOKENS, tokens)
        block = scratch(sbm, name="tokens")
        x = _quantised(request, first, last, block, sbm)
        total = block.tile((PARTITIONS, tiles_of(last - first), hidden_size(request.experts)), nl.float32)
        for index in range(count):
            expert = mx_expert(request.experts, index, start, size)
            weights = as_view(local).slice(1, first // PARTITIONS, tiles_of(last)).slice(2, index, index + 1)
            _add_expert(total, expert, x, weights, request, index > 0, here, sbm)
        _store(as_view(output).slice(0, first, last), total, here, sbm)
        block.close()
    work.close()
    return output


def _quantised(request: Request, first: int, last: int, work: Scratch, sbm: SbufManager) -> MxOperand:
    """Tokens ``first`` to ``last - 1``, ``[128, H/512, t]``."""
    if request.hidden_scale is not None:
        given = MxOperand(values=as_view(request.hidden), scales=as_view(request.hidden_scale))
        return mx_columns(given, first, last)
    rows = as_view(request.hidden).slice(0, first, last)
    x = mx_operand(rows.shape[1] // TILE, last - first, nl.float8_e4m3fn_x4, work)
    for start in range(0, last - first, PARTITIONS):
        end = min(start + PARTITIONS, last - first)
        held = scratch(sbm, name="rows")
        tile = held.tile((end - start, rows.shape[1]), rows.dtype)
        nisa.dma_copy(dst=tile, src=rows.slice(0, start, end).get_view())
        quantize_rows_mx(mx_columns(x, start, end), tile, sbm)
        held.close()
    return x


def _add_expert(
    total: nl.ndarray,
    expert: MxExpert,
    x: MxOperand,
    weights: Any,
    request: Request,
    adding: bool,
    here: Cores,
    sbm: SbufManager,
) -> None:
    """Add this core's part of one expert to ``total`` ``[128, tiles, H]``, in which the first one fills.

    weights: fp32 ``[128, tiles, 1]``. Each core adds the bias to its own half of H.
    """
    work = scratch(sbm, name="expert")
    middle = project_middle(expert, x, request.experts.gating, work, sbm)
    hidden = total.shape[2]
    own, size = split(hidden, here)
    bias: Any = None
    ones: Any = None
    if expert.down_bias is not None:
        bias, ones = load_bias_row(expert.down_bias.slice(1, own, own + size), work)
    together = _columns_together(expert, here)
    for begin in range(0, hidden, together):
        end = min(begin + together, hidden)
        columns = scratch(sbm, name="columns")
        weight = load_down_mx(expert, begin, end, columns)
        for piece in _pieces(begin, end, hidden, here):
            start, stop = piece
            mine = bias is not None and own <= start < own + size
            row = bias[:, start - own : stop - own] if mine else None
            into = as_view(total).slice(2, start, stop)
            part = mx_columns(weight, start - begin, stop - begin)
            _add_columns(into, middle, part, weights, row, ones, expert.inner, adding, sbm)
        columns.close()
    work.close()


def _columns_together(expert: MxExpert, here: Cores) -> int:
    """Down columns that are loaded together: all, or some of what one core delivers."""
    tiles, hidden = expert.down.shape[1], expert.down.shape[2]
    if tiles * hidden * (sizeinbytes(expert.down.dtype) + 1) <= DOWN_BYTES:
        return int(hidden)
    return min(DOWN_COLUMNS, int(hidden) // here.count)


def _pieces(begin: int, end: int, hidden: int, here: Cores) -> list[tuple[int, int]]:
    """The columns from ``begin`` to ``end``, in pieces that PSUM holds and that one core delivers."""
    found = []
    for index in range(here.count):
        start, size = split(hidden, Cores(count=here.count, index=index))
        last = min(end, start + size)
        for first in range(max(begin, start), last, DOWN_COLUMNS):
            found.append((first, min(first + DOWN_COLUMNS, last)))
    return found


def _add_columns(
    total: TensorView,
    middle: MxOperand,
    weight: MxOperand,
    weights: Any,
    bias: Any,
    ones: Any,
    inner: int,
    adding: bool,
    sbm: SbufManager,
) -> None:
    """Add ``middle·weight + bias`` times weights to columns of ``total``; bias: a row, or None."""
    tokens = as_view(middle.values).shape[2]
    for tile in range(total.shape[1]):
        rows = tile_rows(tokens, tile)
        sums = sum_rows_mx(middle, weight, tile * PARTITIONS, rows, inner)
        if bias is not None:
            add_bias_row(sums, bias, ones)
        into = total.slice(0, 0, rows).select(1, tile)
        weigh(into, sums, weights.slice(0, 0, rows).select(1, tile), adding, sbm)


def _store(output: Any, total: nl.ndarray, here: Cores, sbm: SbufManager) -> None:
    """Store this core's half of H of ``output`` ``[T, H]``, after adding the other core's part of it."""
    tokens, hidden = output.shape
    start, size = split(hidden, here)
    for tile in range(total.shape[1]):
        rows, first = tile_rows(tokens, tile), tile * PARTITIONS
        work = scratch(sbm, name="store")
        result = work.tile((rows, size), output.dtype)
        mine = total[0:rows, tile, start : start + size]
        if here.count == 1:
            nisa.tensor_copy(dst=result, src=mine)
        else:
            received = work.tile((rows, size), nl.float32)
            exchange(received, total[0:rows, tile, hidden - start - size : hidden - start], here)
            nisa.tensor_tensor(dst=result, data1=mine, data2=received, op=nl.add)
        into = output.slice(0, first, first + rows).slice(1, start, start + size)
        nisa.dma_copy(dst=into.get_view(), src=result)
        work.close()
