"""One block: its tokens through its expert, and the results to their rows."""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from ....blocks.indirect import gather_or_zero, scatter_rows
from ....blocks.lnc import exchange
from ....blocks.matmul import contract, copy_on
from ....blocks.memory import PARTITIONS, PSUM_COLUMNS, Scratch, psum_tile, scratch
from ....blocks.projection import affine, spread_columns, weigh
from ....blocks.tiles import as_view, load_rows, tiles_of
from ...utils.allocator import SbufManager, sizeinbytes
from ...utils.common_types import QuantizationType
from ...utils.tensor_view import TensorView
from ..experts import add_bias_row, load_bias_row
from ..mx_expert import DOWN_COLUMNS, load_down_mx, mx_expert, project_middle, sum_rows_mx
from .block_gates import load_x, project_gates
from .block_marks import set_marks, take_marks
from .block_task import Share, Task, Tokens, expert_of, load_tokens, weight_dtype

TOKEN_BYTES = 96 * 1024
"""Bytes of a partition that x may take; a block of more tokens is done in parts, which read weights again."""
MOST_TOKENS = 1024
DOWN_BYTES = 32 * 1024
"""Bytes of a partition that a part of the down weights may take, if it is more than 512 columns."""


class Block(nl.NKIObject):
    """One block, or a part of its tokens, on its way.

    Attributes:
        number, expert: of the block; numbers, or int32 ``[1, 1]`` in SBUF.
        old: as ``tokens.ids``, rows of the output that hold something to add to, -1 for others; None: none
            does.
        middle: m, SBUF ``[128, ⌈I/128⌉, tokens]``, or quantised. weights: the expert's, MX.
    """

    task: Task
    share: Share
    number: Any
    expert: Any
    tokens: Tokens
    old: Any
    middle: Any
    weights: Any


class Columns(nl.NKIObject):
    """Columns ``start`` to ``end - 1`` of the down projection.

    Attributes:
        weight: SBUF ``[128, ⌈I/128⌉, columns]``, or MX. factors: SBUF ``[128, columns]`` or None.
        row, ones: the bias ``[1, columns]``, added with ones ``[1, 128]`` in PSUM; None without, and with
            factors. bias: with factors, ``[128, columns]``; else None.
    """

    start: int
    end: int
    weight: Any
    factors: Any = None
    bias: Any = None
    row: Any = None
    ones: Any = None


def process_block(task: Task, share: Share, number: Any, sbm: SbufManager, first_one: bool = False) -> None:
    """Add block ``number`` (a number, or an int32 ``[1, 1]`` in SBUF) to the output.

    ``first_one``: nothing has been added to its rows of the output; they are not read. A token is in it once.
    """
    work = scratch(sbm, name="block")
    expert = expert_of(task, number, work)
    most = tokens_at_once(task, share)
    for first in range(0, task.block, most):
        part = scratch(sbm, name="part")
        count = min(most, task.block - first)
        tokens = load_tokens(task, number, expert, first, count, part, sbm)
        block = Block(
            task=task,
            share=share,
            number=number,
            expert=expert,
            tokens=tokens,
            old=None if first_one else _old_rows(task, share, tokens, part),
            middle=None,
            weights=None,
        )
        _project_middle(block, part, sbm)
        _project_down(block, sbm)
        if task.marks is not None:
            set_marks(task.marks, tokens.ids, share.marks)
        part.close()
    work.close()


def _old_rows(task: Task, share: Share, tokens: Tokens, work: Scratch) -> Any:
    """:attr:`Block.old`."""
    if not task.accumulating:
        return None
    if task.marks is None:
        return tokens.ids
    return take_marks(task.marks, tokens.ids, share.marks, work)


def tokens_at_once(task: Task, share: Share) -> int:
    """Tokens of a block that are in SBUF together: 1024, 512 or, for a large hidden dimension, 256."""
    each = tiles_of(share.hidden[1]) * sizeinbytes(task.dtype)
    most = MOST_TOKENS
    while most > 2 * PARTITIONS and most * each > TOKEN_BYTES:
        most = most // 2
    return most


def _project_middle(block: Block, work: Scratch, sbm: SbufManager) -> None:
    """Set ``block.middle``."""
    task, share, tokens = block.task, block.share, block.tokens
    start, size = share.inner
    if task.experts.kind == QuantizationType.MX:
        block.weights = mx_expert(task.experts, block.expert, start, size)
        x = load_x(task, share, tokens, work, sbm)
        block.middle = project_middle(block.weights, x, task.experts.gating, work, sbm)
        return
    block.middle = work.tile((PARTITIONS, tiles_of(size), tokens.count), task.dtype)
    held = scratch(sbm, name="x")
    x = load_x(task, share, tokens, held, sbm)
    project_gates(block.middle, x, task, share, tokens, block.number, block.expert, sbm)
    held.close()


# -- down -----------------------------------------------------------------------------------------------


def _project_down(block: Block, sbm: SbufManager) -> None:
    start, size = block.share.hidden
    step = _columns_at_once(block)
    tiles = block.tokens.count // PARTITIONS
    parts = scratch(sbm, name="down", places=2)
    for first in range(start, start + size, step):
        columns = _load_columns(block, first, min(first + step, start + size), parts, sbm)
        if block.share.sums_down and block.share.here.count == 2:
            half, index = tiles // 2, block.share.here.index
            for tile in range(half):
                _deliver_sum(block, columns, index * half + tile, (1 - index) * half + tile, sbm)
        else:
            for tile in range(tiles):
                _deliver_alone(block, columns, tile, sbm)
        parts.turn()
    parts.close()


