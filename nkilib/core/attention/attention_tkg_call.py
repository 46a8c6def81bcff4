"""A call of :mod:`.attention_tkg` before keys are read: what a core does, and what it needs all the time."""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from ...blocks.cache import TokenOrder, blocks_of, piece_numbers
from ...blocks.dtypes import EXACT
from ...blocks.lnc import Cores
from ...blocks.matmul import transpose
from ...blocks.memory import PARTITIONS, Scratch, scratch
from ...blocks.rope import load_angles, negate_half, rotate_spread, sine_and_cosine
from ...blocks.tiles import as_view, load_broadcast
from ..utils.allocator import SbufManager
from ..utils.kernel_assert import kernel_assert
from ..utils.tensor_view import TensorView
from .attention_tkg_checks import check_lengths, splits
from .attention_tkg_utils import (
    _FA_TILE_SIZE,
    AttnTKGConfig,
    resize_cache_block_len_for_attention_tkg_kernel,
)


class Share(nl.NKIObject):
    """What one core does.

    Attributes:
        here: the cores of the launch. by_batch, by_context: what they share, if anything.
        first, batches: its sequences. base, tokens: its part of the context.
        piece, factor: length of the pieces of blocks, and pieces in a block; 0 and 1 for a flat cache.
    """

    here: Cores
    by_batch: bool
    by_context: bool
    first: int
    batches: int
    base: int
    tokens: int
    piece: int
    factor: int


def share_of(cfg: AttnTKGConfig, here: Cores, table: Any) -> Share:
    """Raises AssertionError when the context cannot be cut."""
    by_batch, by_context = splits(cfg, here)
    piece, factor = 0, 1
    if cfg.block_len > 0:
        piece, factor = resize_cache_block_len_for_attention_tkg_kernel(
            table.shape[1], cfg.block_len, 2 if by_batch or by_context else 1, PARTITIONS, cfg.full_sprior
        )
    batches = cfg.bs // 2 if by_batch else cfg.bs
    parts = 2 if by_context else 1
    tokens = cfg.curr_sprior // parts
    check_lengths(cfg, tokens, piece, parts)
    return Share(
        here=here,
        by_batch=by_batch,
        by_context=by_context,
        first=here.index * batches if by_batch else 0,
        batches=batches,
        base=here.index * tokens if by_context else 0,
        tokens=tokens,
        piece=piece,
        factor=factor,
    )


def has_new_tokens(share: Share) -> bool:
    """Whether the core's part of the context ends with the new tokens."""
    return not share.by_context or share.here.index == share.here.count - 1


class Tile(nl.NKIObject):
    """Tokens of a core's context that are worked on at once: ``size`` from ``start`` on, and their order."""

    start: int
    size: int
    order: TokenOrder
    ends: bool


