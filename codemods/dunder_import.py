"""``__import__``, which gives the top-level package unless names are passed."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from . import dotted
from .analysis import values as v
from .analysis.context import FileContext
from .analysis.scopes import Use
from .model import Finding, ReplaceString, Wrap

Handled = set[ast.AST]


def dunder_imports(ctx: FileContext, code: str) -> Iterator[tuple[Finding, Handled]]:
    """Findings for ``__import__`` calls, each with the string constants that it speaks for."""
    for use in ctx.module.by_name.get("__import__", ()):
        call = use.links[1] if len(use.links) > 1 else None
        if isinstance(call, ast.Call) and ctx.evaluator.name_value(use) == v.Symbol("builtins.__import__"):
            yield from _call(ctx, code, use, call)


def _call(ctx: FileContext, code: str, use: Use, call: ast.Call) -> Iterator[tuple[Finding, Handled]]:
    path = call.args[0] if call.args else None
    if not isinstance(path, ast.Constant) or not isinstance(path.value, str):
        return
    names = _names(call)
    if path.value in ctx.release.legacy_tops and names:
        yield _package(ctx, code, use, call, path), {path, *names}
    elif names:
        for name in names:
            yield from _name(ctx, code, path.value, name)
    elif ctx.release.legacy_root(path.value):
        yield _top(ctx, code, use, call, path), {path}


def _names(call: ast.Call) -> list[ast.Constant]:
    """The constants of the list of names to import."""
    given = [k.value for k in call.keywords if k.arg == "fromlist"] + call.args[3:4]
    listed = given[0].elts if given and isinstance(given[0], ast.List | ast.Tuple) else []
    return [name for name in listed if isinstance(name, ast.Constant) and name.value]


def _name(ctx: FileContext, code: str, module: str, node: ast.Constant) -> Iterator[tuple[Finding, Handled]]:
    old = str(node.value)
    found = dotted.resolve(ctx.release, f"{module}.{old}")
    new = found.new.rpartition(".")[2] if found else old
    if found and not new:
        yield ctx.needs_you(code, node, f"`{module}` has no `{old}` now", found.step), {node}
    elif new != old:
        edit = ReplaceString(ctx.source.span(node), old, new)
        yield ctx.finding(code, node, f"`{old}` is `{new}` now", edits=[edit]), {node}


def _package(ctx: FileContext, code: str, use: Use, call: ast.Call, path: ast.Constant) -> Finding:
    """``__import__("nkilib_standalone", fromlist=["nkilib"]).nkilib`` is the library's package itself."""
    top, root = str(path.value), ctx.release.root
    follows = use.links[2] if len(use.links) > 2 else None
    if not isinstance(follows, ast.Attribute) or f"{top}.{follows.attr}" not in ctx.release.legacy_roots:
        step = f"Import `{root}` itself, and drop the part of the path that follows it."
        return ctx.needs_you(code, path, f"the package `{top}` is gone", step)
    literal = ctx.segment(path).replace(top, root)
    edit = Wrap(ctx.source.span(follows), f"{ctx.segment(call.func)}({literal})")
    return ctx.finding(code, follows, f"`{top}` is `{root}` now", edits=[edit])


def _top(ctx: FileContext, code: str, use: Use, call: ast.Call, path: ast.Constant) -> Finding:
    """Without names the call gives the top-level package, and the path follows once more as attributes."""
    value = str(path.value)
    root = ctx.release.legacy_root(value)
    found = dotted.resolve(ctx.release, value)
    inner = root.split(".")[1:]
    chain = use.links[2 : 2 + len(inner)]
    follows = [link.attr for link in chain if isinstance(link, ast.Attribute)]
    new = ctx.release.canonical(value)
    if follows != inner or found is None or found.new != new:
        step = f"Write `importlib.import_module` with the path under `{ctx.release.root}`."
        return ctx.needs_you(code, call, f"`{root}` is gone", step)
    edit = Wrap(ctx.source.span(chain[-1]), ctx.segment(call).replace(value, new, 1))
    return ctx.finding(code, chain[-1], f"`{value}` is `{new}` now", edits=[edit])
