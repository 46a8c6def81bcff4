"""Keys and values of a cache in SBUF: flat ones, and blocks that a table lists; new rows put in their places.

A part of T context tokens lies as 128 partitions of ``n = T/128`` tiles. Which token is at (p, f) is a
:class:`TokenOrder`::

    strided        p·n + f                              long runs of a flat cache on each partition
    tiles          f·128 + p
    pieces of bl   (f // bl)·128·bl + p·bl + f % bl     128 pieces at a time, one on each partition (a fold)

Keys are held as columns ``[d, B, n, 128]``, the stationary operands of tile f; values as ``[128, B, n, d]``.
"""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from ..core.utils.allocator import SbufManager, sizeinbytes
from ..core.utils.tensor_view import TensorView
from .matmul import transpose, transpose_tiles
from .memory import PARTITIONS, scratch
from .tiles import as_tile, as_view

_FOLDS_AT_ONCE = 16
"""Folds whose piece numbers are made together."""


class TokenOrder(nl.NKIObject):
    """Where tokens lie: ``tiles`` is n, ``piece`` the length of pieces, or 0 for a flat cache."""

    tiles: int
    piece: int = 0
    strided: bool = True


class Run(nl.NKIObject):
    """Neighbouring tokens from ``first`` on, ``count`` of them, at (partition, tile) and what follows.

    They follow each other over the partitions (``across``), or over the tiles of one partition.
    """

    first: int
    count: int
    partition: int
    tile: int
    across: bool


def place(order: TokenOrder, token: int) -> tuple[int, int]:
    """``(partition, tile)`` of a token."""
    if order.piece > 0:
        fold, within = divmod(token, PARTITIONS * order.piece)
        return within // order.piece, fold * order.piece + within % order.piece
    if order.strided:
        return token // order.tiles, token % order.tiles
    return token % PARTITIONS, token // PARTITIONS


def runs(order: TokenOrder, start: int, count: int) -> list[Run]:
    """Tokens ``start`` to ``start + count - 1`` in as few runs as possible; a run counts from ``start``."""
    across = order.piece == 0 and not order.strided
    length = PARTITIONS
    if not across:
        length = order.tiles if order.piece == 0 else order.piece
    found = []
    done = 0
    while done < count:
        token = start + done
        size = min(count - done, length - token % length)
        partition, tile = place(order, token)
        found.append(Run(first=done, count=size, partition=partition, tile=tile, across=across))
        done += size
    return found


def token_numbers(dst: nl.ndarray, order: TokenOrder, base: int) -> None:
    """``dst[p, f] = base + token at (p, f)``; SBUF ``[128, n]``."""
    if order.piece > 0:
        folds = order.tiles // order.piece
        pattern = [[PARTITIONS * order.piece, folds], [1, order.piece]]
        nisa.iota(dst=dst, pattern=pattern, offset=base, channel_multiplier=order.piece)
    elif order.strided:
        nisa.iota(dst=dst, pattern=[[1, order.tiles]], offset=base, channel_multiplier=order.tiles)
    else:
        nisa.iota(dst=dst, pattern=[[PARTITIONS, order.tiles]], offset=base, channel_multiplier=1)


def by_token(rows: TensorView, dim: int, order: TokenOrder) -> TensorView:
    """Dimension ``dim`` of T tokens, in their own order, as two: tile and partition."""
    if order.strided and order.piece == 0:
        split = rows.reshape_dim(dim, (PARTITIONS, order.tiles))
        return split.permute(_swapped(split.get_dim(), dim))
    return rows.reshape_dim(dim, (order.tiles, PARTITIONS))


def _swapped(dimensions: int, dim: int) -> tuple[int, ...]:
    """The permutation that swaps ``dim`` and the next."""
    order = []
    for index in range(dimensions):
        if index == dim:
            order.append(dim + 1)
        elif index == dim + 1:
            order.append(dim)
        else:
            order.append(index)
    return tuple(order)


# -- flat caches ----------------------------------------------------------------------------------------


def load_values(dst: Any, src: Any, order: TokenOrder) -> None:
    """``dst[p, b, f, :] = src[b, token, :]`` in one DMA.

    Args:
        dst: SBUF ``[128, B, n, d]``. src: HBM ``[B, T, d]``.
    """
    tokens = by_token(as_view(src), 1, order)
    nisa.dma_copy(dst=as_tile(dst), src=tokens.permute((2, 0, 1, 3)).get_view())


def load_key_columns(dst: nl.ndarray, src: Any, order: TokenOrder) -> TensorView:
    """Keys that lie as columns in HBM; returns them as ``[d, B, n, 128]``.

    Args:
        dst: SBUF ``[d, B, T]``. src: HBM ``[B, d, T]``.
    """
    nisa.dma_copy(dst=dst, src=as_view(src).permute((1, 0, 2)).get_view())
    return by_token(as_view(dst), 2, order)


