"""Tensors subscripted with index tiles."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.dtypes import Array
from ..core.errors import fail
from ..core.tensor import Tensor
from .index import Affine
from .masks import Mask, Region
from .memory import ON_CHIP, holding
from .subscripts import OutOfBounds, indices_of
from .tile import Operand, Tile, assign, converted, note_written, write


class Access(Operand):
    """A tensor subscripted with index tiles; see the module. Slices among them become axes at the end.

    ``indices`` has one index for each dimension of the tensor.
    """

    __slots__ = ("indices",)

    def __init__(self, tile: Tile, keys: tuple[Any, ...]) -> None:
        self.tile = tile
        self.where = None
        self.updated = False
        self.origin = (None, None)
        self.indices = indices_of(tile.tensor, keys)
        try:
            self.shape = np.broadcast_shapes(*(index.shape for index in self.indices))
        except ValueError:
            shapes = ", ".join(str(list(index.shape)) for index in self.indices)
            raise fail(
                f"the index tiles of {tile!r} do not fit together: their shapes are {shapes}"
            ) from None
        if tile.buffer in ON_CHIP:
            self._check_partitions()

    def _check_partitions(self) -> None:
        index = self.indices[self.tile.par]
        if isinstance(index, Affine) and any(index.aligned(len(self.shape))[1:]):
            raise fail(
                f"dimension {self.tile.par} of {self.tile!r} lies on the partitions; its index tile must run "
                f"along axis 0 of the access, not along others: {index!r}"
            )

    @property
    def affine(self) -> bool:
        return all(isinstance(index, Affine) for index in self.indices)

    def __repr__(self) -> str:
        return f"access {list(self.shape)} to a {self.tile!r}"

    def __getitem__(self, key: Any) -> Any:
        if not isinstance(key, Mask):
            return self.whole()[key]
        found = Access(self.tile, self.indices)
        found.where = key if self.where is None else self.where & key
        return found

    def __setitem__(self, key: Any, value: Any) -> None:
        assign(self[key], value)

    def part(self, region: Region | None) -> Tensor:
        if self.affine and (region is None or region.lanes is None):
            return self._strided(region)
        picked = self.tile.tensor
        if picked.storage.fresh:
            picked.storage.poison()
        return holding(picked.array[self._places(region)], picked.dtype, picked.buffer)

    def put(self, values: Tensor, region: Region | None) -> None:
        if self.affine and (region is None or region.lanes is None):
            write(self._strided(region), values)
            return
        into = self.tile.tensor
        places = self._places(region)
        lanes = None if region is None or region.lanes is None else region.flags(self.shape)
        stored = converted(into, values, places[0].shape)
        if into.storage.fresh:
            into.storage.poison()
        if lanes is not None:
            places, stored = tuple(place[lanes] for place in places), stored[lanes]
        into.array[places] = stored
        note_written(into, places)

    def in_range(self) -> Array:
        """Which lanes lie inside of the tensor."""
        inside: Array = np.ones(self.shape, np.bool_)
        for index, size in zip(self.indices, self.tile.shape, strict=True):
            inside &= (index.array >= 0) & (index.array < size)
        return inside

    def _strided(self, region: Region | None) -> Tensor:
        """The access as a view of the tensor's memory."""
        base = self.tile.tensor
        box = tuple((0, n) for n in self.shape) if region is None else region.bounds(self.shape)
        count = len(box)
        strides, start = [0] * count, base.start_byte()
        if all(low < high for low, high in box):
            for axis, (index, stride) in enumerate(zip(self.indices, base.array.strides, strict=True)):
                assert isinstance(index, Affine)
                low, high = index.extremes(box)
                if low < 0 or high >= base.array.shape[axis]:
                    self._fail_outside(axis, low, high)
                steps = index.aligned(count)
                start += stride * (
                    index.offset + sum(s * first for s, (first, _) in zip(steps, box, strict=True))
                )
                strides = [total + stride * step for total, step in zip(strides, steps, strict=True)]
        shape = tuple(max(0, high - low) for low, high in box)
        array = np.ndarray(shape, base.dtype.numpy, buffer=base.storage.raw, offset=start, strides=strides)
        return base.like(array, partitioned=True)

    def _places(self, region: Region | None) -> tuple[Array, ...]:
        """Indexes for NumPy; those of lanes that a mask leaves out are moved into the tensor."""
        cut = None if region is None or region.lanes is not None else region.slices(self.shape)
        lanes = None if region is None or region.lanes is None else region.flags(self.shape)
        places = []
        for axis, (index, size) in enumerate(zip(self.indices, self.tile.shape, strict=True)):
            found = np.broadcast_to(index.array, self.shape)
            found = found if cut is None else found[cut]
            counted = found if lanes is None else found[lanes]
            if counted.size and (counted.min() < 0 or counted.max() >= size):
                self._fail_outside(axis, int(counted.min()), int(counted.max()))
            places.append(found if lanes is None else np.clip(found, 0, size - 1))
        return tuple(places)

    def _fail_outside(self, axis: int, low: int, high: int) -> None:
        wrong = high if high >= self.tile.shape[axis] else low
        text = (
            f"index {wrong} is out of bounds: dimension {axis} of {self.tile!r} has {self.tile.shape[axis]}, "
            f"the access takes {low} to {high}. Leave lanes out with mask="
        )
        raise OutOfBounds(str(fail(text)))
