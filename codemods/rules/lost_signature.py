"""Changed parameters behind something that hides which argument goes where.

What it does
    Reports calls whose ``**`` argument may hold keywords that have another name now, wrappers that hand any
    arguments on to a kernel whose positions changed, calls through such wrappers, and code that looks at a
    changed signature itself.

Why
    Nothing at these places shows which arguments are given, so nothing can be rewritten there.

Before
    ``layernorm(**options)``

After
    The same call, with the keywords to look for where ``options`` is made.

When it stays silent
    When the callable only got new parameters with defaults and no position changed its meaning, when the keys
    are known (then they are renamed, or right already), and for wrappers that are seen through.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..analysis.context import FileContext
from ..calls import plans
from ..model import Finding

CODE = "NKM207"


def check(ctx: FileContext) -> Iterator[Finding]:
    """One finding for each such place."""
    for plan in plans(ctx):
        names = sorted({*plan.form.renamed, *plan.form.dropped} - set(plan.change.signature.names))
        opaque = any(k.arg is None for k in plan.call.node.keywords)
        if opaque and names and not plan.problem and plan.edit is None:
            text = ", ".join(f"`{name}`" for name in names)
            yield ctx.needs_you(
                CODE,
                plan.call.node,
                f"the `**` argument may hold {text}, which `{plan.name}` no longer takes",
                f"Look for these keys where the mapping is made: `{plan.change.signature.text}`.",
            )
