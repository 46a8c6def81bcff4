"""Block-wise experts whose cores divide I, and deliver half of each block's tokens: three kernels.

The baseline does all blocks, the hybrid stops where the conditions say so, the dropping one has one block
for each expert. Limits of the gate come upper, lower; those of the other lower, upper.
"""

from typing import Any

import nki
import nki.language as nl

from .... import insides
from ....blocks.activation import Gating
from ....blocks.arguments import assert_classes, assert_integers, assert_layout
from ....blocks.lnc import cores
from ....blocks.memory import manager
from ...utils.common_types import ActFnType, ExpertAffinityScaleMode
from ...utils.kernel_assert import kernel_assert
from .block_inputs import (
    Operands,
    check_activation,
    check_blocks,
    check_conditions,
    check_hidden,
    check_layouts,
    check_mode,
    check_operands,
    float_experts,
)
from .block_runs import process_while, run_shared
from .block_task import Scaling, Task, block_count, task_of
from .moe_cte_utils import PSUM_SIZE, SB_QUADRANT_SIZE, TILE_SIZE, SkipMode

__all__ = [
    "DROPPING_UNIT",
    "F_MAX",
    "P_MAX",
    "SB_QUADRANT_SIZE",
    "blockwise_mm_baseline_shard_intermediate",
    "blockwise_mm_baseline_shard_intermediate_hybrid",
    "blockwise_mm_shard_intermediate_dropping",
]

__getattr__ = insides.named(__name__)

P_MAX = TILE_SIZE
F_MAX = PSUM_SIZE

DROPPING_UNIT = 1024
"""Blocks of the dropping kernel are a multiple of this."""


