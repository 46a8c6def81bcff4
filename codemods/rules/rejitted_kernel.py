"""Kernels that the library jits itself now, jitted by your code.

What it does
    Takes ``nki.jit(…)`` off such a kernel.

Why
    The kernel is jitted already.

Before
    ``cte = nki.jit(attention_cte)``

After
    ``cte = attention_cte``

When it stays silent
    For kernels that were jitted before, or are not now.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..analysis import values as v
from ..analysis.context import FileContext
from ..model import Finding

CODE = "NKM208"


def check(ctx: FileContext) -> Iterator[Finding]:
    """One finding for each jit of a jitted kernel."""
    for call in ctx.calls:
        for argument in call.node.args[:1]:
            value = ctx.evaluator.at(call.node, call.use)
            inner = ctx.evaluator.at(argument, call.use)
            names = {o.name for o in v.options(inner) if isinstance(o, v.Symbol)}
            if isinstance(value, v.Jitted) and names & ctx.release.newly_jitted:
                text = f"`{ctx.segment(argument)}` is jitted by the library now"
                yield ctx.needs_you(CODE, call.node, text, "Use it without `nki.jit`.")
