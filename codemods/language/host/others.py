"""Kernels of other files: how this one launches them, and what becomes of launches when they change."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from ...elsewhere import UNSEEN, Kernel, Seen
from ..reasons import Change, Reason, Work
from ..translate.plan import LanguageModule
from .extents import extents
from .grids import brackets, grid
from .kernels import Kernels, Launch
from .parameters import in_place, numbered, own_arguments

CODE = "NKL103"


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
            found[name].add(UNSEEN)
    for name in found:
        if kernels.is_handed_on(name) or _handed_over(kernels, name):
            found[name].add(UNSEEN)
    return {name: frozenset(seen) for name, seen in found.items()}


def _seen(kernels: Kernels, launch: Launch, name: str) -> Seen:
    own = own_arguments(kernels, launch) if launch in kernels.launches else None
    if launch.kernels != {name}:
        return Seen(None, own=own)
    if launch.subscript is None:
        return Seen((), own=own)
    held = grid(kernels, launch.subscript)
    if held.cores is not None:
        return Seen(None, own=own)
    extents_ = extents(kernels, launch, held.programs) if held.programs else None
    return Seen(extents_, not held.programs, own)


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
    names = kernels.denoted(subscript.value)
    elsewhere = kernels.module.elsewhere
    return bool(names) and all(elsewhere.get(name, Kernel(False)).looped for name in names)


def changes(kernels: Kernels) -> Work:
    """What becomes of launches of such kernels, and of those that return what they write now."""
    loops = sum((without_grid(kernels, s) for s in kernels.subscripts if looped(kernels, s)), Work())
    return loops + in_place(kernels)


def without_grid(kernels: Kernels, subscript: ast.Subscript) -> Work:
    """The launch of such a kernel has no grid any more."""
    name = kernels.ctx.segment(subscript.value)
    if not grid(kernels, subscript).programs:
        return Work(reasons=(Reason(subscript, "M-LOOPED", {"name": name}),))
    text = f"the grid of `{name}` is loops inside the kernel now"
    return Work((Change(subscript, CODE, text, (brackets(kernels, subscript, ""),)),))
