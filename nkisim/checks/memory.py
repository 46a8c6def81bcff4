"""Who wrote which bytes: reads of what nothing wrote, and matmuls onto what is not a matmul's.

Every allocation of a launch has one byte for each of its bytes: NOBODY, OTHERS, or TENSOR for matmuls. A
tensor's bytes are found by giving its view (or dynamic access) that memory instead of its own.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from ..core.access import Dynamic
from ..core.context import state
from ..core.dtypes import Array
from ..core.errors import SimulationError, fail, location
from ..core.memory import OFF_CHIP, PSUM, Storage
from ..core.tensor import Tensor
from ..isa.constants import oob_mode

NOBODY, OTHERS, TENSOR = 0, 1, 2
RESULTS = frozenset({"dst", "reduce_res", "dst_scale", "dst_idx"})
"""Operands that instructions write."""
MATMULS = frozenset({"nc_matmul", "nc_matmul_mx"})
UNREAD = {"core_barrier": {"data"}, "local_gather": {"src_buffer"}, "nc_n_gather": {"data"}}
"""Operands that an instruction does not read, or only where its indices point."""
COLUMNS = frozenset(
    (
        "operand0",
        "operand1",
        "bias",
        "scale",
        "bound0",
        "bound1",
        "max_value",
        "reduce_init",
        "imm0",
        "imm1",
        "initial",
    )
)
"""Operands of one element in each partition, which may have more partitions than the data."""


class Memory:
    """Listens to a launch."""

    def __init__(self) -> None:
        self._physical: dict[int, tuple[Array, Array]] = {}

    def allocated(self, storage: Storage, address: tuple[int, int] | None) -> None:
        """A new allocation: nobody has written it. What shares bytes shares who wrote them."""
        if storage.known is not None:
            return
        storage.site = location()
        if address is None:
            storage.known = np.zeros(storage.raw.size, np.uint8)
            return
        _, storage.known = self._physical.setdefault(
            id(storage.raw), (storage.raw, np.zeros(storage.raw.size, np.uint8))
        )

    def heard(self, function: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> None:
        """An instruction is about to run. Raises SimulationError when it may not."""
        try:
            given = _signature(function).bind(*args, **kwargs).arguments
        except TypeError:
            return  # the call itself will say what is wrong
        name = function.__name__
        skip = given.get("oob_mode") is oob_mode.skip
        for what, tensor in _read(name, given):
            _check_known(name, what, tensor, skip)
        matmul = name in MATMULS
        if matmul and state.generation < 4:
            _check_accumulation(name, given.get("dst"))
        chosen = _chosen(given) if name == "tensor_copy_predicated" else None
        for tensor in _written(given):
            _mark(tensor, TENSOR if matmul else OTHERS, skip, chosen)


@cache
def _signature(function: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(function)


def _tensors(what: str, value: Any) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield what, value
    elif isinstance(value, list | tuple):
        for position, item in enumerate(value):
            yield from _tensors(f"{what}[{position}]", item)


def _read(name: str, given: dict[str, Any]) -> Iterator[tuple[str, Tensor]]:
    """The operands that are read, each with its name; of columns the rows that the data has."""
    rows = _rows(given)
    for what, value in given.items():
        updated = what == "dst" and given.get("dst_rmw_op") is not None
        if (what in RESULTS and not updated) or what in UNREAD.get(name, ()):
            continue
        for named, tensor in _tensors(what, value):
            tall = (
                what in COLUMNS and tensor.partitioned and tensor.dynamic is None and rows < tensor.shape[0]
            )
            yield named, tensor[:rows] if tall else tensor


def _rows(given: dict[str, Any]) -> int:
    found = (given.get(what) for what in ("data", "data1", "data0", "src", "on_true_tile", "dst"))
    data = next((value for value in found if isinstance(value, Tensor)), None)
    return data.shape[0] if data is not None and data.partitioned else 1


def _written(given: dict[str, Any]) -> Iterator[Tensor]:
    for what in RESULTS & given.keys():
        yield from (tensor for _, tensor in _tensors(what, given[what]))


def _shadow(tensor: Tensor, known: Array) -> Tensor:
    """The tensor's view of ``known`` instead of its memory."""
    own = tensor.storage
    storage = Storage(known, own.pitch, own.size, own.rows, own.buffer, own.name, own.dtype, own.base)
    array = np.ndarray(
        tensor.array.shape,
        tensor.array.dtype,
        buffer=known,
        offset=tensor.start_byte(),
        strides=tensor.array.strides,
    )
    shadow = tensor.like(array)
    shadow.storage = storage
    if isinstance(tensor.dynamic, Dynamic):
        shadow.dynamic = replace(tensor.dynamic, tensor=_shadow(tensor.dynamic.tensor, known))
    return shadow


