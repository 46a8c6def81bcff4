"""Random calls of all public kernels, with what they should give."""

from __future__ import annotations

from . import attention, dense, moe, small
from .base import Call as Call
from .base import Choose as Choose
from .base import Family as Family
from .base import by_seed as by_seed

FAMILIES: list[Family] = [*small.FAMILIES, *attention.FAMILIES, *dense.FAMILIES, *moe.FAMILIES]
