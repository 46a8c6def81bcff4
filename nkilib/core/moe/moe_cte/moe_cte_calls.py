"""How :func:`.moe_cte.moe_cte` calls each of the block-wise kernels."""

from typing import Any

import nki.language as nl

from .bwmm_shard_on_block import bwmm_shard_on_block
from .bwmm_shard_on_block_mx import bwmm_shard_on_block_mx
from .bwmm_shard_on_I import (
    blockwise_mm_baseline_shard_intermediate,
    blockwise_mm_baseline_shard_intermediate_hybrid,
    blockwise_mm_shard_intermediate_dropping,
)
from .bwmm_shard_on_I_mx import blockwise_mm_shard_intermediate_mx, blockwise_mm_shard_intermediate_mx_hybrid
from .moe_cte_utils import SkipMode


class Call(nl.NKIObject):
    """The arguments of :func:`.moe_cte.moe_cte`; ``scales`` is its ``quantization_config``, never None."""

    hidden_states: Any
    expert_affinities_masked: Any
    gate_up_proj_weight: Any
    down_proj_weight: Any
    token_position_to_id: Any
    block_to_expert: Any
    block_size: Any
    spec: Any
    conditions: Any
    gate_and_up_proj_bias: Any
    down_proj_bias: Any
    gate_up_activations_T: Any
    down_activations: Any
    activation_function: Any
    skip_dma: SkipMode
    compute_dtype: Any
    is_tensor_update_accumulating: Any
    expert_affinities_scaling_mode: Any
    gate_clamp_upper_limit: Any
    gate_clamp_lower_limit: Any
    up_clamp_upper_limit: Any
    up_clamp_lower_limit: Any
    scales: Any


def on_block(call: Call) -> Any:
    """Cores share blocks."""
    options: Any = call.spec.shard_on_block
    return bwmm_shard_on_block(
        hidden_states=call.hidden_states,
        expert_affinities_masked=call.expert_affinities_masked,
        gate_up_proj_weight=call.gate_up_proj_weight,
        down_proj_weight=call.down_proj_weight,
        block_size=call.block_size,
        token_position_to_id=call.token_position_to_id,
        block_to_expert=call.block_to_expert,
        gate_and_up_proj_bias=call.gate_and_up_proj_bias,
        down_proj_bias=call.down_proj_bias,
        gate_up_proj_scale=call.scales.gate_up_proj_scale,
        down_proj_scale=call.scales.down_proj_scale,
        down_activations=call.down_activations,
        activation_function=call.activation_function,
        skip_dma=call.skip_dma,
        compute_dtype=call.compute_dtype,
        is_tensor_update_accumulating=call.is_tensor_update_accumulating,
        expert_affinities_scaling_mode=call.expert_affinities_scaling_mode,
        n_block_per_iter=options.n_block_per_iter,
        gate_clamp_upper_limit=call.gate_clamp_upper_limit,
        gate_clamp_lower_limit=call.gate_clamp_lower_limit,
        up_clamp_upper_limit=call.up_clamp_upper_limit,
        up_clamp_lower_limit=call.up_clamp_lower_limit,
        block_sharding_strategy=options.block_sharding_strategy,
    )


def on_inner(call: Call) -> Any:
    """Cores share I."""
    options: Any = call.spec.shard_on_I
    return blockwise_mm_baseline_shard_intermediate(
        hidden_states=call.hidden_states,
        expert_affinities_masked=call.expert_affinities_masked,
        gate_up_proj_weight=call.gate_up_proj_weight,
        down_proj_weight=call.down_proj_weight,
        block_size=call.block_size,
        token_position_to_id=call.token_position_to_id,
        block_to_expert=call.block_to_expert,
        gate_and_up_proj_bias=call.gate_and_up_proj_bias,
        down_proj_bias=call.down_proj_bias,
        gate_up_proj_scale=call.scales.gate_up_proj_scale,
        down_proj_scale=call.scales.down_proj_scale,
        activation_function=call.activation_function,
        skip_dma=call.skip_dma,
        compute_dtype=call.compute_dtype,
        is_tensor_update_accumulating=call.is_tensor_update_accumulating,
        expert_affinities_scaling_mode=call.expert_affinities_scaling_mode,
        gate_clamp_upper_limit=call.gate_clamp_upper_limit,
        gate_clamp_lower_limit=call.gate_clamp_lower_limit,
        up_clamp_lower_limit=call.up_clamp_lower_limit,
        up_clamp_upper_limit=call.up_clamp_upper_limit,
        checkpoint_activation=options.checkpoint_activation,
        expert_affinity_multiply_on_I=options.expert_affinity_multiply_on_I,
    )