@nki.jit(mode="trace", platform_target="trn2")
def blockwise_mm_baseline_shard_intermediate(
    hidden_states: nl.ndarray,
    expert_affinities_masked: nl.ndarray,
    gate_up_proj_weight: nl.ndarray,
    down_proj_weight: nl.ndarray,
    block_size: int,
    token_position_to_id: nl.ndarray,
    block_to_expert: nl.ndarray,
    gate_and_up_proj_bias: nl.ndarray | None = None,
    down_proj_bias: nl.ndarray | None = None,
    gate_up_proj_scale: nl.ndarray | None = None,
    down_proj_scale: nl.ndarray | None = None,
    activation_function: ActFnType = ActFnType.SiLU,
    skip_dma: SkipMode = SkipMode(),  # noqa: B008
    compute_dtype: Any = nl.bfloat16,
    is_tensor_update_accumulating: bool = True,
    expert_affinities_scaling_mode: ExpertAffinityScaleMode = ExpertAffinityScaleMode.PRE_SCALE,
    gate_clamp_upper_limit: float | None = None,
    gate_clamp_lower_limit: float | None = None,
    up_clamp_lower_limit: float | None = None,
    up_clamp_upper_limit: float | None = None,
    checkpoint_activation: bool = False,
    expert_affinity_multiply_on_I: bool = False,
) -> Any:
    """Run all blocks, one after the other, on two cores (or one).

    Args:
        hidden_states: ``[R, H]``, H a multiple of 512 from 512 to 8192. expert_affinities_masked: ``[R·E,
            1]``. Without ``skip_dma.skip_token`` row R - 1 is padding's, zeros in both.
        gate_up_proj_weight: ``[E, H, 2, I]``; down_proj_weight: ``[E, ≥ I, H]``, rows a multiple of 16; 16
            or 32 bits, or fp8, which is multiplied as it is.
        block_size: B, a multiple of 256. token_position_to_id, block_to_expert: int32 ``[N·B]``, ``[N]``.
        gate_and_up_proj_bias, down_proj_bias: ``[E, 2, I]``, ``[E, H]``; used if both are there.
        gate_up_proj_scale, down_proj_scale: fp32 ``[E, 1, 2·I]`` (the gate's first), ``[E, 1, H]``; used if
            both are there; they multiply the products before the bias.
        activation_function: SiLU or Swish. compute_dtype: of the operands of products.
        skip_dma: skip_weight is not supported.
        is_tensor_update_accumulating: tokens may be in several blocks.
        expert_affinities_scaling_mode: the affinity multiplies the result (POST_SCALE), both clamped products
            (PRE_SCALE, PRE_SCALE_DELAYED), or nothing.
        gate_clamp_*, up_clamp_*: limits before the activation, the upper one first.
        checkpoint_activation: return what the backward pass needs, too.
        expert_affinity_multiply_on_I: the affinity multiplies the intermediate, whatever the mode, and there
            is no bias behind it.

    Returns:
        ``[R, H]``, of the hidden state's type. With checkpoints ``(it, gates, down)``: the clamped products
        ``[N, 2, I, B]`` in the gate and up weights' type, and with ``multiply_on_I`` nothing more, else the
        result before the affinity, with its bias, ``[N, B, H]`` in the down weights' type.

    Raises AssertionError for what :func:`_check` refuses.
    """
    gating = Gating(
        function=activation_function,
        gate=(gate_clamp_upper_limit, gate_clamp_lower_limit),
        up=(up_clamp_upper_limit, up_clamp_lower_limit),
    )
    given = Operands(
        hidden=hidden_states, affinities=expert_affinities_masked, gate_up=gate_up_proj_weight,
        down=down_proj_weight, token_ids=token_position_to_id, block_experts=block_to_expert,
        block=block_size, skip=skip_dma, accumulating=is_tensor_update_accumulating, gating=gating,
        biases=(gate_and_up_proj_bias, down_proj_bias), scales=(gate_up_proj_scale, down_proj_scale),
    )  # fmt: skip
    check_operands(given, tensors=((block_to_expert, "block_to_expert"),))
    assert_classes(
        flags=(
            (checkpoint_activation, "checkpoint_activation"),
            (expert_affinity_multiply_on_I, "expert_affinity_multiply_on_I"),
        )
    )
    _check(given, 256)
    check_activation(activation_function)
    scaling = _scaling(expert_affinities_scaling_mode, expert_affinity_multiply_on_I)
    task = _task(given, scaling, compute_dtype)
    if checkpoint_activation:
        _allocate_checkpoints(task)
    run_shared(task, block_count(task), 1, manager())
    return _results(task)


