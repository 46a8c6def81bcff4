"""Lists of a view that are tuples now, used as lists.

What it does
    Makes a list of the tuple where one is needed: next to another list, in comparisons with lists, for
    serialisers, in front of ``append`` on a copy. What changed the view itself in place is reported.

Why
    ``view.shape + [1]`` raises ``TypeError`` in the new release, and ``view.shape == [2, 3]`` is silently
    false.

Before
        from nkilib.core.utils.tensor_view import TensorView

        dims = TensorView(tensor).strides + [1]

After
        from nkilib.core.utils.tensor_view import TensorView

        dims = list(TensorView(tensor).strides) + [1]

When it stays silent
    Where a tuple does as well: indexing, ``len``, iteration, unpacking, slices, arguments of a call.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..analysis.context import FileContext
from ..former_lists import ListUse, list_uses
from ..list_needs import Need
from ..model import Finding, Wrap

CODE = "NKM303"


def check(ctx: FileContext) -> Iterator[Finding]:
    """One finding for each place that needs a list."""
    for use in list_uses(ctx):
        text = ctx.segment(use.node)
        if use.need is Need.LIST:
            edit = Wrap(ctx.source.span(use.node), "list({})")
            message = f"`{text}` is a tuple now, and a list is needed here: `list(…)`"
            yield ctx.finding(CODE, use.node, message, edits=[edit])
        else:
            yield _report(ctx, use, text)


def _report(ctx: FileContext, use: ListUse, text: str) -> Finding:
    if use.need is Need.IN_PLACE:
        message = f"`{text}` is a tuple now and cannot be changed in place"
        step = "Make the view you want with its methods (slice, permute, …), or change a `list(…)` of it."
    else:
        message = f"`{text}` is a tuple now; whether a list is needed here cannot be decided"
        step = f"Write `list({text})` if the other side is a list, and leave it if that is a tuple too."
    return ctx.needs_you(CODE, use.place, message, step)
