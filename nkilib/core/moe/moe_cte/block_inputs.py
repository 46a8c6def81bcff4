"""The arguments that the block-wise kernels share, checked and put together."""

from typing import Any

import nki.language as nl

from ....blocks.activation import Gating
from ....blocks.arguments import Named, assert_classes, assert_integer, assert_layout, assert_object
from ....blocks.dtypes import FLOATS, FLOATS_AND_FP8, assert_dtype
from ...utils.allocator import num_elts
from ...utils.common_types import ActFnType, ExpertAffinityScaleMode, QuantizationType
from ...utils.kernel_assert import assert_shape, kernel_assert
from ..experts import Experts
from .moe_cte_utils import SkipMode


class Operands(nl.NKIObject):
    """What a block-wise kernel is given, as its documentation says.

    Attributes:
        hidden, affinities, gate_up, down, token_ids, block: as they are called in :class:`.Task` and
            :class:`.Experts`. block_experts: the expert of each block; None: block b has expert b.
        biases, scales: of gate and up, and of down. skip: a SkipMode. accumulating: tokens may be in several
            blocks. gating: the activation with its limits.
        gates_out, down_out: what receives checkpoints, or None.
    """

    hidden: Any
    affinities: Any
    gate_up: Any
    down: Any
    token_ids: Any
    block_experts: Any
    block: Any
    skip: Any
    accumulating: Any
    gating: Gating
    biases: tuple[Any, Any] = (None, None)
    scales: tuple[Any, Any] = (None, None)
    gates_out: Any = None
    down_out: Any = None


def check_operands(given: Operands, tensors: Named = (), optional: Named = ()) -> None:
    """Raise AssertionError for wrong classes; ``tensors`` and ``optional`` are those of some kernels."""
    assert_classes(
        tensors=(
            (given.hidden, "hidden_states"), (given.affinities, "expert_affinities_masked"),
            (given.gate_up, "gate_up_proj_weight"), (given.down, "down_proj_weight"),
            (given.token_ids, "token_position_to_id"),
        ),
        optional=(
            (given.biases[0], "gate_and_up_proj_bias"), (given.biases[1], "down_proj_bias"),
            (given.scales[0], "gate_up_proj_scale"), (given.scales[1], "down_proj_scale"),
            (given.gates_out, "gate_up_activations_T"), (given.down_out, "down_activations"),
        ),
        flags=((given.accumulating, "is_tensor_update_accumulating"),),
    )  # fmt: skip
    assert_classes(tensors, optional)
    assert_object(given.skip, SkipMode, "skip_dma")


def float_experts(given: Operands) -> Experts:
    """Experts of 16, 32 or 8 bits. Two biases, and two scales, count only if both are there.

    Shapes: ``[E, H, 2, I]``, ``[E, ≥ I, H]``; biases ``[E, 2, I]``, ``[E, H]`` or ``[E, 1, H]``; scales
    ``[E, 1, 2·I]``, ``[E, 1, H]``. Raises AssertionError for others.
    """
    gate_up, down = given.gate_up, given.down
    (gate_up_bias, down_bias), (gate_up_scale, down_scale) = given.biases, given.scales
    count, hidden, inner = gate_up.shape[0], gate_up.shape[1], gate_up.shape[3]
    assert_shape(gate_up, (count, hidden, 2, inner), "gate_up_proj_weight")
    fits = down.shape[0] == count and down.shape[1] >= inner and down.shape[2] == hidden
    kernel_assert(fits, f"down_proj_weight must be [{count}, at least {inner}, {hidden}], it is {down.shape}")
    assert_dtype(gate_up, FLOATS_AND_FP8, "gate_up_proj_weight")
    assert_dtype(down, FLOATS_AND_FP8, "down_proj_weight")
    biased = gate_up_bias is not None and down_bias is not None
    scaled = gate_up_scale is not None and down_scale is not None
    if biased:
        check_elements(gate_up_bias, count * 2 * inner, "gate_and_up_proj_bias", "E·2·I")
        check_elements(down_bias, count * hidden, "down_proj_bias", "E·H")
        assert_dtype(gate_up_bias, FLOATS, "gate_and_up_proj_bias")
        assert_dtype(down_bias, FLOATS, "down_proj_bias")
    if scaled:
        check_elements(gate_up_scale, count * 2 * inner, "gate_up_proj_scale", "E·2·I")
        check_elements(down_scale, count * hidden, "down_proj_scale", "E·H")
        assert_dtype(gate_up_scale, FLOATS, "gate_up_proj_scale")
        assert_dtype(down_scale, FLOATS, "down_proj_scale")
    return Experts(
        gate_up=gate_up,
        down=down,
        gate_up_bias=gate_up_bias.reshape((count, 2, inner)) if biased else None,
        down_bias=down_bias.reshape((count, hidden)) if biased else None,
        gate_up_scale=gate_up_scale.reshape((count, 2, inner)) if scaled else None,
        down_scale=down_scale.reshape((count, hidden)) if scaled else None,
        kind=QuantizationType.ROW if scaled else QuantizationType.NONE,
        gating=given.gating,
    )


