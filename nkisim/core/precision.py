"""``NKI_PRECISE_FP=0``: 16- and 8-bit floats are kept in float32 storage, so that nothing is rounded to
them.

A kernel's result then shows what its mathematics gives, apart from the rounding of its element types.
Tensors keep their element type, and sizes, capacities and addresses count its bytes; only what holds an
element is wider (``DType.stored`` bytes as ``DType.numpy``). Addressed tensors of one factor of widening
share a memory, in which their addresses are multiplied by it. Bytes cannot be read as another type then,
and packed types do not exist. Results of a launch are float32 arrays.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from .dtypes import ALL, FLOAT, FLOAT8, PACKED, DType
from .errors import fail

LOW = tuple(dtype for dtype in ALL if dtype.kind in (FLOAT, FLOAT8) and dtype.itemsize < 4)
_WIDE = np.dtype(np.float32)


def exact() -> bool:
    """Whether elements are stored as on the chip."""
    return os.environ.get("NKI_PRECISE_FP", "1") != "0"


@contextmanager
def precision() -> Iterator[None]:
    """Around a launch: widens the storage of low-precision types when the environment asks for it."""
    if exact():
        yield
        return
    for dtype in LOW:
        dtype.numpy, dtype.stored = _WIDE, _WIDE.itemsize
    try:
        yield
    finally:
        for dtype in LOW:
            dtype.numpy, dtype.stored = dtype.native, dtype.itemsize


def check_bytes(*dtypes: DType) -> None:
    """Raises SimulationError when bytes of one of these types, to be read as another, are not the chip's."""
    for dtype in dtypes:
        if dtype.stored != dtype.itemsize:
            raise fail(
                f"the bytes of {dtype} cannot be read as another type, or another type's as {dtype}, with "
                "NKI_PRECISE_FP=0: its elements are kept as float32"
            )


def check_packed(dtype: DType) -> None:
    """Raises SimulationError for a packed type while storage is widened."""
    if dtype.kind is PACKED and LOW[0].stored != LOW[0].itemsize:
        raise fail(f"{dtype} packs four values as bytes, which NKI_PRECISE_FP=0 does not have")
