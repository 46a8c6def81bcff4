"""One entry to the block-wise kernels: a specification says which one, with its options."""

from dataclasses import dataclass
from enum import Enum
from typing import Any

import nki
import nki.language as nl

from ....blocks.arguments import assert_object
from ...utils.common_types import ActFnType, ExpertAffinityScaleMode
from ...utils.kernel_assert import kernel_assert
from .moe_cte_calls import (
    Call,
    dropping,
    on_block,
    on_block_mx,
    on_inner,
    on_inner_hybrid,
    on_inner_mx,
    on_inner_mx_hybrid,
)
from .moe_cte_utils import BlockShardStrategy, SkipMode


class MoECTEImplementation(Enum):
    """What the cores share: blocks, or I; I also with blocks known at run time, or one for each expert."""

    shard_on_block = 0
    shard_on_i = 1
    shard_on_i_hybrid = 2
    shard_on_i_dropping = 3
    shard_on_block_mx = 4
    shard_on_i_mx = 5
    shard_on_i_mx_hybrid = 6


@dataclass
class QuantizationConfig(nl.NKIObject):
    """Scales of quantised weights, or None."""

    gate_up_proj_scale: Any = None
    down_proj_scale: Any = None


@dataclass
class ShardOnBlockConfig(nl.NKIObject):
    """Options of the kernels whose cores share blocks, under their parameters' names."""

    n_block_per_iter: int = 1
    block_sharding_strategy: BlockShardStrategy = BlockShardStrategy.PING_PONG
    n_static_blocks: int = -1
    n_dynamic_blocks: int = 55


@dataclass
class ShardOnIConfig(nl.NKIObject):
    """Options of the kernels whose cores share I, under their parameters' names."""

    checkpoint_activation: bool = False
    expert_affinity_multiply_on_I: bool = False
    num_static_block: int | None = None


@dataclass
class MoECTESpec(nl.NKIObject):
    """Which kernel, and its options; the defaults where they are None, but for MX kernels that share I."""

    implementation: MoECTEImplementation
    shard_on_block: ShardOnBlockConfig | None = None
    shard_on_I: ShardOnIConfig | None = None

    def __post_init__(self) -> None:
        by_block = (MoECTEImplementation.shard_on_block, MoECTEImplementation.shard_on_block_mx)
        by_inner = (
            MoECTEImplementation.shard_on_i,
            MoECTEImplementation.shard_on_i_hybrid,
            MoECTEImplementation.shard_on_i_dropping,
        )
        if self.shard_on_block is None and _is_one_of(self.implementation, by_block):
            self.shard_on_block = ShardOnBlockConfig()
        if self.shard_on_I is None and _is_one_of(self.implementation, by_inner):
            self.shard_on_I = ShardOnIConfig()


def _is_one_of(implementation: MoECTEImplementation, group: tuple[MoECTEImplementation, ...]) -> bool:
    for member in group:
        if implementation == member:
            return True
    return False


@nki.jit(mode="trace")
def moe_cte(
    hidden_states: nl.ndarray,
    expert_affinities_masked: nl.ndarray,
    gate_up_proj_weight: nl.ndarray,
    down_proj_weight: nl.ndarray,
    token_position_to_id: nl.ndarray,
    block_to_expert: nl.ndarray,
    block_size: int,
    spec: MoECTESpec,
    conditions: nl.ndarray | None = None,
    gate_and_up_proj_bias: nl.ndarray | None = None,
    down_proj_bias: nl.ndarray | None = None,
    quantization_config: QuantizationConfig | None = None,
    gate_up_activations_T: nl.ndarray | None = None,
    down_activations: nl.ndarray | None = None,
    activation_function: ActFnType = ActFnType.SiLU,
    skip_dma: SkipMode = SkipMode(False, False),  # noqa: B008
    compute_dtype: Any = nl.bfloat16,
    is_tensor_update_accumulating: bool = True,
    expert_affinities_scaling_mode: ExpertAffinityScaleMode = ExpertAffinityScaleMode.POST_SCALE,
    gate_clamp_upper_limit: float | None = None,
    gate_clamp_lower_limit: float | None = None,
    up_clamp_upper_limit: float | None = None,
    up_clamp_lower_limit: float | None = None,
) -> Any:
    """Run the kernel that ``spec`` names, and return what it returns.

    Args:
        spec: the kernel with its options.
        quantization_config: scales of the weights.
        conditions: for hybrid kernels, and the MX kernel whose cores share blocks.
        gate_up_activations_T, down_activations: for the hybrid kernel.
        the others: as for the kernels.

    Raises AssertionError for what the kernel refuses.
    """
    call = Call(
        hidden_states=hidden_states,
        expert_affinities_masked=expert_affinities_masked,
        gate_up_proj_weight=gate_up_proj_weight,
        down_proj_weight=down_proj_weight,
        token_position_to_id=token_position_to_id,
        block_to_expert=block_to_expert,
        block_size=block_size,
        spec=spec,
        conditions=conditions,
        gate_and_up_proj_bias=gate_and_up_proj_bias,
        down_proj_bias=down_proj_bias,
        gate_up_activations_T=gate_up_activations_T,
        down_activations=down_activations,
        activation_function=activation_function,
        skip_dma=skip_dma,
        compute_dtype=compute_dtype,
        is_tensor_update_accumulating=is_tensor_update_accumulating,
        expert_affinities_scaling_mode=expert_affinities_scaling_mode,
        gate_clamp_upper_limit=gate_clamp_upper_limit,
        gate_clamp_lower_limit=gate_clamp_lower_limit,
        up_clamp_upper_limit=up_clamp_upper_limit,
        up_clamp_lower_limit=up_clamp_lower_limit,
        scales=quantization_config if quantization_config is not None else QuantizationConfig(),
    )
    assert_object(spec, MoECTESpec, "spec")
    assert_object(spec.shard_on_block, ShardOnBlockConfig, "spec.shard_on_block", optional=True)
    assert_object(spec.shard_on_I, ShardOnIConfig, "spec.shard_on_I", optional=True)
    assert_object(call.scales, QuantizationConfig, "quantization_config")
    return _dispatch(call)


def _dispatch(call: Call) -> Any:
    kind = call.spec.implementation
    if kind == MoECTEImplementation.shard_on_block:
        return on_block(call)
    if kind == MoECTEImplementation.shard_on_i:
        return on_inner(call)
    if kind == MoECTEImplementation.shard_on_i_hybrid:
        return on_inner_hybrid(call)
    if kind == MoECTEImplementation.shard_on_i_dropping:
        return dropping(call)
    if kind == MoECTEImplementation.shard_on_block_mx:
        return on_block_mx(call)
    if kind == MoECTEImplementation.shard_on_i_mx:
        return on_inner_mx(call)
    kernel_assert(
        kind == MoECTEImplementation.shard_on_i_mx_hybrid,
        f"spec.implementation must be a MoECTEImplementation, it is {kind}",
    )
    return on_inner_mx_hybrid(call)
