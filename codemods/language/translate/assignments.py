"""Assignments: to names, to several names, into tiles."""

from __future__ import annotations

import ast

from ...record import replace
from ...trees import walk
from ..analysis import values as v
from ..analysis.dtypes import is_real
from ..analysis.iterations import Counter, distinct
from ..analysis.refusal import Refused
from ..lowering.operators import BINARY
from ..lowering.tiles import OFF_CHIP
from . import (
    access,
    accumulation,
    blocks,
    carried,
    collected,
    expressions,
    handed,
    operations,
    sinks,
    subscripts,
)
from .freed import freed
from .parameters import arguments
from .values import VIRTUAL, Axes, Blocks, Grid, Partitions, Tiles, Value
from .walker import Walker, known, text
from .writer import Goal


def assign(w: Walker, node: ast.Assign) -> str | None:
    """``target = value``."""
    if len(node.targets) > 1:
        return _chained(w, node)
    return _to(w, node.targets[0], node.value, w.segment(node))


def _chained(w: Walker, node: ast.Assign) -> str | None:
    """``a = b = number``, which stays."""
    value = known(expressions.evaluate(w, node.value))
    names = [target.id for target in node.targets if isinstance(target, ast.Name)]
    if len(names) < len(node.targets) or not isinstance(value, v.Scalar | v.Unknown) or w.writer.touched:
        raise Refused("M-PY", x="an assignment to several targets")
    for name in names:
        bind(w, name, value)
    return w.respelled(node, [(node.value, text(value))])


def annotated(w: Walker, node: ast.AnnAssign) -> str | None:
    """``target: type = value``; the annotation goes."""
    if node.value is None:
        return None
    return _to(w, node.target, node.value, w.segment(node))


def _to(w: Walker, target: ast.expr, value: ast.expr, segment: str) -> str | None:
    if isinstance(target, ast.Name):
        return _name(w, target.id, value)
    if isinstance(target, ast.Tuple | ast.List):
        return _several(w, target, value)
    if isinstance(target, ast.Subscript):
        return _part(w, target, value)
    spelled = expressions.code(w, value)
    return f"{expressions.code(w, target)} = {spelled}"


# -- names --------------------------------------------------------------------------------------------


def _name(w: Walker, name: str, node: ast.expr) -> str | None:
    if collected.is_reduction(w, node):
        collected.into(w, ast.Name(name, ast.Load()), node)
        return None
    _check_carried(w, name, node)
    given = _given(w, name, node, w.writer.innermost)
    return None if given is None else f"{name} = {given}"


def _given(w: Walker, name: str, node: ast.expr, goal: Goal) -> str | None:
    """The new code for what a name gets; None when it is there, or needs no assignment."""
    goal.hint, goal.exact, goal.sink = name, not _reads(w, name, node), sinks.of_name(w, name)
    value = known(expressions.evaluate(w, node))
    bind(w, name, value)
    made = isinstance(value, Blocks) and goal.made is not None
    if made or isinstance(value, VIRTUAL) or (name in w.programs and text(value) == name):
        return None
    done = isinstance(value, v.Tensor) and value.text == name and goal.made
    return None if done else blocks.spelled(w, value)


def _check_carried(w: Walker, name: str, node: ast.expr) -> None:
    """A number that counts iterations of a loop whose body the former tracer ran once."""
    carried = isinstance(w.env.values.get(name), v.Scalar) and w.env.carried(name)
    if carried and _mentions(node, name):
        raise Refused("M-LOOP", v=name)


def _reads(w: Walker, name: str, node: ast.expr) -> bool:
    """Whether the value is made from a tile of the same name, which must stay until it is read."""
    return isinstance(w.env.values.get(name), v.Tensor) and _mentions(node, name)


def _mentions(node: ast.expr, name: str) -> bool:
    return any(isinstance(n, ast.Name) and n.id == name for n in walk(node))


def bind(w: Walker, name: str, value: Value) -> None:
    """A name stands for a value from now on."""
    again = name in w.env.often and name in w.env.values
    w.env.bind(name, value)
    if isinstance(value, v.Tensor):
        value = replace(value, text=name, whole=value.whole)
    elif isinstance(value, Partitions):
        value = Partitions(name, w.env.number(name, value.sym).sym)
    elif isinstance(value, v.Scalar):
        value = replace(w.env.number(name, value.sym), real=is_real(value))
    elif isinstance(value, v.Unknown) and name in w.env.integers:
        value = w.env.number(name, None)
    elif isinstance(value, v.Items):
        value = replace(value, text=name, items=tuple(_item(name, *each) for each in enumerate(value.items)))
    elif isinstance(value, v.Unknown | v.Dtype | v.Token | Blocks | Axes | Tiles):
        value = replace(value, text=name)
    w.env.values[name] = freed(name, value, w.env.former(name)) if again else value


def _item(name: str, index: int, item: v.Value) -> v.Value:
    """A tile in a sequence: a call that gave it is not made again, and its name may get another tile."""
    if not isinstance(item, v.Tensor) or not ("(" in item.text or item.text.isidentifier()):
        return item
    return replace(item, text=f"{name}[{index}]")


