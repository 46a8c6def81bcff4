"""Calls of the library's inner functions whose parameters changed beyond a mechanical rule.

What it does
    Reports the call with what a person has to decide.

Why
    Parameters were split, merged or moved; what to pass for the new ones does not follow from the call.

Before
        from nkilib.core.mlp.mlp_cte.mlp_cte_projection import perform_down_projection

        perform_down_projection(a, b, c)

After
    Unchanged. Row scales and static scales are apart now, and you decide which is which.

When it stays silent
    When the call fits the new signature and not the old one.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..analysis.context import FileContext
from ..calls import plans
from ..model import Finding

CODE = "NKM210"


def check(ctx: FileContext) -> Iterator[Finding]:
    """One finding for each such call."""
    for plan in plans(ctx):
        if plan.by_hand:
            text = f"the parameters of `{plan.name}` changed: `{plan.change.signature.text}`"
            yield ctx.needs_you(CODE, plan.call.node, text, plan.problem)
