"""``nki.tensor``: trace-time tensors, known when the kernel is compiled.

They are NumPy arrays; arithmetic between them is NumPy's. ``nl.shared_constant`` puts them in HBM.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .core.dtypes import Array, dtype_of


def identity(N: int, dtype: Any = "float32") -> Array:
    """The ``N × N`` identity."""
    return np.eye(N, dtype=np.float32).astype(dtype_of(dtype).native)


def zeros(shape: int | Sequence[int], dtype: Any = "float32") -> Array:
    return np.zeros(shape, dtype_of(dtype).native)


def ones(shape: int | Sequence[int], dtype: Any = "float32") -> Array:
    return np.ones(shape, np.float32).astype(dtype_of(dtype).native)


def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = "float32") -> Array:
    """``start, start + step, …`` below ``stop``; with one argument from 0 to it."""
    values = np.arange(start) if stop is None else np.arange(start, stop, step)
    return values.astype(dtype_of(dtype).native)
