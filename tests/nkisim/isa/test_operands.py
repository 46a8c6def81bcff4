"""Wrong operands of every instruction: the error names this line, the instruction, the operand, what is allowed."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from isacases import ANY, DMA, Case, sources
from isatable import CASES
from isatiles import target
from isaviews import place

from nkisim import isa as nisa
from nkisim.core.errors import SimulationError
from nkisim.core.registers import Register
from nkisim.core.tensor import Tensor
from nkisim.isa.constants import engine

BUFFERS = ("sbuf", "psum", "hbm", "shared_hbm", "private_hbm")
OPERANDS = [pytest.param(case, name, id=f"{case}-{name}") for case in CASES for name in case.operands]


def refused(case: Case, change: dict[str, Any], generation: int = 4, **options: Any) -> str:
    """The error of a case with some operands replaced, without the place in this file that it must begin with."""
    operands = {name: place(case, name, "whole").view for name in case.operands} | change
    given = {"src": Register(5)} if case.name == "register_store" else {}
    with target(generation), np.errstate(all="ignore"), pytest.raises(SimulationError) as caught:
        getattr(nisa, case.name)(**sources(operands), **{**given, **case.options, **options})
    assert caught.value.__cause__ is None, "NumPy found it, no check of ours"
    file, line, text = str(caught.value).split(":", 2)
    assert (file, int(line)) == (__file__, refused.__code__.co_firstlineno + 5)
    return text


def other(case: Case, operand: str, rows: int, columns: int) -> Tensor:
    """The operand with more (or fewer) partitions and elements in each, full of ones."""
    high, wide = case.shape(operand)
    made = Tensor((high + rows, wide + columns), case.kind(operand), buffer=case.allowed(operand)[0])
    made.write(np.ones(made.size * made.dtype.itemsize, np.uint8).view(made.dtype.numpy).reshape(made.shape))
    return made


@pytest.mark.parametrize(("case", "operand"), OPERANDS)
def test_no_tensor(case: Case, operand: str) -> None:
    text = refused(case, {operand: np.ones((4, 4), np.float32)})
    what = "a number or a tensor, not ndarray" if operand in case.vectors else "a tensor, it is a ndarray"
    if (case.name, operand) == ("tensor_copy_predicated", "src"):
        what = "a number or a tensor, not ndarray"
    assert text == f" nisa.{case.name}: {operand} must be {what}"


@pytest.mark.parametrize(("case", "operand"), OPERANDS)
def test_buffer_that_the_engine_does_not_reach(case: Case, operand: str) -> None:
    allowed = ("sbuf", "psum") if case.name == "nc_transpose" else case.allowed(operand)
    for buffer in set(BUFFERS) - set(allowed):
        text = refused(case, {operand: place(case, operand, "whole", buffer).view})
        assert text.startswith(f" nisa.{case.name}: {operand} is a {buffer} tensor")
        assert set(text.partition("allowed: ")[2].split(", ")) == set(allowed)


@pytest.mark.parametrize(("case", "operand"), OPERANDS)
def test_more_elements_in_a_partition(case: Case, operand: str) -> None:
    if operand not in case.wider:
        assert f"nisa.{case.name}: " in refused(case, {operand: other(case, operand, 0, 1)})


@pytest.mark.parametrize(("case", "operand"), OPERANDS)
def test_more_partitions(case: Case, operand: str) -> None:
    if operand not in case.taller:
        assert f"nisa.{case.name}: " in refused(case, {operand: other(case, operand, 1, 0)})


@pytest.mark.parametrize(("case", "operand"), OPERANDS)
def test_fewer_partitions(case: Case, operand: str) -> None:
    if case.shape(operand)[0] > 1 and operand not in case.shorter:
        assert f"nisa.{case.name}: " in refused(case, {operand: other(case, operand, -1, 0)})


@pytest.mark.parametrize(("case", "operand"), OPERANDS)
def test_equal_elements_in_other_partitions(case: Case, operand: str) -> None:
    """Operands match by partitions and elements in each; only DMA counts elements alone."""
    rows, columns = case.shape(operand)
    free = case.allowed(operand) == DMA or operand in (*case.wider, *case.taller)
    if columns % 2 == 0 and rows <= 64 and not free:
        made = Tensor((2 * rows, columns // 2), case.kind(operand), buffer=case.allowed(operand)[0])
        made.write(
            np.ones(made.size * made.dtype.itemsize, np.uint8).view(made.dtype.numpy).reshape(made.shape)
        )
        assert f"nisa.{case.name}: " in refused(case, {operand: made})


@pytest.mark.parametrize(("case", "operand"), OPERANDS)
def test_other_types(case: Case, operand: str) -> None:
    """An element type that is not allowed, or not together with the other operands' types."""
    for dtype in set(ANY.split()) - set(case.types(operand)):
        wrong = Tensor(case.shape(operand), dtype, buffer=case.allowed(operand)[0])
        wrong.write(np.ones(wrong.shape, np.float32))
        text = refused(case, {operand: wrong})
        assert text.startswith(f" nisa.{case.name}: ")
        assert f"{operand} is " in text
        assert dtype in text


