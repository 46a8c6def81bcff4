"""Rows of blocks, put where an index says in one flat buffer.

With blocks of ``f_len`` elements, row e of the input is ``T / f_len`` blocks, and

    out[:] = padding_val;  out[row_offsets[start + e] + p] = block p of row e, unless that is outside ``out``

Two cores take the first ⌈E/2⌉ rows and the rest. Each fills a buffer of its own in HBM, and the larger of the
two values is the result, element by element: rows that are to be seen must not be smaller than the padding.
Rows of one core that overlap are written in their order.

Elements are moved, never computed with: they are exact whatever their size. Only where rows of two cores
overlap are they compared, in fp32.
"""

from typing import Any

import nki
import nki.isa as nisa
import nki.language as nl

from ...blocks.lnc import Cores, cores, exchange
from ...blocks.memory import PARTITIONS, Scratch, manager, scratch
from ...blocks.tiles import load_rows, tile_rows, tiles_of
from ..utils.allocator import SbufManager
from ..utils.kernel_assert import kernel_assert
from ..utils.kernel_helpers import div_ceil
from ..utils.tensor_view import TensorView

COLUMNS = 4096
"""Elements of a partition that are filled or merged at a time."""


@nki.jit
def indexed_flatten(
    input_tensor: nl.ndarray,
    f_len: int,
    output_len: int,
    row_offsets: nl.ndarray,
    row_offsets_start: nl.ndarray | None = None,
    padding_val: int = -1,
) -> nl.ndarray:
    """Scatter the rows of ``input_tensor`` into a flat buffer.

    Args:
        input_tensor: HBM ``[E, T]``; T / f_len is a multiple of 16.
        f_len: elements of a block.
        output_len: elements of the result, a multiple of 128 and of f_len.
        row_offsets: HBM int32 ``[N]``: the block of the result where a row starts.
        row_offsets_start: HBM int32 ``[1]``: row e uses ``row_offsets[start + e]``, and N may be larger than
            E; None is start 0, and N is E.
        padding_val: what the result holds elsewhere.

    Returns:
        HBM ``[output_len]`` of the input's dtype.
    """
    _validate(input_tensor, f_len, output_len, row_offsets, row_offsets_start)
    rows, length = input_tensor.shape
    here = cores()
    share = div_ceil(rows, here.count)
    first = min(rows, here.index * share)
    last = min(rows, first + share)
    out = nl.ndarray((output_len,), dtype=input_tensor.dtype, buffer=nl.shared_hbm)
    mine = nl.ndarray((output_len // f_len, f_len), dtype=input_tensor.dtype, buffer=nl.hbm)
    sbm = manager()
    work = scratch(sbm, name="indexed_flatten")
    _fill(mine, padding_val, sbm)
    if last > first:
        targets = _block_indices(row_offsets, row_offsets_start, (first, last), length // f_len, work, sbm)
        for row in range(first, last):
            blocks = TensorView(input_tensor).select(0, row).reshape_dim(0, (length // f_len, f_len))
            _scatter(mine, blocks, targets, row - first, sbm)
    _merge(out, mine, here, sbm)
    work.close()
    return out


def _fill(buffer: nl.ndarray, value: int, sbm: SbufManager) -> None:
    """Every element of an HBM buffer becomes ``value``."""
    columns = buffer.size // PARTITIONS
    spread = buffer.reshape((PARTITIONS, columns))
    work = scratch(sbm, name="fill")
    tile = work.tile((PARTITIONS, min(columns, COLUMNS)), buffer.dtype)
    nisa.memset(dst=tile, value=value)
    for start in range(0, columns, COLUMNS):
        end = min(start + COLUMNS, columns)
        nisa.dma_copy(dst=spread[:, start:end], src=tile[:, 0 : end - start])
    work.close()


def _block_indices(
    row_offsets: nl.ndarray,
    start: nl.ndarray | None,
    rows: tuple[int, int],
    blocks: int,
    work: Scratch,
    sbm: SbufManager,
) -> nl.ndarray:
    """int32 ``[128, tiles of blocks, rows]``: where block ``128 i + p`` of each of the rows goes."""
    first, last = rows
    count = last - first
    tiles = tiles_of(blocks)
    indices = work.tile((PARTITIONS, tiles, count), nl.int32)
    inner = scratch(sbm, name="block_indices")
    offsets = inner.tile((PARTITIONS, count), nl.int32)
    channel = inner.tile((PARTITIONS, 1), nl.float32)
    nisa.dma_copy(dst=offsets, src=_offsets_of(row_offsets, start, first, count, inner))
    nisa.iota(dst=channel, pattern=[[0, 1]], offset=0, channel_multiplier=1)
    for i in range(tiles):
        nisa.tensor_scalar(
            dst=indices[:, i, :],
            data=offsets,
            op0=nl.add,
            operand0=channel,
            op1=nl.add,
            operand1=float(i * PARTITIONS),
        )
    inner.close()
    return indices


def _offsets_of(
    row_offsets: nl.ndarray, start: nl.ndarray | None, first: int, count: int, work: Scratch
) -> nl.ndarray:
    """``row_offsets[start + first : … + count]`` on all partitions."""
    pattern = [[0, PARTITIONS], [1, count]]
    if start is None:
        return row_offsets.ap(pattern=pattern, offset=first)
    begin = work.tile((1, 1), nl.int32)
    nisa.dma_copy(dst=begin, src=start)
    return row_offsets.ap(pattern=pattern, offset=first, scalar_offset=begin, indirect_dim=0)


def _scatter(buffer: nl.ndarray, blocks: TensorView, indices: nl.ndarray, row: int, sbm: SbufManager) -> None:
    """Blocks ``[blocks, f_len]`` to the rows of an HBM buffer that the indices name; others are skipped."""
    count, width = blocks.shape
    work = scratch(sbm, name="scatter")
    held = work.tile((PARTITIONS, tiles_of(count), width), buffer.dtype)
    load_rows(held, blocks)
    for i in range(tiles_of(count)):
        filled = tile_rows(count, i)
        target = buffer.ap(
            pattern=[[width, filled], [1, width]],
            offset=0,
            vector_offset=indices[0:filled, i, row : row + 1],
            indirect_dim=0,
        )
        nisa.dma_copy(dst=target, src=held[0:filled, i, :], oob_mode=nisa.oob_mode.skip)
    work.close()


def _merge(out: nl.ndarray, mine: nl.ndarray, here: Cores, sbm: SbufManager) -> None:
    """The larger of the cores' values, stored by core 0."""
    columns = mine.size // PARTITIONS
    source, target = mine.reshape((PARTITIONS, columns)), out.reshape((PARTITIONS, columns))
    for start in range(0, columns, COLUMNS):
        end = min(start + COLUMNS, columns)
        work = scratch(sbm, name="merge")
        tile = work.tile((PARTITIONS, end - start), mine.dtype)
        nisa.dma_copy(dst=tile, src=source[:, start:end])
        if here.count == 2:
            _keep_larger(tile, here, work)
        if here.index == 0:
            nisa.dma_copy(dst=target[:, start:end], src=tile)
        work.close()


def _keep_larger(tile: Any, here: Cores, work: Scratch) -> None:
    """``tile = max(tile, the other core's tile)``, by copying, so that no bits are lost."""
    theirs = work.tile(tuple(tile.shape), tile.dtype)
    larger = work.tile(tuple(tile.shape), nl.uint8)
    exchange(theirs, tile, here)
    nisa.tensor_tensor(dst=larger, data1=theirs, data2=tile, op=nl.greater)
    nisa.tensor_copy_predicated(dst=tile, src=theirs, predicate=larger)


def _validate(
    input_tensor: nl.ndarray,
    f_len: int,
    output_len: int,
    row_offsets: nl.ndarray,
    start: nl.ndarray | None,
) -> None:
    shape = tuple(input_tensor.shape)
    kernel_assert(len(shape) == 2, f"input_tensor must be [E, T], its shape is {shape}")
    rows, length = shape
    kernel_assert(f_len > 0, f"f_len must be positive, it is {f_len}")
    kernel_assert(output_len % PARTITIONS == 0, f"output_len must be a multiple of 128, it is {output_len}")
    kernel_assert(output_len % f_len == 0, f"output_len {output_len} must be a multiple of f_len {f_len}")
    kernel_assert(length % f_len == 0, f"T = {length} must be a multiple of f_len {f_len}")
    kernel_assert(length // f_len % 16 == 0, f"T / f_len must be a multiple of 16, it is {length // f_len}")
    given = row_offsets.shape[0]
    if start is None:
        kernel_assert(
            given == rows, f"row_offsets must have one entry for each of {rows} rows, it has {given}"
        )
    else:
        kernel_assert(given >= rows, f"row_offsets must have at least {rows} entries, it has {given}")
        one = tuple(start.shape) == (1,)
        kernel_assert(one, f"row_offsets_start must have shape (1,), it has {start.shape}")
