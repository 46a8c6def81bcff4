"""Products and transposes on TensorE.

A *contraction-major operand* is ``[128, tiles, columns]`` in SBUF: row ``k`` of the matrix is (partition
``k % 128``, tile ``k // 128``), or any other order that both operands share, as long as only the last tile is
ragged. Loads of ``tiles`` give weights this shape, :func:`transpose` gives it to token-major tiles.

Operands are tensors as allocated or TensorViews. Evacuating PSUM (bias, scale, activation, cast) is the
caller's, with one or two instructions on the PSUM tile.
"""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from ..core.utils.allocator import SbufManager, sizeinbytes
from ..core.utils.kernel_assert import kernel_assert
from ..core.utils.kernel_helpers import div_ceil
from ..core.utils.tensor_view import TensorView
from .memory import PARTITIONS, PSUM_BANK_BYTES, PSUM_COLUMNS, Scratch, psum_tile, scratch
from .tiles import as_tile, as_view, load_rows, tiles_of


def contract(
    dst: nl.ndarray,
    stationary: Any,
    moving: Any,
    rows: int,
    stationary_columns: tuple[int, int] | None = None,
    moving_columns: tuple[int, int] | None = None,
    depth: int = PARTITIONS,
    double_row: bool = False,
) -> None:
    """``dst[m, n] (+)= Σ_k stationary[k, m] · moving[k, n]`` over all ``rows``, in one PSUM tile.

    Adds to what earlier calls put into ``dst``, so that a sum may be spread over several calls.

    Args:
        dst: PSUM ``[M ≤ 128, N ≤ 512]``, float32.
        stationary: contraction-major ``[depth, tiles, M]``; its columns become the partitions of ``dst``.
        moving: contraction-major ``[depth, tiles, N]``.
        rows: how many k there are; tile ``i`` holds ``min(depth, rows - depth·i)`` of them.
        stationary_columns, moving_columns: (start, size) of the columns to use; all if omitted.
        depth: rows in a tile that is not the last, ≤ 128 (for example a head of 64).
        double_row: two tiles in one instruction, for operands that are both fp8; a last single or ragged tile
            runs alone, and each does before gen3.

    16- and 8-bit operands may be mixed, fp32 goes with fp32 only.
    """
    tiles = div_ceil(rows, depth)
    able = nisa.get_nc_version() >= nisa.nc_version.gen3
    paired = rows // depth // 2 * 2 if double_row and able else 0
    for tile in range(0, paired, 2):
        left = _cut(stationary, depth, tile, 2, stationary_columns)
        right = _cut(moving, depth, tile, 2, moving_columns)
        nisa.nc_matmul(dst=dst, stationary=left, moving=right, perf_mode=nisa.matmul_perf_mode.double_row)
    for tile in range(paired, tiles):
        filled = min(depth, rows - tile * depth)
        left = _cut(stationary, filled, tile, 1, stationary_columns)
        right = _cut(moving, filled, tile, 1, moving_columns)
        nisa.nc_matmul(dst=dst, stationary=left, moving=right)


def _cut(operand: Any, partitions: int, tile: int, count: int, columns: tuple[int, int] | None) -> nl.ndarray:
    """``count`` tiles of an operand, ``[partitions, columns]`` or ``[partitions, count, columns]``."""
    start, size = (0, operand.shape[2]) if columns is None else columns
    if isinstance(operand, TensorView):
        if count == 1 and not operand.has_dynamic_access():
            return _matrix(operand, partitions, tile, start, size)
        part = operand.slice(0, 0, partitions).slice(2, start, start + size)
        if count == 1:
            return part.select(1, tile).get_view()
        return part.slice(1, tile, tile + count).get_view()
    if count == 1:
        return operand[0:partitions, tile, start : start + size]
    return operand[0:partitions, tile : tile + count, start : start + size]


def _matrix(view: TensorView, partitions: int, tile: int, start: int, size: int) -> nl.ndarray:
    """One tile of a view in one step: products are many, and views of views take longer than they do."""
    rows, tiles, columns = view.shape
    kernel_assert(
        partitions <= rows and tile < tiles and start + size <= columns, "the product is outside its operand"
    )
    row, step, column = view.strides
    return view.base_tensor.ap(
        pattern=[[row, partitions], [column, size]], offset=view.offset + tile * step + start * column
    )


