"""Names that live in another module now, or that were only importable by accident.

What it does
    Imports the name from the module that defines it in the new release; the local name stays.

Why
    2.28 split modules and cleaned up imports, so names that were reachable through another module are gone
    from there (``Logger`` through the kernels, ``P_MAX`` of the output projection).

Before
        from nkilib.core.qkv.qkv import Logger, qkv

After
        from nkilib.core.qkv.qkv import qkv
        from nkilib.core.utils.logging import Logger

When it stays silent
    When the old path still works. An attribute of a module object (``qkv.Logger``) is reported, because a
    new import has to be chosen for it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..analysis import values as v
from ..analysis.context import FileContext, Import
from ..attribute_strings import attribute_strings
from ..ladders import kept_for_old_release
from ..model import EditImport, Finding
from ..naming import import_line, spelled

CODE = "NKM104"


def check(ctx: FileContext) -> Iterator[Finding]:
    """One finding for each imported name and each attribute whose home changed."""
    for found in ctx.imports:
        new = _moved(ctx, found.target)
        if new and isinstance(found.node, ast.ImportFrom) and not kept_for_old_release(ctx, found.node):
            yield _import(ctx, found, new)
    for reference in ctx.references:
        owner = reference.owner
        if isinstance(reference.node, ast.Attribute) and isinstance(owner, v.Symbol):
            new = _moved(ctx, f"{owner.name}.{reference.node.attr}")
            if new:
                module, _, name = new.rpartition(".")
                yield ctx.needs_you(
                    CODE,
                    reference.node,
                    f"`{reference.node.attr}` is no longer in `{owner.name}`",
                    f"Add `from {module} import {name}` and use that name here.",
                )
    for place in attribute_strings(ctx):
        if place.found and place.found.new and not place.new:
            message = f"`{place.name}` is no longer in `{place.owner}`"
            yield ctx.needs_you(CODE, place.node, message, f"Look up `{place.found.new}` instead.")


def _moved(ctx: FileContext, target: str) -> str:
    """The new qualified name of a symbol whose module changed otherwise than by a module move; ""
    otherwise.
    """
    canonical = ctx.release.canonical(target)
    new = ctx.release.new_symbol.get(canonical, "")
    if not new or ctx.release.defining(canonical) != canonical:
        return ""
    return new if new.rpartition(".")[0] != ctx.release.moved(canonical.rpartition(".")[0]) else ""


def _import(ctx: FileContext, found: Import, new: str) -> Finding:
    module, _, name = new.rpartition(".")
    line = import_line(module, name, found.local)
    edit = EditImport(ctx.source.span(found.node), names=((spelled(found.alias), ""),), also=(line,))
    return ctx.finding(CODE, found.alias, f"`{found.alias.name}` is in `{module}` now", edits=[edit])
