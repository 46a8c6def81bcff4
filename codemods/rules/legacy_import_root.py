"""Imports and dotted names under a legacy root move to the root of the new release.

What it does
    Rewrites ``nkilib_standalone.nkilib`` and ``nkilib_src.nkilib`` to ``nkilib`` in ``import`` and ``from``
    statements of every form and in the dotted names that follow a plain import.

Why
    ``nkilib_standalone`` is gone in 2.28. A project that keeps two roots gets two copies of every enum, and
    members of one copy do not compare equal to those of the other: dispatch on them goes wrong in silence.

Before
        import nkilib_standalone.nkilib.core.mlp.mlp_parameters
        from nkilib_standalone.nkilib.core.utils.common_types import NormType

        print(nkilib_standalone.nkilib.core.mlp.mlp_parameters.MLPParameters, NormType)

After
        import nkilib.core.mlp.mlp_parameters
        from nkilib.core.utils.common_types import NormType

        print(nkilib.core.mlp.mlp_parameters.MLPParameters, NormType)

When it stays silent
    In relative imports of a copy of the library that you keep in your own tree.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..analysis import values as v
from ..analysis.context import FileContext, Import
from ..ladders import kept_for_old_release
from ..model import EditImport, Finding
from ..naming import chain_edits, import_line, loose_uses, spelled, together
from ..relocations import new_home

CODE = "NKM101"


def check(ctx: FileContext) -> Iterator[Finding]:
    """One finding for each statement (``from``) or imported name (``import``) under a legacy root."""
    if not ctx.near_legacy:
        return
    seen: set[ast.AST] = set()
    for found in ctx.imports:
        if kept_for_old_release(ctx, found.node) or new_home(ctx, found.node):
            continue
        if isinstance(found.node, ast.Import):
            yield from _plain(ctx, found)
        elif found.node not in seen and not found.node.level:
            seen.add(found.node)
            yield from _from(ctx, found.node)
    for node, path in ctx.stars:
        if ctx.release.legacy_root(path) and not node.level and not _moves(ctx, path):
            yield _finding(ctx, node, path, ctx.release.canonical(path))


def _moves(ctx: FileContext, path: str) -> bool:
    canonical = ctx.release.canonical(path)
    return ctx.release.moved(canonical) != canonical


def _from(ctx: FileContext, node: ast.ImportFrom) -> Iterator[Finding]:
    module = node.module or ""
    if ctx.release.legacy_root(module):
        if not _moves(ctx, module):
            yield _finding(ctx, node, module, ctx.release.canonical(module))
        return
    for alias in node.names:
        target = f"{module}.{alias.name}"
        if ctx.release.legacy_root(target) == target:
            line = import_line("", ctx.release.root, alias.asname or alias.name)
            edit = EditImport(ctx.source.span(node), names=((spelled(alias), ""),), also=(line,))
            yield ctx.finding(CODE, alias, f"`{target}` is `{ctx.release.root}` now", edits=[edit])


def _plain(ctx: FileContext, found: Import) -> Iterator[Finding]:
    path = found.alias.name
    root = ctx.release.legacy_root(path) or _parent_root(ctx, path)
    if not root or _moves(ctx, path):
        return
    new = ctx.release.canonical(path) if ctx.release.legacy_root(path) else ctx.release.root
    local = found.alias.asname
    target = new if local is None or local == new else f"{new} as {local}"
    edit = EditImport(ctx.source.span(found.node), names=((spelled(found.alias), target),))
    uses = chain_edits(ctx, found, root, ctx.release.root) if local is None else []
    text = f"`{root}` is `{ctx.release.root}` now"
    if local is None and (loose_uses(ctx, found, root) or _taken(ctx)):
        step = f"Import from `{ctx.release.root}` and replace what else the file does with `{found.local}`."
        yield ctx.needs_you(CODE, found.alias, text, step)
    else:
        yield from together(ctx, CODE, found, text, edit, uses)


def _taken(ctx: FileContext) -> bool:
    """Whether the file binds the new root's name to anything else than that package."""
    top = ctx.release.root.partition(".")[0]
    bound = (ctx.evaluator.binding(b) for b in ctx.module.bindings if b.name == top)
    return any(not isinstance(value, v.Symbol) or value.name.partition(".")[0] != top for value in bound)


def _parent_root(ctx: FileContext, path: str) -> str:
    """The legacy root below a plain ``import nkilib_standalone``."""
    return next((root for root in ctx.release.legacy_roots if root.startswith(path + ".")), "")


def _finding(ctx: FileContext, node: ast.ImportFrom, old: str, new: str) -> Finding:
    edit = EditImport(ctx.source.span(node), module=(old, new))
    root = ctx.release.legacy_root(old)
    return ctx.finding(CODE, node, f"`{root}` is `{ctx.release.root}` now", edits=[edit])
