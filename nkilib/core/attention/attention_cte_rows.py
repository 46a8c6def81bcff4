"""Attention of batch rows over keys and values in SBUF: what :mod:`.attention_cte` is composed of.

Queries are taken in groups of up to 4 tiles of 128, keys in chunks of up to 16 blocks of 128. For each two::

    scores        [128 queries, 2048 keys]      in four PSUM banks, of one tile of queries at a time
    exponentials  [128 queries, 2048 keys]      exp(scores - m)
    weights       [128 keys, 16, 512 queries]   the same, transposed block by block by DMA
    product       [d, 512 queries]              Σ over the chunk's keys of values·weights, in one PSUM bank

A step is one tile of queries and one chunk. Engines work in the order of issue, so the stages of a step are
issued apart, between those of its neighbours: exponentials, weights one step later, products two steps later,
their sums three steps later. Then no engine waits long for another.

Blocks that no query of a tile sees are left out when the kernel is traced.
"""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from ...blocks.masks import mask_and_max, sees_all
from ...blocks.matmul import contract, load_transposed
from ...blocks.memory import PARTITIONS, PSUM_COLUMNS, psum_tile
from ...blocks.softmax import (
    RunningSoftmax,
    add_part,
    begin_with_sink,
    largest,
    row_max,
    settle,
    weigh,
)
from ...blocks.tiles import as_view, transpose_by_dma
from ..utils.allocator import SbufManager
from ..utils.tensor_view import TensorView
from .attention_cte_buffers import GROUP_TILES, Buffers
from .attention_cte_call import Call, Segment, Share
from .attention_cte_plan import Chunk, Group, Step, blocks_of, chunks, queries_of, rows_of, tiles_that_see
from .attention_cte_results import finish

# -- steps ----------------------------------------------------------------------------------------------


def attend_rows(
    call: Call, segments: list[Segment], shares: list[Share], buffers: Buffers, sbm: SbufManager
) -> None:
    """All steps of the shares, which have their keys and values in ``segments``."""
    behind: list[Any] = [None, None, None]
    for share in shares:
        for first in range(share.first, share.end, GROUP_TILES):
            group = _group(call, segments, share, first, buffers, sbm)
            for chunk in group.chunks:
                for tile in range(chunk.first_tile, chunk.end_tile):
                    step = Step(group=group, chunk=chunk, tile=tile, number=buffers.steps)
                    buffers.steps += 1
                    _weigh(call, step, buffers)
                    _follow(call, behind, buffers, sbm)
                    behind = [step, behind[0], behind[1]]
        buffers.shares += 1
    for _ in range(len(behind)):
        _follow(call, behind, buffers, sbm)
        behind = [None, behind[0], behind[1]]


def _follow(call: Call, behind: list[Any], buffers: Buffers, sbm: SbufManager) -> None:
    """Later stages of the steps before this one, latest first; those of the last tile of a chunk are more."""
    if behind[0] is not None:
        _turn(behind[0], buffers)
    if behind[2] is not None and _ends_chunk(behind[2]):
        _take_in(call, behind[2], buffers, sbm)
    if behind[1] is not None and _ends_chunk(behind[1]):
        _multiply(call, behind[1], buffers)


def _ends_chunk(step: Step) -> bool:
    return bool(step.tile + 1 == step.chunk.end_tile)


def _group(
    call: Call, segments: list[Segment], share: Share, first: int, buffers: Buffers, sbm: SbufManager
) -> Group:
    """The next group, with its queries loaded."""
    tiles = min(GROUP_TILES, share.end - first)
    group = Group(
        share=share,
        tile=first,
        tiles=tiles,
        rows=min(call.cfg.seqlen_q - first * PARTITIONS, tiles * PARTITIONS),
        column=first - share.first,
        last=first + tiles == share.end,
        buffer=buffers.groups % 2,
        state_buffer=buffers.groups % 4,
        share_buffer=buffers.shares % 2,
    )
    buffers.groups += 1
    group.states = []
    for tile in range(tiles):
        group.states.append(_state(call, group, tile, buffers))
    group.chunks = chunks(call, segments, group, buffers.blocks)
    for chunk in group.chunks:
        chunk.buffer = buffers.chunks % 2
        buffers.chunks += 1
    _load_queries(call, group, buffers.queries[group.buffer], sbm)
    return group


