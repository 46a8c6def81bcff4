"""What :func:`.cumsum.cumsum` computes, in torch; for the host only."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def cumsum_torch_ref(x: torch.Tensor, axis: int = -1) -> torch.Tensor:
    """Running sums in float32, rounded to the dtype of ``x``."""
    return x.float().cumsum(axis).to(x.dtype)
