"""How RMSNorm with quantisation cuts its rows and columns into tiles."""

from dataclasses import dataclass

import nki.language as nl

from ...blocks.memory import PARTITIONS, PSUM_COLUMNS
from ..utils.tile_info import TiledDimInfo


@dataclass
class RMSNormQuantTileInfo(nl.NKIObject):
    """Tiles of the two dimensions.

    Attributes:
        outer_dim_tile: rows, 128 in a tile: one on each partition.
        proc_dim_tile: the hidden dimension, which is normalised; 512 columns in a tile: what one product in
            PSUM has, by which γ is put on all partitions.
    """

    outer_dim_tile: TiledDimInfo
    proc_dim_tile: TiledDimInfo


def build_rms_norm_quant_tile_info(processing_shape: tuple[int, int]) -> RMSNormQuantTileInfo:
    """The tiles of ``(rows, H)``."""
    rows, width = processing_shape
    return RMSNormQuantTileInfo(
        outer_dim_tile=TiledDimInfo.build(rows, PARTITIONS),
        proc_dim_tile=TiledDimInfo.build(width, PSUM_COLUMNS),
    )
