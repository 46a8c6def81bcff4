"""Functions, classes and constants that have another name in the same module.

What it does
    Rewrites the import and every use of the name. The old name stays as a local alias when other files,
    strings or a re-export rely on it, or when the new name is taken in the file. A call with
    arguments that the old name never took, but the new one does, is to be mended first: renamed, it would
    run, and nobody wrote what it then does.

Why
    2.28 leaves no aliases: ``mlp_kernel`` became ``mlp`` and importing the old name fails.

Before
        from nkilib.core.mlp.mlp import mlp_kernel

        y = mlp_kernel(x, gate, up, down)

After
        from nkilib.core.mlp.mlp import mlp

        y = mlp(x, gate, up, down)

When it stays silent
    For a name of your own that merely looks alike, and in the ``except`` arm of an import ladder whose
    other arm already imports the new name.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..analysis import values as v
from ..analysis.context import FileContext, Import, Reference
from ..attribute_strings import NamedAttribute, affected, attribute_strings
from ..calls import unfit
from ..ladders import kept_for_old_release
from ..model import EditImport, Finding, Rename
from ..naming import imported, last_part, rename_uses, spelled, together

CODE = "NKM103"


def check(ctx: FileContext) -> Iterator[Finding]:
    """One finding for each imported name (its uses included) and for each attribute of a module."""
    for found in ctx.imports:
        new = _renamed(ctx, found.target)
        if new and isinstance(found.node, ast.ImportFrom) and not kept_for_old_release(ctx, found.node):
            wrong = unfit(ctx, found.target)
            yield from [_mended_first(ctx, found.alias, new)] if wrong else _import(ctx, found, new)
    for reference in ctx.references:
        if isinstance(reference.node, ast.Attribute) and _of_module(ctx, reference):
            yield from _attribute(ctx, reference)
    for place in attribute_strings(ctx):
        yield from _string(ctx, place)


def _renamed(ctx: FileContext, target: str) -> str:
    """The new last part of a symbol that keeps its module; "" otherwise."""
    canonical = ctx.release.real(ctx.release.canonical(target))
    if ctx.release.packaged_in(canonical):
        return ""
    new = ctx.release.new_symbol.get(canonical) or ctx.release.new_symbol.get(
        ctx.release.defining(canonical), ""
    )
    if not new:
        return ""
    old_name, new_name = canonical.rpartition(".")[2], new.rpartition(".")[2]
    return new_name if new_name != old_name and _same_home(ctx, canonical, new) else ""


def _mended_first(ctx: FileContext, node: ast.alias | ast.Attribute, new: str) -> Finding:
    old = node.name if isinstance(node, ast.alias) else node.attr
    message = f"`{old}` is `{new}` now, and only that takes the arguments of a call here"
    return ctx.needs_you(CODE, node, message, f"Mend the call as `{old}` takes it, then run this again.")


def _same_home(ctx: FileContext, old: str, new: str) -> bool:
    home = ctx.release.moved(old.rpartition(".")[0])
    return home == new.rpartition(".")[0] or ctx.release.defining(old) != old


def _import(ctx: FileContext, found: Import, new: str) -> Iterator[Finding]:
    old = found.alias.name
    uses = rename_uses(ctx, found, new) if found.alias.asname is None else []
    local = found.local if uses is None or found.alias.asname else new
    pair = (spelled(found.alias), imported(new, local))
    statement = EditImport(ctx.source.span(found.node), names=(pair,))
    kept = f", imported as `{imported(new, local)}` to keep the local name" if uses is None else ""
    yield from together(ctx, CODE, found, f"`{old}` is `{new}` now{kept}", statement, uses or [])


def _of_module(ctx: FileContext, reference: Reference) -> bool:
    """Whether the attribute is looked up on the library's own module, not on a module that re-exports it."""
    assert isinstance(reference.node, ast.Attribute)
    owners = v.options(reference.owner)
    return any(
        isinstance(o, v.Symbol)
        and ctx.release.defining(f"{o.name}.{reference.node.attr}") == reference.symbol
        and not ctx.release.packaged_in(f"{o.name}.{reference.node.attr}")
        for o in owners
    )


def _attribute(ctx: FileContext, reference: Reference) -> Iterator[Finding]:
    assert isinstance(reference.node, ast.Attribute)
    new = _renamed(ctx, reference.symbol)
    if new and unfit(ctx, reference.symbol):
        yield _mended_first(ctx, reference.node, new)
    elif new:
        old = reference.node.attr
        edit = Rename(last_part(ctx, reference.node), old, new)
        yield ctx.finding(CODE, reference.node, f"`{old}` is `{new}` now", edits=[edit])


def _string(ctx: FileContext, place: NamedAttribute) -> Iterator[Finding]:
    """An attribute that ``getattr`` or a patch names by a string."""
    module = place.owner.rpartition(".")[2]
    if place.edit is not None:
        yield ctx.finding(CODE, place.node, f"`{place.name}` is `{place.new}` now", edits=[place.edit])
    elif place.test and place.new:
        step = f"Ask for `{place.new}` instead, and see which branch is meant for {ctx.release.new}."
        message = f"`{module}` has no `{place.name}` in {ctx.release.new}, so this is always false"
        yield ctx.needs_you(CODE, place.node, message, step)
    elif place.new:
        step = f"Make the name `{place.new}` where it comes from."
        yield ctx.needs_you(CODE, place.node, f"`{place.name}` is `{place.new}` now", step)
    elif not place.name:
        names = ", ".join(f"`{name}`" for name in affected(ctx, place.owner)[:6])
        step = f"See that it never asks for one of these: {names}."
        message = f"the name is chosen at run time, and `{module}` has lost some"
        yield ctx.needs_you(CODE, place.node, message, step)
