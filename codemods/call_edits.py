"""The edit that takes a call from the form it was written for to the new signature."""

from __future__ import annotations

import ast

from .analysis.context import FileContext
from .dialects import dropped
from .model import EditCall
from .release import OldForm
from .signature import Unbindable, bind, positional_from
from .sites import Site

_PURE = (
    ast.Name,
    ast.Constant,
    ast.Attribute,
    ast.BinOp,
    ast.UnaryOp,
    ast.operator,
    ast.unaryop,
    ast.expr_context,
)


class Missing(Unbindable):
    """A required parameter whose value cannot be written down."""

    def __init__(self, parameter: str, why: str) -> None:
        super().__init__(f"`{parameter}` is required now, and {why}")
        self.parameter = parameter


def edit_of(ctx: FileContext, site: Site, old: OldForm, start: int | None) -> EditCall | None:
    """Everything that a call needs which was written for an old form, or None.

    Args:
        start: the first position that means something else now; from there on, arguments get keywords.

    Raises Unbindable when something cannot be decided, of these Missing when a parameter has no value.
    """
    call, form = site.call, site.form
    shift = len(call.node.args) - len(site.arguments)
    first = 0 if ctx.all_keywords else start
    keywords = () if first is None else positional_from(form, first, old.positional)
    renamed = tuple((k, old.renamed[k]) for k in form.keywords if k and k in old.renamed)
    gone = _dropped(site, old, shift)
    added = _added(ctx, site, old)
    if not (keywords or renamed or gone or added):
        return None
    shifted = tuple((i + shift, name) for i, name in keywords if i + shift not in gone)
    return EditCall(ctx.source.span(call.node), shifted, renamed, gone, added)


def _dropped(site: Site, old: OldForm, shift: int) -> tuple[str | int, ...]:
    """Arguments that may go, as the call has them."""
    if not old.dropped:
        return ()
    found = dropped(old, site.form, site.arguments, site.call.node.keywords)
    return tuple(key + shift if isinstance(key, int) else key for key in found)


def _parenthesised(node: ast.expr, text: str) -> str:
    simple = isinstance(node, ast.Name | ast.Constant | ast.Attribute) and "\n" not in text
    return text if simple else f"({text})"


def _added(ctx: FileContext, site: Site, old: OldForm) -> tuple[tuple[str, str], ...]:
    """Newly required parameters with their values in terms of the old ones."""
    form = site.form
    if not old.added or form.unfinished:
        return ()
    bound = bind(old.signature, form)
    given = [*site.arguments, *(k.value for k in site.call.node.keywords)]
    pairs = []
    for name, template in old.added.items():
        if name in form.keywords:
            continue
        values = {p: given[o] for p, o in bound.items() if f"{{{p}}}" in template}
        pairs.append((name, _filled(ctx, name, template, values)))
    return tuple(pairs)


def _filled(ctx: FileContext, name: str, template: str, values: dict[str, ast.expr]) -> str:
    """The template with the arguments' text, parenthesised where that matters."""
    if any(not isinstance(n, _PURE) for node in values.values() for n in ast.walk(node)):
        raise Missing(name, "an argument would have to be evaluated twice for it")
    plain = {p: ctx.segment(node) for p, node in values.items()}
    try:
        safe = template.format(**{p: _parenthesised(node, plain[p]) for p, node in values.items()})
    except KeyError as missing:
        raise Missing(name, f"{missing.args[0]} is not given") from None
    bare = template.format(**plain)
    if "\n" in bare:
        return safe
    same = ast.dump(ast.parse(bare, mode="eval")) == ast.dump(ast.parse(safe, mode="eval"))
    return bare if same else safe
