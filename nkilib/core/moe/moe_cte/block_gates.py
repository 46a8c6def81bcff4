"""The first half of a block: tokens into SBUF, and ``m = act(clamp(x·Wg + bg)) ∘ clamp(x·Wu + bu)``.

x   SBUF [128, ⌈H/128⌉, tokens]     rows of H in their order, this core's columns of the hidden state
m   SBUF [128, ⌈I/128⌉, tokens]     I on the partitions, as the next product sums over it
"""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from ....blocks.activation import activate, clamp
from ....blocks.indirect import gather_or_zero
from ....blocks.lnc import sum_over_cores
from ....blocks.matmul import contract, copy_on, load_transposed, transpose
from ....blocks.memory import PARTITIONS, PSUM_COLUMNS, Scratch, psum_tile, scratch
from ....blocks.mx import TILE, mx_columns, mx_operand
from ....blocks.tiles import as_view, load_column, load_rows, tiles_of
from ...utils.allocator import SbufManager, sizeinbytes
from ...utils.common_types import GateUpDim, QuantizationType
from ...utils.tensor_view import TensorView
from ..mx_expert import quantize_rows_mx
from .block_task import Share, Task, Tokens, weight_dtype

WEIGHT_BYTES = 16 * 1024
"""Bytes of a partition that a part of the gate or up weights may take."""


