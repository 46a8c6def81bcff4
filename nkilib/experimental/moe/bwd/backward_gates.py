"""Some columns of the intermediate in the backward pass: their gradients, and what these add to the others.

dm = (dy·a)·Wdᵀ            G, U clamped products, s = act(G), m = s ∘ U
dU = dm ∘ s                where U is strictly within its limits, else 0
dG = dm ∘ U ∘ act'(G)      where G is

dWd += mᵀ·(dy·a)    dWg += xᵀ·dG    dWu += xᵀ·dU    dx += dG·Wgᵀ + dU·Wuᵀ
"""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from ....blocks.activation import activate
from ....blocks.lnc import sum_over_cores
from ....blocks.matmul import contract, copy_on, transpose
from ....blocks.memory import PARTITIONS, PSUM_COLUMNS, Scratch, psum_tile, scratch
from ....blocks.tiles import as_view, tile_rows, tiles_of, transpose_by_dma
from ....core.utils.allocator import SbufManager
from ....core.utils.tensor_view import TensorView
from .backward_task import ROW_COLUMNS, Backward, Part, add_column_sums, add_to
from .moe_bwd_parameters import derivative_of

INNER_COLUMNS = 256
"""Columns of the intermediate that are processed together."""


class Inner(nl.NKIObject):
    """Columns ``start`` to ``start + size - 1`` of the intermediate; ``[128, n, tokens]`` in SBUF.

    Attributes:
        product, gate, up: m, dG and dU.
    """

    start: int
    size: int
    product: nl.ndarray
    gate: nl.ndarray
    up: nl.ndarray


def process_columns(backward: Backward, part: Part, start: int, size: int, sbm: SbufManager) -> None:
    """Columns ``start`` on of the intermediate; the first ones set ``part.hidden_grad``, others add to it."""
    work = scratch(sbm, name="inner")
    shape = (PARTITIONS, tiles_of(size), part.tokens.count)
    inner = Inner(
        start=start,
        size=size,
        product=work.tile(shape, backward.task.dtype),
        gate=work.tile(shape, backward.task.dtype),
        up=work.tile(shape, backward.task.dtype),
    )
    _differentiate(inner, backward, part, sbm)
    _add_to_down(inner, backward, part, sbm)
    _add_to_gates(inner, backward, part, sbm)
    _add_to_hidden(inner, backward, part, sbm)
    work.close()


