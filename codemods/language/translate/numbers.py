"""Numbers of trace time that Python's and NumPy's libraries give: kernels have few of these functions."""

from __future__ import annotations

import ast
import struct

from ...dialect.conditions import ABSENT
from ..analysis import values as v
from ..analysis.dtypes import dtype_of
from ..analysis.refusal import Refused
from ..lowering import views
from .values import Named, Value
from .walker import Walker

NUMPY = "numpy."
FUNCTIONS = frozenset(("ceil", "floor", "gcd", "log2", "log10", "pow", "sqrt"))
"""Members of ``math`` that kernels can call. Source: the open front end of the language."""
_RENAMED = {
    **{f"numpy.{name}": f"math.{name}" for name in ("ceil", "floor", "gcd", "log2", "log10", "sqrt")},
    **dict.fromkeys(("numpy.abs", "numpy.absolute", "numpy.fabs"), "builtins.abs"),
    **dict.fromkeys(("numpy.int32", "numpy.int64"), "builtins.int"),
    "numpy.maximum": "builtins.max",
    "numpy.minimum": "builtins.min",
}
"""NumPy's functions that give the same for numbers as these."""
_CONSTANTS = {"pi": "pi", "e": "e", "inf": "inf", "Inf": "inf", "infty": "inf", "nan": "nan"}
_ARRAYS = frozenset(("numpy.eye", "numpy.identity", "numpy.zeros", "numpy.arange"))
"""What there are constants of, see ``nl.shared_constant``."""
_LIBRARIES = ("functools", "itertools", "operator", "collections", "copy")
"""Python's libraries that kernels have nothing of."""
_MEMBERS = ("min", "max", "eps")


def constant(w: Walker, short: str, spelled: str) -> v.Scalar | None:
    """``math.pi``, ``np.inf``: a number by its name in ``math``."""
    library, _, name = short.partition(".")
    found = _CONSTANTS.get(name, "") if library in ("math", "numpy") else ""
    if not found:
        return None
    return v.Scalar(spelled if library == "math" else f"{w.writer.module('math')}.{found}", real=True)


def function(w: Walker, node: ast.Call, short: str, given: Value) -> tuple[str, Value]:
    """The function that a kernel calls in place of one of Python's or NumPy's, and how it is spelled.

    Raises Refused for one that kernels do not have.
    """
    new = "builtins.float" if _is_float(w, node, short) else _RENAMED.get(short, short)
    library, _, name = new.rpartition(".")
    absent = library in _LIBRARIES or (library == "builtins" and name in ABSENT)
    absent |= library == "math" and name not in FUNCTIONS
    array = new in _ARRAYS or (new.startswith(NUMPY) and _is_constant(w, node))
    if absent or (new.startswith(NUMPY) and not array):
        raise Refused(
            "M-PY", x=f"a call of `{_spelled(w, node, short) or getattr(given, 'text', '') or new}`"
        )
    if new == short:
        return short, given
    return new, Named(name if library == "builtins" else f"{w.writer.module(library)}.{name}", new)


def _is_constant(w: Walker, node: ast.Call) -> bool:
    """Whether it is what ``nl.shared_constant`` is given, which has its own say."""
    return _taker(w, node) == "nl.shared_constant"


def _taker(w: Walker, node: ast.expr) -> str:
    """The name of what is called with an expression as one of its arguments; "" when nothing is."""
    parents = w.function.nodes.parents
    outer = parents.get(node)
    outer = parents.get(outer) if isinstance(outer, ast.keyword) else outer
    return w.names.short(outer.func) if isinstance(outer, ast.Call) else ""


def _spelled(w: Walker, node: ast.Call, short: str) -> str:
    """How the old code has a number's type, of which the new one has only a name for tensors; else ""."""
    return w.segment(node.func) if short in ("numpy.float16", "numpy.float32") else ""


def is_maker(w: Walker, node: ast.Attribute) -> bool:
    """Whether it is the class of an element type's numbers, where one is made: ``np.dtype(d).type(0.5)``."""
    outer = w.function.nodes.parents.get(node)
    return node.attr == "type" and isinstance(outer, ast.Call) and outer.func is node


def _is_float(w: Walker, node: ast.Call, short: str) -> bool:
    """Whether one of NumPy's numbers is the same as Python's: it is exact, or rounded where it is used."""
    if short != "numpy.float32" or len(node.args) != 1 or node.keywords:
        return short == "numpy.float64"
    return _is_exact(node.args[0]) or _is_operand(w, node)


def _is_exact(node: ast.expr) -> bool:
    try:
        number = float(ast.literal_eval(node))
        return number != number or struct.unpack("f", struct.pack("f", number))[0] == number
    except (TypeError, ValueError, OverflowError):
        return False


def _is_operand(w: Walker, node: ast.Call) -> bool:
    """Whether only instructions get a number, which take it as float32: itself, or by the name it has."""
    nodes = w.function.nodes
    outer = nodes.parents.get(node)
    if not isinstance(outer, ast.Assign):
        return _is_taken(w, node)
    name = getattr(outer.targets[0], "id", "")
    mentions = [n for n in nodes.every if isinstance(n, ast.Name) and n.id == name]
    bound = [n for n in mentions if not isinstance(n.ctx, ast.Load)]
    return bound == outer.targets and all(n in bound or _is_taken(w, n) for n in mentions)


def _is_taken(w: Walker, node: ast.expr) -> bool:
    outer = w.function.nodes.parents.get(node)
    if isinstance(outer, ast.UnaryOp) and isinstance(outer.op, ast.USub):
        return _is_taken(w, outer)
    return _taker(w, node).startswith(("nl.", "nisa."))


def limit(w: Walker, node: ast.Attribute, dtype: Value) -> v.Scalar | None:
    """``nl.finfo(dtype).min``, ``.max``, ``.eps``: a number, or what a helper says in the kernel."""
    kind = dtype_of(dtype)
    if kind is None or node.attr not in _MEMBERS:
        return None
    return views.limit(kind, node.attr, w.writer)
