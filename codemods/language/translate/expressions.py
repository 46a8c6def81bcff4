"""What expressions stand for; device operations inside are written to the statement's lines."""

from __future__ import annotations

import ast
from collections.abc import Callable

from ...dialect.conditions import is_odd_key
from ...record import replace
from ...trees import children
from ..analysis import values as v
from ..analysis.index import Index, Window
from ..analysis.refusal import Refused
from ..analysis.symbols import Sym
from ..lowering import views
from ..lowering.instructions import NOT_OPERATIONS
from . import blocks, calls, carried, numbers, operators, subscripts, tokens
from .values import Absent, Axes, Blocks, Choice, Grid, Lost, Named, NewAxis, UserFunction, Value, Whole
from .walker import Walker, known, text


def evaluate(w: Walker, node: ast.expr) -> Value:
    """The value of an expression.

    Raises Refused or Skipped when there is none in the new language.
    """
    handler = _HANDLERS.get(type(node), _generic)
    return handler(w, node)


def code(w: Walker, node: ast.expr) -> str:
    """The new code for an expression."""
    return text(known(evaluate(w, node)))


def _constant(w: Walker, node: ast.Constant) -> Value:
    if node.value is Ellipsis:
        return Whole()
    if isinstance(node.value, bool | float):
        return v.Scalar(w.segment(node))
    if isinstance(node.value, int):
        if node.value >= 2**31:
            w.writer.note("M-WIDE", number=w.segment(node))
        return v.Scalar(w.segment(node), Sym.constant(node.value, w.segment(node)))
    return Absent("None") if node.value is None else v.Unknown(w.segment(node))


def _name(w: Walker, node: ast.Name) -> Value:
    if node.id in w.env.values:
        return w.env.chosen(known(w.env.values[node.id]))
    return _library(w, node) or _global(w, node)


def _library(w: Walker, node: ast.Name | ast.Attribute) -> Value | None:
    short = w.names.short(node)
    if not short or (short.startswith("builtins.") and not isinstance(node, ast.Name)):
        return None
    found = tokens.value(short, w.segment(node)) or numbers.constant(w, short, w.segment(node))
    qualified = w.names.qualified(node)
    if tokens.is_of_project(short):
        return v.Unknown(w.segment(node))
    gone = tokens.is_ours(qualified) and not _lives_on(w, qualified)
    return Named(w.segment(node), short, gone) if found is None or gone else found


def _lives_on(w: Walker, qualified: str) -> bool:
    """Whether the new language has something by this name, or for it where it is handed over."""
    entry = w.module.step.entry(qualified)
    handed = entry is not None and (entry.token or entry.literals or entry.kind == "A")
    return bool(handed or w.module.step.successor(qualified) or tokens.is_member(qualified))


def _global(w: Walker, node: ast.Name) -> Value:
    """A name of the module: a function of the language, a number, or something unknown."""
    function = w.module.functions.get(node.id)
    if function is not None:
        return UserFunction(node.id, function.node)
    if node.id in w.module.changing:
        w.writer.note("M-GLOBAL", v=node.id)
    number = w.module.numbers.get(node.id)
    if number is not None:
        whole = isinstance(number, int)
        return v.Scalar(node.id, Sym.constant(int(number), node.id) if whole else None, not whole)
    return v.Unknown(node.id)


def _attribute(w: Walker, node: ast.Attribute) -> Value:
    if isinstance(node.value, ast.Call) and w.names.short(node.value.func) in ("nl.finfo", "numpy.finfo"):
        kinds = [*node.value.args, *(k.value for k in node.value.keywords)]
        number = numbers.limit(w, node, known(evaluate(w, kinds[0]))) if len(kinds) == 1 else None
        if number is not None:
            return number
    found = _library(w, node)
    if found is not None:
        return found
    base = known(evaluate(w, node.value))
    return attribute(w, node, base)


def attribute(w: Walker, node: ast.Attribute, base: Value) -> Value:
    """``base.attr``."""
    if isinstance(base, v.Tensor | Blocks):
        found = _tensor_attribute(w, base.whole if isinstance(base, Blocks) else base, node)
        if found is not None and isinstance(base, Blocks):
            return _without_tensor(found, base)
        if found is not None:
            return found
        raise Refused("M-PY", x=f"the attribute `{node.attr}` of a tensor")
    if isinstance(base, Grid):
        return base.component(node.attr)
    if isinstance(base, v.Dtype):
        size = views.itemsize(base, w.writer) if node.attr == "itemsize" else None
        if size is not None:
            return size
        if numbers.is_maker(w, node) and base.known is not None:
            return Named(w.segment(node), f"{numbers.NUMPY}{base.known}")
        raise Refused("M-PY", x=f"the attribute `{node.attr}` of an element type")
    return v.Unknown(w.respelled(node, [(node.value, text(base))]))


