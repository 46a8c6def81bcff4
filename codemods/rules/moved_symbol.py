"""Names that live in another module now, or that were only importable by accident.

What it does
    Imports the name from the module that defines it in the new release; the local name stays. So it does
    where the path leaves out the module (``from nkilib.core.mlp import mlp_kernel``).

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
from ..model import EditImport, Finding
from ..naming import imported, spelled
from ..relocations import new_home, relocated, relocations

CODE = "NKM104"


def check(ctx: FileContext) -> Iterator[Finding]:
    """One finding for each new home of what an import names, and for each attribute whose home changed."""
    for node, moved in relocations(ctx).items():
        modules: dict[str, list[tuple[Import, str]]] = {}
        for found, new in moved:
            module, _, name = new.rpartition(".")
            modules.setdefault(module, []).append((found, name))
        for module, names in modules.items():
            yield _import(ctx, node, module, names)
    for reference in ctx.references:
        owner = reference.owner
        if isinstance(reference.node, ast.Attribute) and isinstance(owner, v.Symbol):
            new = relocated(ctx, f"{owner.name}.{reference.node.attr}")
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


def _import(ctx: FileContext, node: ast.ImportFrom, module: str, names: list[tuple[Import, str]]) -> Finding:
    """The statement itself, where all that it imports has one new home; else a new one behind it."""
    span = ctx.source.span(node)
    new = {spelled(found.alias): imported(name, found.local) for found, name in names}
    if new_home(ctx, node):
        kept = tuple((old, name) for old, name in new.items() if old != name)
        edit = EditImport(span, module=(node.module or "", module), names=kept)
    else:
        line = f"from {module} import {', '.join(sorted(set(new.values())))}"
        edit = EditImport(span, names=tuple((old, "") for old in new), also=(line,))
    text = ", ".join(f"`{found.alias.name}`" for found, _ in names)
    verb = "is" if len(names) == 1 else "are"
    place = names[0][0].alias if len(names) == 1 < len(node.names) else node
    return ctx.finding(CODE, place, f"{text} {verb} in `{module}` now", edits=[edit])
