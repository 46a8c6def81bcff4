"""Rows of a tensor in HBM that numbers in SBUF name: gathered into a tile, scattered from one.

The tensor is whole, as allocated (reshaped if need be), ``[R, …]``; what follows the first dimension is a
row. Numbers are int32 ``[P ≤ 128, 1]``, one for each partition of the tile.
"""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from ..core.utils.allocator import num_elts
from .tiles import as_tile, as_view


def gather_rows(dst: Any, src: nl.ndarray, numbers: Any, start: int = 0, skip: bool = False) -> None:
    """``dst[p, :] = src[numbers[p], start : start + F]``, one DMA.

    Args:
        dst: SBUF ``[P, F]``, of the same dtype or converted.
        start: first element of a row.
        skip: a number out of range leaves its partition as it is; otherwise it is an error.
    """
    nisa.dma_copy(dst=as_tile(dst), src=_named(src, numbers, start, as_view(dst).shape), oob_mode=_mode(skip))


def gather_or_zero(dst: Any, src: nl.ndarray, numbers: Any, start: int = 0) -> None:
    """:func:`gather_rows`, and 0 where a number is out of range."""
    nisa.memset(dst=as_tile(dst), value=0.0, engine=nisa.gpsimd_engine)
    gather_rows(dst, src, numbers, start, skip=True)


def scatter_rows(dst: nl.ndarray, numbers: Any, src: Any, start: int = 0, skip: bool = False) -> None:
    """``dst[numbers[p], start : start + F] = src[p, :]``, one DMA.

    Args:
        src: SBUF ``[P, F]``. numbers: all different, but for rows whose result does not matter.
        start, skip: as for :func:`gather_rows`; a row that is skipped is not written.
    """
    nisa.dma_copy(dst=_named(dst, numbers, start, as_view(src).shape), src=as_tile(src), oob_mode=_mode(skip))


def _named(tensor: nl.ndarray, numbers: Any, start: int, shape: tuple[int, ...]) -> nl.ndarray:
    step = num_elts(tensor.shape[1:])
    return tensor.ap(pattern=[[step, shape[0]], [1, shape[1]]], offset=start, vector_offset=as_tile(numbers))


def _mode(skip: bool) -> Any:
    return nisa.oob_mode.skip if skip else nisa.oob_mode.error
