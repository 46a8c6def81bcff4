"""Constructors that take the base object alone now.

What it does
    Makes a copy of the view with the shape, strides and offset that the constructor no longer takes.

Why
    ``TensorView(t, sizes=…)`` raises ``TypeError`` in the new release.

Before
    ``TensorView(t, [8, 16], [16, 1], 128)``

After
    ``TensorView(t)._copy(shape=(8, 16), strides=(16, 1), offset=128)``

When it stays silent
    When only the base is given.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..analysis.context import FileContext
from ..model import Finding
from ..templates import template_calls

CODE = "NKM302"


def check(ctx: FileContext) -> Iterator[Finding]:
    """One finding for each constructor call with more than the base."""
    for call in template_calls(ctx, "view-copy"):
        if len(call.given) != 1:
            text = f"`{call.name}` takes the base alone now"
            yield ctx.needs_you(CODE, call.node, text, call.form.step)
