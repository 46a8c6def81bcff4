"""Names that are gone without an equivalent.

What it does
    Reports every import and every use through a module, with what to do instead.

Why
    The new release has nothing that could be put in their place automatically.

Before
        from nkilib.core.utils.logging import GLOBAL_LOG_LEVEL

After
    Unchanged. Set ``NKILIB_LOG_LEVEL`` before the first import, or pass a level to ``get_logger``.

When it stays silent
    Never for a name it can resolve.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..analysis import values as v
from ..analysis.context import FileContext
from ..attribute_strings import attribute_strings
from ..ladders import kept_for_old_release
from ..model import Finding

CODE = "NKM105"


def check(ctx: FileContext) -> Iterator[Finding]:
    """One finding for each import of a removed name, and each attribute of a module that is one."""
    for found in ctx.imports:
        name = ctx.release.canonical(found.target)
        if name in ctx.release.removed and not kept_for_old_release(ctx, found.node):
            yield _gone(ctx, found.alias, name)
    for reference in ctx.references:
        if not isinstance(reference.node, ast.Attribute) or not isinstance(reference.owner, v.Symbol):
            continue
        name = f"{reference.owner.name}.{reference.node.attr}"
        if name in ctx.release.removed:
            yield _gone(ctx, reference.node, name)
    for place in attribute_strings(ctx):
        if place.found and not place.found.new:
            yield ctx.needs_you(
                CODE, place.node, f"`{place.owner}` has no `{place.name}` now", place.found.step
            )


def _gone(ctx: FileContext, node: ast.AST, name: str) -> Finding:
    short = name.rpartition(".")[2]
    return ctx.needs_you(
        CODE,
        node,
        f"`{short}` is gone from {ctx.release.product} {ctx.release.new}",
        ctx.release.removed[name],
    )
