"""What an MLP is asked to do, predicates over it, and its checks; shared with the mixtures of experts."""

from typing import Any

import nki.language as nl

from ..utils.common_types import ActFnType, NormType, QuantizationType
from ..utils.kernel_assert import kernel_assert
from .parameter_groups import (
    SUPPORTED_DTYPES,
    SUPPORTED_QUANT_TYPES,
    MLPBiasParameters,
    MLPExpertParameters,
    MLPFusedAddParameters,
    MLPNormalizationParameters,
    MLPQuantizationParameters,
)
from .predicates import (
    TKG_BS_SEQLEN_THRESHOLD,
    is_mlp_tkg,
    mlpp_has_down_projection_bias,
    mlpp_has_fused_add,
    mlpp_has_gate_projection,
    mlpp_has_gate_projection_bias,
    mlpp_has_layer_normalization,
    mlpp_has_normalization,
    mlpp_has_normalization_bias,
    mlpp_has_normalization_weights,
    mlpp_has_projection_bias,
    mlpp_has_quantized_input,
    mlpp_has_quantized_weights,
    mlpp_has_rms_normalization,
    mlpp_has_up_projection_bias,
    mlpp_input_has_packed_scale,
    mlpp_store_fused_add,
)
from .validation import validate_mlp_arguments

__all__ = [
    "SUPPORTED_DTYPES",
    "SUPPORTED_QUANT_TYPES",
    "TKG_BS_SEQLEN_THRESHOLD",
    "MLPBiasParameters",
    "MLPExpertParameters",
    "MLPFusedAddParameters",
    "MLPNormalizationParameters",
    "MLPParameters",
    "MLPQuantizationParameters",
    "get_T_from_hidden_input",
    "is_mlp_tkg",
    "mlpp_has_down_projection_bias",
    "mlpp_has_fused_add",
    "mlpp_has_gate_projection",
    "mlpp_has_gate_projection_bias",
    "mlpp_has_layer_normalization",
    "mlpp_has_normalization",
    "mlpp_has_normalization_bias",
    "mlpp_has_normalization_weights",
    "mlpp_has_projection_bias",
    "mlpp_has_quantized_input",
    "mlpp_has_quantized_weights",
    "mlpp_has_rms_normalization",
    "mlpp_has_up_projection_bias",
    "mlpp_input_has_packed_scale",
    "mlpp_store_fused_add",
    "override_inter_size",
    "override_seq_len",
    "validate_mlp_arguments",
]


def _in_sbuf(tensor: Any) -> bool:
    return bool(tensor.buffer == nl.sbuf)


def get_T_from_hidden_input(hidden_input: Any, hidden_input_scale: Any = None) -> int:
    """Tokens of a hidden state.

    HBM ``[B, S, H]`` or ``[T, H]``; SBUF ``[128, T, H/128]``, with a scale (MX) ``[128, H/512, T]``.
    """
    shape = hidden_input.shape
    if _in_sbuf(hidden_input):
        return int(shape[1] if hidden_input_scale is None else shape[2])
    if len(shape) == 3:
        return int(shape[0] * shape[1])
    return int(shape[0])


