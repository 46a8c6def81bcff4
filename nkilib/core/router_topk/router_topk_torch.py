"""What :func:`.router_topk.router_topk` computes, with torch and in float32; for the host only."""

from __future__ import annotations

from typing import Any

from ..utils.common_types import RouterActFnType

_PARTITIONS = 128


def router_topk_torch_ref(
    x: Any,
    w: Any,
    w_bias: Any,
    router_logits: Any,
    expert_affinities: Any,
    expert_index: Any,
    act_fn: RouterActFnType,
    k: int,
    x_hbm_layout: int,
    x_sb_layout: int,
    output_in_sbuf: bool = False,
    router_pre_norm: bool = True,
    norm_topk_prob: bool = False,
    use_column_tiling: bool = False,
    use_indirect_dma_scatter: bool = False,
    return_eager_affi: bool = False,
    use_PE_broadcast_w_bias: bool = False,
    shard_on_tokens: bool = False,
    skip_store_expert_index: bool = False,
    skip_store_router_logits: bool = False,
    x_input_in_sbuf: bool = False,
    expert_affin_in_sb: bool = False,
) -> dict[str, Any]:
    """``router_logits``, ``expert_index`` and ``expert_affinities`` by name, with all tokens ``[T, …]``.

    Parameters are the kernel's, tensors or arrays; those of results give their element types only. With
    ``return_eager_affi`` also ``expert_affinities_eager`` ``[T, k]``. Results are of the kind of ``x``.
    """
    import torch

    tokens = _by_token(_float32(x), x_hbm_layout, x_sb_layout, x_input_in_sbuf)
    logits = tokens @ _float32(w)
    if w_bias is not None:
        logits = logits + _float32(w_bias).reshape(1, -1)
    values = _activated(logits, act_fn) if router_pre_norm else logits
    chosen, index = values.topk(k, dim=-1)
    affinities = values
    if not router_pre_norm:
        chosen = _activated(chosen, act_fn)
    elif norm_topk_prob:
        chosen = chosen / chosen.sum(-1, keepdim=True)
    if not router_pre_norm or norm_topk_prob:
        affinities = torch.zeros_like(logits).scatter(-1, index, chosen)
    found = {
        "router_logits": _like(logits, router_logits, x),
        "expert_index": _like(index, expert_index, x),
        "expert_affinities": _like(affinities, expert_affinities, x),
    }
    if return_eager_affi:
        found["expert_affinities_eager"] = chosen if isinstance(x, torch.Tensor) else chosen.numpy()
    return found


def _float32(values: Any) -> Any:
    import torch

    if isinstance(values, torch.Tensor):
        return values.float()
    return torch.from_numpy(values.astype("float32"))


def _like(result: Any, given: Any, x: Any) -> Any:
    """A tensor or an array, as ``x`` is, of the element type of ``given``; float32 or int64 without one."""
    import torch

    if isinstance(x, torch.Tensor):
        return result if given is None else result.to(given.dtype)
    return result.numpy() if given is None else result.numpy().astype(given.dtype)


def _by_token(x: Any, hbm_layout: int, sb_layout: int, in_sbuf: bool) -> Any:
    """``[T, H]``."""
    if not in_sbuf:
        return x if hbm_layout == 1 else x.T
    count, width = x.shape[1], x.shape[2]
    if sb_layout == 0:
        return x.permute(1, 0, 2).reshape(count, -1)
    if sb_layout == 1:
        return x.reshape(_PARTITIONS, count, 2, width // 2).permute(1, 2, 0, 3).reshape(count, -1)
    return x.permute(1, 2, 0).reshape(count, -1)


def _activated(values: Any, act_fn: RouterActFnType) -> Any:
    return values.sigmoid() if act_fn == RouterActFnType.SIGMOID else values.softmax(-1)
