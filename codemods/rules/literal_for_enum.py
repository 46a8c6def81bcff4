"""Strings and numbers where a member of an enumeration is required now.

What it does
    Writes the member.

Why
    The new release looks the member up and fails on anything else.

Before
    ``mlp(x, g, u, d, activation_fn="silu")``

After
    ``mlp(x, g, u, d, activation_fn=ActFnType.SiLU)``

When it stays silent
    When the argument is a member already, or not known.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..analysis import values as v
from ..analysis.context import FileContext
from ..arguments import reached
from ..model import Finding

CODE = "NKM209"


def check(ctx: FileContext) -> Iterator[Finding]:
    """One finding for each literal."""
    enums = {f.name: change.enums for change in ctx.release.calls for f in change.old if change.enums}
    for call in ctx.calls:
        for target in reached(ctx, call, dict.fromkeys(enums)):
            for parameter, enum in enums[target.name].items():
                given = target.given.get(parameter)
                known = ctx.evaluator.at(given, call.use) if given is not None else None
                if given is not None and isinstance(known, v.Constant) and known.value is not None:
                    short = enum.rpartition(".")[2]
                    text = f"`{parameter}` takes a member of {short} now"
                    yield ctx.needs_you(CODE, given, text, f"Pass the member of `{short}` that you mean.")
