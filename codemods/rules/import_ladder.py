"""``try``/``except ImportError`` ladders over import roots.

What it does
    Collapses a ladder whose arms import the same thing once their roots are unified. A ladder that makes
    the file run on both releases is left as it is, with a note; so is an ``if`` on the release with the new
    name in one arm and the old one in the other.

Why
    Both arms would read the same. Beware: 2.28's ``nkilib`` itself raises ImportError when an installed
    ``nkilib_src`` is broken, so a ladder can hide a broken installation.

Before
        try:
            from nkilib.core.qkv.qkv import qkv
        except ImportError:
            from nkilib_standalone.nkilib.core.qkv.qkv import qkv

After
        from nkilib.core.qkv.qkv import qkv

When it stays silent
    When an arm does anything else, such as setting a flag or ``mlp_kernel = None``.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..analysis.context import FileContext
from ..ladders import collapsible, runs_on_both
from ..model import Finding, KeepBody, Outcome

CODE = "NKM107"


def check(ctx: FileContext) -> Iterator[Finding]:
    """One finding for each ladder."""
    seen: set[ast.AST] = set()
    for node in (*(found.node for found in ctx.imports), *(star for star, _ in ctx.stars)):
        block = ctx.module.bodies.get(node)
        if block is None or not isinstance(block.owner, ast.Try | ast.If) or block.owner in seen:
            continue
        if runs_on_both(ctx, block.owner):
            seen.add(block.owner)
            yield _on_both(ctx, block.owner)
        elif isinstance(block.owner, ast.Try) and collapsible(ctx, block.owner):
            seen.add(block.owner)
            edit = KeepBody(ctx.source.span(block.owner))
            yield ctx.finding(
                CODE,
                block.owner,
                "both arms of this `except ImportError` ladder import the same now; the first stays",
                edits=[edit],
            )


def _on_both(ctx: FileContext, ladder: ast.Try | ast.If) -> Finding:
    arm = "`except` arm" if isinstance(ladder, ast.Try) else "arm of the old release"
    return ctx.finding(
        CODE,
        ladder.handlers[0] if isinstance(ladder, ast.Try) else ladder.test,
        "this ladder already runs on both releases",
        outcome=Outcome.NOTED,
        step=f"Keep it while you support both; drop the {arm} afterwards.",
    )
