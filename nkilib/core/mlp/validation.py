"""The checks of an MLP's parameters: what is required, shapes, dtypes, restrictions of the two modes."""

from typing import TYPE_CHECKING

import nki.language as nl

from ...blocks.arguments import assert_limits, assert_not_negative
from ...blocks.dtypes import FLOATS_AND_FP8, assert_dtype_parameter
from ...blocks.memory import PARTITIONS
from ..utils.common_types import ActFnType, NormType
from ..utils.kernel_assert import kernel_assert
from .mlp_cte.mlp_cte_utils import is_launch_grid_valid_for_mlp
from .parameter_groups import check_dtype, check_shape
from .predicates import (
    is_mlp_tkg,
    mlpp_has_fused_add,
    mlpp_has_normalization,
    mlpp_has_normalization_bias,
    mlpp_has_projection_bias,
    mlpp_has_quantized_input,
    mlpp_has_quantized_weights,
    mlpp_input_has_packed_scale,
    mlpp_store_fused_add,
)

if TYPE_CHECKING:
    from .mlp_parameters import MLPParameters

SCALE_BYTES = 4
"""fp8 elements behind a row of the hidden state that hold the bytes of its fp32 scale."""


def validate_mlp_arguments(params: "MLPParameters") -> None:
    """Raise AssertionError for the first thing that is wrong: missing, a shape, a dtype, a restriction."""
    _validate_mlp_required_arguments(params)
    _validate_mlp_arguments_shapes(params)
    _validate_mlp_arguments_dtype(params)
    _validate_mlp_arguments_restrictions(params)


def _validate_mlp_required_arguments(params: "MLPParameters") -> None:
    kernel_assert(params.hidden_tensor is not None, "hidden_tensor is required")
    kernel_assert(params.gate_proj_weights_tensor is not None, "gate_proj_weights_tensor is required")
    kernel_assert(params.up_proj_weights_tensor is not None, "up_proj_weights_tensor is required")
    kernel_assert(params.down_proj_weights_tensor is not None, "down_proj_weights_tensor is required")


def _validate_mlp_arguments_shapes(params: "MLPParameters") -> None:
    gate = params.gate_proj_weights_tensor.shape
    kernel_assert(len(gate) == 2, f"gate_proj_weights_tensor must be [H, I], its shape is {gate}")
    hidden, inner = gate
    kernel_assert(hidden > 0 and inner > 0, f"H and I must be positive, they are {hidden} and {inner}")
    kernel_assert(hidden % PARTITIONS == 0, f"H must be a multiple of {PARTITIONS}, it is {hidden}")
    check_shape(params.up_proj_weights_tensor, (hidden, inner), "up_proj_weights_tensor")
    check_shape(params.down_proj_weights_tensor, (inner, hidden), "down_proj_weights_tensor")
    _validate_hidden_shape(params, hidden)
    norm, biases = params.norm_params, params.bias_params
    check_shape(norm.normalization_weights_tensor, (1, hidden), "normalization_weights_tensor")
    check_shape(norm.normalization_bias_tensor, (1, hidden), "normalization_bias_tensor")
    check_shape(biases.gate_proj_bias_tensor, (1, inner), "gate_proj_bias_tensor")
    check_shape(biases.up_proj_bias_tensor, (1, inner), "up_proj_bias_tensor")
    check_shape(biases.down_proj_bias_tensor, (1, hidden), "down_proj_bias_tensor")
    params.quant_params._validate_shapes(params)


