"""Parameters that another parameter with other values has taken the place of.

What it does
    Gives the new parameter the value that means the same: a flag becomes the member of an enumeration, a
    flag that is only known at run time a choice between two. What said the default goes.

Why
    The old keyword raises ``TypeError``, and a ``True`` at the old position is no member of the enumeration.

Before
    ``output_projection_cte(a, w, b, True, si, sw)``

After
    ``output_projection_cte(a, w, b, QuantizationType.STATIC, si, sw)``

When it stays silent
    When the call is written for another form, or leaves these parameters alone.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..analysis.context import FileContext
from ..calls import plans
from ..model import Finding

CODE = "NKM206"


def check(ctx: FileContext) -> Iterator[Finding]:
    """One finding for each such call."""
    for plan in plans(ctx):
        if plan.by_hand and plan.form.flags:
            text = f"parameters of `{plan.name}` were replaced"
            yield ctx.needs_you(CODE, plan.call.node, text, plan.form.step)