def _without_tensor(found: Value, base: Blocks) -> Value:
    """What is said of a list of tiles is spelled without it."""
    if isinstance(found, v.Items):
        return v.Items(f"({', '.join(text(item) for item in found.items)})", found.items)
    return base.whole.dtype if isinstance(found, v.Dtype) and base.whole.dtype else found


def _tensor_attribute(w: Walker, base: v.Tensor, node: ast.Attribute) -> Value | None:
    name = node.attr
    if name == "shape":
        spelled = f"{base.text}.shape"
        if base.shape is None:
            return Axes(spelled, base.text)
        if base.extents:
            return _uncut_shape(w, node, base, base.shape)
        return v.Items(spelled, tuple(v.Scalar(size.text, size) for size in base.shape))
    if name == "dtype":
        spelled = f"{base.text}.dtype"
        return replace(base.dtype, text=spelled) if base.dtype else v.Dtype(spelled, None, base.text)
    if name == "itemsize":
        return views.itemsize(base.dtype, w.writer) if base.dtype else None
    if name == "buffer":  # of which the old language says nothing, but kernels use it
        return v.Unknown(f"{base.text}.buffer")
    if name == "ndim":
        rank = None if base.shape is None else Sym.constant(len(base.shape))
        return v.Scalar(f"len({base.text}.shape)", rank)
    return None


def _uncut_shape(w: Walker, node: ast.Attribute, base: v.Tensor, shape: v.Shape) -> v.Items:
    """The shape that the old code sees, which is not that of what a mask left."""
    named = tuple(
        size.named(f"{base.text}.shape[{axis}]") if was is None and size.value is None else was or size
        for axis, (size, was) in enumerate(zip(shape, base.extents, strict=True))
    )
    one = _constant_index(w, node)
    if one is not None and -len(named) <= one < len(named) and named[one].is_written:
        return v.Items(
            "", tuple(v.Scalar("" if i != one % len(named) else s.text, s) for i, s in enumerate(named))
        )
    sizes = tuple(v.Scalar(size.text, size) for size in named)
    return v.Items(f"({', '.join(size.text for size in sizes)})", sizes)


def _constant_index(w: Walker, node: ast.Attribute) -> int | None:
    """The number that a shape is subscripted with right there."""
    outer = w.function.nodes.parents.get(node)
    index = outer.slice if isinstance(outer, ast.Subscript) else None
    negative = isinstance(index, ast.UnaryOp) and isinstance(index.op, ast.USub)
    number = index.operand if isinstance(index, ast.UnaryOp) and negative else index
    value = number.value if isinstance(number, ast.Constant) else None
    return None if type(value) is not int else -value if negative else value


def _tuple(w: Walker, node: ast.Tuple | ast.List) -> Value:
    if any(isinstance(item, ast.Starred) for item in node.elts):
        return _generic(w, node)
    found = [known(evaluate(w, item)) for item in node.elts]
    pairs = zip(node.elts, found, strict=True)
    spelled = w.respelled(node, [(item, blocks.spelled(w, x)) for item, x in pairs])
    return v.Items(spelled, tuple(found))  # type: ignore[arg-type]


def _slice(w: Walker, node: ast.Slice) -> Value:
    nodes = (node.lower, node.upper, node.step)
    parts = [known(evaluate(w, part)) if part else None for part in nodes]
    sizes = [
        None if part is None or n is None else operators.counted(w, n, part)
        for n, part in zip(nodes, parts, strict=True)
    ]
    if any(part is not None and size is None for part, size in zip(parts, sizes, strict=True)):
        raise Refused("M-IDX", expr=w.segment(node))
    pairs = [(n, text(p)) for n, p in zip(nodes, parts, strict=True) if n and p]
    start, stop, step = sizes
    return Window(start, stop, step, w.respelled(node, pairs))


def _generic(w: Walker, node: ast.expr) -> Value:
    """Python of trace time, as it stands but for what the new release spells differently."""
    inner = [child for child in children(node) if isinstance(child, ast.expr)]
    parts = [(child, text(known(evaluate(w, child)))) for child in inner]
    return v.Unknown(w.respelled(node, parts))


