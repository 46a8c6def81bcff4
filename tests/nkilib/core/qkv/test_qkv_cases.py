"""The numbered cases of ``qkv``: token generation and context encoding, on one and two cores."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from blockcheck import BF16, FP16, FP32
from kernels import check_close
from mxs import packed
from numpy_cases import CASES
from qkvs import BSD, LAYER, MX, NBSD, RMS, SKIP, arguments, caches, heads, run

TKG: dict[str, dict[str, Any]] = {
    "QKV-01": {},
    "QKV-02": {"fused_norm_type": RMS},
    "QKV-03": {"fused_norm_type": LAYER},
    "QKV-04": {"output_layout": NBSD, **heads(2, 2, 64)},
    "QKV-05": {"fused_norm_type": RMS, **heads(8, 1)},
    "QKV-06": {"fused_norm_type": RMS, "hidden_actual": 768},
}
CTE: dict[str, dict[str, Any]] = {
    "QKV-07": {"fused_norm_type": RMS},
    "QKV-08": {"fused_rope": True, **heads(3, 1)},
    "QKV-09": {"fused_norm_type": LAYER},
    "QKV-10": {"output_layout": NBSD, **heads(8, 2)},
    "QKV-11": {"fused_norm_type": RMS, "norm_eps": 77.0},
    "QKV-12": heads(2, 1),
    "QKV-16": {"fused_rope": True, **heads(1, 1, 64)},
}
CACHES: dict[str, tuple[tuple[float, float], tuple[int, ...]]] = {
    "QKV-13": ((1.67, 1.67), (1, 256, 128)),
    "QKV-14": ((0.005, 0.005), (1, 256, 128)),
    "QKV-15": ((1.0, 2.5), (16, 16, 128)),
}
TOLERANCE = {"QKV-05": (4e-2, 1e-5), "QKV-12": (5e-2, 2e-2)}
DEFAULT = (2e-2, 1e-5)

case_of = functools.cache(lambda name: CASES[name]())


@pytest.mark.parametrize("lnc", [0, 1, 2])
@pytest.mark.parametrize("case", [*TKG, *CTE])
def test_cases(case: str, lnc: int) -> None:
    given, want = case_of(case)
    got = run(arguments(given), lnc, **(TKG | CTE)[case])
    if case in TKG and "fused_hidden" in want:
        got, total = got
        assert total.dtype == BF16
        check_close(total, want["fused_hidden"], 4e-3)
    assert got.dtype == BF16
    check_close(got, want["out"], *TOLERANCE.get(case, DEFAULT))


@pytest.mark.parametrize("lnc", [0, 1, 2])
@pytest.mark.parametrize("case", CACHES)
def test_cases_with_caches(case: str, lnc: int) -> None:
    given, want = case_of(case)
    tensors = arguments(given)
    scales, shape = CACHES[case]
    filled = caches(shape, scales, given.get("slot_mapping"))
    got = run({**tensors, **filled}, lnc, **heads(1, 1))
    for index, name in enumerate(("q", "k_cache", "v_cache")):
        check_close(got[index], want[name], 1e-1, 1e-5, name)
    for name, result in zip(("k_cache", "v_cache"), got[1:], strict=True):
        assert filled[name].tobytes() == result.tobytes()


@pytest.mark.parametrize("lnc", [0, 1, 2])
@pytest.mark.parametrize("swizzled", [False, True])
def test_case_with_mx_weights(swizzled: bool, lnc: int) -> None:
    given, want = case_of("QKV-17")
    tensors = {
        "input": given["x_swizzled" if swizzled else "x"].astype(BF16),
        "fused_qkv_weights": packed(given["wq"]),
        "qkv_w_scale": given["wsc"],
        "is_input_swizzled": swizzled,
    }
    got = run(tensors, lnc, "trn3", quantization_type=MX)
    check_close(got, want["out"], 5e-2, 1e-2)


def test_gamma_in_the_weights() -> None:
    given, want = case_of("QKV-07")
    tensors = arguments({**given, "w": given["gamma"].reshape(-1, 1) * given["w"]})
    tensors.pop("gamma_norm_weights")
    check_close(run(tensors, fused_norm_type=SKIP), want["out"], *DEFAULT)


@pytest.mark.parametrize("case", ["QKV-02", "QKV-10"])
@pytest.mark.parametrize("dtype", [FP16, FP32])
def test_dtypes(case: str, dtype: Any) -> None:
    given, want = case_of(case)
    got = run(arguments(given, dtype), 2, **(TKG | CTE)[case])
    got = got[0] if isinstance(got, tuple) else got
    assert got.dtype == dtype
    exact = 1e-4 if case == "QKV-02" else 2e-2  # the second is computed in bfloat16
    check_close(got, want["out"], exact if dtype == FP32 else 3e-3, 1e-5)


def test_rope_reads_half_of_the_sines() -> None:
    given, want = case_of("QKV-08")
    tensors = arguments(given)
    tensors["sin_cache"][..., 64:] = np.nan
    check_close(run(tensors, **CTE["QKV-08"]), want["out"], *DEFAULT)


def test_rope_by_no_angle_is_no_rope() -> None:
    given, _ = case_of("QKV-16")
    tensors = arguments(given)
    still = {
        "cos_cache": np.ones_like(tensors["cos_cache"]),
        "sin_cache": np.zeros_like(tensors["sin_cache"]),
    }
    plain = {name: value for name, value in tensors.items() if name not in still}
    got = run(tensors | still, fused_rope=True, output_layout=BSD, **heads(1, 1, 64))
    assert got.tobytes() == run(plain, **heads(1, 1, 64)).tobytes()


@pytest.mark.parametrize("case", ["QKV-03", "QKV-08", "QKV-12"])
def test_runs_are_bit_identical(case: str) -> None:
    given, _ = case_of(case)
    first, second = (run(arguments(given), 2, **(TKG | CTE)[case]) for _ in range(2))
    assert first.tobytes() == second.tobytes()
