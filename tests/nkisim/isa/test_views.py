"""Every instruction on views of its operands, against NumPy formulas; what is around a result stays."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from isacases import Case, filler, sources
from isatable import CASES
from isatiles import target
from isaviews import KINDS, Placed, place

from nkisim import isa as nisa
from nkisim.core.context import state
from nkisim.core.dtypes import dtype_of
from nkisim.core.registers import Register


def run(case: Case, kinds: dict[str, str], buffers: dict[str, str]) -> dict[str, Placed]:
    """Run a case with operands placed as asked, the others plain."""
    core = state.running()
    core.random = np.random.default_rng(3)
    placed = {
        name: place(case, name, kinds.get(name, "whole"), buffers.get(name, "")) for name in case.operands
    }
    options = dict(case.options)
    if case.name == "register_store":
        options["src"] = Register(5)
    with target(4), np.errstate(all="ignore"):
        getattr(nisa, case.name)(**sources({name: p.view for name, p in placed.items()}), **options)
    return placed


def seen(case: Case, kinds: dict[str, str]) -> Case:
    """The case with the values that views show: a step of 0 repeats the first column."""
    inputs = {
        name: array[:, :1].repeat(array.shape[1], 1) if kinds.get(name) == "repeated" else array
        for name, array in case.inputs.items()
    }
    return replace(case, inputs=inputs)


def wanted(case: Case) -> dict[str, Any]:
    """Expected values of the outputs, in the outputs' element types; those without a formula as plain tiles give."""
    values = {
        name: array if array.dtype.names else array.astype(np.float64) for name, array in case.inputs.items()
    }
    plain = run(case, {}, {}) if any(formula is None for _, _, formula in case.outputs.values()) else {}
    results = {}
    for name, (_, kind, formula) in case.outputs.items():
        through = np.int64 if np.dtype(kind).kind in "iu" else np.float32
        results[name] = (
            plain[name].contents() if formula is None else formula(values).astype(through).astype(kind)
        )
    return results


def check(case: Case, kinds: dict[str, str], buffers: dict[str, str] | None = None) -> None:
    placed = run(case, kinds, buffers or {})
    for name, want in wanted(seen(case, kinds)).items():
        contents = placed[name].contents()
        at = np.ix_(placed[name].rows, placed[name].columns)
        shown = contents[at]
        assert shown.dtype == want.dtype
        if want.dtype == np.float32:
            np.testing.assert_allclose(shown, want, rtol=2e-6, atol=2e-6)
        else:
            assert shown.tobytes() == want.tobytes()
        contents[at] = filler(contents.dtype)
        assert contents.tobytes() == np.full_like(contents, filler(contents.dtype)).tobytes()


def kinds_for(case: Case, operand: str) -> list[str]:
    """The kinds of view that an operand can be."""
    excluded = {"repeated"} if operand in (*case.outputs, *case.fixed) else set()
    if operand in (*case.flat, *case.vectors):
        excluded.add("factored")
    return [kind for kind in KINDS if kind not in excluded]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_each_operand_as_a_view(case: Case, kind: str) -> None:
    for operand in case.operands:
        if kind in kinds_for(case, operand):
            check(case, {operand: kind})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_all_operands_as_views(case: Case, kind: str) -> None:
    check(case, {operand: kind for operand in case.operands if kind in kinds_for(case, operand)})


@pytest.mark.parametrize("case", CASES, ids=str)
def test_each_operand_in_every_buffer(case: Case) -> None:
    for operand in case.operands:
        for buffer in case.allowed(operand):
            check(case, {}, {operand: buffer})


TYPES = ("bfloat16", "float16", "float8_e4m3", "float8_e5m2", "int32", "uint8", "int8")


def convertible(case: Case, names: Any, dtype: str) -> list[str]:
    """Operands in float32 that could have another element type."""
    return [name for name in names if case.kind(name) == np.float32 and dtype in case.types(name)]


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_inputs_of_other_types(case: Case, dtype: str) -> None:
    """Every input is taken as the float32 that its stored value is."""
    kind = dtype_of(dtype).numpy
    for name in convertible(case, set(case.inputs) - set(case.fixed), dtype):
        values = case.inputs[name]
        stored = np.rint(np.abs(values)).astype(kind) if "int" in dtype else values.astype(kind)
        check(replace(case, inputs={**case.inputs, name: stored}), {})


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_outputs_of_other_types(case: Case, dtype: str) -> None:
    """Results are rounded once, to the nearest value of the output's type; integers saturate."""
    for name in convertible(case, case.outputs, dtype):
        shape, _, formula = case.outputs[name]
        if formula is not None:
            outputs = {**case.outputs, name: (shape, dtype_of(dtype).numpy, saturated(formula, dtype))}
            with np.errstate(all="ignore"):
                check(replace(case, outputs=outputs), {})


def saturated(formula: Any, dtype: str) -> Any:
    """The formula's float32 values, for integers rounded and within their limits."""
    if "int" not in dtype:
        return formula
    info = np.iinfo(dtype)
    return lambda x: np.clip(np.rint(formula(x).astype(np.float32)), info.min, info.max)