def load_key_rows(dst: nl.ndarray, src: Any, order: TokenOrder, sbm: SbufManager) -> TensorView:
    """Keys that lie as rows in HBM; returns them as ``[d, B, n, 128]``.

    16-bit types are transposed by the DMA. Others pass through TensorE, a sequence at a time; 8-bit ones as
    bfloat16, of which ``dst`` must then be.

    Args:
        dst: SBUF ``[d, B, T]``. src: HBM ``[B, T, d]``.
    """
    rows = as_view(src)
    if sizeinbytes(rows.dtype) == 2:
        nisa.dma_transpose(dst=dst, src=rows.permute((1, 0, 2)).get_view())
        return by_token(as_view(dst), 2, order)
    for batch in range(rows.shape[0]):
        work = scratch(sbm, name="load_key_rows")
        staged = work.tile((PARTITIONS, 1, order.tiles, rows.shape[2]), dst.dtype)
        load_values(staged, rows.slice(0, batch, batch + 1), order)
        transpose_tiles(as_view(dst).select(1, batch), as_view(staged).select(1, 0), dst.shape[2])
        work.close()
    return as_view(dst).reshape_dim(2, (order.tiles, PARTITIONS))


# -- blocks ---------------------------------------------------------------------------------------------


class Blocks(nl.NKIObject):
    """A cache of blocks, cut into pieces.

    Attributes:
        rows: HBM ``[pieces, length·d]``. pieces, length, depth: their number, tokens, and d.
    """

    rows: Any
    pieces: int
    length: int
    depth: int