def _marks(tensor: Tensor, known: Array, skip: bool) -> Array:
    """Who wrote each byte, ``[partitions, bytes]``; rows that a dynamic index skips count as known."""
    shadow, valid = _shadow(tensor, known), None
    if isinstance(shadow.dynamic, Dynamic):
        values, valid = shadow.dynamic.get(skip)
    else:
        values = shadow.read_raw()
    rows = values.shape[0] if values.ndim else 1
    marks = np.ascontiguousarray(values).reshape(-1).view(np.uint8).reshape(rows, -1)
    return marks if valid is None else np.where(valid[:, None], marks, OTHERS)


def _check_known(name: str, what: str, tensor: Tensor, skip: bool) -> None:
    known = tensor.storage.known
    if known is None or isinstance(tensor.dynamic, SimulationError) or not tensor.size:
        return
    unknown = _marks(tensor, known, skip) == NOBODY
    if unknown.any():
        row, byte = np.argwhere(unknown)[0]
        raise fail(
            f"nisa.{name}: {what} is a {tensor!r}, and nothing has written its element "
            f"[{row}, {byte // tensor.dtype.itemsize}] (partition, element in it) yet; {_allocated(tensor)}"
            f"{int(unknown.sum()) // tensor.dtype.itemsize} of {tensor.size} are unwritten"
        )


def _allocated(tensor: Tensor) -> str:
    site = tensor.storage.site
    return f"it is allocated at {site[0]}:{site[1]}, and " if site else ""


def _check_accumulation(name: str, dst: Any) -> None:
    """Before gen4 a matmul onto what another instruction wrote is undefined, unless that is zero."""
    if not isinstance(dst, Tensor) or dst.buffer != PSUM or isinstance(dst.dynamic, SimulationError):
        return
    known = dst.storage.known
    if known is None:
        return
    foreign = (_marks(dst, known, False) == OTHERS).reshape(-1, dst.dtype.itemsize).any(axis=1)
    if foreign.any() and dst.read()[foreign.reshape(dst.read().shape)].any():
        raise fail(
            f"nisa.{name}: dst is a {dst!r} that another instruction than a matmul wrote something other "
            "than 0 to; what the sum is then is undefined before gen4. Give each accumulation a new tile."
        )


def _chosen(given: dict[str, Any]) -> Array | None:
    """Where a predicate lets the copy through."""
    predicate, reverse = given.get("predicate"), bool(given.get("reverse_pred"))
    return None if not isinstance(predicate, Tensor) else (np.asarray(predicate.read()) != 0) ^ reverse


def _mark(tensor: Tensor, who: int, skip: bool, chosen: Array | None) -> None:
    """Note who writes a tensor, or the elements of it that are ``chosen``."""
    storage = tensor.storage
    if isinstance(tensor.dynamic, SimulationError):
        return
    if storage.known is None:
        if storage.buffer in OFF_CHIP:
            return
        storage.known = np.full(storage.raw.size, OTHERS, np.uint8)
    shadow = _shadow(tensor, storage.known)
    size = shadow.dtype.itemsize
    marks = np.full((*shadow.shape, size), who, np.uint8).view(shadow.array.dtype).reshape(shadow.shape)
    if isinstance(shadow.dynamic, Dynamic):
        shadow.dynamic.put(marks, skip)
    elif chosen is not None and chosen.size == tensor.size:
        chosen = chosen.reshape(shadow.array.shape)
        shadow.array[chosen] = marks[chosen]
    else:
        shadow.array[...] = marks
