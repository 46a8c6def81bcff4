"""Tiles and tensors of the legacy language, and what a subscript of one gives.

A :class:`Tile` is a tensor in HBM, SBUF or PSUM, or a part of one; integers and slices in a subscript give
another (a view). Index tiles give an :class:`Access`: nothing is read until an instruction knows its mask, so
that lanes which the mask leaves out may lie outside the tensor.

On chip a tile keeps its partition dimension and at least one more: ``t[:, 3]`` of ``[128, 512]`` is
``[128, 1]``, ``t[3]`` is ``[1, 512]``. Tensors in HBM lose the dimensions that an integer picks, as in NumPy.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from ..core.dtypes import INTEGER, Array, DType, store
from ..core.errors import fail
from ..core.memory import OFF_CHIP, SBUF
from ..core.tensor import Tensor
from .index import Index
from .masks import Mask, Region, as_mask
from .memory import holding
from .subscripts import resolved, view_of


class Operand:
    """What instructions take: a :class:`Tile` or an :class:`.access.Access`.

    Attributes:
        tile: the tile itself, or the one that is accessed. where: a mask that a subscript gave.
        origin, updated: the subscript that made it, and whether ``+=`` has written it.

    Arithmetic and comparisons are those of ``nl.add``, ``nl.less`` and so on (see :mod:`.elementwise`).
    """

    __slots__ = ("origin", "shape", "tile", "updated", "where")
    shape: tuple[int, ...]
    tile: Tile
    where: Mask | None
    origin: tuple[Any, Any]
    updated: bool
    __array_ufunc__ = None

    @property
    def dtype(self) -> DType:
        return self.tile.tensor.dtype

    @property
    def buffer(self) -> str:
        return self.tile.tensor.buffer

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def itemsize(self) -> int:
        return self.dtype.itemsize

    def part(self, region: Region | None) -> Tensor:
        """The elements in a region, of the shape that the region leaves of this operand's."""
        raise NotImplementedError

    def put(self, values: Tensor, region: Region | None) -> None:
        """Write elements of a region."""
        raise NotImplementedError

    def index_values(self) -> Array:
        """The elements as indexes, as they are now."""
        return self.part(None).read_raw().reshape(self.shape)

    def assert_shape(self, shape: Sequence[int]) -> Operand:
        """The operand itself. Raises SimulationError when it has another shape."""
        if tuple(self.shape) != tuple(shape):
            raise fail(f"{self!r}: its shape must be {list(shape)}")
        return self

    def whole(self) -> Tile:
        """A tile of the same elements, a view if possible."""
        return Tile(self.part(None))

    def reshape(self, shape: Sequence[int]) -> Tile:
        return self.whole().reshape(shape)

    def view(self, dtype: Any) -> Tile:
        return self.whole().view(dtype)

    def broadcast_to(self, shape: Sequence[int]) -> Tile:
        return self.whole().broadcast_to(shape)

    def expand_dims(self, axis: int | Sequence[int]) -> Tile:
        return self.whole().expand_dims(axis)

    def __len__(self) -> int:
        return self.shape[0]

    def __bool__(self) -> bool:
        raise fail(f"{self!r} has no truth value: what it holds is known only when the kernel runs")

    __hash__ = object.__hash__


