"""Movement between partitions and gathers: ``nc_stream_shuffle``, ``nc_n_gather``, ``local_gather``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ..core import dtypes
from ..core.dtypes import Array
from ..core.errors import fail
from ..core.memory import SBUF
from ..core.tensor import Tensor
from . import rules
from .common import instruction, operand

KEEP = 255
QUADRANT = 32
STARTS = {1: (0, 32, 64, 96), 2: (0, 64), 3: (0,), 4: (0,)}
"""Partitions at which an access of so many quadrants may start."""
CORE_ROWS = 16
"""Partitions that each of GpSimd's eight cores reaches."""
GATHER_SIZES = (1, 2, 4, 8, 16, 32)


@instruction
def nc_stream_shuffle(dst: Any, src: Any, shuffle_mask: Sequence[int], name: str | None = None) -> None:
    """In each quadrant of 32 partitions ``dst[q + i] = src[q + shuffle_mask[i]]``; 255 keeps ``dst[q + i]``.

    ``dst`` may be ``src``. A source with fewer partitions serves as long as the mask names only those; one
    partition and a mask of zeros broadcast it.

    Args:
        dst, src: SBUF or PSUM, one type, equal elements in a partition. With up to 32, up to 64 or more
            partitions they start at a multiple of 32, a multiple of 64, or at 0.
        shuffle_mask: 32 partitions of a quadrant, 0..31 or 255.

    Raises SimulationError when types, sizes or starts do not fit, or the mask names a partition that ``src``
    lacks.
    """
    operand(src, "nc_stream_shuffle", "src")
    operand(dst, "nc_stream_shuffle", "dst")
    mask = tuple([int(entry) for entry in shuffle_mask])
    _check_mask(mask)
    source = src.read_raw()
    source = source.reshape(source.shape[0], -1)
    rows = dst.shape[0] if dst.partitioned else 1
    rules.same_type("nc_stream_shuffle", src, dst, ("src", "dst"))
    if dst.size != rows * source.shape[1]:
        raise fail(
            f"nisa.nc_stream_shuffle: src is a {src!r}, dst a {dst!r}; elements in a partition must match"
        )
    _check_starts(dst, src, max(rows, source.shape[0]))
    origin, kept, row = _origins(mask, rows)
    if origin[row] >= source.shape[0]:
        raise fail(
            f"nisa.nc_stream_shuffle: partition {row} of dst takes partition {int(origin[row])} of src, "
            f"which is a {src!r}"
        )
    values = source[origin]
    if kept is not None:
        values[kept] = dst.read_raw().reshape(rows, -1)[kept]
    dst.write(values.reshape(dst.shape))


@lru_cache(maxsize=64)
def _check_mask(mask: tuple[int, ...]) -> None:
    if len(mask) != QUADRANT or not all(0 <= entry < QUADRANT or entry == KEEP for entry in mask):
        raise fail(
            f"nisa.nc_stream_shuffle: shuffle_mask is {list(mask)}; it has 32 entries, 0..31 or {KEEP}"
        )