# -- several names ------------------------------------------------------------------------------------


def _several(w: Walker, target: ast.Tuple | ast.List, node: ast.expr) -> str | None:
    if not all(isinstance(t, ast.Name) for t in target.elts):
        raise Refused("M-PY", x="an assignment to parts of tensors at once")
    names = [t.id for t in target.elts if isinstance(t, ast.Name)]
    if isinstance(node, ast.Tuple | ast.List) and _apart(names, node) and _needs_lines(w, node):
        return _one_by_one(w, names, node)
    with w.writer.goal(Goal("tile", names=tuple(names))):
        value = known(expressions.evaluate(w, node))
    if isinstance(value, Axes):
        value = ranked(w, value, len(names))
    items: tuple[Value, ...] = ()
    if isinstance(value, v.Items):
        items = value.items
    elif isinstance(value, Grid):
        items = value.components
    if items and len(items) != len(names):
        raise Refused("M-PY", x=f"{len(items)} values for {len(names)} names")
    for name, item in zip(names, items or [v.Unknown(n) for n in names], strict=True):
        bind(w, name, item)
    if items and all(isinstance(item, VIRTUAL) for item in items):
        return None
    if any(isinstance(item, VIRTUAL) for item in items):
        raise Refused("M-IDX", expr=w.segment(node), reason="index tiles and other values in one assignment")
    return f"{w.segment(target)} = {text(value)}"


def _apart(names: list[str], node: ast.Tuple | ast.List) -> bool:
    """Whether each name gets its own value, which is not made from another name's old one."""
    if len(names) != len(node.elts) or len({*names}) < len(names):
        return False
    starred = any(isinstance(item, ast.Starred) for item in node.elts)
    return not starred and not any(
        _mentions(item, name) for n, name in enumerate(names) for m, item in enumerate(node.elts) if m != n
    )


def _needs_lines(w: Walker, node: ast.Tuple | ast.List) -> bool:
    """Whether something is computed on the device, or made of index tiles or masks."""
    inner = [n for item in node.elts for n in walk(item)]
    calls = [w.names.short(n.func) for n in inner if isinstance(n, ast.Call)]
    own = any(isinstance(n, ast.Name) and n.id in w.module.functions for n in inner)
    values = (w.env.values.get(n.id) for n in inner if isinstance(n, ast.Name))
    return (
        own
        or any(name.startswith(("nl.", "nisa.")) for name in calls)
        or any(isinstance(value, VIRTUAL) for value in values)
    )


def _one_by_one(w: Walker, names: list[str], node: ast.Tuple | ast.List) -> str | None:
    """``a, b = f(x), g(y)``: tiles get their names, the rest is assigned behind them."""
    left: dict[str, str] = {}
    for name, item in zip(names, node.elts, strict=True):
        if collected.is_reduction(w, item):
            raise Refused("M-CARRIED", fn="loop_reduce", name=collected.NAME)
        _check_carried(w, name, item)
        with w.writer.goal(Goal("tile")) as goal:
            given = _given(w, name, item, goal)
        if given is not None:
            left[name] = given
    return f"{', '.join(left)} = {', '.join(left.values())}" if left else None


def ranked(w: Walker, axes: Axes, rank: int) -> v.Items:
    """The shape of a tensor that is unpacked or asserted: so many dimensions there are."""
    shape = access.unknown_shape(w, axes.of, rank)
    for name, value in w.env.values.items():
        if isinstance(value, v.Tensor) and value.text == axes.of and value.shape is None:
            w.env.values[name] = replace(value, shape=shape)
    return v.Items(axes.text, tuple(v.Scalar(size.text, size) for size in shape))


# -- into tiles ---------------------------------------------------------------------------------------


def _is_array(w: Walker, node: ast.expr) -> bool:
    """Whether a name is that of an array which NumPy made."""
    made = w.function.nodes.assignments.get(node.id, ()) if isinstance(node, ast.Name) else ()
    return any(
        isinstance(each, ast.Call) and w.names.qualified(each.func).startswith("numpy.") for each in made
    )


def _part(w: Walker, target: ast.Subscript, node: ast.expr) -> str | None:
    base = known(expressions.evaluate(w, target.value))
    if not isinstance(base, v.Tensor | Blocks):
        value = known(expressions.evaluate(w, node))
        if isinstance(value, v.Tensor | Blocks):  # a list or a dictionary, or a tile that was lost sight of
            raise Refused("M-SHAPE", fn=f"an assignment to {w.segment(target)}", operands=text(base))
        changes = carried.changed(w, target)
        if changes:
            raise Refused("M-LOOP", v=changes)
        spelled = text(value)
        if _is_array(w, target.value):
            raise Refused("M-CONST")
        if isinstance(target.slice, ast.Tuple):
            raise Refused("M-PY", x="a dictionary with keys that are no strings")
        index = expressions.code(w, target.slice)
        parts = [(target.value, text(base)), (target.slice, index)]
        return f"{w.respelled(target, parts)} = {spelled}"
    if collected.is_reduction(w, node):
        collected.into(w, target, node)
        return None
    place = subscripts.element(w, target, base, _overwrites(node))
    assert isinstance(place, v.Tensor)
    if place.space is v.Space.PSUM and accumulation.is_product(node, w.names):
        again = _overwritten(w, target, place)
        w.env.products.add(place.text)
        if again:
            value = known(operations.nested(w, node))
            with w.writer.goal(Goal("tile", target=place)):
                copied_into(w, value)
            return None
    with w.writer.goal(Goal("tile", target=place)) as goal:
        value = known(expressions.evaluate(w, node))
        if goal.made is None:
            copied_into(w, value)
    return None


