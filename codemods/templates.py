"""Calls that a rule of its own rewrites: what reaches which parameter, and how the function is called."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from .analysis import values as v
from .analysis.context import Call, FileContext, once
from .calls import template_form
from .record import record
from .release import CallChange, OldForm
from .signature import CallForm, Unbindable, bind
from .sites import PARTIAL, Site, sites


@record
class TemplateCall:
    """A call that was written for a form with a template.

    Attributes:
        arguments: the positional arguments that reach the function; ``shift`` others stand before them.
        given: old parameter → its argument, as far as the call can be bound.
        problem: why the call cannot be understood, or "".
    """

    call: Call
    change: CallChange
    form: OldForm
    shape: CallForm
    arguments: tuple[ast.expr, ...]
    given: Mapping[str, ast.expr]
    problem: str

    @property
    def name(self) -> str:
        return self.change.name.rpartition(".")[2]

    @property
    def node(self) -> ast.Call:
        return self.call.node

    def index(self, parameter: str) -> int | None:
        """The place of a parameter's argument among the positional ones of the call, or None."""
        argument = self.given.get(parameter)
        return next((i for i, a in enumerate(self.node.args) if a is argument), None)


def template_calls(ctx: FileContext, template: str) -> Iterator[TemplateCall]:
    """The calls whose old form has the given template."""
    return (call for call in _template_calls(ctx) if call.form.template == template)


@once
def _template_calls(ctx: FileContext) -> list[TemplateCall]:
    """The calls whose old form has any template."""
    found = (_template_call(ctx, reached) for reached in sites(ctx))
    return [call for call in found if call is not None]


def _template_call(ctx: FileContext, reached: list[Site]) -> TemplateCall | None:
    for site in reached:
        if not any(old.template for _, old in site.pairs):
            continue
        call, shape, arguments = site.call, site.form, site.arguments
        pair = template_form(ctx, site)
        if pair is None:
            continue
        change, form = pair
        given, problem = _bound(call, form, shape, arguments)
        names = v.callees(site.target)
        if names is None or len({c.name for c in names}) > 1:
            problem = "the callee may also be something else on another path"
        return TemplateCall(call, change, form, shape, tuple(arguments), given, problem)
    return None


def _bound(
    call: Call, form: OldForm, shape: CallForm, arguments: list[ast.expr]
) -> tuple[Mapping[str, ast.expr], str]:
    given = [*arguments, *(keyword.value for keyword in call.node.keywords)]
    if None in shape.keywords:
        return {}, "a `**` argument may hold anything"
    if any(isinstance(argument, ast.Starred) for argument in arguments):
        return {}, "a `*` argument hides which parameters are given"
    try:
        places = bind(form.signature, shape)
    except Unbindable as error:
        return {}, str(error)
    return {name: given[place] for name, place in places.items()}, ""


def is_partial(call: Call) -> bool:
    """Whether the call makes a ``functools.partial``."""
    return call.callee == PARTIAL
