"""output_projection_cte: values of all cases, mixed dtypes, quantisation, division of columns, and checks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from blockcheck import BF16, FP8, FP16, FP32, drawn
from kernels import check_close, launch, rejected
from numpy_cases import CASES
from numpy_ref import outproj_cte_ref

import nkisim
from nkilib.core.output_projection.output_projection_cte import QuantizationType, output_projection_cte
from nkilib.core.output_projection.output_projection_utils import calculate_head_packing

STATIC = QuantizationType.STATIC
TOLERANCE = (2e-2, 1e-5)
STATIC_TOLERANCE = (3.6e-2, 1e-5)


def scales(value: float) -> Any:
    return np.full((128, 1), value, FP32)


def run(given: dict[str, Any], lnc: int, attention: Any = BF16, weight: Any = BF16) -> Any:
    """A case's inputs through the kernel."""
    options: dict[str, Any] = {}
    if "s_in" in given:
        weight = FP8
        options = {
            "quantization_type": STATIC,
            "input_scales": scales(given["s_in"]),
            "weight_scales": scales(given["s_w"]),
        }
    bias = given["bias"].astype(BF16) if given.get("bias") is not None else None
    return launch(
        output_projection_cte,
        given["attn"].astype(attention),
        given["w"].astype(weight),
        bias,
        lnc=lnc,
        **options,
    )


@pytest.mark.parametrize("lnc", [0, 1, 2])
@pytest.mark.parametrize("case", [name for name in CASES if name.startswith("OPC")])
def test_cases(case: str, lnc: int) -> None:
    given, want = CASES[case]()
    got = run(given, lnc)
    assert got.dtype == BF16
    check_close(got, want["out"], *(STATIC_TOLERANCE if "s_in" in given else TOLERANCE))


@pytest.mark.parametrize("lnc", [1, 2])
@pytest.mark.parametrize(
    ("attention", "weight"), [(FP32, BF16), (BF16, FP32), (FP16, FP16), (FP32, FP32), (BF16, FP16)]
)
def test_mixed_dtypes(attention: Any, weight: Any, lnc: int) -> None:
    given, want = CASES["OPC-04"]()
    got = run(given, lnc, attention, weight)
    assert got.dtype == attention
    check_close(got, want["out"], *TOLERANCE)


def test_float32_is_exact_to_its_own_rounding() -> None:
    given, want = CASES["OPC-05"]()
    got = run(given, 2, FP32, FP32)
    check_close(got, want["out"], 1e-5, 1e-5)


@pytest.mark.parametrize("lnc", [1, 2])
def test_saturates_at_the_largest_fp8(lnc: int) -> None:
    given, _ = CASES["OPC-06"]()
    given["s_in"] = np.float32(1e-4)
    got = run(given, lnc)
    want = outproj_cte_ref(given["attn"], given["w"], None, given["s_in"], given["s_w"])
    check_close(got, want, *STATIC_TOLERANCE)
    unclipped = outproj_cte_ref(given["attn"], given["w"]) * float(given["s_w"])
    assert np.abs(got.astype(FP32)).max() < np.abs(unclipped).max() / 2


def test_scales_take_effect() -> None:
    given, _ = CASES["OPC-06"]()
    doubled = dict(given, s_w=given["s_w"] * 2)
    check_close(run(doubled, 1), run(given, 1).astype(FP32) * 2, 1e-2, 1e-5)


@pytest.mark.parametrize("dtype", [BF16, FP32])
@pytest.mark.parametrize("lnc", [1, 2])
def test_fp8_weights_without_quantisation_leave_the_attention_as_it_is(lnc: int, dtype: Any) -> None:
    attention, weight = drawn((1, 2, 64, 40), dtype), drawn((128, 256), FP8, seed=1)
    got = launch(output_projection_cte, attention, weight, lnc=lnc)
    check_close(got, outproj_cte_ref(attention, weight), *TOLERANCE)


@pytest.mark.parametrize("lnc", [1, 2])
def test_single_tokens(lnc: int) -> None:
    attention, weight = drawn((3, 2, 64, 1)), drawn((128, 256), seed=1, scale=0.1)
    got = launch(output_projection_cte, attention, weight, lnc=lnc)
    assert got.shape == (3, 1, 256)
    check_close(got, outproj_cte_ref(attention, weight), *TOLERANCE)


