"""Sizes and positions of tiles and subtiles."""

from __future__ import annotations

import nki.language as nl
import pytest
from kernels import rejected

from nkilib.core.utils.tile_info import TiledDimInfo

PLAIN = TiledDimInfo.build(300, 128)
EVEN = TiledDimInfo.build_with_subtiling(1000, 512, 128)
UNEVEN = TiledDimInfo.build_with_subtiling(600, 512, 200)


@pytest.mark.parametrize(
    ("info", "method", "arguments", "expected"),
    [
        (PLAIN, "get_tile_bound", (0,), 128),
        (PLAIN, "get_tile_bound", (1,), 128),
        (PLAIN, "get_tile_bound", (2,), 44),
        (PLAIN, "get_tile_bound", (3,), -84),
        (PLAIN, "is_subtiled", (), False),
        (PLAIN, "get_tile_indices", (2, 44), nl.ds(256, 44)),
        (EVEN, "is_subtiled", (), True),
        (EVEN, "get_subtile_start", (1, 2), 768),
        (EVEN, "get_subtile_bound", (1, 3), 104),
        (EVEN, "get_actual_subtile_num", (0,), 4),
        (EVEN, "get_actual_subtile_num", (1,), 4),
        (EVEN, "get_local_subtile_bound", (1, 3), 104),
        (EVEN, "get_local_subtile_start", (3,), 384),
        (EVEN, "get_subtile_indices", (1, 2, 100), nl.ds(768, 100)),
        (UNEVEN, "get_subtile_bound", (0, 2), 200),
        (UNEVEN, "get_local_subtile_bound", (0, 2), 112),
        (UNEVEN, "get_actual_subtile_num", (1,), 1),
        (UNEVEN, "get_local_subtile_bound", (1, 1), -112),
        (UNEVEN, "get_subtile_indices", (1, 0, 88), nl.ds(512, 88)),
    ],
)
def test_methods(info, method, arguments, expected) -> None:
    assert getattr(info, method)(*arguments) == expected


def test_counts() -> None:
    assert PLAIN.tile_count == 3
    assert (EVEN.tile_count, EVEN.subtile_dim_info.tile_count) == (2, 4)
    assert UNEVEN.subtile_dim_info.tile_count == 3


def test_fields_in_order() -> None:
    made = TiledDimInfo(1, 2, 3, PLAIN)
    assert (made.tiled_dim_size, made.tile_size, made.tile_count, made.subtile_dim_info) == (1, 2, 3, PLAIN)
    assert TiledDimInfo(1, 2, 3).subtile_dim_info is None
    assert TiledDimInfo.build(300, 128, PLAIN).subtile_dim_info is PLAIN


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("get_subtile_indices", (0, 0, 1)),
        ("get_subtile_start", (0, 0)),
        ("get_local_subtile_start", (0,)),
        ("get_subtile_bound", (0, 0)),
        ("get_local_subtile_bound", (0, 0)),
        ("get_actual_subtile_num", (0,)),
    ],
)
def test_without_subtiles(method, arguments) -> None:
    with rejected("no subtiles"):
        getattr(PLAIN, method)(*arguments)
