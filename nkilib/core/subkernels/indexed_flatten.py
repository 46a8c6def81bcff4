"""Rows of blocks, put where an index says in one flat buffer.

With blocks of ``f_len`` elements, row e of the input is ``T / f_len`` blocks, and

    out[:] = padding_val;  out[row_offsets[start + e] + p] = block p of row e, unless that is outside ``out``

Two cores take the first ⌈E/2⌉ rows and the rest. Each fills a buffer of its own in HBM, and the larger of the
two values is the result, element by element: rows that are to be seen must not be smaller than the padding.
Rows of one core that overlap are written in their order. A row is contiguous in both places: it goes there in
one DMA, into a buffer that has room for a row on either side, for what is outside ``out``.

Elements are moved, never computed with: they are exact whatever their size. Only where rows of two cores
overlap are they compared, in fp32.
"""

from typing import Any

import nki
import nki.isa as nisa
import nki.language as nl

from ...blocks.arguments import assert_classes, assert_integer, assert_layout, assert_number
from ...blocks.dtypes import EXACT
from ...blocks.lnc import Cores, cores, exchange
from ...blocks.memory import PARTITIONS, Scratch, manager, scratch
from ...blocks.tiles import as_view, from_runtime_start
from ..utils.allocator import SbufManager
from ..utils.kernel_assert import kernel_assert
from ..utils.kernel_helpers import div_ceil
from ..utils.tensor_view import TensorView

COLUMNS = 4096
"""Elements of a partition that are filled or merged at a time."""
_MOST = (1 << 31) - 1
"""Elements of a result: places are int32."""


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
    assert_classes(
        tensors=((input_tensor, "input_tensor"), (row_offsets, "row_offsets")),
        optional=((row_offsets_start, "row_offsets_start"),),
    )
    _validate(input_tensor, f_len, output_len, row_offsets, row_offsets_start)
    assert_number(padding_val, "padding_val")
    rows, length = input_tensor.shape
    here = cores()
    share = div_ceil(rows, here.count)
    first = min(rows, here.index * share)
    last = min(rows, first + share)
    out = nl.ndarray((output_len,), dtype=input_tensor.dtype, buffer=nl.shared_hbm)
    blocks, most = length // f_len, output_len // f_len
    buffer = nl.ndarray((blocks + most + blocks, f_len), dtype=input_tensor.dtype, buffer=nl.hbm)
    mine = as_view(buffer).slice(0, blocks, blocks + most).flatten_dims(0, 1)
    mine = mine.reshape_dim(0, (PARTITIONS, output_len // PARTITIONS))
    sbm = manager()
    work = scratch(sbm, name="indexed_flatten")
    _fill(mine, padding_val, sbm)
    if last > first:
        places = _places(row_offsets, row_offsets_start, (first, last), blocks, most, work)
        for row in range(first, last):
            target = as_view(buffer).slice(0, 0, blocks)
            target = from_runtime_start(target, 0, places[0:1, row - first : row - first + 1])
            source = as_view(input_tensor).select(0, row).reshape_dim(0, (blocks, f_len))
            nisa.dma_copy(dst=target.get_view(), src=source.get_view())
    _merge(out, mine, here, sbm)
    work.close()
    return out


def _fill(buffer: TensorView, value: int, sbm: SbufManager) -> None:
    """Every element of an HBM buffer ``[128, N]`` becomes ``value``."""
    columns = buffer.shape[1]
    work = scratch(sbm, name="fill")
    tile = work.tile((PARTITIONS, min(columns, COLUMNS)), buffer.dtype)
    nisa.memset(dst=tile, value=value, engine=nisa.gpsimd_engine)
    for start in range(0, columns, COLUMNS):
        end = min(start + COLUMNS, columns)
        nisa.dma_copy(dst=buffer.slice(1, start, end).get_view(), src=tile[:, 0 : end - start])
    work.close()


def _places(
    row_offsets: nl.ndarray,
    start: nl.ndarray | None,
    rows: tuple[int, int],
    blocks: int,
    most: int,
    work: Scratch,
) -> nl.ndarray:
    """int32 ``[1, rows]``: the block of the buffer where each of the rows starts.

    The buffer's first ``blocks`` are before the result, whose blocks are ``most``. Rows wholly outside
    go to an end. Computed in fp32, exact up to 2²⁴.
    """
    first, last = rows
    places = work.tile((1, last - first), nl.int32)
    offsets = work.tile((1, last - first), nl.int32)
    nisa.dma_copy(dst=offsets, src=_offsets_of(row_offsets, start, first, last - first, work))
    nisa.tensor_scalar(
        dst=places, data=offsets, op0=nl.add, operand0=float(blocks), op1=nl.maximum, operand1=0.0,
        engine=nisa.gpsimd_engine,
    )  # fmt: skip
    nisa.tensor_scalar(
        dst=places, data=places, op0=nl.minimum, operand0=float(blocks + most), engine=nisa.gpsimd_engine
    )
    return places


def _offsets_of(
    row_offsets: nl.ndarray, start: nl.ndarray | None, first: int, count: int, work: Scratch
) -> nl.ndarray:
    """``row_offsets[start + first : … + count]``, ``[1, count]``."""
    pattern = [[count, 1], [1, count]]
    if start is None:
        return row_offsets.ap(pattern=pattern, offset=first)
    begin = work.tile((1, 1), nl.int32)
    nisa.dma_copy(dst=begin, src=start)
    return row_offsets.ap(pattern=pattern, offset=first, scalar_offset=begin, indirect_dim=0)


def _merge(out: nl.ndarray, mine: TensorView, here: Cores, sbm: SbufManager) -> None:
    """The larger of the cores' values, ``[128, N]``, stored by core 0."""
    columns = mine.shape[1]
    target = out.reshape((PARTITIONS, columns))
    for start in range(0, columns, COLUMNS):
        end = min(start + COLUMNS, columns)
        work = scratch(sbm, name="merge")
        tile = work.tile((PARTITIONS, end - start), mine.dtype)
        nisa.dma_copy(dst=tile, src=mine.slice(1, start, end).get_view())
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
    assert_layout(input_tensor, 2, "[E, T]", "input_tensor")
    assert_layout(row_offsets, 1, "[N]", "row_offsets")
    rows, length = input_tensor.shape
    assert_integer(f_len, "f_len")
    assert_integer(output_len, "output_len", 1, _MOST)
    kernel_assert(f_len > 0, f"f_len must be positive, it is {f_len}")
    kernel_assert(output_len % PARTITIONS == 0, f"output_len must be a multiple of 128, it is {output_len}")
    kernel_assert(output_len % f_len == 0, f"output_len {output_len} must be a multiple of f_len {f_len}")
    kernel_assert(length % f_len == 0, f"T = {length} must be a multiple of f_len {f_len}")
    kernel_assert(length // f_len % 16 == 0, f"T / f_len must be a multiple of 16, it is {length // f_len}")
    places = (length + output_len) // f_len
    kernel_assert(places <= EXACT, f"at most {EXACT} blocks can be counted, of T and output_len: {places}")
    given = row_offsets.shape[0]
    if start is None:
        kernel_assert(
            given == rows, f"row_offsets must have one entry for each of {rows} rows, it has {given}"
        )
    else:
        kernel_assert(given >= rows, f"row_offsets must have at least {rows} entries, it has {given}")
        one = tuple(start.shape) == (1,)
        kernel_assert(one, f"row_offsets_start must have shape (1,), it has {start.shape}")