def test_weights_that_do_not_fit_are_taken_in_blocks() -> None:
    """17 tiles of fp32 rows leave room for 1,024 columns at a time."""
    attention, weight = drawn((1, 17, 128, 33), FP32), drawn((17 * 128, 1500), FP32, seed=1, scale=0.03)
    bias = drawn((1, 1500), FP32, seed=2)
    got = launch(output_projection_cte, attention, weight, bias, lnc=1)
    check_close(got, outproj_cte_ref(attention, weight, bias), 1e-5, 1e-5)


def test_runs_are_bit_identical() -> None:
    given, _ = CASES["OPC-07"]()
    assert run(given, 2).tobytes() == run(given, 2).tobytes()


def test_each_operand_is_moved_once() -> None:
    given, _ = CASES["OPC-04"]()
    with nkisim.trace() as trace:
        run(given, 1)
    read = 2 * (given["attn"].size + given["w"].size)
    assert trace.hbm_read == read
    assert trace.hbm_written == 2 * 2 * 192 * 640


def test_scaled_sums_leave_psum_on_two_engines() -> None:
    attention, weight = drawn((1, 1, 128, 128)), drawn((128, 2048), FP8, seed=1)
    with nkisim.trace() as trace:
        launch(output_projection_cte, attention, weight, None, STATIC, scales(1), scales(1))
    assert trace.instructions()["scalar"] == {"activation": 2}


def test_head_packing() -> None:
    assert calculate_head_packing(16, 10, 128) == (2, 80, 8)
    assert calculate_head_packing(17, 10, 128) == (17, 10, 1)
    assert calculate_head_packing(2, 128, 128) == (2, 128, 1)
    with rejected("D must be 1 to 128"):
        calculate_head_packing(2, 129, 128)


def shaped(batch: int = 1, heads: int = 1, head_dim: int = 8, sequence: int = 4, hidden: int = 16) -> Any:
    return np.zeros((batch, heads, head_dim, sequence), BF16), np.zeros((heads * head_dim, hidden), BF16)


@pytest.mark.parametrize(
    ("text", "sizes", "lnc"),
    [
        ("H must be at most 20705", {"hidden": 20707}, 1),
        ("N must be at most 17", {"heads": 18}, 1),
        ("D must be at most 128", {"head_dim": 129}, 1),
        ("B·S must be at most 131072", {"sequence": 131073}, 1),
        ("H = 17 must divide by the 2 cores", {"hidden": 17}, 2),
    ],
)
def test_limits(text: str, sizes: dict[str, int], lnc: int) -> None:
    attention, weight = shaped(**sizes)
    with rejected(text):
        launch(output_projection_cte, attention, weight, lnc=lnc)


def test_operands_must_fit() -> None:
    attention, weight = shaped()
    with rejected("weight must have N·D = 8 rows"):
        launch(output_projection_cte, attention, np.zeros((9, 16), BF16))
    with rejected("bias must have shape (1, 16)"):
        launch(output_projection_cte, attention, weight, np.zeros((16,), BF16))
    with rejected("attention must be [B, N, D, S]"):
        launch(output_projection_cte, np.zeros((8, 4), BF16), weight)


@pytest.mark.parametrize("kind", [QuantizationType.ROW, QuantizationType.MX])
def test_other_quantisations(kind: QuantizationType) -> None:
    with rejected("must be NONE or STATIC"):
        launch(output_projection_cte, *shaped(), quantization_type=kind)


def test_static_needs_its_operands() -> None:
    attention, weight = shaped()
    small = weight.astype(FP8)
    with rejected("STATIC needs an fp8 weight"):
        launch(output_projection_cte, attention, weight, None, STATIC, scales(1), scales(1))
    with rejected("STATIC needs a weight scale and an input scale"):
        launch(output_projection_cte, attention, small, None, STATIC, scales(1))
    with rejected("the input scale must have shape (128, 1)"):
        launch(output_projection_cte, attention, small, None, STATIC, np.ones((1, 1), FP32), scales(1))
