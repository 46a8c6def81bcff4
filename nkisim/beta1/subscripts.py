"""Subscripts: integers and slices as views, and all kinds of keys as indexes of an access."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.access import scalar_value
from ..core.errors import SimulationError, fail
from ..core.registers import Register
from ..core.tensor import Slice, Tensor
from .index import Affine, Index, as_index
from .memory import ON_CHIP


class OutOfBounds(SimulationError, IndexError):
    """An index lies outside of its tensor. An IndexError too, which the legacy simulator raises."""


def resolved(key: Any) -> Any:
    """A key as an integer, slice, None, ellipsis or index; registers and tiles give what they hold now."""
    if key is None or key is Ellipsis or type(key) is int or isinstance(key, Index):
        return key
    if isinstance(key, slice):
        bounds = (key.start, key.stop, key.step)
        if all(bound is None or type(bound) is int for bound in bounds):
            return key
        return slice(*(bound if bound is None else _integer(bound) for bound in bounds))
    if isinstance(key, Slice):
        start = _integer(key.start)
        return slice(start, start + key.size)
    if isinstance(key, Register | np.integer):
        return int(key)
    index = as_index(key)
    return (
        index.offset
        if isinstance(index, Affine) and index.array.size == 1 and not any(index.steps)
        else index
    )


def _integer(value: Any) -> int:
    if isinstance(value, int | np.integer | Register):
        return int(value)
    index = as_index(value)
    if index.array.size != 1:
        raise fail(f"a bound of a slice must be one integer, not {value!r}")
    return int(index.array.reshape(-1)[0])


def filled(keys: tuple[Any, ...], tensor: Tensor) -> tuple[Any, ...]:
    """Keys for all dimensions: an ellipsis, or what is missing at the end, stands for whole ones."""
    ndim = tensor.array.ndim
    missing = ndim - sum(k is not None and k is not Ellipsis for k in keys)
    if missing < 0:
        raise fail(f"too many indexes for {tensor!r}: {len(keys)}")
    at = next((i for i, k in enumerate(keys) if k is Ellipsis), len(keys))
    return (*keys[:at], *(slice(None),) * missing, *keys[at + 1 :])


def _checked(key: Any, size: int, axis: int, tensor: Tensor) -> Any:
    """A key of one dimension, counted from its start. Raises OutOfBounds."""
    if isinstance(key, slice):
        wrong = next(
            (bound for bound in (key.start, key.stop) if bound is not None and not -size <= bound <= size),
            None,
        )
        if wrong is None:
            return key
    elif -size <= key < size:
        return key % size
    else:
        wrong = key
    text = f"index {wrong} is out of bounds: dimension {axis} of {tensor!r} has {size}"
    raise OutOfBounds(str(fail(text)))


def view_of(tensor: Tensor, par: int, keys: tuple[Any, ...]) -> tuple[Tensor, int]:
    """The part of a tensor that integers and slices name, and its dimension on the partitions."""
    on_chip = tensor.buffer in ON_CHIP
    picked: list[Any] = []
    axis = kept = 0
    lies = 0
    for key in filled(keys, tensor):
        if key is None:
            picked.append(None)
            kept += 1
            continue
        found = _checked(key, tensor.array.shape[axis], axis, tensor)
        if on_chip and axis == par:
            lies = kept
            found = found if isinstance(found, slice) else slice(found, found + 1)
        picked.append(found)
        kept += isinstance(found, slice)
        axis += 1
    picked.append(Ellipsis)
    array = tensor.array[tuple(picked)]
    if on_chip and lies == array.ndim - 1:
        array = array[..., None]
    return tensor.like(array, partitioned=lies == 0), lies


def indices_of(tensor: Tensor, keys: tuple[Any, ...]) -> tuple[Index, ...]:
    """One index for each dimension; slices run along axes of their own behind those of the index tiles."""
    keys = filled(keys, tensor)
    if any(key is None for key in keys):
        raise fail(f"None and index tiles cannot be mixed in a subscript of {tensor!r}")
    slices = sum(isinstance(key, slice) for key in keys)
    found: list[Index] = []
    seen = 0
    for axis, (key, size) in enumerate(zip(keys, tensor.array.shape, strict=True)):
        if isinstance(key, slice):
            run = range(*_checked(key, size, axis, tensor).indices(size))
            seen += 1
            behind = slices - seen
            found.append(Affine(run.start, (len(run),) + (1,) * behind, (run.step,) + (0,) * behind))
        elif isinstance(key, Index):
            behind_all = (Ellipsis, *(None,) * slices)
            found.append(key[behind_all] if slices else key)  # type: ignore[index]
        else:
            found.append(as_index(_checked(key, size, axis, tensor)))
    return tuple(found)


def scalar(value: Any) -> int:
    """The integer that a register, a tile of one element, or a number holds now."""
    return scalar_value(value) if isinstance(value, Tensor) else _integer(value)