def on_inner_hybrid(call: Call) -> Any:
    """Cores share I; some blocks are known at run time."""
    options: Any = call.spec.shard_on_I
    return blockwise_mm_baseline_shard_intermediate_hybrid(
        conditions=call.conditions,
        hidden_states=call.hidden_states,
        expert_affinities_masked=call.expert_affinities_masked,
        gate_up_proj_weight=call.gate_up_proj_weight,
        down_proj_weight=call.down_proj_weight,
        block_size=call.block_size,
        token_position_to_id=call.token_position_to_id,
        block_to_expert=call.block_to_expert,
        num_static_block=options.num_static_block,
        gate_and_up_proj_bias=call.gate_and_up_proj_bias,
        down_proj_bias=call.down_proj_bias,
        gate_up_proj_scale=call.scales.gate_up_proj_scale,
        down_proj_scale=call.scales.down_proj_scale,
        gate_up_activations_T=call.gate_up_activations_T,
        down_activations=call.down_activations,
        activation_function=call.activation_function,
        skip_dma=call.skip_dma,
        compute_dtype=call.compute_dtype,
        is_tensor_update_accumulating=call.is_tensor_update_accumulating,
        expert_affinities_scaling_mode=call.expert_affinities_scaling_mode,
        gate_clamp_upper_limit=call.gate_clamp_upper_limit,
        gate_clamp_lower_limit=call.gate_clamp_lower_limit,
        up_clamp_lower_limit=call.up_clamp_lower_limit,
        up_clamp_upper_limit=call.up_clamp_upper_limit,
    )


def dropping(call: Call) -> Any:
    """Cores share I; one block for each expert."""
    options: Any = call.spec.shard_on_I
    return blockwise_mm_shard_intermediate_dropping(
        hidden_states=call.hidden_states,
        expert_affinities_masked=call.expert_affinities_masked,
        gate_up_proj_weight=call.gate_up_proj_weight,
        down_proj_weight=call.down_proj_weight,
        block_size=call.block_size,
        token_position_to_id=call.token_position_to_id,
        block_to_expert=call.block_to_expert,
        gate_and_up_proj_bias=call.gate_and_up_proj_bias,
        down_proj_bias=call.down_proj_bias,
        gate_up_proj_scale=call.scales.gate_up_proj_scale,
        down_proj_scale=call.scales.down_proj_scale,
        activation_function=call.activation_function,
        skip_dma=call.skip_dma,
        compute_dtype=call.compute_dtype,
        is_tensor_update_accumulating=call.is_tensor_update_accumulating,
        expert_affinities_scaling_mode=call.expert_affinities_scaling_mode,
        expert_affinity_multiply_on_I=options.expert_affinity_multiply_on_I,
        gate_clamp_upper_limit=call.gate_clamp_upper_limit,
        gate_clamp_lower_limit=call.gate_clamp_lower_limit,
        up_clamp_lower_limit=call.up_clamp_lower_limit,
        up_clamp_upper_limit=call.up_clamp_upper_limit,
    )


