"""Parameters that the new release requires and whose value follows from the old arguments.

What it does
    Adds the keyword with that value.

Why
    The call raises ``TypeError`` without it.

Before
        from nkilib.core.utils.tiled_range import TiledRangeIterator

        tile = TiledRangeIterator(tile_size, index, start_offset)

After
        from nkilib.core.utils.tiled_range import TiledRangeIterator

        tile = TiledRangeIterator(tile_size, index, start_offset, end_offset=start_offset + tile_size)

When it stays silent
    When the argument is there. When an argument would have to be evaluated twice, the call is reported.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..analysis.context import FileContext
from ..calls import plans
from ..model import EditCall, Finding

CODE = "NKM203"


def check(ctx: FileContext) -> Iterator[Finding]:
    """One finding for each call that needs a new argument."""
    for plan in plans(ctx):
        if plan.missing:
            text = f"call of `{plan.name}` cannot be completed: {plan.problem}"
            step = f"Bind the argument to a name first, and pass `{plan.missing}` by keyword."
            yield ctx.needs_you(CODE, plan.call.node, text, step)
        elif plan.edit is not None and plan.edit.added:
            text = ", ".join(f"`{name}`" for name, _ in plan.edit.added)
            edit = EditCall(plan.edit.span, added=plan.edit.added)
            yield ctx.finding(CODE, plan.call.node, f"`{plan.name}` now requires {text}", edits=[edit])
