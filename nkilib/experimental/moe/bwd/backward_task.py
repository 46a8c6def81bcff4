"""One backward pass of block-wise experts, and what is in SBUF of some tokens of a block.

Each core has its columns of the hidden dimension in x, dy, both weights and all gradients; only the sums over
that dimension, those of dm and of the affinities' gradients, are exchanged.
"""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from ....blocks.indirect import gather_or_zero, scatter_rows
from ....blocks.lnc import sum_over_cores
from ....blocks.matmul import contract, transpose
from ....blocks.memory import PARTITIONS, PSUM_COLUMNS, Scratch, psum_tile, scratch
from ....blocks.tiles import as_view, from_runtime_start, tiles_of
from ....core.moe.experts import expert_count
from ....core.moe.moe_cte.block_task import Share, Task, Tokens, load_tokens
from ....core.utils.allocator import SbufManager
from ....core.utils.tensor_view import TensorView

ROW_COLUMNS = 2048
"""Columns of a gradient that are added to at a time: four banks of PSUM."""


class Gradients(nl.NKIObject):
    """The results, in HBM: of the hidden state ``[R, H]``, affinities ``[R·E, 1]``, weights, and biases.

    gate_up ``[E, H, 2, I]``, down ``[E, I, H]``; gate_up_bias ``[E, 2, I]`` and down_bias ``[E, H]`` or None.
    """

    hidden: nl.ndarray
    affinities: nl.ndarray
    gate_up: nl.ndarray
    down: nl.ndarray
    gate_up_bias: Any
    down_bias: Any


class Backward(nl.NKIObject):
    """What is differentiated, and at what.

    Attributes:
        task: the forward pass; its ``output`` is the gradient of what that gave, dy ``[R, H]``, and its
            ``accumulating`` says whether the hidden state's gradient is added to.
        gates: ``[N, 2, I, B]``, the clamped products. down: ``[N, B, H]``, the result before the affinity.
        share: this core's columns.
    """

    task: Task
    gates: nl.ndarray
    down: nl.ndarray
    share: Share
    gradients: Gradients


class Part(nl.NKIObject):
    """Some tokens of a block; J tiles of 128, W of this core's columns.

    Attributes:
        number, expert: of the block; int32 ``[1, 1]`` in SBUF, or the number of the block.
        x, weighted: the hidden state, and dy times the affinity, ``[128, J, W]``.
        turned: the latter ``[128, ⌈W/128⌉, tokens]``.
        hidden_grad: fp32 ``[128, J, W]``, its sum.
    """

    number: Any
    expert: Any
    tokens: Tokens
    x: nl.ndarray
    weighted: nl.ndarray
    turned: nl.ndarray
    hidden_grad: nl.ndarray


def load_part(
    backward: Backward, number: Any, expert: Any, first: int, count: int, work: Scratch, sbm: SbufManager
) -> Part:
    """Tokens ``first`` on, and the gradients of their affinities and of the down bias."""
    task, width = backward.task, backward.share.hidden[1]
    tiles = count // PARTITIONS
    tokens = load_tokens(task, number, expert, first, count, work, sbm)
    part = Part(
        number=number,
        expert=expert,
        tokens=tokens,
        x=work.tile((PARTITIONS, tiles, width), task.dtype),
        weighted=work.tile((PARTITIONS, tiles, width), task.dtype),
        turned=work.tile((PARTITIONS, tiles_of(width), count), task.dtype),
        hidden_grad=work.tile((PARTITIONS, tiles, width), nl.float32),
    )
    held = scratch(sbm, name="part")
    sums = held.tile((PARTITIONS, tiles), nl.float32)
    for tile in range(tiles):
        _gather(part.x[:, tile, :], task.hidden, tokens, tile, backward)
        _weigh_tile(sums[:, tile : tile + 1], part, tile, backward, sbm)
        start = tile * PARTITIONS
        turned = as_view(part.turned).slice(2, start, start + PARTITIONS)
        transpose(turned, as_view(part.weighted).select(1, tile), on_scalar=True)
    sum_over_cores(sums, backward.share.here, sbm)
    if backward.share.here.index == 0:
        for tile in range(tiles):
            _store_affinity_grad(sums[:, tile : tile + 1], part, tile, backward, sbm)
    held.close()
    if backward.gradients.down_bias is not None:
        row = as_view(backward.gradients.down_bias).select(0, expert).expand_dim(0)
        start = backward.share.hidden[0]
        add_column_sums(row.slice(1, start, start + width), part.weighted, count, sbm)
    return part


def _gather(dst: nl.ndarray, src: nl.ndarray, tokens: Tokens, tile: int, backward: Backward) -> None:
    """This core's columns of a tile of tokens; 0 for padding."""
    gather_or_zero(dst, src, tokens.ids[:, tile : tile + 1], backward.share.hidden[0])


