"""Splitting a dimension into tiles, also tiles of tiles."""

import nki.language as nl

from .kernel_helpers import get_ceil_quotient


class TiledRangeIterator(nl.NKIObject):
    """One tile.

    Attributes:
        size: elements, fewer in a ragged last tile. index: position in its range.
        start_offset, end_offset: first element and the one behind the last, in the outermost range.
    """

    def __init__(self, tile_size: int, tile_index: int, start_offset: int, end_offset: int) -> None:
        self.size = tile_size
        self.index = tile_index
        self.start_offset = start_offset
        self.end_offset = end_offset

    def __repr__(self) -> str:
        return (
            f"TiledRangeIterator(size={self.size}, index={self.index}, "
            f"start_offset={self.start_offset}, end_offset={self.end_offset})"
        )


def TiledRange(size: int | TiledRangeIterator, tile_size: int) -> tuple[TiledRangeIterator, ...]:
    """The tiles of ``tile_size`` that cover ``size`` elements, or an outer tile; the last may be smaller."""
    total = size
    base = 0
    if isinstance(size, TiledRangeIterator):
        total = size.size
        base = size.start_offset
    tiles = []
    for index in range(get_ceil_quotient(total, tile_size)):
        start = index * tile_size
        length = min(tile_size, total - start)
        tiles.append(TiledRangeIterator(length, index, base + start, base + start + length))
    return tuple(tiles)
