"""Writing new keys and values into the caches of :mod:`.attention_block_tkg`.

Sequence b's S tokens go to S rows from ``start[b]`` on: of its part of a flat cache, or of all blocks.
"""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from ...blocks.dtypes import EXACT
from ...blocks.indirect import scatter_rows
from ...blocks.matmul import transpose
from ...blocks.memory import Scratch, psum_tile, scratch
from ...blocks.tiles import as_view, from_runtime_start
from ...core.utils.allocator import SbufManager

MOST_ROWS = EXACT
"""Rows of a cache are counted in float32."""
_NOWHERE = float(1 << 30)
"""A row that no cache has."""


class Rows(nl.NKIObject):
    """Where new tokens go.

    Attributes:
        starts: HBM ``[B, 1]``, unsigned. batch, sequence: B and S.
        step: rows from one sequence's part of the cache to the next; 0 for blocks.
    """

    starts: nl.ndarray
    batch: int
    sequence: int
    step: int


def write_rows(cache: nl.ndarray, tokens: Any, numbers: nl.ndarray, rows: Rows) -> None:
    """Tokens SBUF ``[T, d]`` to their rows of a cache whose last dimension is d.

    In blocks, a sequence whose start the cache does not have, such as the largest number, is left out.
    ``numbers``: what :func:`row_numbers` found.
    """
    size = cache.shape[len(cache.shape) - 1]
    count = 1
    for length in cache.shape[0 : len(cache.shape) - 1]:
        count = count * length
    scatter_rows(cache.reshape((count, size)), numbers, tokens, skip=rows.step == 0)


def row_numbers(rows: Rows, work: Scratch) -> nl.ndarray:
    """The row of each token, int32 ``[T, 1]`` of ``work``."""
    batch, sequence = rows.batch, rows.sequence
    starts = _starts(rows, nl.float32, work)
    places = work.tile((1, batch, sequence), nl.float32)
    nisa.iota(dst=places, pattern=[[rows.step, batch], [1, sequence]], offset=0, channel_multiplier=0)
    spread = as_view(starts).expand_dim(2).broadcast(2, sequence).get_view()
    nisa.tensor_tensor(dst=places, data1=places, data2=spread, op=nl.add)
    nisa.tensor_scalar(dst=places, data=places, op0=nl.minimum, operand0=_NOWHERE)
    column = psum_tile((batch * sequence, 1))
    flat = as_view(places).flatten_dims(1, 2).get_view()
    nisa.nc_transpose(dst=column, data=flat, engine=nisa.tensor_engine)
    numbers = work.tile((batch * sequence, 1), nl.int32)
    nisa.tensor_copy(dst=numbers, src=column)
    return numbers


def _starts(rows: Rows, dtype: Any, work: Scratch) -> nl.ndarray:
    """``[1, B]`` on one partition."""
    held = work.tile((1, rows.batch), rows.starts.dtype)
    nisa.dma_copy(dst=held, src=as_view(rows.starts).permute((1, 0)).get_view())
    converted = work.tile((1, rows.batch), dtype)
    nisa.tensor_copy(dst=converted, src=held)
    return converted


def write_columns(cache: nl.ndarray, keys: nl.ndarray, rows: Rows, sbm: SbufManager) -> None:
    """Keys SBUF ``[d, T]`` to their columns of a flat cache HBM ``[B, d, …]``."""
    work = scratch(sbm, name="write_columns")
    starts = _starts(rows, nl.int32, work)
    by_sequence = as_view(keys).reshape_dim(1, (rows.batch, rows.sequence))
    for batch in range(rows.batch):
        target = as_view(cache).select(0, batch).slice(1, 0, rows.sequence)
        target = from_runtime_start(target, 2, starts[0:1, batch : batch + 1])
        nisa.dma_copy(dst=target.get_view(), src=by_sequence.select(1, batch).get_view())
    work.close()


def as_rows(keys: nl.ndarray, work: Scratch) -> nl.ndarray:
    """``[d, T]`` as ``[T, d]``; 8-bit ones pass TensorE as bfloat16, which is exact."""
    size, tokens = keys.shape
    wide = keys
    if keys.dtype == nl.float8_e4m3:
        wide = work.tile((size, tokens), nl.bfloat16)
        nisa.tensor_copy(dst=wide, src=keys)
    found = work.tile((tokens, size), keys.dtype)
    transpose(as_view(found).expand_dim(1), wide, width=tokens)
    return found
