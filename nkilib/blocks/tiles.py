"""Movement between HBM and SBUF.

The shape of data on chip is ``[128, tiles, F]``: rows on partitions, 128 of them in a tile, the last tile
ragged. Where these rows are what a matmul sums over, it is a *contraction-major operand* (see ``matmul``).

Sources and destinations are tensors as allocated, or TensorViews of them (cut out with ``slice``), because
the kernel language does not index what was indexed before. A DMA between different dtypes converts.
"""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from ..core.utils.kernel_assert import kernel_assert
from ..core.utils.kernel_helpers import div_ceil
from ..core.utils.tensor_view import TensorView
from .memory import PARTITIONS


def as_view(tensor: Any) -> TensorView:
    """A TensorView of a tensor; a TensorView stays what it is."""
    if isinstance(tensor, TensorView):
        return tensor
    return TensorView(tensor)


def as_tile(tensor: Any) -> nl.ndarray:
    """What an instruction takes as its operand: the access pattern of a TensorView, or the tensor itself."""
    if isinstance(tensor, TensorView):
        return tensor.get_view()
    return tensor


def from_runtime_start(view: TensorView, dim: int, start: nl.ndarray) -> TensorView:
    """The view moved on by ``start`` elements of dimension ``dim`` of its whole tensor, when the access runs.

    Args:
        start: one int32 in SBUF, ``[1, 1]``. Cut what is read out of the view first.
    """
    moved = view.slice(0, 0, view.shape[0])
    moved.scalar_offset = start
    moved.indirect_dim = dim
    return moved


def tiles_of(rows: int) -> int:
    """Tiles of 128 rows, the ragged one included."""
    return div_ceil(rows, PARTITIONS)


def tile_rows(rows: int, tile: int) -> int:
    """Rows of a tile: 128, in the last one perhaps fewer."""
    return min(PARTITIONS, rows - tile * PARTITIONS)


def _move(dst: Any, src: Any) -> None:
    nisa.dma_copy(dst=as_tile(dst), src=as_tile(src))


def load_rows(dst: Any, src: Any) -> None:
    """``dst[p, i, :] = src[128 i + p, :]``: rows of HBM in tiles, one DMA and one more for a ragged tile.

    Args:
        dst: SBUF ``[128, ⌈R/128⌉, F]``; partitions that a ragged last tile does not fill stay as they are.
        src: HBM ``[R, F]``.
    """
    rows = as_view(src)
    tiles = as_view(dst)
    whole = rows.shape[0] // PARTITIONS
    if whole > 0:
        _move(tiles.slice(1, 0, whole), _tiled(rows, whole))
    if rows.shape[0] > whole * PARTITIONS:
        _move(_ragged(tiles, whole, rows), rows.slice(0, whole * PARTITIONS, rows.shape[0]))


def transpose_by_dma(dst: Any, src: Any) -> None:
    """``dst[f, i, p] = src[p, 128 i + f]``, as :func:`.matmul.transpose` does it, by DMA.

    It has half the throughput of a copy, but takes no time of TensorE, and no other engine has to empty PSUM:
    for kernels that wait for Vector or Scalar Engine (see "DMA Transpose" in Trainium2's architecture guide).

    Args:
        dst: SBUF ``[128, ⌈F/128⌉, P]``; partitions beyond a ragged last tile stay as they are.
        src: HBM ``[P, F]``, or SBUF ``[P ≤ 128, F]``, of the same dtype, 16 or 32 bit.

    One instruction, and one more for a ragged tile. From gen3 on.
    """
    into, rows = as_view(dst), as_view(src)
    columns = rows.shape[1]
    whole = columns // PARTITIONS
    if whole > 0:
        blocks = rows.slice(1, 0, whole * PARTITIONS).reshape_dim(1, (whole, PARTITIONS))
        nisa.dma_transpose(dst=into.slice(1, 0, whole).get_view(), src=blocks.get_view())
    if columns > whole * PARTITIONS:
        ragged = into.slice(0, 0, columns - whole * PARTITIONS).select(1, whole)
        nisa.dma_transpose(dst=ragged.get_view(), src=rows.slice(1, whole * PARTITIONS, columns).get_view())


def store_rows(dst: Any, src: Any) -> None:
    """``dst[128 i + p, :] = src[p, i, :]``, the inverse of :func:`load_rows`.

    Args:
        dst: HBM ``[R, F]``.
        src: SBUF ``[128, ⌈R/128⌉, F]``.
    """
    rows = as_view(dst)
    tiles = as_view(src)
    whole = rows.shape[0] // PARTITIONS
    if whole > 0:
        _move(_tiled(rows, whole), tiles.slice(1, 0, whole))
    if rows.shape[0] > whole * PARTITIONS:
        _move(rows.slice(0, whole * PARTITIONS, rows.shape[0]), _ragged(tiles, whole, rows))


def _tiled(rows: TensorView, whole: int) -> TensorView:
    """``[R, F]`` as ``[128, whole, F]``, without the ragged end."""
    return rows.slice(0, 0, whole * PARTITIONS).reshape_dim(0, (whole, PARTITIONS)).permute((1, 0, 2))


def _ragged(tiles: TensorView, whole: int, rows: TensorView) -> TensorView:
    """The part ``[rest, F]`` of the last tile that rows fill."""
    return tiles.slice(0, 0, rows.shape[0] - whole * PARTITIONS).select(1, whole)


