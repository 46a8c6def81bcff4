"""Backward pass of block-wise experts without dropped tokens; the cores divide the hidden dimension."""

from typing import Any

import nki
import nki.language as nl

from ....blocks.arguments import assert_classes
from .bwmm_bwd_dropless import blockwise_mm_bwd_dropless
from .moe_bwd_parameters import (
    ActFnType,
    AffinityOption,
    ClampLimits,
    KernelTypeOption,
    MOEBwdParameters,
    ShardOption,
    SkipMode,
)


@nki.jit
def blockwise_mm_bwd(
    hidden_states: nl.ndarray,
    expert_affinities_masked: nl.ndarray,
    gate_up_proj_weight: nl.ndarray,
    down_proj_weight: nl.ndarray,
    gate_up_proj_act_checkpoint_T: nl.ndarray,
    down_proj_act_checkpoint: nl.ndarray,
    token_position_to_id: nl.ndarray,
    block_to_expert: nl.ndarray,
    output_hidden_states_grad: nl.ndarray,
    block_size: int,
    skip_dma: SkipMode | None = None,
    compute_dtype: Any = nl.bfloat16,
    is_tensor_update_accumulating: bool = True,
    shard_option: ShardOption = ShardOption.SHARD_ON_HIDDEN,
    affinity_option: AffinityOption = AffinityOption.AFFINITY_ON_H,
    kernel_type_option: KernelTypeOption = KernelTypeOption.DROPLESS,
    clamp_limits: ClampLimits | None = None,
    bias: bool = False,
    activation_type: ActFnType = ActFnType.SiLU,
    block_tile_size: int | None = None,
) -> tuple[nl.ndarray, ...]:
    """Differentiate ``out[ids] += affinities[ids, e]·(m·Wd[e] + bd[e])`` (see ``moe_cte``) for all blocks.

    Args:
        hidden_states, output_hidden_states_grad: ``[R, H]``. expert_affinities_masked: ``[R·E, 1]``. Without
            ``skip_dma.skip_token`` row R - 1 is padding's, zeros in all three.
        gate_up_proj_weight, down_proj_weight: ``[E, H, 2, I]``, ``[E, I, H]``.
        gate_up_proj_act_checkpoint_T: ``[N, 2, I, B]``, both first products after bias and limits.
        down_proj_act_checkpoint: ``[N, B, H]``, the result with its bias, before the affinity.
        token_position_to_id, block_to_expert: int32 ``[N·B]``, ``[N]``. block_size: B, 128, 256, 512 or 1024.
        compute_dtype: of intermediates, and of the biases' gradients.
        is_tensor_update_accumulating: tokens may be in several blocks.
        shard_option, affinity_option, kernel_type_option, block_tile_size: not used.
        clamp_limits: of the forward pass; products that lie on a limit, or beyond, have the gradient 0.
        bias: return the biases' gradients.
        activation_type: SiLU or Swish.

    Returns:
        Gradients of the hidden state ``[R, H]``, the affinities ``[R·E, 1]``, both weights, in their types;
        with ``bias`` those of both biases ``[E, 2, I]``, ``[E, H]``. Zero where no block is.

    Raises AssertionError for what :class:`.MOEBwdParameters` refuses.
    """
    assert_classes(
        tensors=(
            (hidden_states, "hidden_states"), (expert_affinities_masked, "expert_affinities_masked"),
            (gate_up_proj_weight, "gate_up_proj_weight"), (down_proj_weight, "down_proj_weight"),
            (gate_up_proj_act_checkpoint_T, "gate_up_proj_act_checkpoint_T"),
            (down_proj_act_checkpoint, "down_proj_act_checkpoint"),
            (token_position_to_id, "token_position_to_id"), (block_to_expert, "block_to_expert"),
            (output_hidden_states_grad, "output_hidden_states_grad"),
        ),
        flags=((is_tensor_update_accumulating, "is_tensor_update_accumulating"), (bias, "bias")),
    )  # fmt: skip
    parameters = MOEBwdParameters(
        hidden_states=hidden_states,
        expert_affinities_masked=expert_affinities_masked,
        gate_up_proj_weight=gate_up_proj_weight,
        gate_up_proj_act_checkpoint_T=gate_up_proj_act_checkpoint_T,
        down_proj_weight=down_proj_weight,
        token_position_to_id=token_position_to_id,
        block_to_expert=block_to_expert,
        output_hidden_states_grad=output_hidden_states_grad,
        hidden_states_grad=_like(hidden_states),
        expert_affinities_masked_grad=_like(expert_affinities_masked),
        gate_up_proj_weight_grad=_like(gate_up_proj_weight),
        down_proj_weight_grad=_like(down_proj_weight),
        down_proj_act_checkpoint=down_proj_act_checkpoint,
        block_size=block_size,
        skip_dma=skip_dma,
        compute_dtype=compute_dtype,
        is_tensor_update_accumulating=is_tensor_update_accumulating,
        clamp_limits=clamp_limits,
        activation_type=activation_type,
    )
    results = [
        parameters.hidden_states_grad,
        parameters.expert_affinities_masked_grad,
        parameters.gate_up_proj_weight_grad,
        parameters.down_proj_weight_grad,
    ]
    if bias:
        count, hidden, _, inner = gate_up_proj_weight.shape
        gate_up_bias = nl.ndarray((count, 2, inner), dtype=compute_dtype, buffer=nl.shared_hbm)
        down_bias = nl.ndarray((count, hidden), dtype=compute_dtype, buffer=nl.shared_hbm)
        parameters.gate_and_up_proj_bias_grad, parameters.down_proj_bias_grad = gate_up_bias, down_bias
        results.append(gate_up_bias)
        results.append(down_bias)
    blockwise_mm_bwd_dropless(parameters)
    return tuple(results)


def _like(tensor: nl.ndarray) -> nl.ndarray:
    return nl.ndarray(tuple(tensor.shape), dtype=tensor.dtype, buffer=nl.shared_hbm)
