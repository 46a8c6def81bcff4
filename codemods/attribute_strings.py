"""Attributes of library modules that code names by a string: ``getattr``, ``patch.object``, ``vars`` and the
like.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from . import dotted
from .analysis import values as v
from .analysis.context import FileContext, once
from .analysis.scopes import Use
from .model import Edit, EditCall, ReplaceString
from .record import record, replace
from .trees import last_name

_TESTS = {"hasattr"}
_KEYED = {"get", "pop", "setdefault", "__getitem__"}
_LOOKUPS = {"getattr", "setattr", "delattr", "object", "attrgetter"} | _TESTS


@record
class NamedAttribute:
    """One such place.

    Attributes:
        node: the string, or the call for a keyword or for a name that is only known at run time.
        owner: qualified name of the module in the new release.
        name: the attribute; "" when it is only known at run time.
        found: what became of it; None when the name is not known.
        edit: what gives it its new name; None when that is not certain.
        test: whether the place asks if the attribute exists.
    """

    node: ast.expr
    owner: str
    name: str
    found: dotted.Path | None
    edit: Edit | None = None
    test: bool = False

    @property
    def new(self) -> str:
        """The new name, when the attribute is still one of the same module; "" otherwise."""
        start = self.owner + "."
        return self.found.new[len(start) :] if self.found and self.found.new.startswith(start) else ""


@once
def attribute_strings(ctx: FileContext) -> list[NamedAttribute]:
    """All such places whose attribute is affected or may be."""
    return list(_all(ctx))


def _all(ctx: FileContext) -> Iterator[NamedAttribute]:
    for use in ctx.around:
        for link in use.links:
            if isinstance(link, ast.Call) and link.args:
                yield from _call(ctx, use, link)
    dicts = b"vars" in ctx.source.utf8 or b"__dict__" in ctx.source.utf8
    for use in ctx.uses if dicts else ():
        yield from _keyed(ctx, use)
    multiple = ctx.module.spelling("multiple") or ctx.module.spelling(".multiple")
    for text in ctx.module.texts if multiple else ():
        call = text.inside
        if isinstance(call, ast.Call) and last_name(call.func) == "multiple" and call.args[:1] == [text.node]:
            yield from _keywords(ctx, call, ctx.release.canonical(text.value))


def _call(ctx: FileContext, use: Use, call: ast.Call) -> Iterator[NamedAttribute]:
    getter = (
        call.func if isinstance(call.func, ast.Call) and last_name(call.func.func) == "attrgetter" else None
    )
    function = "attrgetter" if getter else last_name(call.func)
    names = getter.args[:1] if getter else call.args[1:2]
    if not names and function != "multiple":
        return
    for owner in _modules(ctx, ctx.evaluator.at(call.args[0], use))[:1]:
        if function == "multiple":
            yield from _keywords(ctx, call, owner)
        else:
            yield from _named(ctx, use, call, function, owner, names[0])


def _keyed(ctx: FileContext, use: Use) -> Iterator[NamedAttribute]:
    """``vars(module)["name"]``, and what the methods of such a dict are given."""
    for index, link in enumerate(use.links[1:], start=1):
        if isinstance(link, ast.Subscript):
            key, at = link.slice, index
        elif isinstance(link, ast.Call) and last_name(link.func) in _KEYED and link.args:
            key, at = link.args[0], index - 1
        else:
            continue
        names = ctx.evaluator.use(use, at) if isinstance(key, ast.Constant) else None
        for owner in _modules(ctx, names.of) if isinstance(names, v.Names) else ():
            yield from _named(ctx, use, link, "getattr", owner, key)


def _modules(ctx: FileContext, value: v.Value) -> list[str]:
    symbols = [option.name for option in v.options(value) if isinstance(option, v.Symbol)]
    return sorted(name for name in symbols if name in ctx.release.known)


def _named(
    ctx: FileContext, use: Use, call: ast.expr, function: str, owner: str, name: ast.expr
) -> Iterator[NamedAttribute]:
    value = ctx.evaluator.at(name, use)
    if not isinstance(value, v.Constant):
        if function in _LOOKUPS and affected(ctx, owner):
            yield NamedAttribute(call, owner, "", None)
        return
    place = _place(ctx, name, owner, value.value)
    if place is None or place.new == place.name:
        return
    literal = isinstance(name, ast.Constant) and function in _LOOKUPS
    if function in _TESTS:
        yield replace(place, test=True)
    elif literal and place.new:
        yield replace(place, edit=ReplaceString(ctx.source.span(name), place.name, place.new))
    else:
        yield place


def _keywords(ctx: FileContext, call: ast.Call, owner: str) -> Iterator[NamedAttribute]:
    """``patch.multiple(module, name=…)``; a mock that it makes (``DEFAULT``) is handed on by that name."""
    for keyword in call.keywords:
        place = _place(ctx, call, owner, keyword.arg)
        if place is not None and place.new != place.name:
            kept = last_name(keyword.value) == "DEFAULT"
            renamed = ((place.name, place.new),) if place.new and not kept else ()
            yield replace(place, edit=EditCall(ctx.source.span(call), renamed=renamed) if renamed else None)


def _place(ctx: FileContext, node: ast.expr, owner: str, name: object) -> NamedAttribute | None:
    if not isinstance(name, str):
        return None
    found = dotted.resolve(ctx.release, f"{owner}.{name}")
    return NamedAttribute(node, ctx.release.moved(owner), name, found) if found else None


def affected(ctx: FileContext, module: str) -> list[str]:
    """Names of a module that are renamed, moved or gone."""
    start = module + "."
    names = [*ctx.release.new_symbol, *ctx.release.removed]
    own = (name[len(start) :] for name in names if name.startswith(start))
    return sorted({name for name in own if "." not in name and not name.startswith("_")})
