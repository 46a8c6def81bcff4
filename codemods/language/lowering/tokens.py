"""Operations and element types that are handed over by name."""

from __future__ import annotations

from ..analysis.dtypes import NAMES
from ..analysis.values import Token

_OTHERWISE = {
    "abs": "abs",
    "absolute": "abs",
    "all": "logical_and",
    "amax": "maximum",
    "amin": "minimum",
    "any": "logical_or",
    "max": "maximum",
    "min": "minimum",
    "prod": "multiply",
    "sum": "add",
    "true_divide": "divide",
}
"""Names that stand for an operation of another name."""
_OPERATIONS = frozenset(
    (
        *("abs", "add", "subtract", "multiply", "divide", "maximum", "minimum", "power", "mod", "fmod"),
        *("equal", "not_equal", "less", "less_equal", "greater", "greater_equal"),
        *("logical_and", "logical_or", "logical_xor", "logical_not"),
        *("bitwise_and", "bitwise_or", "bitwise_xor", "left_shift", "right_shift", "invert"),
        *(
            "arctan",
            "copy",
            "cos",
            "exp",
            "log",
            "reciprocal",
            "sign",
            "sin",
            "sqrt",
            "square",
            "tan",
            "tanh",
        ),
    )
)
"""NumPy's functions that name an operation."""
_TYPES = {"bool": "uint8", "bool_": "uint8", "float64": "float32", "int64": "int32"}
"""NumPy's types that NKI has under another name, or in 32 bits."""


def numpy_token(name: str) -> Token | None:
    """What ``numpy.name`` stands for as an argument: an operation or an element type; None for others."""
    if name in _OTHERWISE or name in _OPERATIONS:
        return Token(f"nl.{_OTHERWISE.get(name, name)}")
    if name in _TYPES or name in NAMES:
        return Token(f"nl.{_TYPES.get(name, name)}")
    return None


def language_token(name: str) -> Token:
    """What ``nl.name`` of the former language stands for as an argument."""
    return Token(f"nl.{_OTHERWISE.get(name, name)}")