def _turned(planes: nl.ndarray, size: int, work: Scratch) -> nl.ndarray:
    """``[128, n, tokens]`` with ``size`` columns on the partitions as ``[128, tokens / 128, size]``."""
    tokens = planes.shape[2]
    turned = work.tile((PARTITIONS, tokens // PARTITIONS, size), planes.dtype)
    for plane in range(planes.shape[1]):
        rows = tile_rows(size, plane)
        start = plane * PARTITIONS
        source = as_view(planes).slice(0, 0, rows).select(1, plane)
        transpose(as_view(turned).slice(2, start, start + rows), source, on_scalar=True)
    return turned


def _transposed_weights(
    weight: TensorView, columns: int, dtype: Any, work: Scratch, sbm: SbufManager
) -> nl.ndarray:
    """HBM ``[P, F]`` as ``[128, ⌈F/128⌉, P]`` of ``dtype``; F is ``columns``."""
    shape = (PARTITIONS, tiles_of(columns), weight.shape[0])
    turned = work.tile(shape, dtype)
    if weight.dtype == dtype:
        transpose_by_dma(turned, weight)
        return turned
    held = scratch(sbm, name="transposed")
    raw = held.tile(shape, weight.dtype)
    transpose_by_dma(raw, weight)
    for tile in range(shape[1]):
        rows = tile_rows(columns, tile)
        nisa.tensor_copy(dst=turned[0:rows, tile, :], src=raw[0:rows, tile, :])
    held.close()
    return turned


# -- gradients of the products ------------------------------------------------------------------------------


def _differentiate(inner: Inner, backward: Backward, part: Part, sbm: SbufManager) -> None:
    """Fill ``inner``."""
    work = scratch(sbm, name="differentiate")
    planes, count = inner.product.shape[1], part.tokens.count
    total = work.tile((PARTITIONS, planes, count), nl.float32)
    if inner.size % PARTITIONS != 0:
        nisa.memset(dst=total[:, planes - 1, :], value=0.0)
    _project_back(total, inner, backward, part, sbm)
    sum_over_cores(total, backward.share.here, sbm)
    for plane in range(planes):
        rows = tile_rows(inner.size, plane)
        held = scratch(sbm, name="plane")
        both = held.tile((rows, 2, count), backward.gates.dtype)
        first, start = part.tokens.first, inner.start + plane * PARTITIONS
        source = as_view(backward.gates).select(0, part.number).slice(1, start, start + rows)
        source = source.slice(2, first, first + count).permute((1, 0, 2))
        nisa.dma_copy(dst=both, src=source.get_view())
        _differentiate_plane(inner, plane, total[0:rows, plane, :], both, backward, held)
        held.close()
    work.close()


def _project_back(total: nl.ndarray, inner: Inner, backward: Backward, part: Part, sbm: SbufManager) -> None:
    """This core's part of dm, ``[128, n, tokens]``."""
    work = scratch(sbm, name="project_back")
    hidden, width = backward.share.hidden
    weight = as_view(backward.task.experts.down).select(0, part.expert)
    weight = weight.slice(0, inner.start, inner.start + inner.size).slice(1, hidden, hidden + width)
    turned = _transposed_weights(weight, width, backward.task.dtype, work, sbm)
    for plane in range(total.shape[1]):
        rows = tile_rows(inner.size, plane)
        for start in range(0, part.tokens.count, PSUM_COLUMNS):
            size = min(PSUM_COLUMNS, part.tokens.count - start)
            product = psum_tile((rows, size))
            contract(product, turned, part.turned, width, (plane * PARTITIONS, rows), (start, size))
            copy_on(total[0:rows, plane, start : start + size], product, True)
    work.close()


def _differentiate_plane(
    inner: Inner, plane: int, dm: nl.ndarray, both: nl.ndarray, backward: Backward, work: Scratch
) -> None:
    """m, dG and dU of up to 128 columns from dm, fp32 ``[rows, tokens]``, and G and U."""
    rows, count = dm.shape
    gating = backward.task.experts.gating
    gate, up = both[:, 0, :], both[:, 1, :]
    activated = work.tile((rows, count), nl.float32)
    slope = work.tile((rows, count), nl.float32)
    activate(activated, gate, gating.function)
    nisa.activation(dst=slope, op=derivative_of(gating.function), data=gate)
    m, d_gate, d_up = (
        inner.product[0:rows, plane, :],
        inner.gate[0:rows, plane, :],
        inner.up[0:rows, plane, :],
    )
    nisa.tensor_tensor(dst=m, data1=activated, data2=up, op=nl.multiply)
    nisa.tensor_tensor(dst=d_up, data1=dm, data2=activated, op=nl.multiply)
    nisa.tensor_tensor(dst=slope, data1=slope, data2=up, op=nl.multiply)
    nisa.tensor_tensor(dst=d_gate, data1=dm, data2=slope, op=nl.multiply)
    _mask(d_gate, gate, gating.gate)
    _mask(d_up, up, gating.up)


def _mask(gradient: nl.ndarray, value: nl.ndarray, limits: tuple[float | None, float | None]) -> None:
    """Zero where a value is not strictly below the upper limit and above the lower one."""
    if limits[0] is not None:
        nisa.scalar_tensor_tensor(
            dst=gradient, data=value, op0=nl.less, operand0=limits[0], op1=nl.multiply, operand1=gradient
        )
    if limits[1] is not None:
        nisa.scalar_tensor_tensor(
            dst=gradient, data=value, op0=nl.greater, operand0=limits[1], op1=nl.multiply, operand1=gradient
        )


# -- what they add ------------------------------------------------------------------------------------------


def _add_to_down(inner: Inner, backward: Backward, part: Part, sbm: SbufManager) -> None:
    """dWd: the inner columns' rows, this core's columns."""
    work = scratch(sbm, name="down_grad")
    hidden, width = backward.share.hidden
    turned = _turned(inner.product, inner.size, work)
    rows_of = as_view(backward.gradients.down).select(0, part.expert)
    for plane in range(inner.product.shape[1]):
        rows, first = tile_rows(inner.size, plane), inner.start + plane * PARTITIONS
        for start in range(0, width, ROW_COLUMNS):
            size = min(ROW_COLUMNS, width - start)
            sums = psum_tile((rows, size))
            for column in range(0, size, PSUM_COLUMNS):
                count = min(PSUM_COLUMNS, size - column)
                cut = (plane * PARTITIONS, rows)
                own = sums[:, column : column + count]
                contract(own, turned, part.weighted, part.tokens.count, cut, (start + column, count))
            target = rows_of.slice(0, first, first + rows).slice(1, hidden + start, hidden + start + size)
            add_to(target, sums, sbm)
    work.close()


def _add_to_gates(inner: Inner, backward: Backward, part: Part, sbm: SbufManager) -> None:
    """dWg and dWu: this core's rows, the inner columns; and the biases of both."""
    work = scratch(sbm, name="gate_up_grad")
    hidden, width = backward.share.hidden
    turned = [_turned(inner.gate, inner.size, work), _turned(inner.up, inner.size, work)]
    end, count = inner.start + inner.size, part.tokens.count
    rows_of = as_view(backward.gradients.gate_up).select(0, part.expert).slice(2, inner.start, end)
    for start in range(0, width, PARTITIONS):
        rows = min(PARTITIONS, width - start)
        sums = psum_tile((rows, 2, inner.size))
        for which in range(2):
            contract(sums[:, which, :], part.x, turned[which], count, (start, rows))
        add_to(rows_of.slice(0, hidden + start, hidden + start + rows), sums, sbm)
    if backward.gradients.gate_up_bias is not None:
        bias = as_view(backward.gradients.gate_up_bias).select(0, part.expert).slice(1, inner.start, end)
        for which in range(2):
            if which % backward.share.here.count == backward.share.here.index:
                add_column_sums(bias.slice(0, which, which + 1), turned[which], count, sbm)
    work.close()


def _add_to_hidden(inner: Inner, backward: Backward, part: Part, sbm: SbufManager) -> None:
    """dx: this core's columns, in SBUF."""
    work = scratch(sbm, name="hidden_grad")
    hidden, width = backward.share.hidden
    weight = as_view(backward.task.experts.gate_up).select(0, part.expert)
    weight = weight.slice(0, hidden, hidden + width).slice(2, inner.start, inner.start + inner.size)
    turned = []
    for which in range(2):
        own = weight.select(1, which)
        turned.append(_transposed_weights(own, inner.size, backward.task.dtype, work, sbm))
    for tile in range(part.hidden_grad.shape[1]):
        tokens = (tile * PARTITIONS, PARTITIONS)
        for start in range(0, width, PSUM_COLUMNS):
            size = min(PSUM_COLUMNS, width - start)
            product = psum_tile((PARTITIONS, size))
            contract(product, inner.gate, turned[0], inner.size, tokens, (start, size))
            contract(product, inner.up, turned[1], inner.size, tokens, (start, size))
            into = part.hidden_grad[:, tile, start : start + size]
            if inner.start == 0:
                copy_on(into, product, True)
            else:
                nisa.tensor_tensor(dst=into, data1=into, data2=product, op=nl.add)
    work.close()
