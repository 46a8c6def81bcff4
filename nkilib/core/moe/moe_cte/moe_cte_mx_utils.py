"""What the block-wise kernels with MX weights share: element types in disguise, checks, experts."""

from typing import Any

import nki.language as nl

from .... import insides
from ....blocks.arguments import assert_layout
from ....blocks.dtypes import FLOATS, PACKED_MX, assert_dtype_parameter, assert_dtypes, is_one_of
from ....blocks.mx import LANES, TILE
from ....blocks.mx_ragged import GROUP
from ...utils.common_types import ExpertAffinityScaleMode, QuantizationType
from ...utils.kernel_assert import assert_shape, kernel_assert
from ...utils.kernel_helpers import div_ceil
from ..experts import Experts
from .block_inputs import Operands, check_elements, check_mode
from .block_task import Scaling
from .moe_cte_utils import SB_QUADRANT_SIZE

__getattr__ = insides.named(__name__)

SBUF_QUADRANT_SIZE = SB_QUADRANT_SIZE

_CARRIERS_OF_FP4 = (nl.uint16, nl.int16, nl.float16)
_CARRIERS_OF_FP8 = (nl.uint32, nl.int32, nl.float32)


def convert_to_mxfp_dtype(tensor: Any, weight_dtype: Any = None) -> Any:
    """The tensor as MX elements, for frameworks that have no such types; MX elements stay as they are.

    Types of 16 bits become float4_e2m1fn_x4, types of 32 bits ``weight_dtype``, or float8_e4m3fn_x4 if that
    is None.
    """
    for carrier in _CARRIERS_OF_FP4:
        if tensor.dtype == carrier:
            return tensor.view(nl.float4_e2m1fn_x4 if weight_dtype is None else weight_dtype)
    for carrier in _CARRIERS_OF_FP8:
        if tensor.dtype == carrier:
            return tensor.view(nl.float8_e4m3fn_x4 if weight_dtype is None else weight_dtype)
    return tensor


def check_ranks_mx(given: Operands) -> None:
    """Raise AssertionError unless these have their dimensions; :func:`mx_experts` sees to the others."""
    assert_layout(given.hidden, 2, "[R, H]", "hidden_states")
    assert_layout(given.gate_up, 5, "[E, 128, 2, H/512, I]", "gate_up_proj_weight")


def mx_experts(given: Operands, weight_dtype: Any) -> Experts:
    """Experts with MX weights (see :mod:`..mx_expert`). The down weights have the gate and up weights' type.

    Raises AssertionError without scales, and for shapes that do not fit each other.
    """
    gate_up, down = given.gate_up, given.down
    (gate_up_bias, down_bias), (gate_up_scale, down_scale) = given.biases, given.scales
    scaled = gate_up_scale is not None and down_scale is not None
    kernel_assert(scaled, "MX weights need gate_up_proj_scale and down_proj_scale")
    if weight_dtype is not None:
        assert_dtype_parameter(weight_dtype, PACKED_MX, "weight_dtype")
    weight = convert_to_mxfp_dtype(gate_up, weight_dtype)
    known = is_one_of(weight.dtype, PACKED_MX)
    kernel_assert(known, f"gate_up_proj_weight must have MX elements, or carry them; it is {weight.dtype}")
    assert_layout(down, 4, "[E, rows, ⌈I/512⌉, H]", "down_proj_weight")
    count, hidden = down.shape[0], down.shape[3]
    inner = gate_up.shape[4]
    rows, tiles = min(TILE, inner) // LANES, div_ceil(inner, TILE)
    assert_shape(gate_up, (count, 128, 2, hidden // TILE, inner), "gate_up_proj_weight")
    assert_shape(gate_up_scale, (count, 16, 2, hidden // TILE, inner), "gate_up_proj_scale")
    assert_shape(down, (count, rows, tiles, hidden), "down_proj_weight")
    assert_shape(down_scale, (count, rows // GROUP, tiles, hidden), "down_proj_scale")
    biases = ((gate_up_bias, "gate_and_up_proj_bias"), (down_bias, "down_proj_bias"))
    assert_dtypes(biases, FLOATS)
    if gate_up_bias is not None:
        assert_shape(gate_up_bias, (count, rows, 2, tiles, LANES), "gate_and_up_proj_bias")
    if down_bias is not None:
        check_elements(down_bias, count * hidden, "down_proj_bias", "E·H")
    return Experts(
        gate_up=weight,
        down=convert_to_mxfp_dtype(down, weight.dtype),
        gate_up_bias=gate_up_bias,
        down_bias=None if down_bias is None else down_bias.reshape((count, hidden)),
        gate_up_scale=gate_up_scale,
        down_scale=down_scale,
        kind=QuantizationType.MX,
        gating=given.gating,
    )


def mx_scaling(mode: ExpertAffinityScaleMode) -> Scaling:
    """POST_SCALE, or NO_SCALE. Raises AssertionError for others."""
    check_mode(mode)
    early = mode == ExpertAffinityScaleMode.PRE_SCALE or mode == ExpertAffinityScaleMode.PRE_SCALE_DELAYED
    kernel_assert(not early, f"PRE_SCALE mode not implemented, expert_affinities_scaling_mode is {mode}")
    return Scaling(on_output=mode == ExpertAffinityScaleMode.POST_SCALE)
