"""output_projection_tkg: the four forms of the result, quantisation, packing of heads, and checks."""

from __future__ import annotations

from typing import Any

import nki.language as nl
import numpy as np
import pytest
from blockcheck import BF16, FP8, FP16, FP32, drawn, in_sbuf, per_core
from kernels import check_close, launch, rejected
from numpy_cases import CASES
from numpy_ref import outproj_tkg_ref

from nkilib.core.output_projection.output_projection_tkg import QuantizationType, output_projection_tkg

STATIC = QuantizationType.STATIC
TOLERANCE = (2e-2, 1e-5)
STATIC_TOLERANCE = (5e-2, 1e-5)
LNC = {"OPT-02": (2,), "OPT-08": (2,), "OPT-09": (1,)}
TRANSPOSED = set(LNC)


def scales(value: float) -> Any:
    return np.full((128, 1), value, FP32)


def arguments(case: str, dtype: Any = BF16) -> tuple[dict[str, Any], Any]:
    """Keyword arguments of a case, and what it gives."""
    given, want = CASES[case]()
    options = {"attention": given["attn"].astype(dtype), "weight": given["w"].astype(dtype)}
    if given.get("bias") is not None:
        options["bias"] = given["bias"].astype(dtype)
    if "s_in" in given:
        options |= {
            "weight": given["w"].astype(FP8),
            "quantization_type": STATIC,
            "weight_scale": scales(given["s_w"]),
            "input_scale": scales(given["s_in"]),
        }
    if case in TRANSPOSED:
        options["TRANSPOSE_OUT"] = True
    return options, want["out"]


def tolerance(options: dict[str, Any]) -> tuple[float, float]:
    return STATIC_TOLERANCE if "quantization_type" in options else TOLERANCE


ALL = [(name, lnc) for name in CASES if name.startswith("OPT") for lnc in LNC.get(name, (0, 1, 2))]


@pytest.mark.parametrize(("case", "lnc"), ALL)
def test_cases(case: str, lnc: int) -> None:
    options, want = arguments(case)
    got = launch(output_projection_tkg, lnc=lnc, **options)
    assert got.dtype == BF16
    check_close(got, want, *tolerance(options))


@pytest.mark.parametrize("dtype", [FP16, FP32])
@pytest.mark.parametrize("case", ["OPT-01", "OPT-09"])
def test_dtypes(case: str, dtype: Any) -> None:
    options, want = arguments(case, dtype)
    got = launch(output_projection_tkg, lnc=1, **options)
    assert got.dtype == dtype
    check_close(got, want, 1e-5 if dtype == FP32 else 2e-3, 1e-5)


def left_in_sbuf(options: dict[str, Any]) -> Any:
    return per_core(output_projection_tkg(OUT_IN_SB=True, **options))


@pytest.mark.parametrize("lnc", [1, 2])
def test_rows_in_sbuf(lnc: int) -> None:
    options, want = arguments("OPT-01")
    got = launch(left_in_sbuf, options, lnc=lnc)
    check_close(np.concatenate(list(got), axis=1), want, *TOLERANCE)


def test_planes_in_sbuf() -> None:
    options, want = arguments("OPT-02")
    got = launch(left_in_sbuf, options, lnc=2)
    check_close(got.swapaxes(0, 1), want, *TOLERANCE)


def from_sbuf(options: dict[str, Any]) -> Any:
    return output_projection_tkg(**dict(options, attention=in_sbuf(options["attention"])))


@pytest.mark.parametrize("case", ["OPT-01", "OPT-03", "OPT-04", "OPT-06"])
def test_attention_in_sbuf_gives_the_same_bits(case: str) -> None:
    options, _ = arguments(case)
    got = launch(from_sbuf, options, lnc=2)
    assert got.tobytes() == launch(output_projection_tkg, lnc=2, **options).tobytes()


def untouched(options: dict[str, Any]) -> Any:
    held = in_sbuf(options["attention"])
    output_projection_tkg(**dict(options, attention=held))
    return per_core(held)


def test_attention_in_sbuf_stays_as_it_is() -> None:
    options, _ = arguments("OPT-06")
    assert launch(untouched, options, lnc=1)[0].tobytes() == options["attention"].tobytes()


