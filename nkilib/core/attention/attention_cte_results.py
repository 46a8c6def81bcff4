"""From sums over all keys to the results of :mod:`.attention_cte`."""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from ...blocks.matmul import transpose_tiles
from ...blocks.memory import PARTITIONS, scratch
from ...blocks.tiles import as_view, store_rows
from ..utils.allocator import SbufManager
from .attention_cte_buffers import Buffers
from .attention_cte_call import Call
from .attention_cte_plan import Group


def finish(call: Call, group: Group, sums: nl.ndarray, buffers: Buffers, sbm: SbufManager) -> None:
    """``result = sums / Z``, stored; after a share's last group its statistics, too.

    Args:
        sums: fp32 ``[128, tiles, d]``, SBUF or PSUM: query ``128·t + p`` of the group is at (p, t).
    """
    share, result = group.share, buffers.results[group.buffer]
    inverses, negated = buffers.inverses[group.share_buffer], buffers.negated[group.share_buffer]
    whole = group.rows // PARTITIONS
    if whole > 0:
        _normalize(result, sums, inverses, group, buffers, (PARTITIONS, 0, whole))
    if whole < group.tiles:
        _normalize(result, sums, inverses, group, buffers, (group.rows - whole * PARTITIONS, whole, 1))
    _store(call, group, result, sbm)
    if call.cfg.cache_softmax:
        for tile in range(group.tiles):
            at = group.column + tile
            nisa.tensor_copy(dst=negated[:, at : at + 1], src=group.states[tile].negated_max)
        if group.last:
            count = share.end - share.first
            into = (share.batch, share.first, share.end)
            nisa.dma_copy(dst=call.neg_max[into[0], :, into[1] : into[2]], src=negated[:, 0:count])
            nisa.dma_copy(dst=call.recip[into[0], :, into[1] : into[2]], src=inverses[:, 0:count])


def _normalize(
    dst: nl.ndarray, sums: nl.ndarray, inverses: nl.ndarray, group: Group, buffers: Buffers, part: Any
) -> None:
    """``dst = sums / Z``, ``inverses = 1 / Z``; part: rows in each tile, first tile, number of tiles."""
    rows, tile, tiles = part
    column = group.column + tile
    totals = buffers.totals[group.state_buffer]
    nisa.reciprocal(dst=inverses[0:rows, column : column + tiles], data=totals[0:rows, tile : tile + tiles])
    spread = as_view(inverses).slice(0, 0, rows).slice(1, column, column + tiles)
    nisa.tensor_tensor(
        dst=dst[0:rows, tile : tile + tiles, :],
        data1=sums[0:rows, tile : tile + tiles, :],
        data2=spread.expand_dim(2).broadcast(2, sums.shape[2]).get_view(),
        op=nl.multiply,
    )


def _store(call: Call, group: Group, result: nl.ndarray, sbm: SbufManager) -> None:
    into = as_view(call.result).select(0, group.share.batch)
    start, end = group.tile * PARTITIONS, group.tile * PARTITIONS + group.rows
    if not call.cfg.tp_out:
        store_rows(into.slice(0, start, end), as_view(result).slice(1, 0, group.tiles))
        return
    work = scratch(sbm, name="store")
    columns = work.tile((call.cfg.d, group.rows), call.result.dtype)
    transpose_tiles(columns, result, group.rows)
    nisa.dma_copy(dst=into.slice(1, start, end).get_view(), src=columns)
    work.close()
