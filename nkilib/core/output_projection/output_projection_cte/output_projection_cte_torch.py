"""What :func:`.output_projection_cte` computes, with torch; for the host only."""

from __future__ import annotations

from typing import Any

try:
    import torch

    _FLOAT32 = torch.float32
except ModuleNotFoundError:  # only the function needs it
    torch = _FLOAT32 = None

from ...utils.common_types import QuantizationType
from ...utils.kernel_assert import kernel_assert

_MOST_E4M3 = 240.0
"""What the kernel clips to; e4m3 of torch reaches 448."""


def output_projection_cte_torch_ref(
    attention: Any,
    weight: Any,
    bias: Any = None,
    input_scale: Any = None,
    weight_scale: Any = None,
    quantization_type: QuantizationType = QuantizationType.NONE,
    dtype: Any = _FLOAT32,
) -> Any:
    """``[B, S, H]`` in ``dtype``: all heads projected, summed in float32, with the bias.

    Args:
        attention: ``[B, N, D, S]``. weight: ``[N·D, H]``. bias: ``[1, H]`` or None.
        input_scale, weight_scale: ``[128, 1]``, all rows equal, for STATIC: the attention is divided by the
            former, clipped and rounded to float8 e4m3, and the product multiplied by both.

    Raises AssertionError for another quantisation than NONE and STATIC.
    """
    known = quantization_type in (QuantizationType.NONE, QuantizationType.STATIC)
    kernel_assert(known, f"quantization_type must be NONE or STATIC, it is {quantization_type}")
    values, factor = attention.float(), 1.0
    if quantization_type == QuantizationType.STATIC:
        values = (values / input_scale.flatten()[0]).clamp(-_MOST_E4M3, _MOST_E4M3)
        values = values.to(torch.float8_e4m3fn).float()
        factor = input_scale.flatten()[0] * weight_scale.flatten()[0]
    heads = weight.float().reshape(values.shape[1], values.shape[2], -1)
    result = torch.einsum("bnds,ndh->bsh", values, heads) * factor
    return (result if bias is None else result + bias.float()).to(dtype)
