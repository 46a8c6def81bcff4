"""Arguments that the new release no longer takes, or no longer takes with this value.

What it does
    Removes the argument when its value is the one that says "default".

Why
    ``Logger(name, level=None)`` meant the global level in 2.27; in 2.28 it fails at the first message.

Before
        from nkilib.core.utils.logging import Logger

        log = Logger("attention", level=None)

After
        from nkilib.core.utils.logging import Logger

        log = Logger("attention")

When it stays silent
    For any other value of a parameter that still exists.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..analysis.context import FileContext
from ..calls import plans
from ..model import EditCall, Finding

CODE = "NKM204"


def check(ctx: FileContext) -> Iterator[Finding]:
    """One finding for each call with such arguments."""
    for plan in plans(ctx):
        if plan.edit is not None and plan.edit.dropped:
            names = plan.form.signature.positional
            text = ", ".join(f"`{names[k] if isinstance(k, int) else k}`" for k in plan.edit.dropped)
            edit = EditCall(plan.edit.span, dropped=plan.edit.dropped)
            yield ctx.finding(
                CODE, plan.call.node, f"`{plan.name}` is called without {text} now", edits=[edit]
            )
