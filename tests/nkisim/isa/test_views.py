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