def _state(call: Call, group: Group, tile: int, buffers: Buffers) -> RunningSoftmax:
    rows, batch = rows_of(group, tile), group.share.batch
    state = RunningSoftmax(
        total=buffers.totals[group.state_buffer][0:rows, tile : tile + 1],
        columns=buffers.states[tile][group.state_buffer],
        rows=rows,
    )
    if call.negated_sinks is not None:
        begin_with_sink(state, call.negated_sinks[0:rows, batch : batch + 1])
    return state


def _load_queries(call: Call, group: Group, buffer: nl.ndarray, sbm: SbufManager) -> None:
    """Queries as columns. A scale that is not positive goes into them, which is exact for its sign."""
    source, dst = as_view(call.q).select(0, group.share.batch), buffer[:, 0 : group.rows]
    start = group.tile * PARTITIONS
    if call.cfg.tp_q:
        into = as_view(buffer).slice(1, 0, group.rows)
        load_transposed(into, source.slice(0, start, start + group.rows), sbm)
    else:
        nisa.dma_copy(dst=dst, src=source.slice(1, start, start + group.rows).get_view())
    if call.cfg.scale <= 0:
        sign = -1.0 if call.cfg.scale < 0 else 0.0
        nisa.tensor_scalar(dst=dst, data=dst, op0=nl.multiply, operand0=sign)


def _positive_scale(scale: float) -> float:
    """What is left of the scale after :func:`_load_queries`."""
    return abs(scale) if scale != 0 else 1.0


def _keys_of(step: Step) -> tuple[int, int]:
    """(first, end) of the keys of a step, counted in their segment."""
    first, end = step.chunk.spans[step.tile]
    return first * PARTITIONS, min(step.chunk.segment.length, end * PARTITIONS)


def _weigh(call: Call, step: Step, buffers: Buffers) -> None:
    """``exponentials = exp(scores - m)``."""
    group, segment = step.group, step.chunk.segment
    first, end = _keys_of(step)
    rows, column = rows_of(group, step.tile), step.tile * PARTITIONS
    scores = psum_tile((rows, end - first))
    for start in range(first, end, PSUM_COLUMNS):
        stop = min(end, start + PSUM_COLUMNS)
        nisa.nc_matmul(
            dst=scores[:, start - first : stop - first],
            stationary=buffers.queries[group.buffer][:, column : column + rows],
            moving=segment.keys[:, start:stop],
        )
    state = group.states[step.tile]
    queries = queries_of(group, step.tile)
    always = not segment.prior and sees_all(call.band, queries[0], queries[1], first, end)
    if segment.bounds is None or always:
        row_max(state, scores)
    else:
        mask_and_max(scores, first, segment.bounds, group.tile + step.tile, largest(state))
    exponentials = buffers.exponentials[step.number % 2][0:rows, 0 : end - first]
    step.chunk.parts[step.tile] = weigh(state, exponentials, scores, _positive_scale(call.cfg.scale))


def _weights_of(group: Group, chunk: Chunk, buffers: Buffers) -> TensorView:
    return as_view(buffers.weights[chunk.buffer]).slice(2, 0, group.rows)


def _turn(step: Step, buffers: Buffers) -> None:
    """``weights[key, block, query] = exponentials[query, key]``; and the softmax takes the step in."""
    group, chunk = step.group, step.chunk
    rows, column = rows_of(group, step.tile), step.tile * PARTITIONS
    first, end = _keys_of(step)
    span, offset = chunk.spans[step.tile], blocks_of(chunk)[0]
    into = _weights_of(group, chunk, buffers).slice(1, span[0] - offset, span[1] - offset)
    exponentials = as_view(buffers.exponentials[step.number % 2]).slice(0, 0, rows).slice(1, 0, end - first)
    transpose_by_dma(into.slice(2, column, column + rows), exponentials)
    settle(group.states[step.tile], chunk.parts[step.tile])


