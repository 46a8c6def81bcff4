"""Attributes of the library's objects that have another name.

What it does
    Renames the attribute where the object's type is proven: by assignment, annotation, containers, method
    chains, attributes set in ``__init__``, functions that return it, ``isinstance``. The same name on an
    object of unknown type is reported if the file works with the type at all; ``hasattr`` and ``getattr``
    with the name are rewritten or reported.

Why
    The old attribute raises ``AttributeError`` in the new release; a ``hasattr`` switch silently takes the
    other branch.

Before
        from nkilib.core.utils.tensor_view import TensorView


        def rows(view: TensorView):
            return view.sizes[0]

After
        from nkilib.core.utils.tensor_view import TensorView


        def rows(view: TensorView):
            return view.shape[0]

When it stays silent
    For an attribute of something else, also of a subclass that defines it itself, and in files that do not
    use the type.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..analysis.context import FileContext
from ..analysis.scopes import Use
from ..duck_typing import Ask, asks_for, named_elsewhere, simplified
from ..former_lists import changed_in_place
from ..model import Finding, Outcome, Rename, ReplaceString, Wrap
from ..naming import last_part
from ..receivers import Receiver, has_of_its_own, receiver
from ..release import TypeChange
from ..sight import uses_type

CODE = "NKM301"


def check(ctx: FileContext) -> Iterator[Finding]:
    """One finding for each access to a renamed attribute."""
    for kind in ctx.release.types.values():
        if kind.attributes and _mentioned(ctx, kind) and uses_type(ctx, kind.name):
            skipped: set[ast.AST] = set()
            yield from _switches(ctx, kind, skipped)
            yield from _accesses(ctx, kind, skipped)
            yield from _elsewhere(ctx, kind)


def _mentioned(ctx: FileContext, kind: TypeChange) -> bool:
    names = {*kind.attributes, *kind.attributes.values()}
    return any(name.encode() in ctx.source.utf8 for name in names)


def _accesses(ctx: FileContext, kind: TypeChange, skipped: set[ast.AST]) -> Iterator[Finding]:
    kept = changed_in_place(ctx) | skipped
    for use in ctx.module.uses:
        for index, link in enumerate(use.links):
            if isinstance(link, ast.Attribute) and link.attr in kind.attributes and link not in kept:
                yield from _access(ctx, kind, use, index, link)


def _access(
    ctx: FileContext, kind: TypeChange, use: Use, index: int, link: ast.Attribute
) -> Iterator[Finding]:
    old, new = link.attr, kind.attributes[link.attr]
    owner = ctx.evaluator.use(use, index) if index else None
    verdict = receiver(ctx, owner, kind.name)
    short = kind.name.rpartition(".")[2]
    if has_of_its_own(ctx, owner, old):
        return
    if verdict is Receiver.SURE:
        edit = Rename(last_part(ctx, link), old, new)
        yield ctx.finding(CODE, link, f"`.{old}` of {short} is `.{new}` now", edits=[edit])
    elif verdict is Receiver.MAYBE or (verdict is Receiver.UNKNOWN and isinstance(link.ctx, ast.Load)):
        text = ctx.segment(link.value)
        sometimes = "only sometimes" if verdict is Receiver.MAYBE else "not proven to be"
        yield ctx.needs_you(
            CODE,
            link,
            f"`.{old}` of {short} is `.{new}` now, and `{text}` is {sometimes} a {short}",
            f"If `{text}` is a {short}, write `.{new}`; annotate it as {short} to have it rewritten.",
        )


def _elsewhere(ctx: FileContext, kind: TypeChange) -> Iterator[Finding]:
    for node, name in named_elsewhere(ctx, kind.attributes):
        new, short = kind.attributes[name], kind.name.rpartition(".")[2]
        message = f"`{name}` of {short} is `{new}` now, and nothing here shows of what it is taken"
        yield ctx.needs_you(CODE, node, message, f"Write `{new}` if it is taken of a {short}.")


# -- hasattr and getattr ---------------------------------------------------------------------------------


def _switches(ctx: FileContext, kind: TypeChange, skipped: set[ast.AST]) -> Iterator[Finding]:
    for ask in asks_for(ctx, {*kind.attributes, *kind.attributes.values()}):
        verdict = receiver(ctx, ask.owner, kind.name)
        whole = simplified(ctx, ask, kind.attributes)
        if verdict is Receiver.OTHER:
            continue
        if whole is not None:
            skipped.update(ast.walk(whole.node))
            yield ctx.finding(
                CODE,
                whole.node,
                f"`{whole.new}` serves both kinds of tensor now",
                outcome=Outcome.NOTED,
                step="Views have it too; nothing else in this file may rely on the other branch.",
                edits=[Wrap(ctx.source.span(whole.node), whole.new)],
            )
        else:
            yield from _switch(ctx, kind, ask, verdict is Receiver.SURE)


def _switch(ctx: FileContext, kind: TypeChange, ask: Ask, sure: bool) -> Iterator[Finding]:
    name = str(ask.text.value)
    if name in kind.attributes and sure:
        new = kind.attributes[name]
        edit = ReplaceString(ctx.source.span(ask.text), name, new)
        yield ctx.finding(CODE, ask.text, f"`{name}` is `{new}` now", edits=[edit])
    elif name in kind.attributes or (ask.decides and not sure):
        yield _reported(ctx, kind, ask.call, name)


def _reported(ctx: FileContext, kind: TypeChange, call: ast.Call, name: str) -> Finding:
    short = kind.name.rpartition(".")[2]
    if name in kind.attributes:
        new = kind.attributes[name]
        message = f"`{name}` of {short} is `{new}` now, which plain tensors have too"
        step = f"Ask with `isinstance(…, {short})`, or use `.{new}` for both."
    else:
        message = f"`{ctx.segment(call)}` holds for a {short} too now, which has a `{name}`"
        step = f"Ask with `isinstance(…, {short})` if views have to be told from plain tensors."
    return ctx.needs_you(CODE, call, message, step)
