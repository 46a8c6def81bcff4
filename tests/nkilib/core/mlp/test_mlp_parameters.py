"""Parameters of an MLP: sizes, predicates, what parts of the work override."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import nki.language as nl
import pytest
from kernels import launch, rejected

from nkilib.core.mlp import mlp_parameters
from nkilib.core.mlp.mlp_parameters import (
    MLPBiasParameters,
    MLPExpertParameters,
    MLPFusedAddParameters,
    MLPNormalizationParameters,
    MLPParameters,
    MLPQuantizationParameters,
    get_T_from_hidden_input,
    override_inter_size,
    override_seq_len,
)
from nkilib.core.utils.common_types import ExpertAffinityScaleMode, NormType, QuantizationType
from nkilib.core.utils.tensor_view import TensorView

H, I = 256, 130  # noqa: E741


def tensor(*shape: int, dtype: Any = nl.bfloat16, buffer: Any = nl.shared_hbm) -> Any:
    return SimpleNamespace(shape=shape, dtype=dtype, buffer=buffer)


def params(hidden: Any = None, **options: Any) -> MLPParameters:
    return MLPParameters(
        hidden or tensor(2, 5, H), tensor(H, I), tensor(H, I), options.pop("down", tensor(I, H)), **options
    )


@pytest.mark.parametrize(
    ("hidden", "scale", "tokens"),
    [
        (tensor(2, 5, H), None, 10),
        (tensor(7, H), None, 7),
        (tensor(128, 7, 2, buffer=nl.sbuf), None, 7),
        (tensor(128, 2, 7, buffer=nl.sbuf), tensor(128, 2, 7), 7),
    ],
)
def test_tokens(hidden: Any, scale: Any, tokens: int) -> None:
    assert get_T_from_hidden_input(hidden, scale) == tokens
    made = params(hidden, hidden_input_scale=scale)
    assert made.batch_size * made.sequence_len == tokens
    assert made.input_in_sbuf == (hidden.buffer == nl.sbuf)


def test_sizes() -> None:
    made = params(down=tensor(8, I, H))
    assert (made.batch_size, made.sequence_len, made.hidden_size, made.intermediate_size) == (2, 5, H, I)


def test_defaults() -> None:
    made = params()
    assert made.output_dtype == nl.bfloat16
    assert not made.use_tkg_gate_up_proj_column_tiling
    assert not made.use_tkg_down_proj_column_tiling
    assert not made.shard_on_h_disabled
    assert made.expert_params is None


FP8 = tensor(2, 5, H, dtype=nl.float8_e4m3)
MANY = tensor(1, 97, H + 4, dtype=nl.float8_e4m3)
ROW = QuantizationType.ROW
PREDICATES: list[tuple[str, dict[str, Any], bool]] = [
    ("is_mlp_tkg", {}, True),
    ("is_mlp_tkg", {"hidden": tensor(2, 48, H)}, True),
    ("is_mlp_tkg", {"hidden": tensor(1, 97, H)}, False),
    ("is_mlp_tkg", {"force_cte_mode": True}, False),
    ("mlpp_has_quantized_weights", {}, False),
    ("mlpp_has_quantized_weights", {"quantization_type": ROW}, True),
    ("mlpp_has_quantized_input", {}, False),
    ("mlpp_has_quantized_input", {"hidden": FP8}, True),
    ("mlpp_input_has_packed_scale", {"hidden": MANY, "quantization_type": ROW}, True),
    ("mlpp_input_has_packed_scale", {"hidden": FP8, "quantization_type": ROW}, False),
    ("mlpp_input_has_packed_scale", {"hidden": FP8, "quantization_type": ROW, "force_cte_mode": True}, True),
    ("mlpp_input_has_packed_scale", {"hidden": MANY, "quantization_type": QuantizationType.STATIC}, False),
    ("mlpp_has_fused_add", {}, False),
    ("mlpp_has_fused_add", {"fused_add_tensor": FP8}, True),
    ("mlpp_store_fused_add", {"fused_add_tensor": FP8}, False),
    ("mlpp_store_fused_add", {"store_fused_add_result": True}, False),
    ("mlpp_store_fused_add", {"fused_add_tensor": FP8, "store_fused_add_result": True}, True),
    ("mlpp_has_normalization", {}, False),
    ("mlpp_has_normalization", {"normalization_type": NormType.LAYER_NORM}, True),
    ("mlpp_has_rms_normalization", {"normalization_type": NormType.RMS_NORM_SKIP_GAMMA}, True),
    ("mlpp_has_rms_normalization", {"normalization_type": NormType.LAYER_NORM}, False),
    ("mlpp_has_layer_normalization", {"normalization_type": NormType.LAYER_NORM}, True),
    ("mlpp_has_layer_normalization", {"normalization_type": NormType.RMS_NORM}, False),
    ("mlpp_has_normalization_weights", {"normalization_type": NormType.RMS_NORM, "normalization_weights_tensor": FP8}, True),
    ("mlpp_has_normalization_weights", {"normalization_weights_tensor": FP8}, False),
    ("mlpp_has_normalization_bias", {"normalization_type": NormType.LAYER_NORM, "normalization_bias_tensor": FP8}, True),
    ("mlpp_has_normalization_bias", {"normalization_bias_tensor": FP8}, False),
    ("mlpp_has_gate_projection", {}, True),
    ("mlpp_has_gate_projection", {"skip_gate_proj": True}, False),
    ("mlpp_has_gate_projection_bias", {"gate_proj_bias_tensor": FP8}, True),
    ("mlpp_has_gate_projection_bias", {"up_proj_bias_tensor": FP8}, False),
    ("mlpp_has_up_projection_bias", {"up_proj_bias_tensor": FP8}, True),
    ("mlpp_has_up_projection_bias", {"down_proj_bias_tensor": FP8}, False),
    ("mlpp_has_down_projection_bias", {"down_proj_bias_tensor": FP8}, True),
    ("mlpp_has_down_projection_bias", {"gate_proj_bias_tensor": FP8}, False),
    ("mlpp_has_projection_bias", {}, False),
    ("mlpp_has_projection_bias", {"gate_proj_bias_tensor": FP8}, True),
    ("mlpp_has_projection_bias", {"up_proj_bias_tensor": FP8}, True),
    ("mlpp_has_projection_bias", {"down_proj_bias_tensor": FP8}, True),
]  # fmt: skip


@pytest.mark.parametrize(("name", "options", "holds"), PREDICATES)
def test_predicates(name: str, options: dict[str, Any], holds: bool) -> None:
    assert getattr(mlp_parameters, name)(params(**options)) is holds


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (QuantizationType.NONE, {"is_no_quant"}),
        (QuantizationType.STATIC, {"is_quant", "is_quant_static"}),
        (QuantizationType.ROW, {"is_quant", "is_quant_row"}),
        (QuantizationType.MX, {"is_quant", "is_quant_mx"}),
    ],
)
def test_quantization_types(kind: Any, names: set[str]) -> None:
    group = MLPQuantizationParameters(kind, None, None, None, None, None, 0.0)
    every = ("is_no_quant", "is_quant", "is_quant_static", "is_quant_row", "is_quant_mx")
    assert {name for name in every if getattr(group, name)()} == names


@pytest.mark.parametrize(("bound", "has"), [(0.0, False), (0.5, True)])
def test_clipping_bound(bound: float, has: bool) -> None:
    group = MLPQuantizationParameters(ROW, None, None, None, None, None, bound)
    assert group.has_clipping_bound() is has


def views(scale: Any) -> Any:
    group = MLPQuantizationParameters(ROW, scale, None, scale, None, scale, 0.0)
    group.convert_to_view()
    group.convert_to_view()
    present = (group.gate_w_scale, group.down_w_scale, group.down_in_scale)
    assert all(isinstance(each, TensorView) and each.base_tensor is scale for each in present)
    assert group.up_w_scale is None
    assert group.gate_up_in_scale is None
    return scale


def test_scales_become_views() -> None:
    import numpy as np

    launch(views, np.zeros((128, 1), np.float32))


def test_groups() -> None:
    norm = MLPNormalizationParameters(NormType.NO_NORM, 1, 2)
    assert (norm.normalization_weights_tensor, norm.normalization_bias_tensor) == (None, None)
    norm = MLPNormalizationParameters(NormType.LAYER_NORM, 1, 2)
    assert (norm.normalization_weights_tensor, norm.normalization_bias_tensor) == (1, 2)
    added = MLPFusedAddParameters(1, True)
    assert (added.fused_add_tensor, added.store_fused_add_result) == (1, True)
    bias = MLPBiasParameters(1, 2, 3)
    assert (bias.gate_proj_bias_tensor, bias.up_proj_bias_tensor, bias.down_proj_bias_tensor) == (1, 2, 3)
    expert = MLPExpertParameters(1, 2, 3)
    assert (expert.expert_affinities, expert.expert_index, expert.expert_affinities_eager) == (1, 2, 3)
    assert expert.expert_affinities_scaling_mode == ExpertAffinityScaleMode.NO_SCALE


def test_overrides() -> None:
    made = params()
    override_seq_len(made, 5)
    override_inter_size(made, 64)
    assert (made.seq_len, made.intermediate_size) == (5, 64)


@pytest.mark.parametrize("size", [0, -1, 6])
def test_sequence_lengths_beyond_the_sequence(size: int) -> None:
    with rejected(f"1 to 5, it is {size}"):
        override_seq_len(params(), size)


@pytest.mark.parametrize("size", [0, -1, I + 1])
def test_inner_sizes_beyond_the_columns(size: int) -> None:
    with rejected(f"1 to {I}, it is {size}"):
        override_inter_size(params(), size)
