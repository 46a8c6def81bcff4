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
from ..keyword_dicts import Splat, splats
from ..model import Finding

CODE = "NKM207"


def check(ctx: FileContext) -> Iterator[Finding]:
    """One finding for each such place."""
    for splat in splats(ctx)[1]:
        yield _mapping(ctx, splat)


def _mapping(ctx: FileContext, splat: Splat) -> Finding:
    lost = ", ".join(f"`{name}`" for name in splat.lost)
    renamed = splat.form.renamed
    todo = (f"rename `{n}` to `{renamed[n]}`" if n in renamed else f"remove `{n}`" for n in splat.lost)
    message = f"the `**` argument may hold {lost}, which `{splat.name}` does not take any more"
    return ctx.needs_you(CODE, splat.call.node, message, f"Where the mapping is made, {', '.join(todo)}.")