def blocks_of(cache: nl.ndarray, length: int) -> Blocks:
    """A cache ``[blocks, block_len, d]`` in pieces of ``length`` tokens."""
    count, block, depth = cache.shape[0], cache.shape[1], cache.shape[2]
    pieces = count * (block // length)
    return Blocks(rows=cache.reshape((pieces, length * depth)), pieces=pieces, length=length, depth=depth)


def piece_numbers(
    dst: nl.ndarray, table: Any, first: int, factor: int, blocks: int, sbm: SbufManager
) -> None:
    """``dst[p, fold, b]`` = the piece of sequence b at ``first + 128·fold + p``.

    A block with the number i has the pieces ``factor·i`` to ``factor·i + factor - 1``. Numbers that are not
    those of blocks become ones that are not those of pieces. They are computed in fp32, exact up to 2²⁴.

    Args:
        dst: SBUF uint32 ``[128, folds, B]``. table: HBM uint32 ``[B, blocks of a sequence]``.
        blocks: how many blocks the cache has.
    """
    listed, into = as_view(table), as_view(dst)
    rows, folds = listed.shape[0], into.shape[1]
    for start in range(0, folds, _FOLDS_AT_ONCE):
        end = min(folds, start + _FOLDS_AT_ONCE)
        lowest, highest = first + start * PARTITIONS, first + end * PARTITIONS
        begin, stop = lowest // factor, (highest + factor - 1) // factor
        work = scratch(sbm, name="piece_numbers")
        held = work.tile((rows, stop - begin), table.dtype)
        nisa.dma_copy(dst=held, src=listed.slice(1, begin, stop).get_view())
        numbers = work.tile((rows, stop - begin, factor), nl.float32)
        for part in range(factor):
            nisa.tensor_scalar(
                dst=numbers[:, :, part], data=held, op0=nl.minimum, operand0=float(blocks),
                op1=nl.multiply, operand1=float(factor),
            )  # fmt: skip
            if part > 0:
                nisa.tensor_scalar(
                    dst=numbers[:, :, part], data=numbers[:, :, part], op0=nl.add, operand0=float(part)
                )
        cut = as_view(numbers).flatten_dims(1, 2).slice(1, lowest - begin * factor, highest - begin * factor)
        transpose(into.slice(1, start, end), cut)
        work.close()


def _column(numbers: TensorView, fold: int, batch: int) -> nl.ndarray:
    return numbers.select(1, fold).slice(1, batch, batch + 1).get_view()


def gather_pieces(dst: Any, blocks: Blocks, numbers: TensorView, batch: int) -> None:
    """``dst[p, fold·length + i, :]`` = token i of piece ``numbers[p, fold, batch]``; a DMA for each fold.

    Args:
        dst: SBUF ``[128, n, d]``; what pieces out of range leave untouched must be written before.
        numbers: SBUF uint32 ``[128, folds, B]``.
    """
    into = as_view(dst)
    width = blocks.length * blocks.depth
    for fold in range(into.shape[1] // blocks.length):
        nisa.dma_copy(
            dst=into.slice(1, fold * blocks.length, (fold + 1) * blocks.length).get_view(),
            src=blocks.rows.ap(
                pattern=[[width, PARTITIONS], [1, width]],
                vector_offset=_column(numbers, fold, batch),
            ),
            oob_mode=nisa.oob_mode.skip,
        )


def gather_values(dst: nl.ndarray, blocks: Blocks, numbers: TensorView, first: int) -> None:
    """Values of sequences ``first`` on, ``[128, B, n, d]``; 0 where a piece is out of range."""
    nisa.memset(dst=dst, value=0.0, engine=nisa.gpsimd_engine)
    for batch in range(dst.shape[1]):
        gather_pieces(as_view(dst).select(1, batch), blocks, numbers, first + batch)


def gather_keys(
    dst: nl.ndarray, blocks: Blocks, numbers: TensorView, first: int, sbm: SbufManager
) -> TensorView:
    """Keys of sequences ``first`` on; returns them as ``[d, B, n, 128]``; 0 where a piece is out of range.

    Heads of 128 with a 16-bit type are transposed by the DMA. Others pass through TensorE, a sequence at a
    time; 8-bit ones as bfloat16, of which ``dst`` must then be.

    Args:
        dst: SBUF ``[d, B, T]``.
    """
    columns = as_view(dst).reshape_dim(2, (dst.shape[2] // PARTITIONS, PARTITIONS))
    if blocks.depth == PARTITIONS and sizeinbytes(blocks.rows.dtype) == 2:
        half = dst.shape[2] // 2
        nisa.memset(dst=dst[:, :, 0:half], value=0.0, engine=nisa.vector_engine)
        nisa.memset(dst=dst[:, :, half : dst.shape[2]], value=0.0, engine=nisa.gpsimd_engine)
        for batch in range(dst.shape[1]):
            _gather_columns(columns.select(1, batch), blocks, numbers, first + batch)
        return columns
    for batch in range(dst.shape[1]):
        work = scratch(sbm, name="gather_keys")
        staged = work.tile((PARTITIONS, columns.shape[2], blocks.depth), dst.dtype)
        nisa.memset(dst=staged, value=0.0, engine=nisa.gpsimd_engine)
        gather_pieces(staged, blocks, numbers, first + batch)
        transpose_tiles(as_view(dst).select(1, batch), staged, dst.shape[2])
        work.close()
    return columns


def _gather_columns(into: TensorView, blocks: Blocks, numbers: TensorView, batch: int) -> None:
    """As :func:`gather_pieces`, transposed by the DMA into ``[d, n, 128]``."""
    length, depth = blocks.length, blocks.depth
    for fold in range(into.shape[1] // length):
        nisa.dma_transpose(
            dst=into.slice(1, fold * length, (fold + 1) * length).get_view(),
            src=blocks.rows.ap(
                pattern=[[length * depth, PARTITIONS], [depth, length], [1, depth]],
                vector_offset=_column(numbers, fold, batch),
            ),
            oob_mode=nisa.oob_mode.skip,
        )


# -- new tokens -----------------------------------------------------------------------------------------


def put_key_columns(dst: TensorView, new: TensorView, places: list[Run]) -> None:
    """New keys over those of the cache: ``dst[:, b, f, p] = new[:, b, j]`` for the j-th token of ``places``.

    Args:
        dst: SBUF ``[d, B, n, 128]``. new: SBUF ``[d, B, tokens]``; converted to ``dst``'s dtype.
    """
    for run in places:
        source = new.slice(2, run.first, run.first + run.count)
        if run.across:
            target = dst.select(2, run.tile).slice(2, run.partition, run.partition + run.count)
        else:
            target = dst.slice(2, run.tile, run.tile + run.count).select(3, run.partition)
        nisa.tensor_copy(dst=target.get_view(), src=source.get_view())


def put_rows(dst: TensorView, new: TensorView, places: list[Run]) -> None:
    """New rows over those of the cache: ``dst[p, f, …] = new[j, …]`` for the j-th token of ``places``.

    Args:
        dst: SBUF ``[128, n, …]``. new: HBM ``[tokens, …]``; converted to ``dst``'s dtype.
    """
    for run in places:
        source = new.slice(0, run.first, run.first + run.count)
        if run.across:
            target = dst.slice(0, run.partition, run.partition + run.count).select(1, run.tile)
        else:
            target = dst.slice(0, run.partition, run.partition + 1).slice(1, run.tile, run.tile + run.count)
            source = source.expand_dim(0)
        nisa.dma_copy(dst=target.get_view(), src=source.get_view())
