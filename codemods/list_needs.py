"""Whether the place of a value that was a list needs one, by what stands around it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from enum import Enum

from .analysis import values as v
from .analysis.containers import era, is_former
from .analysis.context import FileContext
from .analysis.reaching import reaching
from .analysis.scopes import Binding, Use
from .record import record
from .trees import last_name

MADE = "made lists"
_WRITERS = {"dump", "dumps", "safe_dump"}
_EQUALITIES = {
    "assertEqual",
    "assertEquals",
    "assertNotEqual",
    "assertListEqual",
    "assert_equal",
    "max",
    "min",
}
_TUPLES_WILL_DO = {"extend", "index", "print", "debug", "info", "warning", "error", "format", "isinstance"}
_LENIENT = {"builtins", "functools", "itertools", "math", "nki", "numpy", "operator"}
_LISTS = {"list", "sorted"}
_LIST_METHODS = {"tolist", "copy", "split"}
_DEPTH = 8


class Need(Enum):
    """What a place takes."""

    LIST = "a list, any one"
    IN_PLACE = "the object's own list, to change it"
    DOUBT = "a list, if the code is the old release's"


@record
class Former:
    """A value that was a list (``certain``: in all cases), see :class:`~.analysis.values.FormerList`."""

    own: bool
    era: str
    certain: bool


def former(value: v.Value, old: bool) -> Former | None:
    """What is known about a value that may have been a list; ``old``: the file is the old release's."""
    options = [o for o in v.options(value) if isinstance(o, v.FormerList)]
    if not options:
        return None
    found = era(*options)
    when = "old" if old and found == "either" else found
    return Former(any(o.own for o in options), when, is_former(value))


def needed(ctx: FileContext, use: Use, node: ast.expr, value: Former) -> Iterator[tuple[ast.expr, Need]]:
    """The expression around the value that has to be a list, and why."""
    outer, parent = _flows_to(ctx, use, node)
    need: Need | None = None
    if isinstance(parent, ast.IfExp | ast.BoolOp):
        need = Need.LIST
    elif isinstance(parent, ast.BinOp):
        need = _in_operation(ctx, use, outer, parent, value)
    elif isinstance(parent, ast.Compare):
        need = _in_comparison(ctx, use, outer, parent, value)
        need = need if value.certain or need is None else Need.DOUBT
    elif isinstance(parent, ast.Call) and value.certain:
        need = _as_argument(ctx, use, outer, parent) or _handed_on(ctx, use, parent, value)
    elif isinstance(parent, ast.List | ast.Tuple | ast.Set) and value.certain:
        need = _among_others(ctx, use, parent, value)
    if need is not None:
        yield outer, need


def _flows_to(ctx: FileContext, use: Use, node: ast.expr) -> tuple[ast.expr, ast.AST | None]:
    """The expression that passes the value on unchanged (or joined with its like), and what it stands in."""
    parent = ctx.parent(node)
    while isinstance(parent, ast.expr) and _passes(ctx, use, node, parent):
        node, parent = parent, ctx.parent(parent)
    return node, None if isinstance(parent, ast.IfExp) and parent.test is node else parent


def _passes(ctx: FileContext, use: Use, node: ast.expr, parent: ast.expr) -> bool:
    if isinstance(parent, ast.BinOp):
        joins = isinstance(parent.op, ast.Add | ast.Mult)
        return joins and is_former(ctx.evaluator.at(parent, use))
    if isinstance(parent, ast.IfExp | ast.BoolOp):
        if isinstance(parent, ast.IfExp) and parent.test is node:
            return False
        others = [parent.body, parent.orelse] if isinstance(parent, ast.IfExp) else parent.values
        return all(evident(ctx, other, use) is not ast.List for other in others if other is not node)
    return isinstance(parent, ast.NamedExpr)


def _in_operation(
    ctx: FileContext, use: Use, node: ast.expr, parent: ast.BinOp, value: Former
) -> Need | None:
    other = parent.left if node is parent.right else parent.right
    if isinstance(parent.op, ast.Mod) and node is parent.right:
        text = isinstance(other, ast.JoinedStr | ast.Constant)
        return Need.LIST if text or value.era == "old" else None
    return _beside(ctx, use, other, value) if isinstance(parent.op, ast.Add) else None


