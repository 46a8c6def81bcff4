"""Tiles of a dimension, and tiles of tiles."""

from __future__ import annotations

import pytest

from nkilib.core.utils.tiled_range import TiledRange, TiledRangeIterator


def spelled(tiles):
    return [(tile.size, tile.index, tile.start_offset, tile.end_offset) for tile in tiles]


@pytest.mark.parametrize(
    ("size", "tile_size", "expected"),
    [
        (300, 128, [(128, 0, 0, 128), (128, 1, 128, 256), (44, 2, 256, 300)]),
        (256, 128, [(128, 0, 0, 128), (128, 1, 128, 256)]),
        (5, 128, [(5, 0, 0, 5)]),
        (0, 128, []),
        (128, 128, [(128, 0, 0, 128)]),
        (10, 1, [(1, k, k, k + 1) for k in range(10)]),
    ],
)
def test_tiles(size, tile_size, expected) -> None:
    assert spelled(TiledRange(size, tile_size)) == expected


@pytest.mark.parametrize(
    ("outer", "tile_size", "expected"),
    [
        (1, 64, [(64, 0, 128, 192), (64, 1, 192, 256)]),
        (2, 20, [(20, 0, 256, 276), (20, 1, 276, 296), (4, 2, 296, 300)]),
    ],
)
def test_tiles_of_a_tile(outer, tile_size, expected) -> None:
    assert spelled(TiledRange(TiledRange(300, 128)[outer], tile_size)) == expected


def test_three_levels() -> None:
    inner = TiledRange(TiledRange(1000, 512)[1], 100)[4]
    assert spelled([inner]) == [(88, 4, 912, 1000)]
    assert spelled(TiledRange(inner, 50)) == [(50, 0, 912, 962), (38, 1, 962, 1000)]


def test_many() -> None:
    tiles = TiledRange(2049, 512)
    assert (len(tiles), tiles[-1].size) == (5, 1)


def test_types_and_repr() -> None:
    tiles = TiledRange(3, 2)
    assert isinstance(tiles, tuple)
    assert all(isinstance(tile, TiledRangeIterator) for tile in tiles)
    assert repr(tiles[1]) == "TiledRangeIterator(size=1, index=1, start_offset=2, end_offset=3)"


def test_no_tile_size() -> None:
    with pytest.raises(ZeroDivisionError):
        TiledRange(1, 0)
