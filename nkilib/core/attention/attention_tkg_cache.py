"""Keys, values and masks of one tile of the context, for a few sequences, in SBUF."""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from ...blocks.cache import (
    by_token,
    gather_keys,
    gather_values,
    load_key_columns,
    load_key_rows,
    load_values,
    put_key_columns,
    put_rows,
    runs,
)
from ...blocks.memory import PARTITIONS
from ...blocks.tiles import as_view
from ..utils.allocator import sizeinbytes
from ..utils.tensor_view import TensorView
from .attention_tkg_call import Call, Tile
from .attention_tkg_utils import is_fp8_e4m3
from .gen_mask_tkg import mask_active, mask_prior


def key_type(call: Call) -> Any:
    """Of keys in SBUF: that of the cache, but bfloat16 for 8-bit ones that TensorE transposes."""
    if through_tensor_engine(call) and is_fp8_e4m3(call.k_prior.dtype):
        return nl.bfloat16
    return call.k_prior.dtype


def through_tensor_engine(call: Call) -> bool:
    """Whether keys are staged as rows and transposed by TensorE."""
    if sizeinbytes(call.k_prior.dtype) == 2:
        return call.share.piece > 0 and call.cfg.d_head != PARTITIONS
    return call.share.piece > 0 or call.cfg.tp_k_prior


def _rows_of(call: Call, cache: Any, first: int, count: int) -> TensorView:
    """This core's sequences ``first`` to ``first + count - 1``, without the dimension of the one head."""
    start = call.share.first + first
    return as_view(cache).slice(0, start, start + count).select(1, 0)


def load_keys(call: Call, tile: Tile, dst: nl.ndarray, first: int) -> TensorView:
    """Keys of sequences ``first`` on, with the new ones, in ``dst``, ``[d, B, T]``; as ``[d, B, n, 128]``."""
    count = dst.shape[1]
    start = call.share.base + tile.start
    if call.share.piece > 0:
        keys = gather_keys(dst, call.key_blocks, _numbers(call, tile), first, call.sbm)
    elif call.cfg.tp_k_prior:
        rows = _rows_of(call, call.k_prior, first, count).slice(1, start, start + tile.size)
        keys = load_key_rows(dst, rows, tile.order, call.sbm)
    else:
        rows = _rows_of(call, call.k_prior, first, count).slice(2, start, start + tile.size)
        keys = load_key_columns(dst, rows, tile.order)
    if tile.ends:
        begin = call.share.first + first
        put_key_columns(keys, call.keys.slice(1, begin, begin + count), _new_places(call, tile))
    return keys


def load_values_of(call: Call, tile: Tile, dst: nl.ndarray, first: int) -> None:
    """Values of sequences ``first`` on, new ones in their places, in ``dst``, ``[128, B, n, d]``."""
    count = dst.shape[1]
    start = call.share.base + tile.start
    if call.share.piece > 0:
        gather_values(dst, call.value_blocks, _numbers(call, tile), first)
    else:
        rows = _rows_of(call, call.v_prior, first, count).slice(1, start, start + tile.size)
        load_values(dst, rows, tile.order)
    if tile.ends:
        new = _rows_of(call, call.v_active, first, count).permute((1, 0, 2))
        put_rows(as_view(dst).permute((0, 2, 1, 3)), new, _new_places(call, tile))


def _numbers(call: Call, tile: Tile) -> TensorView:
    """Pieces of the tile."""
    fold = PARTITIONS * call.share.piece
    return as_view(call.numbers).slice(1, tile.start // fold, (tile.start + tile.size) // fold)


def _new_places(call: Call, tile: Tile) -> Any:
    active = call.cfg.s_active
    return runs(tile.order, tile.size - active, active)


def fill_mask(call: Call, tile: Tile, dst: nl.ndarray, first: int, count: int) -> None:
    """Which of the tile's tokens queries attend to; ``dst`` is SBUF uint8 ``[128, n, B, H·s_a]``.

    A given mask has its rows in the order of the tokens, for blocks in the order of the tiles.
    """
    cfg, share = call.cfg, call.share
    mask = as_view(dst).reshape_dim(3, (cfg.q_head, cfg.s_active))
    given = as_view(call.mask).slice(1, share.first + first, share.first + first + count)
    start = share.base + tile.start
    if not cfg.use_pos_id:
        rows = by_token(given.slice(0, start, start + tile.size), 0, tile.order)
        nisa.dma_copy(
            dst=dst, src=rows.permute((1, 0, 2, 3, 4)).flatten_dims(3, 4).flatten_dims(2, 3).get_view()
        )
        return
    mask_prior(mask, call.limits.slice(1, first, first + count), tile.order, start, call.sbm)
    if tile.ends:
        mask_active(mask, given, tile.order, tile.size - cfg.s_active)
