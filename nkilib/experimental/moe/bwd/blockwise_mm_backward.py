"""Backward pass of block-wise experts without dropped tokens; the cores divide the hidden dimension."""

from typing import Any

import nki
import nki.language as nl

from ....blocks.activation import Gating
from ....blocks.lnc import cores, split
from ....blocks.memory import PARTITIONS, manager, scratch
from ....blocks.tiles import as_view, tiles_of
from ....core.moe.experts import expert_count, inner_size
from ....core.moe.moe_cte.block_inputs import check_activation, check_layouts, float_experts
from ....core.moe.moe_cte.block_runs import fill_with_zeros
from ....core.moe.moe_cte.block_task import Scaling, Share, Task, block_count, expert_of
from ....core.utils.allocator import SbufManager, sizeinbytes
from ....core.utils.kernel_assert import kernel_assert
from .backward_gates import INNER_COLUMNS, process_columns
from .backward_task import Backward, Gradients, load_part, store_hidden_grad
from .moe_bwd_parameters import (
    ActFnType,
    AffinityOption,
    ClampLimits,
    KernelTypeOption,
    ShardOption,
    SkipMode,
)

TOKEN_BYTES = 120 * 1024
"""Bytes of a partition that a block's tokens may take; more of them are done in parts."""


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

    Raises AssertionError for what :func:`_check` refuses.
    """
    here, sbm = cores(), manager()
    hidden = hidden_states.shape[1]
    _check(gate_up_proj_weight, down_proj_weight, hidden, block_size, here.count)
    check_activation(activation_type)
    limits = clamp_limits if clamp_limits is not None else ClampLimits()
    gating = Gating(
        function=activation_type,
        gate=(limits.non_linear_clamp_upper_limit, limits.non_linear_clamp_lower_limit),
        up=(limits.linear_clamp_upper_limit, limits.linear_clamp_lower_limit),
    )
    weights = (gate_up_proj_weight, down_proj_weight)
    task = Task(
        hidden=hidden_states,
        affinities=expert_affinities_masked,
        experts=float_experts(weights[0], weights[1], None, None, None, None, gating),
        token_ids=token_position_to_id,
        block_experts=block_to_expert,
        block=block_size,
        skip=skip_dma is not None and skip_dma.skip_token,
        dtype=compute_dtype,
        scaling=Scaling(on_output=True),
        output=output_hidden_states_grad,
        accumulating=is_tensor_update_accumulating,
    )
    backward = Backward(
        task=task,
        gates=gate_up_proj_act_checkpoint_T,
        down=down_proj_act_checkpoint,
        share=Share(here=here, hidden=split(hidden, here), inner=(0, inner_size(task.experts))),
        gradients=_allocate(task, bias),
    )
    _fill_with_zeros(backward, sbm)
    for number in range(block_count(task)):
        _process_block(backward, number, sbm)
    return _results(backward.gradients)


def _check(gate_up: nl.ndarray, down: nl.ndarray, hidden: int, block: int, count: int) -> None:
    known = block == 128 or block == 256 or block == 512 or block == 1024
    kernel_assert(known, f"block_size must be 128, 256, 512, or 1024, got {block}")
    check_layouts(gate_up, down)
    inner = gate_up.shape[3]
    kernel_assert(inner % 2 == 0, f"I_TP must be divisible by 2, got {inner}")
    kernel_assert(hidden % 2 == 0, f"H must be divisible by 2, got {hidden}")
    kernel_assert(
        hidden % count == 0,
        f"Hidden dim H={hidden} must be divisible by num_shards={count} to initialize the gradients",
    )
    kernel_assert(
        hidden // count % 32 == 0,
        f"H dim when sharded by num_shards={count} must be divisible by 32 for DMA transpose, "
        f"got sharded H as {hidden // count}",
    )
    kernel_assert(
        inner % count == 0 and inner // count % 32 == 0,
        f"I_TP dim when sharded by num_shards={count} must be divisible by 32 for DMA transpose, "
        f"got sharded I_TP as {inner // count}",
    )


def _like(tensor: nl.ndarray) -> nl.ndarray:
    return nl.ndarray(tuple(tensor.shape), dtype=tensor.dtype, buffer=nl.shared_hbm)


def _allocate(task: Task, bias: bool) -> Gradients:
    """Still undefined."""
    gradients = Gradients(
        hidden=_like(task.hidden),
        affinities=_like(task.affinities),
        gate_up=_like(task.experts.gate_up),
        down=_like(task.experts.down),
        gate_up_bias=None,
        down_bias=None,
    )
    if bias:
        count, hidden, _, inner = task.experts.gate_up.shape
        gradients.gate_up_bias = nl.ndarray((count, 2, inner), dtype=task.dtype, buffer=nl.shared_hbm)
        gradients.down_bias = nl.ndarray((count, hidden), dtype=task.dtype, buffer=nl.shared_hbm)
    return gradients


def _results(gradients: Gradients) -> tuple[nl.ndarray, ...]:
    if gradients.down_bias is None:
        return gradients.hidden, gradients.affinities, gradients.gate_up, gradients.down
    return (
        gradients.hidden,
        gradients.affinities,
        gradients.gate_up,
        gradients.down,
        gradients.gate_up_bias,
        gradients.down_bias,
    )


def _fill_with_zeros(backward: Backward, sbm: SbufManager) -> None:
    """Each core what it adds to later."""
    gradients, here = backward.gradients, backward.share.here
    start, width = backward.share.hidden
    rows, experts = backward.task.hidden.shape[0], expert_count(backward.task.experts)
    fill_with_zeros(as_view(gradients.hidden).slice(1, start, start + width), 0, rows, sbm)
    if here.index == 0:
        fill_with_zeros(as_view(gradients.affinities.reshape((rows, experts))), 0, rows, sbm)
    for expert in range(experts):
        down = as_view(gradients.down).select(0, expert).slice(1, start, start + width)
        fill_with_zeros(down, 0, down.shape[0], sbm)
        gate_up = as_view(gradients.gate_up).select(0, expert).slice(0, start, start + width)
        fill_with_zeros(gate_up.flatten_dims(1, 2), 0, width, sbm)
    if gradients.down_bias is not None:
        fill_with_zeros(as_view(gradients.down_bias).slice(1, start, start + width), 0, experts, sbm)
        for which in range(2):
            if which % here.count == here.index:
                fill_with_zeros(as_view(gradients.gate_up_bias).select(1, which), 0, experts, sbm)


def _process_block(backward: Backward, number: int, sbm: SbufManager) -> None:
    work = scratch(sbm, name="block")
    task = backward.task
    expert = expert_of(task, number, work)
    inner, most = inner_size(task.experts), _tokens_at_once(backward)
    for first in range(0, task.block, most):
        held = scratch(sbm, name="tokens")
        count = min(most, task.block - first)
        part = load_part(backward, number, expert, first, count, held, sbm)
        for start in range(0, inner, INNER_COLUMNS):
            process_columns(backward, part, start, min(INNER_COLUMNS, inner - start), sbm)
        store_hidden_grad(part, backward, sbm)
        held.close()
    work.close()


def _tokens_at_once(backward: Backward) -> int:
    """Tokens of a block that are in SBUF together, a multiple of 128."""
    width, size = backward.share.hidden[1], sizeinbytes(backward.task.dtype)
    each = tiles_of(width) * PARTITIONS * (3 * size + 4)
    return PARTITIONS * max(1, TOKEN_BYTES // each)
