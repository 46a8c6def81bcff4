"""NumPy integers where a Python int is required now.

What it does
    Wraps the index in ``int(…)``.

Why
    The new release takes anything but an ``int`` for an index known at run time only.

Before
    ``for i in np.arange(n): view.select(0, i)``

After
    ``for i in np.arange(n): view.select(0, int(i))``

When it stays silent
    For Python ints, and for what may be a tensor.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..analysis.context import FileContext
from ..model import Finding, Wrap

CODE = "NKM304"


def check(ctx: FileContext) -> Iterator[Finding]:
    """One finding for each index that is a NumPy integer."""
    for call in ctx.calls:
        for argument in call.node.args[1:2]:
            text = ctx.segment(argument)
            if isinstance(argument, ast.Call) and text.startswith(("np.int", "numpy.int")):
                edit = Wrap(ctx.source.span(argument), "int({})")
                yield ctx.finding(CODE, argument, f"`{text}` must be an int now", edits=[edit])