@nki.jit(mode="trace", platform_target="trn2")
def blockwise_mm_baseline_shard_intermediate_hybrid(
    conditions: nl.ndarray,
    hidden_states: nl.ndarray,
    expert_affinities_masked: nl.ndarray,
    gate_up_proj_weight: nl.ndarray,
    down_proj_weight: nl.ndarray,
    block_size: int,
    token_position_to_id: nl.ndarray,
    block_to_expert: nl.ndarray,
    num_static_block: int | None = None,
    gate_and_up_proj_bias: nl.ndarray | None = None,
    down_proj_bias: nl.ndarray | None = None,
    gate_up_proj_scale: nl.ndarray | None = None,
    down_proj_scale: nl.ndarray | None = None,
    gate_up_activations_T: nl.ndarray | None = None,
    down_activations: nl.ndarray | None = None,
    activation_function: ActFnType = ActFnType.SiLU,
    skip_dma: SkipMode = SkipMode(),  # noqa: B008
    compute_dtype: Any = nl.bfloat16,
    is_tensor_update_accumulating: bool = True,
    expert_affinities_scaling_mode: ExpertAffinityScaleMode = ExpertAffinityScaleMode.POST_SCALE,
    gate_clamp_upper_limit: float | None = None,
    gate_clamp_lower_limit: float | None = None,
    up_clamp_lower_limit: float | None = None,
    up_clamp_upper_limit: float | None = None,
) -> nl.ndarray:
    """Run the first blocks, and those behind them as long as their conditions are not 0; on two cores.

    Args:
        conditions: int32 ``[N + 1]``: 1 for blocks with tokens, which come first, 0 for others and behind.
        num_static_block: blocks that are run whatever their condition; N - E if None.
        gate_up_activations_T, down_activations: ``[N, 2, I, B]``, ``[N, B, H]`` or None; of blocks that are
            run they receive the clamped products, and the result with its bias before the affinity.
        the others: as for :func:`blockwise_mm_baseline_shard_intermediate`.

    Returns:
        ``[R, H]``, of the hidden state's type.

    Raises AssertionError for what :func:`_check` refuses, and on other than two cores.
    """
    count = cores().count
    kernel_assert(
        count == 2, f"shard-on-I with dynamic control flow only work on TRN2 with 2 cores, there are {count}"
    )
    gating = Gating(
        function=activation_function,
        gate=(gate_clamp_upper_limit, gate_clamp_lower_limit),
        up=(up_clamp_upper_limit, up_clamp_lower_limit),
    )
    given = Operands(
        hidden=hidden_states, affinities=expert_affinities_masked, gate_up=gate_up_proj_weight,
        down=down_proj_weight, token_ids=token_position_to_id, block_experts=block_to_expert,
        block=block_size, skip=skip_dma, accumulating=is_tensor_update_accumulating, gating=gating,
        biases=(gate_and_up_proj_bias, down_proj_bias), scales=(gate_up_proj_scale, down_proj_scale),
        gates_out=gate_up_activations_T, down_out=down_activations,
    )  # fmt: skip
    check_operands(
        given, tensors=((block_to_expert, "block_to_expert"),), optional=((conditions, "conditions"),)
    )
    _check(given, 256)
    check_activation(activation_function)
    task = _task(given, _scaling(expert_affinities_scaling_mode, False), compute_dtype)
    number, sbm = block_count(task), manager()
    check_conditions(conditions, number)
    assert_integers(((num_static_block, "num_static_block"),))
    static = number - gate_up_proj_weight.shape[0] if num_static_block is None else num_static_block
    kernel_assert(0 <= static <= number, f"num_static_block must be 0 to {number}, it is {static}")
    share = run_shared(task, static, 1, sbm)
    process_while(task, share, conditions, static, 1, True, sbm)
    return task.output


@nki.jit(mode="trace", platform_target="trn2")
def blockwise_mm_shard_intermediate_dropping(
    hidden_states: nl.ndarray,
    expert_affinities_masked: nl.ndarray,
    gate_up_proj_weight: nl.ndarray,
    down_proj_weight: nl.ndarray,
    block_size: int,
    token_position_to_id: nl.ndarray,
    block_to_expert: nl.ndarray,
    gate_and_up_proj_bias: nl.ndarray | None = None,
    down_proj_bias: nl.ndarray | None = None,
    gate_up_proj_scale: nl.ndarray | None = None,
    down_proj_scale: nl.ndarray | None = None,
    activation_function: ActFnType = ActFnType.SiLU,
    skip_dma: SkipMode = SkipMode(),  # noqa: B008
    compute_dtype: Any = nl.bfloat16,
    is_tensor_update_accumulating: bool = True,
    expert_affinities_scaling_mode: ExpertAffinityScaleMode = ExpertAffinityScaleMode.PRE_SCALE,
    expert_affinity_multiply_on_I: bool = False,
    gate_clamp_upper_limit: float | None = None,
    gate_clamp_lower_limit: float | None = None,
    up_clamp_lower_limit: float | None = None,
    up_clamp_upper_limit: float | None = None,
) -> tuple[nl.ndarray, ...]:
    """Run one block for each expert, block b that of expert b; tokens beyond a block's size were dropped.

    Args:
        block_size: B, a multiple of 1024. token_position_to_id: int32 ``[E·B]``. block_to_expert: not read.
        expert_affinities_scaling_mode: not read; the affinity multiplies the result, or the intermediate.
        the others: as for :func:`blockwise_mm_baseline_shard_intermediate`; its checkpoints are always made.

    Returns:
        The tuple of that kernel with checkpoints.

    Raises AssertionError for what :func:`_check` refuses, and unless there is one block for each expert.
    """
    gating = Gating(
        function=activation_function,
        gate=(gate_clamp_upper_limit, gate_clamp_lower_limit),
        up=(up_clamp_upper_limit, up_clamp_lower_limit),
    )
    given = Operands(
        hidden=hidden_states, affinities=expert_affinities_masked, gate_up=gate_up_proj_weight,
        down=down_proj_weight, token_ids=token_position_to_id, block_experts=None,
        block=block_size, skip=skip_dma, accumulating=is_tensor_update_accumulating, gating=gating,
        biases=(gate_and_up_proj_bias, down_proj_bias), scales=(gate_up_proj_scale, down_proj_scale),
    )  # fmt: skip
    check_operands(given, optional=((block_to_expert, "block_to_expert"),))
    assert_classes(flags=((expert_affinity_multiply_on_I, "expert_affinity_multiply_on_I"),))
    _check(given, DROPPING_UNIT)
    check_activation(activation_function)
    scaling = _scaling(ExpertAffinityScaleMode.POST_SCALE, expert_affinity_multiply_on_I)
    task = _task(given, scaling, compute_dtype)
    count, number = gate_up_proj_weight.shape[0], block_count(task)
    kernel_assert(number == count, f"there must be one block for each expert, {count}, there are {number}")
    _allocate_checkpoints(task)
    run_shared(task, number, 1, manager())
    return _results(task)


