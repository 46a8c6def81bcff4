"""Kernels of other files: how this one launches them, and what becomes of launches when they change."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from ...elsewhere import UNSEEN, Kernel, Seen
from ..reasons import Change, Reason, Work
from ..translate.plan import LanguageModule
from .extents import extents
from .grids import CODE, Grid, brackets, grid, variables, with_cores
from .kernels import Kernels, Launch
from .parameters import in_place, numbered, own_arguments


def launched(kernels: Kernels) -> Mapping[str, frozenset[Seen]]:
    """Every kernel of another file → how this one launches it."""
    found: dict[str, set[Seen]] = {name: set() for name in kernels.module.elsewhere}
    known: set[ast.Subscript | None] = set()
    for launch in kernels.all_launches:
        known.add(launch.subscript)
        for name in launch.kernels & found.keys():
            found[name].add(_seen(kernels, launch, name))
    for subscript in kernels.subscripts:
        for name in kernels.denoted(subscript.value) & found.keys() if subscript not in known else ():
            found[name] |= {UNSEEN, Seen(None, _brackets(grid(kernels, subscript)), None)}
    for name in found:
        if kernels.is_handed_on(name) or _handed_over(kernels, name):
            found[name].add(UNSEEN)
    return {name: frozenset(seen) for name, seen in found.items()}


def _seen(kernels: Kernels, launch: Launch, name: str) -> Seen:
    own = own_arguments(kernels, launch) if launch in kernels.launches else None
    if launch.subscript is None:
        return Seen(() if launch.kernels == {name} else None, "none", own)
    held = grid(kernels, launch.subscript)
    followed = held.cores is None and held.programs and launch.kernels == {name}
    return Seen(extents(kernels, launch, held.programs) if followed else None, _brackets(held), own)


def _brackets(held: Grid) -> str:
    return "cores" if held.cores is not None else "programs" if held.programs else "mixed"


def _handed_over(kernels: Kernels, name: str) -> bool:
    """Whether files that import this one have the kernel from it."""
    here = (b for b in kernels.ctx.module.imports if kernels.ctx.target(b) == name)
    return any(kernels.ctx.package or b.name in kernels.ctx.pinned for b in here)


def told(module: LanguageModule) -> dict[str, Kernel]:
    """What other files have to know of this one's kernels once they are migrated."""
    return {
        name: Kernel(True, f.plan.looped, numbered(f.node, f.plan.outputs))
        for name, f in module.functions.items()
        if not f.around
    }


# -- launches that change with their kernels ----------------------------------------------------------


def looped(kernels: Kernels, subscript: ast.Subscript) -> bool:
    """Whether brackets stand behind kernels of other files whose programs are loops now."""
    return all(kernel.looped for kernel in _elsewhere(kernels, subscript))


def _elsewhere(kernels: Kernels, subscript: ast.Subscript) -> list[Kernel]:
    """What became of the kernels that stand before brackets; of those of this file, nothing."""
    stays = Kernel(False)
    names = kernels.denoted(subscript.value)
    return [kernels.module.elsewhere.get(name, stays) for name in names] or [stays]


def changes(kernels: Kernels) -> Work:
    """What becomes of launches of such kernels, and of those that return what they write now, in a file that
    stays otherwise.
    """
    work = in_place(kernels)
    migrated = {
        s: grid(kernels, s) for s in kernels.subscripts if all(k.migrated for k in _elsewhere(kernels, s))
    }
    everything = len(migrated) == len(kernels.subscripts)
    on_cores: dict[ast.Subscript, Grid] = {}
    for subscript, held in migrated.items():
        if looped(kernels, subscript):
            work += without_grid(kernels, subscript)
        elif held.cores is not None and (everything or not held.rewritten):
            work += Work((with_cores(kernels, subscript, held.cores),))
            on_cores[subscript] = held
    return work + Work(tuple(variables(kernels, on_cores)))


def without_grid(kernels: Kernels, subscript: ast.Subscript) -> Work:
    """The launch of such a kernel has no grid any more."""
    name = kernels.ctx.segment(subscript.value)
    if not grid(kernels, subscript).programs:
        return Work(reasons=(Reason(subscript, "M-LOOPED", {"name": name}),))
    text = f"the grid of `{name}` is loops inside the kernel now"
    return Work((Change(subscript, CODE, text, (brackets(kernels, subscript, ""),)),))
