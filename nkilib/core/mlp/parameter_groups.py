"""Groups of an MLP's parameters, each with the checks of its own tensors."""

from typing import Any

import nki.language as nl

from ...blocks.arguments import assert_number, assert_object
from ...blocks.dtypes import assert_dtype
from ...blocks.memory import PARTITIONS
from ..utils.common_types import ExpertAffinityScaleMode, NormType, QuantizationType
from ..utils.kernel_assert import kernel_assert
from ..utils.tensor_view import TensorView

SUPPORTED_DTYPES = [nl.float16, nl.bfloat16, nl.float8_e4m3, "float8e4"]
_ALLOWED = SUPPORTED_DTYPES[0:3]
SUPPORTED_QUANT_TYPES = [
    QuantizationType.NONE,
    QuantizationType.STATIC,
    QuantizationType.ROW,
    QuantizationType.MX,
]


def check_dtype(tensor: Any, name: str) -> None:
    """Raise AssertionError unless the tensor is None or of one of :data:`SUPPORTED_DTYPES`."""
    assert_dtype(tensor, _ALLOWED, name)


def check_shape(tensor: Any, shape: tuple[int, ...], name: str) -> None:
    """Raise AssertionError unless the tensor is None or has this shape."""
    if tensor is not None:
        kernel_assert(
            tuple(tensor.shape) == shape, f"{name} must have shape {shape}, it has {tuple(tensor.shape)}"
        )


def _check_scale(scale: Any, dtype: Any, name: str) -> None:
    kernel_assert(scale is not None, f"quantization needs {name}")
    kernel_assert(scale.dtype == dtype, f"{name} must be {dtype}, its dtype is {scale.dtype}")


def _viewed(tensor: Any) -> Any:
    if tensor is None or isinstance(tensor, TensorView):
        return tensor
    return TensorView(tensor)


class MLPQuantizationParameters(nl.NKIObject):
    """How the weights are quantised; a scale s is for dequantising, ``w ≈ q·s``.

    Attributes:
        quantization_type: NONE, STATIC, ROW, MX.
        gate_w_scale, up_w_scale, down_w_scale: fp32 STATIC ``[128, 1]``; ROW ``[128, I]``, ``[128, I]``,
            ``[128, H]``; all rows equal.
        gate_up_in_scale, down_in_scale: fp32 ``[128, 1]``, of the activations, for STATIC.
        clipping_bound: ROW clips the intermediate to ± this before quantising it; 0 does not.
    """

    quantization_type: QuantizationType
    gate_w_scale: Any
    up_w_scale: Any
    down_w_scale: Any
    gate_up_in_scale: Any
    down_in_scale: Any
    clipping_bound: float

    def __init__(
        self,
        quantization_type: QuantizationType,
        gate_w_scale: Any,
        up_w_scale: Any,
        down_w_scale: Any,
        gate_up_in_scale: Any,
        down_in_scale: Any,
        clipping_bound: float,
    ) -> None:
        assert_object(quantization_type, QuantizationType, "quantization_type")
        assert_number(clipping_bound, "quant_clipping_bound")
        self.quantization_type = quantization_type
        self.gate_w_scale = gate_w_scale
        self.up_w_scale = up_w_scale
        self.down_w_scale = down_w_scale
        self.gate_up_in_scale = gate_up_in_scale
        self.down_in_scale = down_in_scale
        self.clipping_bound = clipping_bound

    def is_no_quant(self) -> bool:
        return self.quantization_type == QuantizationType.NONE

    def is_quant(self) -> bool:
        return not self.is_no_quant()

    def is_quant_static(self) -> bool:
        return self.quantization_type == QuantizationType.STATIC

    def is_quant_row(self) -> bool:
        return self.quantization_type == QuantizationType.ROW

    def is_quant_mx(self) -> bool:
        return self.quantization_type == QuantizationType.MX

    def has_clipping_bound(self) -> bool:
        return self.clipping_bound > 0

    def convert_to_view(self) -> None:
        """Replace each scale that is there by a TensorView of it."""
        self.gate_w_scale = _viewed(self.gate_w_scale)
        self.up_w_scale = _viewed(self.up_w_scale)
        self.down_w_scale = _viewed(self.down_w_scale)
        self.gate_up_in_scale = _viewed(self.gate_up_in_scale)
        self.down_in_scale = _viewed(self.down_in_scale)

    def _validate_shapes(self, params: Any) -> None:
        """``params`` has the MLP's sizes. Scales that are missing are :meth:`_validate_dtype`'s matter."""
        if self.is_quant_static():
            one = (PARTITIONS, 1)
            given = self.gate_up_in_scale is not None and self.down_in_scale is not None
            kernel_assert(given, "STATIC quantization needs gate_up_in_scale and down_in_scale")
            check_shape(self.gate_up_in_scale, one, "gate_up_in_scale")
            check_shape(self.down_in_scale, one, "down_in_scale")
            self._check_weight_scales(one, one)
        if self.is_quant_row():
            inner, hidden = params.intermediate_size, params.hidden_size
            self._check_weight_scales((PARTITIONS, inner), (PARTITIONS, hidden))

    def _check_weight_scales(self, source: tuple[int, int], down: tuple[int, int]) -> None:
        check_shape(self.gate_w_scale, source, "gate_w_scale")
        check_shape(self.up_w_scale, source, "up_w_scale")
        check_shape(self.down_w_scale, down, "down_w_scale")

    def _validate_dtype(self) -> None:
        if self.is_no_quant():
            return
        dtype = nl.uint8 if self.is_quant_mx() else nl.float32
        _check_scale(self.gate_w_scale, dtype, "gate_w_scale")
        _check_scale(self.up_w_scale, dtype, "up_w_scale")
        _check_scale(self.down_w_scale, dtype, "down_w_scale")
        if self.is_quant_static():
            _check_scale(self.gate_up_in_scale, dtype, "gate_up_in_scale")
            _check_scale(self.down_in_scale, dtype, "down_in_scale")