def on_block_mx(call: Call) -> Any:
    """Cores share blocks; MX weights."""
    options: Any = call.spec.shard_on_block
    return bwmm_shard_on_block_mx(
        hidden_states=call.hidden_states,
        expert_affinities_masked=call.expert_affinities_masked,
        gate_up_proj_weight=call.gate_up_proj_weight,
        down_proj_weight=call.down_proj_weight,
        token_position_to_id=call.token_position_to_id,
        block_to_expert=call.block_to_expert,
        conditions=call.conditions,
        gate_and_up_proj_bias=call.gate_and_up_proj_bias,
        down_proj_bias=call.down_proj_bias,
        gate_up_proj_scale=call.scales.gate_up_proj_scale,
        down_proj_scale=call.scales.down_proj_scale,
        block_size=call.block_size,
        n_static_blocks=options.n_static_blocks,
        n_dynamic_blocks=options.n_dynamic_blocks,
        gate_up_activations_T=call.gate_up_activations_T,
        down_activations=call.down_activations,
        activation_function=call.activation_function,
        skip_dma=call.skip_dma,
        compute_dtype=call.compute_dtype,
        is_tensor_update_accumulating=call.is_tensor_update_accumulating,
        expert_affinities_scaling_mode=call.expert_affinities_scaling_mode,
        gate_clamp_upper_limit=call.gate_clamp_upper_limit,
        gate_clamp_lower_limit=call.gate_clamp_lower_limit,
        up_clamp_lower_limit=call.up_clamp_lower_limit,
        up_clamp_upper_limit=call.up_clamp_upper_limit,
    )


def on_inner_mx(call: Call) -> Any:
    """Cores share I; MX weights."""
    return blockwise_mm_shard_intermediate_mx(
        hidden_states=call.hidden_states,
        expert_affinities_masked=call.expert_affinities_masked,
        gate_up_proj_weight=call.gate_up_proj_weight,
        down_proj_weight=call.down_proj_weight,
        token_position_to_id=call.token_position_to_id,
        block_to_expert=call.block_to_expert,
        gate_and_up_proj_bias=call.gate_and_up_proj_bias,
        down_proj_bias=call.down_proj_bias,
        gate_up_proj_scale=call.scales.gate_up_proj_scale,
        down_proj_scale=call.scales.down_proj_scale,
        block_size=call.block_size,
        activation_function=call.activation_function,
        skip_dma=call.skip_dma,
        compute_dtype=call.compute_dtype,
        is_tensor_update_accumulating=call.is_tensor_update_accumulating,
        expert_affinities_scaling_mode=call.expert_affinities_scaling_mode,
        gate_clamp_upper_limit=call.gate_clamp_upper_limit,
        gate_clamp_lower_limit=call.gate_clamp_lower_limit,
        up_clamp_lower_limit=call.up_clamp_lower_limit,
        up_clamp_upper_limit=call.up_clamp_upper_limit,
    )


def on_inner_mx_hybrid(call: Call) -> Any:
    """Cores share I; MX weights; some blocks are known at run time."""
    options = call.spec.shard_on_I
    return blockwise_mm_shard_intermediate_mx_hybrid(
        conditions=call.conditions,
        hidden_states=call.hidden_states,
        expert_affinities_masked=call.expert_affinities_masked,
        gate_up_proj_weight=call.gate_up_proj_weight,
        down_proj_weight=call.down_proj_weight,
        token_position_to_id=call.token_position_to_id,
        block_to_expert=call.block_to_expert,
        gate_and_up_proj_bias=call.gate_and_up_proj_bias,
        down_proj_bias=call.down_proj_bias,
        gate_up_proj_scale=call.scales.gate_up_proj_scale,
        down_proj_scale=call.scales.down_proj_scale,
        block_size=call.block_size,
        num_static_block=None if options is None else options.num_static_block,
        activation_function=call.activation_function,
        skip_dma=call.skip_dma,
        compute_dtype=call.compute_dtype,
        is_tensor_update_accumulating=call.is_tensor_update_accumulating,
        expert_affinities_scaling_mode=call.expert_affinities_scaling_mode,
        gate_clamp_upper_limit=call.gate_clamp_upper_limit,
        gate_clamp_lower_limit=call.gate_clamp_lower_limit,
        up_clamp_lower_limit=call.up_clamp_lower_limit,
        up_clamp_upper_limit=call.up_clamp_upper_limit,
    )
