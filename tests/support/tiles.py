"""Tensors for tests of instructions: made from values, read back as NumPy arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from nkisim.core.memory import HBM, PSUM, SBUF
from nkisim.core.tensor import Tensor


def tile(values: Any, dtype: str | None = None, buffer: str = SBUF) -> Tensor:
    """A tensor that holds the values; the type is the values' own unless given."""
    array = np.asarray(values)
    made = Tensor(array.shape, dtype or array.dtype, buffer=buffer)
    made.write(array.astype(made.dtype.numpy))
    return made


def psum(shape: tuple[int, ...], dtype: str = "float32") -> Tensor:
    return Tensor(shape, dtype, buffer=PSUM)


def sbuf(shape: tuple[int, ...], dtype: str = "float32") -> Tensor:
    return Tensor(shape, dtype, buffer=SBUF)


def hbm(values: Any, dtype: str | None = None) -> Tensor:
    return tile(values, dtype, HBM)


def got(tensor: Tensor) -> Any:
    """The values as float32, in the tensor's own shape."""
    return np.array(tensor.read().reshape(tensor.shape))


def raw(tensor: Tensor) -> Any:
    """The values as they are stored, in the tensor's own shape."""
    return np.array(tensor.read_raw().reshape(tensor.shape))
