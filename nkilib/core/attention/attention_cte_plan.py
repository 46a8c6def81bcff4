"""Which keys a group of queries looks at, block by block; known when the kernel is traced."""

from typing import Any

import nki.language as nl

from ...blocks.masks import seen_keys, seen_prior
from ...blocks.memory import PARTITIONS
from ...blocks.tiles import tiles_of
from .attention_cte_call import Call, Segment

_CHUNK_BLOCKS = 16


class Chunk(nl.NKIObject):
    """Blocks of a segment that a group looks at, in one go.

    Attributes:
        spans: the (first, end) blocks of each tile of queries, empty for some.
        first_tile, end_tile: tiles whose spans are not empty.
    """

    segment: Any
    spans: Any
    first_tile: int
    end_tile: int


class Group(nl.NKIObject):
    """Up to 4 tiles of queries of a batch row.

    Attributes:
        tile: the first one's index in the row. tiles, rows: how many tiles and queries.
        queries: ``[d, rows]``, bfloat16 in SBUF. states: a RunningSoftmax for each tile.
    """

    batch: int
    tile: int
    tiles: int
    rows: int
    queries: Any
    states: Any


def chunks(call: Call, segments: list[Segment], group: Group) -> list[Chunk]:
    """What a group looks at, prior keys first."""
    chunks = []
    for segment in segments:
        spans = []
        first, end = segment.length, 0
        for tile in range(group.tiles):
            span = _span(call, segment, group, tile)
            spans.append(span)
            if span[0] < span[1]:
                first, end = min(first, span[0]), max(end, span[1])
        for start in range(first, end, _CHUNK_BLOCKS):
            chunks.append(_chunk(segment, spans, start, min(end, start + _CHUNK_BLOCKS)))
    return chunks


def _span(call: Call, segment: Segment, group: Group, tile: int) -> tuple[int, int]:
    """(first, end) of the blocks of a segment that a tile of queries may see."""
    first, end = queries_of(group, tile)
    if segment.prior:
        start, stop = seen_prior(call.band, first, end, segment.length)
    else:
        start, stop = seen_keys(call.band, first, end, segment.length)
    return start // PARTITIONS, tiles_of(stop)


def queries_of(group: Group, tile: int) -> tuple[int, int]:
    """(first, end) of the queries of a tile, counted in the batch row."""
    first = (group.tile + tile) * PARTITIONS
    return first, first + rows_of(group, tile)


def rows_of(group: Group, tile: int) -> int:
    return min(PARTITIONS, group.rows - tile * PARTITIONS)


def _chunk(segment: Segment, spans: Any, first: int, end: int) -> Chunk:
    cut = []
    first_tile, end_tile = len(spans), 0
    for tile in range(len(spans)):
        span = (max(spans[tile][0], first), min(spans[tile][1], end))
        cut.append(span)
        if span[0] < span[1]:
            first_tile, end_tile = min(first_tile, tile), tile + 1
    return Chunk(segment=segment, spans=cut, first_tile=first_tile, end_tile=end_tile)


def tiles_that_see(chunk: Chunk, block: int) -> tuple[int, int]:
    """(first, end) of the tiles whose spans hold a block; they are neighbours."""
    first, end = chunk.end_tile, chunk.first_tile
    for tile in range(chunk.first_tile, chunk.end_tile):
        if chunk.spans[tile][0] <= block and block < chunk.spans[tile][1]:
            first, end = min(first, tile), tile + 1
    return first, end
