"""What :func:`.attention_bwd.attention_bwd` computes, in torch and from the weights; for the host only."""

from __future__ import annotations

import math
from typing import Any

try:
    import torch
except ModuleNotFoundError:  # only the functions need it
    torch = None

from ... import insides
from ..utils.kernel_assert import kernel_assert

__getattr__ = insides.named(__name__)

PMAX = 128
"""Rows of a tile."""


def compute_o_lse(
    q: Any,
    k: Any,
    v: Any,
    use_causal_mask: bool = True,
    mixed_precision: bool = True,
    softmax_scale: float | None = None,
    logit_bias: Any = None,
    sliding_window: int | None = None,
    dropout_mask: Any = None,
    sinks: Any = None,
) -> tuple[Any, Any, Any]:
    """The forward pass, for the inputs of the kernel.

    Args:
        q, k, v: ``[b, h, d, s]``; the others are the kernel's.
        mixed_precision: products of the operands in float32; otherwise in their dtype.
        logit_bias: added to the scaled scores. dropout_mask: multiplied into the weights of keys.

    Returns:
        o like q; lse, float32 ``[b, h, 128, queries/128]``; the weights ``[b, h, queries, keys + sinks]`` in
        q's dtype, those of the sinks last.
    """
    work = torch.float32 if mixed_precision else q.dtype
    scores = _scores(q, k, use_causal_mask, work, softmax_scale, sliding_window, logit_bias)
    if sinks is not None:
        spread = sinks.float().reshape(*q.shape[:2], 1, -1)
        scores = torch.cat([scores, spread.expand(-1, -1, q.shape[3], -1)], 3)
    lse = scores.logsumexp(3)
    weights = (scores - lse[..., None]).exp().to(q.dtype)
    seen = _dropped(weights[..., : k.shape[3]], dropout_mask)
    o = torch.einsum("bhqk,bhdk->bhdq", seen.to(work), expand_kv_heads(v, q.shape[1]).to(work)).to(q.dtype)
    kernel_assert(q.shape[3] % PMAX == 0, f"there are {q.shape[3]} queries, no multiple of {PMAX}")
    return o, lse.reshape(*q.shape[:2], -1, PMAX).transpose(2, 3), weights


def attention_bwd_torch_ref(
    q: Any,
    k: Any,
    v: Any,
    dy: Any,
    norm_score: Any,
    use_causal_mask: bool,
    mixed_precision: bool,
    softmax_scale: float | None = None,
    sliding_window: int | None = None,
    dropout_mask: Any = None,
    sinks: Any = None,
) -> tuple[Any, ...]:
    """Gradients of q, k and v, and of the sinks where there are some, in the dtypes of these.

    Args:
        norm_score: the weights as :func:`compute_o_lse` returns them, computed if None. Others: see there.
    """
    if norm_score is None:
        _, _, norm_score = compute_o_lse(
            q,
            k,
            v,
            use_causal_mask,
            mixed_precision,
            softmax_scale,
            None,
            sliding_window,
            dropout_mask,
            sinks,
        )
    work, scale = torch.float32 if mixed_precision else q.dtype, _scale(q, softmax_scale)
    keys = k.shape[3]
    weights, dropped = norm_score[..., :keys], _dropped(norm_score[..., :keys], dropout_mask)
    slopes = torch.einsum("bhdq,bhdk->bhqk", dy.to(work), expand_kv_heads(v, q.shape[1]).to(work)).float()
    slopes = _dropped(slopes, dropout_mask)
    products = (weights.float() * slopes).sum(3, keepdim=True)
    slopes = (weights.float() * (slopes - products)).to(q.dtype).to(work)
    dq = scale * torch.einsum("bhqk,bhdk->bhdq", slopes, expand_kv_heads(k, q.shape[1]).to(work))
    dk = torch.einsum("bhqk,bhdq->bhdk", slopes, (q.float() * scale).to(q.dtype).to(work))
    dv = torch.einsum("bhqk,bhdq->bhdk", dropped.to(work), dy.to(work))
    found = (dq.to(q.dtype), _by_key_head(dk, k).to(k.dtype), _by_key_head(dv, k).to(v.dtype))
    if sinks is None:
        return found
    dsinks = -(norm_score[..., keys:].float() * products).sum(2)
    return (*found, dsinks.reshape(sinks.shape).to(sinks.dtype))


def _scale(q: Any, softmax_scale: float | None) -> float:
    return softmax_scale or 1 / math.sqrt(q.shape[2])


def _scores(
    q: Any, k: Any, causal: bool, work: Any, softmax_scale: float | None, window: int | None, bias: Any
) -> Any:
    """float32 ``[b, h, queries, keys]``, -∞ where a query does not see a key."""
    scaled = (q.float() * _scale(q, softmax_scale)).to(q.dtype).to(work)
    scores = torch.einsum("bhdq,bhdk->bhqk", scaled, expand_kv_heads(k, q.shape[1]).to(work)).float()
    if bias is not None:
        scores = scores + bias
    at = torch.arange(q.shape[3])[:, None] - torch.arange(k.shape[3])[None, :]
    hidden = torch.zeros_like(at, dtype=torch.bool)
    if causal:
        hidden |= at < 0
    if window is not None and window > 0:
        kernel_assert(causal, "sliding_window needs use_causal_mask=True")
        hidden |= at >= window
    return scores.masked_fill(hidden, -math.inf)


def _dropped(weights: Any, mask: Any) -> Any:
    return weights if mask is None else weights * mask


def expand_kv_heads(x: Any, num_q_heads: int) -> Any:
    """Each key head of ``[b, h_kv, …]`` once for each query head that uses it: ``[b, num_q_heads, …]``."""
    return x.repeat_interleave(num_q_heads // x.shape[1], 1)


def _by_key_head(gradient: Any, k: Any) -> Any:
    """Summed over the query heads of each key head."""
    return gradient.unflatten(1, (k.shape[1], -1)).sum(2)
