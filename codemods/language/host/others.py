"""Kernels of other files: how this one launches them, and what becomes of launches when they change."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from ...elsewhere import Grid, Kernel
from ..reasons import Change, Reason, Work
from ..translate.plan import LanguageModule
from .extents import extents
from .grids import brackets, grid
from .kernels import Kernels, Launch

CODE = "NKL103"


def launched(kernels: Kernels) -> Mapping[str, frozenset[Grid]]:
    """Every kernel of another file → the grids that this one launches it with.

    A grid that only a person can move, one with cores among its programs, is left out.
    """
    found: dict[str, set[Grid]] = {name: set() for name in kernels.module.elsewhere}
    known: set[ast.Subscript | None] = set()
    for launch in kernels.all_launches:
        known.add(launch.subscript)
        for name in launch.kernels & found.keys():
            found[name] |= set(_grids(kernels, launch, name))
    for subscript in kernels.subscripts:
        for name in kernels.denoted(subscript.value) & found.keys() if subscript not in known else ():
            found[name].add(None)
    for name in found:
        if kernels.is_handed_on(name) or _handed_over(kernels, name):
            found[name].add(None)
    return {name: frozenset(grids) for name, grids in found.items()}


def _grids(kernels: Kernels, launch: Launch, name: str) -> Iterator[Grid]:
    if launch.kernels != {name}:
        yield None
    elif launch.subscript is None:
        yield ()
    else:
        held = grid(kernels, launch.subscript)
        if held.cores is not None:
            yield None
        elif held.programs:
            yield extents(kernels, launch, held.programs)


def _handed_over(kernels: Kernels, name: str) -> bool:
    """Whether files that import this one have the kernel from it."""
    here = (b for b in kernels.ctx.module.imports if kernels.ctx.target(b) == name)
    return any(kernels.ctx.package or b.name in kernels.ctx.pinned for b in here)


def told(module: LanguageModule) -> dict[str, Kernel]:
    """What other files have to know of this one's kernels once they are migrated."""
    return {name: Kernel(True, f.plan.looped) for name, f in module.functions.items()}


# -- launches that change with their kernels ----------------------------------------------------------


def looped(kernels: Kernels, subscript: ast.Subscript) -> bool:
    """Whether brackets stand behind kernels of other files whose programs are loops now."""
    names = kernels.denoted(subscript.value)
    elsewhere = kernels.module.elsewhere
    return bool(names) and all(elsewhere.get(name, Kernel(False)).looped for name in names)


def changes(kernels: Kernels) -> Work:
    """What becomes of launches of such kernels."""
    return sum((without_grid(kernels, s) for s in kernels.subscripts if looped(kernels, s)), Work())


def without_grid(kernels: Kernels, subscript: ast.Subscript) -> Work:
    """The launch of such a kernel has no grid any more."""
    name = kernels.ctx.segment(subscript.value)
    if not grid(kernels, subscript).programs:
        return Work(reasons=(Reason(subscript, "M-LOOPED", {"name": name}),))
    text = f"the grid of `{name}` is loops inside the kernel now"
    return Work((Change(subscript, CODE, text, (brackets(kernels, subscript, ""),)),))
