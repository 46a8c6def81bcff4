"""What :func:`.attention_cte.attention_cte` computes, in torch and float32; for the host only."""

from __future__ import annotations

import math
from typing import Any

try:
    import torch
except ModuleNotFoundError:  # only the function needs it
    torch = None

from ..utils.kernel_assert import assert_shape, kernel_assert

_FLOAT32 = None if torch is None else torch.float32


def attention_cte_torch_ref(
    q: Any,
    k: Any,
    v: Any,
    scale: float = 1.0,
    causal_mask: bool = True,
    k_prior: Any = None,
    v_prior: Any = None,
    prior_used_len: Any = None,
    sink: Any = None,
    sliding_window: int = 0,
    tp_q: bool = True,
    tp_k: bool = False,
    tp_out: bool = False,
    cache_softmax: bool = False,
    softmax_dtype: Any = _FLOAT32,
    cp_offset: Any = None,
    global_cp_deg: int | None = None,
    cp_strided_q_slicing: bool = False,
) -> Any:
    """The results of the kernel for torch tensors; with ``cache_softmax`` also neg_max and recip.

    Parameters are the kernel's. Raises AssertionError for a prefix that is not complete, a sink that is not
    ``(bs, 1)``, or statistics of a number of queries that is no multiple of 128.
    """
    queries = _by_token(q, tp_q)
    keys, values, used = _with_prior(k, v, k_prior, v_prior, prior_used_len, tp_k)
    repeats = queries.shape[0] // keys.shape[0]
    keys, values = keys.repeat_interleave(repeats, 0), values.repeat_interleave(repeats, 0)
    first, step = 0, 1
    if global_cp_deg is not None:
        first = int(cp_offset.reshape(-1)[0])
        step = global_cp_deg if cp_strided_q_slicing else 1
    at = first + step * torch.arange(queries.shape[1])[:, None]
    keep = _visible(at, torch.arange(keys.shape[1])[None, :] - used, causal_mask, sliding_window)
    scores = (scale * torch.matmul(queries, keys.transpose(1, 2))).masked_fill(~keep, -math.inf)
    logits = scores
    if sink is not None:
        assert_shape(sink, (queries.shape[0], 1), "sink")
        logits = torch.cat([scores, sink.float()[:, :, None].expand(-1, scores.shape[1], 1)], 2)
    largest = logits.max(2, keepdim=True).values
    total = (logits - largest).exp().sum(2, keepdim=True)
    result = torch.matmul((scores - largest).exp(), values) / total
    result = (result.transpose(1, 2) if tp_out else result).to(q.dtype)
    if not cache_softmax:
        return result
    return result, _packed(-largest, softmax_dtype), _packed(1 / total, softmax_dtype)


def _by_token(tensor: Any, by_token: bool) -> Any:
    """``(bs, s, d)`` in float32."""
    return (tensor if by_token else tensor.transpose(1, 2)).float()


def _with_prior(
    k: Any, v: Any, k_prior: Any, v_prior: Any, prior_used_len: Any, tp_k: bool
) -> tuple[Any, Any, int]:
    """Keys and values by token, behind the prior ones that are used, and how many these are."""
    keys, values = _by_token(k, tp_k), v.float()
    if k_prior is None:
        kernel_assert(v_prior is None and prior_used_len is None, "a prefix needs k_prior")
        return keys, values, 0
    kernel_assert(
        v_prior is not None and prior_used_len is not None, "k_prior needs v_prior and prior_used_len"
    )
    used = int(prior_used_len.reshape(-1)[0])
    before = _by_token(k_prior, tp_k)[:, :used]
    return torch.cat([before, keys], 1), torch.cat([v_prior[:, :used].float(), values], 1), used


def _visible(at: Any, keys: Any, causal: bool, window: int | None) -> Any:
    """Which positions of keys each position of a query sees."""
    keep = torch.ones(at.shape[0], keys.shape[1], dtype=torch.bool)
    if causal:
        keep &= keys <= at
    if window:
        keep &= keys > at - window
    return keep


def _packed(statistics: Any, dtype: Any) -> Any:
    """``(bs, sq, 1)`` as ``(bs, 128, sq/128)``: query t at [b, t % 128, t // 128]."""
    batch, length = statistics.shape[:2]
    kernel_assert(length % 128 == 0, f"cache_softmax needs a multiple of 128 queries, there are {length}")
    return statistics.reshape(batch, length // 128, 128).transpose(1, 2).to(dtype)
