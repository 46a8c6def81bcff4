"""Element types of results: which one a result of the former language has when the call does not say.

The API pages of that language state the rules: of two float types the wider one, of two of a width the type
that holds both; a float type before an integer type; a number counts as the widest type of its kind. Types
that depend on a kernel's inputs are known only as far as every input leads to the same answer.
"""

from __future__ import annotations

import ast

from ...trees import last_name
from .values import Dtype, Scalar, Token, Unknown

_RANK = {
    "float8_e4m3": 1,
    "float8_e5m2": 1,
    "float8_e4m3fn": 1,
    "float16": 2,
    "bfloat16": 2,
    "tfloat32": 3,
    "float32": 4,
}
"""How wide a float type is. Of two, the wider one is taken."""
_WIDENED = {1: "bfloat16", 2: "float32"}
"""The type that holds the values of two different ones of a rank."""
_INTEGERS = {
    "int8": (True, 8),
    "int16": (True, 16),
    "int32": (True, 32),
    "uint8": (False, 8),
    "uint16": (False, 16),
    "uint32": (False, 32),
}
"""Signed or not, and bits."""
_BOOLEANS = frozenset(("bool", "bool_"))
SIZES = {
    **{name: bits // 8 for name, (_, bits) in _INTEGERS.items()},
    **{name: (1, 2, 4, 4)[rank - 1] for name, rank in _RANK.items()},
    "bool": 1,
    "bool_": 1,
}
"""Bytes of an element."""
NAMES = frozenset(SIZES)
"""Element types that are known by name."""


def named(name: str) -> Dtype:
    """The element type of this name in ``nl``."""
    return Dtype(f"nl.{name}", name)


FLOAT32 = named("float32")
FLAGS = named("uint8")
"""What truth values are stored as."""


def dtype_of(value: Dtype | Token | Unknown | Scalar | object) -> Dtype | None:
    """The element type that an argument stands for; None for what is none."""
    if isinstance(value, Dtype):
        return FLAGS if value.known in _BOOLEANS else value
    if isinstance(value, Token):
        name = value.name.rpartition(".")[2]
        return dtype_of(named(name)) if name in NAMES else None
    if isinstance(value, Scalar | Unknown):
        text = value.text.strip("'\"")
        known = text if text in NAMES else {"int": "int32", "float": "float32"}.get(text)
        return dtype_of(named(known)) if known else Dtype(value.text, None, value.text)
    return None


def is_integer(dtype: Dtype | None) -> bool:
    """Whether it is certainly an integer type (truth values are)."""
    return dtype is not None and (dtype.known in _INTEGERS or dtype.known in _BOOLEANS)


def certainly_same(first: Dtype | None, second: Dtype | None) -> bool:
    """Whether both are the same type for all inputs."""
    if first is None or second is None:
        return False
    if first.known or second.known:
        return first.known == second.known
    return first.source is not None and first.source == second.source


def promoted(first: Dtype | None, second: Dtype | None) -> Dtype | None:
    """The type of a result of operands of these types; None when it depends on a kernel's inputs."""
    if first is None or second is None:
        return None
    if certainly_same(first, second):
        return first
    for one in (first, second):
        if one.known == "float32":  # nothing is wider
            return one
    if first.known is None or second.known is None:
        return None
    name = promoted_names(first.known, second.known)
    return next((one for one in (first, second) if one.known == name), named(name))


def promoted_names(first: str, second: str) -> str:
    """:func:`promoted` of two known types, by their names."""
    if first == second or second in _BOOLEANS:
        return first
    if first in _BOOLEANS:
        return second
    integers = first in _INTEGERS, second in _INTEGERS
    if all(integers):
        return _wider_integer(first, second)
    if any(integers):
        return second if integers[0] else first
    ranks = _RANK[first], _RANK[second]
    if ranks[0] == ranks[1]:
        return _WIDENED[ranks[0]]
    return first if ranks[0] > ranks[1] else second


def _wider_integer(first: str, second: str) -> str:
    """The integer type that holds both; float32 when 32 bits do not."""
    (signed, bits), (other, more) = _INTEGERS[first], _INTEGERS[second]
    if signed is other:
        return first if bits >= more else second
    unsigned = more if signed else bits
    needed = max(bits if signed else more, 2 * unsigned)
    return f"int{needed}" if needed <= 32 else "float32"


def number_type(value: Scalar) -> Dtype | None:
    """What a number counts as: int32, float32, uint8 for a truth value; None when its kind is not known."""
    if value.real:
        return FLOAT32
    if value.sym is not None:
        return named("int32")
    try:
        kind = _kind(ast.parse(value.text, mode="eval").body)
    except SyntaxError:
        return None
    return named(kind) if kind else None


def is_real(value: object) -> bool:
    """Whether it is a number that is certainly meant to be a float."""
    return isinstance(value, Scalar) and number_type(value) == FLOAT32


_FLOAT_FUNCTIONS = frozenset(
    ("float", "sqrt", "exp", "log", "log2", "log10", "rsqrt", "sin", "cos", "tan", "pow", "cbrt")
)
_FLOAT_CONSTANTS = frozenset(("pi", "e", "inf", "nan"))
_KINDS: dict[type, str] = {bool: "uint8", int: "int32", float: "float32"}


def _kind(node: ast.expr) -> str | None:
    """The type that an expression of numbers counts as, as far as its form tells."""
    if isinstance(node, ast.Constant):
        return _KINDS.get(type(node.value))
    if isinstance(node, ast.UnaryOp):
        return "uint8" if isinstance(node.op, ast.Not) else _kind(node.operand)
    if isinstance(node, ast.BinOp):
        return _kind_of_operation(node)
    if isinstance(node, ast.Call):
        name = last_name(node.func)
        return "float32" if name in _FLOAT_FUNCTIONS else "int32" if name in ("int", "len") else None
    if isinstance(node, ast.Attribute):
        return "float32" if node.attr in _FLOAT_CONSTANTS else None
    return None


def _kind_of_operation(node: ast.BinOp) -> str | None:
    if isinstance(node.op, ast.Div):
        return "float32"
    kinds = {_kind(node.left), _kind(node.right)}
    if "float32" in kinds:
        return "float32"
    whole = kinds <= {"int32", "uint8"} and not isinstance(node.op, ast.Pow)
    return "int32" if whole else None
