"""Block-wise experts: cores take every second block, each into an output of its own, which are summed up."""

from typing import Any

import nki
import nki.language as nl

from .... import insides
from ....blocks.activation import Gating
from ....blocks.arguments import assert_layout
from ....blocks.lnc import Cores, barrier, cores, split
from ....blocks.memory import manager
from ....blocks.tiles import as_view
from ...utils.allocator import SbufManager
from ...utils.common_types import ActFnType, ExpertAffinityScaleMode
from ...utils.kernel_assert import kernel_assert
from .block_inputs import (
    Operands,
    check_activation,
    check_blocks,
    check_layouts,
    check_mode,
    check_operands,
    float_experts,
)
from .block_marks import unmarked
from .block_process import process_block
from .block_runs import add_up, fill_with_zeros
from .block_task import Scaling, Share, Task, block_count, task_of
from .moe_cte_utils import BlockShardStrategy, SkipMode

__getattr__ = insides.named(__name__)

GUP_PROJ_DIM = 2
"""Gate and up projection, in the weights' third dimension."""


@nki.jit(mode="trace")
def bwmm_shard_on_block(
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
    down_activations: nl.ndarray | None = None,
    activation_function: ActFnType = ActFnType.SiLU,
    skip_dma: SkipMode = SkipMode(False, False),  # noqa: B008
    compute_dtype: Any = nl.bfloat16,
    is_tensor_update_accumulating: bool = True,
    expert_affinities_scaling_mode: ExpertAffinityScaleMode = ExpertAffinityScaleMode.POST_SCALE,
    n_block_per_iter: int = 1,
    gate_clamp_upper_limit: float | None = None,
    gate_clamp_lower_limit: float | None = None,
    up_clamp_upper_limit: float | None = None,
    up_clamp_lower_limit: float | None = None,
    block_sharding_strategy: BlockShardStrategy = BlockShardStrategy.PING_PONG,
) -> nl.ndarray:
    """Run the blocks on two cores; core s has the blocks s, s + 2, …

    Args:
        hidden_states: ``[R, H]``, H a multiple of 512. expert_affinities_masked: ``[R·E, 1]``. Without
            ``skip_dma.skip_token`` row R - 1 is padding's, zeros in both.
        gate_up_proj_weight, down_proj_weight: ``[E, H, 2, I]``, ``[E, I, H]``, I a multiple of 16.
        block_size: B, a multiple of 128. token_position_to_id, block_to_expert: int32 ``[N·B]``, ``[N]``.
        gate_and_up_proj_bias, down_proj_bias: ``[E, 2, I]``, ``[E, H]``; used if both are there.
        gate_up_proj_scale, down_proj_scale, down_activations, n_block_per_iter: not used.
        activation_function: SiLU or Swish. compute_dtype: of the operands of products.
        is_tensor_update_accumulating: tokens may be in several blocks.
        expert_affinities_scaling_mode: the affinity multiplies the result (POST_SCALE), the hidden state
            (PRE_SCALE), both clamped products (PRE_SCALE_DELAYED), or nothing.
        gate_clamp_*, up_clamp_*: limits before the activation, the upper one first.
        block_sharding_strategy: must be PING_PONG.

    Returns:
        Of the hidden state's type: accumulating ``[R, 2, H]``, the result in ``[:, 0]``, zeros in ``[:, 1]``;
        otherwise ``[R, H]``.

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
        biases=(gate_and_up_proj_bias, down_proj_bias),
    )  # fmt: skip
    check_operands(
        given,
        tensors=((block_to_expert, "block_to_expert"),),
        optional=(
            (gate_up_proj_scale, "gate_up_proj_scale"), (down_proj_scale, "down_proj_scale"),
            (down_activations, "down_activations"),
        ),
    )  # fmt: skip
    here = cores()
    _check(given, block_sharding_strategy, here)
    check_activation(activation_function)
    assert_layout(hidden_states, 2, "[R, H]", "hidden_states")
    rows, hidden = hidden_states.shape
    shape = (rows, 2, hidden) if is_tensor_update_accumulating else (rows, hidden)
    output = nl.ndarray(shape, dtype=hidden_states.dtype, buffer=nl.shared_hbm)
    scaling = _scaling(expert_affinities_scaling_mode)
    task = task_of(given, float_experts(given), scaling, compute_dtype, output)
    return _run(task, gate_up_proj_weight.shape[3], here, manager())


def _check(given: Operands, strategy: BlockShardStrategy, here: Cores) -> None:
    gate_up = given.gate_up
    kernel_assert(
        strategy == BlockShardStrategy.PING_PONG, "Currently only support PING-PONG sharding strategy"
    )
    check_layouts(gate_up, given.down)
    kernel_assert(
        gate_up.shape[3] % 16 == 0,
        "Vector DGE expects the partition dimension to be either 1 or a multiple of 16. Please pad it. "
        f"I is {gate_up.shape[3]}",
    )
    kernel_assert(
        here.count == 2 or not given.accumulating,
        f"only support reducing data from 2 shards, there are {here.count}",
    )
    hidden = gate_up.shape[1]
    kernel_assert(hidden % 512 == 0, f"Hidden dim size must be multiples of 512, found {hidden}")
    check_blocks(given.token_ids, given.block, 128)


def _scaling(mode: ExpertAffinityScaleMode) -> Scaling:
    check_mode(mode)
    return Scaling(
        on_input=mode == ExpertAffinityScaleMode.PRE_SCALE,
        on_gates=mode == ExpertAffinityScaleMode.PRE_SCALE_DELAYED,
        on_output=mode == ExpertAffinityScaleMode.POST_SCALE,
    )


def _run(task: Task, inner: int, here: Cores, sbm: SbufManager) -> nl.ndarray:
    """Each core its blocks, into its own slot or, where no token is in two blocks, the same output."""
    rows, hidden = task.hidden.shape
    share = Share(here=here, hidden=(0, hidden), inner=(0, inner))
    if task.accumulating:
        share.start, share.marks = here.index * hidden, here.index * rows
        task.marks = unmarked(rows, here, sbm)
    else:
        first, count = split(rows, here)
        fill_with_zeros(as_view(task.output), first, count, sbm)
        barrier(task.output, here)
    for number in range(here.index, block_count(task), here.count):
        process_block(task, share, number, sbm, first_one=number == here.index)
    barrier(task.output, here)
    if task.accumulating:
        barrier(task.marks, here)
        both = as_view(task.output)
        add_up(task, (both.select(1, 0), both.select(1, 1)), hidden, here, sbm)
    return task.output
