"""Keyword arguments whose parameter has another name.

What it does
    Renames the keyword; the value stays. Keys of a dict are renamed where nothing but calls of the same
    callable takes it, as ``**`` argument.

Why
    The old keyword raises ``TypeError`` in the new release.

Before
        from nkilib.core.utils.tensor_view import TensorView

        view = TensorView(tensor).reshape_dim(dim=2, sizes=[a, b])

After
        from nkilib.core.utils.tensor_view import TensorView

        view = TensorView(tensor).reshape_dim(dim=2, shape=[a, b])

When it stays silent
    For the same keyword of a function or method that is not the library's, or whose receiver's type cannot
    be proven.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..analysis.context import FileContext
from ..calls import plans
from ..keyword_dicts import splats
from ..model import EditCall, Finding

CODE = "NKM202"


def check(ctx: FileContext) -> Iterator[Finding]:
    """One finding for each call with renamed keywords, and for each place with keys for one."""
    for plan in plans(ctx):
        if plan.edit is not None and plan.edit.renamed:
            text = ", ".join(f"`{old}` is `{new}` now" for old, new in plan.edit.renamed)
            edit = EditCall(plan.edit.span, renamed=plan.edit.renamed)
            yield ctx.finding(CODE, plan.call.node, f"`{plan.name}`: {text}", edits=[edit])
    for rename in splats(ctx)[0]:
        text = ", ".join(f"`{old}` is `{new}` now" for old, new in rename.names)
        message = f"`{rename.splat.name}`: {text}"
        yield ctx.finding(CODE, rename.node, message, edits=[rename.edit], group=rename.group)
