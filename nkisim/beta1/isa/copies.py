"""Copies, fills and gathers within the chip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ... import isa
from ...core.dtypes import dtype_of, uint8, uint16, uint32
from ...core.errors import fail
from ...core.tensor import Tensor
from ..compute import active, new_tile
from ..memory import holding
from ..tile import Operand, Tile
from .issue import Landing, chip_operand, issue

_UNKNOWN = isa.unknown_engine


def tensor_copy(
    src: Any, *, mask: Any = None, dtype: Any = None, engine: Any = _UNKNOWN, **kwargs: Any
) -> Tile:
    """A copy of a tile, in SBUF."""
    return issue(isa.tensor_copy, src, dtype, mask, what="src", engine=engine)


def tensor_copy_dynamic_src(
    src: Any, *, mask: Any = None, dtype: Any = None, engine: Any = _UNKNOWN, **kwargs: Any
) -> Tile:
    """A copy, in SBUF, of an access whose index comes from a tile."""
    return tensor_copy(src, mask=mask, dtype=dtype, engine=engine)


def tensor_copy_dynamic_dst(
    *, dst: Any, src: Any, mask: Any = None, dtype: Any = None, engine: Any = _UNKNOWN, **kwargs: Any
) -> None:
    """Copy to an access whose index comes from a tile."""
    target, source = chip_operand(dst, "tensor_copy", "dst"), chip_operand(src, "tensor_copy", "src")
    region = active(mask, target.shape, (target, source))
    if region is None or not region.empty:
        landing = Landing(target, region)
        isa.tensor_copy(landing.tensor, source.part(region), engine)
        landing.settle()


def tensor_copy_predicated(
    *,
    src: Any,
    dst: Any,
    predicate: Any,
    reverse_pred: bool = False,
    mask: Any = None,
    dtype: Any = None,
    **kwargs: Any,
) -> None:
    """Copy src, a tile or a number, to dst where predicate is not 0 (is 0, with ``reverse_pred``)."""
    target, test = chip_operand(dst, "tensor_copy_predicated", "dst"), predicate
    chip_operand(test, "tensor_copy_predicated", "predicate")
    region = active(mask, target.shape, (target, test, src))
    if region is not None and region.empty:
        return
    landing = Landing(target, region)
    source = src.part(region) if isinstance(src, Operand) else src
    isa.tensor_copy_predicated(landing.tensor, source, _predicate(test.part(region)), reverse_pred)
    landing.settle()


def _predicate(test: Tensor) -> Tensor:
    """A predicate in a type that the instruction reads."""
    if test.dtype in (uint8, uint16, uint32) or test.dtype.itemsize > 1:
        return test
    return holding(
        test.read_raw().reshape(test.array.shape).astype(np.bool_).view(np.uint8), uint8, test.buffer
    )


def memset(
    shape: Sequence[int], value: Any, dtype: Any, *, mask: Any = None, engine: Any = _UNKNOWN, **kwargs: Any
) -> Tile:
    """A new tile in SBUF, filled with a number."""
    made = new_tile(shape, dtype_of(dtype))
    region = active(mask, made.shape, ())
    made.region = region
    if region is None or not region.empty:
        landing = Landing(made, region)
        isa.memset(landing.tensor, value, engine)
        landing.settle()
    return made


def dropout(data: Any, prob: Any, *, mask: Any = None, dtype: Any = None, **kwargs: Any) -> Tile:
    """data with elements replaced by 0 with probability prob, a number or one element for each partition."""
    source = chip_operand(data, "dropout", "data")
    kept = issue(isa.dropout, source, source.dtype, mask, prob)
    if dtype is None or dtype_of(dtype) is source.dtype:
        return kept
    cast = tensor_copy(kept, dtype=dtype, mask=mask)
    cast.region = kept.region
    return cast


def nc_stream_shuffle(
    src: Any, dst: Any, shuffle_mask: Sequence[int], *, dtype: Any = None, mask: Any = None, **kwargs: Any
) -> None:
    """Move partitions within each 32: ``dst[i] = src[shuffle_mask[i]]``."""
    target, source = (
        chip_operand(dst, "nc_stream_shuffle", "dst"),
        chip_operand(src, "nc_stream_shuffle", "src"),
    )
    region = active(mask, target.shape, (target,))
    if region is None or not region.empty:
        landing = Landing(target, region)
        isa.nc_stream_shuffle(landing.tensor, source.part(region), shuffle_mask)
        landing.settle()


def local_gather(
    src_buffer: Any, index: Any, num_elem_per_idx: int = 1, num_valid_indices: Any = None, *, mask: Any = None
) -> Tile:
    """In each 16 partitions the elements that their indices name: ``[P, indices, num_elem_per_idx]``."""
    source = chip_operand(src_buffer, "local_gather", "src_buffer")
    places = chip_operand(index, "local_gather", "index")
    count = int(np.prod(places.shape[1:])) * 16 if num_valid_indices is None else int(num_valid_indices)
    shape = (source.shape[0], count, num_elem_per_idx) if num_elem_per_idx > 1 else (source.shape[0], count)
    made = new_tile(shape, source.dtype)
    region = active(mask, places.shape, (source, places))
    if region is not None and not region.empty and region.box[0] != (0, places.shape[0]):
        raise fail("nisa.local_gather: a mask must leave all partitions or none")
    if region is None or not region.empty:
        isa.local_gather(made.tensor, source.part(None), places.part(None), num_elem_per_idx, count)
    return made


def builtin_custom_op(*args: Any, **kwargs: Any) -> None:
    """Always raises SimulationError: compiled custom operators run on the device only."""
    raise fail("nisa.builtin_custom_op runs a compiled library on GpSimd Engine; it cannot be simulated")
