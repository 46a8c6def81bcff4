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
from collections.abc import Iterable, Iterator

from ..analysis.context import FileContext
from ..analysis.scopes import Use
from ..model import EditImport, Finding, Rename
from ..naming import imported

CODE = "NKM106"
RENAMED = "NKM103"


def check(ctx: FileContext) -> Iterator[Finding]:
    """One finding for each star import of a module whose public names changed, and for each renamed use."""
    for node, path in ctx.stars:
        canonical = ctx.release.canonical(path)
        old = ctx.release.stars.get(canonical)
        if old is None or set(old) == set(ctx.release.new_stars.get(ctx.release.moved(canonical), ())):
            continue
        used = {name: uses for name in sorted(old) if (uses := _uses(ctx, name))}
        if used and not ctx.package:
            yield from _expanded(ctx, node, path, used)
        else:
            yield _undecided(ctx, node, canonical, old)


def _undecided(ctx: FileContext, node: ast.ImportFrom, module: str, old: Iterable[str]) -> Finding:
    new = ctx.release.moved(module)
    gone = sorted(set(old) - set(ctx.release.new_stars.get(new, ())))
    return ctx.needs_you(
        CODE,
        node,
        f"`*` no longer brings {', '.join(f'`{name}`' for name in gone) or 'the same names'} from `{module}`",
        f"Import the names you need one by one from `{new}`.",
    )


def _uses(ctx: FileContext, name: str) -> list[Use]:
    """Uses of a name that nothing but the star can have brought."""
    return [use for use in ctx.module.by_name.get(name, ()) if ctx.module.lookup(name, use.scope) is None]


def _expanded(
    ctx: FileContext, node: ast.ImportFrom, path: str, used: dict[str, list[Use]]
) -> Iterator[Finding]:
    homes: dict[str, list[str]] = {}
    renamed: list[tuple[str, str, list[Use]]] = []
    for name, uses in used.items():
        module, _, new = ctx.release.moved(ctx.release.canonical(f"{path}.{name}")).rpartition(".")
        free = new not in ctx.module.names and new not in ctx.module.by_name and name not in ctx.pinned
        homes.setdefault(module, []).append(imported(new, new if free else name))
        if free and new != name:
            renamed.append((name, new, uses))
    lines = tuple(f"from {module} import {', '.join(sorted(names))}" for module, names in homes.items())
    edit = EditImport(ctx.source.span(node), names=(("*", ""),), also=lines)
    group = f"{CODE}:{path}" if renamed else ""
    text = ", ".join(f"`{name}`" for names in homes.values() for name in sorted(names))
    yield ctx.finding(CODE, node, f"what is used of `*` is {text}", edits=[edit], group=group)
    for name, new, uses in renamed:
        for use in uses:
            change = Rename(ctx.source.span(use.links[0]), name, new)
            yield ctx.finding(RENAMED, use.links[0], f"`{name}` is `{new}` now", edits=[change], group=group)
