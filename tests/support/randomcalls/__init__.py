"""Random calls of all public kernels, with what they should give."""

from __future__ import annotations

import os

import pytest

from . import attention, dense, moe, small
from .base import Call as Call
from .base import Choose as Choose
from .base import Family as Family
from .base import by_seed as by_seed

SEEDS = [int(seed) for seed in os.environ.get("NKILIB_SEEDS", "0 1").split()]
"""Of the calls whose tensors the slow tests change."""
FAMILIES: list[Family] = [*small.FAMILIES, *attention.FAMILIES, *dense.FAMILIES, *moe.FAMILIES]
QUICK = {
    "RoPE", "RoPE_sbuf", "rope_hf", "rmsnorm_tkg", "layernorm_tkg", "output_projection_tkg", "qkv_tkg", "cumsum",
    "topk", "cross_entropy_forward", "indexed_flatten", "depthwise_conv1d_implicit_gemm", "attention_cte",
}  # fmt: skip
"""Families whose calls are so small that tests which make many of each are no slow ones for these."""
EVERY = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.id)
SMALL = pytest.mark.parametrize(
    "family", [family for family in FAMILIES if family.id in QUICK], ids=lambda family: family.id
)
