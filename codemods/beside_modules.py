"""Names of symbols in strings beside the path of their module, as in tables of what is imported later."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from . import dotted
from .analysis.context import FileContext
from .analysis.scopes import Text
from .record import record
from .trees import children, last_name

_OTHERWISE = {"__import__", "import_module", "print", "warn"}
"""Calls that look nothing up, or that other rules look at."""


@record
class Beside:
    """A string that may name a symbol of the module whose path stands beside it."""

    node: ast.expr
    name: str
    module: str
    found: dotted.Path


def beside_modules(ctx: FileContext) -> Iterator[Beside]:
    """Strings beside module paths that are names which the module does not have any more."""
    for text in ctx.texts:
        module = ctx.release.canonical(text.value)
        if module in ctx.release.known:
            for node in _beside(text):
                yield from _lost(ctx, module, node)


def _beside(text: Text) -> list[ast.expr]:
    """What stands with a string in a table's item, a row, or the arguments of a call."""
    inside = text.inside
    if isinstance(inside, ast.Dict):
        pairs = [
            [key, value] for key, value in zip(inside.keys, inside.values, strict=True) if key is not None
        ]
        own = next((pair for pair in pairs if text.node in pair), [])
        fields = inside.values if own and own[1] is text.node else []
        return [node for each in (*own, *fields) for node in (each, *_rows(each)) if node is not text.node]
    if isinstance(inside, ast.Tuple | ast.List):
        return [node for each in inside.elts for node in (each, *_rows(each))]
    if isinstance(inside, ast.Call) and last_name(inside.func) not in _OTHERWISE:
        return [*inside.args, *(keyword.value for keyword in inside.keywords)]
    return []


def _rows(node: ast.expr) -> list[ast.expr]:
    held = children(node) if isinstance(node, ast.Tuple | ast.List | ast.Set) else []
    return [each for each in held if isinstance(each, ast.expr)]


def _lost(ctx: FileContext, module: str, node: ast.expr) -> Iterator[Beside]:
    name = node.value if isinstance(node, ast.Constant) else None
    if not isinstance(name, str) or not name.isidentifier():
        return
    found = dotted.resolve(ctx.release, f"{module}.{name}")
    known = {*ctx.release.stars.get(module, ()), *_listed(ctx, module)}
    if found is not None and name in known and found.new != f"{ctx.release.moved(module)}.{name}":
        yield Beside(node, name, module, found)


def _listed(ctx: FileContext, module: str) -> set[str]:
    """The names of a module that the release says something about, also those that no star brings."""
    names = (*ctx.release.new_symbol, *ctx.release.removed)
    return {name.rpartition(".")[2] for name in names if name.rpartition(".")[0] == module}
