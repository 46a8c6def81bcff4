"""The demands of all public kernels, and how each is shown."""

from __future__ import annotations

from . import attention, dense, moe, small, utils
from .base import Row as Row
from .base import Table as Table

TABLES: list[Table] = [*small.TABLES, *attention.TABLES, *dense.TABLES, *moe.TABLES, *utils.TABLES]
