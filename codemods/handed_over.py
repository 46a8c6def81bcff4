"""Kernels that are given to other functions, and the arguments that reach them there."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .analysis import values as v
from .analysis.context import FileContext, once
from .analysis.reaching import reaching
from .analysis.scopes import Use
from .changed_parameters import Changed, changed_value, shape
from .private_kernels import only_looks
from .record import record
from .trees import last_name

_LISTED = {"args", "arguments"}
# Functions that spread what they are given next: one tuple, or each of many.
_APPLYING = {"apply", "apply_async"}
_STARRING = {"starmap", "starmap_async"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


@record
class Handed:
    """A changed kernel as an argument of another call, whose link is the one at ``index`` of ``use``."""

    node: ast.expr
    changed: Changed
    call: ast.Call
    use: Use
    index: int


@record
class Hidden:
    """A place where arguments that are affected reach the kernel, as far as can be told."""

    node: ast.Call
    changed: Changed
    through: str


def hidden_calls(ctx: FileContext) -> Iterator[Hidden]:
    """Affected calls behind functions that are given a kernel."""
    for handed in _handed(ctx):
        callee = ctx.evaluator.use(handed.use, handed.index)
        result = ctx.evaluator.use(handed.use, handed.index + 1)
        if callee is not None and changed_value(ctx, result) is not None:
            continue
        functions = [o for o in v.options(callee) if isinstance(o, v.Function)]
        definition = _definition(ctx, functions[0]) if len(functions) == 1 else None
        if definition is not None:
            if _affected_inside(handed, definition):
                yield Hidden(handed.call, handed.changed, definition.name)
        elif not _known(ctx, callee):
            yield from _outside(ctx, handed)


def _known(ctx: FileContext, callee: v.Value) -> bool:
    """Whether a callee never calls what it is given, or is seen through."""
    names = [o.name for o in v.options(callee) if isinstance(o, v.Symbol)]
    return any(
        ctx.release.affects(n) or n.partition(".")[0] in {"functools", "inspect", "unittest", "nki"}
        for n in names
    ) or any(map(only_looks, names))


def _handed(ctx: FileContext) -> Iterator[Handed]:
    links = {id(link): (use, i) for use in ctx.uses for i, link in enumerate(use.links)}
    for use in ctx.uses:
        call = ctx.parent(use.top)
        if not isinstance(call, ast.Call) or id(call) not in links or call.func is use.top:
            continue
        found = changed_value(ctx, ctx.evaluator.use(use))
        if found is not None:
            outer, index = links[id(call)]
            yield Handed(use.top, found, call, outer, index)


# -- functions of the same file ---------------------------------------------------------------------------


@once
def own_functions(ctx: FileContext) -> dict[str, Function]:
    """The file's own functions by their qualified names; of several of one name the first."""
    found: dict[str, Function] = {}
    for binding in ctx.module.bindings:
        if binding.kind == "function" and isinstance(binding.node, Function):
            found.setdefault(ctx.evaluator.qualified(binding), binding.node)
    return found


def _definition(ctx: FileContext, function: v.Function) -> Function | None:
    return own_functions(ctx).get(function.name)


def _affected_inside(handed: Handed, node: Function) -> bool:
    """Whether the function calls the parameter that gets the kernel with arguments that are affected."""
    parameter = _parameter(handed, node)
    calls = [c for c in ast.walk(node) if isinstance(c, ast.Call) and _called_name(c) == parameter]
    return bool(parameter) and any(handed.changed.concerns(*_reaching(handed, node, c)) for c in calls)


def _parameter(handed: Handed, node: Function) -> str:
    """The name of the parameter; "" when it cannot be told."""
    for keyword in handed.call.keywords:
        if keyword.value is handed.node:
            return keyword.arg or ""
    names = _positional(handed, node)
    places = [i for i, argument in enumerate(handed.call.args) if argument is handed.node]
    plain = not any(isinstance(a, ast.Starred) for a in handed.call.args[: (places or [0])[0]])
    return names[places[0]] if places and plain and places[0] < len(names) else ""


