"""Calls of ``mlp`` from the tensors of a case, by the short names of the oracles."""

from __future__ import annotations

from typing import Any

import numpy as np
from blockcheck import BF16, FP8, FP32
from kernels import launch

from nkilib.core.mlp.mlp import mlp
from nkilib.core.utils.common_types import NormType, QuantizationType

NAMES = {
    "wg": "gate_proj_weights_tensor", "wu": "up_proj_weights_tensor", "wd": "down_proj_weights_tensor",
    "gamma": "normalization_weights_tensor", "beta": "normalization_bias_tensor", "add": "fused_add_tensor",
    "gb": "gate_proj_bias_tensor", "ub": "up_proj_bias_tensor", "db": "down_proj_bias_tensor",
    "gs": "gate_w_scale", "us": "up_w_scale", "ds": "down_w_scale",
    "s_in": "gate_up_in_scale", "s_mid": "down_in_scale",
}  # fmt: skip
WEIGHTS = ("wg", "wu", "wd")
SCALES = ("gs", "us", "ds", "s_in", "s_mid")
LIMITS = {
    "g_hi": "gate_clamp_upper_limit", "g_lo": "gate_clamp_lower_limit",
    "u_hi": "up_clamp_upper_limit", "u_lo": "up_clamp_lower_limit",
}  # fmt: skip


def scale(values: Any) -> Any:
    """A number as ``[128, 1]``, a row of N as ``[128, N]``."""
    return np.ascontiguousarray(np.broadcast_to(np.reshape(values, (1, -1)), (128, np.size(values)))).astype(
        FP32
    )


def arguments(given: dict[str, Any], dtype: Any = BF16, weights: Any = BF16) -> dict[str, Any]:
    """A case's tensors as the kernel's arguments; activations in ``dtype``."""
    result: dict[str, Any] = {"hidden_tensor": given["hidden"].astype(dtype)}
    for name, value in given.items():
        if name in SCALES:
            result[NAMES[name]] = scale(value)
        elif name in NAMES:
            result[NAMES[name]] = value.astype(weights if name in WEIGHTS else dtype)
        elif name in LIMITS:
            result[LIMITS[name]] = value
    return result


def packed(q: Any, token_scale: Any) -> Any:
    """fp8 ``[T, H]`` and fp32 ``[T, 1]`` as ``[1, T, H + 4]``."""
    raw = np.ascontiguousarray(token_scale.astype("<f4")).view(np.uint8)
    return np.concatenate([q.astype(FP8).view(np.uint8), raw], -1).view(FP8)[None]


def run(kernel_arguments: dict[str, Any], lnc: int = 1, **options: Any) -> Any:
    return launch(mlp, lnc=lnc, **kernel_arguments, **options)


ROW, STATIC = QuantizationType.ROW, QuantizationType.STATIC
RMS, LAYER, SKIP = NormType.RMS_NORM, NormType.LAYER_NORM, NormType.RMS_NORM_SKIP_GAMMA
