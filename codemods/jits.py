"""What is jitted: by decorators, by calls, and because something jitted calls it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .analysis import values as v
from .analysis.context import FileContext
from .analysis.evaluate import WRAPPERS
from .analysis.scopes import Scope, Use


def makes_jits(value: v.Value) -> bool:
    """Whether calling the value with a function jits that: ``nki.jit``, ``nki.jit(…)``, a partial of them."""
    if isinstance(value, v.Partial):
        return makes_jits(value.function)
    if isinstance(value, v.Jitted):
        return value.kernel is None
    return isinstance(value, v.Symbol) and value.name in WRAPPERS


def traced(ctx: FileContext, scope: Scope | None) -> bool:
    """Whether code of a scope runs in a jitted kernel: a function around it, or a caller, is jitted."""
    return _traced(ctx, scope, set())


def _traced(ctx: FileContext, scope: Scope | None, seen: set[Scope]) -> bool:
    while scope is not None:
        if isinstance(scope.node, ast.FunctionDef | ast.AsyncFunctionDef) and scope not in seen:
            seen.add(scope)
            if _decorated(ctx, scope, scope.node) or _wrapped(ctx, scope) or _called(ctx, scope, seen):
                return True
        scope = scope.parent
    return False


def _decorated(ctx: FileContext, scope: Scope, node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    outer = scope.parent or scope
    return any(makes_jits(ctx.evaluator.expression_in(d, outer, node)) for d in node.decorator_list)


def _wrapped(ctx: FileContext, scope: Scope) -> bool:
    """Whether the function is given to ``nki.jit`` somewhere."""
    for use in _uses(ctx, scope):
        call = ctx.parent(use.top)
        given = isinstance(call, ast.Call) and use.top in call.args and len(use.links) == 1
        if given and isinstance(call, ast.Call) and makes_jits(ctx.evaluator.at(call.func, use)):
            return True
    return False


def _called(ctx: FileContext, scope: Scope, seen: set[Scope]) -> bool:
    """Whether something jitted calls the function."""
    calls = (use for use in _uses(ctx, scope) if use.links[1:])
    return any(isinstance(use.links[1], ast.Call) and _traced(ctx, use.scope, seen) for use in calls)


def _uses(ctx: FileContext, scope: Scope) -> Iterator[Use]:
    """The uses of a function's name that mean the function and nothing else."""
    if scope.parent is None or scope.parent.kind == "class":
        return
    for use in ctx.module.by_name.get(scope.name, ()):
        owner = ctx.module.lookup(scope.name, use.scope)
        if owner is not None and owner[0] is scope.parent and [b.node for b in owner[1]] == [scope.node]:
            yield use
