"""What :func:`.attention_tkg.attention_tkg` computes, in torch and float32; for the host only."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol

from ..utils.lnc_subscriptable import LncSubscriptable
from .attention_tkg_utils import (
    AttnTKGConfig,
    is_batch_sharded,
    is_s_prior_sharded,
    resize_cache_block_len_for_attention_tkg_kernel,
)

if TYPE_CHECKING:
    import torch

    from ..utils.allocator import SbufManager

_PARTITIONS = 128


class _AttentionTkgTorchRefFn(Protocol):
    def __call__(
        self,
        q: torch.Tensor,
        k_active: torch.Tensor,
        v_active: torch.Tensor,
        k_prior: torch.Tensor,
        v_prior: torch.Tensor,
        mask: torch.Tensor,
        out: torch.Tensor,
        cfg: AttnTKGConfig,
        sbm: SbufManager,
        inv_freqs: torch.Tensor | None = None,
        rope_pos_ids: torch.Tensor | None = None,
        sink: torch.Tensor | None = None,
        active_blocks_table: torch.Tensor | None = None,
        k_out: torch.Tensor | None = None,
        DBG_TENSORS: tuple[Any, ...] | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Fill ``out``, ``k_out`` and the debug tensors; returns the first two.

        Parameters and layouts are the kernel's, ``sbm`` is not used. Maxima and sums are stored for queries
        ``(b, h, s)`` in this order, in any shape that has room for exactly these.
        """
        ...