def check_elements(tensor: Any, wanted: int, name: str, formula: str) -> None:
    """Raise AssertionError unless a tensor, in whatever shape, has so many elements."""
    found = num_elts(tensor.shape)
    kernel_assert(found == wanted, f"{name} must have {formula} = {wanted} elements, it has {found}")


def check_layouts(gate_up: Any, down: Any) -> None:
    """Raise AssertionError unless the weights have their dimensions."""
    kernel_assert(
        len(gate_up.shape) == 4, "Unsupported gate_up_proj_weight layout, should be [E, H, 2, I_TP]"
    )
    kernel_assert(len(down.shape) == 3, "Unsupported down_proj_weight layout, should be [E, I_TP, H]")


def check_activation(function: ActFnType) -> None:
    """Raise AssertionError for another activation than SiLU and Swish."""
    known = function == ActFnType.SiLU or function == ActFnType.Swish
    kernel_assert(known, f"activation_function must be SiLU or Swish, it is {function}")


def check_mode(mode: ExpertAffinityScaleMode) -> None:
    """Raise AssertionError for what is no scaling mode."""
    known = isinstance(mode, ExpertAffinityScaleMode)
    kernel_assert(known, f"expert_affinities_scaling_mode: {mode} is no ExpertAffinityScaleMode")


def check_conditions(conditions: Any, blocks: int) -> None:
    """Raise AssertionError unless there is a condition for each block, and one behind."""
    kernel_assert(conditions is not None, "conditions are needed: 1 for each block that has tokens")
    assert_layout(conditions, 1, "[N + 1]", "conditions")
    found = conditions.shape[0]
    kernel_assert(found == blocks + 1, f"conditions must have N + 1 = {blocks + 1} elements, it has {found}")


def check_blocks(token_ids: Any, block: int, unit: int) -> None:
    """Raise AssertionError unless blocks are a multiple of ``unit``, and whole."""
    assert_integer(block, "block_size")
    assert_layout(token_ids, 1, "[N·B]", "token_position_to_id")
    kernel_assert(block > 0, f"Blocksize must be positive, it is {block}")
    kernel_assert(block % unit == 0, f"Blocksize must be a multiple of {unit}, it is {block}")
    kernel_assert(
        token_ids.shape[0] % block == 0,
        f"token_position_to_id shape must be divisible by B, it is {token_ids.shape[0]}, B is {block}",
    )


def check_hidden(hidden: int) -> None:
    """Raise AssertionError unless 512 ≤ H ≤ 8192 is a multiple of 512."""
    kernel_assert(512 <= hidden <= 8192, f"Hidden dims must be between 512 and 8192, found {hidden}")
    kernel_assert(hidden % 512 == 0, f"Hidden dim size must be multiples of 512, found {hidden}")
