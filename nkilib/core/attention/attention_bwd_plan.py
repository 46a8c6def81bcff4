"""What a call of :mod:`.attention_bwd` consists of, and which keys its queries look at."""

from typing import Any

import nki.language as nl

from ...blocks.masks import Band, seen_keys
from ...blocks.memory import PARTITIONS, PSUM_COLUMNS
from ..utils.allocator import sizeinbytes
from ..utils.kernel_helpers import div_ceil

SECTION_BYTES = 16384
"""Of keys in a partition, for a head of up to 128: so many keys are on chip at a time."""
MOST_PARTS = 16
"""Most tiles of 128 of a head's dimension: the sums of one tile of queries fill four PSUM banks."""


class Call(nl.NKIObject):
    """A call.

    Attributes:
        q, k, v, o, dy, lse, sinks, dq, dk, dv, dsinks: HBM; no sinks: None.
        scale: of the scores. band: which keys queries see. mixed: the type of sums.
        heads: query heads of a key head. depth, parts: a head's dimension is ``parts`` tiles of ``depth``.
        queries, keys: their numbers. width: keys of a tile. section: keys that are on chip at a time.
        group: most tiles of 128 queries that are on chip at a time.
        bounds: see :class:`.masks.Bounds`, None where every query sees every key.
    """

    q: Any
    k: Any
    v: Any
    o: Any
    dy: Any
    lse: Any
    sinks: Any
    dq: Any
    dk: Any
    dv: Any
    dsinks: Any
    scale: float
    band: Band
    mixed: Any
    heads: int
    depth: int
    parts: int
    queries: int
    keys: int
    width: int
    section: int
    group: int
    bounds: Any = None


class Block(nl.NKIObject):
    """A group of queries and a tile of keys.

    Attributes:
        first, tiles: the group's tiles of 128 queries.
        start: the first key. spans: for each tile of queries the columns of the tile of keys that it sees,
            (start, end) in multiples of 128; empty for some.
        opens, closes: whether it is the first, the last one of its group in its section.
        adds: whether the group has seen keys of earlier sections.
    """

    first: int
    tiles: int
    start: int
    spans: Any
    opens: bool = False
    closes: bool = False
    adds: bool = False


def section_of(dtype: Any, parts: int) -> int:
    """Keys on chip at a time: 8192 of 16 bits for a head of up to 128."""
    rounded = 1
    while rounded < parts:
        rounded = rounded * 2
    return SECTION_BYTES // sizeinbytes(dtype) // rounded


def group_of(dtype: Any, parts: int) -> int:
    """Tiles of queries on chip at a time: their sums are within four PSUM banks."""
    most = 4 if sizeinbytes(dtype) == 2 else 2
    return min(most, max(1, MOST_PARTS // parts))


def blocks_of(call: Call, first: int, start: int, end: int) -> list[Block]:
    """The blocks of the group from query tile ``first`` on, and of keys ``start`` to ``end - 1``."""
    tiles = min(call.group, call.queries // PARTITIONS - first)
    found: list[Block] = []
    for key in range(start, end, call.width):
        spans = []
        seen = False
        for tile in range(tiles):
            span = _span(call, first + tile, key)
            spans.append(span)
            seen = seen or span[0] < span[1]
        if seen:
            found.append(Block(first=first, tiles=tiles, start=key, spans=spans))
    if len(found) > 0:
        found[0].opens = True
        found[len(found) - 1].closes = True
        for block in found:
            block.adds = _first_key(call, first) < start
    return found


def _span(call: Call, tile: int, key: int) -> tuple[int, int]:
    start, end = _keys_of(call, tile)
    first = max(0, min(call.width, start // PARTITIONS * PARTITIONS - key))
    stop = max(0, min(call.width, div_ceil(end, PARTITIONS) * PARTITIONS - key))
    return first, stop


def _keys_of(call: Call, tile: int) -> tuple[int, int]:
    return seen_keys(call.band, tile * PARTITIONS, (tile + 1) * PARTITIONS, call.keys)


def _first_key(call: Call, first: int) -> int:
    """The first key that a group sees: its first tile sees it."""
    return _keys_of(call, first)[0]


def in_order(spans: list[tuple[int, int]], whole: int = 0) -> list[tuple[int, int, int]]:
    """(tile, start, end) of the spans that are not empty, in an order in which one sum can take them.

    A product must not write some of its columns for the first time and add to others, so the first one of a
    new sum covers all of them, 0 to ``whole - 1``; what its tile does not see, the caller has filled with
    zeros. Without ``whole`` they are added to a sum that has begun.
    """
    widest = 0
    for tile in range(len(spans)):
        if spans[tile][1] - spans[tile][0] > spans[widest][1] - spans[widest][0]:
            widest = tile
    order = [(widest, 0, whole) if whole else (widest, spans[widest][0], spans[widest][1])]
    for tile in range(len(spans)):
        if tile != widest and spans[tile][0] < spans[tile][1]:
            order.append((tile, spans[tile][0], spans[tile][1]))
    return order


def queries_of_keys(block: Block, width: int) -> list[tuple[int, int]]:
    """For each 128 keys of the block's tile the queries of the group that see them: (start, end) columns."""
    spans = []
    for column in range(0, width, PARTITIONS):
        first, end = block.tiles, 0
        for tile in range(block.tiles):
            if block.spans[tile][0] <= column and column < block.spans[tile][1]:
                first, end = min(first, tile), tile + 1
        spans.append((min(first, end) * PARTITIONS, end * PARTITIONS))
    return spans


def width_of(keys: int) -> int:
    """Keys of a tile: what one product has."""
    return min(PSUM_COLUMNS, keys)