def _attention_tkg_torch_ref_impl(
    q: torch.Tensor,
    k_active: torch.Tensor,
    v_active: torch.Tensor,
    k_prior: torch.Tensor,
    v_prior: torch.Tensor,
    mask: torch.Tensor,
    out: torch.Tensor,
    cfg: AttnTKGConfig,
    sbm: SbufManager,
    inv_freqs: torch.Tensor | None = None,
    rope_pos_ids: torch.Tensor | None = None,
    sink: torch.Tensor | None = None,
    active_blocks_table: torch.Tensor | None = None,
    k_out: torch.Tensor | None = None,
    DBG_TENSORS: tuple[Any, ...] | None = None,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    import torch

    layout = _Layout(cfg, attention_tkg_torch_ref.lnc)
    queries, new = _rows(q, cfg, cfg.q_head), _rows(k_active, cfg, 1)
    if cfg.fuse_rope:
        queries = _rotated(queries, inv_freqs, rope_pos_ids) / math.sqrt(cfg.d_head)
        new = _rotated(new, inv_freqs, rope_pos_ids)
        if k_out is not None:
            _put(k_out, _delivered(new.transpose(2, 3), cfg.k_out_in_sb))
    keys = _context(k_prior, active_blocks_table, cfg, not cfg.tp_k_prior)
    values = _context(v_prior, active_blocks_table, cfg, False)
    keys[:, -cfg.s_active :], values[:, -cfg.s_active :] = new[:, 0], v_active.float()[:, 0]
    scores = torch.einsum("btd,bhqd->tbhq", keys, queries)
    scores = scores.masked_fill(~layout.visible(mask, rope_pos_ids), -math.inf)
    largest = scores.amax(0)
    if sink is not None:
        logits = sink.float().reshape(1, -1, 1)
        largest = torch.maximum(largest, logits)
    weights = (scores - largest).exp()
    total = weights.sum(0)
    if sink is not None:
        total = total + (logits - largest).exp()
    result = torch.einsum("tbhq,btd->bhdq", weights, values) / total[:, :, None]
    _put(out, _delivered(result, cfg.out_in_sb))
    if DBG_TENSORS is not None:
        pieces = layout.pieces(active_blocks_table)
        kept = (layout.in_tiles(scores), -largest, layout.in_tiles(weights), total, pieces)
        for index, target in enumerate(DBG_TENSORS):
            _put(target, kept[index])
    return out, k_out


attention_tkg_torch_ref: LncSubscriptable[_AttentionTkgTorchRefFn] = LncSubscriptable(
    _attention_tkg_torch_ref_impl,
    _AttentionTkgTorchRefFn,  # type: ignore[type-abstract]
)
"""Fill ``out``, ``k_out`` and the debug tensors; returns the first two.

Parameters and layouts are the kernel's, ``sbm`` is not used. Maxima and sums are stored for queries
``(b, h, s)`` in this order, in any shape that has room for exactly these.
"""


def _put(target: Any, values: Any) -> None:
    target.copy_(values.reshape(target.shape))


def _rows(tensor: Any, cfg: AttnTKGConfig, heads: int) -> Any:
    """``[B, heads, s_a, d]`` in float32."""
    if not cfg.qk_in_sb:
        return tensor.float()
    return tensor.float().reshape(cfg.d_head, cfg.bs, heads, cfg.s_active).permute(1, 2, 3, 0)


def _delivered(values: Any, in_sbuf: bool) -> Any:
    """``[B, heads, d, s_a]`` as it is stored: in SBUF ``[d, B·heads·s_a]``."""
    return values.permute(2, 0, 1, 3).flatten(1) if in_sbuf else values


def _rotated(x: Any, frequencies: Any, positions: Any) -> Any:
    """Rotate halves of ``[B, heads, s_a, d]``."""
    import torch

    angles = positions.float()[:, None, :, None] * frequencies.float().reshape(-1)
    sine, cosine = angles.sin(), angles.cos()
    first, second = x.chunk(2, -1)
    return torch.cat((first * cosine - second * sine, second * cosine + first * sine), -1)


def _context(cache: Any, table: Any, cfg: AttnTKGConfig, by_depth: bool) -> Any:
    """The first S rows of each sequence, ``[B, S, d]`` in float32, to be written to."""
    if cfg.block_len > 0:
        return cache.float()[table.long()].reshape(cfg.bs, -1, cfg.d_head)
    rows = cache[: cfg.bs, 0].float()
    rows = rows.transpose(1, 2) if by_depth else rows
    return rows[:, : cfg.curr_sprior].clone()


class _Layout:
    """In which order tokens lie in score tiles, and in the mask of a block cache."""

    def __init__(self, cfg: AttnTKGConfig, lnc: int) -> None:
        both = lnc == 2
        self.cfg = cfg
        self.by_batch = both and is_batch_sharded(cfg, _PARTITIONS)
        self.by_context = both and is_s_prior_sharded(cfg, _PARTITIONS)
        self.piece, self.factor = 0, 1
        if cfg.block_len > 0:
            self.piece, self.factor = resize_cache_block_len_for_attention_tkg_kernel(
                cfg.curr_sprior // cfg.block_len,
                cfg.block_len,
                2 if self.by_batch or self.by_context else 1,
                _PARTITIONS,
            )

    def tokens(self) -> Any:
        """``[128, S/128]``: the token at each position."""
        import torch

        numbers = torch.arange(self.cfg.curr_sprior)
        if self.piece > 0:
            return numbers.reshape(-1, _PARTITIONS, self.piece).transpose(0, 1).reshape(_PARTITIONS, -1)
        parts = numbers.reshape(2 if self.by_context else 1, -1)
        if self.cfg.strided_mm1:
            return parts.reshape(len(parts), _PARTITIONS, -1).transpose(0, 1).reshape(_PARTITIONS, -1)
        return numbers.reshape(-1, _PARTITIONS).T

    def in_tiles(self, values: Any) -> Any:
        """``[S, B, H, s_a]`` by token as ``[128, S/128, B·H·s_a]``."""
        return values[self.tokens()].flatten(2)

    def visible(self, mask: Any, positions: Any) -> Any:
        """``[S, B, H, s_a]`` by token: whether a query attends."""
        import torch

        cfg = self.cfg
        if not cfg.use_pos_id:
            keep = mask != 0
            if self.piece == 0:
                return keep
            natural = torch.empty_like(keep)
            natural[self.tokens().T.flatten()] = keep
            return natural
        prior = torch.arange(cfg.curr_sprior)[:, None] < positions[:, 0]
        keep = prior[:, :, None, None].expand(-1, -1, cfg.q_head, cfg.s_active).clone()
        keep[-cfg.s_active :] = mask != 0
        return keep

    def pieces(self, table: Any) -> Any:
        """``[128, pieces/128, B]``; None for a flat cache."""
        import torch

        if table is None:
            return None
        each = table.long()[:, :, None] * self.factor + torch.arange(self.factor)
        return each.reshape(self.cfg.bs, -1, _PARTITIONS).permute(2, 1, 0)
