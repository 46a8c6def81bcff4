"""Questions about the parameters of an MLP."""

from typing import TYPE_CHECKING, Any

from ...blocks.activation import Gating
from ...blocks.dtypes import is_fp8
from ..utils.common_types import NormType
from ..utils.kernel_helpers import is_rms_normalization

if TYPE_CHECKING:
    from .mlp_parameters import MLPParameters

TKG_BS_SEQLEN_THRESHOLD = 96
"""Most tokens that are processed as token generation."""


def is_mlp_tkg(params: "MLPParameters") -> bool:
    """Whether these tokens are processed as token generation."""
    tokens = params.batch_size * params.sequence_len
    return tokens <= TKG_BS_SEQLEN_THRESHOLD and not params.force_cte_mode


def mlpp_has_quantized_weights(params: "MLPParameters") -> bool:
    return params.quant_params.is_quant()


def mlpp_has_quantized_input(params: "MLPParameters") -> bool:
    """Whether the hidden state is fp8."""
    return is_fp8(params.hidden_tensor.dtype)


def mlpp_input_has_packed_scale(params: "MLPParameters") -> bool:
    """Whether the bytes of its scale stand behind each row of the hidden state."""
    packed = mlpp_has_quantized_input(params) and params.quant_params.is_quant_row()
    return packed and not is_mlp_tkg(params)


def mlpp_has_fused_add(params: "MLPParameters") -> bool:
    return params.fused_add_params.fused_add_tensor is not None


def mlpp_store_fused_add(params: "MLPParameters") -> bool:
    """Whether there is a sum, and it is returned."""
    return mlpp_has_fused_add(params) and params.fused_add_params.store_fused_add_result


def mlpp_has_normalization(params: "MLPParameters") -> bool:
    return params.norm_params.normalization_type != NormType.NO_NORM


def mlpp_has_rms_normalization(params: "MLPParameters") -> bool:
    """With or without γ."""
    return is_rms_normalization(params.norm_params.normalization_type)


def mlpp_has_layer_normalization(params: "MLPParameters") -> bool:
    return params.norm_params.normalization_type == NormType.LAYER_NORM


def mlpp_has_normalization_weights(params: "MLPParameters") -> bool:
    return params.norm_params.normalization_weights_tensor is not None


def mlpp_has_gate_projection(params: "MLPParameters") -> bool:
    return not params.skip_gate_proj


def mlpp_has_gate_projection_bias(params: "MLPParameters") -> bool:
    return params.bias_params.gate_proj_bias_tensor is not None


def mlpp_has_up_projection_bias(params: "MLPParameters") -> bool:
    return params.bias_params.up_proj_bias_tensor is not None


def mlpp_has_down_projection_bias(params: "MLPParameters") -> bool:
    return params.bias_params.down_proj_bias_tensor is not None


def mlpp_has_projection_bias(params: "MLPParameters") -> bool:
    """Whether any of the three projections has one."""
    source = mlpp_has_gate_projection_bias(params) or mlpp_has_up_projection_bias(params)
    return source or mlpp_has_down_projection_bias(params)


def mlpp_has_normalization_bias(params: "MLPParameters") -> bool:
    return params.norm_params.normalization_bias_tensor is not None


def gating_of(params: Any) -> Gating:
    """The activation function and the limits."""
    return Gating(
        function=params.activation_fn,
        gate=(params.gate_clamp_upper_limit, params.gate_clamp_lower_limit),
        up=(params.up_clamp_upper_limit, params.up_clamp_lower_limit),
    )
