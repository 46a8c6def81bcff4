"""Methods that are gone, such as children of a logger.

What it does
    Reports each use of such a method on an object of its class, with what to write instead. In a file that
    works with the class, the same method on an object of unknown type is reported too.

Why
    ``log.create_child("cte")`` raises ``AttributeError`` in the new release, where loggers have no parents.

Before
        from nkilib.core.utils.logging import Logger, LogLevel

        log = Logger("q")
        child = log.create_child("cte", LogLevel.DEBUG)

After
    Unchanged. You write ``child = get_logger("q.cte", LogLevel.DEBUG)``: its name no longer follows its
    parent's.

When it stays silent
    For a method of that name on an object of another class, and for one that a subclass defines itself.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..analysis import values as v
from ..analysis.context import FileContext
from ..analysis.scopes import Use
from ..duck_typing import asks_for
from ..model import Finding
from ..sight import uses_type

CODE = "NKM305"


def check(ctx: FileContext) -> Iterator[Finding]:
    """One finding for each use of a method that is gone."""
    for name, (step, spelled) in ctx.release.lost_methods.items():
        kind, _, method = name.rpartition(".")
        if spelled in ctx.source.utf8:
            unsure = uses_type(ctx, kind)
            yield from _looked_up(ctx, kind, method, step, unsure)
            yield from _asked_for(ctx, kind, method, step, unsure)


def _looked_up(ctx: FileContext, kind: str, method: str, step: str, unsure: bool) -> Iterator[Finding]:
    for use in ctx.module.uses:
        for index, link in enumerate(use.links):
            if not isinstance(link, ast.Attribute) or link.attr != method:
                continue
            if _is_it(ctx, use, index, kind):
                yield ctx.needs_you(CODE, link, f"`{_short(kind)}` has no `{method}` any more", step)
            elif unsure and isinstance(link.ctx, ast.Load) and _unknown(ctx, use, index):
                yield _doubtful(ctx, kind, method, step, link, ctx.segment(link.value))


def _is_it(ctx: FileContext, use: Use, index: int, kind: str) -> bool:
    """Whether the link may be the method of the class, be it looked up on a subclass."""
    method = ctx.evaluator.use(use, index + 1)
    return any(isinstance(o, v.Method) and o.owner == kind for o in v.options(method))


def _unknown(ctx: FileContext, use: Use, index: int) -> bool:
    return v.may_be_unknown(ctx.evaluator.use(use, index))


def _asked_for(ctx: FileContext, kind: str, method: str, step: str, unsure: bool) -> Iterator[Finding]:
    """The name in ``hasattr`` and ``getattr``."""
    for ask in asks_for(ctx, {method}):
        found = ctx.evaluator.attribute(ask.owner, method)
        if any(isinstance(o, v.Method) and o.owner == kind for o in v.options(found)):
            yield ctx.needs_you(CODE, ask.call, f"`{_short(kind)}` has no `{method}` any more", step)
        elif unsure and v.may_be_unknown(ask.owner):
            yield _doubtful(ctx, kind, method, step, ask.call, ctx.segment(ask.call.args[0]))


def _doubtful(ctx: FileContext, kind: str, method: str, step: str, node: ast.AST, owner: str) -> Finding:
    short = _short(kind)
    message = f"`{short}` has no `{method}` any more, and `{owner}` is not proven to be anything else"
    return ctx.needs_you(CODE, node, message, f"If `{owner}` is a {short}: {step}")


def _short(name: str) -> str:
    return name.rpartition(".")[2]
