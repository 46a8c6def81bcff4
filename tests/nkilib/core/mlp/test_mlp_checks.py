"""What ``mlp`` refuses, each with its own words."""

from __future__ import annotations

from typing import Any

import nki.isa as nisa
import nki.language as nl
import numpy as np
import pytest
from blockcheck import BF16, FP8, FP32
from kernels import launch, rejected
from mlps import LAYER, RMS, ROW, STATIC

from nkilib.core.mlp.mlp import mlp
from nkilib.core.mlp.mlp_parameters import MLPParameters
from nkilib.core.mlp.mlp_tkg.mlp_tkg import mlp_tkg
from nkilib.core.utils.common_types import QuantizationType

H, I = 256, 130  # noqa: E741
GATE, UP, DOWN = "gate_proj_weights_tensor", "up_proj_weights_tensor", "down_proj_weights_tensor"
FEW, MANY = (1, 4), (1, 98)


def zeros(*shape: int, dtype: Any = BF16) -> Any:
    return np.zeros(shape, dtype)


def call(tokens: tuple[int, int] = FEW) -> dict[str, Any]:
    return {"hidden_tensor": zeros(*tokens, H), GATE: zeros(H, I), UP: zeros(H, I), DOWN: zeros(I, H)}


def scales(source: tuple[int, int], down: tuple[int, int]) -> dict[str, Any]:
    weights = {"gate_w_scale": source, "up_w_scale": source, "down_w_scale": down}
    return {name: zeros(*shape, dtype=FP32) for name, shape in weights.items()}


def static() -> dict[str, Any]:
    one = (128, 1)
    entries = {name: zeros(*one, dtype=FP32) for name in ("gate_up_in_scale", "down_in_scale")}
    return {"quantization_type": STATIC, **scales(one, one), **entries}


def row() -> dict[str, Any]:
    return {"quantization_type": ROW, **scales((128, I), (128, H))}


def without(given: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in given.items() if key != name}


