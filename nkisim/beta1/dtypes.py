"""Element types of results: the promotion rules of the legacy language, as its API pages state them.

Element types are those of nkisim; here is only what the legacy language adds: which type an instruction's
result has when ``dtype=`` does not say.
"""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

from ..core import dtypes
from ..core.dtypes import INTEGER, DType, dtype_of
from ..core.registers import Register

_RANK = {
    dtypes.float8_e4m3: 1,
    dtypes.float8_e5m2: 1,
    dtypes.float8_e4m3fn: 1,
    dtypes.float8_e8m0fnu: 1,
    dtypes.float16: 2,
    dtypes.bfloat16: 2,
    dtypes.tfloat32: 3,
    dtypes.float32: 4,
}
"""How wide a float type is. Of two, the wider one is taken."""
_WIDENED = {1: dtypes.bfloat16, 2: dtypes.float32}
"""The type that holds the values of two different ones of a rank."""
_WEAK: dict[type, DType] = {
    bool: dtypes.uint8,
    int: dtypes.int32,
    float: dtypes.float32,
    Register: dtypes.int32,
}
"""What a Python number counts as: the widest type of its kind that the hardware has."""
_NARROWED = {np.dtype(np.float64): dtypes.float32, np.dtype(np.int64): dtypes.int32}


def type_of(value: Any) -> DType:
    """The element type of a tile, of a NumPy number, or the one that a Python number counts as."""
    weak = _WEAK.get(type(value))
    if weak is not None:
        return weak
    found = value.dtype
    if isinstance(found, np.dtype):
        narrowed = _NARROWED.get(found)
        return dtype_of(found) if narrowed is None else narrowed
    return dtype_of(found)


def promoted(first: DType, second: DType) -> DType:
    """The element type of a result of operands of these types."""
    if first is second:
        return first
    integers = first.kind == INTEGER, second.kind == INTEGER
    if all(integers):
        wider = np.promote_types(first.numpy, second.numpy)
        return dtypes.float32 if wider.kind == "f" or wider.itemsize > 4 else dtype_of(wider)
    if any(integers):
        return second if integers[0] else first
    ranks = _RANK[first], _RANK[second]
    if ranks[0] == ranks[1]:
        return _WIDENED[ranks[0]]
    return first if ranks[0] > ranks[1] else second


def result_type(dtype: Any, *operands: Any) -> DType:
    """The element type of a result: what ``dtype=`` says, else the operands' promoted types."""
    if dtype is not None:
        return dtype_of(dtype)
    found = type_of(operands[0])
    for other in operands[1:]:
        found = promoted(found, type_of(other))
    return found


def finfo(dtype: Any) -> Any:
    """Limits of a float type: ``min``, ``max``, ``eps`` …"""
    return ml_dtypes.finfo(dtype_of(dtype).numpy)  # type: ignore[no-untyped-call]


class _Limits:
    """Smallest and largest finite value of a float type, as Python numbers."""

    def __init__(self, dtype: DType) -> None:
        limits = finfo(dtype)
        self.min, self.max = float(limits.min), float(limits.max)


fp32, bfp16 = _Limits(dtypes.float32), _Limits(dtypes.bfloat16)


def static_cast(input_data: Any, dtype: Any) -> Any:
    """A number or array in another element type."""
    if hasattr(input_data, "astype"):
        return input_data.astype(dtype_of(dtype).numpy)
    return dtype_of(dtype)(input_data)
