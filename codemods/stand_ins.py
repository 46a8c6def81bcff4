"""Functions and objects that take the place of the library's own, mostly in tests."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .analysis import values as v
from .analysis.context import FileContext
from .analysis.scopes import Scope, Use
from .changed_parameters import Changed, changed
from .evidence import bindings_of
from .record import record
from .trees import last_name

_BY_NAME = {"setattr", "object"}
_BY_PATH = {"setattr", "patch"}
_REPLACEMENTS = {"new", "side_effect", "value", "wraps"}
_NAMESPACES = {"types.SimpleNamespace", "argparse.Namespace"}
_OPEN = {"__getattr__", "__getattribute__"}


@record
class Fake:
    """A function that is put in a changed callable's place, and what it cannot take."""

    name: str
    node: ast.AST
    changed: Changed
    why: str


@record
class Bare:
    """An object that is given to a constructor and lacks an attribute."""

    call: ast.Call
    type: str
    missing: tuple[str, ...]


# -- functions ------------------------------------------------------------------------------------------


def fakes(ctx: FileContext) -> Iterator[Fake]:
    """The fakes of a file that do not take the calls of the new release, each once."""
    seen: set[int] = set()
    for target, given, scope in _replaced(ctx):
        found = changed(ctx, target)
        name, node = _function(ctx, given, scope)
        why = _unlike(node.args, found) if found and node is not None else ""
        if found and node is not None and why and id(node) not in seen:
            seen.add(id(node))
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            starred = [a for a in (node.args.vararg, node.args.kwarg) if a]
            yield Fake(name, next(iter(arguments + starred), node), found, why)


def _replaced(ctx: FileContext) -> Iterator[tuple[str, ast.expr, Scope]]:
    """Qualified names and what is put there: ``setattr(module, "name", x)``, ``patch("path", x)``, …"""
    for use in ctx.uses:
        for link in use.links:
            if isinstance(link, ast.Call) and len(link.args) > 1 and last_name(link.func) in _BY_NAME:
                name = link.args[1]
                if isinstance(name, ast.Constant) and isinstance(name.value, str):
                    for owner in _symbols(ctx.evaluator.at(link.args[0], use)):
                        for given in _given(link, 2):
                            yield ctx.release.defining(f"{owner}.{name.value}"), given, use.scope
    for text in ctx.texts:
        call = text.inside
        if isinstance(call, ast.Call) and last_name(call.func) in _BY_PATH and call.args[:1] == [text.node]:
            for given in _given(call, 1):
                yield ctx.release.defining(ctx.release.canonical(text.value)), given, text.scope
    for attribute in ctx.attributes:
        yield from _assigned(ctx, attribute.node, attribute.owner, attribute.use)


def _assigned(
    ctx: FileContext, node: ast.Attribute, owner: v.Value, use: Use
) -> Iterator[tuple[str, ast.expr, Scope]]:
    """``module.name = x``."""
    if isinstance(node.ctx, ast.Store) and isinstance(use.stmt, ast.Assign):
        for name in _symbols(owner):
            yield ctx.release.defining(f"{name}.{node.attr}"), use.stmt.value, use.scope


def _symbols(value: v.Value) -> list[str]:
    return sorted(o.name for o in v.options(value) if isinstance(o, v.Symbol))


def _given(call: ast.Call, place: int) -> list[ast.expr]:
    return [*call.args[place : place + 1], *(k.value for k in call.keywords if k.arg in _REPLACEMENTS)]


def _function(
    ctx: FileContext, node: ast.expr, scope: Scope
) -> tuple[str, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | None]:
    """The function or lambda that an expression is, and its name."""
    if isinstance(node, ast.Lambda):
        return ctx.segment(node), node
    owner = ctx.module.lookup(node.id, scope) if isinstance(node, ast.Name) else None
    if owner is None or len(owner[1]) != 1:
        return "", None
    binding = owner[1][0]
    made = binding.value if binding.kind == "assign" and not binding.path else binding.node
    known = isinstance(made, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    return (binding.name, made) if known else ("", None)  # type: ignore[return-value]


def _unlike(args: ast.arguments, found: Changed) -> str:
    """Why a function does not take what the callable is given in the new release; "" when it does."""
    if args.kwarg:
        return ""
    positional = [a.arg for a in (*args.posonlyargs, *args.args)]
    names = {*positional, *(a.arg for a in args.kwonlyargs)}
    gone = sorted(names & found.lost)
    if gone:
        return f"`{gone[0]}` is not the name of a parameter any more"
    if found.start is None:
        return ""
    if args.vararg:
        return f"from position {found.start} on calls pass arguments by keyword, and it takes no `**kwargs`"
    odd = [n for n in positional[found.start :] if n not in found.change.signature.names]
    return f"`{odd[0]}`, at a position that changed, is no keyword of its calls" if odd else ""


# -- objects --------------------------------------------------------------------------------------------


def bare_objects(ctx: FileContext) -> Iterator[Bare]:
    """Objects made in this file that a constructor would look up a missing attribute on."""
    for call in ctx.calls:
        for name in _symbols(call.callee):
            kind = ctx.release.types.get(name)
            argument = _first(ctx, call.node, name) if kind and kind.needs else None
            if kind and argument is not None:
                missing = tuple(n for n in kind.needs if _lacks(ctx, call.use, argument, n))
                if missing:
                    yield Bare(call.node, name.rpartition(".")[2], missing)


def _first(ctx: FileContext, call: ast.Call, name: str) -> ast.expr | None:
    if call.args:
        return None if isinstance(call.args[0], ast.Starred) else call.args[0]
    pairs = ctx.release.forms.get(name, ())
    names = {change.signature.positional[0] for change, _ in pairs if change.signature.positional}
    return next((k.value for k in call.keywords if k.arg in names), None)


def _lacks(ctx: FileContext, use: Use, node: ast.expr, attribute: str) -> bool:
    """Whether an expression surely is an object without an attribute."""
    if ctx.module.attributes.get(attribute) and not isinstance(node, ast.Call):
        return False
    if isinstance(node, ast.Name):
        bindings = bindings_of(ctx, use, node)
        made = [b.value for b in bindings if b.kind == "assign" and not b.path]
        return (
            bool(made) and len(made) == len(bindings) and all(_without(ctx, use, m, attribute) for m in made)
        )
    return _without(ctx, use, node, attribute)


def _without(ctx: FileContext, use: Use, node: ast.expr | None, attribute: str) -> bool:
    if not isinstance(node, ast.Call):
        return False
    value = ctx.evaluator.at(node.func, use)
    if not isinstance(value, v.Symbol):
        return False
    if value.name in _NAMESPACES:
        return not node.args and not {attribute, None} & {k.arg for k in node.keywords}
    return _class_without(ctx, value.name, attribute)


def _class_without(ctx: FileContext, name: str, attribute: str) -> bool:
    """Whether a class of this file, which derives from nothing, has an attribute nowhere."""
    for binding in ctx.module.bindings:
        node = binding.node
        if isinstance(node, ast.ClassDef) and ctx.evaluator.qualified(binding) == name:
            scope = ctx.module.scope_of[node]
            plain = not node.bases and not node.keywords and not node.decorator_list
            known = attribute in scope.bindings or ctx.module.attributes.get(attribute)
            return plain and not known and not _OPEN & scope.bindings.keys() and not _updates(node)
    return False


def _updates(node: ast.ClassDef) -> bool:
    """Whether attributes may be set by name."""
    names = set(map(last_name, ast.walk(node)))
    return bool(names & {"setattr", "__dict__", "vars", "__setattr__"})
