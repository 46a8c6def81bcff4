"""Names whose home is another module now, otherwise than because their module moved."""

from __future__ import annotations

import ast

from .analysis.context import FileContext, Import, once
from .ladders import kept_for_old_release


def relocated(ctx: FileContext, target: str) -> str:
    """The new qualified name of a symbol that left its module, or never was where it is; "" for others."""
    canonical = ctx.release.real(ctx.release.canonical(target))
    home = ctx.release.packaged_in(canonical)
    if home:
        return ctx.release.new_symbol.get(home, home)
    new = ctx.release.new_symbol.get(canonical, "")
    if not new or ctx.release.defining(canonical) != canonical:
        return ""
    return new if new.rpartition(".")[0] != ctx.release.moved(canonical.rpartition(".")[0]) else ""


@once
def relocations(ctx: FileContext) -> dict[ast.ImportFrom, list[tuple[Import, str]]]:
    """The from-imports of such names, with their new qualified names."""
    found: dict[ast.ImportFrom, list[tuple[Import, str]]] = {}
    for each in ctx.imports:
        new = relocated(ctx, each.target)
        if new and isinstance(each.node, ast.ImportFrom) and not kept_for_old_release(ctx, each.node):
            found.setdefault(each.node, []).append((each, new))
    return found


def new_home(ctx: FileContext, node: ast.stmt) -> str:
    """The one module that everything a from-import imports has moved to; "" otherwise."""
    moved = relocations(ctx).get(node, []) if isinstance(node, ast.ImportFrom) and not node.level else []
    modules = {new.rpartition(".")[0] for _, new in moved}
    complete = isinstance(node, ast.ImportFrom) and len(moved) == len(node.names)
    return modules.pop() if complete and len(modules) == 1 else ""
