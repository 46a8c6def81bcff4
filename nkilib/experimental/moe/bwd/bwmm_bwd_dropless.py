"""How the backward pass of block-wise experts without dropped tokens runs: block by block."""

from .... import insides
from ....blocks.activation import Gating
from ....blocks.lnc import cores, split
from ....blocks.memory import PARTITIONS, manager, scratch
from ....blocks.tiles import as_view, tiles_of
from ....core.moe.experts import expert_count, inner_size
from ....core.moe.moe_cte.block_inputs import Operands, float_experts
from ....core.moe.moe_cte.block_runs import fill_with_zeros
from ....core.moe.moe_cte.block_task import Scaling, Share, block_count, expert_of, task_of
from ....core.utils.allocator import SbufManager, sizeinbytes
from ....core.utils.kernel_assert import assert_shape
from .backward_gates import INNER_COLUMNS, process_columns
from .backward_task import Backward, Gradients, load_part, store_hidden_grad
from .moe_bwd_parameters import MOEBwdParameters

__getattr__ = insides.named(__name__)

TOKEN_BYTES = 120 * 1024
"""Bytes of a partition that a block's tokens may take; more of them are done in parts."""


def blockwise_mm_bwd_dropless(params: MOEBwdParameters) -> None:
    """Fill the gradients of ``params``, of which no element needs to be defined; called by kernels.

    Raises AssertionError for what the parameters' ``validate`` and ``validate_sharding`` refuse.
    """
    here, sbm = cores(), manager()
    params.validate()
    params.validate_sharding(here.count)
    backward = _backward(params)
    _fill_with_zeros(backward, sbm)
    for number in range(block_count(backward.task)):
        _process_block(backward, number, sbm)


def _backward(params: MOEBwdParameters) -> Backward:
    """This core's part."""
    here, limits = cores(), params.clamp_limits
    gating = Gating(
        function=params.activation_type,
        gate=(limits.non_linear_clamp_upper_limit, limits.non_linear_clamp_lower_limit),
        up=(limits.linear_clamp_upper_limit, limits.linear_clamp_lower_limit),
    )
    given = Operands(
        hidden=params.hidden_states, affinities=params.expert_affinities_masked,
        gate_up=params.gate_up_proj_weight, down=params.down_proj_weight,
        token_ids=params.token_position_to_id, block_experts=params.block_to_expert, block=params.block_size,
        skip=params.skip_dma, accumulating=params.is_tensor_update_accumulating, gating=gating,
    )  # fmt: skip
    scaling, gradient = Scaling(on_output=True), params.output_hidden_states_grad
    task = task_of(given, float_experts(given), scaling, params.compute_dtype, gradient)
    count, inner, hidden = block_count(task), inner_size(task.experts), task.hidden.shape[1]
    assert_shape(params.output_hidden_states_grad, tuple(task.hidden.shape), "output_hidden_states_grad")
    assert_shape(task.experts.down, (expert_count(task.experts), inner, hidden), "down_proj_weight")
    gates = (count, 2, inner, task.block)
    assert_shape(params.gate_up_proj_act_checkpoint_T, gates, "gate_up_proj_act_checkpoint_T")
    assert_shape(params.down_proj_act_checkpoint, (count, task.block, hidden), "down_proj_act_checkpoint")
    return Backward(
        task=task,
        gates=params.gate_up_proj_act_checkpoint_T,
        down=params.down_proj_act_checkpoint,
        share=Share(here=here, hidden=split(params.H, here), inner=(0, params.I_TP)),
        gradients=Gradients(
            hidden=params.hidden_states_grad,
            affinities=params.expert_affinities_masked_grad,
            gate_up=params.gate_up_proj_weight_grad,
            down=params.down_proj_weight_grad,
            gate_up_bias=params.gate_and_up_proj_bias_grad,
            down_bias=params.down_proj_bias_grad,
        ),
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
