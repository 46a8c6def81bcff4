"""Shapes and switches of a model, read from conf/."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelConfig:
    hidden: int = 4096
    intermediate: int = 14336
    layers: int = 32
    q_heads: int = 32
    kv_heads: int = 8
    eps: float = 1e-5
    lnc: int = 2  # logical cores a kernel is launched on

    @property
    def d_head(self) -> int:
        return self.hidden // self.q_heads

    @property
    def qkv_width(self) -> int:
        return (self.q_heads + 2 * self.kv_heads) * self.d_head
