"""What a call leaves in its debug tensors: masked scores, negated maxima, weights, sums, pieces of blocks.

Scores and weights are ``[128, S/128, B·H·s_a]``, in the order of the score tiles. Maxima and sums are
``[cores that share the batch, ⌈n/128⌉, min(n, 128)]`` for the n queries of a core. A context in several tiles
has no maxima and weights, and, when it is strided, no scores.
"""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from ...blocks.memory import PARTITIONS, Scratch
from ...blocks.tiles import as_view
from ..utils.kernel_assert import assert_shape
from ..utils.kernel_helpers import div_ceil
from .attention_tkg_call import Call, Tile
from .attention_tkg_utils import uses_flash_attention

_SCORES, _MAXIMA, _WEIGHTS, _SUMS, _PIECES = 0, 1, 2, 3, 4


def check_debug_tensors(call: Call) -> None:
    """Raise AssertionError for a debug tensor of another shape."""
    if call.debug is None:
        return
    cfg, share = call.cfg, call.share
    each = cfg.q_head * cfg.s_active
    tile = (PARTITIONS, cfg.curr_sprior // PARTITIONS, cfg.bs * each)
    own = share.batches * each
    row = (cfg.bs // share.batches, div_ceil(own, PARTITIONS), min(own, PARTITIONS))
    shapes = [tile, row, tile, row]
    if share.piece > 0:
        shapes.append((PARTITIONS, cfg.curr_sprior // (PARTITIONS * share.piece), cfg.bs))
    for index in range(len(shapes)):
        assert_shape(call.debug[index], shapes[index], f"DBG_TENSORS[{index}]")


def in_tiles(call: Call) -> bool:
    """Whether the context is worked on in several tiles."""
    return uses_flash_attention(call.share.tokens)[0]


def keep_scores(call: Call, tile: Tile, scores: nl.ndarray, column: int) -> None:
    """Raw scores ``[128, n, C]`` of the core's queries from ``column`` on."""
    if call.debug is not None and not (in_tiles(call) and call.cfg.strided_mm1):
        _store_tile(call, call.debug[_SCORES], tile, scores, column)


def keep_weights(
    call: Call, tile: Tile, weights: nl.ndarray, largest: nl.ndarray, column: int, work: Scratch
) -> None:
    """Weights ``[128, n, C]`` and maxima ``[128, C]``."""
    if call.debug is None or in_tiles(call):
        return
    _store_tile(call, call.debug[_WEIGHTS], tile, weights, column)
    negated = work.tile((1, largest.shape[1]), nl.float32)
    nisa.tensor_scalar(dst=negated, data=largest[0:1, :], op0=nl.multiply, operand0=-1.0)
    _store_row(call, call.debug[_MAXIMA], negated, column)


def keep_sums(call: Call, sums: nl.ndarray, column: int) -> None:
    """Sums of weights ``[1, C]``."""
    if call.debug is not None:
        _store_row(call, call.debug[_SUMS], sums, column)


def keep_pieces(call: Call) -> None:
    """Numbers of the pieces, ``[128, pieces/128, B]``."""
    if call.debug is None or call.share.piece == 0 or not _writes(call):
        return
    share = call.share
    fold = PARTITIONS * share.piece
    target = as_view(call.debug[_PIECES]).slice(1, share.base // fold, (share.base + share.tokens) // fold)
    target = target.slice(2, share.first, share.first + share.batches)
    nisa.dma_copy(dst=target.get_view(), src=call.numbers)


def _writes(call: Call) -> bool:
    """Whether this core's part differs from that of the first one, or it is the first."""
    return call.share.by_batch or call.share.by_context or call.share.here.index == 0


def _store_tile(call: Call, target: Any, tile: Tile, values: nl.ndarray, column: int) -> None:
    if not _writes(call):
        return
    first = (call.share.base + tile.start) // PARTITIONS
    start = call.share.first * call.cfg.q_head * call.cfg.s_active + column
    part = as_view(target).slice(1, first, first + values.shape[1]).slice(2, start, start + values.shape[2])
    nisa.dma_copy(dst=part.get_view(), src=values)


def _store_row(call: Call, target: Any, row: Any, column: int) -> None:
    """From ``column`` on in the row of all queries of a core, which is cut into rows of 128."""
    share = call.share
    if not share.by_batch and share.here.index > 0:
        return
    rows = as_view(target).select(0, share.here.index if share.by_batch else 0).flatten_dims(0, 1)
    nisa.dma_copy(dst=rows.slice(0, column, column + row.shape[1]).get_view(), src=row)
