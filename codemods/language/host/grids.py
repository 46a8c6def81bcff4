"""Launch grids: what stands in the brackets behind a kernel, also in terms of the kernel's parameters.

In the old language a grid counts programs, of which ``nl.nc(n)`` run on ``n`` cores; in the new one it is
the number of cores.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ...analysis.reaching import reaching
from ...analysis.scopes import Binding, Use
from ...model import ReplaceCode
from ...record import fresh, record
from ...trees import last_name, walk
from ..reasons import Change
from ..translate.names import BETA1
from .kernels import Kernels

CODE = "NKL103"
_CORES = frozenset({f"{BETA1}.language.nc", f"{BETA1}.compiler.backends.neuron.dimensions.VNC"})
_GRIDS = (f"{BETA1}.language.spmd_dim", f"{BETA1}.compiler.backends.neuron.dimensions.")
_DEPTH = 8


@record(frozen=False)
class Grid:
    """What a subscript holds.

    Attributes:
        cores: code for the number of cores, when that is all it is.
        programs: the extents of a grid of programs, when it is one.
        rewritten: expressions elsewhere that ``cores`` takes for granted, with their new code.
    """

    cores: str | None = None
    programs: tuple[ast.expr, ...] = ()
    rewritten: dict[ast.expr, str] = fresh(factory=dict)


def grid(kernels: Kernels, subscript: ast.Subscript) -> Grid:
    """The grid of a launch; neither cores nor programs when it is a mixture or cannot be followed."""
    found = Grid()
    found.cores = _cores(kernels, subscript.slice, found.rewritten, _DEPTH)
    if found.cores is None:
        found.rewritten.clear()
        found.programs = _programs(kernels, subscript.slice)
    return found


def _cores(kernels: Kernels, node: ast.expr, rewritten: dict[ast.expr, str], depth: int) -> str | None:
    """Code for a number of cores: ``n`` of ``nl.nc(n)``, also as the only item of a tuple or list."""
    if depth == 0:
        return None
    if isinstance(node, ast.Tuple | ast.List) and len(node.elts) == 1:
        return _cores(kernels, node.elts[0], rewritten, depth - 1)
    if isinstance(node, ast.IfExp):
        arms = [_cores(kernels, arm, rewritten, depth - 1) for arm in (node.body, node.orelse)]
        test = kernels.ctx.segment(node.test)
        return None if None in arms else f"{arms[0]} if {test} else {arms[1]}"
    if isinstance(node, ast.Call) and kernels.names.qualified(node.func) in _CORES:
        return kernels.ctx.segment(node.args[0]) if len(node.args) == 1 and not node.keywords else None
    if isinstance(node, ast.Name):
        return _variable(kernels, node, rewritten, depth)
    return None


def _variable(kernels: Kernels, node: ast.Name, rewritten: dict[ast.expr, str], depth: int) -> str | None:
    """A variable that holds cores everywhere, and is used for nothing but launches."""
    bound = bindings(kernels, node)
    found: dict[ast.expr, str] = {}
    for binding in bound:
        if binding.kind != "assign" or binding.path or binding.value is None:
            return None
        code = _cores(kernels, binding.value, found, depth - 1)
        if code is None:
            return None
        found[binding.value] = code
    uses = [use for use in kernels.ctx.module.by_name.get(node.id, ()) if _same_owner(kernels, use, node)]
    if not bound or not all(_launches(kernels, use) for use in uses):
        return None
    rewritten.update(found)
    return node.id


def _same_owner(kernels: Kernels, use: Use, node: ast.Name) -> bool:
    place = kernels.place(node)
    mine = kernels.ctx.module.lookup(node.id, place[0].scope) if place else None
    other = kernels.ctx.module.lookup(use.name, use.scope)
    return mine is not None and other is not None and mine[0] is other[0]


def _launches(kernels: Kernels, use: Use) -> bool:
    """Whether a use is the grid of a launch, or one of its items."""
    inside = use.inside
    if isinstance(inside, ast.Tuple | ast.List):
        inside = kernels.ctx.module.parents.get(inside, inside)
    return len(use.links) == 1 and isinstance(inside, ast.Subscript) and bool(kernels.denoted(inside.value))


def bindings(kernels: Kernels, node: ast.Name) -> list[Binding]:
    """What a variable may be bound to where it is used."""
    place = kernels.place(node)
    owner = kernels.ctx.module.lookup(node.id, place[0].scope) if place else None
    return reaching(owner[1], place[0], owner[0]) if place and owner else []


def _programs(kernels: Kernels, node: ast.expr) -> tuple[ast.expr, ...]:
    """The items of a grid without cores."""
    if isinstance(node, ast.Name):
        sole = bindings(kernels, node)
        if len(sole) == 1 and sole[0].kind == "assign" and not sole[0].path:
            value = sole[0].value
            if isinstance(value, ast.Tuple | ast.List):
                return _programs(kernels, value)
    items = tuple(node.elts) if isinstance(node, ast.Tuple | ast.List) else (node,)
    return () if any(_mixed(kernels, item) for item in items) else items


def _mixed(kernels: Kernels, item: ast.expr, depth: int = _DEPTH) -> bool:
    """Whether cores or pipelines have a part in an item."""
    if depth == 0:
        return True
    for inner in walk(item):
        if isinstance(inner, ast.Name | ast.Attribute):
            qualified = kernels.names.qualified(inner)
            if qualified in _CORES or qualified.startswith(_GRIDS):
                return True
        if isinstance(inner, ast.Name):
            values = (b.value for b in bindings(kernels, inner) if b.kind == "assign" and not b.path)
            if any(value is not None and _mixed(kernels, value, depth - 1) for value in values):
                return True
    return False


def brackets(kernels: Kernels, subscript: ast.Subscript, code: str) -> ReplaceCode:
    """Other code for ``[…]`` behind a kernel."""
    source = kernels.ctx.source
    span = (source.span(subscript.value)[1], source.span(subscript)[1])
    return ReplaceCode(span, source.utf8[slice(*span)].decode("utf-8"), code)


# -- launches on cores --------------------------------------------------------------------------------


def with_cores(kernels: Kernels, subscript: ast.Subscript, cores: str) -> Change:
    """A launch on a number of cores."""
    text = f"a launch takes the number of cores: `[{cores}]`"
    return Change(subscript, CODE, text, (brackets(kernels, subscript, f"[{cores}]"),))


def variables(kernels: Kernels, grids: dict[ast.Subscript, Grid]) -> Iterator[Change]:
    """Variables that hold a grid hold the number of cores now."""
    found = {node: code for known in grids.values() for node, code in known.rewritten.items()}
    for node, code in found.items():
        edit = ReplaceCode(kernels.ctx.source.span(node), kernels.ctx.segment(node), code)
        if edit.old != code:
            yield Change(node, CODE, f"a launch takes the number of cores: `{code}`", (edit,))


# -- what is left over --------------------------------------------------------------------------------


def leftovers(kernels: Kernels, launches: list[ast.Subscript]) -> Iterator[ast.Assign]:
    """Assignments of variables that nothing but the grids of these launches use."""
    gone = {id(inner) for s in launches for inner in walk(s.slice)}
    candidates = list(_assignments(kernels, launches))
    for statement in reversed(candidates):
        (target,) = statement.targets
        assert isinstance(target, ast.Name)
        uses = [u for u in kernels.ctx.module.by_name.get(target.id, ()) if u.links[0] is not target]
        mine = [u for u in uses if _sees(kernels, u, statement)]
        if mine and all(id(u.links[0]) in gone for u in mine):
            gone |= {id(inner) for inner in walk(statement.value)}
            yield statement


def _assignments(kernels: Kernels, launches: list[ast.Subscript]) -> list[ast.Assign]:
    """``name = arithmetic`` statements that the grids depend on, in the order of the file."""
    found: dict[ast.Assign, None] = {}
    pending: list[ast.AST] = [s.slice for s in launches]
    while pending:
        names = (inner for inner in walk(pending.pop()) if isinstance(inner, ast.Name))
        for binding in (b for name in names for b in bindings(kernels, name)):
            statement = binding.node
            if (
                isinstance(statement, ast.Assign)
                and statement not in found
                and _only_binds(statement, binding)
            ):
                found[statement] = None
                pending.append(statement.value)
    return sorted(found, key=lambda s: s.lineno)


def _only_binds(statement: ast.Assign, binding: Binding) -> bool:
    return len(statement.targets) == 1 and not binding.path and _harmless(statement.value)


def _harmless(value: ast.expr) -> bool:
    """Whether an expression is arithmetic on sizes, which nobody misses."""
    if any(isinstance(inner, ast.Call) for inner in walk(value)):
        return all(
            last_name(inner.func) in ("size", "ceil", "min", "max", "int")
            for inner in walk(value)
            if isinstance(inner, ast.Call)
        )
    return not any(isinstance(inner, ast.NamedExpr | ast.Await | ast.Yield) for inner in walk(value))


def _sees(kernels: Kernels, use: Use, statement: ast.Assign) -> bool:
    owner = kernels.ctx.module.lookup(use.name, use.scope)
    return owner is not None and any(b.node is statement for b in owner[1])