class Tile(Operand):
    """A tensor or a part of one.

    Attributes:
        tensor: nkisim's. par: which dimension lies on the partitions, those in front of it are blocks.
        region: the lanes that the instruction wrote which made it, None for all; an assignment takes only
            those. product: whether TensorE made it, so that adding it to PSUM costs nothing.
    """

    __slots__ = ("par", "product", "region", "tensor")

    def __init__(self, tensor: Tensor, par: int = 0, *, product: bool = False) -> None:
        self.tensor = tensor
        self.par = par
        self.region: Region | None = None
        self.product = product
        self.where = None
        self.updated = False
        self.origin = (None, None)
        self.tile = self
        self.shape = tensor.array.shape

    def __repr__(self) -> str:
        return repr(self.tensor)

    def part(self, region: Region | None) -> Tensor:
        if self.par:
            raise fail(
                f"{self!r}: its dimension {self.par} lies on the partitions; index the {self.par} block "
                "dimensions in front of it first"
            )
        if region is None:
            return self.tensor
        return self.tensor.like(self.tensor.array[region.slices(self.shape)])

    def put(self, values: Tensor, region: Region | None) -> None:
        if region is None or region.lanes is None:
            write(self.tensor if self.par and region is None else self.part(region), values)
        else:
            write_lanes(self.tensor, values, region.flags(self.shape))

    def __getitem__(self, key: Any) -> Any:
        keys = key if isinstance(key, tuple) else (key,)
        found: Operand
        if len(keys) == 1 and isinstance(keys[0], Mask | bool):
            found = Tile(self.tensor, self.par)
            found.where = as_mask(keys[0])
        else:
            keys = tuple([resolved(k) for k in keys])
            if any(isinstance(k, Index) for k in keys):
                from .access import Access

                found = Access(self, keys)
            else:
                found = Tile(*view_of(self.tensor, self.par, keys))
        found.origin = (self, key)
        return found

    def __setitem__(self, key: Any, value: Any) -> None:
        if (
            isinstance(value, Operand)
            and value.updated
            and value.origin[0] is self
            and value.origin[1] is key
        ):
            value.updated = False  # t[…] += … has written it already
            return
        assign(self[key], value)

    def __iter__(self) -> Any:
        return (self[i] for i in range(self.shape[0]))

    def reshape(self, shape: Sequence[int]) -> Tile:
        """Another factorisation of the same elements; partitions stay partitions."""
        return Tile(self.tensor.reshape(tuple(int(n) for n in shape)), self.par)

    def view(self, dtype: Any) -> Tile:
        """The same bytes as another element type."""
        return Tile(self.tensor.view(dtype), self.par)

    def broadcast_to(self, shape: Sequence[int]) -> Tile:
        """A view that repeats dimensions of size 1."""
        return Tile(self.tensor.broadcast_to(tuple(int(n) for n in shape)), self.par)

    def expand_dims(self, axis: int | Sequence[int]) -> Tile:
        """A view with dimensions of size 1 at these places of the result."""
        axes = (axis,) if isinstance(axis, int) else tuple(axis)
        return Tile(self.tensor.like(np.expand_dims(self.tensor.array, axes)), self.par)


def converted(into: Tensor, values: Tensor, shape: tuple[int, ...]) -> Array:
    """Elements of this shape as ``into`` stores them."""
    same = values.dtype is into.dtype
    found = _shaped(values.read_raw() if same else values.read(), shape, into)
    if same:
        return found
    stored = np.empty(shape, into.dtype.numpy)
    store(stored, found, into.dtype)
    return stored


def _shaped(values: Array, shape: tuple[int, ...], into: Tensor) -> Array:
    if values.shape == shape:
        return values
    try:
        return values.reshape(shape) if values.size == prod(shape) else np.broadcast_to(values, shape)
    except ValueError:
        raise fail(f"{list(values.shape)} elements do not fit into {list(shape)} of a {into!r}") from None


def write(into: Tensor, values: Tensor) -> None:
    """Store all elements, converted, and repeated where the shapes ask for it."""
    found = values.read_raw() if values.dtype is into.dtype else values.read()
    into.write(_shaped(found, into.array.shape, into))


def write_lanes(into: Tensor, values: Tensor, lanes: Array) -> None:
    """Store the elements that have a flag."""
    held = into.read_raw().reshape(into.array.shape)
    into.array[...] = np.where(lanes, converted(into, values, into.array.shape), held)
    note_written(into, lanes)


def note_written(into: Tensor, where: Any) -> None:
    """Tell PSUM which elements have been written, of which ``+=`` must know."""
    if into.storage.written is not None:
        into.written_flags()[where] = True


def assign(target: Operand, value: Any) -> None:
    """``t[…] = value``: a tile, an access or a number into SBUF or PSUM; lanes without a result stay.

    Raises SimulationError for HBM, and for other shapes.
    """
    if target.buffer in OFF_CHIP:
        raise fail(f"{target!r} lies in HBM: write it with nl.store or nisa.dma_copy")
    if hasattr(value, "onto"):
        value = value.onto(target)
    source = value if isinstance(value, Operand) else number(value, target.dtype)
    region = getattr(source, "region", None)
    if region is not None and source.shape != target.shape:
        raise fail(
            f"a masked result of {list(source.shape)} cannot be assigned to {list(target.shape)} lanes"
        )
    if target.where is not None:
        where = target.where if source.where is None else target.where & source.where
        region = where.region(target.shape)
    if region is None or not region.empty:
        target.put(source.part(region), region)


def number(value: Any, dtype: DType) -> Tile:
    """A number as a tile of one element. Raises SimulationError for what is none."""
    if not np.isscalar(value) and not hasattr(value, "__index__"):
        raise fail(f"a {type(value).__name__} cannot be assigned to a tile; use a tile or a number")
    kind = np.int64 if dtype.kind == INTEGER and hasattr(value, "__index__") else np.float32
    held = np.asarray(int(value) if kind is np.int64 else value).astype(kind)
    stored = np.empty((1, 1), dtype.numpy)
    store(stored, held.reshape(1, 1), dtype)
    return Tile(holding(stored, dtype, SBUF))
