"""Attention with an online softmax, block by block, against float64; causal and not."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from nkisim import isa as nisa
from nkisim import language as nl
from nkisim.kernel import jit

RNG = np.random.default_rng(67)
BLOCK = 128
FAR_BELOW = -1e30
"""Instead of -inf, whose difference with itself is not a number."""


def loaded(source: Any) -> Any:
    tile = nl.ndarray(source.shape, dtype=source.dtype, buffer=nl.sbuf)
    nisa.dma_copy(dst=tile, src=source)
    return tile


def flipped(tile: Any) -> Any:
    """``[rows, columns]`` → ``[columns, rows]`` through PSUM."""
    rows, columns = tile.shape
    bank = nl.ndarray((columns, rows), dtype=tile.dtype, buffer=nl.psum)
    nisa.nc_transpose(dst=bank, data=tile)
    result = nl.ndarray((columns, rows), dtype=tile.dtype, buffer=nl.sbuf)
    nisa.tensor_copy(dst=result, src=bank)
    return result


def scored(queries: Any, keys: Any, scale: float, ahead: int, masked: bool) -> Any:
    """``scale · q kᵀ`` in float32; with ``masked`` key j counts for query i when ``i + ahead >= j``."""
    rows, columns = queries.shape[1], keys.shape[1]
    bank = nl.ndarray((rows, columns), dtype=nl.float32, buffer=nl.psum)
    nisa.nc_matmul(dst=bank, stationary=queries, moving=keys)
    scores = nl.ndarray((rows, columns), dtype=nl.float32, buffer=nl.sbuf)
    nisa.activation(dst=scores, op=nl.copy, data=bank, scale=scale)
    if masked:
        nisa.affine_select(
            dst=scores,
            pattern=[[-1, columns]],
            offset=ahead,
            channel_multiplier=1,
            on_true_tile=scores,
            on_false_value=FAR_BELOW,
            cmp_op=nl.greater_equal,
        )
    return scores


def added_block(scores: Any, values: Any, top: Any, total: Any, mixed: Any) -> None:
    """Take one block of scores and values into the running maximum, the sum and the weighted values."""
    rows, columns = scores.shape
    negative = nl.ndarray((rows, 1), dtype=nl.float32, buffer=nl.sbuf)
    nisa.tensor_reduce(dst=negative, op=nl.maximum, data=scores, axis=1)
    nisa.tensor_tensor(dst=negative, data1=negative, data2=top, op=nl.maximum)
    shrink = nl.ndarray((rows, 1), dtype=nl.float32, buffer=nl.sbuf)
    nisa.tensor_tensor(dst=shrink, data1=top, data2=negative, op=nl.subtract)
    nisa.activation(dst=shrink, op=nl.exp, data=shrink)
    nisa.tensor_copy(dst=top, src=negative)
    nisa.tensor_scalar(dst=negative, data=negative, op0=nl.multiply, operand0=-1.0)
    powers = nl.ndarray((rows, columns), dtype=values.dtype, buffer=nl.sbuf)
    part = nl.ndarray((rows, 1), dtype=nl.float32, buffer=nl.sbuf)
    nisa.activation(
        dst=powers,
        op=nl.exp,
        data=scores,
        bias=negative,
        reduce_op=nl.add,
        reduce_res=part,
        reduce_cmd=nisa.reduce_cmd.reset_reduce,
    )
    nisa.scalar_tensor_tensor(
        dst=total, data=total, op0=nl.multiply, operand0=shrink, op1=nl.add, operand1=part
    )
    bank = nl.ndarray(mixed.shape, dtype=nl.float32, buffer=nl.psum)
    nisa.nc_matmul(dst=bank, stationary=flipped(powers), moving=values)
    nisa.scalar_tensor_tensor(
        dst=mixed, data=mixed, op0=nl.multiply, operand0=shrink, op1=nl.add, operand1=bank
    )


def attended(q: Any, k: Any, v: Any, first: int, rows: int, causal: bool) -> Any:
    """The rows of the result that begin with query ``first``."""
    depth, keys = q.shape[1], k.shape[0]
    queries = flipped(loaded(q[first : first + rows]))
    top = nl.full((rows, 1), FAR_BELOW, dtype=nl.float32, buffer=nl.sbuf)
    total = nl.zeros((rows, 1), dtype=nl.float32, buffer=nl.sbuf)
    mixed = nl.zeros((rows, depth), dtype=nl.float32, buffer=nl.sbuf)
    last = first + keys - q.shape[0]  # the last key that the first query sees, when causal
    for left in nl.sequential_range(0, keys, BLOCK):
        wide = min(BLOCK, keys - left)
        if not causal or left <= last + rows - 1:
            block = flipped(loaded(k[left : left + wide]))
            scores = scored(queries, block, depth**-0.5, last - left, causal and left + wide - 1 > last)
            added_block(scores, loaded(v[left : left + wide]), top, total, mixed)
    nisa.reciprocal(dst=total, data=total)
    nisa.tensor_scalar(dst=mixed, data=mixed, op0=nl.multiply, operand0=total)
    return mixed


@jit
def flash_attention(q: Any, k: Any, v: Any, causal: bool) -> Any:
    """softmax(q kᵀ / √d) v of ``[queries, d]`` and ``[keys, d]``; causal: the last query sees all keys."""
    out = nl.ndarray(q.shape, dtype=q.dtype, buffer=nl.shared_hbm)
    for first in nl.affine_range(0, q.shape[0], BLOCK):
        rows = min(BLOCK, q.shape[0] - first)
        nisa.dma_copy(dst=out[first : first + rows], src=attended(q, k, v, first, rows, causal))
    return out


def expected(q: Any, k: Any, v: Any, causal: bool) -> Any:
    scores = q @ k.T / np.sqrt(q.shape[1])
    if causal:
        place = np.arange(len(q))[:, None] + len(k) - len(q)
        scores = np.where(place >= np.arange(len(k)), scores, -np.inf)
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True) @ v


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(
    ("queries", "keys", "depth"),
    [(128, 128, 64), (256, 256, 128), (200, 200, 40), (1, 300, 128), (130, 257, 16), (5, 5, 1)],
)
def test_flash_attention(queries: int, keys: int, depth: int, causal: bool) -> None:
    q = (RNG.standard_normal((queries, depth)) * 3).astype(np.float32)
    k, v = RNG.standard_normal((2, keys, depth)).astype(np.float32)
    want = expected(*(array.astype(np.float64) for array in (q, k, v)), causal)
    np.testing.assert_allclose(flash_attention(q, k, v, causal), want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("causal", [False, True])
def test_flash_attention_of_bfloat16(causal: bool) -> None:
    """Weights are rounded to bfloat16 before they meet the values: a few units of 2⁻⁸ of their sizes."""
    q, k, v = RNG.standard_normal((3, 190, 32)).astype(ml_dtypes.bfloat16)
    got = flash_attention(q, k, v, causal)
    want = expected(*(array.astype(np.float64) for array in (q, k, v)), causal)
    assert got.dtype == ml_dtypes.bfloat16
    np.testing.assert_allclose(got.astype(np.float64), want, rtol=2**-8, atol=2**-7)
