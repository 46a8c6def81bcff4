"""Random calls of all public kernels, with what they should give."""

from __future__ import annotations

import os

from . import attention, dense, moe, small
from .base import Call as Call
from .base import Choose as Choose
from .base import Family as Family
from .base import by_seed as by_seed

SEEDS = [int(seed) for seed in os.environ.get("NKILIB_SEEDS", "0 1").split()]
"""Of the calls whose tensors the slow tests change."""
FAMILIES: list[Family] = [*small.FAMILIES, *attention.FAMILIES, *dense.FAMILIES, *moe.FAMILIES]
