"""Attention of batch rows over keys and values in SBUF: what :mod:`.attention_cte` is composed of.

Queries are taken in groups of up to 4 tiles of 128, keys in chunks of up to 16 blocks of 128. For each two::

    scores   [128 queries, 2048 keys]      in four PSUM banks, of one tile of queries at a time
    weights  [128 keys, 16, 512 queries]   exp(scores - m), transposed block by block
    product  [d, 512 queries]              Σ over the chunk's keys of values·weights, in one PSUM bank

Blocks that no query of a tile sees are left out when the kernel is traced. Sums over several chunks are kept
in SBUF, in fp32.
"""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from ...blocks.masks import mask_and_max, sees_all
from ...blocks.matmul import contract, load_transposed, transpose, transpose_tiles
from ...blocks.memory import PARTITIONS, PSUM_COLUMNS, Scratch, psum_tile, scratch
from ...blocks.softmax import RunningSoftmax, add_part, begin_with_sink, row_max, weigh
from ...blocks.tiles import as_view, load_broadcast, store_rows
from ..utils.allocator import SbufManager
from ..utils.tensor_view import TensorView
from .attention_cte_call import Call, Segment, Share
from .attention_cte_plan import Chunk, Group, chunks, queries_of, rows_of, tiles_that_see

_GROUP_TILES = 4


# -- rows -----------------------------------------------------------------------------------------------


def attend_rows(call: Call, segments: list[Segment], share: Share, sbm: SbufManager) -> None:
    """All groups of a share, and its statistics."""
    work = scratch(sbm, name="rows")
    tiles = share.end - share.first
    factors = work.tile((PARTITIONS, tiles), nl.float32)
    negated = None
    if call.cfg.cache_softmax:
        negated = work.tile((PARTITIONS, tiles), nl.float32)
    sink = _negated_sink(call, share.batch, work)
    for first in range(share.first, share.end, _GROUP_TILES):
        inner = scratch(sbm, name="group")
        column = first - share.first
        group = _group(call, share, first, factors, column, sink, inner, sbm)
        sums = _attend_group(call, group, chunks(call, segments, group), inner, sbm)
        _finish(call, group, sums, factors, negated, column, inner)
        inner.close()
    if call.cfg.cache_softmax:
        _store_statistics(call.neg_max, negated, share)
        _store_statistics(call.recip, factors, share)
    work.close()


def _store_statistics(dst: nl.ndarray, src: Any, share: Share) -> None:
    nisa.dma_copy(dst=dst[share.batch, :, share.first : share.end], src=src)


def _negated_sink(call: Call, batch: int, work: Scratch) -> Any:
    if call.sink is None:
        return None
    sink = work.tile((PARTITIONS, 1), call.sink.dtype)
    load_broadcast(sink, as_view(call.sink).slice(0, batch, batch + 1))
    negated = work.tile((PARTITIONS, 1), nl.float32)
    nisa.tensor_scalar(dst=negated, data=sink, op0=nl.multiply, operand0=-1.0)
    return negated


def _group(
    call: Call, share: Share, first: int, totals: Any, column: int, sink: Any, work: Scratch, sbm: SbufManager
) -> Group:
    """Loads queries; Z goes into ``totals`` from ``column`` on."""
    tiles = min(_GROUP_TILES, share.end - first)
    rows = min(call.cfg.seqlen_q - first * PARTITIONS, tiles * PARTITIONS)
    states = []
    for tile in range(tiles):
        count = min(PARTITIONS, rows - tile * PARTITIONS)
        state = RunningSoftmax(total=totals[0:count, column + tile : column + tile + 1])
        if sink is not None:
            begin_with_sink(state, sink[0:count, :])
        states.append(state)
    queries = work.tile((call.cfg.d, rows), nl.bfloat16)
    _load_queries(call, queries, share.batch, first * PARTITIONS, sbm)
    return Group(batch=share.batch, tile=first, tiles=tiles, rows=rows, queries=queries, states=states)


