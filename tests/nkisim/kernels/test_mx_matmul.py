"""A matmul of bfloat16 matrices through MXFP8: quantised on the core, contracted four values at a time."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from nkisim import isa as nisa
from nkisim.core.errors import SimulationError
from nkisim.core.running import run
from nkisim.core.tensor import Tensor as ndarray

RNG = np.random.default_rng(53)
TYPES = {"float8_e4m3fn_x4": (ml_dtypes.float8_e4m3fn, 8), "float8_e5m2_x4": (ml_dtypes.float8_e5m2, 15)}


def quantized(x: Any, kind: str) -> tuple[Any, Any]:
    """``x[K, F]`` in HBM as a packed tile ``[K / 4, F]`` and its scales; row 4 p + q is value q of row p."""
    deep, columns = x.shape
    rows = deep // 4
    tile = ndarray((rows, columns, 4), dtype=x.dtype, buffer="sbuf")
    nisa.dma_copy(dst=tile, src=x.ap([[4 * columns, rows], [1, columns], [columns, 4]]))
    packed = ndarray((rows, columns), dtype=kind, buffer="sbuf")
    scale = ndarray((rows, columns), dtype="uint8", buffer="sbuf")
    nisa.quantize_mx(dst=packed, src=tile, dst_scale=scale)
    return packed, scale


def mx_matmul(a: Any, b: Any, kinds: tuple[str, str]) -> Any:
    """``a[K, M].T @ b[K, N]`` in steps of 512 rows."""
    c = ndarray((a.shape[1], b.shape[1]), dtype="bfloat16", buffer="shared_hbm")
    total = ndarray(c.shape, dtype="float32", buffer="psum")
    for start in range(0, a.shape[0], 512):
        rows = slice(start, min(start + 512, a.shape[0]))
        (left, left_scale), (right, right_scale) = quantized(a[rows], kinds[0]), quantized(b[rows], kinds[1])
        nisa.nc_matmul_mx(total, left, right, left_scale, right_scale)
    out = ndarray(c.shape, dtype=c.dtype, buffer="sbuf")
    nisa.tensor_copy(out, total)
    nisa.dma_copy(dst=c, src=out)
    return c


def rounded(x: Any, kind: str) -> Any:
    """What quantisation keeps of ``x``: 32 neighbours along K share a power of two."""
    element, top = TYPES[kind]
    groups = x.astype(np.float64).reshape(-1, 32, x.shape[1])
    scale = 2.0 ** (np.floor(np.log2(np.abs(groups).max(axis=1, keepdims=True))) - top)
    largest = float(ml_dtypes.finfo(element).max)
    kept = np.clip(groups / scale, -largest, largest).astype(element).astype(np.float64) * scale
    return kept.reshape(x.shape)


@pytest.mark.parametrize(
    "kinds", [("float8_e4m3fn_x4", "float8_e4m3fn_x4"), ("float8_e5m2_x4", "float8_e4m3fn_x4")]
)
@pytest.mark.parametrize("sizes", [(512, 128, 512), (1024, 64, 96), (640, 2, 3)])
def test_mx_matmul(kinds: tuple[str, str], sizes: tuple[int, int, int]) -> None:
    k, m, n = sizes
    spread = 2.0 ** RNG.integers(-8, 8, (k // 32, 1, 1))
    a = (RNG.standard_normal((k // 32, 32, m)) * spread).reshape(k, m).astype(ml_dtypes.bfloat16)
    b = (RNG.standard_normal((k // 32, 32, n)) / spread).reshape(k, n).astype(ml_dtypes.bfloat16)
    result = run(mx_matmul, (), (a, b, kinds), {}, platform="trn3").astype(np.float64)
    exact = rounded(a, kinds[0]).T @ rounded(b, kinds[1])
    assert np.abs(result - exact).max() <= 2**-8 * np.abs(exact).max()
    true = a.astype(np.float64).T @ b.astype(np.float64)
    assert np.abs(result - true).max() <= 0.12 * np.abs(true).max()


def test_needs_the_fourth_generation() -> None:
    a = np.ones((512, 8), ml_dtypes.bfloat16)
    with pytest.raises(SimulationError, match="quantize_mx: needs NeuronCore-v4, the target is gen3"):
        run(mx_matmul, (), (a, a, ("float8_e4m3fn_x4",) * 2), {}, platform="trn2")
