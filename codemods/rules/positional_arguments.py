"""Positional arguments whose position means another parameter in the new release.

What it does
    Gives such arguments their keywords, from the first position that changed its meaning on, or from where
    only the old import root told what was meant; never earlier (unless ``--all-keywords``). The call is
    bound to the old and to the new signature, and both must give every parameter the same expression in the
    same order.

Why
    2.28 inserted parameters in the middle of signatures. Some calls fail; others, such as ``qkv`` with
    five positional arguments, run and silently compute something else.

Before
        from nkilib.core.qkv.qkv import qkv
        from nkilib.core.utils.common_types import QKVOutputLayout

        qkv(x, w, QKVOutputLayout.BSD, bias, True, mlp, attn)

After
        from nkilib.core.qkv.qkv import qkv
        from nkilib.core.utils.common_types import QKVOutputLayout

        qkv(x, w, QKVOutputLayout.BSD, bias, fused_residual_add=True, mlp_prev=mlp, attention_prev=attn)

When it stays silent
    When the positional arguments end before the first changed position, and when the call is evidently
    written for the new release.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..analysis.context import FileContext
from ..calls import Plan, plans
from ..model import EditCall, Finding

CODE = "NKM201"


def check(ctx: FileContext) -> Iterator[Finding]:
    """One finding for each affected call."""
    for plan in plans(ctx):
        if plan.problem and not plan.missing and not plan.by_hand:
            yield _undecided(ctx, plan)
        elif plan.edit is not None and plan.edit.keywords:
            names = ", ".join(f"`{name}`" for _, name in plan.edit.keywords)
            edit = EditCall(plan.edit.span, keywords=plan.edit.keywords)
            yield ctx.finding(
                CODE, plan.call.node, f"`{plan.name}` now takes {names} by keyword", edits=[edit]
            )


def _undecided(ctx: FileContext, plan: Plan) -> Finding:
    names = ", ".join(plan.form.signature.positional[plan.start :][:4]) if plan.start is not None else ""
    step = (
        f"Pass everything from position {plan.start} on ({names}, …) by keyword."
        if plan.start is not None
        else f"Compare the call with `{plan.name}{plan.change.signature.text}` and adjust it."
    )
    return ctx.needs_you(
        CODE, plan.call.node, f"call of `{plan.name}` cannot be proven: {plan.problem}", step
    )
