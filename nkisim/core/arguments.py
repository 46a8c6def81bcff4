"""Kernel arguments and results: NumPy, torch and jax arrays in, the same kind out.

Tensors share the caller's memory where they can, so that parameters written in place are updated; arrays that
had to be copied are copied back. Objects are copied for each core, as the compiler does; tensors stay shared.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from enum import Enum
from logging import Logger
from types import ModuleType
from typing import Any

import ml_dtypes
import numpy as np

from .dtypes import Array, DType, dtype_of
from .memory import Storage
from .tensor import Tensor, argument

_PLAIN = (bool, int, float, str, bytes, DType, Tensor, Enum, type, np.generic, np.dtype, ModuleType, Logger)
NARROWED = {np.dtype(np.float64): np.float32, np.dtype(np.int64): np.int32, np.dtype(np.uint64): np.uint32}
"""Types that NKI has not, and what kernels get instead."""


class Arguments:
    """Wraps what a launch was given; one object for all cores of the launch.

    Arrays become ``nl.hbm`` tensors, also on two cores, which share them: documented kernels test for that.
    ``kind`` is the caller's kind of array: numpy, torch or jax.
    """

    def __init__(self) -> None:
        self.kind = "numpy"
        self._known: dict[int, tuple[Any, Tensor]] = {}
        self._back: list[Callable[[], None]] = []
        self._handed: list[Storage] = []

    def wrap(self, value: Any) -> Any:
        """The value as a kernel sees it."""
        return self._wrap(value, {})

    def call(self, args: Any, kwargs: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """The arguments of one core: objects are its own copies, one for each original."""
        copies: dict[int, Any] = {}
        wrapped = [self._wrap(value, copies) for value in args]
        return wrapped, {name: self._wrap(value, copies) for name, value in kwargs.items()}

    def _wrap(self, value: Any, copies: dict[int, Any]) -> Any:
        if value is None or isinstance(value, _PLAIN):
            return value
        if id(value) in self._known:
            return self._known[id(value)][1]
        tensor = self._tensor(value)
        if tensor is not None:
            self._known[id(value)] = (value, tensor)
            return tensor
        if id(value) not in copies:
            copies[id(value)] = value
            copies[id(value)] = self._container(value, copies)
        return copies[id(value)]

    def _container(self, value: Any, copies: dict[int, Any]) -> Any:
        if isinstance(value, list | tuple):
            return _rebuilt(value, [self._wrap(item, copies) for item in value])
        if isinstance(value, dict):
            return {key: self._wrap(item, copies) for key, item in value.items()}
        if callable(value) or not hasattr(value, "__dict__"):
            return value
        twin = copies[id(value)] = copy.copy(value)
        for name, item in vars(value).items():
            object.__setattr__(twin, name, self._wrap(item, copies))
        return twin

    def _tensor(self, value: Any) -> Tensor | None:
        module = type(value).__module__.partition(".")[0]
        if isinstance(value, np.ndarray):
            return self._argument(value)
        if module == "torch" and hasattr(value, "detach"):
            self.kind = "torch"
            return self._argument(from_torch(value))
        if module in {"jax", "jaxlib"} and hasattr(value, "__array__"):
            self.kind = "jax"
            return self._argument(np.array(value))
        return None

    def _argument(self, array: Array) -> Tensor:
        kind = dtype_of(NARROWED.get(array.dtype, array.dtype))
        used = np.ascontiguousarray(array, kind.numpy)
        if used is not array and array.flags.writeable:
            before = used.copy()
            self._back.append(lambda: _copy_back(array, used, before))
        return argument(used, dtype=kind)

    def storage_of(self, array: Array) -> Storage:
        """The memory of an argument, or of an attribute of one."""
        return self._known[id(array)][1].storage

    def finish(self, result: Any) -> Any:
        """Update parameters that could not be shared, and hand the result to the caller in its own kind."""
        for update in self._back:
            update()
        return self._unwrap(result)

    def _unwrap(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            array = value.read_raw() if value.partitioned else value.array
            return self._owned(array if self._hand_over(value) else np.array(array))
        if isinstance(value, list | tuple):
            return _rebuilt(value, [self._unwrap(item) for item in value])
        if isinstance(value, dict):
            return {key: self._unwrap(item) for key, item in value.items()}
        return value

    def _hand_over(self, tensor: Tensor) -> bool:
        """Whether the caller may have the tensor's own memory: HBM of this launch, all of it, once."""
        storage = tensor.storage
        whole = storage.pitch is None and tensor.dynamic is None and tensor.array.flags.c_contiguous
        if not whole or tensor.array.nbytes != storage.raw.nbytes or storage.raw.base is not None:
            return False
        if any(storage is given for given in self._handed):
            return False
        self._handed.append(storage)
        return True

    def _owned(self, array: Array) -> Any:
        if self.kind == "torch":
            return _to_torch(array)
        if self.kind == "jax":
            import jax.numpy

            return jax.numpy.asarray(array)
        return array


def _rebuilt(value: Any, items: list[Any]) -> Any:
    return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)


def _copy_back(into: Array, new: Array, before: Array) -> None:
    if not np.array_equal(new.reshape(-1).view(np.uint8), before.reshape(-1).view(np.uint8)):
        into[...] = new.reshape(into.shape)


def _torch_types() -> dict[Any, tuple[Any, Any]]:
    """torch type NumPy does not know → (integer type of its size, ml_dtypes type)."""
    import torch

    return {
        torch.bfloat16: (torch.int16, ml_dtypes.bfloat16),
        torch.float8_e4m3fn: (torch.uint8, ml_dtypes.float8_e4m3fn),
        torch.float8_e5m2: (torch.uint8, ml_dtypes.float8_e5m2),
    }


def from_torch(value: Any) -> Array:
    """A torch tensor as a NumPy array of the same memory; bfloat16 and float8 by ml_dtypes."""
    tensor = value.detach()
    bits = _torch_types().get(tensor.dtype)
    if bits is None:
        return np.asarray(tensor.numpy())
    return np.asarray(tensor.view(bits[0]).numpy()).view(bits[1])


def _to_torch(array: Array) -> Any:
    import torch

    for kind, (bits, numpy) in _torch_types().items():
        if array.dtype == np.dtype(numpy):
            return torch.from_numpy(array.view(np.int16 if bits is torch.int16 else np.uint8)).view(kind)
    return torch.from_numpy(array)