def _validate_hidden_shape(params: "MLPParameters", hidden: int) -> None:
    shape = tuple(params.hidden_tensor.shape)
    kernel_assert(len(shape) == 3, f"hidden_tensor must have 3 dimensions, its shape is {shape}")
    batch, sequence = params.batch_size, params.sequence_len
    kernel_assert(batch * sequence > 0, f"hidden_tensor must have tokens, its shape is {shape}")
    wanted = (batch, sequence, hidden)
    if params.input_in_sbuf:
        wanted = (PARTITIONS, sequence, hidden // PARTITIONS)
    elif mlpp_input_has_packed_scale(params):
        wanted = (batch, sequence, hidden + SCALE_BYTES)
    check_shape(params.hidden_tensor, wanted, "hidden_tensor")
    added = (batch, sequence, hidden)
    check_shape(params.fused_add_params.fused_add_tensor, added, "fused_add_tensor")


def _validate_mlp_arguments_dtype(params: "MLPParameters") -> None:
    check_dtype(params.hidden_tensor, "hidden_tensor")
    check_dtype(params.gate_proj_weights_tensor, "gate_proj_weights_tensor")
    check_dtype(params.up_proj_weights_tensor, "up_proj_weights_tensor")
    check_dtype(params.down_proj_weights_tensor, "down_proj_weights_tensor")
    params.norm_params._validate_dtype()
    params.fused_add_params._validate_dtype()
    params.bias_params._validate_dtype()
    params.quant_params._validate_dtype()
    assert_dtype_parameter(params.output_dtype, FLOATS_AND_FP8, "output_dtype")


def _validate_mlp_arguments_restrictions(params: "MLPParameters") -> None:
    dimensions = nl.program_ndim()
    fits = is_launch_grid_valid_for_mlp()
    kernel_assert(fits, f"the launch grid must have at most 1 dimension, it has {dimensions}")
    function, kind = params.activation_fn, params.norm_params.normalization_type
    kernel_assert(isinstance(function, ActFnType), f"activation_fn: {function} is no ActFnType")
    kernel_assert(isinstance(kind, NormType), f"normalization_type: {kind} is no NormType")
    assert_not_negative(params.eps if mlpp_has_normalization(params) else 0.0, "eps")
    assert_limits(
        (params.gate_clamp_upper_limit, params.gate_clamp_lower_limit),
        (params.up_clamp_upper_limit, params.up_clamp_lower_limit),
    )
    shifted = mlpp_has_normalization_bias(params)
    kernel_assert(
        not shifted or kind == NormType.LAYER_NORM,
        f"normalization_bias_tensor is for LAYER_NORM, the norm is {kind}",
    )
    if is_mlp_tkg(params):
        _validate_tkg(params)
    else:
        _validate_cte(params)


def _validate_tkg(params: "MLPParameters") -> None:
    optimized = params.use_tkg_down_proj_optimized_layout
    kernel_assert(
        not (optimized and params.use_tkg_down_proj_column_tiling),
        "use_tkg_down_proj_optimized_layout needs use_tkg_down_proj_column_tiling=False",
    )
    if params.input_in_sbuf:
        kernel_assert(
            not params.store_output_in_sbuf and not mlpp_store_fused_add(params),
            "with hidden_tensor in SBUF, neither store_output_in_sbuf nor store_fused_add_result is possible",
        )


def _validate_cte(params: "MLPParameters") -> None:
    kernel_assert(not params.skip_gate_proj, "context encoding has no skip_gate_proj")
    limited = params.gate_clamp_lower_limit is not None or params.gate_clamp_upper_limit is not None
    limited = limited or params.up_clamp_lower_limit is not None or params.up_clamp_upper_limit is not None
    kernel_assert(not limited, "context encoding has no clamps")
    kernel_assert(not params.store_output_in_sbuf, "context encoding has no store_output_in_sbuf")
    kernel_assert(not params.input_in_sbuf, "context encoding takes hidden_tensor from HBM, it is in SBUF")
    optimized = params.use_tkg_down_proj_optimized_layout
    kernel_assert(not optimized, "context encoding has no use_tkg_down_proj_optimized_layout")
    if mlpp_has_quantized_weights(params):
        _validate_cte_quantization(params)


def _validate_cte_quantization(params: "MLPParameters") -> None:
    quantized = mlpp_has_quantized_input(params)
    kernel_assert(quantized, "context encoding with quantization takes an fp8 hidden_tensor")
    kernel_assert(not mlpp_has_normalization(params), "context encoding with quantization has no norm")
    kernel_assert(not mlpp_has_fused_add(params), "context encoding with quantization has no fused add")
    biased = mlpp_has_projection_bias(params)
    kernel_assert(not biased, "context encoding with quantization has no projection biases")
