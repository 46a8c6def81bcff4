"""Calls of the QKV kernels from the tensors of a case, by the short names of the oracles."""

from __future__ import annotations

from typing import Any

import nki.language as nl
import numpy as np
from blockcheck import BF16, FP8, FP32
from kernels import launch

from nkilib.core.qkv.qkv import qkv
from nkilib.core.qkv.qkv_tkg import qkv_tkg
from nkilib.core.utils.common_types import NormType, QKVOutputLayout, QuantizationType

RMS, LAYER, SKIP, PLAIN = (
    NormType.RMS_NORM, NormType.LAYER_NORM, NormType.RMS_NORM_SKIP_GAMMA, NormType.NO_NORM,
)  # fmt: skip
BSD, NBSD, NBDS = QKVOutputLayout.BSD, QKVOutputLayout.NBSd, QKVOutputLayout.NBdS
STATIC, MX, ROW = QuantizationType.STATIC, QuantizationType.MX, QuantizationType.ROW

NAMES = {
    "x": "input", "w": "fused_qkv_weights", "gamma": "gamma_norm_weights", "beta": "layer_norm_bias",
    "bias": "bias", "cos": "cos_cache", "sin": "sin_cache",
}  # fmt: skip
TKG_NAMES = {
    "input": "hidden", "fused_qkv_weights": "qkv_w", "gamma_norm_weights": "norm_w", "layer_norm_bias": "norm_bias",
    "bias": "qkv_bias", "fused_residual_add": "fused_add", "attention_prev": "attn_prev",
    "fused_norm_type": "norm_type", "norm_eps": "eps",
}  # fmt: skip


def scale(values: Any, rows: int = 128) -> Any:
    """A number or a row as ``[rows, N]``, the same in each."""
    row = np.asarray(values, FP32).reshape(1, -1)
    return np.repeat(row, rows, axis=0)


def heads(queries: int, keys: int, depth: int = 128) -> dict[str, int]:
    return {"num_q_heads": queries, "num_kv_heads": keys, "d_head": depth}


def arguments(given: dict[str, Any], dtype: Any = BF16, rows: int = 128) -> dict[str, Any]:
    """A case's tensors as arguments of ``qkv``; of STATIC scales so many rows."""
    static = "w_scale" in given
    result: dict[str, Any] = {NAMES[key]: given[key].astype(dtype) for key in given if key in NAMES}
    if "adds" in given:
        mlp, attention = (each.astype(dtype) for each in given["adds"])
        result |= {"fused_residual_add": True, "mlp_prev": mlp, "attention_prev": attention}
    if static:
        result["fused_qkv_weights"] = given["w"].astype(FP8)
        result |= {
            "quantization_type": STATIC,
            "qkv_w_scale": scale(given["w_scale"], rows),
            "qkv_in_scale": scale(given["in_scale"], rows),
        }
    return result


def caches(
    shape: tuple[int, ...], scales: tuple[float, float], slots: Any = None, fill: float = 0.0
) -> dict[str, Any]:
    """Empty caches (or of one value) with their scales; with slots, in blocks."""
    held = {name: np.full(shape, fill, FP32).astype(FP8) for name in ("k_cache", "v_cache")}
    result = {**held, "k_scale": scale(scales[0]), "v_scale": scale(scales[1]), "kv_dtype": nl.float8_e4m3}
    if slots is not None:
        result |= {"use_block_kv": True, "block_size": shape[1], "slot_mapping": slots}
    return result


def run(tensors: dict[str, Any], lnc: int = 1, target: str = "trn2", **options: Any) -> Any:
    return launch(qkv, lnc=lnc, target=target, **(tensors | options))


def run_tkg(tensors: dict[str, Any], lnc: int = 1, **options: Any) -> Any:
    """``qkv_tkg`` of the arguments of ``qkv``."""
    return launch(qkv_tkg, lnc=lnc, **tkg_arguments(tensors | options))


def tkg_arguments(tensors: dict[str, Any]) -> dict[str, Any]:
    return {TKG_NAMES.get(name, name): value for name, value in tensors.items()}