def _load_queries(call: Call, dst: nl.ndarray, batch: int, start: int, sbm: SbufManager) -> None:
    """Queries as columns. A scale that is not positive goes into them, which is exact for its sign."""
    source = as_view(call.q).select(0, batch)
    end = start + dst.shape[1]
    if call.cfg.tp_q:
        load_transposed(dst, source.slice(0, start, end), sbm)
    else:
        nisa.dma_copy(dst=dst, src=source.slice(1, start, end).get_view())
    if call.cfg.scale <= 0:
        sign = -1.0 if call.cfg.scale < 0 else 0.0
        nisa.tensor_scalar(dst=dst, data=dst, op0=nl.multiply, operand0=sign)


def _positive_scale(scale: float) -> float:
    """What is left of the scale after :func:`_load_queries`."""
    return abs(scale) if scale != 0 else 1.0


# -- a group of queries ---------------------------------------------------------------------------------


def _attend_group(
    call: Call, group: Group, parts: list[Chunk], work: Scratch, sbm: SbufManager
) -> nl.ndarray:
    """Σ weights·values over all chunks, ``[128, tiles, d]`` in fp32: query ``128·t + p`` at (p, t).

    Of a single chunk it is left in PSUM.
    """
    if len(parts) == 1:
        return _attend_chunk(call, group, parts[0], work, sbm)
    sums = work.tile((PARTITIONS, group.tiles, call.cfg.d), nl.float32)
    begun = 0
    for chunk in parts:
        product = _attend_chunk(call, group, chunk, work, sbm)
        for tile in range(chunk.first_tile, chunk.end_tile):
            rows = rows_of(group, tile)
            first = tile >= begun
            add_part(sums[0:rows, tile, :], product[0:rows, tile, :], group.states[tile], first)
        begun = max(begun, chunk.end_tile)
    return sums


def _attend_chunk(call: Call, group: Group, chunk: Chunk, lasting: Scratch, sbm: SbufManager) -> nl.ndarray:
    """One chunk's Σ weights·values, ``[128, tiles, d]`` in PSUM; ``lasting`` gives what the states keep."""
    work = scratch(sbm, name="chunk")
    first_block = chunk.spans[chunk.first_tile][0]
    end_block = chunk.spans[chunk.end_tile - 1][1]
    weights = work.tile((PARTITIONS, end_block - first_block, group.rows), nl.bfloat16)
    for tile in range(chunk.first_tile, chunk.end_tile):
        first, end = chunk.spans[tile]
        column = tile * PARTITIONS
        into = as_view(weights).slice(1, first - first_block, end - first_block)
        into = into.slice(2, column, column + rows_of(group, tile))
        _weigh_tile(call, group, chunk, tile, into, lasting, work)
    depth = call.cfg.d
    product = psum_tile((depth, group.rows))
    _sum_values(product, chunk, as_view(weights), first_block)
    held = work.tile((depth, group.rows), nl.float32)
    start, stop = chunk.first_tile * PARTITIONS, min(group.rows, chunk.end_tile * PARTITIONS)
    nisa.tensor_copy(dst=held[:, start:stop], src=product[:, start:stop])
    flipped = psum_tile((PARTITIONS, group.tiles, depth))
    for tile in range(chunk.first_tile, chunk.end_tile):
        rows, column = rows_of(group, tile), tile * PARTITIONS
        nisa.nc_transpose(
            dst=flipped[0:rows, tile, :], data=held[:, column : column + rows], engine=nisa.tensor_engine
        )
    work.close()
    return flipped


def _weigh_tile(
    call: Call, group: Group, chunk: Chunk, tile: int, dst: TensorView, lasting: Scratch, work: Scratch
) -> None:
    """``dst[key, block, query] = exp(score - m)`` for one tile of queries."""
    segment = chunk.segment
    first_key = chunk.spans[tile][0] * PARTITIONS
    end_key = min(segment.length, chunk.spans[tile][1] * PARTITIONS)
    rows = rows_of(group, tile)
    column = tile * PARTITIONS
    scores = psum_tile((rows, end_key - first_key))
    for start in range(first_key, end_key, PSUM_COLUMNS):
        end = min(end_key, start + PSUM_COLUMNS)
        nisa.nc_matmul(
            dst=scores[:, start - first_key : end - first_key],
            stationary=group.queries[:, column : column + rows],
            moving=segment.keys[:, start:end],
        )
    largest = work.tile((rows, 1), nl.float32)
    first, stop = queries_of(group, tile)
    seen = segment.bounds is None or (
        not segment.prior and sees_all(call.band, first, stop, first_key, end_key)
    )
    if seen:
        row_max(largest, scores)
    else:
        mask_and_max(scores, first_key, segment.bounds, group.tile + tile, largest)
    weights = work.tile((rows, end_key - first_key), nl.bfloat16)
    weigh(group.states[tile], weights, scores, largest, _positive_scale(call.cfg.scale), lasting)
    transpose(dst, weights)


