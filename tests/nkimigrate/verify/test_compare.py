"""Bits, tolerances, NaN; expected limits are computed here by hand."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from nkimigrate.verify.compare import compared, tolerance, weaknesses

F32 = tolerance(["float32"])


def verdict(
    old: object, new: object, dtypes: tuple[str, ...] = ("float32",), given: float | None = None
) -> str:
    a, b = np.asarray(old), np.asarray(new)
    return compared("result", a.dtype.name, a, b, tolerance(dtypes, given)).verdict


@pytest.mark.parametrize(
    ("dtypes", "largest", "rms"),
    [
        (["float32"], 4 * 2**-24 + 1e-5, 2**-25 + 1e-6),
        (["float32", "bfloat16"], 4 * 2**-8 + 1e-5, 2**-9 + 1e-6),
        (["float16", "int32"], 4 * 2**-11 + 1e-5, 2**-12 + 1e-6),
        (["float8_e4m3", "bfloat16"], 4 * 2**-4 + 1e-5, 2**-5 + 1e-6),
        (["float8_e5m2"], 4 * 2**-3 + 1e-5, 2**-4 + 1e-6),
        (["int32"], 4 * 2**-24 + 1e-5, 2**-25 + 1e-6),
        ([], 4 * 2**-24 + 1e-5, 2**-25 + 1e-6),
    ],
)
def test_tolerance_is_that_of_the_coarsest_type(dtypes: list[str], largest: float, rms: float) -> None:
    found = tolerance(dtypes)
    assert found.largest == pytest.approx(largest, rel=1e-12)
    assert found.rms == pytest.approx(rms, rel=1e-12)


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float8_e4m3", "float8_e4m3fn", "float8_e5m2"])
def test_one_flip_in_a_type_is_within_its_tolerance(name: str) -> None:
    """Neighbours at 1, the largest value: one of a thousand elements flips."""
    kind = np.dtype(getattr(ml_dtypes, name, name))
    old = np.ones(1000, kind)
    new = old.copy()
    bits = new.view(np.uint8 if kind.itemsize == 1 else np.uint16)
    bits[3] += 1
    found = compared("result", name, old, new, tolerance([name]))
    assert (found.verdict, found.largest) == ("close", float(ml_dtypes.finfo(kind).eps))
    bits[:] = old.view(bits.dtype) + 1  # all of them: something else has happened
    assert compared("result", name, old, new, tolerance([name])).verdict == "different"


def test_largest_error_is_relative_to_the_largest_value() -> None:
    old = np.array([1000.0, 1.0] + [1000.0] * 100, np.float32)
    new = old.copy()
    new[1] += 0.005
    found = compared("result", "float32", old, new, F32)
    assert found.verdict == "close"
    assert found.largest == pytest.approx(0.005, rel=1e-4)
    assert found.relative == pytest.approx(5e-6, rel=1e-4)
    new[1] += 0.01
    assert (
        "1 of 102 elements differ, first at [1]: old 1, new 1.015"
        in compared("r", "float32", old, new, F32).reason
    )


def test_small_errors_everywhere_are_a_difference() -> None:
    old = np.linspace(1, 2, 1000, dtype=np.float32)
    found = compared("result", "float32", old, (old * np.float32(1 + 4e-6)).astype(np.float32), F32)
    assert found.verdict == "different"
    assert "root mean square" in found.reason


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ([1.0, np.nan], [1.0, np.nan], "close"),
        ([1.0, np.nan], [1.0, 2.0], "different"),
        ([1.0, 2.0], [1.0, np.nan], "different"),
        ([1.0, np.inf], [1.0, np.inf], "close"),
        ([1.0, np.inf], [1.0, -np.inf], "different"),
        ([1.0, np.inf], [1.0, 3e38], "different"),
        ([0.0, 1.0], [-0.0, 1.0], "close"),
        ([0.0, 0.0], [0.0, 1e-30], "different"),
    ],
)
def test_special_values(old: list[float], new: list[float], expected: str) -> None:
    assert verdict(np.float32(old), np.float32(new)) == expected


def test_integers_are_equal_or_not() -> None:
    assert verdict(np.int32([1, 2, 10**6]), np.int32([1, 2, 10**6 + 1])) == "different"
    assert verdict(np.array([True, False]), np.array([True, True])) == "different"
    assert verdict(np.uint8([0]), np.uint8([255]), ("bfloat16",)) == "different"


def test_a_given_tolerance_counts_for_all() -> None:
    assert verdict(np.float32([1, 2]), np.float32([1, 2.01]), given=0.01) == "close"
    assert verdict(np.float32([1, 2]), np.float32([1, 2.01]), given=0.001) == "different"
    assert verdict(np.int8([100, 7]), np.int8([100, 8]), given=0.02) == "close"


def test_poor_witnesses_are_named() -> None:
    assert weaknesses(np.zeros(3)) == ("all elements are 0: these inputs show little",)
    assert weaknesses(np.array([1, np.nan, np.nan])) == ("2 of 3 elements are NaN on both sides",)
    assert weaknesses(np.arange(3)) == ()
    assert weaknesses(np.zeros(0)) == ()
