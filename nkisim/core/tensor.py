"""``nl.ndarray``: a view of an allocation with a shape, an element type and a buffer.

Views never copy. Instructions read and write through :meth:`Tensor.read`, :meth:`Tensor.read_raw` and
:meth:`Tensor.write`, which poison, convert, and note PSUM writes; nothing else touches the bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import prod
from typing import Any

import numpy as np

from .access import Dynamic, Pattern, scalar_value, static_view
from .context import state
from .dtypes import FLOAT, INTEGER, PACKED, Array, DType, convert, dtype_of, float32, store, up
from .errors import SimulationError, fail, location
from .indexes import BOUNDS, INTEGERS, check, fits, names_first, plain
from .indexes import Slice as Slice
from .indexes import ds as ds
from .memory import HBM, OFF_CHIP, PSUM, SBUF, SHARED_HBM, Allocation, Storage, off_chip, on_chip
from .precision import check_bytes, check_packed
from .regions import Region
from .unsupported import Unsupported

_ON_CHIP = (SBUF, PSUM)
_BUFFERS: dict[Any, str] = {None: SBUF, "": SBUF, **{name: name for name in (*_ON_CHIP, *OFF_CHIP)}}
"""Without a subclass of ``str``, which compares more slowly."""


class Tensor(Unsupported):
    """A tensor in HBM, SBUF or PSUM; calling the class allocates one.

    Attributes:
        array: the bytes as a NumPy view; for a dynamic access that of the base tensor.
        dynamic: the access to carry out when an instruction runs, or None.
        partitioned: whether dimension 0 is (still) the partition.
    """

    __slots__ = (
        "__dict__",
        "_start",
        "address",
        "array",
        "buffer",
        "dtype",
        "dynamic",
        "name",
        "partitioned",
        "storage",
    )

    array: Array
    storage: Storage
    dtype: DType
    buffer: str
    name: str
    address: tuple[int, int] | None
    dynamic: Dynamic | SimulationError | None
    partitioned: bool
    _start: int | None

    def __new__(
        cls,
        shape: int | Sequence[int],
        dtype: Any,
        buffer: str | Region | None = None,
        name: str = "",
        address: tuple[int, int] | None = None,
    ) -> Tensor:
        """Allocate; see :mod:`.memory` for what the buffers hold and for the errors raised."""
        try:
            dims = (int(shape),) if isinstance(shape, INTEGERS) else tuple(map(int, shape))
            kind = dtype_of(dtype)
        except TypeError as error:
            raise fail(f"a tensor of shape {shape!r} and type {dtype!r}: {error}") from error
        if not dims or min(dims) < 0:
            raise fail(f"a tensor of shape {list(dims)}: it has one dimension at least, and none below 0")
        if buffer.__class__ is Region:
            return buffer.view(kind, dims)
        return allocate(dims, kind, _BUFFERS.get(buffer) or str(buffer), name, address)

    # -- what it is ---------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape if self.dynamic is None else self._dynamic_shape()

    def _dynamic_shape(self) -> tuple[int, ...]:
        return self.dynamic.shape if isinstance(self.dynamic, Dynamic) else self.array.shape

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return prod(self.shape)

    @property
    def offset(self) -> int:
        """First element of the view, counted from the start of the allocation, partition after partition."""
        storage, size = self.storage, self.dtype.stored
        first = self.start_byte() - storage.base
        if storage.pitch is not None:
            row, byte = divmod(first, storage.pitch)
            first = row * storage.size + byte
        return first // size

    @property
    def strides(self) -> tuple[int, ...]:
        """Steps of the dimensions in elements of the allocation, as if its partitions followed each other."""
        storage, size = self.storage, self.dtype.stored
        pitch = storage.pitch
        if pitch is None or pitch == storage.size:
            return tuple(stride // size for stride in self.array.strides)
        return tuple(
            (stride // pitch * storage.size + stride % pitch) // size if stride >= pitch else stride // size
            for stride in self.array.strides
        )

    @property
    def pattern(self) -> list[list[int]]:
        """``[[step, count], …]`` in elements."""
        return [[step, count] for step, count in zip(self.strides, self.array.shape, strict=True)]

    def get_pattern(self) -> list[list[int]]:
        """:attr:`pattern`, as the language calls it."""
        return self.pattern

    def start_byte(self) -> int:
        """Offset of the view's first byte in the storage's bytes."""
        start = self._start
        if start is None:
            first: int = self.array.__array_interface__["data"][0]
            start = self._start = first - self.storage.pointer
        return start

    def row_elements(self) -> int:
        """Elements in one partition."""
        return prod(self.array.shape[1:] if self.partitioned else self.array.shape)

    def __repr__(self) -> str:
        name = f" {self.name!r}" if self.name else ""
        return f"{self.buffer} tensor{name} {list(self.shape)} {self.dtype}"

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = object.__hash__

    def __bool__(self) -> bool:
        return True

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(self.shape[0]))

    # -- views --------------------------------------------------------------------------------------

    def like(self, array: Array, *, dtype: DType | None = None, partitioned: bool | None = None) -> Tensor:
        """Another view of the same allocation."""
        view = object.__new__(Tensor)
        view.array = array
        view.storage = self.storage
        view.buffer = self.buffer
        view.dtype = dtype or self.dtype
        view.name = self.name
        view.address = self.address
        view.dynamic = None
        view.partitioned = self.partitioned if partitioned is None else partitioned
        view._start = None
        return view

    def __getitem__(self, key: Any) -> Tensor:
        keys = key if type(key) is tuple else (key,)
        array = self.array
        if self.dynamic is not None:
            raise self._not_indexable()
        if not fits(keys, array.shape):
            keys = tuple([plain(k) for k in keys])
            check(self, keys)
        found = array[keys]
        if not isinstance(found, np.ndarray) or found.ndim == 0:
            return self._element(keys)
        view = self.like(found)
        if keys and (isinstance(keys[0], int) or names_first(keys, array.ndim)):
            view.partitioned = False
        return view

    def _element(self, keys: tuple[Any, ...]) -> Tensor:
        """One element as a view; NumPy would copy it."""
        found = self.array[tuple([k if k is Ellipsis else slice(k, k + 1 or None) for k in keys])]
        return self.like(found.reshape(1), partitioned=False)

    def _not_indexable(self) -> SimulationError:
        if isinstance(self.dynamic, SimulationError):
            return self.dynamic
        return fail(f"{self!r} has a dynamic address and cannot be indexed or viewed; index the base tensor")

    def reshape(self, shape: int | Sequence[int], dtype: Any = None, name: str = "") -> Tensor:
        """Another factorisation of the same elements (or, on chip, of the first ones of each partition).

        With a dtype, of the bytes read as that type. Raises SimulationError for more elements, for a view
        that is not contiguous, and when elements would move to another partition.
        """
        if self.dynamic is not None:
            raise self._not_indexable()
        if dtype is not None:
            return self.view(dtype).reshape(shape, name=name)
        dims = (int(shape),) if isinstance(shape, INTEGERS) else tuple(int(n) for n in shape)
        array = self.array
        if -1 not in dims and prod(dims) != array.size:
            array = self._first_elements(dims)
        view = self.like(self._reshaped(array, dims))
        self._check_partition(view.array.shape[:1] == array.shape[:1], f"reshaped to {list(dims)}")
        view.name = name or self.name
        return view

    def _first_elements(self, dims: tuple[int, ...]) -> Array:
        array, count = self.array, prod(dims)
        per_row = count // dims[0] if dims[0] else 0
        fits = dims[0] <= array.shape[0] and per_row <= self.row_elements()
        if self.buffer in OFF_CHIP or not fits:
            raise fail(f"{self!r} cannot be reshaped to {list(dims)}: other number of elements")
        return self._reshaped(array, (array.shape[0], -1))[: dims[0], :per_row]

    def _reshaped(self, array: Array, dims: tuple[int, ...]) -> Array:
        try:
            found = array.reshape(dims)
        except ValueError:
            raise fail(f"{self!r} cannot be reshaped to {list(dims)}: other number of elements") from None
        if array.size and not np.may_share_memory(found, array):
            raise fail(f"{self!r} is not contiguous and cannot be reshaped to {list(dims)}")
        return found

    def view(self, dtype: Any, shape: Sequence[int] | None = None, name: str = "") -> Tensor:
        """The same bytes read as another element type; the last dimension takes the change of size."""
        if self.dynamic is not None:
            raise self._not_indexable()
        kind = dtype_of(dtype)
        if kind is not self.dtype:
            check_bytes(self.dtype, kind)
        try:
            array = self.array.view(kind.numpy)
        except ValueError as error:
            raise fail(f"{self!r} cannot be viewed as {kind}: {error}") from None
        view = self.like(array, dtype=kind)
        view.name = name or self.name
        return view if shape is None else view.reshape(tuple(shape))

    def broadcast_to(self, shape: Sequence[int]) -> Tensor:
        """A view that repeats dimensions of size 1. Raises SimulationError when the shapes do not fit."""
        return self._rearranged(np.broadcast_to, tuple(shape), what="broadcast to")

    def permute(self, dims: Sequence[int]) -> Tensor:
        """Dimensions in another order. Raises SimulationError when the partition would not stay the first."""
        view = self._rearranged(np.transpose, tuple(dims), what="permuted to")
        self._check_partition(dims[0] % len(dims) == 0, f"permuted to {tuple(dims)}")
        return view

    def expand_dim(self, dim: int) -> Tensor:
        """A dimension of 1 more. Raises SimulationError when the partition would not stay the first."""
        view = self._rearranged(np.expand_dims, dim, what="expanded at")
        self._check_partition(dim % view.array.ndim != 0, f"expanded at {dim}")
        return view

    def _rearranged(self, function: Callable[..., Array], how: Any, what: str) -> Tensor:
        if self.dynamic is not None:
            raise self._not_indexable()
        try:
            return self.like(function(self.array, how))
        except (TypeError, ValueError) as error:
            raise fail(f"{self!r} cannot be {what} {how}: {error}") from error

    def _check_partition(self, stays: bool, what: str) -> None:
        if self.partitioned and self.storage.pitch is not None and not stays:
            raise fail(f"{self!r} cannot be {what}: on chip, dimension 0 is the partition and stays as it is")

    def ap(
        self,
        pattern: Pattern,
        offset: Any = 0,
        scalar_offset: Any = None,
        vector_offset: Any = None,
        indirect_dim: int = 0,
        dtype: Any = None,
    ) -> Tensor:
        """The elements an access pattern names; see :mod:`.access`."""
        kind = self.dtype if dtype is None else dtype_of(dtype)
        if kind is not self.dtype:
            check_bytes(self.dtype, kind)
        start = offset if type(offset) is int else scalar_value(offset or 0)
        if self.dynamic is not None:
            raise self._not_indexable()
        if scalar_offset is not None or vector_offset is not None:
            return self._dynamic_ap(pattern, start, kind, scalar_offset, vector_offset, indirect_dim)
        try:
            array, first = static_view(self, pattern, start, kind)
        except TypeError:
            raise fail(f"an access pattern is [[step, count], …] of integers, not {pattern!r}") from None
        except SimulationError as error:
            shape = tuple(int(count) for _, count in pattern)
            view = self.like(np.broadcast_to(np.zeros((), kind.numpy), shape), dtype=kind, partitioned=True)
            view.dynamic = error
            return view
        view = self.like(array, dtype=kind, partitioned=True)
        view._start = first
        return view

    def _dynamic_ap(
        self, pattern: Pattern, offset: int, dtype: DType, scalar: Any, vector: Any, axis: int
    ) -> Tensor:
        if scalar is not None and vector is not None:
            raise fail("an access pattern takes scalar_offset or vector_offset, not both")
        if vector is not None and axis != 0:
            raise fail(f"vector_offset works on dimension 0 only, indirect_dim is {axis}")
        if not 0 <= axis < self.array.ndim:
            raise fail(f"indirect_dim {axis} is no dimension of {self!r}")
        _check_offset(scalar, vector)
        view = self.like(self.array, dtype=dtype, partitioned=True)
        steps = [list(pair) for pair in pattern]  # the caller may go on to change it
        view.dynamic = Dynamic(self, steps, offset, dtype, scalar, vector, axis)
        return view

    # -- bytes --------------------------------------------------------------------------------------

    def read_raw(self) -> Array:
        """The elements as stored, with the partition dimension first."""
        if self.storage.fresh:
            self.storage.poison()
        array = self.array
        if self.dynamic is not None:
            if isinstance(self.dynamic, SimulationError):
                raise self.dynamic
            array, _ = self.dynamic.get()
        return array if self.partitioned else array[None]

    def read(self) -> Array:
        """The elements as float32, with the partition dimension first."""
        if self.dtype is float32 and self.partitioned and self.dynamic is None and not self.storage.fresh:
            return self.array
        return up(self.read_raw(), self.dtype)

    def write(self, values: Array) -> None:
        """Store float32 (or raw) values; their shape may be another factorisation of the same rows."""
        if self.dynamic is not None:
            if isinstance(self.dynamic, SimulationError):
                raise self.dynamic
            self.dynamic.put(values)
            return
        storage = self.storage
        if storage.fresh or storage.written is not None:
            self.before_write()
        into = self.array if self.partitioned else self.array[None]
        if values.shape != into.shape:
            values = values.reshape(into.shape)
        if values.dtype is into.dtype:
            into[...] = values
        elif self.dtype.kind is FLOAT:
            convert(into, values)
        else:
            store(into, values, self.dtype)

    def before_write(self) -> None:
        """Poison what a partial first write leaves, and note the write for PSUM accumulation."""
        storage = self.storage
        if storage.fresh:
            if self.array.nbytes == storage.nbytes and _distinct(self.array):
                storage.settle()
            else:
                storage.poison()
        if storage.written is not None:
            self.written_flags()[...] = True

    def written_flags(self) -> Array:
        """One flag for each element: whether an instruction has written it (PSUM only)."""
        storage = self.storage
        if storage.written is None:
            storage.written = np.zeros(storage.raw.size, np.bool_)
        return np.ndarray(
            self.array.shape,
            np.bool_,
            buffer=storage.written,
            offset=self.start_byte(),
            strides=self.array.strides,
        )


def _check_offset(scalar: Any, vector: Any) -> None:
    """A vector is a tensor of integers, a scalar that or an integer or a register. Raises SimulationError."""
    given = scalar if vector is None else vector
    known = vector is None and isinstance(given, BOUNDS)
    if not (given.dtype.kind == INTEGER if isinstance(given, Tensor) else known):
        what = "scalar_offset" if vector is None else "vector_offset"
        raise fail(
            f"{what} is a {given!r}; it must be a tensor of integers" + " or a register" * (vector is None)
        )


def _distinct(array: Array) -> bool:
    """Whether no two elements share bytes; of patterns that interleave, that is not seen."""
    if array.flags.c_contiguous:
        return True
    end = array.itemsize
    for stride, count in sorted(zip(array.strides, array.shape, strict=True)):
        if count > 1:
            if stride < end:
                return False
            end += (count - 1) * stride
    return True


def from_storage(allocation: Allocation, dtype: DType, buffer: str, name: str = "") -> Tensor:
    """A tensor that shows a whole allocation."""
    tensor = object.__new__(Tensor)
    storage, tensor.array = allocation
    tensor.storage = storage
    tensor.dtype, tensor.buffer, tensor.name = dtype, buffer, name
    tensor.address, tensor.dynamic, tensor.partitioned = None, None, True
    tensor._start = storage.base
    return tensor


def allocate(
    shape: tuple[int, ...], dtype: DType, buffer: str, name: str, address: tuple[int, int] | None
) -> Tensor:
    """A new tensor; shared HBM of one name (or one call site) is the same bytes on all cores."""
    if dtype.kind is PACKED:
        check_packed(dtype)
    if buffer in _ON_CHIP:
        core = state.running()
        allocation = on_chip(shape, dtype, buffer, name, address, core.physical, state.generation)
    elif buffer in OFF_CHIP:
        allocation = (
            _shared(shape, dtype, name) if buffer == SHARED_HBM else off_chip(shape, dtype, buffer, name)
        )
    else:
        raise fail(f"unknown buffer {buffer!r}; there are {', '.join((*_ON_CHIP, *OFF_CHIP))}")
    tensor = from_storage(allocation, dtype, buffer, name)
    tensor.address = address
    if state.allocations:
        for listener in state.allocations:
            listener(tensor.storage, address)
    return tensor


def _shared(shape: tuple[int, ...], dtype: DType, name: str) -> Allocation:
    core = state.running()
    if core.count == 1:
        return off_chip(shape, dtype, SHARED_HBM, name)
    site: tuple[Any, ...] = ("name", name) if name else (*location(), shape, dtype.name)
    if not name:
        core.sites[site] = core.sites.get(site, 0) + 1
        site = (*site, core.sites[site])
    if site not in state.shared:
        state.shared[site] = off_chip(shape, dtype, SHARED_HBM, name)
    storage, array = state.shared[site]
    if array.shape != shape:
        raise fail(f"shared HBM {name!r} is {list(array.shape)} on another core, {list(shape)} here")
    return storage, np.ndarray(shape, dtype.numpy, buffer=storage.raw)


def argument(array: Array, buffer: str = HBM, dtype: DType | None = None) -> Tensor:
    """A kernel argument: HBM that shares the caller's memory, which holds elements as ``dtype.numpy``."""
    kind = dtype or dtype_of(array.dtype)
    check_packed(kind)
    raw = array.reshape(-1).view(np.uint8)
    storage = Storage(raw, None, raw.size, 1, buffer, "", kind)
    return from_storage((storage, array), kind, buffer)
