"""The selective scan of a state space model (as in Mamba) against loops in float64."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from nkisim import isa as nisa
from nkisim import language as nl
from nkisim.kernel import jit

RNG = np.random.default_rng(61)


def loaded(source: Any) -> Any:
    tile = nl.ndarray(source.shape, dtype=nl.float32, buffer=nl.sbuf)
    nisa.dma_copy(dst=tile, src=source)
    return tile


def row_for_all(matrix: Any, row: int, left: int, high: int, wide: int) -> Any:
    """Elements ``left … left + wide`` of a row of HBM, in each of ``high`` partitions."""
    tile = nl.ndarray((high, wide), dtype=nl.float32, buffer=nl.sbuf)
    length = matrix.shape[1]
    nisa.dma_copy(dst=tile, src=matrix.ap([[0, high], [1, wide]], offset=row * length + left))
    return tile


def one_state(decay: Any, driven: Any, carry: Any) -> Any:
    """``h[i] = decay[i] h[i - 1] + driven[i]`` from ``carry``, which becomes the last one."""
    state = nl.ndarray(decay.shape, dtype=nl.float32, buffer=nl.sbuf)
    nisa.tensor_tensor_scan(dst=state, data0=decay, data1=driven, initial=carry, op0=nl.multiply, op1=nl.add)
    last = decay.shape[1] - 1
    nisa.tensor_copy(dst=carry, src=state[:, last : last + 1])
    return state


def scanned_chunk(delta: Any, x: Any, a: Any, b: Any, c: Any, carry: Any, left: int) -> Any:
    """A tile of y: all states, one after the other."""
    high, wide = x.shape
    total = nl.zeros((high, wide), dtype=nl.float32, buffer=nl.sbuf)
    drive = nl.ndarray((high, wide), dtype=nl.float32, buffer=nl.sbuf)
    nisa.tensor_tensor(dst=drive, data1=delta, data2=x, op=nl.multiply)
    decay = nl.ndarray((high, wide), dtype=nl.float32, buffer=nl.sbuf)
    driven = nl.ndarray((high, wide), dtype=nl.float32, buffer=nl.sbuf)
    for n in nl.sequential_range(a.shape[1]):
        nisa.activation(dst=decay, op=nl.exp, data=delta, scale=a[:, n : n + 1])
        enters = row_for_all(b, n, left, high, wide)
        nisa.tensor_tensor(dst=driven, data1=drive, data2=enters, op=nl.multiply)
        state = one_state(decay, driven, carry[:, n : n + 1])
        leaves = row_for_all(c, n, left, high, wide)
        nisa.tensor_tensor(dst=state, data1=state, data2=leaves, op=nl.multiply)
        nisa.tensor_tensor(dst=total, data1=total, data2=state, op=nl.add)
    return total


@jit
def selective_scan(delta: Any, x: Any, a: Any, b: Any, c: Any, chunk: int) -> Any:
    """y[channel, t] = Σₙ hₙ[t] c[n, t] with hₙ[t] = exp(delta a) hₙ[t - 1] + delta x b[n, t].

    Channels lie on the partitions; time goes in chunks, whose last state the next one starts from.
    """
    channels, length = x.shape
    y = nl.ndarray((channels, length), dtype=x.dtype, buffer=nl.shared_hbm)
    for top in nl.affine_range(0, channels, 128):
        high = min(128, channels - top)
        rates = loaded(a[top : top + high])
        carry = nl.zeros((high, a.shape[1]), dtype=nl.float32, buffer=nl.sbuf)
        for left in nl.sequential_range(0, length, chunk):
            wide = min(chunk, length - left)
            steps = loaded(delta[top : top + high, left : left + wide])
            values = loaded(x[top : top + high, left : left + wide])
            total = scanned_chunk(steps, values, rates, b, c, carry, left)
            nisa.dma_copy(dst=y[top : top + high, left : left + wide], src=total)
    return y


def expected(delta: Any, x: Any, a: Any, b: Any, c: Any) -> Any:
    state, y = np.zeros(a.shape), np.empty(x.shape)
    for t in range(x.shape[1]):
        step = delta[:, t : t + 1]
        state = np.exp(step * a) * state + step * x[:, t : t + 1] * b[:, t]
        y[:, t] = state @ c[:, t]
    return y


def inputs(channels: int, length: int, states: int, kind: Any) -> list[Any]:
    delta = RNG.uniform(0.01, 0.5, (channels, length))
    x, a = RNG.standard_normal((channels, length)), -RNG.uniform(0.1, 4, (channels, states))
    b, c = RNG.standard_normal((2, states, length))
    return [array.astype(kind) for array in (delta, x, a, b, c)]


@pytest.mark.parametrize(
    ("channels", "length", "states", "chunk"),
    [(128, 64, 4, 64), (130, 50, 3, 16), (1, 1, 1, 8), (7, 129, 16, 128), (256, 20, 2, 1)],
)
def test_selective_scan(channels: int, length: int, states: int, chunk: int) -> None:
    given = inputs(channels, length, states, np.float32)
    want = expected(*(array.astype(np.float64) for array in given))
    np.testing.assert_allclose(selective_scan(*given, chunk), want, rtol=1e-5, atol=1e-5)


def test_selective_scan_of_bfloat16() -> None:
    given = inputs(20, 40, 4, ml_dtypes.bfloat16)
    got = selective_scan(*given, 16)
    want = expected(*(array.astype(np.float64) for array in given))
    assert got.dtype == ml_dtypes.bfloat16
    np.testing.assert_allclose(got.astype(np.float64), want, rtol=2**-8, atol=1e-5)
