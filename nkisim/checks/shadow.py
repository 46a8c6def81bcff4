"""Notes about bytes: memory beside a tensor's own that holds a byte for each of its bytes.

A tensor's notes are found by giving its view, or its dynamic access, that memory instead of its own.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from ..core.access import Dynamic
from ..core.dtypes import Array
from ..core.memory import Storage
from ..core.tensor import Tensor


@cache
def _signature(function: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(function)


def bound(function: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Operands by name; none when they do not fit, as the call itself will say."""
    try:
        return _signature(function).bind(*args, **kwargs).arguments
    except TypeError:
        return {}


def tensors(what: str, value: Any) -> Iterator[tuple[str, Tensor]]:
    """The tensors in an operand, each with its name."""
    if isinstance(value, Tensor):
        yield what, value
    elif isinstance(value, list | tuple):
        for position, item in enumerate(value):
            yield from tensors(f"{what}[{position}]", item)


def _shadow(tensor: Tensor, notes: Array) -> Tensor:
    """The tensor's view of ``notes`` instead of its memory."""
    own = tensor.storage
    array = np.ndarray(
        tensor.array.shape,
        tensor.array.dtype,
        buffer=notes,
        offset=tensor.start_byte(),
        strides=tensor.array.strides,
    )
    shadow = tensor.like(array)
    shadow.storage = Storage(notes, own.pitch, own.size, own.rows, own.buffer, own.name, own.dtype, own.base)
    if isinstance(tensor.dynamic, Dynamic):
        shadow.dynamic = replace(tensor.dynamic, tensor=_shadow(tensor.dynamic.tensor, notes))
    return shadow


def marks_of(tensor: Tensor, notes: Array, skip: bool = False, skipped: int = 0) -> Array:
    """The notes of a tensor, ``[partitions, bytes]``; rows that a dynamic index skips give ``skipped``."""
    shadow, valid = _shadow(tensor, notes), None
    if isinstance(shadow.dynamic, Dynamic):
        values, valid = shadow.dynamic.get(skip)
    else:
        values = shadow.read_raw()
    rows = values.shape[0] if values.ndim else 1
    marks = np.ascontiguousarray(values).reshape(-1).view(np.uint8).reshape(rows, -1)
    return marks if valid is None else np.where(valid[:, None], marks, np.uint8(skipped))


def put_marks(tensor: Tensor, notes: Array, marks: Array, skip: bool = False) -> None:
    """Write the notes of a tensor; ``marks`` holds one for each byte, in order."""
    shadow = _shadow(tensor, notes)
    values = np.ascontiguousarray(marks).reshape(-1).view(shadow.array.dtype).reshape(shadow.shape)
    if isinstance(shadow.dynamic, Dynamic):
        shadow.dynamic.put(values, skip)
    else:
        shadow.array[...] = values
