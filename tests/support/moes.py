"""Calls of the kernels for mixtures of experts, from the cases of the oracles."""

from __future__ import annotations

from typing import Any

import numpy as np
from blockcheck import BF16, FP8, FP32
from kernels import cast, launch

from nkilib.core.moe import moe_tkg
from nkilib.core.moe.moe_cte.moe_cte_utils import SkipMode
from nkilib.core.utils.common_types import ActFnType, ExpertAffinityScaleMode
from nkilib.experimental.moe.bwd import moe_bwd_parameters as bwd
from nkisim.core.dtypes import dtype_of

POST, NO_SCALE = ExpertAffinityScaleMode.POST_SCALE, ExpertAffinityScaleMode.NO_SCALE
LIMITS = {
    "g_hi": "gate_clamp_upper_limit", "g_lo": "gate_clamp_lower_limit",
    "u_hi": "up_clamp_upper_limit", "u_lo": "up_clamp_lower_limit",
}  # fmt: skip
TKG_NAMES = {
    "bgu": "expert_gate_up_bias", "bd": "expert_down_bias",
    "sgu": "expert_gate_up_weights_scale", "sd": "expert_down_weights_scale",
}  # fmt: skip
WEIGHTS = ("expert_gate_up_weights", "expert_down_weights")


def limits(clamps: dict[str, Any]) -> dict[str, Any]:
    return {LIMITS[name]: value for name, value in clamps.items()}


def tkg_arguments(given: dict[str, Any], dtype: Any = BF16) -> dict[str, Any]:
    """A case of the oracle as keyword arguments of ``moe_tkg``."""
    weights = FP8 if given.get("sgu") is not None else dtype
    arguments: dict[str, Any] = {
        "hidden_input": cast(given["hidden_input"], dtype),
        **{name: cast(given[name], weights) for name in WEIGHTS},
        "expert_affinities": given["expert_affinities"].astype(FP32),
        "expert_index": given["expert_index"].astype(np.int32),
        "is_all_expert": given["is_all_expert"],
        "rank_id": np.array([[given["rank_id"]]], np.uint32),
        "mask_unselected_experts": given["mask_unselected_experts"],
        "expert_affinities_scaling_mode": POST if given["post_scale"] else NO_SCALE,
        "activation_fn": ActFnType[given["activation_fn"]],
        **limits(given["clamps"]),
    }
    for short, name in TKG_NAMES.items():
        if given.get(short) is not None:
            arguments[name] = given[short].astype(FP32 if short in ("sgu", "sd") else dtype)
    return arguments


def run_tkg(arguments: dict[str, Any], lnc: int = 2, target: str = "trn2") -> Any:
    return launch(moe_tkg, lnc=lnc, target=target, **arguments)


