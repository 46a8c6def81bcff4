"""Where lists of the old release, tuples now, are used as only a list can be."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from .analysis import values as v
from .analysis.containers import era, is_former
from .analysis.context import FileContext
from .analysis.scopes import Binding, Use, reaching
from .receivers import uses_type

_IN_PLACE = {"append", "extend", "insert", "pop", "remove", "clear", "sort", "reverse", "__setitem__"}
_WRITERS = {"dump", "dumps", "safe_dump"}
_EQUALITIES = {"assertEqual", "assertEquals", "assertNotEqual", "assertListEqual", "assert_equal"}
_TUPLES_WILL_DO = {"extend", "index", "print", "debug", "info", "warning", "error", "format", "isinstance"}
_LENIENT = {"builtins", "functools", "itertools", "math", "nki", "numpy", "operator"}
_LISTS = {"list", "sorted"}
_LIST_METHODS = {"tolist", "copy", "split"}


class Need(Enum):
    """What a place takes."""

    LIST = "a list, any one"
    IN_PLACE = "the object's own list, to change it"
    DOUBT = "a list, if the code is the old release's"


@dataclass(frozen=True, slots=True)
class ListUse:
    """An expression whose value was a list, at a place where a tuple will not do.

    ``place`` is the node to report; ``node`` the expression to convert.
    """

    node: ast.expr
    place: ast.AST
    need: Need


def list_uses(ctx: FileContext) -> list[ListUse]:
    """All such places of a file (computed once)."""
    known: list[ListUse] | None = ctx.memory.get("list uses")  # type: ignore[assignment]
    if known is None:
        known = ctx.memory["list uses"] = list(_list_uses(ctx))
    return known


def changed_in_place(ctx: FileContext) -> set[ast.expr]:
    """The expressions through which an object's own list was changed."""
    return {use.node for use in list_uses(ctx) if use.need is Need.IN_PLACE}


def _list_uses(ctx: FileContext) -> Iterator[ListUse]:
    if not any(kind.tuples and uses_type(ctx, name) for name, kind in ctx.release.types.items()):
        return
    found: dict[ast.expr, ListUse] = {}
    made: set[int] = set()
    for use in ctx.uses:
        for link, following, value in _former_links(ctx, use):
            for place in _at(ctx, use, link, following, value):
                source = _source(ctx, use, link, value) if place.need is Need.IN_PLACE else None
                if source is not None:
                    made.add(id(source))
                    assert source.value is not None
                    place = ListUse(source.value, source.value, Need.LIST)
                found.setdefault(place.node, place)
    yield from (p for p in found.values() if not _is_list_already(ctx, p.node, made))


def _former_links(ctx: FileContext, use: Use) -> Iterator[tuple[ast.expr, ast.expr | None, v.FormerList]]:
    values = ctx.evaluator.steps(use)
    for index, value in enumerate(values):
        if is_former(value):
            following = use.links[index + 1] if index + 1 < len(use.links) else None
            options = [o for o in v.options(value) if isinstance(o, v.FormerList)]
            yield use.links[index], following, v.FormerList(any(o.own for o in options), era(*options))


def _at(
    ctx: FileContext, use: Use, link: ast.expr, following: ast.expr | None, value: v.FormerList
) -> Iterator[ListUse]:
    """What the place of one link needs."""
    if isinstance(following, ast.Attribute):
        if following.attr in _IN_PLACE:
            yield ListUse(link, following, Need.IN_PLACE)
        elif following.attr == "copy":
            yield ListUse(link, link, Need.LIST)
    elif isinstance(following, ast.Subscript):
        if not isinstance(following.ctx, ast.Load):
            yield ListUse(link, following, Need.IN_PLACE)
    elif not isinstance(getattr(link, "ctx", ast.Load()), ast.Load):
        if isinstance(link, ast.Attribute) or isinstance(use.inside, ast.AugAssign):
            yield ListUse(link, use.stmt, Need.IN_PLACE)
    elif following is None:
        yield from _in_context(ctx, use, link, value)


# -- what stands around ---------------------------------------------------------------------------------


def _in_context(ctx: FileContext, use: Use, node: ast.expr, value: v.FormerList) -> Iterator[ListUse]:
    outer, parent = _flows_to(ctx, use, node)
    need: Need | None = None
    if isinstance(parent, ast.BinOp):
        need = _in_operation(ctx, use, outer, parent, value)
    elif isinstance(parent, ast.Compare):
        need = _in_comparison(ctx, use, outer, parent, value)
    elif isinstance(parent, ast.Call):
        need = _as_argument(outer, parent) or _handed_on(ctx, use, parent, value)
    if need is not None:
        yield ListUse(outer, outer, need)


def _flows_to(ctx: FileContext, use: Use, node: ast.expr) -> tuple[ast.expr, ast.AST | None]:
    """The expression that passes the value on unchanged (or joined with its like), and what it stands in."""
    parent = ctx.parent(node)
    while isinstance(parent, ast.expr) and _passes(ctx, use, node, parent):
        node, parent = parent, ctx.parent(parent)
    return node, parent


def _passes(ctx: FileContext, use: Use, node: ast.expr, parent: ast.expr) -> bool:
    if isinstance(parent, ast.IfExp):
        return node is not parent.test
    if isinstance(parent, ast.BinOp):
        joins = isinstance(parent.op, ast.Add | ast.Mult)
        return joins and is_former(ctx.evaluator.at(parent, use))
    return isinstance(parent, ast.BoolOp | ast.NamedExpr)


