"""Modules that moved or were removed with a successor.

What it does
    Rewrites imports of such a module, and dotted names that go through it, to the module's new home.

Why
    2.28 removed duplicates of the norm subkernels from the qkv package; importing them fails.

Before
        from nkilib.core.qkv.qkv_tkg_rmsnorm import SHARDING_THRESHOLD

After
        from nkilib.core.subkernels.rmsnorm_tkg import SHARDING_THRESHOLD

When it stays silent
    In relative imports of a copy of the library that you keep in your own tree.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..analysis.context import FileContext
from ..model import Finding
from ..module_moves import moves

CODE = "NKM102"


def check(ctx: FileContext) -> Iterator[Finding]:
    """One finding for each import statement or name that reaches a moved module."""
    return moves(ctx, CODE, ctx.release.modules, "`{old}` moved to `{new}`")