@pytest.mark.parametrize("dtype", [BF16, FP32])
@pytest.mark.parametrize("transposed", [False, True])
def test_fp8_weights_without_quantisation_leave_the_attention_as_it_is(transposed: bool, dtype: Any) -> None:
    options, _ = arguments("OPT-01")
    options["attention"] = options["attention"].astype(dtype)
    options["weight"] = options["weight"].astype(FP8)
    got = launch(output_projection_tkg, lnc=1, **options, TRANSPOSE_OUT=transposed)
    want = outproj_tkg_ref(
        options["attention"], options["weight"], options["bias"], transpose_out=transposed, lnc=1
    )
    check_close(got, want, 4e-3, 1e-5)  # a step of bfloat16; rounded to fp8, the attention is farther off


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("case", ["OPT-01", "OPT-07"])
def test_without_bias(case: str, transposed: bool) -> None:
    given, _ = CASES[case]()
    options, _ = arguments(case)
    options.pop("bias")
    got = launch(output_projection_tkg, lnc=1, **options, TRANSPOSE_OUT=transposed)
    want = outproj_tkg_ref(
        given["attn"], given["w"], None, given.get("s_in"), given.get("s_w"), transposed, 1
    )
    check_close(got, want, *tolerance(options))


def test_static_with_bias_transposed() -> None:
    given, _ = CASES["OPT-06"]()
    options, _ = arguments("OPT-06")
    got = launch(output_projection_tkg, lnc=2, **options, TRANSPOSE_OUT=True)
    want = outproj_tkg_ref(given["attn"], given["w"], given["bias"], given["s_in"], given["s_w"], True, 2)
    check_close(got, want, *STATIC_TOLERANCE)


@pytest.mark.parametrize("transposed", [False, True])
def test_weights_that_do_not_fit_are_taken_in_blocks(transposed: bool) -> None:
    """40 fp32 tiles leave room for 614 columns, 512 in whole banks, or for 4 planes of 128."""
    attention, weight = drawn((128, 2, 40, 1), FP32), drawn((40 * 128, 1152), FP32, seed=1, scale=0.02)
    got = launch(output_projection_tkg, attention, weight, lnc=1, TRANSPOSE_OUT=transposed)
    check_close(got, outproj_tkg_ref(attention, weight, transpose_out=transposed), 1e-5, 1e-5)


def test_runs_are_bit_identical() -> None:
    options, _ = arguments("OPT-08")
    first, second = (launch(output_projection_tkg, lnc=2, **options) for _ in range(2))
    assert first.tobytes() == second.tobytes()


def given(
    batch: int = 4, heads: int = 2, active: int = 1, head_dim: int = 32, hidden: int = 256, dtype: Any = BF16
) -> Any:
    return np.zeros((head_dim, batch, heads, active), BF16), np.zeros((heads * head_dim, hidden), dtype)


@pytest.mark.parametrize(
    ("text", "sizes", "lnc", "options"),
    [
        ("must be NONE or STATIC", {}, 1, {"quantization_type": QuantizationType.ROW}),
        ("in multiples of 128", {"hidden": 602}, 1, {"TRANSPOSE_OUT": True}),
        ("in multiples of 256", {"hidden": 384}, 2, {"TRANSPOSE_OUT": True}),
        ("H = 601 must divide by the 2 cores", {"hidden": 601}, 2, {}),
        ("D must be at most 128", {"head_dim": 129}, 1, {}),
        ("at most 512 tokens", {"batch": 513}, 1, {"TRANSPOSE_OUT": True}),
        ("at most 128 tokens", {"batch": 129}, 1, {"OUT_IN_SB": True}),
        ("N·H of at most 163840", {"heads": 12, "hidden": 13824, "head_dim": 1}, 1, {"TRANSPOSE_OUT": True}),
        (
            "N·H of at most 81920",
            {"heads": 6, "hidden": 13824, "head_dim": 1, "dtype": FP32},
            1,
            {"TRANSPOSE_OUT": True},
        ),
    ],
)
def test_limits(text: str, sizes: dict[str, Any], lnc: int, options: dict[str, Any]) -> None:
    with rejected(text):
        launch(output_projection_tkg, *given(**sizes), lnc=lnc, **options)


def test_operands_must_fit() -> None:
    attention, weight = given()
    with rejected("bias must have shape (1, 256)"):
        launch(output_projection_tkg, attention, weight, np.zeros((256,), BF16))
    with rejected("attention must be [D, B, N, S]"):
        launch(output_projection_tkg, attention[..., 0], weight)
    with rejected("weight must have N·D = 64 rows"):
        launch(output_projection_tkg, attention, weight[1:])
    with rejected("the weight scale must have shape (128, 1)"):
        launch(
            output_projection_tkg,
            attention,
            weight.astype(FP8),
            None,
            STATIC,
            np.ones((1, 1), FP32),
            scales(1),
        )
    with rejected("STATIC needs a weight scale and an input scale"):
        launch(output_projection_tkg, attention, weight.astype(FP8), None, STATIC, scales(1))


def test_result_in_hbm_is_shared() -> None:
    def kernel(attention: Any, weight: Any) -> Any:
        out = output_projection_tkg(attention, weight)
        assert out.buffer == nl.shared_hbm
        return out

    assert launch(kernel, *given(), lnc=2).shape == (4, 256)
