"""Whether an expression gives an integer of NumPy's own types, which are no Python ints."""

from __future__ import annotations

import ast
from enum import Enum

from .analysis import values as v
from .analysis.context import FileContext
from .analysis.scopes import Binding, Use
from .evidence import bindings_of

_SCALARS = {
    f"{sign}{kind}" for sign in ("", "u") for kind in ("int8", "int16", "int32", "int64", "intp", "int_")
}
_SCALARS |= {
    "intc",
    "uintc",
    "uint",
    "integer",
    "signedinteger",
    "unsignedinteger",
    "longlong",
    "short",
    "byte",
}
_ROWS = {"arange", "flatnonzero"}
_ARRAYS = {
    "array", "asarray", "ascontiguousarray", "zeros", "ones", "full", "empty", "zeros_like", "ones_like",
    "argsort", "sort", "unique", "cumsum", "concatenate", "repeat", "tile", "where", "searchsorted",
    "random.permutation", "random.randint", "random.choice", "roll", "flip", "diff", "argwhere", "sum", "max",
    "min", "prod", "argmax", "argmin",
}  # fmt: skip
_SAME = {"copy", "astype", "reshape", "flatten", "ravel", "cumsum", "argsort", "view", "squeeze", "transpose"}
_REDUCED = {"max", "min", "sum", "prod", "argmax", "argmin"}
_PLAIN_CALLS = {"int", "len", "range", "ord", "round"}
_ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.FloorDiv, ast.Mod)
_DEPTH = 12


class Number(Enum):
    """What is known about a value, with regard to NumPy."""

    NUMPY = "an integer of NumPy's"
    PYTHON = "an int of Python's"
    EITHER = "one of these two"
    ROW = "a row of NumPy integers"
    ROWS = "an iterable of Python ints"
    ARRAY = "an array of NumPy's, or an element of one: integers, or arrays again"
    UNKNOWN = "anything"


def number(ctx: FileContext, use: Use, node: ast.expr, depth: int = 0) -> Number:
    """What an expression gives where ``use`` stands."""
    if depth > _DEPTH:
        return Number.UNKNOWN
    if isinstance(node, ast.Constant):
        return Number.PYTHON if type(node.value) is int else Number.UNKNOWN
    if isinstance(node, ast.Name):
        return _joined([_bound(ctx, b, depth) for b in bindings_of(ctx, use, node)])
    if isinstance(node, ast.Call):
        return _called(ctx, use, node, depth)
    if isinstance(node, ast.Subscript):
        return _item(ctx, use, node, depth)
    if isinstance(node, ast.BinOp):
        return _computed(
            number(ctx, use, node.left, depth + 1), node.op, number(ctx, use, node.right, depth + 1)
        )
    if isinstance(node, ast.IfExp):
        return _joined([number(ctx, use, arm, depth + 1) for arm in (node.body, node.orelse)])
    if isinstance(node, ast.UnaryOp) and not isinstance(node.op, ast.Not):
        return number(ctx, use, node.operand, depth + 1)
    if isinstance(node, ast.NamedExpr):
        return number(ctx, use, node.value, depth + 1)
    return Number.UNKNOWN


def _joined(kinds: list[Number]) -> Number:
    """What holds for a value that is one of several."""
    found = set(kinds)
    if len(found) == 1:
        return kinds[0]
    if found and found <= {Number.NUMPY, Number.PYTHON, Number.EITHER}:
        return Number.EITHER
    return Number.ARRAY if found & {Number.NUMPY, Number.EITHER, Number.ARRAY} else Number.UNKNOWN


def _computed(left: Number, op: ast.operator, right: Number) -> Number:
    integers = {Number.NUMPY, Number.PYTHON, Number.EITHER}
    if not isinstance(op, _ARITHMETIC) or not {left, right} & {Number.NUMPY, Number.EITHER}:
        both = left is right is Number.PYTHON and isinstance(op, _ARITHMETIC)
        return Number.PYTHON if both else Number.UNKNOWN
    if {left, right} <= integers:
        return Number.NUMPY if Number.NUMPY in (left, right) else Number.EITHER
    return Number.UNKNOWN


# -- names ----------------------------------------------------------------------------------------------


def _bound(ctx: FileContext, binding: Binding, depth: int) -> Number:
    """What a binding gives its name."""
    if binding.annotation is not None:
        declared = _name(ctx.evaluator.expression(binding.annotation, binding))
        if declared in _SCALARS:
            return Number.NUMPY
    if binding.value is None or binding.kind not in {"assign", "element"} or binding.stmt is None:
        return Number.UNKNOWN
    place = Use([binding.value], binding.scope, binding.block, binding.order, binding.stmt, binding.value)
    if binding.kind == "element":
        return _element_of(ctx, place, binding.value, binding.path, depth + 1)
    return number(ctx, place, binding.value, depth + 1) if not binding.path else Number.UNKNOWN