def tiles_of_share(share: Share, strided: bool) -> list[Tile]:
    """All tiles; ``ends`` marks the one with the new tokens."""
    tiles = []
    for start in range(0, share.tokens, _FA_TILE_SIZE):
        size = min(_FA_TILE_SIZE, share.tokens - start)
        order = TokenOrder(tiles=size // PARTITIONS, piece=share.piece, strided=strided)
        ends = start + size == share.tokens and has_new_tokens(share)
        tiles.append(Tile(start=start, size=size, order=order, ends=ends))
    return tiles


class Call(nl.NKIObject):
    """One call's tensors.

    Attributes:
        cfg: an AttnTKGConfig. share: of this core. sbm: where tiles come from.
        v_active, k_prior, v_prior, mask, out, debug: as given.
        queries: SBUF ``[d, B·H·s_a]``. keys: SBUF ``[d, B, s_a]``, the new ones. Both rotated and scaled.
        limits: SBUF ``[128, batches]`` of this core, None for a mask that is given.
        sink: SBUF ``[128, H]`` or None.
        numbers: of pieces, SBUF ``[128, folds, batches]``; None for a flat cache.
        key_blocks, value_blocks: the cache as Blocks, or None.
        ones: SBUF fp32 ``[128, 128]``.
    """

    cfg: Any
    share: Share
    sbm: SbufManager
    v_active: Any
    k_prior: Any
    v_prior: Any
    mask: Any
    out: Any
    debug: Any
    queries: Any = None
    keys: Any = None
    limits: Any = None
    sink: Any = None
    numbers: Any = None
    key_blocks: Any = None
    value_blocks: Any = None
    ones: Any = None


def prepare(
    call: Call, q: Any, k_active: Any, k_out: Any, inv_freqs: Any, positions: Any, sink: Any, table: Any,
    work: Scratch,
) -> None:  # fmt: skip
    """Load what is needed all the time, rotate queries and new keys, and store these in ``k_out``."""
    cfg, share = call.cfg, call.share
    call.ones = work.tile((PARTITIONS, PARTITIONS), nl.float32)
    nisa.memset(dst=call.ones, value=1.0)
    new = as_view(k_active)
    call.queries = as_view(q)
    if cfg.fuse_rope:
        call.queries, new = _rotated(call, q, k_active, inv_freqs, positions, work)
        _store_keys(call, k_out, new)
    call.keys = new.reshape_dim(1, (cfg.bs, cfg.s_active))
    if cfg.use_pos_id:
        held = work.tile((PARTITIONS, share.batches), positions.dtype)
        limits = as_view(positions).slice(0, share.first, share.first + share.batches).slice(1, 0, 1)
        load_broadcast(held, limits.permute((1, 0)))
        call.limits = as_view(held)
    if sink is not None:
        call.sink = work.tile((PARTITIONS, cfg.q_head), sink.dtype)
        load_broadcast(call.sink, as_view(sink).permute((1, 0)))
    if share.piece > 0:
        _prepare_blocks(call, table, work)


def _prepare_blocks(call: Call, table: Any, work: Scratch) -> None:
    share = call.share
    call.key_blocks = blocks_of(call.k_prior, share.piece)
    call.value_blocks = blocks_of(call.v_prior, share.piece)
    count = call.key_blocks.pieces
    kernel_assert(
        count <= EXACT, f"a cache is loaded in at most {EXACT} pieces, of {share.piece} tokens it has {count}"
    )
    folds = share.tokens // (share.piece * PARTITIONS)
    call.numbers = work.tile((PARTITIONS, folds, share.batches), nl.uint32)
    rows = as_view(table).slice(0, share.first, share.first + share.batches)
    first = share.base // share.piece
    piece_numbers(call.numbers, rows, first, share.factor, call.k_prior.shape[0], call.sbm)


def _rotated(
    call: Call, q: Any, k_active: Any, inv_freqs: Any, positions: Any, work: Scratch
) -> tuple[TensorView, TensorView]:
    """Queries and new keys as columns, rotated; queries then scaled by 1/√d. Both steps round to q's type."""
    cfg = call.cfg
    depth, tokens, queries = cfg.d_head, cfg.bs * cfg.s_active, cfg.bs * cfg.q_head * cfg.s_active
    turned = work.tile((depth, queries), q.dtype)
    new = work.tile((depth, tokens), k_active.dtype)
    inner = scratch(call.sbm, name="rope")
    angles = inner.tile((depth, tokens), nl.float32)
    load_angles(angles, inv_freqs, as_view(positions).flatten_dims(0, 1).expand_dim(0), call.sbm)
    both = inner.tile((depth, 2, tokens), nl.float32)
    sine_and_cosine(both, angles, call.sbm)
    sine, cosine = as_view(both).select(1, 0), as_view(both).select(1, 1)
    negate_half(sine, sine.slice(0, depth // 2, depth))
    rotate_spread(new, _columns(k_active, cfg, tokens, inner), sine, cosine, inner)
    source = _columns(q, cfg, queries, inner).reshape_dim(1, (cfg.bs, cfg.q_head, cfg.s_active))
    into = as_view(turned).reshape_dim(1, (cfg.bs, cfg.q_head, cfg.s_active))
    rotate_spread(into, source, _for_heads(sine, cfg), _for_heads(cosine, cfg), inner)
    nisa.tensor_scalar(dst=turned, data=turned, op0=nl.multiply, operand0=depth**-0.5)
    inner.close()
    return as_view(turned), as_view(new)


def _for_heads(values: TensorView, cfg: AttnTKGConfig) -> TensorView:
    """``[d, B·s_a]`` as ``[d, B, H, s_a]``, the same for all heads."""
    split = values.reshape_dim(1, (cfg.bs, cfg.s_active))
    return split.expand_dim(2).broadcast(2, cfg.q_head)


def _columns(tensor: Any, cfg: AttnTKGConfig, count: int, work: Scratch) -> TensorView:
    """``[B, heads, s_a, d]`` of HBM as ``[d, B·heads·s_a]``; what lies in SBUF has that shape."""
    if cfg.qk_in_sb:
        return as_view(tensor)
    rows = work.tile((count, cfg.d_head), tensor.dtype)
    nisa.dma_copy(dst=rows, src=as_view(tensor).flatten_dims(0, 2).get_view())
    columns = work.tile((cfg.d_head, count), tensor.dtype)
    transpose(as_view(columns).expand_dim(1), rows)
    return as_view(columns)


def _store_keys(call: Call, k_out: Any, new: TensorView) -> None:
    """Rotated new keys, in HBM by the (first) core that has the new tokens, in SBUF by each."""
    cfg, share = call.cfg, call.share
    if k_out is None:
        return
    if cfg.k_out_in_sb:
        nisa.tensor_copy(dst=as_view(k_out).get_view(), src=new.get_view())
    elif has_new_tokens(share) and (share.by_context or share.here.index == 0):
        target = as_view(k_out).select(1, 0).permute((1, 0, 2))
        nisa.dma_copy(dst=target.get_view(), src=new.get_view())
