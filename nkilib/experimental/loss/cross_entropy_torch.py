"""What the cross entropy's two passes compute, in torch; for the host only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...core.loss.cross_entropy_torch import cross_entropy_forward_torch_ref

if TYPE_CHECKING:
    import torch

__all__ = ["cross_entropy_backward_torch_ref", "cross_entropy_forward_torch_ref"]


def cross_entropy_backward_torch_ref(
    logits: torch.Tensor, targets: torch.Tensor, reduction: str = "mean"
) -> torch.Tensor:
    """The gradient ``[N, V]`` of the mean or the sum of all losses, in the dtype of the logits."""
    grad = logits.float().softmax(-1)
    index = targets.long()[:, None]
    grad = grad.scatter_add(-1, index, -grad.new_ones(index.shape))
    if reduction == "mean":
        grad = grad / len(logits)
    return grad.to(logits.dtype)
