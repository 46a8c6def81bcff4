"""Block-wise experts with MX weights whose cores divide I, and deliver half of each block's tokens."""

from typing import Any

import nki
import nki.language as nl

from .... import insides
from ....blocks.activation import Gating
from ....blocks.arguments import assert_integers
from ....blocks.lnc import cores
from ....blocks.memory import manager
from ....blocks.mx import TILE
from ...utils.common_types import ActFnType, ExpertAffinityScaleMode
from ...utils.kernel_assert import kernel_assert
from .block_inputs import Operands, check_blocks, check_conditions, check_operands
from .block_runs import process_while, run_shared
from .block_task import Task, block_count, task_of
from .moe_cte_mx_utils import check_ranks_mx, mx_experts, mx_scaling
from .moe_cte_utils import SkipMode

__getattr__ = insides.named(__name__)


@nki.jit(mode="trace", platform_target="trn3")
def blockwise_mm_shard_intermediate_mx(
    hidden_states: nl.ndarray,
    expert_affinities_masked: nl.ndarray,
    gate_up_proj_weight: nl.ndarray,
    down_proj_weight: nl.ndarray,
    token_position_to_id: nl.ndarray,
    block_to_expert: nl.ndarray,
    gate_and_up_proj_bias: nl.ndarray | None = None,
    down_proj_bias: nl.ndarray | None = None,
    gate_up_proj_scale: nl.ndarray | None = None,
    down_proj_scale: nl.ndarray | None = None,
    block_size: int | None = None,
    activation_function: ActFnType = ActFnType.SiLU,
    skip_dma: SkipMode = SkipMode(),  # noqa: B008
    compute_dtype: Any = nl.bfloat16,
    weight_dtype: Any = None,
    is_tensor_update_accumulating: bool = True,
    expert_affinities_scaling_mode: ExpertAffinityScaleMode = ExpertAffinityScaleMode.PRE_SCALE,
    gate_clamp_upper_limit: float | None = None,
    gate_clamp_lower_limit: float | None = None,
    up_clamp_lower_limit: float | None = None,
    up_clamp_upper_limit: float | None = None,
) -> nl.ndarray:
    """Run all blocks on two cores (or one).

    Args:
        hidden_states: ``[R, H]`` of 16 bits, H a multiple of 512 from 512 to 8192. expert_affinities_masked:
            ``[R·E, 1]``. Without ``skip_dma.skip_token`` row R - 1 is padding's, zeros in both.
        gate_up_proj_weight, gate_up_proj_scale, gate_and_up_proj_bias, down_proj_weight, down_proj_scale,
            down_proj_bias: as :mod:`..mx_expert` says, I a multiple of 512 for each core; a bias may be None.
        token_position_to_id, block_to_expert: int32 ``[N·B]``, ``[N]``. block_size: B, a multiple of 256.
        skip_dma: skip_weight is not supported.
        weight_dtype: the MX type of weights that are given as a type of 16 or 32 bits; None:
            float4_e2m1fn_x4 or float8_e4m3fn_x4.
        compute_dtype: not used.
        is_tensor_update_accumulating: tokens may be in several blocks.
        expert_affinities_scaling_mode: POST_SCALE or NO_SCALE; the default is neither.
        gate_clamp_*, up_clamp_*: limits before the activation, the upper one first.

    Returns:
        ``[R, H]``, of the hidden state's type.

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
    _check(given)
    task = _task(given, weight_dtype, expert_affinities_scaling_mode)
    run_shared(task, block_count(task), TILE, manager())
    return task.output


@nki.jit(mode="trace", platform_target="trn3")
def blockwise_mm_shard_intermediate_mx_hybrid(
    conditions: nl.ndarray,
    hidden_states: nl.ndarray,
    expert_affinities_masked: nl.ndarray,
    gate_up_proj_weight: nl.ndarray,
    down_proj_weight: nl.ndarray,
    token_position_to_id: nl.ndarray,
    block_to_expert: nl.ndarray,
    gate_and_up_proj_bias: nl.ndarray | None = None,
    down_proj_bias: nl.ndarray | None = None,
    gate_up_proj_scale: nl.ndarray | None = None,
    down_proj_scale: nl.ndarray | None = None,
    block_size: int | None = None,
    num_static_block: int | None = None,
    activation_function: ActFnType = ActFnType.SiLU,
    skip_dma: SkipMode = SkipMode(),  # noqa: B008
    compute_dtype: Any = nl.bfloat16,
    weight_dtype: Any = None,
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
        num_static_block: blocks that are run whatever their condition; N - E, made even, if None.
        the others: as for :func:`blockwise_mm_shard_intermediate_mx`.

    Returns:
        ``[R, H]``, of the hidden state's type.

    Raises AssertionError for what :func:`_check` refuses, and on other than two cores.
    """
    count = cores().count
    kernel_assert(
        count == 2,
        "MXFP4/MXFP8 shard-on-I with dynamic control flow only works on TRN3 with 2 shards, "
        f"there are {count}",
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
    )  # fmt: skip
    check_operands(
        given, tensors=((block_to_expert, "block_to_expert"),), optional=((conditions, "conditions"),)
    )
    _check(given)
    task = _task(given, weight_dtype, expert_affinities_scaling_mode)
    number, sbm = block_count(task), manager()
    check_conditions(conditions, number)
    assert_integers(((num_static_block, "num_static_block"),))
    static = (
        (number - gate_up_proj_weight.shape[0]) // 2 * 2 if num_static_block is None else num_static_block
    )
    kernel_assert(0 <= static <= number, f"num_static_block must be 0 to {number}, it is {static}")
    share = run_shared(task, static, TILE, sbm)
    process_while(task, share, conditions, static, 1, True, sbm)
    return task.output


def _check(given: Operands) -> None:
    count = cores().count
    kernel_assert(count <= 2, f"Only 1 or 2 shards supported, there are {count}")
    check_ranks_mx(given)
    inner, hidden = given.gate_up.shape[4], given.hidden.shape[1]
    kernel_assert(
        inner % (TILE * count) == 0,
        f"I need to be multiple of 1024 (512 for each of {count} cores), got {inner}",
    )
    kernel_assert(given.block is not None, "block_size is needed")
    check_blocks(given.token_ids, given.block, 256)
    kernel_assert(512 <= hidden <= 8192, f"Hidden dimension must be in [512, 8192], got {hidden}")
    kernel_assert(hidden % TILE == 0, f"Hidden dimension must be a multiple of 512, got {hidden}")
    kernel_assert(not given.skip.skip_weight, "DMA weight skipping not supported for MXFP4/MXFP8 kernel")


def _task(given: Operands, weight_dtype: Any, mode: ExpertAffinityScaleMode) -> Task:
    """With an output, still undefined."""
    hidden, experts = given.hidden, mx_experts(given, weight_dtype)
    output = nl.ndarray(tuple(hidden.shape), dtype=hidden.dtype, buffer=nl.shared_hbm)
    return task_of(given, experts, mx_scaling(mode), hidden.dtype, output)