def _overwritten(w: Walker, target: ast.Subscript, place: v.Tensor) -> bool:
    """Whether a product is written where one may have been written before: there it would be added."""
    base: ast.expr = target
    while isinstance(base, ast.Subscript):
        base = base.value
    depth = w.env.depths.get(base.id, 0) if isinstance(base, ast.Name) else 0
    if place.text in w.env.products or id(target) in w.preceded or not isinstance(base, ast.Name):
        return True
    is_parameter = base.id in {a.arg for a in arguments(w.function.node)}
    outside = handed.counters(w, base.id) if is_parameter else []
    loops = w.env.loops[depth:]
    found = w.views.get(place.text)
    inside = [Counter(x.sym, x.start, x.stop, x.step) for x in loops if x.sym is not None]
    if outside is None or found is None or len(inside) < len(loops):
        return outside is None or bool(outside) or bool(loops)
    return not distinct(found, [*outside, *inside], w.env.facts)


def _overwrites(node: ast.expr) -> bool:
    """Whether every element of the target gets the value."""
    masks = [k.value for k in node.keywords if k.arg == "mask"] if isinstance(node, ast.Call) else []
    return not any(not (isinstance(m, ast.Constant) and m.value is None) for m in masks)


def copied_into(w: Walker, value: Value) -> None:
    """The value of something that exists goes into the statement's tile."""
    place = w.writer.target()
    assert place is not None
    if isinstance(value, v.Tensor):
        name = "nl.store" if place.space in OFF_CHIP else "nl.copy"
        arguments = {"dst": place, "value": value} if name == "nl.store" else {"src": value}
        operations.lowered(w, name, arguments)
    elif isinstance(value, v.Scalar | v.Unknown):
        operations.lowered(w, "nl.full", {"fill_value": v.Scalar(value.text)})
    else:
        raise Refused("M-ARGUMENT", parameter="value", value=text(value))


def augmented(w: Walker, node: ast.AugAssign) -> str | None:
    """``target += value``."""
    name = BINARY.get(type(node.op), "")
    if isinstance(node.target, ast.Attribute):
        return f"{w.segment(node.target)} {_sign(node)} {expressions.code(w, node.value)}"
    base = node.target.value if isinstance(node.target, ast.Subscript) else node.target
    before = known(expressions.evaluate(w, base))
    if isinstance(before, Tiles):
        raise Refused("M-LIST", x=before.text)
    if not isinstance(before, v.Tensor | Blocks):
        return _number(w, node)
    place = before if isinstance(node.target, ast.Name) else subscripts.element(w, node.target, before)
    assert isinstance(place, v.Tensor)
    if isinstance(node.op, ast.Add) and _adds_up(w, place, base, node.value):
        with w.writer.goal(Goal("tile", target=place)):
            expressions.evaluate(w, node.value)
        return None
    value = known(operations.nested(w, node.value))
    with w.writer.goal(Goal("tile", target=place)):
        operations.operator(w, name, place, value)
    return None


def _adds_up(w: Walker, place: v.Tensor, base: ast.expr, value: ast.expr) -> bool:
    """Whether a product is added to a float32 tile in PSUM that nothing else is written to."""
    if place.space is not v.Space.PSUM or place.dtype is None or place.dtype.known != "float32":
        return False
    return isinstance(base, ast.Name) and base.id in w.sums and accumulation.is_product(value, w.names)


def _number(w: Walker, node: ast.AugAssign) -> str:
    value = expressions.code(w, node.value)
    if isinstance(node.target, ast.Name):
        old = w.env.values.get(node.target.id)
        if isinstance(old, v.Scalar) and w.env.carried(node.target.id):
            raise Refused("M-LOOP", v=node.target.id)
        whole = isinstance(old, v.Scalar) and old.sym is not None
        w.env.bind(node.target.id, v.Unknown(node.target.id))
        sym = w.env.atom(node.target.id) if whole else None
        w.env.values[node.target.id] = v.Scalar(node.target.id, sym)
    return w.respelled(node, [(node.value, value)])


def _sign(node: ast.AugAssign) -> str:
    return {ast.Add: "+=", ast.Sub: "-=", ast.Mult: "*=", ast.Div: "/="}.get(type(node.op), "+=")
