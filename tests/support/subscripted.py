"""A stand-in for tensors that evaluates emitted subscripts and access patterns on NumPy arrays."""

from __future__ import annotations

import numpy as np


class Array:
    """``x[...]``, ``x.ap(...)``, ``x.reshape(...)`` and ``x.shape`` of a tensor; nothing is ever clipped."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values
        self.shape = values.shape

    def __getitem__(self, keys) -> Array:
        keys = keys if isinstance(keys, tuple) else (keys,)
        assert len(keys) <= len(self.shape)
        for key, size in zip(keys, self.shape, strict=False):
            if isinstance(key, slice):
                assert 0 <= (key.start or 0) <= (size if key.stop is None else key.stop) <= size, (key, size)
                assert key.step is None or key.step > 0
            else:
                assert 0 <= key < size
        return Array(np.asarray(self.values[keys]))

    def reshape(self, shape) -> Array:
        return Array(self.values.reshape(shape))

    def ap(self, pattern, offset, scalar_offset=None, vector_offset=None, indirect_dim=0) -> Array:
        places = np.full([count for _, count in pattern], offset)
        row = int(np.prod(self.shape[indirect_dim + 1 :]))
        for axis, (step, count) in enumerate(pattern):
            along = np.arange(count) * step
            if axis == 0 and vector_offset is not None:
                assert indirect_dim == 0
                along = vector_offset.values.reshape(-1) * row
                assert along.size == count
            places = places + along.reshape((-1,) + (1,) * (len(pattern) - axis - 1))
        if scalar_offset is not None:
            places = places + int(scalar_offset.values.reshape(())) * row
        assert places.size == 0 or (places.min() >= 0 and places.max() < self.values.size)
        return Array(self.values.reshape(-1)[places])


class Ds:
    """``nl`` as far as subscripts need it."""

    @staticmethod
    def ds(start: int, size: int) -> slice:
        return slice(start, start + size)


def numbered(*shape: int) -> np.ndarray:
    """An array whose elements all differ."""
    return np.arange(int(np.prod(shape))).reshape(shape)


def evaluated(code: str, **names) -> Array:
    """The value of emitted code."""
    return eval(code, {"nl": Ds, "min": min, "max": max}, names)
