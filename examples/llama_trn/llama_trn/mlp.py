"""The feed-forward block."""

from __future__ import annotations

import functools

import torch
from torch import nn

from .config import ModelConfig
from .kernels import ActFnType, NormType, mlp_kernel


class LlamaMLP(nn.Module):
    """RMS norm, gate, up and down projections in one kernel."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(1, config.hidden))
        self.gate = nn.Parameter(torch.empty(config.hidden, config.intermediate))
        self.up = nn.Parameter(torch.empty(config.hidden, config.intermediate))
        self.down = nn.Parameter(torch.empty(config.intermediate, config.hidden))
        self.eps = config.eps
        self.lnc = config.lnc
        self.kernel = mlp_kernel

    def forward(self, hidden, residual=None):
        out = self.kernel[self.lnc](
            hidden, self.gate, self.up, self.down, self.gamma,
            None, None, None, None,  # no biases
            residual, residual is not None,
            ActFnType.SiLU, NormType.RMS_NORM,
            hidden.dtype, False, self.eps,  # output in HBM
        )
        return out if residual is not None else out[0]


class Adapter(nn.Module):
    """A small GELU bottleneck that some fine-tuned checkpoints put behind the block."""

    def __init__(self, config: ModelConfig, width: int = 256):
        super().__init__()
        weights = (torch.empty(config.hidden, width), torch.empty(config.hidden, width))
        self.run = functools.partial(mlp_kernel[config.lnc], activation_fn=ActFnType.GELU)
        self.weights = nn.ParameterList(nn.Parameter(w) for w in weights)
        self.down = nn.Parameter(torch.empty(width, config.hidden))

    def forward(self, hidden):
        gate, up = self.weights
        return self.run(hidden, gate, up, self.down)[0]


def warm_up(hidden, weights):
    """Compile the variants before the first request."""
    gate, up, down = weights
    no_biases = (None, None, None, None)
    mlp_kernel[2](hidden, gate, up, down)
    mlp_kernel[2](hidden, gate, up, down, None, None, None, None, None, None, False,
                  ActFnType.SiLU, NormType.NO_NORM, torch.bfloat16)
    mlp_kernel[2](hidden, gate, up, down, None, *no_biases)
