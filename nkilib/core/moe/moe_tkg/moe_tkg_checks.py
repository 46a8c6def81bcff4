"""What :func:`.moe_tkg.moe_tkg` refuses, in this order."""

from typing import Any

import nki.language as nl

from ....blocks.arguments import assert_layout, assert_limits
from ....blocks.dtypes import FLOATS, FLOATS_AND_FP8, assert_dtype, assert_dtype_parameter, assert_dtypes
from ....blocks.lnc import cores
from ....blocks.memory import PARTITIONS, PSUM_COLUMNS
from ....blocks.mx import TILE
from ...utils.common_types import ExpertAffinityScaleMode, QuantizationType
from ...utils.kernel_assert import assert_shape, kernel_assert
from ...utils.kernel_helpers import NUM_HW_PSUM_BANKS, div_ceil
from ..experts import Experts, expert_count, hidden_size, inner_size
from ..mx_expert import check_mx_sizes
from .moe_tkg_parameters import Request, is_scaled, shares_tokens, token_count

MX_DTYPES = (nl.float4_e2m1fn_x4, nl.float8_e4m3fn_x4)
MOST_CHOICES = 16


def is_mx(dtype: Any) -> bool:
    """Whether weights of this type are taken as MX; float8_e5m2_x4 is not."""
    return dtype == MX_DTYPES[0] or dtype == MX_DTYPES[1]


def _check(condition: bool, text: str) -> None:
    kernel_assert(condition, f"[MoE TKG Kernel] {text}")


def check_options(
    request: Request, is_all_expert: bool, is_dynamic: bool, gate_up_input_scale: Any, down_input_scale: Any
) -> None:
    """Raise AssertionError for options that do not go together."""
    experts, routing = request.experts, request.routing
    mx = experts.kind == QuantizationType.MX
    assert_limits(experts.gating.gate, experts.gating.up)
    known = isinstance(routing.mode, ExpertAffinityScaleMode)
    _check(known, f"expert_affinities_scaling_mode: {routing.mode} is no ExpertAffinityScaleMode")
    needed = not is_all_expert or routing.masked
    _check(not needed or routing.index is not None, "expert_index is needed to know who is selected")
    if needed and routing.index.buffer != nl.sbuf:
        assert_layout(routing.index, 2, "[T, K]", "expert_index")
    _check(token_count(request) > 0, f"hidden_input must have tokens, its shape is {request.hidden.shape}")
    shape = tuple(routing.affinities.shape)
    _check(len(shape) == 2, f"Expected 2D expert_affinities, got {shape}")
    missing = is_all_expert and routing.mode != ExpertAffinityScaleMode.NO_SCALE and routing.rank is None
    _check(not missing, "rank_id is required for all-expert mode with affinity scaling")
    scales = experts.gate_up_scale is not None and experts.down_scale is not None
    _check(scales or not mx, "Scales must be set when using MX weights")
    _check(
        is_all_expert or not is_dynamic,
        f"is_all_expert_dynamic=True requires is_all_expert=True, but got is_all_expert={is_all_expert}",
    )
    _check(
        request.hidden_scale is None or (mx and is_all_expert),
        "hidden_input_scale is only supported with MX weights in all-expert mode",
    )
    _check(
        token_count(request) <= PARTITIONS or (mx and is_all_expert),
        "Currently only batch size * seq len <= 128 is supported (except for MX all-expert mode)",
    )
    _check(
        routing.mode != ExpertAffinityScaleMode.PRE_SCALE_DELAYED,
        "PRE_SCALE_DELAYED option is only applicable in CTE expert_mlp case",
    )
    _check(routing.mode != ExpertAffinityScaleMode.PRE_SCALE, "Kernel does not support pre-scale mode")
    _check(
        gate_up_input_scale is None and down_input_scale is None,
        "Static quantization is not supported in MoE TKG kernel",
    )
    _check(
        routing.eager is None or not is_all_expert,
        "expert_affinities eager mode not supported with is_all_expert=True",
    )


def check_selection(request: Request) -> None:
    """Raise AssertionError when tokens cannot select among these experts."""
    routing = request.routing
    choices = routing.index.shape[len(routing.index.shape) - 1]
    count = expert_count(request.experts)
    kernel_assert(choices <= MOST_CHOICES, f"top_k {choices} exceeds {MOST_CHOICES}")
    kernel_assert(count > 1, f"E={count} must be > 1 for MoE (local_gather requires src_buffer_size > 1)")


