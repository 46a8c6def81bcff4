"""Strings and numbers where a member of an enumeration is required now.

What it does
    Writes the member that a literal names or is the value of, and imports the enumeration if need be. Takes
    ``.value`` and ``.name`` off a member.
    Literals that come through a variable or a dictionary, and those that are no member, are reported.

Why
    The parameter took anything in the old release, which did not look at it; the new one checks that it is
    a member.

Before
        from nkilib.core.mlp.mlp import mlp

        mlp(x, gate, up, down, activation_fn="silu")

After
        from nkilib.core.mlp.mlp import mlp
        from nkilib.core.utils.common_types import ActFnType

        mlp(x, gate, up, down, activation_fn=ActFnType.SiLU)

When it stays silent
    When the argument is a member already, or not known.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from ..analysis import values as v
from ..analysis.classes import constructor
from ..analysis.context import Call, FileContext
from ..analysis.scopes import Use
from ..arguments import Reached, reached
from ..model import Edit, Finding, Wrap
from ..release import Release
from ..sites import target_of
from ..visible import Visible, visible_symbol

CODE = "NKM209"
_PARTS = ("value", "name")


def check(ctx: FileContext) -> Iterator[Finding]:
    """One finding for each literal."""
    enums = ctx.release.once(_insisting)
    known = ctx.release.once(_as_changed)
    seen: set[ast.expr] = set()
    for call in ctx.calls:
        for target in reached(ctx, call, known):
            for parameter, enum in enums[target.name].items():
                for node in _given(ctx, call, target, parameter):
                    if node not in seen:
                        seen.add(node)
                        yield from _literal(ctx, call, node, parameter, enum)


def _insisting(release: Release) -> dict[str, Mapping[str, str]]:
    """Old and new names of the callables concerned → parameter → enumeration."""
    changes = [change for change in release.calls if change.enums]
    return {name: c.enums for c in changes for name in (c.name, *(form.name for form in c.old))}


def _as_changed(release: Release) -> dict[str, None]:
    """The same names, whose parameters are those of the table's changes."""
    return dict.fromkeys(release.once(_insisting))


def _given(ctx: FileContext, call: Call, target: Reached, parameter: str) -> Iterator[ast.expr]:
    """The expressions that may be the argument: the arms of a conditional one, and ``**`` that hold it."""
    if parameter in target.given:
        yield from _arms(target.given[parameter])
    for keyword in call.node.keywords:
        known = ctx.evaluator.at(keyword.value, call.use) if keyword.arg is None else None
        if isinstance(known, v.Mapping) and parameter in dict(known.items):
            yield keyword.value


def _arms(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.IfExp):
        yield from _arms(node.body)
        yield from _arms(node.orelse)
    else:
        yield node


def _literal(ctx: FileContext, call: Call, node: ast.expr, parameter: str, enum: str) -> Iterator[Finding]:
    value = ctx.evaluator.at(node, call.use)
    if isinstance(value, v.Mapping):
        value = value.get(parameter)
    known = [o.value for o in v.options(value) if isinstance(o, v.Constant)]
    if not known:
        yield from _unwrapped(ctx, node, value, parameter, enum)
        return
    member = _member(ctx, enum, known[0]) if len(known) == 1 else ""
    seen = _visible(ctx, call.use, enum) if member else None
    if seen is not None and isinstance(node, ast.Constant) and _only_insisting(ctx, call, parameter, enum):
        new = f"{seen.text}.{member}"
        edits: list[Edit] = [Wrap(ctx.source.span(node), new), *seen.imports]
        yield ctx.finding(
            CODE, node, f"`{parameter}` takes members of `{_short(enum)}` only now: `{new}`", edits=edits
        )
    else:
        yield _reported(ctx, node, parameter, enum, known, member)


def _unwrapped(
    ctx: FileContext, node: ast.expr, value: v.Value, parameter: str, enum: str
) -> Iterator[Finding]:
    """``Enum.MEMBER.value`` and ``.name``, which are no members."""
    parts = [f"{enum}.{member}.{part}" for member in ctx.release.enums.get(enum, {}) for part in _PARTS]
    if not isinstance(value, v.Symbol) or value.name not in parts:
        return
    message = f"`{parameter}` takes members of `{_short(enum)}` only now"
    if isinstance(node, ast.Attribute) and node.attr in _PARTS:
        new = ctx.segment(node.value)
        edits = [Wrap(ctx.source.span(node), new)]
        yield ctx.finding(CODE, node, f"{message}: `{new}`", edits=edits)
    else:
        step = f"Pass the member itself instead of its {value.name.rpartition('.')[2]}."
        yield ctx.needs_you(CODE, node, f"{message}, and `{ctx.segment(node)}` is not one", step)


def _visible(ctx: FileContext, use: Use, enum: str) -> Visible | None:
    """How to spell the enumeration; a star import may have brought it."""
    name = _short(enum)
    starred = ctx.module.lookup(name, use.scope) is None and name in ctx.module.by_name
    if starred and ctx.evaluator.at(ast.Name(name, ast.Load()), use) == v.Symbol(enum):
        return Visible(name)
    return visible_symbol(ctx, use, enum)


def _only_insisting(ctx: FileContext, call: Call, parameter: str, enum: str) -> bool:
    """Whether everything that the call may reach wants the member."""
    names = v.callees(target_of(ctx, call)[0])
    enums = ctx.release.once(_insisting)
    wanted = [enums.get(constructor(ctx.evaluator, c.name), {}).get(parameter) for c in names or ()]
    return bool(wanted) and all(other == enum for other in wanted)


def _member(ctx: FileContext, enum: str, value: object) -> str:
    """The member that a literal means: by its name in whatever case, or by its value; "" for none."""
    for name, number in ctx.release.enums.get(enum, {}).items():
        if isinstance(value, str) and value.lower() == name.lower():
            return name
        if type(value) is type(number) and value == number:
            return name
    return ""


def _reported(
    ctx: FileContext, node: ast.expr, parameter: str, enum: str, known: list[object], member: str
) -> Finding:
    short = _short(enum)
    members = ", ".join(f"{short}.{name}" for name in ctx.release.enums.get(enum, {}))
    values = " or ".join(sorted(repr(value) for value in known))
    text = ctx.segment(node)
    said = f"`{text}` is not one" if isinstance(node, ast.Constant) else f"`{text}` gives {values}"
    if member:
        step = f"Pass `{short}.{member}` instead, imported from {enum.rpartition('.')[0]}."
    else:
        step = f"Pass the member you mean, imported from {enum.rpartition('.')[0]}: {members}."
    return ctx.needs_you(CODE, node, f"`{parameter}` takes members of `{short}` only now, and {said}", step)


def _short(name: str) -> str:
    return name.rpartition(".")[2]
