"""What :func:`.cross_entropy.cross_entropy_forward` computes, in torch; for the host only."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def cross_entropy_forward_torch_ref(
    logits: torch.Tensor, targets: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Loss and log-sum-exp ``[N]`` of logits ``[N, V]``, computed in float32, in the dtype of the logits."""
    wide = logits.float()
    lse = wide.logsumexp(-1)
    loss = lse - wide.gather(-1, targets.long()[:, None])[:, 0]
    return loss.to(logits.dtype), lse.to(logits.dtype)
