"""``from module import *`` of a module whose names changed.

What it does
    Replaces the star by the names the file really uses, under their new homes.

Why
    The set of names behind the star changed: old ones are gone, and new ones (``mlp``, ``reduce``,
    ``get_logger``) may shadow names of yours in silence.

Before
    ``from nkilib_standalone.nkilib.core.mlp.mlp import *``

After
    ``from nkilib.core.mlp.mlp import mlp as mlp_kernel``

When it stays silent
    When the module's names did not change. In a package's ``__init__.py``, or when nothing of it is used
    here, the star may serve other files, and the place is reported.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..analysis.context import FileContext
from ..model import EditImport, Finding
from ..naming import import_line, imported

CODE = "NKM106"


def check(ctx: FileContext) -> Iterator[Finding]:
    """One finding for each star import of a module whose public names changed."""
    for node, path in ctx.stars:
        canonical = ctx.release.canonical(path)
        old = ctx.release.stars.get(canonical)
        if old is None or set(old) == set(ctx.release.new_stars.get(ctx.release.moved(canonical), ())):
            continue
        used = [name for name in old if _used(ctx, name)]
        if not used or ctx.package:
            yield ctx.needs_you(
                CODE,
                node,
                f"what `*` brings from `{canonical}` changed",
                f"Import the names you need one by one from `{ctx.release.moved(canonical)}`.",
            )
        else:
            yield _expanded(ctx, node, path, used)


def _used(ctx: FileContext, name: str) -> bool:
    return any(ctx.module.lookup(name, use.scope) is None for use in ctx.module.by_name.get(name, ()))


def _expanded(ctx: FileContext, node: ast.ImportFrom, path: str, used: list[str]) -> Finding:
    homes: dict[str, list[str]] = {}
    for name in used:
        new = ctx.release.moved(ctx.release.canonical(f"{path}.{name}"))
        module, _, last = new.rpartition(".")
        homes.setdefault(module, []).append(imported(last, name))
    lines = tuple(import_line(module, ", ".join(names), ", ".join(names)) for module, names in homes.items())
    edit = EditImport(ctx.source.span(node), names=(("*", ""),), also=lines)
    return ctx.finding(CODE, node, f"`*` is {', '.join(f'`{n}`' for n in used)}", edits=[edit])
