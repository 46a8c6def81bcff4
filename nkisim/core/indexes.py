"""Indexes: what stands in the brackets of ``tensor[…]``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .access import scalar_value
from .context import state
from .dtypes import INTEGER
from .errors import fail
from .registers import Register
from .unsupported import Unsupported

if TYPE_CHECKING:
    from .tensor import Tensor

INTEGERS = (int, np.integer)
_TENSOR: Any = Unsupported
LATE: tuple[Any, ...] = (Register, _TENSOR)
"""What has a value when the program runs: registers and tensors."""
BOUNDS = (*INTEGERS, *LATE)


class Slice:
    """``nl.ds(start, size)`` with a start that is known when the program runs."""

    __slots__ = ("size", "start")

    def __init__(self, start: Any, size: int) -> None:
        self.start = start
        self.size = size

    def resolve(self) -> slice:
        """The slice, with the start that is known now."""
        start = _index_value(self.start)
        return slice(start, start + self.size)


def ds(start: Any, size: int) -> Any:
    """``start : start + size``; start may be a register or a one-element tensor."""
    return Slice(start, size) if isinstance(start, LATE) else slice(start, start + size)


def plain(key: Any) -> Any:
    """An index as NumPy takes it; registers and one-element tensors give their present value."""
    if isinstance(key, slice):
        if all(bound is None or type(bound) is int for bound in (key.start, key.stop, key.step)):
            return key
        bounds = (key.start, key.stop, key.step)
        if not all(bound is None or isinstance(bound, BOUNDS) for bound in bounds):
            raise fail(f"{_spelled(key)} is no range of integers")
        return slice(*(bound if bound is None else _index_value(bound) for bound in bounds))
    if isinstance(key, Slice):
        return key.resolve()
    return _index_value(key) if isinstance(key, (*LATE, np.integer)) else key


def _index_value(source: Any) -> int:
    """The integer that an index has now. Raises SimulationError for a tensor of other numbers."""
    if isinstance(source, _TENSOR) and source.dtype.kind != INTEGER:
        raise fail(f"an index must be an integer; {source!r} holds other numbers (copy it to int32)")
    return scalar_value(source)


def fits(keys: tuple[Any, ...], dims: tuple[int, ...]) -> bool:
    """Whether these are plain integers and forward slices in the tensor: the usual case, found quickly."""
    if len(keys) > len(dims):
        return False
    for axis, key in enumerate(keys):
        if key.__class__ is slice:
            start, stop, step = key.start, key.stop, key.step
            if start is None:
                start = 0
            if stop is None:
                stop = dims[axis]
            if not (start.__class__ is stop.__class__ is int and 0 <= start < stop <= dims[axis]):
                return False
            if step is not None and (step.__class__ is not int or step < 1):
                return False
        elif key.__class__ is not int or not 0 <= key < dims[axis]:
            return False
    return True


def names_first(keys: tuple[Any, ...], ndim: int) -> bool:
    """Whether the first dimension's index, an integer, stands behind an ellipsis that stands for nothing."""
    return keys[0] is Ellipsis and len(keys) > ndim and isinstance(keys[1], int)


def check(tensor: Tensor, keys: tuple[Any, ...]) -> None:
    """Indexes must lie in the tensor: NumPy would clip a slice in silence."""
    dims = tensor.array.shape
    axis = 0
    for position, key in enumerate(keys):
        if key is Ellipsis and Ellipsis not in keys[:position]:
            axis = len(dims) - (len(keys) - position - 1)
            continue
        if not isinstance(key, int | slice) or isinstance(key, bool):
            raise fail(f"{key!r} is no index in NKI (integers, slices, nl.ds, registers and one ...)")
        if state.strict and isinstance(key, int) and key < 0:
            raise fail(f"index {key} is negative; an integer counts from the start of {tensor!r}")
        if axis >= len(dims):
            raise fail(f"too many indexes for {tensor!r}: {len(keys)}")
        problem = _problem(key, dims[axis])
        if problem:
            raise fail(f"index {_spelled(key)} {problem}: dimension {axis} of {tensor!r} has {dims[axis]}")
        axis += 1


def _problem(key: Any, size: int) -> str:
    """What is wrong with an index of a dimension, or nothing. Numbers below 0 count from the end."""
    if isinstance(key, int):
        return "" if -size <= key < size else "is out of bounds"
    if key.step == 0:
        return "has a step of 0"
    if not all(bound is None or -size <= bound <= size for bound in (key.start, key.stop)):
        return "is out of bounds"
    return "" if len(range(*key.indices(size))) else "names no element"


def _spelled(key: Any) -> str:
    if isinstance(key, int):
        return str(key)
    parts = (key.start, key.stop) if key.step is None else (key.start, key.stop, key.step)
    return ":".join("" if part is None else str(part) for part in parts)
