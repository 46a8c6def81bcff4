"""Static and row quantisation: scales, clipping, and values that are zero."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import nki.language as nl
import numpy as np
import pytest
from blockcheck import BF16, FP8, FP32, drawn, in_hbm, in_sbuf, sbuf
from kernels import check_close, launch, rejected

from nkilib.blocks import quantize
from nkilib.blocks.memory import manager

F32 = np.float32


def rows(x: Any, bound: float | None = None) -> Any:
    """Quantised rows, their scales, and what became of the source."""

    def kernel(x: Any) -> Any:
        tile, q, scale = in_sbuf(x), sbuf(x.shape, nl.float8_e4m3), sbuf((x.shape[0], 1))
        quantize.quantize_rows(q, scale, tile, manager(), bound)
        return in_hbm(q), in_hbm(scale), in_hbm(tile)

    return launch(kernel, x)


@pytest.mark.parametrize("bound", [None, 0.5, 100.0])
def test_rows_have_scales_of_their_own(bound: float | None) -> None:
    x = (drawn((20, 300), FP32) * np.linspace(0.1, 9, 20)[:, None]).astype(BF16)
    x[3] = -np.abs(x[3])
    q, scale, left = rows(x, bound)
    limit = np.inf if bound is None else bound
    clipped = np.clip(x.astype(F32), -limit, limit)
    want = np.maximum(np.abs(clipped).max(1, keepdims=True) / 240, 1e-6)
    check_close(scale, want, rtol=1e-6)
    assert np.array_equal(left.astype(F32), clipped)
    check_close(q, np.clip((clipped / want), -240, 240).astype(FP8), rtol=0.0625)
    assert np.abs(q.astype(F32)).max() == 240
    error = np.abs(q.astype(F32) * scale - clipped)
    assert (error <= np.maximum(np.abs(clipped) / 16, scale * 2**-10) * 1.001).all()


def test_a_row_of_zeros() -> None:
    q, scale, _ = rows(np.zeros((2, 8), BF16))
    assert (q.astype(F32) == 0).all()
    assert (scale == F32(1e-6)).all()


@pytest.mark.parametrize(
    ("dtype", "kind", "largest"), [(nl.float8_e4m3, FP8, 240), (nl.float8_e5m2, ml_dtypes.float8_e5m2, 57344)]
)
def test_static(dtype: Any, kind: Any, largest: float) -> None:
    def kernel(x: Any, scale: Any) -> Any:
        q, inverse = sbuf(x.shape, dtype), sbuf(scale.shape)
        quantize.invert(inverse, in_sbuf(scale))
        quantize.quantize_static(q, in_sbuf(x), inverse, manager())
        return in_hbm(q)

    x = drawn((20, 300), scale=largest / 2)
    scale = np.full((20, 1), 0.75, F32)
    scaled = (x.astype(F32) * (1 / scale)).astype(BF16).astype(F32)
    got = launch(kernel, x, scale)
    assert np.array_equal(got.astype(F32), np.clip(scaled, -largest, largest).astype(kind).astype(F32))
    assert np.abs(got.astype(F32)).max() == largest


def test_largest_of_a_row() -> None:
    def kernel(x: Any) -> Any:
        top = sbuf((x.shape[0], 1))
        quantize.row_abs_max(top, in_sbuf(x), manager())
        return in_hbm(top)

    x = np.array([[1, -3, 2], [-1, 0.5, 0.25], [0, 0, 0], [1, 2, 3]], F32)
    assert launch(kernel, x)[:, 0].tolist() == [3, 1, 0, 3]


def test_only_to_fp8() -> None:
    with rejected("bfloat16"):
        launch(lambda x: quantize.quantize_static(in_sbuf(x), in_sbuf(x), 1.0, manager()), drawn((2, 8)))
