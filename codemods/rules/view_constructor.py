"""Constructor calls of views that give sizes, strides or an offset.

What it does
    Makes the view from the base tensor alone and sets the rest with ``_copy``, the method with which the
    library's own view methods do it. Sizes without strides get the strides that 2.27 computed for them.

Why
    The constructor takes only the base tensor in the new release. ``_copy`` is not public, so each place is
    noted: ``slice``, ``permute`` and ``reshape_dim`` often say the same.

Before
        from nkilib.core.utils.tensor_view import TensorView

        view = TensorView(tensor, [8, 16], [16, 1], 128)

After
        from nkilib.core.utils.tensor_view import TensorView

        view = TensorView(tensor)._copy(shape=(8, 16), strides=(16, 1), offset=128)

When it stays silent
    For calls with the base tensor alone. Where an expression would have to be computed twice, the call is
    reported.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..analysis.context import FileContext
from ..model import Edit, EditCall, Finding, Outcome, Wrap
from ..view_copies import ViewCopy, view_copies

CODE = "NKM302"


def check(ctx: FileContext) -> Iterator[Finding]:
    """One finding for each call with more than the base tensor."""
    for copy in view_copies(ctx):
        yield _rewritten(ctx, copy) if copy.template else _reported(ctx, copy)


def _rewritten(ctx: FileContext, copy: ViewCopy) -> Finding:
    call = copy.call
    span = ctx.source.span(call.node)
    places = {name: call.index(name) for name in copy.rest}
    dropped = tuple(name if place is None else place for name, place in places.items())
    parts = tuple(map(ctx.source.span, copy.parts))
    wrap: list[Edit] = [Wrap(span, copy.template, parts)] if copy.template != "{}" else []
    return ctx.finding(
        CODE,
        call.node,
        f"`{call.name}` takes only the base tensor now; {_listed(copy.rest)} set with `_copy`",
        outcome=Outcome.NOTED,
        step="`_copy` is not public: slice, permute or reshape_dim are safer where they make the same view.",
        edits=[EditCall(span, dropped=dropped), *wrap],
    )


def _reported(ctx: FileContext, copy: ViewCopy) -> Finding:
    call = copy.call
    names = copy.rest or call.form.signature.positional[1:]
    message = f"`{call.name}` takes only the base tensor now, without {_listed(names)}, and {copy.problem}"
    return ctx.needs_you(CODE, call.node, message, call.form.step)


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)