class MLPParameters(nl.NKIObject):
    """The parameters of :func:`nkilib.core.mlp.mlp.mlp` in groups, and what follows from them.

    Attributes:
        batch_size, sequence_len, hidden_size, intermediate_size: B, S, H, I.
        input_in_sbuf: whether the hidden state is in SBUF.
        fused_add_params, norm_params, bias_params, quant_params, expert_params: the groups.
        shard_on_h_disabled: for mixtures of experts whose cores do not divide H.
        the others: as the parameters of these names.

    Args:
        hidden_tensor: HBM ``[B, S, H]`` or ``[T, H]``, or SBUF ``[128, T, H/128]``.
        down_proj_weights_tensor: ``[I, H]``, or ``[E, I, H]`` of several experts.
    """

    def __init__(
        self,
        hidden_tensor: Any,
        gate_proj_weights_tensor: Any,
        up_proj_weights_tensor: Any,
        down_proj_weights_tensor: Any,
        normalization_weights_tensor: Any = None,
        gate_proj_bias_tensor: Any = None,
        up_proj_bias_tensor: Any = None,
        down_proj_bias_tensor: Any = None,
        normalization_bias_tensor: Any = None,
        fused_add_tensor: Any = None,
        store_fused_add_result: bool = False,
        activation_fn: ActFnType = ActFnType.SiLU,
        normalization_type: NormType = NormType.NO_NORM,
        quantization_type: QuantizationType = QuantizationType.NONE,
        gate_w_scale: Any = None,
        up_w_scale: Any = None,
        down_w_scale: Any = None,
        gate_up_in_scale: Any = None,
        down_in_scale: Any = None,
        quant_clipping_bound: float = 0.0,
        output_dtype: Any = nl.bfloat16,
        store_output_in_sbuf: bool = False,
        eps: float = 1e-6,
        skip_gate_proj: bool = False,
        use_tkg_gate_up_proj_column_tiling: bool = False,
        use_tkg_down_proj_column_tiling: bool = False,
        use_tkg_down_proj_optimized_layout: bool = False,
        shard_on_h_disabled: bool = False,
        gate_clamp_lower_limit: float | None = None,
        gate_clamp_upper_limit: float | None = None,
        up_clamp_lower_limit: float | None = None,
        up_clamp_upper_limit: float | None = None,
        expert_params: MLPExpertParameters | None = None,
        hidden_input_scale: Any = None,
        force_cte_mode: bool = False,
    ) -> None:
        self.hidden_tensor = hidden_tensor
        self.gate_proj_weights_tensor = gate_proj_weights_tensor
        self.up_proj_weights_tensor = up_proj_weights_tensor
        self.down_proj_weights_tensor = down_proj_weights_tensor
        self.hidden_input_scale = hidden_input_scale
        self.activation_fn = activation_fn
        self.output_dtype = output_dtype
        self.store_output_in_sbuf = store_output_in_sbuf
        self.eps = eps
        self.skip_gate_proj = skip_gate_proj
        self.use_tkg_gate_up_proj_column_tiling = use_tkg_gate_up_proj_column_tiling
        self.use_tkg_down_proj_column_tiling = use_tkg_down_proj_column_tiling
        self.use_tkg_down_proj_optimized_layout = use_tkg_down_proj_optimized_layout
        self.shard_on_h_disabled = shard_on_h_disabled
        self.gate_clamp_lower_limit = gate_clamp_lower_limit
        self.gate_clamp_upper_limit = gate_clamp_upper_limit
        self.up_clamp_lower_limit = up_clamp_lower_limit
        self.up_clamp_upper_limit = up_clamp_upper_limit
        self.force_cte_mode = force_cte_mode
        self.expert_params = expert_params
        self.fused_add_params = MLPFusedAddParameters(fused_add_tensor, store_fused_add_result)
        self.norm_params = MLPNormalizationParameters(
            normalization_type, normalization_weights_tensor, normalization_bias_tensor
        )
        self.bias_params = MLPBiasParameters(
            gate_proj_bias_tensor, up_proj_bias_tensor, down_proj_bias_tensor
        )
        self.quant_params = MLPQuantizationParameters(
            quantization_type,
            gate_w_scale,
            up_w_scale,
            down_w_scale,
            gate_up_in_scale,
            down_in_scale,
            quant_clipping_bound,
        )
        self._set_sizes()

    def _set_sizes(self) -> None:
        """Sizes are 0 while a tensor is missing; validation says which."""
        self.input_in_sbuf = False
        self.batch_size, self.sequence_len = 0, 0
        self.hidden_size, self.intermediate_size = 0, 0
        if self.down_proj_weights_tensor is not None:
            shape = self.down_proj_weights_tensor.shape
            self.hidden_size = shape[len(shape) - 1]
            self.intermediate_size = shape[len(shape) - 2]
        if self.hidden_tensor is not None:
            shape = self.hidden_tensor.shape
            self.input_in_sbuf = _in_sbuf(self.hidden_tensor)
            self.batch_size = 1
            self.sequence_len = get_T_from_hidden_input(self.hidden_tensor, self.hidden_input_scale)
            if len(shape) == 3 and not self.input_in_sbuf:
                self.batch_size, self.sequence_len = shape[0], shape[1]


def override_seq_len(mlp_params: MLPParameters, seq_len: int) -> None:
    """Set ``seq_len``, for a part of the sequence; AssertionError beyond the sequence."""
    most = mlp_params.sequence_len
    kernel_assert(0 < seq_len <= most, f"seq_len must be 1 to {most}, it is {seq_len}")
    mlp_params.seq_len = seq_len


def override_inter_size(mlp_params: MLPParameters, inter_sz: int) -> None:
    """Set ``intermediate_size``, for a part of the columns; AssertionError beyond them."""
    most = mlp_params.intermediate_size
    kernel_assert(0 < inter_sz <= most, f"the intermediate size must be 1 to {most}, it is {inter_sz}")
    mlp_params.intermediate_size = inter_sz
