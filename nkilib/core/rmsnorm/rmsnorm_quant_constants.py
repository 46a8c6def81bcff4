"""What RMSNorm with quantisation needs for all of its tiles: dtypes, limits, and small vectors on chip."""

from dataclasses import dataclass
from typing import Any

import nki.isa as nisa
import nki.language as nl

from ...blocks.quantize import MIN_SCALE, largest_of
from ..utils.kernel_helpers import NUM_HW_PSUM_BANKS
from .rmsnorm_quant_tile_info import RMSNormQuantTileInfo

SCALE_BYTES = 4


@dataclass
class RMSNormQuantConstants(nl.NKIObject):
    """Constants of a launch; made by :func:`build_rms_norm_quant_constants`.

    Attributes:
        num_hw_psum_banks: banks of PSUM.
        compute_data_type: of rows in SBUF. quant_data_type: of the quantised values, the largest of which
            is quant_data_type_range.
        dequant_scale_size: values of quant_data_type that a row's fp32 scale fills behind it.
        min_dequant_scale_value: scales are at least this.
        outer_dim_tile_zero_bias_vector_sbuf: SBUF fp32 ``[128, 1]`` of zeros: the bias of nothing.
        rmsn_eps_bias_sbuf: SBUF ``[128, 1]`` of eps in compute_data_type.
        pe_broadcast_ones_vector_sbuf: SBUF fp32 ``[1, 128]`` of ones: a product with it is on all partitions.
        outer_dim_size, proc_dim_size: rows, and columns of a row.
        MAX_S, MAX_H, MAX_B: the largest sequence, hidden dimension and batch.
    """

    num_hw_psum_banks: int
    compute_data_type: Any
    quant_data_type: Any
    quant_data_type_range: float
    dequant_scale_size: int
    min_dequant_scale_value: float
    outer_dim_tile_zero_bias_vector_sbuf: nl.ndarray
    rmsn_eps_bias_sbuf: nl.ndarray
    pe_broadcast_ones_vector_sbuf: nl.ndarray
    outer_dim_size: int
    proc_dim_size: int
    MAX_S: int = 32768
    MAX_H: int = 16384
    MAX_B: int = 2


def build_rms_norm_quant_constants(
    tile_info: RMSNormQuantTileInfo, eps: float, processing_shape: tuple[int, int]
) -> RMSNormQuantConstants:
    """The constants for rows of ``processing_shape = (rows, H)``, cut as ``tile_info`` says."""
    rows, width = processing_shape
    partitions = tile_info.outer_dim_tile.tile_size
    return RMSNormQuantConstants(
        num_hw_psum_banks=NUM_HW_PSUM_BANKS,
        compute_data_type=nl.bfloat16,
        quant_data_type=nl.float8_e4m3,
        quant_data_type_range=largest_of(nl.float8_e4m3),
        dequant_scale_size=SCALE_BYTES,
        min_dequant_scale_value=MIN_SCALE,
        outer_dim_tile_zero_bias_vector_sbuf=_filled((partitions, 1), nl.float32, 0.0),
        rmsn_eps_bias_sbuf=_filled((partitions, 1), nl.bfloat16, eps),
        pe_broadcast_ones_vector_sbuf=_filled((1, partitions), nl.float32, 1.0),
        outer_dim_size=rows,
        proc_dim_size=width,
    )


def _filled(shape: tuple[int, int], dtype: Any, value: float) -> nl.ndarray:
    tile = nl.ndarray(shape, dtype=dtype, buffer=nl.sbuf)
    nisa.memset(dst=tile, value=value)
    return tile
