"""Memory regions: bytes of SBUF or PSUM that tensors can be views of.

region = nl.sbuf.ptr(size=(128, 256), offset=(0, 1024))     # partitions, bytes in each
t = region.view(nl.bfloat16, (128, 128))                    # or nl.ndarray(..., buffer=region)
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any

from .dtypes import dtype_of, uint8
from .errors import fail

if TYPE_CHECKING:
    from .tensor import Tensor

Extent = tuple[int, int]
"""Partitions, and bytes in each of them."""


class Buffer(str):
    """The name of a memory, and the region that is all of it."""

    __slots__ = ()

    def ptr(self, size: Extent, offset: Extent | None = None) -> Region:
        """A region of ``size``; without an offset anywhere, with one at that partition and byte.

        Raises SimulationError when it does not fit into the memory.
        """
        from .tensor import Tensor

        return Region(Tensor(size, uint8, str(self), address=offset))


class Region:
    """A region; what it holds is given by the views of it."""

    def __init__(self, contents: Tensor) -> None:
        self._bytes = contents

    @property
    def size(self) -> Extent:
        """Partitions, and bytes of each."""
        rows, width = self._bytes.shape
        return rows, width

    def ptr(self, size: Extent, offset: Extent = (0, 0)) -> Region:
        """A part of this region. Raises SimulationError when it runs out of it."""
        (rows, width), (row, byte) = size, offset
        return Region(self._bytes[row : row + rows, byte : byte + width])

    def view(self, dtype: Any, shape: Sequence[int]) -> Tensor:
        """A tensor in the first bytes of the region. Raises SimulationError when it does not fit."""
        kind, dims = dtype_of(dtype), tuple(int(n) for n in shape)
        width = prod(dims[1:]) * kind.itemsize
        rows, room = self.size
        if dims[0] > rows or width > room:
            raise fail(f"a tensor {list(dims)} {kind} does not fit into a region of {rows} × {room} bytes")
        storage = self._bytes.storage
        if storage.fresh:
            storage.dtype = kind  # unwritten memory reads as this type's NaN
        return self._bytes[: dims[0], :width].view(kind).reshape(dims)
