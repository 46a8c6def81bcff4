"""The same values in another element type are refused with a message, or give the same results."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from blockcheck import BF16, FP8, FP16, FP32
from kernels import PREFIX, difference
from ml_dtypes import float8_e5m2
from randomcalls import FAMILIES, Call, Family, by_seed

FP8_WIDE = np.dtype(float8_e5m2)
INTEGERS = (np.int32, np.uint32, np.int8, np.uint8)
TYPES = [np.dtype(each) for each in (BF16, FP16, FP32, *INTEGERS, FP8, FP8_WIDE)]
SCALED = "STATIC rounds the activations to the weights' type, too"
OF_RESULT = "the result is of its type, which may be any"
ALLOWED = {
    ("cumsum", "x"): (("uint8", "float8_e4m3", "float8_e5m2"), OF_RESULT),
    ("indexed_flatten", "input_tensor"): (("uint32", "uint8", "float8_e4m3", "float8_e5m2"), OF_RESULT),
    ("router_topk", "expert_affinities"): ("all", "it is a result"),
    ("router_topk", "router_logits"): ("all", "it is a result"),
    ("router_topk", "expert_index"): ("all", "it is a result"),
    ("mlp", "hidden_tensor"): (("float8_e4m3",), "the result is of its type, if output_dtype says no other"),
    ("qkv", "fused_qkv_weights"): (("float8_e5m2",), SCALED),
    ("qkv_tkg", "qkv_w"): (("float8_e5m2",), SCALED),
    ("output_projection_tkg", "weight"): (("float8_e5m2",), SCALED),
}
"""Family and argument → types in which the documentation allows it although results differ, and why they do."""
QUICK = ("RoPE", "RoPE_sbuf", "rmsnorm_tkg", "layernorm_tkg", "output_projection_tkg", "qkv_tkg", "cumsum")


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.id)
def test_other_types_are_refused_or_right(family: Family) -> None:
    check_types(family, range(2))


@pytest.mark.parametrize("family", [each for each in FAMILIES if each.id in QUICK], ids=lambda each: each.id)
def test_other_types_of_small_calls(family: Family) -> None:
    check_types(family, range(1))


def test_what_is_allowed_is_of_a_family() -> None:
    assert {name for name, _ in ALLOWED} <= {family.id for family in FAMILIES}
    assert set(QUICK) <= {family.id for family in FAMILIES}


def check_types(family: Family, seeds: range) -> None:
    for seed in seeds:
        call = family.draw(by_seed(seed))
        lnc = call.lnc[-1]
        for name, value in call.given(lnc).items():
            types, _ = ALLOWED.get((family.id, name), ((), ""))
            for other, same in retyped(value):
                if types != "all" and str(other.dtype) not in types:
                    refused_or_equal(call, lnc, name, other, same)


def refused_or_equal(call: Call, lnc: int, name: str, other: Any, same: Any) -> None:
    """Both results are within the tolerance of the right one, and so within twice that of each other."""
    with np.errstate(all="ignore"):
        try:
            got = call.run(lnc, **{name: other})
        except AssertionError as error:
            if PREFIX in str(error):
                return
            raise
        want = call.run(lnc, **{name: same})
    for index, (found, wanted) in enumerate(zip(got, want, strict=True)):
        rtol, atol = call.tolerance(index)
        off = difference(found, wanted, 2 * max(2e-2, rtol), 2 * atol + 1e-5)
        assert not off, f"result {index} with {name} of {other.dtype} instead of {same.dtype}: {off}"


def retyped(value: Any) -> Iterator[tuple[Any, Any]]:
    """Values that another type has, too: in that type, and in their own."""
    if not isinstance(value, np.ndarray) or "x4" in str(value.dtype):
        return
    for dtype in TYPES:
        if dtype == value.dtype:
            continue
        with np.errstate(all="ignore"):
            other = within(value, dtype).astype(dtype)
            same = other.astype(value.dtype)
            if np.array_equal(same.astype(np.float64), other.astype(np.float64)):
                yield other, same


def within(value: Any, dtype: Any) -> Any:
    """Numbers that are not negative for unsigned types, and integers that fit in few bits."""
    if dtype.kind == "u":
        value = np.abs(value.astype(np.float64)).astype(value.dtype)
    if dtype.kind in "iu" and value.dtype.kind in "iu" and dtype.itemsize == 1:
        value = np.clip(value, 0 if dtype.kind == "u" else -100, 100)
    return value