def spread(x: Any, cores: int) -> Any:
    """``[T, H]`` as each core's ``[128, T, H/128/cores]``, ``[cores, …]``."""
    tokens, hidden = x.shape
    return x.reshape(tokens, cores, 128, hidden // 128 // cores).transpose(1, 2, 0, 3)


def gathered(y: Any) -> Any:
    """The inverse of :func:`spread`."""
    cores, _, tokens, planes = y.shape
    return y.transpose(2, 0, 1, 3).reshape(tokens, cores * 128 * planes)


KINDS = {"e2m1": "float4_e2m1fn_x4", "e4m3": "float8_e4m3fn_x4", "e5m2": "float8_e5m2_x4"}


def mx_words(words: Any, kind: str) -> Any:
    """Packed words of the oracle as elements of the MX type."""
    return words.view(dtype_of(KINDS[kind]).numpy)


def tkg_mx_arguments(given: dict[str, Any], dtype: Any = BF16) -> dict[str, Any]:
    """A case of the oracle with MX weights; its limits are 7 for the gate, -6 and 8 for the other."""
    weights, kind = given["weights"], given["kind"]
    return {
        "hidden_input": cast(given["hidden_input"], dtype),
        "expert_gate_up_weights": mx_words(weights["gate_up"], kind),
        "expert_down_weights": mx_words(weights["down"], kind),
        "expert_gate_up_weights_scale": weights["gate_up_scale"],
        "expert_down_weights_scale": weights["down_scale"],
        "expert_gate_up_bias": cast(given["expert_gate_up_bias"], BF16),
        "expert_down_bias": cast(given["expert_down_bias"], BF16),
        "expert_affinities": given["expert_affinities"].astype(FP32),
        "expert_index": given["expert_index"].astype(np.int32),
        "is_all_expert": given["is_all_expert"],
        "rank_id": np.array([[given["rank_id"]]], np.uint32),
        "expert_affinities_scaling_mode": POST,
        "gate_clamp_upper_limit": 7.0,
        "up_clamp_upper_limit": 8.0,
        "up_clamp_lower_limit": -6.0,
    }


# -- block-wise -----------------------------------------------------------------------------------------


SKIPS = {code: (bool(code & 1), bool(code & 2)) for code in range(4)}
"""The oracle's codes: (skip_token, skip_weight)."""
MODES = {
    "POST": POST,
    "NO": NO_SCALE,
    "PRE_H": ExpertAffinityScaleMode.PRE_SCALE,
    "PRE_SCALE_I": ExpertAffinityScaleMode.PRE_SCALE,
}


def block_arguments(given: dict[str, Any], dtype: Any = BF16) -> dict[str, Any]:
    """A case of the oracle without MX as keyword arguments of the block-wise kernels."""
    scaled = "gate_up_proj_scale" in given
    weights = FP8 if scaled else dtype
    arguments: dict[str, Any] = {
        "hidden_states": cast(given["hidden_states"], dtype),
        "expert_affinities_masked": given["expert_affinities_masked"].astype(FP32),
        "gate_up_proj_weight": cast(given["gate_up_proj_weight"], weights),
        "down_proj_weight": cast(given["down_proj_weight"], weights),
        "block_size": given["block_size"],
        "token_position_to_id": given["token_position_to_id"],
        "block_to_expert": given["block_to_expert"],
        "skip_dma": SkipMode(*SKIPS[given["skip"]]),
        "expert_affinities_scaling_mode": MODES[given["mode"]],
        "activation_function": ActFnType[given["activation_function"]],
        **limits(given["clamps"]),
    }
    for name in ("gate_and_up_proj_bias", "down_proj_bias"):
        if name in given:
            arguments[name] = cast(given[name], dtype)
    for name in ("gate_up_proj_scale", "down_proj_scale"):
        if name in given:
            arguments[name] = given[name].astype(FP32)
    return arguments


def conditions_of(given: dict[str, Any], more: int) -> Any:
    """1 for each block with tokens, then zeros, ``more`` of them behind the last block."""
    count = len(given["block_to_expert"])
    return (np.arange(count + more) < given["n_real_blocks"]).astype(np.int32)


def block_mx_arguments(given: dict[str, Any], kind: str) -> dict[str, Any]:
    """A case of the oracle with MX weights of a kind."""
    weights = given["weights"]
    arguments: dict[str, Any] = {
        "hidden_states": cast(given["hidden_states"], BF16),
        "expert_affinities_masked": given["expert_affinities_masked"].astype(FP32),
        "gate_up_proj_weight": mx_words(weights["gate_up"], kind),
        "down_proj_weight": mx_words(weights["down"], kind),
        "gate_up_proj_scale": weights["gate_up_scale"],
        "down_proj_scale": weights["down_scale"],
        "token_position_to_id": given["token_position_to_id"],
        "block_to_expert": given["block_to_expert"],
        "block_size": given["block_size"],
        "skip_dma": SkipMode(*SKIPS[given["skip"]]),
        "expert_affinities_scaling_mode": MODES[given["mode"]],
        "activation_function": ActFnType[given["activation_function"]],
        **limits(given["clamps"]),
    }
    for name in ("gate_and_up_proj_bias", "down_proj_bias"):
        if name in given:
            arguments[name] = cast(given[name], BF16)
    return arguments


# -- gradients ------------------------------------------------------------------------------------------


TENSORS = (
    "hidden_states",
    "gate_up_proj_weight",
    "down_proj_weight",
    "gate_up_proj_act_checkpoint_T",
    "down_proj_act_checkpoint",
    "output_hidden_states_grad",
)
MAPS = ("token_position_to_id", "block_to_expert", "block_size")


def backward_arguments(given: dict[str, Any], dtype: Any = BF16) -> dict[str, Any]:
    """A case of the oracle as keyword arguments of ``blockwise_mm_bwd``."""
    limit = given["clamp"]
    return {
        **{name: cast(given[name], dtype) for name in TENSORS},
        **{name: given[name] for name in MAPS},
        "expert_affinities_masked": given["expert_affinities_masked"].astype(FP32),
        "skip_dma": bwd.SkipMode(*SKIPS[given["skip"]]),
        "clamp_limits": None if limit is None else bwd.ClampLimits(limit, -limit, limit, -limit),
        "bias": given["bias"],
        "activation_type": bwd.ActFnType[given["activation_function"]],
    }