@lru_cache(maxsize=64)
def _origins(mask: tuple[int, ...], rows: int) -> tuple[Array, Array | None, int]:
    """Each one's partition of the source, those that stay (None: none), and which one has the last source."""
    wanted = np.array(mask)[np.arange(rows) % QUADRANT]
    kept = wanted == KEEP
    origin = np.where(kept, 0, np.arange(rows) // QUADRANT * QUADRANT + wanted)
    return origin, kept if kept.any() else None, int(origin.argmax())


def _check_starts(dst: Tensor, src: Tensor, rows: int) -> None:
    allowed = STARTS[-(-rows // QUADRANT)]
    for tensor, what in ((dst, "dst"), (src, "src")):
        start = _first_partition(tensor)
        if start is not None and start not in allowed:
            raise fail(
                f"nisa.nc_stream_shuffle: {what}, a {tensor!r}, starts at partition {start}; with {rows} "
                f"partitions it starts at one of {allowed}"
            )


def _first_partition(tensor: Tensor) -> int | None:
    """The partition a view starts at; None when that is known only to the compiler or when it runs."""
    storage = tensor.storage
    if tensor.dynamic is not None or storage.pitch is None:
        return None
    row = (tensor.start_byte() - storage.base) // storage.pitch
    if tensor.address is not None:
        return row + int(tensor.address[0])
    return row if storage.rows > QUADRANT or row else None


@instruction
def nc_n_gather(dst: Any, data: Any, indices: Any, name: str | None = None) -> None:
    """In each partition ``dst[p, i] = data[p, indices[p, i]]``; free dimensions count as one. On GpSimd.

    Args:
        dst: SBUF, of the type of ``data`` and with as many elements as ``indices``.
        data: SBUF, any type. indices: SBUF, uint32, below the elements in a partition of ``data``.

    Raises SimulationError when an index is out of range, or types or sizes do not fit.
    """
    for tensor, what in ((dst, "dst"), (data, "data"), (indices, "indices")):
        operand(tensor, "nc_n_gather", what, (SBUF,))
    source, index = _rows(data), _rows(indices).astype(np.int64)
    if indices.dtype is not dtypes.uint32:
        raise fail(f"nisa.nc_n_gather: indices is a {indices!r}; it must be uint32")
    rules.same_type("nc_n_gather", data, dst, ("data", "dst"))
    if source.shape[0] != index.shape[0] or dst.size != index.size or _partitions(dst) != index.shape[0]:
        raise fail(
            f"nisa.nc_n_gather: data is a {data!r}, indices a {indices!r}, dst a {dst!r}; partitions "
            "must match, and the elements of indices and dst"
        )
    if index.size and int(index.max()) >= source.shape[1]:
        raise fail(
            f"nisa.nc_n_gather: index {int(index.max())} is outside 0..{source.shape[1] - 1} of {data!r}"
        )
    dst.write(np.take_along_axis(source, index, 1).reshape(dst.shape))


@instruction
def local_gather(
    dst: Any,
    src_buffer: Any,
    index: Any,
    num_elem_per_idx: int = 1,
    num_valid_indices: int | None = None,
    name: str | None = None,
) -> None:
    """In each group of 16 partitions, gather elements that the group's indices name. On GpSimd.

    A group's indices are taken partition first (``index[0, 0], index[1, 0], …, index[0, 1], …``), the first
    ``num_valid_indices`` of them. Each names an element of the flattened free dimensions, at which
    ``num_elem_per_idx`` elements are read, in every partition of the group.

    Args:
        dst: SBUF, of the type of ``src_buffer``; ``num_valid_indices * num_elem_per_idx`` elements each.
        src_buffer: SBUF, any type. index: SBUF, uint16, the partitions of ``src_buffer``, a multiple of 16.
        num_elem_per_idx: 1, 2, 4, 8, 16 or 32.
        num_valid_indices: default 16 × the columns of ``index``; at most that, and at most 4096.

    Raises SimulationError when an element is out of range, or types or sizes do not fit.
    """
    for tensor, what in ((dst, "dst"), (src_buffer, "src_buffer"), (index, "index")):
        operand(tensor, "local_gather", what, (SBUF,))
    source, indices = _rows(src_buffer), _rows(index)
    count = indices.shape[1] * CORE_ROWS if num_valid_indices is None else int(num_valid_indices)
    _check_gather(dst, src_buffer, index, count, num_elem_per_idx)
    flat = (
        indices.reshape(-1, CORE_ROWS, indices.shape[1])
        .transpose(0, 2, 1)
        .reshape(-1, CORE_ROWS * indices.shape[1])
    )
    places = flat[:, :count, None].astype(np.int64) + np.arange(num_elem_per_idx)
    if places.size and int(places.max()) >= source.shape[1]:
        raise fail(
            f"nisa.local_gather: element {int(places.max())} is outside 0..{source.shape[1] - 1} of "
            f"{src_buffer!r}"
        )
    each = np.repeat(places.reshape(len(flat), -1), CORE_ROWS, axis=0)
    dst.write(np.take_along_axis(source, each, 1).reshape(dst.shape))


def _check_gather(dst: Tensor, source: Tensor, index: Tensor, count: int, each: int) -> None:
    rows = _partitions(source)
    if rows != _partitions(index) or rows % CORE_ROWS:
        raise fail(
            f"nisa.local_gather: src_buffer is a {source!r}, index a {index!r}; partitions must match and "
            f"be a multiple of {CORE_ROWS}"
        )
    if index.dtype is not dtypes.uint16:
        raise fail(f"nisa.local_gather: index is a {index!r}; it must be uint16")
    if each not in GATHER_SIZES:
        raise fail(f"nisa.local_gather: num_elem_per_idx is {each}; it is one of {GATHER_SIZES}")
    most = min(index.size // rows * CORE_ROWS, 4096)
    if not 0 < count <= most:
        raise fail(f"nisa.local_gather: {count} indices for {CORE_ROWS} partitions, the most is {most}")
    rules.same_type("local_gather", source, dst, ("src_buffer", "dst"))
    if _partitions(dst) != rows or dst.size != rows * count * each:
        raise fail(f"nisa.local_gather: dst is a {dst!r}; the result has {rows} partitions of {count * each}")


def _rows(tensor: Tensor) -> Array:
    """The stored elements as ``[partitions, elements]``."""
    raw = tensor.read_raw()
    return raw.reshape(raw.shape[0], -1)


def _partitions(tensor: Tensor) -> int:
    return tensor.shape[0] if tensor.partitioned else 1
