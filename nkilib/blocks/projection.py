"""Products with weights that pass through SBUF once, in blocks of their rows.

    product[t, n] = Σ_k activations[k, t] · weight[k, n]

Activations are a contraction-major operand ``[128, tiles, T]`` in SBUF (see :mod:`.matmul`), weights
``[K, N]`` in HBM. All of a block's sums are alive in PSUM while the weights stream by, so N is at most
:func:`columns_at_once`. Two arrangements:

* *rows*: a PSUM tile ``[T ≤ 128, ≤ 512]`` for each 128 tokens and 512 columns; the weights move.
* *planes*: 128 weight columns on partitions, as many planes ``[128, n, T]`` as a bank holds; the tokens move.
"""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from ..core.utils.allocator import SbufManager, sizeinbytes
from ..core.utils.kernel_assert import kernel_assert
from ..core.utils.kernel_helpers import NUM_HW_PSUM_BANKS, div_ceil
from .dtypes import is_fp8
from .matmul import broadcast_row, contract
from .memory import PARTITIONS, PSUM_COLUMNS, Scratch, psum_tile, scratch
from .tiles import as_tile, as_view, load_rows, tiles_of

WEIGHT_BYTES = 16 * 1024
"""Bytes of a partition that one block of weight rows may take, if it has more than one tile."""
BANKS = 4
"""Banks of PSUM for the sums of one block of columns; the others are for what follows, and the next block."""


class Piece(nl.NKIObject):
    """One sum: ``product`` in PSUM of these tokens (start, size) and weight columns (start, end, step)."""

    product: nl.ndarray
    tokens: tuple[int, int]
    columns: tuple[int, int, int]


class Sums(nl.NKIObject):
    """The sums of one block of weight columns.

    Attributes:
        pieces: what is summed. banks: the PSUM tiles that they are parts of.
        planes: whether the weight columns are on partitions. group: planes in a bank.
    """

    pieces: list[Piece]
    banks: list[nl.ndarray]
    planes: bool
    group: int


def columns_at_once(tokens: int) -> int:
    """Most weight columns of one block for T ≤ 512 tokens; a multiple of 512."""
    return BANKS // tiles_of(tokens) * PSUM_COLUMNS


def row_sums(tokens: int, columns: int) -> Sums:
    """Sums with tokens on partitions: all columns of each 128 tokens in neighbouring banks, a piece each."""
    pieces: list[Piece] = []
    banks: list[nl.ndarray] = []
    for token in range(0, tokens, PARTITIONS):
        count = min(PARTITIONS, tokens - token)
        whole = psum_tile((count, columns))
        banks.append(whole)
        for start in range(0, columns, PSUM_COLUMNS):
            end = min(start + PSUM_COLUMNS, columns)
            pieces.append(Piece(product=whole[:, start:end], tokens=(token, count), columns=(start, end, 1)))
    return Sums(pieces=pieces, banks=banks, planes=False, group=1)