def transpose(
    dst: Any,
    src: Any,
    scale: Any = None,
    shift: Any = None,
    width: int = PARTITIONS,
    on_scalar: bool = False,
) -> None:
    """``dst[f, i, p] = src[p, width·i + f]``: a token-major tile becomes contraction-major.

    Args:
        dst: SBUF ``[width, ⌈F/width⌉, P]``, any dtype; partitions beyond a ragged last tile stay as they are.
        src: SBUF ``[P ≤ 128, F]``, 16 or 32 bit (load fp8 data with a cast).
        scale, shift: fp32 SBUF ``[width, ⌈F/width⌉]`` (:func:`.tiles.load_column`), one value for each column
            of ``src``: ``dst = scale·srcᵀ + shift``; both optional.
        width: columns of a tile, for example a head.
        on_scalar: without the two, Scalar Engine empties PSUM: for kernels that wait for Vector Engine.

    As many tiles as a PSUM bank holds leave it in one instruction; with ``shift`` each alone.
    """
    into, rows = as_view(dst), as_view(src)
    columns = rows.shape[1]
    group = max(1, PSUM_BANK_BYTES // (rows.shape[0] * sizeinbytes(rows.dtype)))
    whole = columns // width
    for first in range(0, whole, group):
        count = min(group, whole - first)
        part = rows.slice(1, first * width, (first + count) * width)
        _transpose_group(into, part, first, count, scale, shift, on_scalar)
    if columns > whole * width:
        _transpose_group(into, rows.slice(1, whole * width, columns), whole, 1, scale, shift, on_scalar)


def transpose_tiles(dst: Any, src: Any, rows: int) -> None:
    """``dst[f, 128 i + p] = src[p, i, f]``: rows in tiles (:func:`.tiles.load_rows`) become columns.

    Args:
        dst: SBUF ``[F, rows]``, any dtype.
        src: SBUF ``[128, ⌈rows/128⌉, F ≤ 128]``, 16 or 32 bit.

    As many tiles as a PSUM bank holds are evacuated by one instruction.
    """
    into, tiles = as_view(dst), as_view(src)
    width = tiles.shape[2]
    group = PSUM_BANK_BYTES // sizeinbytes(tiles.dtype) // PARTITIONS * PARTITIONS
    for first in range(0, rows, group):
        end = min(rows, first + group)
        flipped = psum_tile((width, end - first), tiles.dtype)
        for start in range(first, end, PARTITIONS):
            count = min(PARTITIONS, end - start)
            block = tiles.slice(0, 0, count).select(1, start // PARTITIONS).get_view()
            column = start - first
            nisa.nc_transpose(dst=flipped[:, column : column + count], data=block, engine=nisa.tensor_engine)
        nisa.tensor_copy(dst=into.slice(1, first, end).get_view(), src=flipped)


BANKS_TOGETHER = 4
"""PSUM banks that one instruction empties where a row is spread."""

_STAGED_ROWS = 2048
"""Rows that :func:`load_transposed` holds at a time."""


def load_transposed(dst: Any, src: Any, sbm: SbufManager) -> None:
    """``dst[f, n] = src[n, f]``: rows of HBM become columns.

    Args:
        dst: SBUF ``[F, N]``, 16 or 32 bit; the load converts to its dtype.
        src: HBM ``[N, F ≤ 128]``.

    One DMA that transposes where both are of one 16-bit type; otherwise TensorE transposes tile after tile.
    """
    into, source = as_view(dst), as_view(src)
    if into.dtype == source.dtype and sizeinbytes(into.dtype) == 2:
        nisa.dma_transpose(dst=into.get_view(), src=source.get_view())
        return
    length, width = source.shape[0], source.shape[1]
    for start in range(0, length, _STAGED_ROWS):
        end = min(length, start + _STAGED_ROWS)
        work = scratch(sbm, name="load_transposed")
        rows = work.tile((PARTITIONS, tiles_of(end - start), width), into.dtype)
        load_rows(rows, source.slice(0, start, end))
        transpose_tiles(into.slice(1, start, end), rows, end - start)
        work.close()


def _transpose_group(
    into: TensorView,
    rows: TensorView,
    first: int,
    count: int,
    scale: Any,
    shift: Any,
    on_scalar: bool,
) -> None:
    """``[P, count·height]`` as ``count`` tiles from ``first`` on, through PSUM ``[height, count, P]``."""
    height = rows.shape[1] // count
    flipped = psum_tile((height, count, rows.shape[0]), rows.dtype)
    for i in range(count):
        block = rows.slice(1, i * height, (i + 1) * height).get_view()
        nisa.nc_transpose(dst=flipped[:, i, :], data=block, engine=nisa.tensor_engine)
    target = into.slice(0, 0, height).slice(1, first, first + count)
    if scale is None and shift is None:
        copy_on(target.get_view(), flipped, on_scalar)
        return
    if shift is None:
        factors = as_view(scale).slice(0, 0, height).slice(1, first, first + count)
        spread = factors.expand_dim(2).broadcast(2, rows.shape[0]).get_view()
        nisa.tensor_tensor(dst=target.get_view(), data1=flipped, data2=spread, op=nl.multiply)
        return
    for i in range(count):
        multiplied, added = _column(scale, height, first + i), _column(shift, height, first + i)
        _shifted_copy(target.select(1, i).get_view(), flipped[:, i, :], multiplied, added)


def _column(values: Any, height: int, column: int) -> Any:
    if values is None:
        return None
    return as_view(values).slice(0, 0, height).slice(1, column, column + 1).get_view()


def _shifted_copy(dst: nl.ndarray, src: nl.ndarray, scale: Any, shift: Any) -> None:
    if scale is None:
        nisa.tensor_scalar(dst=dst, data=src, op0=nl.add, operand0=shift)
    else:
        nisa.tensor_scalar(dst=dst, data=src, op0=nl.multiply, operand0=scale, op1=nl.add, operand1=shift)


def copy_on(dst: nl.ndarray, src: nl.ndarray, on_scalar: bool) -> None:
    """``dst = src``, by Scalar Engine or by Vector Engine."""
    if on_scalar:
        nisa.activation(dst=dst, op=nl.copy, data=src)
    else:
        nisa.tensor_copy(dst=dst, src=src)


def add_row(dst: nl.ndarray, row: Any, ones: nl.ndarray) -> None:
    """``dst[m, n] += row[0, n]`` for every m, exactly, while ``dst`` is summed up in PSUM.

    Args:
        dst: PSUM fp32 ``[M ≤ 128, N ≤ 512]``, to which products are added before or behind.
        row: SBUF ``[1, N]``, a float of 16 or 32 bits. ones: SBUF ``[1, M]`` of ones of its dtype.
    """
    nisa.nc_matmul(dst=dst, stationary=ones, moving=as_tile(row))


def rows_of_spread(spread: nl.ndarray, work: Scratch) -> nl.ndarray:
    """Columns ``p·J + j`` in ``[128, J, T ≤ 128]`` of SBUF as rows ``[T, 128·J]``, a tile of ``work``."""
    _, planes, tokens = spread.shape
    result = work.tile((tokens, PARTITIONS * planes), spread.dtype)
    into = as_view(result).reshape_dim(1, (PARTITIONS, planes)).permute((0, 2, 1))
    source = spread
    if sizeinbytes(spread.dtype) == 1:
        source = work.tile(tuple(spread.shape), nl.bfloat16)
        nisa.tensor_copy(dst=source, src=spread)
    group = PSUM_BANK_BYTES // PARTITIONS // sizeinbytes(source.dtype)
    for first in range(0, planes, group):
        count = min(group, planes - first)
        flipped = psum_tile((tokens, count, PARTITIONS), source.dtype)
        for j in range(count):
            nisa.nc_transpose(dst=flipped[:, j, :], data=source[:, first + j, :], engine=nisa.tensor_engine)
        nisa.tensor_copy(dst=into.slice(1, first, first + count).get_view(), src=flipped)
    return result


def broadcast_row(dst: Any, row: Any, sbm: SbufManager, ones: Any = None) -> None:
    """``dst[p, n] = row[0, n]`` for every p, exactly: a row that is read from HBM once, on all partitions.

    Args:
        dst: SBUF ``[P ≤ 128, N]``. row: SBUF ``[1, N]``, a float of 16 or 32 bits.
        ones: SBUF ``[1, P]`` of ones in row's dtype, for callers that have one.
    """
    into, source = as_view(dst), as_view(row)
    rows, columns = into.shape[0], into.shape[1]
    work = scratch(sbm, name="broadcast_row")
    if ones is None:
        ones = work.tile((1, rows), source.dtype)
        nisa.memset(dst=ones, value=1.0)
    for start in range(0, columns, BANKS_TOGETHER * PSUM_COLUMNS):
        end = min(start + BANKS_TOGETHER * PSUM_COLUMNS, columns)
        spread = psum_tile((rows, end - start))
        for first in range(start, end, PSUM_COLUMNS):
            last = min(first + PSUM_COLUMNS, end)
            moving = source.slice(1, first, last).get_view()
            nisa.nc_matmul(dst=spread[:, first - start : last - start], stationary=ones, moving=moving)
        nisa.tensor_copy(dst=into.slice(1, start, end).get_view(), src=spread, engine=nisa.scalar_engine)
    work.close()


def sum_over_partitions(
    dst: Any,
    partial: Any,
    sbm: SbufManager,
    op: Any = nl.copy,
    scale: float = 1.0,
    bias: Any = None,
    on_heap: bool = False,
    ones: Any = None,
) -> None:
    """``dst[q, n] = op(scale · Σ_p partial[p, n] + bias)`` for every q: the sum, on all partitions.

    Args:
        dst: SBUF ``[128, N]``. partial: SBUF fp32 ``[128, N]``. bias: SBUF fp32 ``[128, 1]`` or None.
        op: an activation function of ``nl``, applied to the fp32 sum. on_heap: scratch from the heap side.
        ones: SBUF fp32 ``[128, 128]`` of ones, for callers that have one.
    """
    into, summed = as_view(dst), as_view(partial)
    work = scratch(sbm, on_heap, "sum_over_partitions")
    if ones is None:
        ones = work.tile((PARTITIONS, PARTITIONS), nl.float32)
        nisa.memset(dst=ones, value=1.0)
    columns = summed.shape[1]
    for start in range(0, columns, PSUM_COLUMNS):
        end = min(start + PSUM_COLUMNS, columns)
        total = psum_tile((PARTITIONS, end - start))
        nisa.nc_matmul(dst=total, stationary=as_tile(ones), moving=summed.slice(1, start, end).get_view())
        nisa.activation(dst=into.slice(1, start, end).get_view(), op=op, data=total, scale=scale, bias=bias)
    work.close()