BOTH: list[tuple[dict[str, Any], str]] = [
    ({"hidden_tensor": None, "output_dtype": BF16}, "hidden_tensor is required"),
    ({GATE: None}, f"{GATE} is required"),
    ({UP: None}, f"{UP} is required"),
    ({DOWN: None}, f"{DOWN} is required"),
    ({"hidden_tensor": zeros(4, H)}, "hidden_tensor must have 3 dimensions"),
    ({"hidden_tensor": zeros(1, 0, H)}, "must have tokens"),
    ({GATE: zeros(2, H, I)}, f"{GATE} must be [H, I]"),
    ({GATE: zeros(200, I)}, "multiple of 128, it is 200"),
    ({GATE: zeros(H, 0)}, "H and I must be positive"),
    ({UP: zeros(H, I + 1)}, f"{UP} must have shape (256, 130)"),
    ({DOWN: zeros(I, H + 128)}, f"{DOWN} must have shape (130, 256)"),
    ({"hidden_tensor": zeros(*FEW, H + 128)}, "hidden_tensor must have shape"),
    ({"normalization_weights_tensor": zeros(H), "normalization_type": RMS}, "normalization_weights_tensor must have"),
    ({"normalization_bias_tensor": zeros(H), "normalization_type": LAYER}, "normalization_bias_tensor must have"),
    ({"fused_add_tensor": zeros(1, 3, H)}, "fused_add_tensor must have shape"),
    ({"gate_proj_bias_tensor": zeros(I)}, "gate_proj_bias_tensor must have shape (1, 130)"),
    ({"up_proj_bias_tensor": zeros(1, H)}, "up_proj_bias_tensor must have shape (1, 130)"),
    ({"down_proj_bias_tensor": zeros(1, I)}, "down_proj_bias_tensor must have shape (1, 256)"),
    ({"hidden_tensor": zeros(*FEW, H, dtype=FP32)}, "hidden_tensor must be float16"),
    ({GATE: zeros(H, I, dtype=FP32)}, f"{GATE} must be float16"),
    ({UP: zeros(H, I, dtype=FP32)}, f"{UP} must be float16"),
    ({DOWN: zeros(I, H, dtype=FP32)}, f"{DOWN} must be float16"),
    ({"normalization_weights_tensor": zeros(1, H, dtype=FP32), "normalization_type": RMS}, "normalization_weights_tensor must be"),
    ({"normalization_bias_tensor": zeros(1, H, dtype=FP32), "normalization_type": LAYER}, "normalization_bias_tensor must be"),
    ({"fused_add_tensor": zeros(*FEW, H, dtype=FP32)}, "fused_add_tensor must be"),
    ({"gate_proj_bias_tensor": zeros(1, I, dtype=FP32)}, "gate_proj_bias_tensor must be"),
    ({"up_proj_bias_tensor": zeros(1, I, dtype=FP32)}, "up_proj_bias_tensor must be"),
    ({"down_proj_bias_tensor": zeros(1, H, dtype=FP32)}, "down_proj_bias_tensor must be"),
    ({"normalization_bias_tensor": zeros(1, H), "normalization_type": RMS}, "is for LAYER_NORM"),
    ({"quantization_type": 7}, "quantization_type must be of the class QuantizationType"),
    ({**row(), "gate_w_scale": zeros(1, I, dtype=FP32)}, "gate_w_scale must have shape (128, 130)"),
    ({**row(), "up_w_scale": zeros(128, 1, dtype=FP32)}, "up_w_scale must have shape (128, 130)"),
    ({**row(), "down_w_scale": zeros(128, I, dtype=FP32)}, "down_w_scale must have shape (128, 256)"),
    ({**row(), "gate_w_scale": zeros(128, I)}, "gate_w_scale must be float32"),
    ({**row(), "up_w_scale": zeros(128, I)}, "up_w_scale must be float32"),
    ({**row(), "down_w_scale": zeros(128, H)}, "down_w_scale must be float32"),
    (without(row(), "gate_w_scale"), "needs gate_w_scale"),
    (without(row(), "up_w_scale"), "needs up_w_scale"),
    (without(static(), "down_w_scale"), "needs down_w_scale"),
    (without(static(), "gate_up_in_scale"), "gate_up_in_scale and down_in_scale"),
    (without(static(), "down_in_scale"), "gate_up_in_scale and down_in_scale"),
    ({**static(), "down_w_scale": zeros(128, H, dtype=FP32)}, "down_w_scale must have shape (128, 1)"),
    ({**static(), "gate_up_in_scale": zeros(1, 1, dtype=FP32)}, "gate_up_in_scale must have shape"),
    ({**static(), "down_in_scale": zeros(1, 1, dtype=FP32)}, "down_in_scale must have shape"),
    ({**static(), "gate_up_in_scale": zeros(128, 1)}, "gate_up_in_scale must be float32"),
    ({**static(), "down_in_scale": zeros(128, 1)}, "down_in_scale must be float32"),
    ({"quantization_type": QuantizationType.MX}, "needs gate_w_scale"),
    ({"quantization_type": QuantizationType.MX, GATE: zeros(H, I, dtype=np.uint8)}, f"{GATE} must be float16"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "words"), BOTH, ids=[words for _, words in BOTH])
def test_both_modes(changes: dict[str, Any], words: str) -> None:
    for forced in (False, True):
        with rejected(words):
            launch(mlp, **{**call(), **changes}, force_cte_mode=forced)


def test_the_grid_has_one_dimension(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nl, "program_ndim", lambda: 2)
    with rejected("at most 1 dimension, it has 2"):
        launch(mlp, **call())


@pytest.mark.parametrize(
    ("changes", "lnc", "words"),
    [
        ({"use_tkg_down_proj_optimized_layout": True}, 1, "use_tkg_down_proj_column_tiling=False"),
        ({"hidden_tensor": zeros(*FEW, 384), GATE: zeros(384, I), UP: zeros(384, I), DOWN: zeros(I, 384)}, 2, "2 cores"),
        (
            {"hidden_tensor": zeros(1, 96, 5248), GATE: zeros(5248, 1), UP: zeros(5248, 1), DOWN: zeros(1, 5248), "use_tkg_down_proj_column_tiling": False},
            1, "need 9 banks",
        ),
    ],
)  # fmt: skip
def test_token_generation(changes: dict[str, Any], lnc: int, words: str) -> None:
    with rejected(words):
        launch(mlp, **{**call(), **changes}, lnc=lnc)


