"""Who wrote which bytes: computing with what nothing wrote, and matmuls onto what is not a matmul's.

Every allocation of a launch has one note for each of its bytes: NOBODY, TENSOR for matmuls, OTHERS for
other instructions. Tiles at one address share these notes. What matmuls add to is a matter of each tile, so
PSUM has notes of its own for that. See :mod:`.shadow` for how a tensor's are found. Copying unwritten
memory is no error, as kernels copy whole buffers of which they use a part; the copy is unwritten too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..core.context import state
from ..core.dtypes import Array
from ..core.errors import SimulationError, fail, location
from ..core.memory import PSUM, Storage
from ..core.tensor import Tensor
from ..isa.constants import oob_mode
from .shadow import bound, marks_of, put_marks, tensors

NOBODY, OTHERS, TENSOR, SKIPPED = 0, 1, 2, 255
RESULTS = frozenset({"dst", "reduce_res", "dst_scale", "dst_idx"})
"""Operands that instructions write."""
MATMULS = frozenset({"nc_matmul", "nc_matmul_mx"})
COPIES = {"dma_copy": "src", "tensor_copy": "src", "dma_transpose": "src", "nc_transpose": "data"}
"""Instructions that compute nothing when they only copy, and the operand that they copy."""
TRANSPOSES = frozenset({"dma_transpose", "nc_transpose"})
"""Copies that exchange the first and the last dimension, nc_transpose the first and all others as one."""
UNREAD = {
    "core_barrier": {"data"},
    "local_gather": {"src_buffer"},
    "nc_n_gather": {"data"},
    "nc_matmul_mx": {"stationary_scale", "moving_scale"},
    "nonzero_with_count": {"src"},
    "sendrecv": {"src"},
}
"""Operands that an instruction does not compute with, or only in part."""
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
        given = bound(function, args, kwargs)
        name, skip = function.__name__, given.get("oob_mode") is oob_mode.skip
        if name in COPIES and given.get("dst_rmw_op") is None:
            _copied(name, given.get("dst"), given.get(COPIES[name]), skip)
            return
        for what, tensor in read(name, given):
            _check_known(name, what, tensor, skip)
        matmul = name in MATMULS
        if matmul and state.generation < 4:
            _check_accumulation(name, given.get("dst"))
        chosen = _chosen(given) if name == "tensor_copy_predicated" else None
        for tensor in written(given):
            _mark(tensor, TENSOR if matmul else OTHERS, skip, chosen)


def _copied(name: str, dst: Any, src: Any, skip: bool) -> None:
    """What is copied is as known as it was; rows that a dynamic index skips stay."""
    if not (isinstance(dst, Tensor) and isinstance(src, Tensor)) or dst.size != src.size:
        return
    if isinstance(src.dynamic, SimulationError) or src.storage.known is None:
        _mark(dst, OTHERS, skip, None)
        return
    marks = marks_of(src, src.storage.known, skip, SKIPPED).reshape(src.size, -1)
    elements = np.where((marks == NOBODY).any(axis=1), NOBODY, OTHERS)
    elements[(marks == SKIPPED).any(axis=1)] = SKIPPED
    if name in TRANSPOSES and src.partitioned:
        shape = src.shape if name == "dma_transpose" else (src.shape[0], -1)
        elements = elements.reshape(shape).swapaxes(0, -1).reshape(-1)
    _mark(dst, elements, skip, elements != SKIPPED)


def read(name: str, given: dict[str, Any]) -> Iterator[tuple[str, Tensor]]:
    """The operands that are read, each with its name; of columns the rows that the data has."""
    rows = _rows(given)
    for what, value in given.items():
        updated = what == "dst" and given.get("dst_rmw_op") is not None
        if (what in RESULTS and not updated) or what in UNREAD.get(name, ()):
            continue
        for named, tensor in tensors(what, value):
            tall = (
                what in COLUMNS and tensor.partitioned and tensor.dynamic is None and rows < tensor.shape[0]
            )
            yield named, tensor[:rows] if tall else tensor


def _rows(given: dict[str, Any]) -> int:
    found = (given.get(what) for what in ("data", "data1", "data0", "src", "on_true_tile", "dst"))
    data = next((value for value in found if isinstance(value, Tensor)), None)
    return data.shape[0] if data is not None and data.partitioned else 1


def written(given: dict[str, Any]) -> Iterator[Tensor]:
    """The tensors that an instruction writes, of what it is given."""
    for what in RESULTS & given.keys():
        yield from (tensor for _, tensor in tensors(what, given[what]))


def _check_known(name: str, what: str, tensor: Tensor, skip: bool) -> None:
    known = tensor.storage.known
    if known is None or isinstance(tensor.dynamic, SimulationError) or not tensor.size:
        return
    unknown = marks_of(tensor, known, skip, OTHERS) == NOBODY
    if unknown.any():
        row, byte = np.argwhere(unknown)[0]
        raise fail(
            f"nisa.{name}: {what} is a {tensor!r}, and nothing has written its element "
            f"[{row}, {byte // tensor.dtype.stored}] (partition, element in it) yet; {_allocated(tensor)}"
            f"{int(unknown.sum()) // tensor.dtype.stored} of {tensor.size} are unwritten"
        )


def _allocated(tensor: Tensor) -> str:
    site = tensor.storage.site
    return f"it is allocated at {site[0]}:{site[1]}, and " if site else ""


def _check_accumulation(name: str, dst: Any) -> None:
    """Before gen4 a matmul onto what another instruction wrote is undefined, unless that is zero."""
    if not isinstance(dst, Tensor) or dst.buffer != PSUM or isinstance(dst.dynamic, SimulationError):
        return
    sums = dst.storage.sums
    if sums is None:
        return
    foreign = (marks_of(dst, sums) == OTHERS).reshape(-1, dst.dtype.stored).any(axis=1)
    if foreign.any() and dst.read()[foreign.reshape(dst.read().shape)].any():
        raise fail(
            f"nisa.{name}: dst is a {dst!r} that another instruction than a matmul wrote something other "
            "than 0 to; what the sum is then is undefined before gen4. Give each accumulation a new tile."
        )


def _chosen(given: dict[str, Any]) -> Array | None:
    """Where a predicate lets the copy through."""
    predicate, reverse = given.get("predicate"), bool(given.get("reverse_pred"))
    return None if not isinstance(predicate, Tensor) else (np.asarray(predicate.read()) != 0) ^ reverse


def _mark(tensor: Tensor, who: int | Array, skip: bool, chosen: Array | None) -> None:
    """Note who writes a tensor, or the elements of it that are ``chosen``."""
    storage = tensor.storage
    if isinstance(tensor.dynamic, SimulationError):
        return
    marks = np.empty((tensor.size, tensor.dtype.stored), np.uint8)
    marks[...] = np.asarray(who).reshape(-1, 1)
    if storage.buffer == PSUM:
        if storage.sums is None:
            storage.sums = np.zeros(storage.raw.size, np.uint8)
        _note(tensor, storage.sums, marks, skip, chosen)
    if storage.known is not None:
        _note(tensor, storage.known, marks, skip, chosen)


def _note(tensor: Tensor, notes: Array, marks: Array, skip: bool, chosen: Array | None) -> None:
    if chosen is not None and chosen.size == tensor.size:
        held = marks_of(tensor, notes, skip).reshape(marks.shape)
        marks = np.where(chosen.reshape(-1, 1), marks, held)
    put_marks(tensor, notes, marks, skip)