def _in_operation(
    ctx: FileContext, use: Use, node: ast.expr, parent: ast.BinOp, value: v.FormerList
) -> Need | None:
    other = parent.left if node is parent.right else parent.right
    if isinstance(parent.op, ast.Mod) and node is parent.right:
        text = isinstance(other, ast.JoinedStr | ast.Constant)
        return Need.LIST if text or value.era == "old" else None
    return _beside(ctx, use, other, value) if isinstance(parent.op, ast.Add) else None


def _in_comparison(
    ctx: FileContext, use: Use, node: ast.expr, parent: ast.Compare, value: v.FormerList
) -> Need | None:
    operands = [parent.left, *parent.comparators]
    place = operands.index(node)
    for index, op in enumerate(parent.ops):
        if place not in (index, index + 1) or isinstance(op, ast.Is | ast.IsNot):
            continue
        other = operands[index + 1 if place == index else index]
        if isinstance(op, ast.In | ast.NotIn):
            need = _among(other, value) if place == index else None
        else:
            need = _beside(ctx, use, other, value)
        if need is not None:
            return need
    return None


def _among(container: ast.expr, value: v.FormerList) -> Need | None:
    elements = getattr(container, "elts", None)
    if elements is None:
        return Need.LIST if value.era == "old" else None
    return Need.LIST if any(isinstance(e, ast.List | ast.ListComp) for e in elements) else None


def _beside(ctx: FileContext, use: Use, other: ast.expr, value: v.FormerList) -> Need | None:
    """What an operand needs for the sake of the other one."""
    if is_former(ctx.evaluator.at(other, use)) or evident(ctx, use, other) is ast.Tuple:
        return None
    if evident(ctx, use, other) is ast.List or value.era == "old":
        return Need.LIST
    return Need.DOUBT if value.era == "either" else None


def _as_argument(node: ast.expr, call: ast.Call) -> Need | None:
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    if name == "isinstance" and len(call.args) == 2 and node is call.args[0]:
        kinds = getattr(call.args[1], "elts", [call.args[1]])
        names = {getattr(kind, "id", "") for kind in kinds}
        return Need.DOUBT if "list" in names and "tuple" not in names else None
    if name in _WRITERS and node in call.args[:1]:
        return Need.LIST
    others = [argument for argument in call.args if argument is not node]
    return Need.LIST if name in _EQUALITIES and any(isinstance(o, ast.List) for o in others) else None


def _handed_on(ctx: FileContext, use: Use, call: ast.Call, value: v.FormerList) -> Need | None:
    """A function of somebody else got a list so far; the library, the language and Python take tuples."""
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    if value.era != "old" or name in _TUPLES_WILL_DO:
        return None
    callee = ctx.evaluator.at(call.func, use)
    names = {o.owner if isinstance(o, v.Method) else getattr(o, "name", "") for o in v.options(callee)}
    tops = {name.partition(".")[0] for name in names}
    return None if tops <= {*ctx.release.roots, *_LENIENT} else Need.LIST


# -- lists made by the code itself ----------------------------------------------------------------------


def evident(ctx: FileContext, use: Use, node: ast.expr) -> type[ast.expr] | None:
    """``ast.List`` or ``ast.Tuple`` when an expression evidently gives such a one."""
    if isinstance(node, ast.List | ast.ListComp):
        return ast.List
    if isinstance(node, ast.BinOp):
        return evident(ctx, use, node.left) or evident(ctx, use, node.right)
    if isinstance(node, ast.Call):
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        listed = name in _LISTS or method in _LIST_METHODS
        return ast.List if listed else ast.Tuple if name == "tuple" else None
    if isinstance(node, ast.Name):
        binding = _sole(ctx, use, node)
        value = (
            binding.value if binding is not None and binding.kind == "assign" and not binding.path else None
        )
        plain = isinstance(value, ast.List | ast.ListComp | ast.Tuple | ast.Call)
        return evident(ctx, use, value) if plain and value is not None else None
    return ast.Tuple if isinstance(node, ast.Tuple) else None


def _sole(ctx: FileContext, use: Use, node: ast.Name) -> Binding | None:
    """The only binding of a name that a use sees."""
    owner = ctx.module.lookup(node.id, use.scope)
    seen = reaching(owner[1], use, owner[0]) if owner else []
    return seen[0] if len(seen) == 1 else None


def _source(ctx: FileContext, use: Use, link: ast.expr, value: v.FormerList) -> Binding | None:
    """The assignment that made the list which is changed here, when nothing but the code itself has it."""
    if value.own or not isinstance(link, ast.Name):
        return None
    binding = _sole(ctx, use, link) or _first(ctx, use, link)
    fits = binding is not None and binding.kind == "assign" and not binding.path and binding.value is not None
    return binding if fits else None


def _first(ctx: FileContext, use: Use, link: ast.Name) -> Binding | None:
    """The assignment of a name that is otherwise only changed by ``+=``."""
    owner = ctx.module.lookup(link.id, use.scope)
    bindings = owner[1] if owner else []
    made = [b for b in bindings if not isinstance(b.node, ast.AugAssign)]
    return made[0] if len(made) == 1 else None


def _is_list_already(ctx: FileContext, node: ast.expr, made: set[int]) -> bool:
    """Whether the name is bound to a list that is made where it is assigned."""
    uses = ctx.module.by_name.get(node.id, ()) if isinstance(node, ast.Name) else ()
    use = next((use for use in uses if use.links[0] is node), None)
    if use is None or not isinstance(node, ast.Name):
        return False
    return id(_sole(ctx, use, node) or _first(ctx, use, node)) in made
