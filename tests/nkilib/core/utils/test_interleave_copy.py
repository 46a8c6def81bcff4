"""Copies with a factor and a summand, on one engine or the other."""

from __future__ import annotations

import nki.isa as nisa
import nki.language as nl
import numpy as np
import pytest
from kernels import cast, normal, on_chip, rejected

import nkisim
from nkilib.core.utils.interleave_copy import interleave_copy
from nkilib.core.utils.tensor_view import TensorView

P, F = 128, 64
X = normal((P, F))
ROW_SCALE, ROW_BIAS = normal((P, 1), seed=1), normal((P, 1), seed=2)
SCALE, BIAS = normal((P, F), seed=3), normal((P, F), seed=4)
ONE, ZERO = np.float32(1), np.float32(0)


def run(scale=None, bias=None, index=0, dtype="float32", x=X, rows=None, rank1=False, psum=False):
    def body(dst, src, *factors):
        views = [TensorView(factor) for factor in factors]
        if rank1:
            views = [TensorView(factor.reshape((factor.shape[0],))) for factor in factors]
        left = list(views)
        scaled = left.pop(0) if scale is not None else None
        shifted = left.pop(0) if bias is not None else None
        if psum:
            held = nl.ndarray(src.shape, dtype=src.dtype, buffer=nl.psum)
            nisa.tensor_copy(dst=held, src=src)
            src = held
        interleave_copy(dst, src, scaled, shifted, index)

    given = [factor for factor in (scale, bias) if factor is not None]
    return on_chip(body, [x, *given], ((rows or P, F), dtype))


@pytest.mark.parametrize("psum", [False, True], ids=["sbuf", "psum 15"])
@pytest.mark.parametrize("index", [0, 1, 2, 3])
@pytest.mark.parametrize(
    ("scale", "bias"),
    [
        pytest.param(None, None, id="1 and 2"),
        pytest.param(ROW_SCALE, None, id="3 and 4"),
        pytest.param(SCALE, None, id="5"),
        pytest.param(None, ROW_BIAS, id="6 and 7"),
        pytest.param(None, BIAS, id="8"),
        pytest.param(ROW_SCALE, ROW_BIAS, id="9 and 10"),
        pytest.param(ROW_SCALE, BIAS, id="11"),
        pytest.param(SCALE, ROW_BIAS, id="12"),
        pytest.param(SCALE, BIAS, id="13"),
    ],
)
def test_float32(scale, bias, index, psum) -> None:
    expected = X * (ONE if scale is None else scale) + (ZERO if bias is None else bias)
    assert np.array_equal(run(scale, bias, index, psum=psum), expected)


@pytest.mark.parametrize("index", [0, 1])
def test_14_rounded(index) -> None:
    assert np.array_equal(run(index=index, dtype="bfloat16"), cast(X, "bfloat16"))


@pytest.mark.parametrize(
    ("scale", "bias", "index", "roundings"),
    [
        pytest.param(ROW_SCALE, ROW_BIAS, 0, 1, id="18 even"),
        pytest.param(ROW_SCALE, ROW_BIAS, 1, 2, id="18 odd"),
        pytest.param(SCALE, ROW_BIAS, 0, 2, id="mixed"),
        pytest.param(ROW_SCALE, BIAS, 1, 2, id="mixed odd"),
        pytest.param(SCALE, BIAS, 0, 2, id="full"),
    ],
)
def test_roundings(scale, bias, index, roundings) -> None:
    once, twice = X * scale + bias, cast(X * scale, "bfloat16").astype(np.float32) + bias
    assert not np.array_equal(cast(once, "bfloat16"), cast(twice, "bfloat16"))
    expected = once if roundings == 1 else twice
    assert np.array_equal(run(scale, bias, index, "bfloat16"), cast(expected, "bfloat16"))


@pytest.mark.parametrize("index", [0, 1])
def test_factors_of_rank_one(index) -> None:
    assert np.array_equal(run(ROW_SCALE, ROW_BIAS, index, rank1=True), X * ROW_SCALE + ROW_BIAS)


ACTIVATION, COPY = ("scalar", "activation"), ("vector", "tensor_copy")
ROWS, FULL = ("vector", "tensor_scalar"), ("vector", "tensor_tensor")


@pytest.mark.parametrize(
    ("index", "scale", "bias", "instructions"),
    [
        (0, None, None, [ACTIVATION]),
        (1, None, None, [COPY]),
        (0, ROW_SCALE, None, [ACTIVATION]),
        (1, ROW_SCALE, None, [ROWS]),
        (0, None, BIAS, [FULL]),
        (0, ROW_SCALE, ROW_BIAS, [ACTIVATION]),
        (1, ROW_SCALE, ROW_BIAS, [ROWS, ROWS]),
        (1, ROW_SCALE, BIAS, [ACTIVATION, FULL]),
        (1, SCALE, ROW_BIAS, [FULL, ACTIVATION]),
        (0, SCALE, BIAS, [FULL, FULL]),
    ],
)
def test_engines(index, scale, bias, instructions) -> None:
    with nkisim.trace() as trace:
        run(scale, bias, index)
    seen = [(event.cost.engine, event.name) for event in trace.events]
    assert [each for each in seen if each[1] not in {"dma_copy", "memset"}] == instructions


def test_16_rows_of_a_factor() -> None:
    with rejected("the same number of partitions"):
        run(scale=ROW_SCALE[:64])
    with rejected("bias (64, 1)"):
        run(bias=ROW_BIAS[:64])


def test_17_rows_of_the_destination() -> None:
    with rejected("the same number of partitions"):
        run(scale=ROW_SCALE, rows=64)
