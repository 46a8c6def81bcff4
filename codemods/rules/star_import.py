"""``from module import *`` of a module whose names changed.

What it does
    Replaces the star by the names the file really uses, under their new homes.

Why
    The set of names behind the star changed: old ones are gone, and new ones (``mlp``, ``reduce``,
    ``get_logger``) may shadow names of yours in silence.

Before
        from nkilib_standalone.nkilib.core.mlp.mlp import *

        y = mlp_kernel(x, gate, up, down)

After
        from nkilib.core.mlp.mlp import mlp

        y = mlp(x, gate, up, down)

When it stays silent
    When the module's names did not change. In a package's ``__init__.py``, or when nothing of it is used
    here, the star may serve other files, and the place is reported.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping

from ..analysis.context import FileContext
from ..analysis.scopes import Use
from ..dotted import successor
from ..model import EditImport, Finding, Rename
from ..naming import certain, imported, is_free, is_mentioned, looks_names_up

CODE = "NKM106"
RENAMED = "NKM103"


def check(ctx: FileContext) -> Iterator[Finding]:
    """One finding for each star import of a module whose public names changed, and for each renamed use."""
    for node, path in ctx.stars:
        module = ctx.release.real(ctx.release.canonical(path))
        old = ctx.release.stars.get(module)
        if old is None or set(old) == set(ctx.release.new_stars.get(ctx.release.moved(module), ())):
            continue
        needed = _needed(ctx, old)
        homes = {name: _home(ctx, f"{module}.{name}") for name in needed}
        lost = [name for name, home in homes.items() if not home and (needed[name] or name in ctx.pinned)]
        if lost or not any(homes.values()) or ctx.package or looks_names_up(ctx):
            yield _undecided(ctx, node, module, lost)
        else:
            yield from _expanded(ctx, node, module, {n: h for n, h in homes.items() if h}, needed)


def _home(ctx: FileContext, name: str) -> str:
    """The new qualified name of what a star brought; "" when it is gone."""
    gone = name in ctx.release.removed
    return "" if gone else successor(ctx.release, name) or ""


def _undecided(ctx: FileContext, node: ast.ImportFrom, module: str, lost: Collection[str]) -> Finding:
    new = ctx.release.moved(module)
    before, after = set(ctx.release.stars[module]), set(ctx.release.new_stars.get(new, ()))
    gone = lost or sorted(before - after)
    names = ", ".join(f"`{name}`" for name in gone or sorted(after - before))
    message = f"`*` {'no longer' if gone else 'also'} brings {names} from `{module}`"
    return ctx.needs_you(CODE, node, message, f"Import the names you need one by one; most are in `{new}`.")


def _needed(ctx: FileContext, names: Collection[str]) -> dict[str, list[Use]]:
    """The names that this file uses or mentions in strings, or that others rely on, with their uses here."""
    found: dict[str, list[Use]] = {}
    for name in sorted(names):
        uses = _uses(ctx, name)
        own = name in ctx.module.top.bindings
        if uses or (not own and (name in ctx.pinned or is_mentioned(ctx, name))):
            found[name] = uses
    return found


def _uses(ctx: FileContext, name: str) -> list[Use]:
    """Uses of a name that nothing but the star can have brought."""
    return [use for use in ctx.module.by_name.get(name, ()) if ctx.module.lookup(name, use.scope) is None]


def _expanded(
    ctx: FileContext,
    node: ast.ImportFrom,
    path: str,
    homes: Mapping[str, str],
    uses: Mapping[str, list[Use]],
) -> Iterator[Finding]:
    modules: dict[str, list[str]] = {}
    renamed: dict[str, str] = {}
    for name, home in homes.items():
        module, _, new = home.rpartition(".")
        if new != name and _renamable(ctx, name, new, uses[name]):
            renamed[name] = new
        modules.setdefault(module, []).append(imported(new, renamed.get(name, name)))
    lines = tuple(f"from {module} import {', '.join(sorted(names))}" for module, names in modules.items())
    edit = EditImport(ctx.source.span(node), names=(("*", ""),), also=lines)
    group = f"{CODE}:{path}" if renamed else ""
    text = ", ".join(f"`{name}`" for names in modules.values() for name in sorted(names))
    yield ctx.finding(CODE, node, f"what is used of `*` is {text}", edits=[edit], group=group)
    for name, new in renamed.items():
        for use in uses[name]:
            change = Rename(ctx.source.span(use.links[0]), name, new)
            yield ctx.finding(RENAMED, use.links[0], f"`{name}` is `{new}` now", edits=[change], group=group)


def _renamable(ctx: FileContext, name: str, new: str, uses: Collection[Use]) -> bool:
    """Whether the new name can take the old one's place wherever that is used."""
    relied_on = name in ctx.pinned or is_mentioned(ctx, name)
    return not relied_on and is_free(ctx, new) and all(certain(ctx, use) for use in uses)
