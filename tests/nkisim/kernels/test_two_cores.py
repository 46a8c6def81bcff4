"""A projection split over two cores that exchange partial sums, then a norm of rows that both wrote."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from nkisim import isa as nisa
from nkisim import language as nl
from nkisim.core.errors import SimulationError
from nkisim.kernel import jit

RNG = np.random.default_rng(73)
EPSILON = 1e-5


def loaded(source: Any) -> Any:
    tile = nl.ndarray(source.shape, dtype=source.dtype, buffer=nl.sbuf)
    nisa.dma_copy(dst=tile, src=source)
    return tile


def partial_product(x: Any, w: Any, first: int, deep: int) -> Any:
    """``x[first:first + deep].T @ w[first:first + deep]``, 128 rows of the contraction at a time."""
    bank = nl.ndarray((x.shape[1], w.shape[1]), dtype=nl.float32, buffer=nl.psum)
    for top in nl.sequential_range(first, first + deep, 128):
        high = min(128, first + deep - top)
        nisa.nc_matmul(dst=bank, stationary=loaded(x[top : top + high]), moving=loaded(w[top : top + high]))
    result = nl.ndarray(bank.shape, dtype=nl.float32, buffer=nl.sbuf)
    nisa.tensor_copy(dst=result, src=bank)
    return result


def summed(part: Any, me: int) -> Any:
    """This core's half of the columns, with what the other core has for it."""
    rows, half = part.shape[0], part.shape[1] // 2
    away = 1 - me
    sent = nl.ndarray((rows, half), dtype=nl.float32, buffer=nl.sbuf)
    nisa.tensor_copy(dst=sent, src=part[:, away * half : away * half + half])
    received = nl.ndarray((rows, half), dtype=nl.float32, buffer=nl.sbuf)
    nisa.sendrecv(src=sent, dst=received, send_to_rank=away, recv_from_rank=away, pipe_id=0)
    mine = nl.ndarray((rows, half), dtype=nl.float32, buffer=nl.sbuf)
    nisa.tensor_tensor(dst=mine, data1=part[:, me * half : me * half + half], data2=received, op=nl.add)
    return mine


def normed(tile: Any) -> Any:
    """Rows divided by the root of the mean of their squares."""
    rows, columns = tile.shape
    squares = nl.ndarray((rows, columns), dtype=nl.float32, buffer=nl.sbuf)
    mean = nl.ndarray((rows, 1), dtype=nl.float32, buffer=nl.sbuf)
    nisa.activation_reduce(dst=squares, op=nl.square, data=tile, reduce_op=nl.add, reduce_res=mean)
    nisa.tensor_scalar(
        dst=mean, data=mean, op0=nl.multiply, operand0=1.0 / columns, op1=nl.add, operand1=EPSILON
    )
    nisa.activation(dst=mean, op=nl.rsqrt, data=mean)
    result = nl.ndarray((rows, columns), dtype=nl.float32, buffer=nl.sbuf)
    nisa.tensor_scalar(dst=result, data=tile, op0=nl.multiply, operand0=mean)
    return result


@jit
def projected(x: Any, w: Any) -> Any:
    """Normed ``x.T @ w``: the contraction is split over the cores, then the columns, then the rows."""
    cores, me = nl.num_programs(), nl.program_id(0)
    rows, columns, deep = x.shape[1], w.shape[1], x.shape[0] // cores
    between = nl.ndarray((rows, columns), dtype=nl.float32, buffer=nl.shared_hbm, name="between")
    out = nl.ndarray((rows, columns), dtype=x.dtype, buffer=nl.shared_hbm, name="out")
    part = partial_product(x, w, me * deep, deep)
    if cores == 2:
        half = columns // 2
        nisa.dma_copy(dst=between[:, me * half : me * half + half], src=summed(part, me))
        nisa.core_barrier(data=between, cores=(0, 1))
    else:
        nisa.dma_copy(dst=between, src=part)
    first = rows * me // cores
    end = rows * (me + 1) // cores
    nisa.dma_copy(dst=out[first:end], src=normed(loaded(between[first:end])))
    return out


def expected(x: Any, w: Any) -> Any:
    product = x.T @ w
    return product / np.sqrt((product**2).mean(axis=1, keepdims=True) + EPSILON)


@pytest.mark.parametrize(
    ("deep", "rows", "columns"), [(256, 128, 512), (300, 5, 6), (2, 2, 2), (520, 77, 250)]
)
@pytest.mark.parametrize(("kind", "tolerance"), [(np.float32, 1e-5), (ml_dtypes.bfloat16, 2**-8)])
def test_one_core_and_two(deep: int, rows: int, columns: int, kind: Any, tolerance: float) -> None:
    x, w = (RNG.standard_normal((deep, n)).astype(kind) for n in (rows, columns))
    want = expected(x.astype(np.float64), w.astype(np.float64))
    for result in (projected(x, w), projected[1](x, w), projected[2](x, w)):
        assert result.dtype == x.dtype
        np.testing.assert_allclose(result.astype(np.float64), want, rtol=tolerance, atol=tolerance)


@jit
def without_barrier(x: Any) -> Any:
    """Core 0 reads what core 1 has not written yet."""
    me = nl.program_id(0)
    between = nl.ndarray((2, 4), dtype=nl.float32, buffer=nl.shared_hbm, name="between")
    out = nl.ndarray((2, 4), dtype=nl.float32, buffer=nl.shared_hbm, name="out")
    nisa.dma_copy(dst=between[me : me + 1], src=x[me : me + 1])
    nisa.dma_copy(dst=out[me : me + 1], src=between[1 - me : 2 - me])
    return out


def test_a_missing_barrier_shows() -> None:
    x = np.arange(1, 9, dtype=np.float32).reshape(2, 4)
    assert not np.array_equal(without_barrier[2](x), x[::-1])


@jit
def one_sided(x: Any) -> Any:
    """Only core 1 exchanges."""
    if nl.program_id(0) == 1:
        summed(loaded(x), 1)
    return x


def test_an_exchange_that_only_one_core_makes() -> None:
    with pytest.raises(SimulationError) as caught:
        one_sided[2](np.ones((4, 6), np.float32))
    line = summed.__code__.co_firstlineno + 7
    assert "core 0 has returned" in str(caught.value)
    assert f"core 1 waits for sendrecv (from core 0, pipe 0) at {__file__}:{line}" in str(caught.value)
