"""The numbered cases of ``mlp``: token generation and context encoding, on one and two cores."""

from __future__ import annotations

import functools
import itertools
from typing import Any

import numpy as np
import pytest
from blockcheck import BF16, FP8
from kernels import check_close
from mlps import LAYER, RMS, ROW, SKIP, STATIC, arguments, packed, run
from numpy_cases import CASES
from numpy_ref import down_w_optimized

from nkilib.core.utils.common_types import ActFnType

OPTIONS: dict[str, dict[str, Any]] = {
    "MLP-01": {},
    "MLP-02": {"normalization_type": RMS},
    "MLP-03": {},
    "MLP-04": {"normalization_type": LAYER, "store_fused_add_result": True},
    "MLP-05": {"normalization_type": RMS},
    "MLP-06": {"skip_gate_proj": True},
    "MLP-07": {},
    "MLP-08": {"normalization_type": RMS, "quantization_type": ROW},
    "MLP-09": {"quantization_type": STATIC},
    "MLP-10": {"activation_fn": ActFnType.GELU},
    "MLP-11": {"activation_fn": ActFnType.GELU_Tanh_Approx},
    "MLP-12": {"normalization_type": RMS, "store_fused_add_result": True},
    "MLP-13": {"normalization_type": LAYER, "activation_fn": ActFnType.GELU},
    "MLP-14": {"normalization_type": SKIP},
    "MLP-15": {"normalization_type": RMS, "activation_fn": ActFnType.Swish, "eps": 4.0},
}
LIMITS = dict(zip(("g_hi", "g_lo", "u_hi", "u_lo"), (1.0, -0.75) * 2, strict=True))
QUANTIZED = ("MLP-08", "MLP-09")
RTOL, ATOL = 2e-2, 1e-5


@functools.cache
def drawn(case: str) -> tuple[dict[str, Any], Any]:
    return CASES[case]()


def given(case: str) -> tuple[dict[str, Any], Any]:
    inputs, want = drawn(case)
    if case in ("MLP-06", "MLP-07"):
        inputs = {**inputs, **LIMITS}
    if case == "MLP-09":
        inputs = {**inputs, "s_in": 1.0, "s_mid": 1.0}
    return arguments(inputs, weights=FP8 if case in QUANTIZED else BF16), want


def check(case: str, lnc: int, changes: dict[str, Any] | None = None, **options: Any) -> None:
    tensors, want = given(case)
    got = run({**tensors, **(changes or {})}, lnc, **OPTIONS[case], **options)
    assert isinstance(got, list)
    assert got[0].dtype == BF16
    check_close(got[0], want["out"], RTOL, ATOL)
    stored = OPTIONS[case].get("store_fused_add_result", False)
    assert len(got) == 1 + stored
    if stored:
        check_close(got[1], want["add_out"], RTOL, ATOL, "sum")


LARGE = ("MLP-14",)


@pytest.mark.parametrize("lnc", [1, 2])
@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=pytest.mark.slow if case in LARGE else ()) for case in OPTIONS]
)
def test_cases(case: str, lnc: int) -> None:
    check(case, lnc)


ARRANGEMENTS = [
    (case, flags, 2)
    for case in ("MLP-05", "MLP-06", "MLP-08", "MLP-09", "MLP-10")
    for flags in ((True, False), (False, True))
]
ARRANGEMENTS += [
    ("MLP-03", flags, lnc) for flags in itertools.product([True, False], repeat=2) for lnc in (1, 2)
]


@pytest.mark.parametrize(("case", "flags", "lnc"), ARRANGEMENTS)
def test_arrangements(case: str, flags: tuple[bool, bool], lnc: int) -> None:
    check(case, lnc, use_tkg_gate_up_proj_column_tiling=flags[0], use_tkg_down_proj_column_tiling=flags[1])


@pytest.mark.parametrize("lnc", [1, 2])
@pytest.mark.parametrize("case", ["MLP-03", "MLP-08"])
def test_optimized_layout(case: str, lnc: int) -> None:
    down = given(case)[0]["down_proj_weights_tensor"]
    check(
        case,
        lnc,
        {"down_proj_weights_tensor": np.ascontiguousarray(down_w_optimized(down, lnc))},
        use_tkg_down_proj_column_tiling=False,
        use_tkg_down_proj_optimized_layout=True,
    )


@pytest.mark.parametrize("lnc", [1, 2])
def test_context_encoding_of_few_tokens(lnc: int) -> None:
    check("MLP-15", lnc, force_cte_mode=True)


@pytest.mark.parametrize("lnc", [1, 2])
def test_context_encoding_with_row_scales(lnc: int) -> None:
    inputs, want = CASES["MLP-16"]()
    tensors = arguments({**inputs, "hidden": inputs["q"][None]}, FP8, FP8)
    tensors["hidden_tensor"] = packed(inputs["q"], inputs["tok_scale"])
    got = run(tensors, lnc, quantization_type=ROW, output_dtype=np.dtype(BF16))
    check_close(got[0], want["out"], 3e-2, 1e-5)


@pytest.mark.parametrize("lnc", [1, 2])
def test_context_encoding_with_static_scales(lnc: int) -> None:
    inputs, want = CASES["MLP-17"]()
    tensors = arguments({**inputs, "hidden": inputs["q"][None]}, FP8, FP8)
    got = run(tensors, lnc, quantization_type=STATIC, output_dtype=np.dtype(BF16))
    check_close(got[0], want["out"], 5e-2, 1e-5)
