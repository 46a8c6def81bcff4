"""Attention: projections by kernel, cache by hand."""

from __future__ import annotations

from functools import partial

import torch
from torch import nn

from . import kernels
from .config import ModelConfig
from .kernels import NormType, QKVOutputLayout, qkv
from .kernels.layouts import head_view, sequence_length
from .kernels.prefill import prefill_attention


class Attention(nn.Module):
    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.qkv_weight = nn.Parameter(torch.empty(config.hidden, config.qkv_width))
        self.qkv_bias = nn.Parameter(torch.zeros(1, config.qkv_width))
        self.o_weight = nn.Parameter(torch.empty(config.hidden, config.hidden))
        self.gamma = nn.Parameter(torch.ones(1, config.hidden))
        self.project = partial(qkv[config.lnc], fused_qkv_weights=self.qkv_weight)

    def heads(self, hidden, mlp_prev, attention_prev):
        """Q, K and V of a block whose residual is still open."""
        return qkv[self.config.lnc](
            hidden, self.qkv_weight, QKVOutputLayout.BSD, self.qkv_bias,
            True, mlp_prev, attention_prev, NormType.RMS_NORM, self.gamma,
            norm_eps=self.config.eps,
        )

    def heads_without_residual(self, hidden):
        # Four positional arguments mean the same in every release.
        return qkv[self.config.lnc](hidden, self.qkv_weight, QKVOutputLayout.BSD, self.qkv_bias)

    def decode_heads(self, hidden):
        return kernels.qkv_tkg(
            hidden, self.qkv_weight, self.gamma, False, None, None,
            self.config.d_head, QKVOutputLayout.NBSd,
        )

    def output(self, attended):
        """``[D, B, N, S]`` back to ``[B * S, H]``."""
        return kernels.output_projection_tkg[self.config.lnc](attended, self.o_weight, None, False, False)

    def prefill(self, hidden):
        q, k, v = self.project(hidden).split(self.config.hidden, dim=-1)
        return prefill_attention(q, k, v, self.o_weight, lnc=self.config.lnc)

    def cached_tokens(self, cache) -> int:
        return sequence_length(head_view(cache, 0))


def sweep(hidden, weight, rest):
    """Used by the benchmark; ``rest`` comes from the command line."""
    return qkv(hidden, weight, *rest)