def _formatted(w: Walker, node: ast.JoinedStr) -> Value:
    """An f-string; the new language has no format specifications."""
    fields = [part for part in node.values if isinstance(part, ast.FormattedValue)]
    new = [code(w, field.value) for field in fields]
    same = all(text == ast.unparse(field.value) for text, field in zip(new, fields, strict=True))
    if same and all(field.format_spec is None for field in fields):
        return v.Unknown(w.segment(node))
    texts, pieces = iter(new), []
    for part in node.values:
        if isinstance(part, ast.FormattedValue):
            conversion = f"!{chr(part.conversion)}" if part.conversion > 0 else ""
            pieces.append(f"{{{next(texts)}{conversion}}}")
        elif isinstance(part, ast.Constant) and isinstance(part.value, str):
            escaped = repr(f'"{part.value}')[2:-1].replace("\\'", "'")
            pieces.append(escaped.replace("{", "{{").replace("}", "}}"))
    spelled = "".join(pieces)
    if '"' in spelled or "\\" in "".join(new):
        raise Refused("M-PY", x="a format specification in an f-string")
    return v.Unknown(f'f"{spelled}"')


def _condition(w: Walker, node: ast.IfExp) -> Value:
    test = known(evaluate(w, node.test))
    one, two = _arm(w, node.body, text(test), True), _arm(w, node.orelse, text(test), False)
    if isinstance(one, Index | Choice) and isinstance(two, Index | Choice):
        return w.env.chosen(Choice(w.segment(node), w.env.identity(text(test)), one, two))
    parts = [(node.test, text(test)), (node.body, text(one)), (node.orelse, text(two))]
    spelled = w.respelled(node, parts)
    if one == two:
        return one
    for name in carried.counted(w, node.test):
        w.writer.note("M-LOOP", v=name)
    if isinstance(one, v.Dtype) and isinstance(two, v.Dtype):
        return v.Dtype(spelled, None, spelled)
    if isinstance(one, v.Token) and isinstance(two, v.Token) and not NOT_OPERATIONS & {one.name, two.name}:
        return v.Token("", spelled)
    if isinstance(one, v.Scalar) and isinstance(two, v.Scalar):
        whole = one.sym is not None and two.sym is not None
        return v.Scalar(spelled, Sym.atom(f"({spelled})") if whole else None)
    return v.Unknown(spelled)


def _arm(w: Walker, node: ast.expr, test: str, holds: bool) -> Value:
    """The value of one side of a conditional expression, where it stands: it may not be evaluated at all."""
    before, goal = w.env.decided, w.writer.innermost
    apart, goal.apart = goal.apart, False
    w.env.decide(test, holds)
    value = known(evaluate(w, node))
    w.env.decided, goal.apart = before, apart
    return value


def _dictionary(w: Walker, node: ast.Dict) -> Value:
    """A dictionary of trace time, whose keys are strings as far as can be seen."""
    if any(map(is_odd_key, node.keys)):
        raise Refused("M-PY", x="a dictionary with keys that are no strings")
    return _generic(w, node)


def _opaque(w: Walker, node: ast.expr) -> Value:
    """Expressions with names of their own."""
    raise Refused("M-PY", x=_PYTHON.get(type(node), type(node).__name__))


_PYTHON = {
    ast.Lambda: "lambda",
    ast.ListComp: "a list comprehension",
    ast.SetComp: "a set comprehension",
    ast.DictComp: "a dict comprehension",
    ast.GeneratorExp: "a generator expression",
    ast.NamedExpr: "an assignment expression",
    ast.Set: "a set",
    ast.Await: "await",
    ast.Yield: "yield",
    ast.YieldFrom: "yield from",
}

_HANDLERS: dict[type, Callable[..., Value]] = {
    ast.Constant: _constant,
    ast.Name: _name,
    ast.Attribute: _attribute,
    ast.Tuple: _tuple,
    ast.List: _tuple,
    ast.Slice: _slice,
    ast.Dict: _dictionary,
    ast.IfExp: _condition,
    ast.JoinedStr: _formatted,
    ast.BinOp: operators.binary,
    ast.UnaryOp: operators.unary,
    ast.Compare: operators.compare,
    ast.BoolOp: operators.logical,
    ast.Call: calls.call,
    ast.Subscript: subscripts.subscript,
    **dict.fromkeys(_PYTHON, _opaque),
}
__all__ = ["Lost", "NewAxis", "attribute", "code", "evaluate"]
