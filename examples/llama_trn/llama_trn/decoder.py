"""The decoder: layers in a row, residuals left open between them."""

from __future__ import annotations

import torch
from torch import nn

from .attention import Attention
from .config import ModelConfig
from .kernels.decode import final_norm
from .mlp import LlamaMLP


class Layer(nn.Module):
    def __init__(self, config: ModelConfig):
        super().__init__()
        self.attention = Attention(config)
        self.mlp = LlamaMLP(config)

    def forward(self, hidden):
        attended = self.attention.prefill(hidden)
        out, residual = self.mlp(attended, hidden)
        return out + residual


class Decoder(nn.Module):
    def __init__(self, config: ModelConfig):
        super().__init__()
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.gamma = nn.Parameter(torch.ones(1, config.hidden))

    def forward(self, hidden):
        for layer in self.layers:
            hidden = layer(hidden)
        return final_norm(hidden, self.gamma)
