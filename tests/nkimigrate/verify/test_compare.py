"""Bits, tolerances, NaN; expected limits are computed here by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from nkimigrate.verify.child import Run
from nkimigrate.verify.compare import compared, outputs, tolerance, weaknesses

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


# -- which output belongs to which --------------------------------------------------------------------

X, Y, Z = (np.arange(6, dtype=np.float32) + n for n in (0, 10, 20))


def ran(folder: Path, function: Any, **inputs: Any) -> dict[str, Any]:
    """What a run of a plain function leaves behind, as its process would."""
    folder.mkdir(parents=True)
    run = Run({"folder": str(folder), "trace": False, "root": str(folder)})
    run._run(function, {name: array.copy() for name, array in inputs.items()})
    return {**run.found, "folder": str(folder)}


def verdicts(tmp_path: Path, old: Any, new: Any, legacy: bool = True, **inputs: Any) -> dict[str, str]:
    runs = [ran(tmp_path / side, f, **inputs) for side, f in (("old", old), ("new", new))]
    return {o.name: o.reason or o.verdict for o in outputs(runs[0], runs[1], None, legacy)}


def writes(a: Any, b: Any) -> None:
    a[:] = Y
    b[:] = Z


def test_written_parameters_are_matched_by_name(tmp_path: Path) -> None:
    def new(a: Any, b: Any) -> Any:
        writes(a, b)
        return b, a

    assert verdicts(tmp_path, writes, new, a=X, b=X) == {"a": "identical", "b": "identical"}


def test_written_parameters_that_became_results_are_matched_by_place(tmp_path: Path) -> None:
    assert verdicts(tmp_path, writes, lambda a, b: (Y, Z), a=X, b=X) == {"a": "identical", "b": "identical"}
    swapped = verdicts(tmp_path / "2", writes, lambda a, b: (Z, Y), a=X, b=X)
    assert all(reason.startswith("6 of 6 elements differ") for reason in swapped.values())


def test_a_written_parameter_that_is_lost(tmp_path: Path) -> None:
    lost = verdicts(tmp_path, writes, lambda a, b: Y, a=X, b=X)
    assert lost == {"a": "identical", "b": "the new kernel does not give it"}
    kept = verdicts(tmp_path / "3", writes, writes, legacy=False, a=X, b=X)
    assert kept == {"a": "identical", "b": "identical"}


def test_results_and_a_written_parameter(tmp_path: Path) -> None:
    def old(a: Any) -> Any:
        a[:] = Y
        return Z

    def new(a: Any) -> Any:
        a[:] = Y
        return Z, a

    assert verdicts(tmp_path, old, new, a=X) == {"a": "identical", "result": "identical"}


def test_a_parameter_that_nobody_changes_may_be_returned(tmp_path: Path) -> None:
    assert verdicts(tmp_path, lambda a: Y, lambda a: (Y, a), a=X) == {
        "result": "identical",
        "result[1]": "identical",
    }
    other = verdicts(tmp_path / "2", lambda a: Y, lambda a: (Y, Z), a=X)
    assert other["result[1]"] == "only the new kernel gives it"


def test_only_the_new_kernel_writes(tmp_path: Path) -> None:
    def new(a: Any) -> Any:
        a[:] = Z
        return Y

    assert verdicts(tmp_path, lambda a: Y, new, a=X) == {
        "result": "identical",
        "a": "only the new kernel writes it",
    }


def test_nested_results_and_other_values(tmp_path: Path) -> None:
    same = {"x": (X, [Y, 3]), "y": "text"}
    found = verdicts(tmp_path, lambda a: same, lambda a: {**same, "y": "other"}, a=X)
    assert found == {
        "result['x'][0]": "identical",
        "result['x'][1][0]": "identical",
        "result['x'][1][1]": "identical",
        "result['y']": "old 'text', new 'other'",
    }
