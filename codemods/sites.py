"""Calls of what changed: which changes each may need, and the arguments as the callable gets them."""

from __future__ import annotations

import ast

from .analysis import values as v
from .analysis.classes import constructor
from .analysis.context import Call, FileContext, once
from .analysis.values import Callee
from .dialects import Pair
from .record import record, replace
from .signature import CallForm

PARTIAL = v.Symbol("functools.partial")


@record
class Site:
    """A callable that changed, where a call may reach it.

    Attributes:
        target: the called value.
        arguments: the positional ones that go to it.
        pairs: the changes that a call of it may need.
        form: the shape of the arguments as it gets them.
    """

    call: Call
    target: v.Value
    arguments: list[ast.expr]
    callee: Callee
    pairs: tuple[Pair, ...]
    form: CallForm


@once
def sites(ctx: FileContext) -> list[list[Site]]:
    """For each call that may reach what changed, all of that."""
    return [found for call in ctx.calls if (found := _sites(ctx, call))]


def _sites(ctx: FileContext, call: Call) -> list[Site]:
    target, arguments = target_of(ctx, call)
    return [
        Site(call, target, arguments, callee, pairs, call_form(ctx, call, callee, arguments))
        for callee, pairs in _changed_callees(ctx, target)
    ]


def target_of(ctx: FileContext, call: Call) -> tuple[v.Value, list[ast.expr]]:
    """The called value and the positional arguments that go to it; a ``partial`` call is seen through, and
    the object that a method of a class is called with is not counted.
    """
    if call.callee == PARTIAL and call.node.args:
        return ctx.evaluator.at(call.node.args[0], call.use), call.node.args[1:]
    if isinstance(call.callee, v.Symbol) and _unbound(ctx, call.callee.name):
        return call.callee, call.node.args[1:]
    return call.callee, call.node.args


def _unbound(ctx: FileContext, name: str) -> bool:
    owner, _, method = name.rpartition(".")
    static = owner in ctx.release.types and method in ctx.release.types[owner].static
    return name in ctx.release.forms and owner.rpartition(".")[2][:1].isupper() and not static


def _changed_callees(ctx: FileContext, target: v.Value) -> list[tuple[Callee, tuple[Pair, ...]]]:
    """The callees among a value's alternatives that changed, with their changes."""
    found = []
    options = v.options(target)
    for option in sorted(options, key=repr) if len(options) > 1 else options:
        for callee in v.callees(option) or ():
            name = present_name(ctx, callee)
            pairs = ctx.release.forms.get(name)
            if pairs:
                found.append((replace(callee, name=name), pairs))
    return found


def present_name(ctx: FileContext, callee: Callee) -> str:
    """The name of a callee; one that its path has no more is called as what it moved to."""
    name = constructor(ctx.evaluator, callee.name)
    return name if name in ctx.release.forms else ctx.release.new_symbol.get(name, name)


def call_form(ctx: FileContext, call: Call, callee: Callee, arguments: list[ast.expr]) -> CallForm:
    """The shape of the argument list as it reaches ``callee``; ``arguments`` are the last of the call's."""
    forms = _forms(ctx)
    key = call.node, callee, len(arguments)
    if key not in forms:
        forms[key] = _call_form(ctx, call, callee, arguments)
    return forms[key]


@once
def _forms(_: FileContext) -> dict[tuple[ast.Call, Callee, int], CallForm]:
    """What :func:`call_form` has found; rules ask for the same calls."""
    return {}


def _call_form(ctx: FileContext, call: Call, callee: Callee, arguments: list[ast.expr]) -> CallForm:
    widths = tuple(ctx.evaluator.width(a, call.use) for a in arguments)
    if callee.first is None:
        widths = (None, *widths)
    keywords = tuple(k.arg for k in call.node.keywords)
    unfinished = call.callee == PARTIAL
    return CallForm(widths, keywords, callee.first or 0, callee.frozen, unfinished)
