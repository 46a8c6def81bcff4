"""Average pooling through one five-dimensional access pattern."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nkisim import isa as nisa
from nkisim.core import operators as nl
from nkisim.core.running import run
from nkisim.core.tensor import Tensor as ndarray

RNG = np.random.default_rng(47)


def average_pool(x: Any, size: int) -> Any:
    """``[C, H, W]`` to ``[C, H / size, W / size]``; channels on partitions."""
    channels, high, wide = x.shape
    shape = channels, high // size, wide // size
    out = ndarray(shape, dtype=x.dtype, buffer="shared_hbm")
    source = ndarray(x.shape, dtype=x.dtype, buffer="sbuf")
    nisa.dma_copy(dst=source, src=x)
    windows = source.ap(
        [[high * wide, channels], [size * wide, shape[1]], [size, shape[2]], [wide, size], [1, size]]
    )
    total = ndarray(shape, dtype="float32", buffer="sbuf")
    nisa.tensor_reduce(dst=total, op=nl.add, data=windows, axis=[3, 4])
    mean = ndarray(shape, dtype=x.dtype, buffer="sbuf")
    nisa.tensor_scalar(dst=mean, data=total, op0=nl.multiply, operand0=1.0 / (size * size))
    nisa.dma_copy(dst=out, src=mean)
    return out


@pytest.mark.parametrize(
    ("shape", "size"), [((128, 16, 16), 2), ((3, 12, 6), 3), ((1, 4, 8), 4), ((5, 3, 2), 1), ((7, 9, 11), 2)]
)
def test_average_pool(shape: tuple[int, int, int], size: int) -> None:
    x = RNG.standard_normal(shape).astype(np.float32)
    result = run(average_pool, (), (x, size), {})
    for c, i, j in np.ndindex(result.shape):
        window = x[c, i * size : (i + 1) * size, j * size : (j + 1) * size].astype(np.float64)
        assert abs(result[c, i, j] - window.mean()) < 1e-6


def test_more_channels_than_partitions_are_refused() -> None:
    with pytest.raises(AssertionError, match="129 partitions; the hardware has 128"):
        run(average_pool, (), (np.zeros((129, 4, 4), np.float32), 2), {})