def _in_comparison(
    ctx: FileContext, use: Use, node: ast.expr, parent: ast.Compare, value: Former
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


def _among(container: ast.expr, value: Former) -> Need | None:
    elements = getattr(container, "elts", None)
    if elements is None:
        return Need.LIST if value.era == "old" else None
    return Need.LIST if value.era == "old" or _has_lists(container) else None


def _has_lists(container: ast.expr) -> bool:
    return any(isinstance(e, ast.List | ast.ListComp) for e in getattr(container, "elts", ()))


def _among_others(ctx: FileContext, use: Use, display: ast.expr, value: Former) -> Need | None:
    """For an item of a display that is compared with something."""
    comparison = ctx.parent(display)
    if not isinstance(comparison, ast.Compare):
        return None
    others = [o for o in (comparison.left, *comparison.comparators) if o is not display]
    listed = _has_lists(display) or any(_has_lists(o) or evident(ctx, o, use) is ast.List for o in others)
    return Need.LIST if value.era == "old" or listed else None


def _beside(ctx: FileContext, use: Use, other: ast.expr, value: Former) -> Need | None:
    """What an operand needs for the sake of the other one."""
    alike = is_former(ctx.evaluator.at(other, use)) and value.certain
    if alike or evident(ctx, other, use) is ast.Tuple:
        return None
    if evident(ctx, other, use) is ast.List or value.era == "old":
        return Need.LIST
    return Need.DOUBT if value.era == "either" else None


def _as_argument(ctx: FileContext, use: Use, node: ast.expr, call: ast.Call) -> Need | None:
    name = last_name(call.func)
    if name == "isinstance" and len(call.args) == 2 and node is call.args[0]:
        kinds = getattr(call.args[1], "elts", [call.args[1]])
        names = {getattr(kind, "id", "") for kind in kinds}
        return Need.DOUBT if "list" in names and "tuple" not in names else None
    if name in _WRITERS and node in call.args[:1]:
        return Need.LIST
    others = [argument for argument in call.args if argument is not node]
    listed = name in _EQUALITIES and any(evident(ctx, other, use) is ast.List for other in others)
    return Need.LIST if listed else None


def _handed_on(ctx: FileContext, use: Use, call: ast.Call, value: Former) -> Need | None:
    """A function of somebody else got a list so far; the library, the language and Python take tuples."""
    if value.era != "old" or last_name(call.func) in _TUPLES_WILL_DO:
        return None
    callee = ctx.evaluator.at(call.func, use)
    names = {o.owner if isinstance(o, v.Method) else getattr(o, "name", "") for o in v.options(callee)}
    tops = {name.partition(".")[0] for name in names}
    return None if tops <= {*ctx.release.roots, *_LENIENT} else Need.LIST


# -- what other expressions evidently are ---------------------------------------------------------------


def evident(ctx: FileContext, node: ast.expr, at: Use | Binding, depth: int = 0) -> type[ast.expr] | None:
    """``ast.List`` or ``ast.Tuple`` when an expression evidently gives such a one."""
    if isinstance(node, ast.List | ast.ListComp):
        return ast.List
    if isinstance(node, ast.Tuple) or (isinstance(node, ast.Attribute) and node.attr == "shape"):
        return ast.Tuple
    parts = _parts(node)
    if parts:
        return next((kind for part in parts if (kind := evident(ctx, part, at, depth))), None)
    if isinstance(node, ast.Call):
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        listed = name in _LISTS or method in _LIST_METHODS
        return ast.List if listed else ast.Tuple if name == "tuple" else None
    return _of_name(ctx, node, at, depth) if isinstance(node, ast.Name) and depth < _DEPTH else None


def _parts(node: ast.expr) -> list[ast.expr]:
    """The expressions of which one gives an expression its type."""
    if isinstance(node, ast.NamedExpr):
        return [node.value]
    if isinstance(node, ast.BinOp):
        return [node.left, node.right]
    if isinstance(node, ast.IfExp):
        return [node.body, node.orelse]
    if isinstance(node, ast.BoolOp):
        return node.values
    return [node.value] if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice) else []


def _of_name(ctx: FileContext, node: ast.Name, at: Use | Binding, depth: int) -> type[ast.expr] | None:
    binding = sole_binding(ctx, at, node)
    if binding is None or binding.kind != "assign" or binding.path or binding.value is None:
        return None
    made = ctx.memory.get(MADE, frozenset())
    assert isinstance(made, frozenset)
    return ast.List if id(binding) in made else evident(ctx, binding.value, binding, depth + 1)


def sole_binding(ctx: FileContext, at: Use | Binding, node: ast.Name) -> Binding | None:
    """The only binding of a name, ``+=`` aside, that a use or the value of another binding sees."""
    owner = ctx.module.lookup(node.id, at.scope)
    if owner is None:
        return None
    use = at if isinstance(at, Use) else Use([node], at.scope, at.block, at.order, ast.Pass(), node)
    seen = [b for b in reaching(owner[1], use, owner[0]) if not isinstance(b.node, ast.AugAssign)]
    found = seen or [b for b in owner[1] if not isinstance(b.node, ast.AugAssign)]
    return found[0] if len(found) == 1 else None
