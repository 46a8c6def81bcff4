"""Which keys a group of queries looks at, block by block; known when the kernel is traced."""

from typing import Any

import nki.language as nl

from ...blocks.masks import seen_keys, seen_prior
from ...blocks.memory import PARTITIONS
from ...blocks.tiles import tiles_of
from .attention_cte_call import Call, Segment

_ROOMY_BYTES = 128 * 1024
"""Up to so many bytes of keys and values in a partition, buffers need not be small."""


class Chunk(nl.NKIObject):
    """Blocks of a segment that a group looks at, in one go.

    Attributes:
        spans: the (first, end) blocks of each tile of queries, empty for some.
        first_tile, end_tile: tiles whose spans are not empty.
        begun: how many of the group's tiles earlier chunks have added to.
        last: whether it is the group's last chunk.
        buffer: 0 or 1, which of the buffers it uses.
        parts: for each tile what the softmax says of its step.
    """

    segment: Any
    spans: Any
    first_tile: int
    end_tile: int
    begun: int
    last: bool = False
    buffer: int = 0
    parts: Any = None


class Group(nl.NKIObject):
    """Up to 4 tiles of queries of a share.

    Attributes:
        tile: the first one's index in the batch row. tiles, rows: how many tiles and queries.
        column: where its statistics stand among the share's. last: whether it is the share's last group.
        buffer, state_buffer, share_buffer: which of the buffers it and its share use.
        chunks: what it looks at. states: a RunningSoftmax for each tile.
    """

    share: Any
    tile: int
    tiles: int
    rows: int
    column: int
    last: bool
    buffer: int
    state_buffer: int
    share_buffer: int
    chunks: Any = None
    states: Any = None


class Step(nl.NKIObject):
    """One tile of queries and one chunk of keys; ``number`` counts them."""

    group: Any
    chunk: Any
    tile: int
    number: int


def chunk_blocks(call: Call) -> int:
    """Blocks of 128 keys in a chunk: 16, or 8 where keys and values leave little of SBUF."""
    held = call.keys + call.cfg.seqlen_k_prior
    return 16 if held * 2 + held // PARTITIONS * call.cfg.d * 2 <= _ROOMY_BYTES else 8


def chunks(call: Call, segments: list[Segment], group: Group, most: int) -> list[Chunk]:
    """What a group looks at, prior keys first, ``most`` blocks at a time."""
    found: list[Chunk] = []
    begun = 0
    for segment in segments:
        spans = []
        first, end = segment.length, 0
        for tile in range(group.tiles):
            span = _span(call, segment, group, tile)
            spans.append(span)
            if span[0] < span[1]:
                first, end = min(first, span[0]), max(end, span[1])
        for start in range(first, end, most):
            chunk = _chunk(segment, spans, start, min(end, start + most), begun)
            begun = max(begun, chunk.end_tile)
            found.append(chunk)
    found[len(found) - 1].last = True
    return found


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


def _chunk(segment: Segment, spans: Any, first: int, end: int, begun: int) -> Chunk:
    cut = []
    parts: list[Any] = []
    first_tile, end_tile = len(spans), 0
    for tile in range(len(spans)):
        span = (max(spans[tile][0], first), min(spans[tile][1], end))
        cut.append(span)
        parts.append(None)
        if span[0] < span[1]:
            first_tile, end_tile = min(first_tile, tile), tile + 1
    return Chunk(
        segment=segment, spans=cut, first_tile=first_tile, end_tile=end_tile, begun=begun, parts=parts
    )


def blocks_of(chunk: Chunk) -> tuple[int, int]:
    """(first, end) of the blocks that some tile sees."""
    return chunk.spans[chunk.first_tile][0], chunk.spans[chunk.end_tile - 1][1]


def tiles_that_see(chunk: Chunk, block: int) -> tuple[int, int]:
    """(first, end) of the tiles whose spans hold a block; they are neighbours."""
    first, end = chunk.end_tile, chunk.first_tile
    for tile in range(chunk.first_tile, chunk.end_tile):
        if chunk.spans[tile][0] <= block and block < chunk.spans[tile][1]:
            first, end = min(first, tile), tile + 1
    return first, end
