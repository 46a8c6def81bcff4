"""Methods of the library's objects that are gone, such as children of a logger.

What it does
    Reports each use of such a method on an object of the class, with what to write instead.

Why
    ``log.create_child("x")`` raises ``AttributeError`` in the new release.

Before
    ``child = log.create_child("cte", LogLevel.DEBUG)``

After
    ``child = get_logger("q.cte", LogLevel.DEBUG)``, written by you: only you know the parent's name.

When it stays silent
    For a method of the same name on an object of another class.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..analysis import values as v
from ..analysis.context import FileContext
from ..model import Finding

CODE = "NKM305"


def check(ctx: FileContext) -> Iterator[Finding]:
    """One finding for each use of a method that is gone."""
    for access in ctx.attributes:
        for owner in v.options(access.owner):
            step = (
                ctx.release.removed.get(f"{owner.of}.{access.node.attr}")
                if isinstance(owner, v.Instance)
                else None
            )
            if step:
                yield ctx.needs_you(CODE, access.node, f"`{access.node.attr}` is gone", step)
