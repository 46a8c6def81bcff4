"""Results written over operands: exactly, or moved by a column or a partition. All operands count as read before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from isacases import FILLER, Case, sources
from isatable import CASES
from isatiles import target
from tiles import got, sbuf, tile

from nkisim import isa as nisa
from nkisim.core import operators as nl
from nkisim.core.tensor import Tensor

RNG = np.random.default_rng(83)
ELSEWHERE = ("nc_stream_shuffle",)
"""Starts at certain partitions only; its own tests write over its source."""
PAIRS = [
    pytest.param(case, source, output, id=f"{case}-{source}-{output}")
    for case in CASES
    for output, (shape, kind, formula) in case.outputs.items()
    for source, values in case.inputs.items()
    if formula is not None and values.shape == shape and values.dtype == kind and case.name not in ELSEWHERE
]
MOVES = [(0, 0), (0, 1), (0, -1), (1, 0), (-1, 0), (1, 1)]


def windows(values: Any, move: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Two windows into one tensor, the second moved by partitions and columns; the first one holds the values."""
    rows, columns = values.shape
    down, right = move
    both = tile(np.zeros((rows + 2, columns + 2), values.dtype))
    first = both[1 : 1 + rows, 1 : 1 + columns]
    first.write(values)
    return first, both[1 + down : 1 + down + rows, 1 + right : 1 + right + columns]


@pytest.mark.parametrize("move", MOVES, ids=str)
@pytest.mark.parametrize(("case", "source", "output"), PAIRS)
def test_result_over_an_operand(case: Case, source: str, output: str, move: tuple[int, int]) -> None:
    operands = {name: tile(values) for name, values in case.inputs.items()}
    operands |= {name: sbuf(shape, np.dtype(kind)) for name, (shape, kind, _) in case.outputs.items()}
    operands[source], operands[output] = windows(case.inputs[source], move)
    before = got(operands[output])
    with target(4), np.errstate(all="ignore"):
        getattr(nisa, case.name)(**sources(operands), **case.options)
    exact = {name: values.astype(np.float64) for name, values in case.inputs.items()}
    formula = case.outputs[output][2]
    assert formula is not None
    want = formula(exact)
    if case.name == "tensor_copy_predicated":  # what it keeps is what was there
        want = np.where(want == FILLER, before, want)
    np.testing.assert_allclose(got(operands[output]), want, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("move", MOVES, ids=str)
@pytest.mark.parametrize("shape", [(6, 5), (128, 1030)])
@pytest.mark.parametrize("op", [op for op in nl.TOKENS.values() if op.activation], ids=repr)
def test_activation_over_its_data(op: Any, shape: tuple[int, int], move: tuple[int, int]) -> None:
    """Each function gives what it gives elsewhere, on small tiles and on those that are worked on in blocks."""
    rows = shape[0] - 2 if shape[0] == 128 else shape[0]
    values = RNG.uniform(0.1, 1.5, (rows, shape[1])).astype(np.float32)
    data, dst = windows(values, move)
    apart = sbuf(values.shape)
    with np.errstate(all="ignore"):
        nisa.activation(dst=apart, op=op, data=data, scale=0.5)
        nisa.activation(dst=dst, op=op, data=data, scale=0.5)
    np.testing.assert_array_equal(got(dst), got(apart))
