"""Sizes of a call of :mod:`.moe_block_tkg`, and what it refuses."""

from dataclasses import dataclass
from typing import Any

import nki.language as nl

from ...blocks.arguments import assert_integers, assert_layout
from ...blocks.dtypes import FLOATS, assert_dtype
from ...blocks.memory import PARTITIONS
from ..moe.moe_tkg.moe_tkg_checks import is_mx
from ..utils.kernel_assert import kernel_assert
from ..utils.kernel_helpers import div_ceil, get_verified_program_sharding_info

_UNIT = 4
"""Tokens whose activations are quantised together."""
_ROUTER_DTYPES = (nl.bfloat16, nl.float16, nl.float32)


@dataclass
class QuantizationConfig(nl.NKIObject):
    """Whether the experts' weights are MX."""

    is_moe_weight_mx: bool


@dataclass
class ExpertConfig(nl.NKIObject):
    """Whether all experts work for all tokens; whether there is a shared expert."""

    is_all_expert: bool
    has_shared_expert: bool


@dataclass
class MoEBlockTKGDims(nl.NKIObject):
    """Sizes.

    Attributes:
        B, S, T, H: batch, sequence, ``T = B·S`` tokens, hidden. E, K: experts of the router, of a token.
        H_free, H_free_shard: ``H / 128``, and a core's part of it.
        n_prgs, prg_id: cores, and which of them this is. hidden_actual: divisor of the mean square.
    """

    B: int
    S: int
    T: int
    H: int
    H_free: int
    H_free_shard: int
    E: int
    K: int
    n_prgs: int
    prg_id: int
    hidden_actual: int


def get_sbuf_tensor_shape(T: int, free_dim: int, is_sbuf: bool) -> tuple[int, ...]:
    """``(T, free)``; more than 128 tokens of SBUF are folded, token t at ``[t % 128, t // 128]``."""
    if is_sbuf and T > PARTITIONS:
        return (PARTITIONS, div_ceil(T, PARTITIONS), free_dim)
    return (T, free_dim)


def parse_moe_block_config(
    inp: nl.ndarray,
    router_weights: nl.ndarray,
    expert_gate_up_weights: nl.ndarray,
    shared_expert_gate_w: Any,
    top_k: int,
    hidden_actual: int | None,
    is_all_expert: bool,
) -> tuple[MoEBlockTKGDims, QuantizationConfig, ExpertConfig]:
    """What the arguments say."""
    kernel_assert(len(inp.shape) == 3, f"inp must be [B, S, H], its shape is {inp.shape}")
    assert_dtype(inp, FLOATS, "inp")
    assert_layout(router_weights, 2, "[H, E]", "router_weights")
    batch, sequence, hidden = inp.shape
    assert_integers(((hidden_actual, "hidden_actual"),), 0, hidden)
    kernel_assert(hidden % PARTITIONS == 0, f"H={hidden} must be divisible by {PARTITIONS}")
    _, count, index = get_verified_program_sharding_info()
    planes = hidden // PARTITIONS
    dims = MoEBlockTKGDims(
        B=batch, S=sequence, T=batch * sequence, H=hidden,
        H_free=planes, H_free_shard=planes // max(1, count),
        E=router_weights.shape[1], K=top_k, n_prgs=max(1, count), prg_id=index,
        hidden_actual=hidden_actual if hidden_actual else hidden,
    )  # fmt: skip
    quantization = QuantizationConfig(is_moe_weight_mx=is_mx(expert_gate_up_weights.dtype))
    experts = ExpertConfig(is_all_expert=is_all_expert, has_shared_expert=shared_expert_gate_w is not None)
    return dims, quantization, experts


def validate_moe_block_inputs(
    dims: MoEBlockTKGDims,
    quant_config: QuantizationConfig,
    expert_config: ExpertConfig,
    shared_expert_gate_w: Any,
    shared_expert_up_w: Any,
    shared_expert_down_w: Any,
    hidden_act_scale_factor: Any,
    hidden_act_bias: Any,
    router_mm_dtype: Any,
    rank_id: Any,
    residual: Any,
) -> None:
    """Raise AssertionError for what is not supported, in this order."""
    _validate_tokens(dims, quant_config.is_moe_weight_mx, expert_config.is_all_expert)
    shared = expert_config.has_shared_expert
    for tensor in (shared_expert_gate_w, shared_expert_up_w, shared_expert_down_w):
        shared = shared or tensor is not None
    kernel_assert(not shared, "shared_expert has not been supported in moe_block_tkg kernel yet")
    if expert_config.is_all_expert:
        kernel_assert(rank_id is not None, "rank_id is required for all_expert mode")
        kernel_assert(
            residual is None or quant_config.is_moe_weight_mx,
            "fused residual add is only supported for MXFP in all_expert mode",
        )
    kernel_assert(
        dims.n_prgs == 2,
        f"moe_block_tkg only supports LNC-2; but got a spmd grid size of {dims.n_prgs}",
    )
    unit = PARTITIONS * dims.n_prgs
    kernel_assert(dims.H % unit == 0, f"H={dims.H} must be divisible by {unit}")
    kernel_assert(
        hidden_act_scale_factor is None,
        "hidden_act_scale_factor is currently a placeholder in moe_block_tkg kernel",
    )
    kernel_assert(
        hidden_act_bias is None, "hidden_act_bias is currently a placeholder in moe_block_tkg kernel"
    )
    known = False
    for dtype in _ROUTER_DTYPES:
        known = known or router_mm_dtype == dtype
    kernel_assert(
        known,
        "moe_block_tkg expects router_mm_dtype to be one of (nl.bfloat16, nl.float16, nl.float32), "
        f"got {router_mm_dtype}",
    )


def _validate_tokens(dims: MoEBlockTKGDims, mx: bool, is_all_expert: bool) -> None:
    tokens = dims.T
    if is_all_expert and mx:
        kernel_assert(
            tokens % _UNIT == 0, f"all_expert mode with MXFP requires T divisible by {_UNIT}, got {tokens}"
        )
        return
    mode = "all_expert" if is_all_expert else "selective_load"
    kernel_assert(tokens <= PARTITIONS, f"{mode} mode currently supports T <= {PARTITIONS}, got {tokens}")
