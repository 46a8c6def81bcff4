"""Block-wise experts whose cores divide the hidden dimension of everything: x, both weights, the output."""

from typing import Any

import nki
import nki.language as nl

from .... import insides
from ....blocks.activation import Gating
from ....blocks.arguments import assert_layout
from ....blocks.lnc import cores, split
from ....blocks.memory import manager
from ....blocks.tiles import as_view
from ....core.moe.moe_cte.block_inputs import (
    Operands,
    check_blocks,
    check_layouts,
    check_mode,
    check_operands,
    float_experts,
)
from ....core.moe.moe_cte.block_process import process_block
from ....core.moe.moe_cte.block_runs import fill_with_zeros
from ....core.moe.moe_cte.block_task import Scaling, Share, block_count, task_of
from ....core.moe.moe_cte.moe_cte_utils import SkipMode
from ....core.utils.common_types import ActFnType, ExpertAffinityScaleMode
from ....core.utils.kernel_assert import kernel_assert

__getattr__ = insides.named(__name__)


@nki.jit(mode="trace", platform_target="trn2")
def blockwise_mm_baseline_shard_hidden(
    hidden_states: nl.ndarray,
    expert_affinities_masked: nl.ndarray,
    gate_up_proj_weight: nl.ndarray,
    down_proj_weight: nl.ndarray,
    block_size: int,
    token_position_to_id: nl.ndarray,
    block_to_expert: nl.ndarray,
    gate_up_activations_T: nl.ndarray | None = None,
    down_activations: nl.ndarray | None = None,
    skip_dma: SkipMode = SkipMode(),  # noqa: B008
    compute_dtype: Any = nl.bfloat16,
    is_tensor_update_accumulating: bool = True,
    expert_affinities_scaling_mode: ExpertAffinityScaleMode = ExpertAffinityScaleMode.POST_SCALE,
) -> nl.ndarray:
    """Run all blocks on two cores (or one); the activation is SiLU, there are no biases.

    Args:
        hidden_states: ``[R, H]``, H a multiple of the cores. expert_affinities_masked: ``[R·E, 1]``. Without
            ``skip_dma.skip_token`` row R - 1 is padding's, zeros in both.
        gate_up_proj_weight, down_proj_weight: ``[E, H, 2, I]``, ``[E, ≥ I, H]`` with a multiple of 16 rows.
        block_size: B, a multiple of 128. token_position_to_id, block_to_expert: int32 ``[N·B]``, ``[N]``.
        gate_up_activations_T, down_activations: ``[N, 2, I, B]``, ``[N, B, H]`` or None; receive both first
            products, and the result before the affinity.
        compute_dtype: of the operands of products.
        is_tensor_update_accumulating: tokens may be in several blocks.
        expert_affinities_scaling_mode: the affinity multiplies the result (POST_SCALE), the hidden state
            (PRE_SCALE), or nothing.

    Returns:
        ``[R, H]``, of the hidden state's type.

    Raises AssertionError for what :func:`_check` refuses.
    """
    given = Operands(
        hidden=hidden_states, affinities=expert_affinities_masked, gate_up=gate_up_proj_weight,
        down=down_proj_weight, token_ids=token_position_to_id, block_experts=block_to_expert,
        block=block_size, skip=skip_dma, accumulating=is_tensor_update_accumulating,
        gating=Gating(function=ActFnType.SiLU, gate=(None, None), up=(None, None)),
        gates_out=gate_up_activations_T, down_out=down_activations,
    )  # fmt: skip
    check_operands(given, tensors=((block_to_expert, "block_to_expert"),))
    here = cores()
    mode = expert_affinities_scaling_mode
    _check(given, mode, here.count)
    assert_layout(hidden_states, 2, "[R, H]", "hidden_states")
    rows, hidden = hidden_states.shape
    scaling = Scaling(
        on_input=mode == ExpertAffinityScaleMode.PRE_SCALE,
        on_output=mode == ExpertAffinityScaleMode.POST_SCALE,
    )
    output = nl.ndarray((rows, hidden), dtype=hidden_states.dtype, buffer=nl.shared_hbm)
    task = task_of(given, float_experts(given), scaling, compute_dtype, output)
    start, size = split(hidden, here)
    share = Share(here=here, hidden=(start, size), inner=(0, gate_up_proj_weight.shape[3]), sums_gates=True)
    sbm = manager()
    fill_with_zeros(as_view(task.output).slice(1, start, start + size), 0, rows, sbm)
    for number in range(block_count(task)):
        process_block(task, share, number, sbm, first_one=number == 0)
    return task.output


def _check(given: Operands, mode: ExpertAffinityScaleMode, count: int) -> None:
    gate_up, down = given.gate_up, given.down
    check_layouts(gate_up, down)
    kernel_assert(
        down.shape[1] % 16 == 0,
        f"down_proj_weight I_TP must be divisible by 16, it is {down.shape[1]}",
    )
    hidden = gate_up.shape[1]
    kernel_assert(hidden % count == 0, f"Hidden dim must be divisible by {count} cores, it is {hidden}")
    check_blocks(given.token_ids, given.block, 128)
    check_mode(mode)
    kernel_assert(
        mode != ExpertAffinityScaleMode.PRE_SCALE_DELAYED,
        "expert_affinities_scaling_mode must be POST_SCALE, PRE_SCALE or NO_SCALE, not PRE_SCALE_DELAYED",
    )
