"""The same values in another element type are refused with a message, or give the same results.

Parameters that are element types themselves refuse what would spoil results, and otherwise give the right ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache, partial
from typing import Any

import numpy as np
import pytest
from blockcheck import BF16, FP8, FP16, FP32
from kernels import check_close, difference
from ml_dtypes import finfo, float8_e5m2
from randomcalls import EVERY, FAMILIES, SEEDS, SMALL, Call, Family, by_seed

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
    ("rmsnorm_tkg", "input"): (("float8_e4m3",), OF_RESULT),
    ("layernorm_tkg", "input"): (("float8_e4m3",), OF_RESULT),
    ("qkv", "fused_qkv_weights"): (("float8_e5m2",), SCALED),
    ("qkv_tkg", "qkv_w"): (("float8_e5m2",), SCALED),
    ("output_projection_tkg", "weight"): (("float8_e5m2",), SCALED),
}
"""Family and argument → types in which the documentation allows it although results differ, and why they do."""
NO_TYPES = ("bf17", 3, ())
PARAMETERS = [(family, name) for family in FAMILIES for name in family.parameters() if name.endswith("dtype")]
OF_PARAMETERS = pytest.mark.parametrize(
    ("family", "name"), PARAMETERS, ids=[f"{family.id}: {name}" for family, name in PARAMETERS]
)
CALLS = 40


@pytest.mark.slow
@EVERY
def test_other_types_are_refused_or_right(family: Family) -> None:
    check_types(family, SEEDS)


@SMALL
def test_other_types_of_small_calls(family: Family) -> None:
    check_types(family, [0])


def test_what_is_allowed_is_of_a_family() -> None:
    assert {name for name, _ in ALLOWED} <= {family.id for family in FAMILIES}


@pytest.mark.slow
@OF_PARAMETERS
def test_types_that_are_parameters(family: Family, name: str) -> None:
    if name in family.idle:
        check_parameter(family.draw(by_seed(0)), name)
        return
    calls = (family.draw(by_seed(seed)) for seed in range(CALLS))
    call = next((each for each in calls if each.tried(each.lnc[-1], **{name: np.uint8})[0] is None), None)
    assert call is not None, f"{name} is never refused"
    check_parameter(call, name)


@np.errstate(all="ignore")
def check_parameter(call: Call, name: str) -> None:
    """Each type is refused by an error that names the parameter, or gives what it should, as exact as it can be."""
    lnc = call.lnc[-1]
    for dtype in (*TYPES, *NO_TYPES):
        got, words = call.tried(lnc, **{name: dtype})
        if got is None:
            assert name in words
            continue
        for index, (found, wanted) in enumerate(zip(got, call.want(lnc), strict=True)):
            rtol, atol = call.tolerance(index)
            if np.asarray(wanted).dtype.kind == "f":
                rtol += step(found.dtype)
            check_close(found, wanted, rtol, atol, f"result {index} with {name} {dtype}")


def step(dtype: Any) -> float:
    """How far from each other numbers of a float type are, relative to them; 0 for other types."""
    return 0.0 if dtype.kind in "iu" else float(finfo(dtype).eps)


@np.errstate(all="ignore")
def check_types(family: Family, seeds: Sequence[int]) -> None:
    for seed in seeds:
        call = family.draw(by_seed(seed))
        lnc = call.lnc[-1]
        given, as_drawn = call.given(lnc), cache(partial(call.run, lnc))
        for name, other, same in retyped(family, given):
            got, _ = call.tried(lnc, **{name: other})
            if got is not None:
                want = as_drawn() if same is given[name] else call.run(lnc, **{name: same})
                check_alike(call, got, want, f"{name} of {other.dtype} instead of {same.dtype}")


def check_alike(call: Call, got: Sequence[Any], want: Sequence[Any], what: str) -> None:
    """Both are within the tolerance of the right results, and so within twice that of each other."""
    for index, (found, wanted) in enumerate(zip(got, want, strict=True)):
        rtol, atol = call.tolerance(index)
        off = difference(found, wanted, 2 * max(2e-2, rtol), 2 * atol + 1e-5)
        assert not off, f"result {index} with {what}: {off}"


def retyped(family: Family, given: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Arguments in other types that have their values, or almost: the name, in that type, the same in their own.

    MX elements are left out: where they may come in types of 16 or 32 bits, the documentation means their bits.
    """
    for name, value in given.items():
        if isinstance(value, np.ndarray) and "x4" not in str(value.dtype):
            allowed, _ = ALLOWED.get((family.id, name), ((), ""))
            for dtype in TYPES:
                if dtype != value.dtype and allowed != "all" and str(dtype) not in allowed:
                    other = within(value, dtype).astype(dtype)
                    same = other.astype(value.dtype)
                    if np.array_equal(same.astype(np.float64), other.astype(np.float64)):
                        yield name, other, value if np.array_equal(same, value) else same


def within(value: Any, dtype: Any) -> Any:
    """Numbers that are not negative for unsigned types, and integers that fit in few bits."""
    if dtype.kind == "u":
        value = np.abs(value.astype(np.float64)).astype(value.dtype)
    if dtype.kind in "iu" and value.dtype.kind in "iu" and dtype.itemsize == 1:
        value = np.clip(value, 0 if dtype.kind == "u" else -100, 100)
    return value
