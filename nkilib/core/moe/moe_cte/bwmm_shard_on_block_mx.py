"""Block-wise experts with MX weights: cores take different blocks, each into an output that is summed up."""

from typing import Any

import nki
import nki.language as nl

from .... import insides
from ....blocks.activation import Gating
from ....blocks.arguments import assert_integer, assert_layout
from ....blocks.lnc import Cores, barrier, cores, split
from ....blocks.memory import manager
from ....blocks.tiles import as_view
from ...utils.common_types import ActFnType, ExpertAffinityScaleMode
from ...utils.kernel_assert import kernel_assert
from ..mx_expert import check_mx_sizes
from .block_inputs import Operands, check_blocks, check_hidden, check_operands
from .block_marks import unmarked
from .block_process import process_block
from .block_runs import add_up, process_while
from .block_task import Share, Task, block_count, task_of
from .moe_cte_mx_utils import check_ranks_mx, mx_experts, mx_scaling
from .moe_cte_utils import SkipMode

__getattr__ = insides.named(__name__)


@nki.jit(platform_target="trn3")
def bwmm_shard_on_block_mx(
    hidden_states: nl.ndarray,
    expert_affinities_masked: nl.ndarray,
    gate_up_proj_weight: nl.ndarray,
    down_proj_weight: nl.ndarray,
    token_position_to_id: nl.ndarray,
    block_to_expert: nl.ndarray,
    conditions: nl.ndarray | None = None,
    gate_and_up_proj_bias: nl.ndarray | None = None,
    down_proj_bias: nl.ndarray | None = None,
    gate_up_proj_scale: nl.ndarray | None = None,
    down_proj_scale: nl.ndarray | None = None,
    block_size: int | None = None,
    n_static_blocks: int = -1,
    n_dynamic_blocks: int = 55,
    gate_up_activations_T: nl.ndarray | None = None,
    down_activations: nl.ndarray | None = None,
    activation_function: ActFnType = ActFnType.SiLU,
    skip_dma: SkipMode = SkipMode(False, False),  # noqa: B008
    compute_dtype: Any = nl.bfloat16,
    weight_dtype: Any = None,
    is_tensor_update_accumulating: bool = True,
    expert_affinities_scaling_mode: ExpertAffinityScaleMode = ExpertAffinityScaleMode.POST_SCALE,
    gate_clamp_upper_limit: float | None = None,
    gate_clamp_lower_limit: float | None = None,
    up_clamp_lower_limit: float | None = None,
    up_clamp_upper_limit: float | None = None,
) -> nl.ndarray:
    """Run the blocks on two cores: the static ones in halves, those behind them alternately, while they last.

    Args:
        hidden_states: ``[R, H]`` of 16 bits, H a multiple of 512 from 512 to 8192. expert_affinities_masked:
            ``[R·E, 1]``. Without ``skip_dma.skip_token`` row R - 1 is padding's, zeros in both.
        gate_up_proj_weight, gate_up_proj_scale, gate_and_up_proj_bias, down_proj_weight, down_proj_scale,
            down_proj_bias: as :mod:`..mx_expert` says; a bias may be None.
        token_position_to_id, block_to_expert: int32 ``[N·B]``, ``[N]``. block_size: B, a multiple of 128.
        conditions: int32 ``[N + 2]``: 1 for blocks with tokens, which come first, 0 for others and behind; or
            None: all blocks are static.
        n_static_blocks: with conditions, blocks that are run whatever their condition, if positive; one more
            is, if the others would be odd in number.
        n_dynamic_blocks: otherwise how many blocks, at the end, depend on their conditions; if that is
            negative or more than N, those behind the first ``R // B``.
        weight_dtype: the MX type of weights that are given as a type of 16 or 32 bits; None:
            float4_e2m1fn_x4 or float8_e4m3fn_x4.
        compute_dtype, gate_up_activations_T, down_activations: not used.
        is_tensor_update_accumulating: must be True.
        expert_affinities_scaling_mode: POST_SCALE, or NO_SCALE.
        gate_clamp_*, up_clamp_*: limits before the activation, the upper one first.

    Returns:
        ``[2, R, H]``, of the hidden state's type: the result, and zeros.

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
        block=0 if block_size is None else block_size, skip=skip_dma,
        accumulating=is_tensor_update_accumulating, gating=gating,
        biases=(gate_and_up_proj_bias, down_proj_bias), scales=(gate_up_proj_scale, down_proj_scale),
    )  # fmt: skip
    check_operands(
        given,
        tensors=((block_to_expert, "block_to_expert"),),
        optional=(
            (conditions, "conditions"), (gate_up_activations_T, "gate_up_activations_T"),
            (down_activations, "down_activations"),
        ),
    )  # fmt: skip
    here = cores()
    check_ranks_mx(given)
    rows, hidden = hidden_states.shape
    _check(given, here)
    slots = nl.ndarray((2, rows, hidden), dtype=hidden_states.dtype, buffer=nl.shared_hbm)
    experts, scaling = mx_experts(given, weight_dtype), mx_scaling(expert_affinities_scaling_mode)
    output = slots.reshape((2 * rows, hidden))
    task = task_of(given, experts, scaling, hidden_states.dtype, output)
    static = _static_blocks(task, conditions, n_static_blocks, n_dynamic_blocks)
    return _run(task, slots, static, conditions, here)


def _check(given: Operands, here: Cores) -> None:
    hidden, inner = given.hidden.shape[1], given.gate_up.shape[4]
    kernel_assert(given.block != 0, "block_size is needed")
    check_blocks(given.token_ids, given.block, 128)
    check_hidden(hidden)
    kernel_assert(
        inner % 16 == 0, f"down_proj_weight I must be divisible by 16, found {inner}. Please pad it"
    )
    kernel_assert(given.accumulating, "Only support topK > 1 at the moment.")
    kernel_assert(here.count == 2, f"The kernel only support sharding on exactly 2 cores, got {here.count}")
    check_mx_sizes(hidden, inner)


def _static_blocks(task: Task, conditions: Any, n_static: int, n_dynamic: int) -> int:
    """How many blocks are run whatever their condition."""
    count = block_count(task)
    if conditions is None:
        return count
    assert_integer(n_static, "n_static_blocks")
    assert_integer(n_dynamic, "n_dynamic_blocks")
    assert_layout(conditions, 1, "[N + 2]", "conditions")
    length = conditions.shape[0]
    kernel_assert(
        length == count + 2,
        f"condition vector must have exactly N+2 elements, got {length} != N + 2 ({count} + 2)",
    )
    kernel_assert(
        n_static < count,
        f"Cannot have more static blocks than total number of blocks. Got ({n_static}) > N = {count}",
    )
    if n_static > 0:
        return max(0, count - (count - n_static + 1) // 2 * 2)
    if n_dynamic < 0 or n_dynamic > count:
        return min(count, task.hidden.shape[0] // task.block)
    return count - n_dynamic


def _run(task: Task, slots: nl.ndarray, static: int, conditions: Any, here: Cores) -> nl.ndarray:
    """Each core its blocks into its own slot, then their sum."""
    sbm = manager()
    rows, hidden = task.hidden.shape
    share = Share(
        here=here,
        hidden=(0, hidden),
        inner=(0, task.experts.gate_up.shape[4]),
        start=here.index * rows * hidden,
        marks=here.index * rows,
    )
    task.marks = unmarked(rows, here, sbm)
    first, count = split(static, here)
    for number in range(first, first + count):
        process_block(task, share, number, sbm, first_one=number == first)
    if conditions is not None:
        process_while(task, share, conditions, static + here.index, 2, False, sbm)
    barrier(slots, here)
    barrier(task.marks, here)
    both = as_view(slots)
    add_up(task, (both.select(0, 0), both.select(0, 1)), rows * hidden, here, sbm)
    return slots
