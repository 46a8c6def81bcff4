"""Sizes and positions of the tiles of a dimension, and of the subtiles of its tiles."""

from dataclasses import dataclass
from typing import Any, Optional

import nki.language as nl

from .kernel_assert import kernel_assert
from .kernel_helpers import get_ceil_quotient


@dataclass
class TiledDimInfo(nl.NKIObject):
    """A dimension cut into tiles; made by :meth:`build` and :meth:`build_with_subtiling`.

    Bounds are how many elements a tile really has; behind the end they are zero or negative: test ``> 0``.
    """

    tiled_dim_size: int
    tile_size: int
    tile_count: int
    subtile_dim_info: Optional["TiledDimInfo"] = None

    @staticmethod
    def build(
        tiled_dim_size: int, tile_size: int, subtile_info: Optional["TiledDimInfo"] = None
    ) -> "TiledDimInfo":
        """Tiles of ``tile_size`` that cover ``tiled_dim_size`` elements."""
        return TiledDimInfo(
            tiled_dim_size, tile_size, get_ceil_quotient(tiled_dim_size, tile_size), subtile_info
        )

    @staticmethod
    def build_with_subtiling(tiled_dim_size: int, tile_size: int, subtile_size: int) -> "TiledDimInfo":
        """The same, each full tile being cut into subtiles."""
        return TiledDimInfo.build(tiled_dim_size, tile_size, TiledDimInfo.build(tile_size, subtile_size))

    def is_subtiled(self) -> bool:
        return self.subtile_dim_info is not None

    def get_tile_indices(self, tile_num: int, tile_offset: int) -> Any:
        """The first ``tile_offset`` elements of a tile, as an index."""
        return nl.ds(tile_num * self.tile_size, tile_offset)

    def get_subtile_indices(self, tile_num: int, subtile_num: int, subtile_offset: int) -> Any:
        """The first ``subtile_offset`` elements of a subtile, as an index."""
        return nl.ds(self.get_subtile_start(tile_num, subtile_num), subtile_offset)

    def get_subtile_start(self, tile_idx: int, subtile_idx: int) -> int:
        """The first element of a subtile in the dimension."""
        return tile_idx * self.tile_size + self.get_local_subtile_start(subtile_idx)

    def get_local_subtile_start(self, subtile_idx: int) -> int:
        """The first element of a subtile in its tile."""
        return subtile_idx * self._subtile_size()

    def get_subtile_bound(self, tile_idx: int, subtile_idx: int) -> int:
        """Elements of a subtile up to the end of the dimension; the end of its tile does not count."""
        return min(self.tiled_dim_size - self.get_subtile_start(tile_idx, subtile_idx), self._subtile_size())

    def get_local_subtile_bound(self, tile_idx: int, subtile_idx: int) -> int:
        """Elements of a subtile up to the end of its tile."""
        size = self._subtile_size()
        return min(size, self.get_tile_bound(tile_idx) - subtile_idx * size)

    def get_tile_bound(self, tile_idx: int) -> int:
        """Elements of a tile."""
        return min(self.tiled_dim_size - tile_idx * self.tile_size, self.tile_size)

    def get_actual_subtile_num(self, tile_idx: int) -> int:
        """Subtiles of a tile."""
        return get_ceil_quotient(self.get_tile_bound(tile_idx), self._subtile_size())

    def _subtile_size(self) -> int:
        """Raises AssertionError without subtiles."""
        kernel_assert(self.is_subtiled(), "the dimension has no subtiles: use build_with_subtiling()")
        return self.subtile_dim_info.tile_size  # type: ignore[union-attr]
