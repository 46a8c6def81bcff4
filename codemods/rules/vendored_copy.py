"""A copy of the library in your own tree.

What it does
    Reports the file and leaves it alone; no other rule looks at it.

Why
    A vendored copy of the old release is not your code to migrate: its own names and call sites are the
    old library's. Replace the copy by the new release, or drop it.

Before
    In ``my_app/nkilib_standalone/nkilib/core/qkv/qkv.py``:

        from nkilib_standalone.nkilib.core.utils.logging import Logger

After
    Unchanged, with a finding that names the file.

When it stays silent
    When the file's module path does not lie under one of the library's import roots.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..analysis.context import FileContext
from ..model import Finding

CODE = "NKM112"


def check(ctx: FileContext) -> Iterator[Finding]:
    """One finding for a file of the copy, and one for each import from it."""
    if ctx.vendored:
        yield ctx.needs_you(
            CODE,
            ctx.tree.body[0] if ctx.tree.body else ctx.tree,
            f"this file is part of a copy of {ctx.release.product}",
            f"Replace it by {ctx.release.product} {ctx.release.new}, or import the installed one instead.",
        )
        return
    for binding in ctx.module.imports:
        target = ctx.target(binding)
        if any(f".{root}." in target for root in ctx.release.legacy_roots):
            yield ctx.needs_you(
                CODE,
                binding.node,
                f"this imports from a copy of {ctx.release.product} in your own tree",
                f"Upgrade the copy to {ctx.release.new}, or import the installed {ctx.release.product}.",
            )
