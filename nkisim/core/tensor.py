"""``nl.ndarray``: a view of an allocation with a shape, an element type and a buffer.

Views never copy. Instructions read and write through :meth:`Tensor.read`, :meth:`Tensor.read_raw` and
:meth:`Tensor.write`, which poison, convert, and note PSUM writes; nothing else touches the bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .access import Dynamic, Pattern, scalar_value, static_view
from .context import state
from .dtypes import FLOAT, Array, DType, dtype_of, float32, store, up
from .errors import SimulationError, fail, location
from .memory import HBM, OFF_CHIP, PSUM, SBUF, SHARED_HBM, Allocation, Storage, off_chip, on_chip
from .registers import Register


class Slice:
    """``nl.ds(start, size)`` with a start that is known when the program runs."""

    __slots__ = ("size", "start")

    def __init__(self, start: Any, size: int) -> None:
        self.start = start
        self.size = size

    def resolve(self) -> slice:
        start = scalar_value(self.start)
        return slice(start, start + self.size)


def ds(start: Any, size: int) -> Any:
    """``start : start + size``; start may be a register or a one-element tensor."""
    return Slice(start, size) if isinstance(start, Register | Tensor) else slice(start, start + size)


class Tensor:
    """A tensor in HBM, SBUF or PSUM; calling the class allocates one.

    Attributes:
        array: the bytes as a NumPy view; for a dynamic access that of the base tensor.
        dynamic: the access to carry out when an instruction runs, or None.
        partitioned: whether dimension 0 is (still) the partition.
    """

    __slots__ = ("__dict__", "address", "array", "buffer", "dtype", "dynamic", "name", "partitioned", "storage")

    array: Array
    storage: Storage
    dtype: DType
    buffer: str
    name: str
    address: tuple[int, int] | None
    dynamic: Dynamic | SimulationError | None
    partitioned: bool

    def __new__(
        cls,
        shape: int | Sequence[int],
        dtype: Any,
        buffer: str | None = None,
        name: str = "",
        address: tuple[int, int] | None = None,
    ) -> Tensor:
        """Allocate; see :mod:`.memory` for what the buffers hold and for the errors raised."""
        dims = (int(shape),) if isinstance(shape, int | np.integer) else tuple(int(n) for n in shape)
        return allocate(dims, dtype_of(dtype), str(buffer or SBUF), name, address)

    # -- what it is ---------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        return self.dynamic.shape if isinstance(self.dynamic, Dynamic) else self.array.shape

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def offset(self) -> int:
        """First element of the view, counted from the start of the allocation."""
        return (self.start_byte() - self.storage.base) // self.dtype.itemsize

    @property
    def pattern(self) -> list[list[int]]:
        """``[[step, count], …]`` in elements."""
        steps = (stride // self.dtype.itemsize for stride in self.array.strides)
        return [[step, count] for step, count in zip(steps, self.array.shape, strict=True)]

    def get_pattern(self) -> list[list[int]]:
        return self.pattern

    @property
    def strides(self) -> tuple[int, ...]:
        return tuple(stride // self.dtype.itemsize for stride in self.array.strides)

    def start_byte(self) -> int:
        """Offset of the view's first byte in the storage's bytes."""
        return int(self.array.ctypes.data - self.storage.raw.ctypes.data)

    def row_elements(self) -> int:
        """Elements in one partition."""
        return int(np.prod(self.array.shape[1:], dtype=np.int64))

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
        view.array, view.storage, view.buffer = array, self.storage, self.buffer
        view.dtype = dtype or self.dtype
        view.name, view.address, view.dynamic = self.name, self.address, None
        view.partitioned = self.partitioned if partitioned is None else partitioned
        return view

    def __getitem__(self, key: Any) -> Tensor:
        keys = key if isinstance(key, tuple) else (key,)
        plain = tuple(_plain(k) for k in keys)
        self._check(plain)
        drops = bool(plain) and isinstance(plain[0], int | np.integer)
        found = self.array[plain]
        if found.ndim == 0 or not isinstance(found, np.ndarray):
            found = self.array[tuple(slice(k, k + 1 or None) if isinstance(k, int | np.integer) else k for k in plain)]
            return self.like(found.reshape(1), partitioned=False)
        return self.like(found, partitioned=self.partitioned and not drops)

    def _check(self, keys: tuple[Any, ...]) -> None:
        """Indexes must lie in the tensor: NumPy would clip a slice in silence."""
        dims = self.array.shape
        axis = 0
        for position, key in enumerate(keys):
            if key is Ellipsis:
                axis = len(dims) - (len(keys) - position - 1)
                continue
            if key is None:
                raise fail(f"None is no index in NKI; reshape {self!r} instead")
            if axis >= len(dims):
                raise fail(f"too many indexes for {self!r}")
            low, high = (key.start, key.stop) if isinstance(key, slice) else (key, key)
            limit = dims[axis] if isinstance(key, slice) else dims[axis] - 1
            for bound in (low, high):
                if bound is not None and not (-1 if bound == -1 and low == high else 0) <= bound <= limit:
                    raise fail(f"index {key} is out of bounds: dimension {axis} of {self!r} has {dims[axis]}")
            axis += 1

    def reshape(self, shape: int | Sequence[int], *more: int) -> Tensor:
        """Another factorisation of the same elements; the view must be contiguous."""
        dims = (shape, *more) if isinstance(shape, int) else tuple(shape)
        dims = tuple(int(n) for n in dims)
        count = int(np.prod([n for n in dims if n != -1], dtype=np.int64))
        array = self.array
        if -1 not in dims and count != array.size:
            if count > array.size or self.buffer in OFF_CHIP:
                raise fail(f"{self!r} cannot be reshaped to {list(dims)}: other number of elements")
            array = array.reshape(array.shape[0], -1)[: dims[0], : count // dims[0]]
        try:
            view = array.view()
            view.shape = dims
        except AttributeError:
            raise fail(f"{self!r} is not contiguous and cannot be reshaped to {list(dims)}") from None
        return self.like(view)

    def view(self, dtype: Any, shape: Sequence[int] | None = None) -> Tensor:
        """The same bytes read as another element type."""
        kind = dtype_of(dtype)
        array = self.array.view(kind.numpy)
        if shape is not None:
            array = array.reshape(tuple(shape))
        return self.like(array, dtype=kind)

    def broadcast_to(self, shape: Sequence[int]) -> Tensor:
        return self.like(np.broadcast_to(self.array, tuple(shape)))

    def permute(self, dims: Sequence[int]) -> Tensor:
        return self.like(self.array.transpose(tuple(dims)))

    def expand_dim(self, dim: int) -> Tensor:
        return self.like(np.expand_dims(self.array, dim))

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
        start = scalar_value(offset) if offset is not None else 0
        if scalar_offset is not None or vector_offset is not None:
            if vector_offset is not None and indirect_dim != 0:
                raise fail("vector_offset works on dimension 0 only")
            view = self.like(self.array, dtype=kind, partitioned=True)
            view.dynamic = Dynamic(self, pattern, start, kind, scalar_offset, vector_offset, indirect_dim)
            return view
        try:
            return self.like(static_view(self, pattern, start, kind), dtype=kind, partitioned=True)
        except SimulationError as error:
            view = self.like(np.zeros(tuple(int(n) for _, n in pattern), kind.numpy), dtype=kind, partitioned=True)
            view.dynamic = error
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
        if self.dtype.kind is FLOAT:
            into[...] = values
        else:
            store(into, values, self.dtype)

    def before_write(self) -> None:
        """Poison what a partial first write leaves, and note the write for PSUM accumulation."""
        storage = self.storage
        if storage.fresh:
            if self.array.nbytes == storage.raw.nbytes:
                storage.fresh = False
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


def _plain(key: Any) -> Any:
    """An index as NumPy takes it; registers and one-element tensors give their present value."""
    if isinstance(key, Slice):
        return key.resolve()
    return scalar_value(key) if isinstance(key, Register | Tensor) else key


def from_storage(allocation: Allocation, dtype: DType, buffer: str, name: str = "") -> Tensor:
    """A tensor that shows a whole allocation."""
    tensor = object.__new__(Tensor)
    tensor.array, tensor.storage = allocation.array, allocation.storage
    tensor.dtype, tensor.buffer, tensor.name = dtype, buffer, name
    tensor.address, tensor.dynamic, tensor.partitioned = None, None, True
    return tensor


def allocate(
    shape: tuple[int, ...], dtype: DType, buffer: str, name: str, address: tuple[int, int] | None
) -> Tensor:
    """A new tensor; shared HBM of one name (or one call site) is the same bytes on all cores."""
    if buffer in OFF_CHIP:
        allocation = _shared(shape, dtype, name) if buffer == SHARED_HBM else off_chip(shape, dtype, buffer, name)
    elif buffer in (SBUF, PSUM):
        core = state.running()
        allocation = on_chip(shape, dtype, buffer, name, address, core.physical, state.generation)
    else:
        raise fail(f"unknown buffer {buffer!r}; there are {', '.join((SBUF, PSUM, *OFF_CHIP))}")
    tensor = from_storage(allocation, dtype, buffer, name)
    tensor.address = address
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
    known: Allocation = state.shared[site]
    if known.array.shape != shape:
        raise fail(f"shared HBM {name!r} is {list(known.array.shape)} on another core, {list(shape)} here")
    return Allocation(known.storage, np.ndarray(shape, dtype.numpy, buffer=known.storage.raw))


def argument(array: Array, buffer: str = HBM) -> Tensor:
    """A kernel argument: HBM that shares the caller's memory."""
    dtype = dtype_of(array.dtype)
    raw = array.reshape(-1).view(np.uint8)
    storage = Storage(raw, None, raw.size, 1, buffer, "", dtype)
    return from_storage(Allocation(storage, array), dtype, buffer)
