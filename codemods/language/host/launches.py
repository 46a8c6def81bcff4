"""Launches of kernels: the grid becomes a number of cores, or loops inside the kernel."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from ...model import ReplaceLines, Span
from ...record import replace
from ..reasons import Change, Reason, Work
from ..translate.names import BETA1
from . import others
from .extents import extents, inside
from .grids import CODE, Grid, brackets, grid, leftovers, variables, with_cores
from .kernels import Kernels, Launch

_PROGRAMS = frozenset(f"{BETA1}.language.{n}" for n in ("program_id", "num_programs", "program_ndim"))
_ABOUT = re.compile(r"\b(?:grid|launch\w*|SPMD|programs?|instances?)\b", re.IGNORECASE)


def launches(kernels: Kernels) -> Work:
    """What becomes of the grids in a file; sets the plans of kernels that get loops instead."""
    grids = {subscript: grid(kernels, subscript) for subscript in kernels.subscripts}
    looped: set[ast.Subscript] = set()
    reasons: list[Reason] = []
    for name, node in kernels.functions.items():
        found = _looped(kernels, name, node, grids)
        looped |= found
        reasons += _unseen(kernels, name)
    work = Work(reasons=tuple(reasons))
    for subscript, known in grids.items():
        if subscript in looped:
            text = f"the grid of `{kernels.ctx.segment(subscript.value)}` is loops inside the kernel now"
            work += Work((Change(subscript, CODE, text, (brackets(kernels, subscript, ""),)),))
        elif waiting := kernels.waiting(subscript.value):
            work += Work(reasons=(Reason(subscript, "M-WAITS", {"name": waiting}),))
        elif others.looped(kernels, subscript):
            work += others.without_grid(kernels, subscript)
            looped |= {subscript} if known.programs else set()
        elif known.cores is not None:
            work += Work((with_cores(kernels, subscript, known.cores),))
        else:
            fields = {"grid": kernels.ctx.segment(subscript.slice)}
            work += Work(reasons=(Reason(subscript, "M-GRID", fields),))
    work += Work(tuple(variables(kernels, grids)))
    return work + Work(tuple(_unneeded(kernels, list(looped))))


# -- loops instead of programs ------------------------------------------------------------------------


def _looped(
    kernels: Kernels, name: str, node: ast.FunctionDef, grids: dict[ast.Subscript, Grid]
) -> set[ast.Subscript]:
    """The launches of a kernel whose grid becomes loops in it: all of them or none."""
    mine = kernels.launches_of[name]
    loose = {*kernels.subscripts_of[name]} - {launch.subscript for launch in mine}
    theirs = kernels.module.launches.get(name, frozenset())
    hidden = name in kernels.ctx.pinned and name not in kernels.module.launches
    if loose or hidden or not (mine or theirs) or kernels.is_handed_on(name):
        return set()
    found = {_extents(kernels, launch, name, grids) for launch in mine}
    found |= {seen.grid for seen in theirs if seen.brackets != "mixed"}
    extents_inside = {inside(node, extents_outside) for extents_outside in found}
    if len(extents_inside) != 1 or not (sole := extents_inside.pop()):
        return set()
    function = kernels.module.functions[name]
    needed = any(_program_calls(kernels, name))
    function.plan = replace(function.plan, grid=sole if needed else (), looped=True)
    return {launch.subscript for launch in mine if launch.subscript is not None}


def _extents(
    kernels: Kernels, launch: Launch, name: str, grids: dict[ast.Subscript, Grid]
) -> tuple[str, ...] | None:
    if launch.subscript is None or launch.kernels != {name}:
        return None
    programs = grids[launch.subscript].programs
    return extents(kernels, launch, programs) if programs else None


def _program_calls(kernels: Kernels, name: str) -> Iterator[tuple[ast.Call, str]]:
    """Calls of ``program_id`` and the like in a kernel and what it calls, with the function's name."""
    seen, pending = {name}, [name]
    while pending:
        for inner in kernels.nodes[pending.pop()]:
            if not isinstance(inner, ast.Call):
                continue
            qualified = kernels.names.qualified(inner.func)
            if qualified in _PROGRAMS:
                yield inner, qualified.rpartition(".")[2]
            callee = inner.func.id if isinstance(inner.func, ast.Name) else ""
            if callee in kernels.functions and callee not in seen:
                seen.add(callee)
                pending.append(callee)


def _unseen(kernels: Kernels, name: str) -> Iterator[Reason]:
    """What keeps a kernel as it is whose grid stands nowhere, or elsewhere."""
    function = kernels.module.functions[name]
    if function.plan.looped:
        return
    theirs = kernels.module.launches.get(name, frozenset())
    if (reason := _uncounted(kernels, name)) is not None:
        yield reason
    elif any(seen.brackets == "programs" for seen in theirs):
        # In the new language such brackets are a number of cores, and nobody could tell any more.
        yield Reason(function.node, "M-GRID", {"grid": f"of `{name}` in another file"})


def _uncounted(kernels: Kernels, name: str) -> Reason | None:
    """Programs of a kernel of which no launch tells how many there are."""
    if not kernels.launched(name) or kernels.subscripts_of[name]:
        return None
    calls = list(_program_calls(kernels, name))
    counted = any(kind == "num_programs" for _, kind in calls)
    for call, kind in calls:
        beyond = kind == "program_id" and _axis(call) != 0
        if beyond or (kind == "program_id" and not counted):
            why = "whose launches do not tell in terms of its arguments how many programs it has"
            if not any(seen.grid for seen in kernels.module.launches.get(name, ())):
                why = "which is not launched in this file"
            return Reason(call, "M-GRID", {"grid": f"of `{name}`, {why}"})
    return None


def _axis(call: ast.Call) -> int | None:
    given = [*call.args[:1], *(k.value for k in call.keywords if k.arg == "axis")]
    value = given[0] if given else None
    return value.value if isinstance(value, ast.Constant) and type(value.value) is int else None


# -- what only computed the grid ----------------------------------------------------------------------


def _unneeded(kernels: Kernels, looped: list[ast.Subscript]) -> Iterator[Change]:
    """Without the variables that held the grid, and comments right above that are about it."""
    for statement in leftovers(kernels, looped):
        text = f"`{ast.unparse(statement.targets[0])}` was only for the grid"
        span = _lines(kernels, statement)
        yield Change(kernels.lines(span), CODE, text, (ReplaceLines(span, ""),))


def _lines(kernels: Kernels, statement: ast.stmt) -> Span:
    """The lines of a statement, with those of a comment above it that is about the grid."""
    source = kernels.ctx.source
    starts = (*source.line_starts, len(source.utf8))
    first, last = statement.lineno - 1, statement.end_lineno or statement.lineno
    above = first
    while above and source.utf8[starts[above - 1] : starts[above]].lstrip().startswith(b"#"):
        above -= 1
    about = _ABOUT.search(source.utf8[starts[above] : starts[first]].decode("utf-8"))
    return starts[above if about else first], starts[last]
