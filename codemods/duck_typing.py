"""Code that asks an object for an attribute by name: ``hasattr``, ``getattr`` and their like."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping

from .analysis import values as v
from .analysis.context import FileContext
from .record import record
from .trees import last_name

_ASKING = ("hasattr", "getattr", "setattr", "delattr")


@record
class Ask:
    """A call that looks an attribute up by its name.

    ``decides``: whether its result depends on the attribute being there.
    """

    call: ast.Call
    text: ast.Constant
    owner: v.Value
    decides: bool


@record
class Simplified:
    """A switch between an old and a new attribute, and the expression that does for both."""

    node: ast.expr
    new: str


def asks_for(ctx: FileContext, names: Collection[str]) -> Iterator[Ask]:
    """The calls that ask for one of the names."""
    for builtin in _ASKING:
        for use in ctx.module.by_name.get(builtin, ()):
            call = use.links[1] if len(use.links) > 1 else None
            if not isinstance(call, ast.Call) or len(call.args) < 2:
                continue
            text = call.args[1]
            if isinstance(text, ast.Constant) and text.value in names:
                decides = builtin == "hasattr" or (builtin == "getattr" and len(call.args) > 2)
                yield Ask(call, text, ctx.evaluator.at(call.args[0], use), decides)


def named_elsewhere(ctx: FileContext, names: Collection[str]) -> Iterator[tuple[ast.AST, str]]:
    """``attrgetter("name")`` and ``case Class(name=…)``, whose objects are not known here."""
    for text in ctx.module.texts:
        call = text.inside
        if text.value not in names or not isinstance(call, ast.Call) or text.node not in call.args:
            continue
        if last_name(call.func) == "attrgetter":
            yield call, text.value
    if not any(f"{name}=".encode() in ctx.source.utf8 for name in names):
        return
    for match in (stmt for stmt in ctx.module.bodies if isinstance(stmt, ast.Match)):
        patterns = [
            p for case in match.cases for p in ast.walk(case.pattern) if isinstance(p, ast.MatchClass)
        ]
        yield from ((p, name) for p in patterns for name in p.kwd_attrs if name in names)


def simplified(ctx: FileContext, ask: Ask, renamed: Mapping[str, str]) -> Simplified | None:
    """``x.old if hasattr(x, "old") else x.new`` and ``getattr(x, "old", x.new)``, which are ``x.new`` now."""
    subject = ask.call.args[0]
    if not _plain(subject):
        return None
    text = ctx.segment(subject)
    switches = {(_dotted(text, old), _dotted(text, new)): _dotted(text, new) for old, new in renamed.items()}
    parent = ctx.parent(ask.call)
    if len(ask.call.args) == 3:
        pair = (_dotted(text, str(ask.text.value)), ctx.segment(ask.call.args[2]))
        return Simplified(ask.call, switches[pair]) if pair in switches else None
    if isinstance(parent, ast.IfExp) and parent.test is ask.call:
        arms = ctx.segment(parent.body), ctx.segment(parent.orelse)
        asked = arms[0] == _dotted(text, str(ask.text.value))
        found = switches.get(arms) or switches.get((arms[1], arms[0]))
        return Simplified(parent, found) if found and asked else None
    return None


def _dotted(text: str, name: str) -> str:
    return f"{text}.{name}"


def _plain(node: ast.expr) -> bool:
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name)