def _weigh_tile(sums: nl.ndarray, part: Part, tile: int, backward: Backward, sbm: SbufManager) -> None:
    """``weighted = dy·a`` of a tile of tokens, and ``sums = Σ_h dy·y`` over this core's columns."""
    task, tokens = backward.task, part.tokens
    start, width = backward.share.hidden
    work = scratch(sbm, name="weigh")
    dy = work.tile((PARTITIONS, width), task.output.dtype)
    _gather(dy, task.output, tokens, tile, backward)
    y = work.tile((PARTITIONS, width), backward.down.dtype)
    first = tokens.first + tile * PARTITIONS
    rows = as_view(backward.down).select(0, part.number).slice(0, first, first + PARTITIONS)
    nisa.dma_copy(dst=y, src=rows.slice(1, start, start + width).get_view())
    weight = tokens.affinity[:, tile : tile + 1]
    # The scaled copy and the sum on Scalar Engine: Vector Engine adds up gradients.
    nisa.activation(dst=part.weighted[:, tile, :], op=nl.copy, data=dy, scale=weight)
    product = work.tile((PARTITIONS, width), nl.float32)
    nisa.tensor_tensor(dst=product, data1=dy, data2=y, op=nl.multiply)
    nisa.activation(
        dst=product,
        op=nl.copy,
        data=product,
        reduce_op=nl.add,
        reduce_res=sums,
        reduce_cmd=nisa.reduce_cmd.reset_reduce,
    )
    work.close()


def _store_affinity_grad(
    values: nl.ndarray, part: Part, tile: int, backward: Backward, sbm: SbufManager
) -> None:
    """The expert's column of the tokens' rows of the affinities' gradient."""
    task, experts = backward.task, expert_count(backward.task.experts)
    ids = part.tokens.ids[:, tile : tile + 1]
    work = scratch(sbm, name="affinity_grad")
    rows = work.tile((PARTITIONS, experts), backward.gradients.affinities.dtype)
    target = backward.gradients.affinities.reshape((task.hidden.shape[0], experts))
    gather_or_zero(rows, target, ids)
    column = from_runtime_start(as_view(rows).slice(1, 0, 1), 1, part.expert)
    nisa.tensor_copy(dst=column.get_view(), src=values)
    scatter_rows(target, ids, rows, skip=True)
    work.close()


def store_hidden_grad(part: Part, backward: Backward, sbm: SbufManager) -> None:
    """The sum to the tokens' rows, added to what is there if tokens are in several blocks."""
    task, target = backward.task, backward.gradients.hidden
    start, width = backward.share.hidden
    for tile in range(part.hidden_grad.shape[1]):
        ids = part.tokens.ids[:, tile : tile + 1]
        work = scratch(sbm, name="hidden_grad")
        result = work.tile((PARTITIONS, width), target.dtype)
        if task.accumulating:
            gather_or_zero(result, target, ids, start)
            nisa.tensor_tensor(dst=result, data1=result, data2=part.hidden_grad[:, tile, :], op=nl.add)
        else:
            nisa.tensor_copy(dst=result, src=part.hidden_grad[:, tile, :])
        scatter_rows(target, ids, result, start, skip=True)
        work.close()


# -- sums in HBM ------------------------------------------------------------------------------------------


def add_to(dst: TensorView, src: nl.ndarray, sbm: SbufManager) -> None:
    """``dst += src``: HBM, and PSUM or SBUF, of one shape ``[P, …]``; added in fp32, rounded once."""
    work = scratch(sbm, name="add_to")
    held = work.tile(tuple(dst.shape), dst.dtype)
    nisa.dma_copy(dst=held, src=dst.get_view())
    nisa.tensor_tensor(dst=held, data1=src, data2=held, op=nl.add)
    nisa.dma_copy(dst=dst.get_view(), src=held)
    work.close()


def add_column_sums(dst: TensorView, operand: Any, rows: int, sbm: SbufManager) -> None:
    """``dst[0, n] += Σ_b operand[b, n]``: HBM ``[1, N]``; SBUF ``[128, J, N]`` of ``rows`` rows in tiles."""
    work = scratch(sbm, name="column_sums")
    view = as_view(operand)
    ones = work.tile((PARTITIONS, view.shape[1], 1), view.dtype)
    nisa.memset(dst=ones, value=1.0)
    for start in range(0, dst.shape[1], PSUM_COLUMNS):
        end = min(start + PSUM_COLUMNS, dst.shape[1])
        sums = psum_tile((1, end - start))
        contract(sums, ones, view.slice(2, start, end), rows)
        add_to(dst.slice(1, start, end), sums, sbm)
    work.close()