@pytest.mark.parametrize("case", [case for case in CASES if case.generation > 2], ids=str)
def test_older_generations(case: Case) -> None:
    text = refused(case, {}, case.generation - 1)
    assert re.match(rf" nisa\.{case.name}.* needs (gen|NeuronCore-v){case.generation}\b", text)
    assert f"the target is gen{case.generation - 1}" in text


ENGINES = {
    "memset": {2: "vector scalar gpsimd", 3: "vector scalar gpsimd", 4: "vector scalar gpsimd"},
    "tensor_copy": {2: "vector gpsimd", 3: "vector scalar gpsimd", 4: "vector scalar gpsimd"},
    "tensor_tensor": {2: "vector gpsimd", 3: "vector gpsimd", 4: "vector gpsimd"},
    "tensor_scalar": {2: "vector scalar gpsimd", 3: "vector scalar gpsimd", 4: "vector scalar gpsimd"},
    "rng": {2: "vector", 3: "vector gpsimd", 4: "vector gpsimd"},
    "rand_get_state": {3: "gpsimd", 4: "vector gpsimd"},
    "rand_set_state": {3: "gpsimd", 4: "vector gpsimd"},
}
"""Engines that the documents name for an instruction, by generation."""
CHOOSING = [
    pytest.param(case, generation, id=f"{case}-gen{generation}")
    for case in CASES
    for generation in ENGINES.get(case.name, ())
]


@pytest.mark.parametrize(("case", "generation"), CHOOSING)
def test_engines(case: Case, generation: int) -> None:
    names = ENGINES[case.name][generation].split()
    for chosen in engine:
        if chosen is not engine.unknown and chosen.name not in names:
            text = refused(case, {}, generation, engine=chosen)
            assert f"does not run it on gen{generation}" in text
            assert set(text.rpartition("these do: ")[2].split(", ")) == set(names)


@pytest.mark.parametrize(("case", "generation"), CHOOSING)
def test_gpsimd_does_not_reach_psum(case: Case, generation: int) -> None:
    if "gpsimd" in ENGINES[case.name][generation]:
        for operand in case.operands:
            text = refused(
                case, {operand: place(case, operand, "whole", "psum").view}, generation, engine=engine.gpsimd
            )
            assert f"nisa.{case.name}: GpSimd Engine cannot access PSUM, and psum tensor" in text


@pytest.mark.parametrize(
    ("name", "pair"),
    [
        ("tensor_tensor", ("data1", "data2")),
        ("scalar_tensor_tensor", ("data", "operand1")),
        ("tensor_copy_predicated", ("src", "predicate")),
        ("tensor_tensor_scan", ("data0", "data1")),
        ("select_reduce", ("predicate", "on_true")),
    ],
)
def test_only_one_input_in_psum(name: str, pair: tuple[str, str]) -> None:
    case = next(case for case in CASES if case.name == name)
    text = refused(case, {operand: place(case, operand, "whole", "psum").view for operand in pair})
    assert text == f" nisa.{name}: {pair[0]} and {pair[1]} are both in PSUM; copy one of them to SBUF first"