def _columns_at_once(block: Block) -> int:
    if block.weights is not None:
        return DOWN_COLUMNS
    each = tiles_of(block.share.inner[1]) * sizeinbytes(weight_dtype(block.task, block.task.experts.down))
    fitting = DOWN_BYTES // each // PSUM_COLUMNS * PSUM_COLUMNS
    return max(PSUM_COLUMNS, min(DOWN_COLUMNS, fitting))


def _load_columns(block: Block, start: int, end: int, work: Scratch, sbm: SbufManager) -> Columns:
    task, experts = block.task, block.task.experts
    columns = Columns(start=start, end=end, weight=None)
    bias, scaled = _row(experts.down_bias, block.expert), experts.kind == QuantizationType.ROW
    if scaled:
        scale = _row(experts.down_scale, block.expert)
        columns.factors = spread_columns(scale, PARTITIONS, start, end, work, sbm)
        columns.bias = spread_columns(bias, PARTITIONS, start, end, work, sbm)
    elif bias is not None:
        columns.row, columns.ones = load_bias_row(bias.slice(1, start, end), work)
    if block.weights is not None:
        columns.weight = load_down_mx(block.weights, start, end, work)
        return columns
    first, size = block.share.inner
    columns.weight = work.tile((PARTITIONS, tiles_of(size), end - start), weight_dtype(task, experts.down))
    source = as_view(experts.down).select(0, block.expert).slice(0, first, first + size)
    load_rows(columns.weight, source.slice(1, start, end))
    return columns


def _row(tensor: Any, expert: Any) -> Any:
    """``[1, H]`` of ``[E, H]``; None stays None."""
    if tensor is None:
        return None
    return as_view(tensor).select(0, expert).expand_dim(0)


def _sum(block: Block, columns: Columns, tile: int, biased: bool) -> nl.ndarray:
    """This core's part of ``m·Wd`` for a tile of tokens, with the bias: PSUM ``[128, columns]``."""
    first = tile * PARTITIONS
    width = columns.end - columns.start
    if block.weights is not None:
        sums = sum_rows_mx(block.middle, columns.weight, first, PARTITIONS, block.weights.inner)
    else:
        sums = psum_tile((PARTITIONS, width))
        for start in range(0, width, PSUM_COLUMNS):
            size = min(PSUM_COLUMNS, width - start)
            own, rows = sums[:, start : start + size], block.share.inner[1]
            contract(own, block.middle, columns.weight, rows, (first, PARTITIONS), (start, size))
    if biased and columns.row is not None:
        add_bias_row(sums, columns.row, columns.ones)
    return sums


def _deliver_sum(block: Block, columns: Columns, mine: int, theirs: int, sbm: SbufManager) -> None:
    """Deliver tile ``mine`` after adding the other core's part; that core gets this one's part of ``theirs``.

    What is exchanged has the hidden state's dtype, with the factors multiplied.
    """
    work = scratch(sbm, name="exchange")
    shape, dtype = (PARTITIONS, columns.end - columns.start), block.task.hidden.dtype
    sent, received = work.tile(shape, dtype), work.tile(shape, dtype)
    total = work.tile(shape, nl.float32)
    part = _sum(block, columns, theirs, False)
    if columns.factors is None:
        copy_on(sent, part, True)
    else:
        affine(sent, part, sbm, factors=columns.factors)
    exchange(received, sent, block.share.here)
    own = _sum(block, columns, mine, True)
    affine(total, own, sbm, factors=columns.factors, shift=received)
    if columns.bias is not None:
        affine(total, total, sbm, shift=columns.bias)
    _deliver(block, columns, mine, total, sbm)
    work.close()


def _deliver_alone(block: Block, columns: Columns, tile: int, sbm: SbufManager) -> None:
    """Deliver a tile of which this core has all sums."""
    work = scratch(sbm, name="alone")
    value = _sum(block, columns, tile, True)
    if columns.factors is not None:
        scaled = work.tile(tuple(value.shape), nl.float32)
        affine(scaled, value, sbm, factors=columns.factors, shift=columns.bias)
        value = scaled
    _deliver(block, columns, tile, value, sbm)
    work.close()


def _deliver(block: Block, columns: Columns, tile: int, value: nl.ndarray, sbm: SbufManager) -> None:
    """Weight, and sum with what is there, to the tokens' rows; and the checkpoint."""
    task, tokens = block.task, block.tokens
    work = scratch(sbm, name="deliver")
    if task.down_out is not None:
        _store_down(block, columns, tile, value, work)
    ids, start = tokens.ids[:, tile : tile + 1], block.share.start + columns.start
    result = work.tile((PARTITIONS, columns.end - columns.start), task.output.dtype)
    adding = block.old is not None
    if adding:
        gather_or_zero(result, task.output, block.old[:, tile : tile + 1], start)
    weight = tokens.affinity[:, tile : tile + 1] if task.scaling.on_output else None
    weigh(result, value, weight, adding, sbm)
    scatter_rows(task.output, ids, result, start, skip=True)
    work.close()


def _store_down(block: Block, columns: Columns, tile: int, value: nl.ndarray, work: Scratch) -> None:
    """A tile of tokens into the block of ``down_out``."""
    out: Any = block.task.down_out
    small = work.tile((PARTITIONS, columns.end - columns.start), out.dtype)
    copy_on(small, value, True)
    first = block.tokens.first + tile * PARTITIONS
    rows: TensorView = as_view(out).select(0, block.number).slice(0, first, first + PARTITIONS)
    nisa.dma_copy(dst=rows.slice(1, columns.start, columns.end).get_view(), src=small)