def in_sbuf(shape: Any, others: Any, options: Any) -> Any:
    tile = nl.ndarray(shape, dtype=nl.bfloat16, buffer=nl.sbuf)
    nisa.memset(dst=tile, value=0.0)
    return mlp(tile, **others, **options)


@pytest.mark.parametrize(
    ("shape", "options", "words"),
    [
        ((128, 4, 2), {"store_output_in_sbuf": True}, "neither store_output_in_sbuf nor"),
        ((128, 4, 2), {"store_fused_add_result": True, "fused_add_tensor": zeros(1, 4, H)}, "neither"),
        ((128, 4, 3), {}, "hidden_tensor must have shape (128, 4, 2)"),
        ((64, 4, 4), {}, "hidden_tensor must have shape (128, 4, 2)"),
        ((128, 4, 2), {"force_cte_mode": True}, "takes hidden_tensor from HBM"),
    ],
)
def test_hidden_state_in_sbuf(shape: Any, options: dict[str, Any], words: str) -> None:
    with rejected(words):
        launch(in_sbuf, shape, without(call(), "hidden_tensor"), options)


CONTEXT: list[tuple[dict[str, Any], str]] = [
    ({"skip_gate_proj": True}, "skip_gate_proj"),
    ({"gate_clamp_upper_limit": 1.0}, "clamps"),
    ({"gate_clamp_lower_limit": 0.0}, "clamps"),
    ({"up_clamp_upper_limit": 1.0}, "clamps"),
    ({"up_clamp_lower_limit": 0.0}, "clamps"),
    ({"store_output_in_sbuf": True}, "store_output_in_sbuf"),
    ({"use_tkg_down_proj_optimized_layout": True}, "use_tkg_down_proj_optimized_layout"),
    (row(), "takes an fp8 hidden_tensor"),
    (static(), "takes an fp8 hidden_tensor"),
]


@pytest.mark.parametrize(("changes", "words"), CONTEXT, ids=[words for _, words in CONTEXT])
@pytest.mark.parametrize("tokens", [FEW, MANY])
def test_context_encoding(tokens: Any, changes: dict[str, Any], words: str) -> None:
    with rejected(words):
        launch(mlp, **{**call(tokens), **changes}, force_cte_mode=tokens == FEW)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"normalization_type": RMS, "normalization_weights_tensor": zeros(1, H)}, "has no norm"),
        ({"fused_add_tensor": zeros(*MANY, H)}, "has no fused add"),
        ({"gate_proj_bias_tensor": zeros(1, I)}, "no projection biases"),
        ({"down_proj_bias_tensor": zeros(1, H)}, "no projection biases"),
        ({"hidden_tensor": zeros(*MANY, H + 4, dtype=FP8)}, "hidden_tensor must have shape (1, 98, 256)"),
    ],
)
def test_quantised_context_encoding(changes: dict[str, Any], words: str) -> None:
    given = {**call(MANY), **static(), "hidden_tensor": zeros(*MANY, H, dtype=FP8), "output_dtype": BF16}
    with rejected(words):
        launch(mlp, **{**given, **changes})


def test_row_quantised_tokens_have_their_scales() -> None:
    given = {**call(MANY), **row(), "hidden_tensor": zeros(*MANY, H, dtype=FP8), "output_dtype": BF16}
    with rejected("hidden_tensor must have shape (1, 98, 260)"):
        launch(mlp, **given)


def test_tokens_divide_by_the_cores() -> None:
    with rejected("B·S = 99 tokens must divide by the 2 cores"):
        launch(mlp, **call((1, 99)), lnc=2)


def undivided(given: dict[str, Any]) -> Any:
    return mlp_tkg(MLPParameters(**given, shard_on_h_disabled=True), None, None)


def test_token_generation_divides_the_hidden_dimension() -> None:
    with rejected("shard_on_h_disabled is for experts"):
        launch(undivided, call(), lnc=2)
