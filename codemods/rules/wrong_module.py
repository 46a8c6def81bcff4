"""Module paths that documents printed but that no release ever had.

What it does
    Rewrites imports of such a path to the module that really holds the kernel.

Why
    The 2.27 and 2.28 pages print shortened paths; code written from them fails at import.

Before
        from nkilib.core.attention_cte import attention_cte

After
        from nkilib.core.attention.attention_cte import attention_cte

When it stays silent
    For such a path below a package of your own, and in relative imports.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..analysis.context import FileContext
from ..model import Finding
from ..module_moves import moves

CODE = "NKM108"


def check(ctx: FileContext) -> Iterator[Finding]:
    """One finding for each import statement or name that uses such a path."""
    return moves(ctx, CODE, ctx.release.wrong_modules, "`{old}` exists in no release; it is `{new}`")