class MLPFusedAddParameters(nl.NKIObject):
    """What is added to the hidden state first, HBM ``[B, S, H]``, and whether the sum is returned."""

    fused_add_tensor: Any
    store_fused_add_result: bool

    def __init__(self, fused_add_tensor: Any, store_fused_add_result: bool) -> None:
        self.fused_add_tensor = fused_add_tensor
        self.store_fused_add_result = store_fused_add_result

    def _validate_dtype(self) -> None:
        check_dtype(self.fused_add_tensor, "fused_add_tensor")


class MLPNormalizationParameters(nl.NKIObject):
    """The norm, and its γ and β, HBM ``[1, H]``; NO_NORM drops both."""

    normalization_type: NormType
    normalization_weights_tensor: Any
    normalization_bias_tensor: Any

    def __init__(
        self,
        normalization_type: NormType,
        normalization_weights_tensor: Any,
        normalization_bias_tensor: Any,
    ) -> None:
        self.normalization_type = normalization_type
        self.normalization_weights_tensor = normalization_weights_tensor
        self.normalization_bias_tensor = normalization_bias_tensor
        if normalization_type == NormType.NO_NORM:
            self.normalization_weights_tensor = None
            self.normalization_bias_tensor = None

    def _validate_dtype(self) -> None:
        check_dtype(self.normalization_weights_tensor, "normalization_weights_tensor")
        check_dtype(self.normalization_bias_tensor, "normalization_bias_tensor")


class MLPExpertParameters(nl.NKIObject):
    """What a mixture of experts adds: affinities, indices, and where the affinities scale."""

    expert_affinities: Any
    expert_index: Any
    expert_affinities_eager: Any
    expert_affinities_scaling_mode: ExpertAffinityScaleMode

    def __init__(
        self,
        expert_affinities: Any,
        expert_index: Any,
        expert_affinities_eager: Any,
        expert_affinities_scaling_mode: ExpertAffinityScaleMode = ExpertAffinityScaleMode.NO_SCALE,
    ) -> None:
        self.expert_affinities = expert_affinities
        self.expert_index = expert_index
        self.expert_affinities_eager = expert_affinities_eager
        self.expert_affinities_scaling_mode = expert_affinities_scaling_mode


class MLPBiasParameters(nl.NKIObject):
    """Biases of the projections, HBM ``[1, I]``, ``[1, I]``, ``[1, H]``, or None."""

    gate_proj_bias_tensor: Any
    up_proj_bias_tensor: Any
    down_proj_bias_tensor: Any

    def __init__(
        self, gate_proj_bias_tensor: Any, up_proj_bias_tensor: Any, down_proj_bias_tensor: Any
    ) -> None:
        self.gate_proj_bias_tensor = gate_proj_bias_tensor
        self.up_proj_bias_tensor = up_proj_bias_tensor
        self.down_proj_bias_tensor = down_proj_bias_tensor

    def _validate_dtype(self) -> None:
        check_dtype(self.gate_proj_bias_tensor, "gate_proj_bias_tensor")
        check_dtype(self.up_proj_bias_tensor, "up_proj_bias_tensor")
        check_dtype(self.down_proj_bias_tensor, "down_proj_bias_tensor")