def _check(given: Operands, unit: int) -> None:
    count, gate_up, down = cores().count, given.gate_up, given.down
    kernel_assert(count <= 2, f"Only 1 or 2 shards are supported, there are {count}")
    check_layouts(gate_up, down)
    check_blocks(given.token_ids, given.block, unit)
    check_hidden(gate_up.shape[1])
    kernel_assert(
        down.shape[1] % 16 == 0,
        f"down_proj_weight I must be divisible by 16, found {down.shape[1]}. Please pad it",
    )
    kernel_assert(
        not given.skip.skip_weight, "DMA weight skipping is not yet supported by the BWMM shard on I kernel"
    )


def _scaling(mode: ExpertAffinityScaleMode, on_product: bool) -> Scaling:
    check_mode(mode)
    if on_product:
        return Scaling(on_product=True)
    early = mode == ExpertAffinityScaleMode.PRE_SCALE or mode == ExpertAffinityScaleMode.PRE_SCALE_DELAYED
    return Scaling(on_gates=early, on_output=mode == ExpertAffinityScaleMode.POST_SCALE)


def _task(given: Operands, scaling: Scaling, dtype: Any) -> Task:
    """With an output, still undefined."""
    experts, hidden = float_experts(given), given.hidden
    if scaling.on_product:
        experts.down_bias = None
    assert_layout(hidden, 2, "[R, H]", "hidden_states")
    output = nl.ndarray(tuple(hidden.shape), dtype=hidden.dtype, buffer=nl.shared_hbm)
    return task_of(given, experts, scaling, dtype, output)


def _allocate_checkpoints(task: Task) -> None:
    """Where the intermediate is scaled there is no second one."""
    gate_up, down = task.experts.gate_up, task.experts.down
    count, hidden, inner = block_count(task), gate_up.shape[1], gate_up.shape[3]
    task.gates_out = nl.ndarray((count, 2, inner, task.block), dtype=gate_up.dtype, buffer=nl.shared_hbm)
    if not task.scaling.on_product:
        task.down_out = nl.ndarray((count, task.block, hidden), dtype=down.dtype, buffer=nl.shared_hbm)


def _results(task: Task) -> Any:
    if task.gates_out is None:
        return task.output
    if task.down_out is None:
        return task.output, task.gates_out
    return task.output, task.gates_out, task.down_out
