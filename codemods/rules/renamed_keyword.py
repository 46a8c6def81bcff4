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
    For the same keyword of a function or method that is not the library's. A method of that name with that
    keyword, of an object of unknown type, is reported if the file works with the type at all.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from ..analysis.context import FileContext
from ..analysis.scopes import Use
from ..calls import plans
from ..model import EditCall, Finding
from ..release import OldForm, Release
from ..sight import calls_with_mappings, uses_type

CODE = "NKM202"


def check(ctx: FileContext) -> Iterator[Finding]:
    """One finding for each call with renamed keywords, and for each place with keys for one."""
    for plan in plans(ctx):
        if plan.edit is not None and plan.edit.renamed:
            text = ", ".join(f"`{old}` is `{new}` now" for old, new in plan.edit.renamed)
            edit = EditCall(plan.edit.span, renamed=plan.edit.renamed)
            yield ctx.finding(CODE, plan.call.node, f"`{plan.name}`: {text}", edits=[edit])
    if calls_with_mappings(ctx):
        yield from _keys(ctx)
    for name, forms in ctx.release.once(_methods).items():
        for use in ctx.module.spelling(f".{name}"):
            for kind, form in forms:
                yield from _doubtful(ctx, kind, name, form, use)


def _keys(ctx: FileContext) -> Iterator[Finding]:
    """Keys that reach a call through ``**``."""
    from ..keyword_dicts import splats

    for rename in splats(ctx)[0]:
        text = ", ".join(f"`{old}` is `{new}` now" for old, new in rename.names)
        message = f"`{rename.splat.name}`: {text}"
        yield ctx.finding(CODE, rename.node, message, edits=[rename.edit], group=rename.group)


# -- methods of objects of unknown type -------------------------------------------------------------------


def _methods(release: Release) -> Mapping[str, list[tuple[str, OldForm]]]:
    """The name of a method with renamed keywords → the types that have it, and what it was."""
    found: dict[str, list[tuple[str, OldForm]]] = {}
    for kind in release.types:
        for change in release.calls:
            owner, _, method = change.name.rpartition(".")
            forms = [form for form in change.old if form.renamed and form.name == change.name]
            if owner == kind and method not in release.types[kind].static:
                found.setdefault(method, []).extend((kind, form) for form in forms)
    return found


def _doubtful(ctx: FileContext, kind: str, method: str, form: OldForm, use: Use) -> Iterator[Finding]:
    for index, link in enumerate(use.links[:-1]):
        call = use.links[index + 1]
        if not isinstance(link, ast.Attribute) or link.attr != method or not isinstance(call, ast.Call):
            continue
        given = {k.arg: k for k in call.keywords if k.arg in form.renamed}
        if given and uses_type(ctx, kind) and _unknown(ctx, kind, use, index):
            names = ", ".join(f"`{old}` is `{form.renamed[old]}` now" for old in given if old)
            owner, short = ctx.segment(link.value), kind.rpartition(".")[2]
            message = f"`{method}` of {short}: {names}, and `{owner}` is not proven to be a {short}"
            step = (
                f"If `{owner}` is a {short}, rename the keyword; annotate it as {short} to have it rewritten."
            )
            yield ctx.needs_you(CODE, call, message, step)


def _unknown(ctx: FileContext, kind: str, use: Use, index: int) -> bool:
    from ..receivers import Receiver, receiver

    owner = ctx.evaluator.use(use, index) if index else None
    return receiver(ctx, owner, kind) is Receiver.UNKNOWN