def plane_sums(tokens: int, columns: int, strided: bool = False) -> Sums:
    """Sums with weight columns on partitions: plane j is ``[:, j % group, :]`` of bank ``j // group``.

    Plane j has the columns ``128 j + p``, the last plane perhaps fewer; ``strided``, ``p·J + j`` of J planes.
    Raises AssertionError when the planes need more than the 8 banks.
    """
    count = div_ceil(columns, PARTITIONS)
    group = max(1, PSUM_COLUMNS // tokens)
    needed = div_ceil(count, group)
    kernel_assert(
        needed <= NUM_HW_PSUM_BANKS,
        f"{columns} columns on partitions and {tokens} tokens need {needed} banks of PSUM, there are 8",
    )
    pieces: list[Piece] = []
    banks: list[nl.ndarray] = []
    for plane in range(count):
        if plane % group == 0:
            banks.append(psum_tile((PARTITIONS, min(group, count - plane), tokens)))
        if strided:
            cut = (plane, columns, count)
            size = PARTITIONS
        else:
            cut = (plane * PARTITIONS, min(columns, (plane + 1) * PARTITIONS), 1)
            size = cut[1] - cut[0]
        product = banks[plane // group][0:size, plane % group, :]
        pieces.append(Piece(product=product, tokens=(0, tokens), columns=cut))
    return Sums(pieces=pieces, banks=banks, planes=True, group=group)


def accumulate(
    sums: Sums, activations: Any, weight: Any, sbm: SbufManager, by_partition: bool = False
) -> None:
    """Add the products of all weight rows to the sums.

    Args:
        activations: SBUF ``[128, tiles, T]``.
        weight: HBM ``[K, N]``, row ``128 i + p`` against (p, tile i); ``by_partition``, row ``p·tiles + i``.
            float32 is converted to the activations' dtype by the load.
    """
    rows = as_view(weight)
    operand = as_view(activations)
    dtype = operand.dtype if rows.dtype == nl.float32 else rows.dtype
    tiles = tiles_of(rows.shape[0])
    size = max(1, WEIGHT_BYTES // (rows.shape[1] * sizeinbytes(dtype)))
    for first in range(0, tiles, size):
        last = min(first + size, tiles)
        work = scratch(sbm, name="weights")
        block = work.tile((PARTITIONS, last - first, rows.shape[1]), dtype)
        count = min(rows.shape[0], last * PARTITIONS) - first * PARTITIONS
        if by_partition:
            spread = rows.reshape_dim(0, (PARTITIONS, tiles)).slice(1, first, last)
            nisa.dma_copy(dst=block, src=spread.get_view())
        else:
            load_rows(block, rows.slice(0, first * PARTITIONS, first * PARTITIONS + count))
        add_products(sums, operand.slice(1, first, last), block, count)
        work.close()


def add_products(sums: Sums, activations: Any, weight: Any, rows: int) -> None:
    """As :func:`accumulate` for weights ``[128, tiles, N]`` that are in SBUF, of ``rows`` rows."""
    operand, block = as_view(activations), as_view(weight)
    paired = is_fp8(operand.dtype) and is_fp8(block.dtype)
    for piece in sums.pieces:
        start, end, step = piece.columns
        right = block if step == 1 else block.slice(2, start, end, step)
        chosen = (start, min(end, block.shape[2]) - start) if step == 1 else None
        if sums.planes:
            contract(piece.product, right, operand, rows, chosen, piece.tokens, double_row=paired)
        else:
            contract(piece.product, operand, right, rows, piece.tokens, chosen, double_row=paired)


def bank_planes(sums: Sums, bank: int) -> tuple[int, int]:
    """``(first, count)`` of the planes in a bank."""
    first = bank * sums.group
    return first, min(sums.group, len(sums.pieces) - first)


def affine(
    dst: Any, src: Any, sbm: SbufManager, scale: Any = None, factors: Any = None, shift: Any = None
) -> None:
    """``dst = src · scale · factors + shift`` in fp32 with one rounding; each of the three may be None.

    Args:
        dst: SBUF; src: SBUF or PSUM, of one shape ``[P, …]``. ``dst`` may be ``src``.
        scale: a number, or SBUF fp32 ``[P, 1]``.
        factors, shift: SBUF of the shape of src, for example repeated along a dimension by ``broadcast``.
    """
    into, data = as_tile(dst), as_tile(src)
    if scale is None and factors is None and shift is None:
        nisa.tensor_copy(dst=into, src=data)
    elif factors is None and shift is None:
        nisa.tensor_scalar(dst=into, data=data, op0=nl.multiply, operand0=scale)
    elif factors is None:
        _with_scale(into, data, scale, nl.add, shift)
    elif shift is None:
        _with_scale(into, data, scale, nl.multiply, factors)
    else:
        work = scratch(sbm, name="affine")
        held = work.tile(tuple(src.shape), nl.float32)
        _with_scale(held, data, scale, nl.multiply, factors)
        _with_scale(into, held, None, nl.add, shift)
        work.close()


def _with_scale(dst: Any, src: Any, scale: Any, op: Any, operand: Any) -> None:
    """``dst = (src · scale) op operand``."""
    other = as_tile(operand)
    if scale is None:
        nisa.tensor_tensor(dst=dst, data1=src, data2=other, op=op)
    else:
        nisa.scalar_tensor_tensor(dst=dst, data=src, op0=nl.multiply, operand0=scale, op1=op, operand1=other)


def weigh(dst: Any, src: Any, weight: Any, adding: bool, sbm: SbufManager) -> None:
    """``dst = src·weight``, or with ``adding`` ``dst += src·weight``; in fp32 with one rounding to ``dst``.

    Args:
        dst: SBUF; src: SBUF or PSUM, of one shape ``[P, …]``.
        weight: SBUF fp32 ``[P, 1]``, or of the shape of src; None is 1.
    """
    into, data = as_tile(dst), as_tile(src)
    if weight is None and adding:
        nisa.tensor_tensor(dst=into, data1=data, data2=into, op=nl.add)
    elif weight is None:
        nisa.tensor_copy(dst=into, src=data)
    elif len(weight.shape) == 2 and weight.shape[1] == 1 and adding:
        _with_scale(into, data, as_tile(weight), nl.add, into)
    elif len(weight.shape) == 2 and weight.shape[1] == 1:
        nisa.tensor_scalar(dst=into, data=data, op0=nl.multiply, operand0=as_tile(weight))
    elif adding:
        work = scratch(sbm, name="weigh")
        held = work.tile(tuple(src.shape), nl.float32)
        nisa.tensor_tensor(dst=held, data1=data, data2=as_tile(weight), op=nl.multiply)
        nisa.tensor_tensor(dst=into, data1=held, data2=into, op=nl.add)
        work.close()
    else:
        nisa.tensor_tensor(dst=into, data1=data, data2=as_tile(weight), op=nl.multiply)


def spread_columns(row: Any, rows: int, start: int, end: int, work: Scratch, sbm: SbufManager) -> Any:
    """Columns ``start`` to ``end`` of an HBM row ``[1, N]`` on ``rows`` partitions of SBUF; or None."""
    if row is None:
        return None
    tile = work.tile((rows, end - start), row.dtype)
    spread_row(tile, as_view(row).slice(1, start, end), sbm)
    return tile


def spread_row(dst: Any, src: Any, sbm: SbufManager) -> None:
    """``dst[p, n] = src[0, n]``: a row ``[1, N]`` of HBM, read once, on all partitions of SBUF ``[P, N]``."""
    row, into = as_view(src), as_view(dst)
    if into.shape[0] == 1:
        nisa.dma_copy(dst=into.get_view(), src=row.get_view())
        return
    work = scratch(sbm, name="spread_row")
    held = work.tile((1, row.shape[1]), row.dtype)
    nisa.dma_copy(dst=held, src=row.get_view())
    broadcast_row(dst, held, sbm)
    work.close()