def _element_of(
    ctx: FileContext, use: Use, node: ast.expr, path: tuple[int | None, ...], depth: int
) -> Number:
    """What a loop over an expression gives."""
    name = _builtin(ctx, use, node)
    arguments = node.args if isinstance(node, ast.Call) else []
    if name == "enumerate" and arguments and path[:1] in ((0,), (1,)):
        return _element_of(ctx, use, arguments[0], path[1:], depth) if path[0] else Number.PYTHON
    if name == "zip" and path and path[0] is not None and path[0] < len(arguments):
        return _element_of(ctx, use, arguments[path[0]], path[1:], depth)
    if name in {"reversed", "sorted", "list", "tuple", "set", "iter"} and arguments:
        return _element_of(ctx, use, arguments[0], path, depth)
    return _element(number(ctx, use, node, depth)) if not path else Number.UNKNOWN


def _element(of: Number) -> Number:
    if of is Number.ROW:
        return Number.NUMPY
    if of is Number.ROWS:
        return Number.PYTHON
    return Number.ARRAY if of is Number.ARRAY else Number.UNKNOWN


def _item(ctx: FileContext, use: Use, node: ast.Subscript, depth: int) -> Number:
    of = number(ctx, use, node.value, depth + 1)
    if of not in {Number.ROW, Number.ARRAY}:
        return Number.UNKNOWN
    if isinstance(node.slice, ast.Slice):
        return of
    index = number(ctx, use, node.slice, depth + 1)
    single = index in {Number.NUMPY, Number.PYTHON, Number.EITHER}
    return Number.NUMPY if of is Number.ROW and single else Number.ARRAY


# -- calls ----------------------------------------------------------------------------------------------


def _called(ctx: FileContext, use: Use, node: ast.Call, depth: int) -> Number:
    builtin = _builtin(ctx, use, node)
    if builtin in _PLAIN_CALLS:
        return Number.ROWS if builtin == "range" else Number.PYTHON
    name = _name(ctx.evaluator.at(node.func, use))
    if name in _SCALARS:
        return Number.NUMPY
    if name in _ROWS:
        return Number.ROW if _whole(ctx, use, node) else Number.ARRAY
    if name in {"array", "asarray"} and node.args and not node.args[1:] and not node.keywords:
        return Number.ROW if _integers(node.args[0]) else Number.ARRAY
    if name in _ARRAYS:
        return Number.ARRAY
    if name or not isinstance(node.func, ast.Attribute) or node.func.attr not in _SAME | _REDUCED:
        return Number.UNKNOWN
    of = number(ctx, use, node.func.value, depth + 1)
    if of is Number.ROW and node.func.attr in _REDUCED and not node.args and not node.keywords:
        return Number.NUMPY
    return of if of is Number.ROW and node.func.attr == "copy" else _blurred(of)


def _blurred(of: Number) -> Number:
    return Number.ARRAY if of in {Number.ROW, Number.ARRAY} else Number.UNKNOWN


def _whole(ctx: FileContext, use: Use, node: ast.Call) -> bool:
    """Whether nothing makes floats of what ``arange`` or ``flatnonzero`` gives."""
    parts = [part for argument in node.args for part in ast.walk(argument)]
    floats = any(
        isinstance(p, ast.Div) or (isinstance(p, ast.Constant) and type(p.value) is float) for p in parts
    )
    bounds = {"start", "stop", "step"}
    types = [_name(ctx.evaluator.at(k.value, use)) for k in node.keywords if k.arg not in bounds]
    return not floats and len(node.args) <= len(bounds) and all(name in _SCALARS for name in types)


def _integers(node: ast.expr) -> bool:
    """Whether a display holds nothing but literal integers."""
    if not isinstance(node, ast.List | ast.Tuple):
        return False
    plain = [e.operand if isinstance(e, ast.UnaryOp) else e for e in node.elts]
    return bool(plain) and all(isinstance(e, ast.Constant) and type(e.value) is int for e in plain)


def _builtin(ctx: FileContext, use: Use, node: ast.expr) -> str:
    """The name of the built-in function that a call calls; "" for anything else."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        return ""
    value = ctx.evaluator.at(node.func, use)
    known = isinstance(value, v.Symbol) and value.name == f"builtins.{node.func.id}"
    return node.func.id if known else ""


def _name(value: v.Value) -> str:
    """The name of something of NumPy's, without ``numpy.``; "" for anything else."""
    if not isinstance(value, v.Symbol) or not value.name.startswith("numpy."):
        return ""
    return value.name.removeprefix("numpy.")