def load_x(task: Task, share: Share, tokens: Tokens, work: Scratch, sbm: SbufManager) -> Any:
    """The tokens as the operand of the first products, in tiles of ``work``; MX: quantised."""
    start, size = share.hidden
    mx = task.experts.kind == QuantizationType.MX
    if mx:
        x: Any = mx_operand(size // TILE, tokens.count, nl.float8_e4m3fn_x4, work)
    else:
        x = work.tile((PARTITIONS, tiles_of(size), tokens.count), task.dtype)
    held = scratch(sbm, name="rows", places=2)
    for tile in range(tokens.count // PARTITIONS):
        first, last = tile * PARTITIONS, (tile + 1) * PARTITIONS
        rows = held.tile((PARTITIONS, size), task.hidden.dtype)
        gather_or_zero(rows, task.hidden, tokens.ids[:, tile : tile + 1], start)
        if task.scaling.on_input:
            scaled = held.tile((PARTITIONS, size), task.dtype)
            weight = tokens.affinity[:, tile : tile + 1]
            nisa.tensor_scalar(dst=scaled, data=rows, op0=nl.multiply, operand0=weight)
            rows = scaled
        if mx:
            quantize_rows_mx(mx_columns(x, first, last), rows, sbm)
        else:
            transpose(as_view(x).slice(2, first, last), rows, on_scalar=True)
        held.turn()
    held.close()
    return x


class Gates(nl.NKIObject):
    """What the products of one block with one expert need.

    Attributes:
        weight: HBM ``[H, 2, I]``, this core's part of both.
        factors, biases: of the gate and of the other, fp32 ``[128, ⌈I/128⌉]`` each, or None.
        number: of the block.
    """

    task: Task
    share: Share
    tokens: Tokens
    weight: TensorView
    factors: list[Any]
    biases: list[Any]
    number: Any


def project_gates(
    middle: nl.ndarray,
    x: nl.ndarray,
    task: Task,
    share: Share,
    tokens: Tokens,
    number: Any,
    expert: Any,
    sbm: SbufManager,
) -> None:
    """Fill m."""
    start, size = share.inner
    work = scratch(sbm, name="gates")
    experts = task.experts
    weight = as_view(experts.gate_up).select(0, expert).slice(2, start, start + size)
    gates = Gates(
        task=task,
        share=share,
        tokens=tokens,
        weight=weight.slice(0, share.hidden[0], share.hidden[0] + share.hidden[1]),
        factors=_both_columns(experts.gate_up_scale, expert, share, work, sbm),
        biases=_both_columns(experts.gate_up_bias, expert, share, work, sbm),
        number=number,
    )
    dtype = weight_dtype(task, experts.gate_up)
    width = WEIGHT_BYTES // (tiles_of(share.hidden[1]) * sizeinbytes(dtype)) // PARTITIONS * PARTITIONS
    width = max(PARTITIONS, min(PSUM_COLUMNS, width))
    parts = scratch(sbm, name="weights", places=2)
    for first in range(0, size, width):
        last = min(first + width, size)
        held = parts.tile((PARTITIONS, 2, tiles_of(share.hidden[1]), last - first), dtype)
        for which in range(2):
            load_rows(as_view(held).select(1, which), gates.weight.select(1, which).slice(1, first, last))
        for plane in range(first, last, PARTITIONS):
            rows = min(PARTITIONS, last - plane)
            own = as_view(held).slice(3, plane - first, plane - first + rows)
            for token in range(0, tokens.count, PSUM_COLUMNS):
                end = min(token + PSUM_COLUMNS, tokens.count)
                into = as_view(middle).slice(0, 0, rows).select(1, plane // PARTITIONS).slice(1, token, end)
                _project_plane(into, as_view(x).slice(2, token, end), own, gates, plane, token, sbm)
        parts.turn()
    parts.close()
    work.close()


def _both_columns(tensor: Any, expert: Any, share: Share, work: Scratch, sbm: SbufManager) -> list[Any]:
    """This core's part of a row of I for the gate, and one for the other, ``[E, 2, I]`` → [None, None]."""
    if tensor is None:
        return [None, None]
    rows = as_view(tensor).select(0, expert).slice(1, share.inner[0], share.inner[0] + share.inner[1])
    columns = []
    for which in (GateUpDim.GATE.value, GateUpDim.UP.value):
        columns.append(_column(rows.slice(0, which, which + 1), work, sbm))
    return columns


def _column(row: TensorView, work: Scratch, sbm: SbufManager) -> nl.ndarray:
    """A row ``[1, N]`` of HBM down the partitions: fp32 ``[128, ⌈N/128⌉]``, zero behind its end."""
    size = row.shape[1]
    column = work.tile((PARTITIONS, tiles_of(size)), nl.float32)
    held = scratch(sbm, name="column")
    raw = held.tile((PARTITIONS, tiles_of(size)), row.dtype)
    if size % PARTITIONS == 0:
        load_transposed(raw, row.select(0, 0).reshape_dim(0, (size // PARTITIONS, PARTITIONS)), sbm)
    else:
        nisa.memset(dst=raw, value=0.0)
        load_column(raw, row)
    nisa.tensor_copy(dst=column, src=raw)
    held.close()
    return column


def _project_plane(
    into: TensorView,
    x: TensorView,
    weight: TensorView,
    gates: Gates,
    plane: int,
    token: int,
    sbm: SbufManager,
) -> None:
    """m of up to 128 columns of I, from ``plane`` on, and 512 tokens: ``into`` ``[rows, tokens]``.

    weight: SBUF ``[128, 2, ⌈H/128⌉, rows]``.
    """
    task, share = gates.task, gates.share
    rows, count = into.shape
    work = scratch(sbm, name="plane")
    both = work.tile((rows, 2, count), nl.float32)
    products = []
    for which in range(2):
        product = psum_tile((rows, count))
        contract(product, weight.select(1, which), x, share.hidden[1])
        if share.sums_gates:
            copy_on(both[:, which, :], product, True)
            product = both[:, which, :]
        products.append(product)
    if share.sums_gates:
        sum_over_cores(both, share.here, sbm)
    gating, column = task.experts.gating, plane // PARTITIONS
    gate = _finished(both[:, 0, :], products[0], gates, 0, column, gating.gate)
    up = _finished(both[:, 1, :], products[1], gates, 1, column, gating.up)
    if task.gates_out is not None:
        _store_gates([gate, up], gates, plane, token, work)
    if task.scaling.on_gates:
        gate, up = both[:, 0, :], both[:, 1, :]
        spread = gates.tokens.spread[0:rows, token : token + count]
        nisa.tensor_tensor(dst=gate, data1=gate, data2=spread, op=nl.multiply)
        nisa.tensor_tensor(dst=up, data1=up, data2=spread, op=nl.multiply)
    activate(both[:, 0, :], gate, gating.function)
    if task.scaling.on_product:
        nisa.tensor_tensor(dst=both[:, 1, :], data1=both[:, 0, :], data2=up, op=nl.multiply)
        spread = gates.tokens.spread[0:rows, token : token + count]
        nisa.tensor_tensor(dst=into.get_view(), data1=both[:, 1, :], data2=spread, op=nl.multiply)
    else:
        nisa.tensor_tensor(dst=into.get_view(), data1=both[:, 0, :], data2=up, op=nl.multiply)
    work.close()


def _finished(
    room: nl.ndarray,
    product: nl.ndarray,
    gates: Gates,
    which: int,
    column: int,
    limits: tuple[float | None, float | None],
) -> nl.ndarray:
    """A product with factors, bias and limits: in ``room``, or where it is if there is nothing to do."""
    rows = product.shape[0]
    factor, bias = gates.factors[which], gates.biases[which]
    held = product
    if factor is not None or bias is not None:
        _scale_and_shift(room, product, _of(factor, rows, column), _of(bias, rows, column))
        held = room
    if limits[0] is not None or limits[1] is not None:
        clamp(room, held, limits[0], limits[1])
        held = room
    elif gates.task.scaling.on_gates and factor is None and bias is None and not gates.share.sums_gates:
        nisa.tensor_copy(dst=room, src=product)
        held = room
    return held


def _of(columns: Any, rows: int, column: int) -> Any:
    return None if columns is None else columns[0:rows, column : column + 1]


def _scale_and_shift(dst: nl.ndarray, src: nl.ndarray, factor: Any, bias: Any) -> None:
    """``dst = src·factor + bias``, one value for each partition; either may be None. On Scalar Engine."""
    nisa.activation(dst=dst, op=nl.copy, data=src, scale=1.0 if factor is None else factor, bias=bias)


def _store_gates(products: list[nl.ndarray], gates: Gates, plane: int, token: int, work: Scratch) -> None:
    """The two products ``[rows, tokens]`` into the block of ``gates_out``; where cores share sums, once."""
    share, out = gates.share, gates.task.gates_out
    if share.sums_gates and plane // PARTITIONS % share.here.count != share.here.index:
        return
    rows, count = products[0].shape
    start, first = share.inner[0] + plane, gates.tokens.first + token
    block = as_view(out).select(0, gates.number).slice(1, start, start + rows).slice(2, first, first + count)
    for which in range(2):
        small = work.tile((rows, count), out.dtype)
        nisa.tensor_copy(dst=small, src=products[which])
        nisa.dma_copy(dst=block.select(0, which).get_view(), src=small)