# -- chunks ---------------------------------------------------------------------------------------------


def _multiply(call: Call, step: Step, buffers: Buffers) -> None:
    """``products[d, query] = Σ values·weights`` over the chunk's keys."""
    group, chunk = step.group, step.chunk
    product = psum_tile((call.cfg.d, group.rows))
    _sum_values(product, chunk, _weights_of(group, chunk, buffers))
    start, stop = chunk.first_tile * PARTITIONS, min(group.rows, chunk.end_tile * PARTITIONS)
    held = buffers.products[chunk.buffer]
    nisa.activation(dst=held[:, start:stop], op=nl.copy, data=product[:, start:stop])


def _take_in(call: Call, step: Step, buffers: Buffers, sbm: SbufManager) -> None:
    """Add the products to those of earlier chunks; after the last chunk of a group store the result."""
    group, chunk = step.group, step.chunk
    held, sums = buffers.products[chunk.buffer], buffers.sums[group.buffer]
    flipped = psum_tile((PARTITIONS, group.tiles, call.cfg.d))
    for tile in range(chunk.first_tile, chunk.end_tile):
        rows, column = rows_of(group, tile), tile * PARTITIONS
        nisa.nc_transpose(
            dst=flipped[0:rows, tile, :], data=held[:, column : column + rows], engine=nisa.tensor_engine
        )
    if len(group.chunks) == 1:
        finish(call, group, flipped, buffers, sbm)
        return
    for tile in range(chunk.first_tile, chunk.end_tile):
        rows = rows_of(group, tile)
        add_part(sums[0:rows, tile, :], flipped[0:rows, tile, :], chunk.parts[tile], tile >= chunk.begun)
    if chunk.last:
        finish(call, group, sums, buffers, sbm)


def _sum_values(product: nl.ndarray, chunk: Chunk, weights: TensorView) -> None:
    """``product[:, queries] = Σ values·weights`` over the chunk's blocks.

    A matmul covers all tiles of queries for the blocks that all of them see. These come first: a matmul must
    not write some of its columns for the first time and add to others. Without such blocks each tile is on
    its own.
    """
    first_tile, end_tile = chunk.first_tile, chunk.end_tile
    first_block, end_block = blocks_of(chunk)
    common = chunk.spans[end_tile - 1][0], chunk.spans[first_tile][1]
    if common[0] >= common[1]:
        for tile in range(first_tile, end_tile):
            _add_values(product, chunk, weights, chunk.spans[tile], tile, tile + 1)
        return
    _add_values(product, chunk, weights, common, first_tile, end_tile)
    for block in range(first_block, end_block):
        if block < common[0] or block >= common[1]:
            first, end = tiles_that_see(chunk, block)
            _add_values(product, chunk, weights, (block, block + 1), first, end)


def _add_values(
    product: nl.ndarray, chunk: Chunk, weights: TensorView, blocks: Any, first: int, end: int
) -> None:
    """Add blocks ``blocks[0]`` to ``blocks[1] - 1`` for tiles of queries ``first`` to ``end - 1``."""
    start, stop = first * PARTITIONS, min(product.shape[1], end * PARTITIONS)
    segment, (offset, _) = chunk.segment, blocks_of(chunk)
    contract(
        product[:, start:stop],
        as_view(segment.values).slice(1, blocks[0], blocks[1]),
        weights.slice(1, blocks[0] - offset, blocks[1] - offset),
        min(segment.length, blocks[1] * PARTITIONS) - blocks[0] * PARTITIONS,
        moving_columns=(start, stop - start),
    )