def check_sizes(request: Request, is_all_expert: bool) -> None:
    """Raise AssertionError when weights of 16 or 8 bits and the hidden state do not fit the cores or PSUM."""
    hidden, tokens = hidden_size(request.experts), token_count(request)
    by_tokens = not is_all_expert and shares_tokens(request)
    count = 1 if by_tokens else cores().count
    planes = hidden // PARTITIONS
    kernel_assert(
        hidden % PARTITIONS == 0 and planes % count == 0,
        f"Invalid sharding: H1={planes} (H={hidden}) cannot be evenly divided across {count} cores",
    )
    banks = div_ceil(planes // count, PSUM_COLUMNS // tokens)
    kernel_assert(
        banks <= NUM_HW_PSUM_BANKS,
        f"Required psum banks for down projection: {banks}, which exceeds hardware limit of "
        f"{NUM_HW_PSUM_BANKS}, please use CTE mode",
    )
    shape = request.hidden.shape
    if request.hidden.buffer == nl.sbuf:
        expected, found = hidden // count, shape[2] * PARTITIONS
    else:
        expected, found = hidden, shape[len(shape) - 1]
    kernel_assert(
        expected == found, f"Weight Sharding mismatch: expected H of {expected} in hidden_input, got {found}"
    )
    _check_width(request)


def _check_width(request: Request) -> None:
    width = request.routing.affinities.shape[1]
    enough = width >= expert_count(request.experts) or not is_scaled(request.routing)
    kernel_assert(
        enough, f"expert_affinities has {width} columns for {expert_count(request.experts)} experts"
    )


def check_tensors(request: Request, is_all_expert: bool) -> None:
    """Raise AssertionError for a tensor that is read and does not fit the others."""
    experts, routing, tokens = request.experts, request.routing, token_count(request)
    biases = ((experts.gate_up_bias, "expert_gate_up_bias"), (experts.down_bias, "expert_down_bias"))
    assert_dtypes(biases, FLOATS)
    assert_dtype(routing.affinities, FLOATS, "expert_affinities")
    if experts.kind == QuantizationType.MX:
        _check_mx_experts(experts)
    else:
        _check_experts(experts)
        assert_dtype(request.hidden, FLOATS, "hidden_input")
        wide = (request.hidden.dtype == nl.float32) == (experts.gate_up.dtype == nl.float32)
        kernel_assert(
            wide,
            f"float32 goes with float32 only: hidden_input is {request.hidden.dtype}, "
            f"expert_gate_up_weights {experts.gate_up.dtype}",
        )
    assert_dtype_parameter(request.output_dtype, FLOATS, "output_dtype")
    if request.hidden.buffer != nl.sbuf:
        assert_shape(request.hidden, (tokens, hidden_size(experts)), "hidden_input")
    if is_scaled(routing):
        assert_shape(routing.affinities, (tokens, routing.affinities.shape[1]), "expert_affinities")
    if is_scaled(routing) and is_all_expert:
        assert_shape(routing.rank, (1, 1), "rank_id")
    if (routing.masked or not is_all_expert) and len(routing.index.shape) == 2:
        assert_shape(routing.index, (tokens, routing.index.shape[1]), "expert_index")


def _check_experts(experts: Experts) -> None:
    """Weights of 16 or 8 bits, or of 32 as the hidden state."""
    count, hidden, inner = expert_count(experts), hidden_size(experts), inner_size(experts)
    assert_shape(experts.gate_up, (count, hidden, 2, inner), "expert_gate_up_weights")
    assert_shape(experts.down, (count, inner, hidden), "expert_down_weights")
    assert_dtype(experts.gate_up, FLOATS_AND_FP8, "expert_gate_up_weights")
    assert_dtype(experts.down, FLOATS_AND_FP8, "expert_down_weights")
    if experts.gate_up_bias is not None:
        assert_shape(experts.gate_up_bias, (count, 2, inner), "expert_gate_up_bias")
    if experts.down_bias is not None:
        assert_shape(experts.down_bias, (count, hidden), "expert_down_bias")
    if experts.kind == QuantizationType.ROW:
        assert_shape(experts.gate_up_scale, (count, 2, inner), "expert_gate_up_weights_scale")
        assert_shape(experts.down_scale, (count, hidden), "expert_down_weights_scale")
        assert_dtype(experts.gate_up_scale, FLOATS, "expert_gate_up_weights_scale")
        assert_dtype(experts.down_scale, FLOATS, "expert_down_weights_scale")


def _check_mx_experts(experts: Experts) -> None:
    """As :mod:`..mx_expert` says."""
    count, hidden, inner = expert_count(experts), hidden_size(experts), inner_size(experts)
    planes, tiles = hidden // TILE, div_ceil(inner, TILE)
    rows = min(PARTITIONS, inner // 4)
    assert_shape(experts.gate_up, (count, PARTITIONS, 2, planes, inner), "expert_gate_up_weights")
    assert_shape(experts.down, (count, rows, tiles, hidden), "expert_down_weights")
    assert_shape(
        experts.gate_up_scale, (count, PARTITIONS // 8, 2, planes, inner), "expert_gate_up_weights_scale"
    )
    assert_shape(experts.down_scale, (count, rows // 8, tiles, hidden), "expert_down_weights_scale")
    if experts.gate_up_bias is not None:
        assert_shape(experts.gate_up_bias, (count, rows, 2, tiles, 4), "expert_gate_up_bias")
    if experts.down_bias is not None:
        assert_shape(experts.down_bias, (count, hidden), "expert_down_bias")


# -- MX -------------------------------------------------------------------------------------------------


def check_all_expert_mx(request: Request) -> None:
    """Raise AssertionError for what all experts with MX weights do not take."""
    experts, hidden = request.experts, request.hidden
    if request.hidden_scale is None:
        _check_unquantised(hidden, token_count(request))
    else:
        _check_quantised(hidden, request.hidden_scale, token_count(request))
    kernel_assert(
        not request.output_in_sbuf,
        f"All-expert MX kernel does not yet support SBUF output, got output_in_sbuf={request.output_in_sbuf}",
    )
    mode = request.routing.mode
    kernel_assert(
        is_scaled(request.routing), f"Expected expert_affinities_scaling_mode=POST_SCALE, got: {mode}"
    )
    check_mx_sizes(hidden_size(experts), inner_size(experts))
    unit = TILE * cores().count
    inner = inner_size(experts)
    kernel_assert(inner % unit == 0, f"I must be a multiple of {unit}, 512 for each core, it is {inner}")
    _check_width(request)


def _check_narrow(hidden: Any) -> None:
    kernel_assert(
        hidden.dtype == nl.float16 or hidden.dtype == nl.bfloat16,
        f"Expected input dtype in float16, bfloat16, got {hidden.dtype}",
    )


def _check_unquantised(hidden: Any, tokens: int) -> None:
    _check_narrow(hidden)
    kernel_assert(
        hidden.buffer != nl.sbuf,
        "_layout_adapter_qmx_sb not yet migrated to new NKI FE: give hidden_input in HBM, or quantised",
    )
    kernel_assert(
        tokens % 32 == 0,
        f"Expected T divisible by 32, got T={tokens}. To use T divisible by 4, provide prequantized input "
        "and hidden_input_scale.",
    )


def _check_quantised(hidden: Any, scale: Any, tokens: int) -> None:
    kernel_assert(
        is_mx(hidden.dtype),
        f"Expected quantized input dtype in float4_e2m1fn_x4, float8_e4m3fn_x4, got {hidden.dtype}",
    )
    kernel_assert(scale.dtype == nl.uint8, f"Expected hidden_input_scale dtype = nl.uint8, got {scale.dtype}")
    kernel_assert(tokens % 4 == 0, f"Expected T divisible by 4, got T={tokens}")


def check_selective_mx(request: Request) -> None:
    """Raise AssertionError for what selective experts with MX weights do not take."""
    experts, routing = request.experts, request.routing
    kernel_assert(not request.output_in_sbuf, "Selective MX kernel does not support sbuf output")
    _check_narrow(request.hidden)
    hidden, inner = hidden_size(experts), inner_size(experts)
    kernel_assert(hidden % TILE == 0, f"Expect H to be a multiple of 512, got {hidden}")
    check_mx_sizes(hidden, inner)
    choices, count = routing.index.shape[1], cores().count
    if routing.eager is not None:
        assert_shape(routing.eager, (token_count(request), choices), "expert_affinities_eager")
    kernel_assert(
        choices % count == 0,
        f"Selective load shard on K requires K divisible by num NC, K={choices}, num NC={count}",
    )
    kernel_assert(
        experts.down_bias is None or expert_count(experts) <= PARTITIONS,
        "MXFP4 down projection with LHS/RHS swapped only supports E <= 128 when down projection bias exists",
    )
    _check_width(request)