def _sum_values(product: nl.ndarray, chunk: Chunk, weights: TensorView, first_block: int) -> None:
    """``product[:, queries] = Σ values·weights`` over the chunk's blocks.

    A matmul covers all tiles of queries for the blocks that all of them see. These come first: a matmul must
    not write some of its columns for the first time and add to others. Without such blocks each tile is on
    its own.
    """
    first_tile, end_tile = chunk.first_tile, chunk.end_tile
    common = chunk.spans[end_tile - 1][0], chunk.spans[first_tile][1]
    if common[0] >= common[1]:
        for tile in range(first_tile, end_tile):
            _add_values(product, chunk, weights, first_block, chunk.spans[tile], tile, tile + 1)
        return
    _add_values(product, chunk, weights, first_block, common, first_tile, end_tile)
    for block in range(first_block, chunk.spans[end_tile - 1][1]):
        if block < common[0] or block >= common[1]:
            first, end = tiles_that_see(chunk, block)
            _add_values(product, chunk, weights, first_block, (block, block + 1), first, end)


def _add_values(
    product: nl.ndarray,
    chunk: Chunk,
    weights: TensorView,
    first_block: int,
    blocks: Any,
    first: int,
    end: int,
) -> None:
    """Add blocks ``blocks[0]`` to ``blocks[1] - 1`` for tiles of queries ``first`` to ``end - 1``."""
    start, stop = first * PARTITIONS, min(product.shape[1], end * PARTITIONS)
    segment = chunk.segment
    contract(
        product[:, start:stop],
        as_view(segment.values).slice(1, blocks[0], blocks[1]),
        weights.slice(1, blocks[0] - first_block, blocks[1] - first_block),
        min(segment.length, blocks[1] * PARTITIONS) - blocks[0] * PARTITIONS,
        moving_columns=(start, stop - start),
    )


# -- results --------------------------------------------------------------------------------------------


def _finish(
    call: Call, group: Group, sums: nl.ndarray, factors: nl.ndarray, negated: Any, column: int, work: Scratch
) -> None:
    """``result = sums / Z``; ``factors`` holds Z of the group from ``column`` on, and gets 1/Z."""
    result = work.tile((PARTITIONS, group.tiles, call.cfg.d), call.result.dtype)
    whole = group.rows // PARTITIONS
    if whole > 0:
        _normalize(result, sums, factors, PARTITIONS, 0, whole, column)
    if whole < group.tiles:
        _normalize(result, sums, factors, group.rows - whole * PARTITIONS, whole, 1, column + whole)
    if negated is not None:
        for tile in range(group.tiles):
            at = column + tile
            nisa.tensor_copy(dst=negated[:, at : at + 1], src=group.states[tile].negated_max)
    into = as_view(call.result).select(0, group.batch)
    start, end = group.tile * PARTITIONS, group.tile * PARTITIONS + group.rows
    if call.cfg.tp_out:
        columns = work.tile((call.cfg.d, group.rows), call.result.dtype)
        transpose_tiles(columns, result, group.rows)
        nisa.dma_copy(dst=into.slice(1, start, end).get_view(), src=columns)
    else:
        store_rows(into.slice(0, start, end), result)


def _normalize(
    dst: nl.ndarray, sums: nl.ndarray, factors: nl.ndarray, rows: int, tile: int, tiles: int, column: int
) -> None:
    """``dst = sums·factors`` for ``tiles`` tiles with the same number of rows; ``factors`` is inverted."""
    inverse = factors[0:rows, column : column + tiles]
    nisa.reciprocal(dst=inverse, data=inverse)
    spread = as_view(factors).slice(0, 0, rows).slice(1, column, column + tiles)
    spread = spread.expand_dim(2).broadcast(2, sums.shape[2])
    nisa.tensor_tensor(
        dst=dst[0:rows, tile : tile + tiles, :],
        data1=sums[0:rows, tile : tile + tiles, :],
        data2=spread.get_view(),
        op=nl.multiply,
    )
