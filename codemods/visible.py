"""Under which name a file has something, and how to import what it has not."""

from __future__ import annotations

import ast
from collections.abc import Collection

from .analysis.context import FileContext
from .analysis.scopes import Binding, Use
from .analysis.values import Symbol
from .model import AddImport
from .record import record


@record
class Visible:
    """How to spell something where a use stands, and the imports that takes."""

    text: str
    imports: tuple[AddImport, ...] = ()


def visible_module(ctx: FileContext, use: Use, paths: Collection[str], usual: str) -> Visible:
    """A module known under any of ``paths``; the first one is imported as ``usual``, if that name is free."""
    for binding in ctx.module.imports:
        if not _seen(ctx, use, binding):
            continue
        target = ctx.target(binding)
        if target in paths and (
            binding.alias is None or binding.alias.asname or "." not in binding.alias.name
        ):
            return Visible(binding.name)
        if target in paths:
            return Visible(target)
    path = next(iter(paths))
    name = usual if not _means_something(ctx, usual) else path.replace(".", "_")
    return Visible(name, (AddImport(path, name, whole=True),))


def visible_symbol(ctx: FileContext, use: Use, qualified: str) -> Visible | None:
    """A class or function of the library; None when its name means something else in the file."""
    module, _, name = qualified.rpartition(".")
    for binding in ctx.module.imports:
        if _seen(ctx, use, binding) and ctx.evaluator.binding(binding) == Symbol(qualified):
            return Visible(binding.name)
        whole = binding.alias is not None and (binding.alias.asname or "." not in binding.alias.name)
        if _seen(ctx, use, binding) and whole and ctx.evaluator.binding(binding) == Symbol(module):
            return Visible(f"{binding.name}.{name}")
    if _means_something(ctx, name):
        return None
    return Visible(name, (AddImport(module, name),))


def _seen(ctx: FileContext, use: Use, binding: Binding) -> bool:
    """Whether a use sees an import, at run time too, and nothing else under its name."""
    owner = ctx.module.lookup(binding.name, use.scope)
    if owner is None or binding not in owner[1] or any(b.kind != "import" for b in owner[1]):
        return False
    tests = (block.owner.test for block in binding.block.chain() if isinstance(block.owner, ast.If))
    return not any("TYPE_CHECKING" in ast.dump(test) for test in tests)


def _means_something(ctx: FileContext, name: str) -> bool:
    return name in ctx.module.names or name in ctx.module.by_name
