"""Scales and biases of the output projection on chip, as kernels of one's own may need them."""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from .... import insides
from ....blocks.quantize import invert

__getattr__ = insides.named(__name__)


def get_zero_bias_vector_sbuf(tile_size: int, activation_data_type: Any = nl.float32) -> nl.ndarray:
    """Zeros, SBUF ``[tile_size, 1]``: the bias of an activation that has none."""
    zeros = nl.ndarray((tile_size, 1), dtype=activation_data_type, buffer=nl.sbuf)
    nisa.memset(dst=zeros, value=0.0)
    return zeros


def load_static_quant_input_scales(static_quant_scale_hbm: nl.ndarray) -> nl.ndarray:
    """A scale ``[128, 1]`` of HBM in SBUF, fp32."""
    scales = nl.ndarray(static_quant_scale_hbm.shape, dtype=nl.float32, buffer=nl.sbuf)
    nisa.dma_copy(dst=scales, src=static_quant_scale_hbm)
    return scales


def load_static_quant_weight_scales(
    static_quant_weight_scale_hbm: nl.ndarray, static_quant_input_scale_sbuf: nl.ndarray
) -> nl.ndarray:
    """What multiplies a product of quantised operands, SBUF fp32 ``[128, 1]``: weight times input scale."""
    scales = load_static_quant_input_scales(static_quant_weight_scale_hbm)
    nisa.tensor_tensor(dst=scales, data1=scales, data2=static_quant_input_scale_sbuf, op=nl.multiply)
    return scales


def invert_static_quant_scales(scales_sbuf: nl.ndarray) -> nl.ndarray:
    """``scales = 1 / scales`` in place, SBUF fp32 ``[P, …]``; returns them."""
    invert(scales_sbuf, scales_sbuf)
    return scales_sbuf
