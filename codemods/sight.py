"""What a file must show for a rule to find anything, for rules that most files are nothing for.

Asking a rule costs the import of its module and of all that uses; a look at what the analysis knows anyway
costs next to nothing. Each of these may say yes too often, and never no where the rule finds something.
"""

from __future__ import annotations

import ast

from .analysis import values as v
from .analysis.context import FileContext, once
from .calls import plans
from .release import Release
from .sites import sites


def imports_stars(ctx: FileContext) -> bool:
    """A star import of something affected."""
    return bool(ctx.stars)


def imports_near_legacy(ctx: FileContext) -> bool:
    """An import of a package that a legacy root lies in."""
    return ctx.near_legacy


def imports_moved_modules(ctx: FileContext) -> bool:
    """A path in a module that moved."""
    return any(name.startswith(tuple(ctx.release.modules)) for name in _paths(ctx))


def imports_wrong_modules(ctx: FileContext) -> bool:
    """A path in a module that exists in no release."""
    return any(name.startswith(tuple(ctx.release.wrong_modules)) for name in _paths(ctx))


@once
def _paths(ctx: FileContext) -> frozenset[str]:
    """What the file imports, and looks up on what it knows."""
    imported = (*(found.target for found in ctx.imports), *(path for _, path in ctx.stars))
    looked_up = (
        f"{reference.owner.name}.{reference.node.attr}"
        for reference in ctx.references
        if isinstance(reference.node, ast.Attribute) and isinstance(reference.owner, v.Symbol)
    )
    return frozenset((*map(ctx.release.canonical, imported), *looked_up))


def names_jitted_kernels(ctx: FileContext) -> bool:
    """A kernel that the library jits now, a string that may name one, or what other files export."""
    jitted = ctx.release.newly_jitted
    return bool(ctx.outside or ctx.texts) or any(found.symbol in jitted for found in ctx.references)


@once
def calls_with_mappings(ctx: FileContext) -> bool:
    """A call of something that changed with a ``**`` argument."""
    return any(None in site.form.keywords for found in sites(ctx) for site in found)


@once
def calls_by_template(ctx: FileContext) -> bool:
    """A call of something that has a form with a rewriting rule of its own."""
    return any(old.template for found in sites(ctx) for site in found for _, old in site.pairs)


def calls_for_changes(ctx: FileContext) -> bool:
    """A call that has to change."""
    return bool(plans(ctx))


@once
def uses_changed_types(ctx: FileContext) -> bool:
    """A class whose objects changed, or an object of it."""
    return any(uses_type(ctx, name) for name in ctx.release.types)


def uses_type(ctx: FileContext, type_name: str) -> bool:
    """Whether a file names a type or handles objects of it."""
    return type_name in _used(ctx) or any(
        ctx.release.canonical(path) == type_name.rpartition(".")[0] for _, path in ctx.stars
    )


@once
def _used(ctx: FileContext) -> set[str]:
    """Qualified names of the classes, among other things, that a file names or handles objects of."""
    used = {ctx.release.defining(ctx.release.canonical(found.target)) for found in ctx.imports}
    used.update(reference.symbol for reference in ctx.references)
    for owner in (*(a.owner for a in ctx.attributes), *(c.callee for c in ctx.calls)):
        used.update(map(_class_of, v.options(owner)))
    return used


def _class_of(value: v.Value) -> str:
    """The class of an object, or that of a method's; "" for anything else."""
    if isinstance(value, v.Method):
        return value.owner
    return value.of if isinstance(value, v.Instance) else ""


def spells_lost_methods(ctx: FileContext) -> bool:
    """The name of a method that is gone."""
    return any(spelled in ctx.source.utf8 for _, spelled in ctx.release.lost_methods.values())


def holds_examples(ctx: FileContext) -> bool:
    """Prompts of interactive sessions."""
    return b">>>" in ctx.source.utf8


def spells_paths(ctx: FileContext) -> bool:
    """A string that may be a path of the library or in its source tree, or ``__import__``."""
    names = ctx.release.once(_named)
    texts = ctx.module.texts
    return any(name in t.value for t in texts for name in names) or "__import__" in ctx.module.by_name


def _named(release: Release) -> tuple[str, ...]:
    names = (release.root, *release.legacy_tops, *release.folders, release.repository)
    return tuple(name for name in names if name)


def leads_to_private_kernels(ctx: FileContext) -> bool:
    """An import of a package that holds some, a string that may name one, or what other files export."""
    tops = ctx.release.once(_private_tops)
    paths = (ctx.name, *(i.target for i in ctx.imports), *(path for _, path in ctx.stars))
    if ctx.outside or ctx.texts or any(path.partition(".")[0] in tops for path in paths):
        return True
    return any(text.value.startswith(ctx.release.private_packages) for text in ctx.module.texts)


def _private_tops(release: Release) -> frozenset[str]:
    names = (*release.private_packages, *release.private_by_name)
    return frozenset(name.partition(".")[0] for name in names)
