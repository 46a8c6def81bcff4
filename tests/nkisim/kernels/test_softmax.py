"""Softmax of rows against float64, and of rows in two passes."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from nkisim import isa as nisa
from nkisim.core import operators as nl
from nkisim.core.running import run
from nkisim.core.tensor import Tensor as ndarray

RNG = np.random.default_rng(43)


def softmax(x: Any) -> Any:
    """128 rows at a time: exponentials and their sums in one instruction of ScalarE."""
    rows, columns = x.shape
    out = ndarray(x.shape, dtype=x.dtype, buffer="shared_hbm")
    for top in range(0, rows, 128):
        high = min(128, rows - top)
        tile = ndarray((high, columns), dtype=x.dtype, buffer="sbuf")
        nisa.dma_copy(dst=tile, src=x[top : top + high])
        shift = ndarray((high, 1), dtype="float32", buffer="sbuf")
        nisa.tensor_reduce(dst=shift, op=nl.maximum, data=tile, axis=1, negate=True)
        powers = ndarray((high, columns), dtype="float32", buffer="sbuf")
        total = ndarray((high, 1), dtype="float32", buffer="sbuf")
        nisa.activation_reduce(
            dst=powers, op=nl.exp, data=tile, reduce_op=nl.add, reduce_res=total, bias=shift, scale=1.0
        )
        share = ndarray((high, 1), dtype="float32", buffer="sbuf")
        nisa.reciprocal(dst=share, data=total)
        result = ndarray((high, columns), dtype=x.dtype, buffer="sbuf")
        nisa.tensor_scalar(dst=result, data=powers, op0=nl.multiply, operand0=share)
        nisa.dma_copy(dst=out[top : top + high], src=result)
    return out


def softmax_online(x: Any, width: int) -> Any:
    """Column blocks one after the other, with a running maximum and a running sum."""
    rows, columns = x.shape
    out = ndarray(x.shape, dtype=x.dtype, buffer="shared_hbm")
    tile = ndarray(x.shape, dtype=x.dtype, buffer="sbuf")
    nisa.dma_copy(dst=tile, src=x)
    top, total = ndarray((rows, 1), dtype="float32"), ndarray((rows, 1), dtype="float32")
    block_top, scale = ndarray((rows, 1), dtype="float32"), ndarray((rows, 1), dtype="float32")
    part = ndarray((rows, 1), dtype="float32")
    nisa.memset(top, -3e38)
    nisa.memset(total, 0.0)
    powers = ndarray((rows, width), dtype="float32")
    for left in range(0, columns, width):
        block = tile[:, left : left + width]
        nisa.tensor_reduce(dst=block_top, op=nl.maximum, data=block, axis=1)
        nisa.tensor_tensor(dst=block_top, data1=block_top, data2=top, op=nl.maximum)
        nisa.tensor_tensor(dst=scale, data1=top, data2=block_top, op=nl.subtract)
        nisa.activation(dst=scale, op=nl.exp, data=scale)
        nisa.tensor_copy(dst=top, src=block_top)
        nisa.tensor_scalar(dst=powers, data=block, op0=nl.subtract, operand0=top)
        nisa.activation_reduce(dst=powers, op=nl.exp, data=powers, reduce_op=nl.add, reduce_res=part)
        nisa.scalar_tensor_tensor(
            dst=total, data=total, op0=nl.multiply, operand0=scale, op1=nl.add, operand1=part
        )
    nisa.reciprocal(dst=total, data=total)
    nisa.tensor_scalar(dst=tile, data=tile, op0=nl.subtract, operand0=top)
    nisa.activation(dst=tile, op=nl.exp, data=tile)
    nisa.tensor_scalar(dst=tile, data=tile, op0=nl.multiply, operand0=total)
    nisa.dma_copy(dst=out, src=tile)
    return out


def expected(x: Any) -> Any:
    powers = np.exp(x.astype(np.float64) - x.astype(np.float64).max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("shape", [(128, 512), (300, 33), (1, 1)])
@pytest.mark.parametrize(("kind", "tolerance"), [(np.float32, 1e-6), (ml_dtypes.bfloat16, 2**-8)])
def test_softmax(shape: tuple[int, int], kind: Any, tolerance: float) -> None:
    x = (RNG.standard_normal(shape) * 4).astype(kind)
    result = run(softmax, (), (x,), {})
    assert result.dtype == x.dtype
    np.testing.assert_allclose(result.astype(np.float64), expected(x), rtol=4 * tolerance, atol=tolerance)


@pytest.mark.parametrize("width", [8, 16, 64])
def test_softmax_in_blocks(width: int) -> None:
    x = (RNG.standard_normal((100, 64)) * 9).astype(np.float32)
    np.testing.assert_allclose(run(softmax_online, (), (x, width), {}), expected(x), rtol=1e-5, atol=1e-7)