def _positional(handed: Handed, node: Function) -> list[str]:
    names = [a.arg for a in (*node.args.posonlyargs, *node.args.args)]
    bound = isinstance(handed.call.func, ast.Attribute) and names[:1] in (["self"], ["cls"])
    return names[1:] if bound else names


def _called_name(call: ast.Call) -> str:
    function = call.func
    while isinstance(function, ast.Subscript):
        function = function.value
    return function.id if isinstance(function, ast.Name) else ""


def _reaching(handed: Handed, node: Function, call: ast.Call) -> tuple[int | None, set[str | None]]:
    """The shape of a call in the function, with what the outer call shows of ``*args`` and ``**kwargs``."""
    outer_count, outer_names = shape(handed.call.args, handed.call.keywords)
    own = {a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)}
    count, names = shape(call.args, call.keywords)
    stars = [a.value for a in call.args if isinstance(a, ast.Starred)]
    if len(stars) == 1 and outer_count is not None and _is(stars[0], node.args.vararg):
        count = len(call.args) - 1 + max(0, outer_count - len(_positional(handed, node)))
    unpacked = [k.value for k in call.keywords if k.arg is None]
    if len(unpacked) == 1 and _is(unpacked[0], node.args.kwarg):
        names = (names - {None}) | {n for n in outer_names if n not in own}
    return count, names


def _is(node: ast.expr, arg: ast.arg | None) -> bool:
    return isinstance(node, ast.Name) and arg is not None and node.id == arg.arg


# -- functions from elsewhere ---------------------------------------------------------------------------


def _outside(ctx: FileContext, handed: Handed) -> Iterator[Hidden]:
    """Arguments given along with the kernel, and calls of what comes back."""
    text = ctx.segment(handed.call.func)
    if _given_along(handed):
        yield Hidden(handed.call, handed.changed, text)
    for call in _called_later(ctx, handed):
        if handed.changed.concerns(*shape(call.args, call.keywords)):
            yield Hidden(call, handed.changed, text)


def _given_along(handed: Handed) -> bool:
    """``submit(kernel, x, w, …)``, ``Thread(target=kernel, args=(x, …))`` and ``starmap(kernel, rows)``."""
    start = handed.changed.start
    if start is None:
        return False
    listed = [k.value for k in handed.call.keywords if k.arg in _LISTED]
    if handed.call.args[:1] == [handed.node]:
        rest, name = handed.call.args[1:], last_name(handed.call.func)
        if name in _STARRING:
            return bool(rest) and any(count is None or count > start for count in _widths(rest[0]))
        if (shape(rest, [])[0] or 0) > start:
            return True
        listed += rest[:1] if name in _APPLYING else []
    return any((_width(each) or 0) > start for each in listed)


def _width(node: ast.expr) -> int | None:
    """How many items a display of them has; None when nothing tells."""
    return shape(node.elts, [])[0] if isinstance(node, ast.Tuple | ast.List) else None


def _widths(node: ast.expr) -> list[int | None]:
    """The widths of the rows of a display, or of whatever an iterable gives."""
    if isinstance(node, ast.ListComp | ast.GeneratorExp):
        return [_width(node.elt)]
    if isinstance(node, ast.Call) and last_name(node.func) == "zip":
        return [shape(node.args, [])[0]]
    return [_width(row) for row in node.elts] if isinstance(node, ast.Tuple | ast.List) else [None]


def _called_later(ctx: FileContext, handed: Handed) -> Iterator[ast.Call]:
    """Calls of the result: at once, launched, or of the name it is assigned to."""
    rest = handed.use.links[handed.index + 1 :]
    first = _first_call(rest)
    if first is not None:
        yield first
    if rest:
        return
    for binding in ctx.module.bindings:
        if binding.value is handed.call and binding.kind == "assign" and not binding.path:
            for use in ctx.module.by_name.get(binding.name, ()):
                owner = ctx.module.lookup(binding.name, use.scope)
                if owner is not None and binding in reaching(owner[1], use, owner[0]):
                    found = _first_call(use.links[1:])
                    if found is not None:
                        yield found


def _first_call(links: list[ast.expr]) -> ast.Call | None:
    for link in links:
        if isinstance(link, ast.Call):
            return link
        if not isinstance(link, ast.Subscript):
            return None
    return None