def load_rows_by_partition(dst: Any, src: Any) -> None:
    """``dst[p, j, :] = src[p·J + j, :]``: J neighbouring rows on each partition, one DMA of long runs.

    A sum over all rows may take them in any order, so this is the order for weights whose other operand is in
    the sharded-hidden layout of :func:`load_hidden`.

    Args:
        dst: SBUF ``[128, J, F]``.
        src: HBM ``[128·J, F]``.
    """
    rows = as_view(src)
    kernel_assert(rows.shape[0] % PARTITIONS == 0, f"rows must be a multiple of 128, got {rows.shape[0]}")
    _move(dst, rows.reshape_dim(0, (PARTITIONS, rows.shape[0] // PARTITIONS)))


def load_hidden(dst: Any, src: Any, shards: int = 1, transposed: bool = False) -> None:
    """Activations with the hidden dimension spread over the partitions, ``[128, T, H/128]``, in one DMA.

    ``dst[p, t, s·H1s + j] = src[t, s·(H/shards) + p·H1s + j]`` with ``H1s = H/128/shards``; for the half of
    one of two cores, slice ``src`` to its columns and leave ``shards`` 1.
    With ``transposed``: ``dst[p, t, j] = src[t, 128 j + p]`` (``shards`` must be 1).

    Args:
        dst: SBUF ``[128, T, H/128]``.
        src: HBM ``[T, H]``, H a multiple of ``128·shards``.
    """
    rows = as_view(src)
    into = as_view(dst)
    columns = rows.shape[1]
    if transposed:
        kernel_assert(shards == 1, "the transposed hidden layout has one shard")
        _load_transposed(into, rows, columns // PARTITIONS)
        return
    spread = _spread(rows, shards)
    _move(_by_shard(into, shards), spread)


def load_hidden_sum(dst: Any, srcs: list[Any], shards: int = 1) -> None:
    """As :func:`load_hidden` for the sum of several tensors ``[T, H]``: added in fp32, rounded once."""
    spread = []
    for src in srcs:
        spread.append(_spread(as_view(src), shards).get_view())
    _add_up(_by_shard(as_view(dst), shards).get_view(), spread)


def load_sum(dst: Any, srcs: list[Any]) -> None:
    """``dst = srcs[0] + srcs[1] + …``: HBM tensors of the shape of dst; added in fp32, rounded once."""
    tiles = []
    for src in srcs:
        tiles.append(as_tile(src))
    _add_up(as_tile(dst), tiles)


def _add_up(dst: nl.ndarray, srcs: list[nl.ndarray]) -> None:
    nisa.dma_compute(dst=dst, srcs=srcs, scales=[1.0] * len(srcs), reduce_op=nl.add)


def _spread(rows: TensorView, shards: int) -> TensorView:
    """HBM ``[T, H]`` as ``[128, T, shards, H/128/shards]``."""
    columns = rows.shape[1]
    kernel_assert(columns % (PARTITIONS * shards) == 0, f"H = {columns} is no multiple of 128·{shards}")
    each = columns // PARTITIONS // shards
    return rows.reshape_dim(1, (shards, PARTITIONS, each)).permute((2, 0, 1, 3))


def _by_shard(tile: TensorView, shards: int) -> TensorView:
    """SBUF ``[128, T, H/128]`` as ``[128, T, shards, H/128/shards]``."""
    return tile.reshape_dim(2, (shards, tile.shape[2] // shards))


def _load_transposed(into: TensorView, rows: TensorView, tiles: int) -> None:
    """Through the transposing DMA, which takes 2-byte types; others element by element."""
    split = rows.reshape_dim(1, (tiles, PARTITIONS))
    if rows.dtype == nl.bfloat16 or rows.dtype == nl.float16:
        nisa.dma_transpose(dst=into.flatten_dims(1, 2).get_view(), src=split.flatten_dims(0, 1).get_view())
        return
    _move(into, split.permute((2, 0, 1)))


def store_hidden(dst: Any, src: Any, shards: int = 1) -> None:
    """``dst[t, s·(H/shards) + p·H1s + j] = src[p, t, s·H1s + j]``, the inverse of :func:`load_hidden`."""
    _move(_spread(as_view(dst), shards), _by_shard(as_view(src), shards))


def load_hidden_row(dst: Any, src: Any, shards: int = 1, transposed: bool = False) -> None:
    """A row ``[1, H]`` of HBM (gamma, beta) in the layout of :func:`load_hidden`: ``dst[128, H/128]``."""
    row = as_view(src)
    if transposed:
        _move(dst, row.reshape_dim(1, (row.shape[1] // PARTITIONS, PARTITIONS)).select(0, 0).permute((1, 0)))
        return
    load_hidden(as_view(dst).expand_dim(1), row, shards)


def load_broadcast(dst: Any, src: Any) -> None:
    """``dst[p, :] = src[0, :]``: a row ``[1, N]`` of HBM on all partitions of SBUF ``[P, N]``, by one DMA."""
    _move(dst, as_view(src).broadcast(0, dst.shape[0]))


def load_column(dst: Any, src: Any) -> None:
    """``dst[p, i] = src[0, 128 i + p]``: a row ``[1, N]`` of HBM down the partitions, ``[128, ⌈N/128⌉]``.

    As a bias or scale for tiles with N on partitions: column ``i`` is the ``[P, 1]`` operand of tile ``i``.
    """
    row = as_view(src)
    load_rows(as_view(dst).expand_dim(2), row.reshape_dim(1, (row.shape[1], 1)).select(0, 0))
