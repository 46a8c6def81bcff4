"""How NumPy, torch, jax and ``nl`` make and change arrays: their shape, element type and kind of values."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import replace
from math import prod
from typing import Any

from .operations import BINARY, computed
from .values import UNKNOWN, Arguments, Array, Dotted, Expression

_FRAMEWORKS = ("numpy", "torch", "jax", "neuronxcc", "nki")

# -- element types and shapes -------------------------------------------------------------------------

_SEEN_AS = {
    "float64": "float32",
    "double": "float32",
    "float": "float32",
    "single": "float32",
    "half": "float16",
    "long": "int32",
    "int": "int32",
    "int64": "int32",
    "bool_": "bool",
    "uint64": "uint32",
}
"""Element types that kernels see as another one, or that have another name."""
_DTYPES = frozenset(
    {"float32", "float16", "bfloat16", "int8", "int16", "int32", "uint8", "uint16", "uint32", "bool"}
    | {"float8_e4m3", "float8_e5m2", "float8_e4m3fn"}
)


def _dtype(value: Any, default: str = "float32") -> str:
    """The element type that a value names, the default for None; "" when it names none."""
    if value is None:
        return default
    name = value.last if isinstance(value, Dotted) else value if isinstance(value, str) else ""
    name = _SEEN_AS.get(name, name)
    return name if name in _DTYPES else ""


def _shape(value: Any) -> tuple[int, ...] | None:
    """The shape that a value gives, one integer being a shape of rank 1; None when an extent is unknown."""
    items = value if isinstance(value, list | tuple) else (value,)
    whole = all(type(item) is int and item >= 0 for item in items)
    return tuple(items) if whole else None


def array(shape: Any, dtype: Any, default: str = "float32", **values: Any) -> Any:
    """An array of that shape and element type (the default for None); unknown when either is."""
    size, kind = _shape(shape), _dtype(dtype, default)
    if size is None or not kind:
        return UNKNOWN
    return Array(size, kind, tuple(values.items()))


# -- functions that make arrays -----------------------------------------------------------------------

_UNIFORM = {"values": "uniform"}
_FILLED: dict[str, dict[str, Any]] = {
    "zeros": {"values": "zeros"},
    "empty": {"values": "zeros"},
    "ones": {"values": "ones"},
    "ndarray": {"values": "zeros"},
    "random_sample": _UNIFORM,
    "random": _UNIFORM,
    "rand": _UNIFORM,
    "randn": {},
    "standard_normal": {},
}
"""Functions whose arguments are a shape (one tuple, or the extents) → what they fill it with."""
_CONVERSIONS = frozenset(
    {"static_cast", "array", "asarray", "ascontiguousarray", "copy", "device_put", "from_numpy", "tensor"}
)
"""Functions that give the array they are given, at most with another element type."""


def made_by(function: Dotted, given: Arguments) -> Any:
    """What a function of another module gives: an array, a launch extent, or unknown."""
    name, path, first = function.last, function.path, given.first
    if name == "nc" and isinstance(first, int):
        return Expression(f"nc({first})")
    if path.partition(".")[0] not in _FRAMEWORKS:
        return UNKNOWN
    if isinstance(first, Array) and name in _CONVERSIONS:
        return _converted(first, name, given)
    if isinstance(first, Array) and name.endswith("_like"):
        filling = _FILLED.get(name.removesuffix("_like"))
        dtype = given.named.get("dtype")
        return UNKNOWN if filling is None else array(first.shape, dtype, first.dtype, **filling)
    if path.startswith("jax.random") and name in ("normal", "uniform") and len(given.positional) > 1:
        _key, shape, dtype = given.bound(("key", None), ("shape", ()), ("dtype", None))
        return array(shape, dtype, **_FILLED["rand" if name == "uniform" else "randn"])
    if name in _FILLED:
        return _of_shape(name, given)
    maker = _MAKERS.get(name)
    return UNKNOWN if maker is None else maker(given)


def _converted(source: Array, name: str, given: Arguments) -> Any:
    _source, second = given.bound(("", None), ("dtype", None))
    dtype = _dtype(second if name == "static_cast" else given.named.get("dtype"), source.dtype)
    return replace(source, dtype=dtype) if dtype else UNKNOWN


def _of_shape(name: str, given: Arguments) -> Any:
    shape = given.named.get("size", given.named.get("shape"))
    rest = list(given.positional)
    if shape is None and rest:
        if isinstance(rest[0], list | tuple):
            shape = rest.pop(0)
        else:  # extents one by one, for some with the type behind them
            shape = [item for item in rest if isinstance(item, int)]
            rest = [item for item in rest if not isinstance(item, int)]
    dtype = given.named.get("dtype", rest[0] if rest else None)
    return array(shape, dtype, **_FILLED[name])


def _uniform(given: Arguments) -> Any:
    low, high, size = given.bound(("low", 0.0), ("high", 1.0), ("size", ()))
    numbers = isinstance(low, int | float) and isinstance(high, int | float)
    return array(size, None, values="uniform", low=low, high=high) if numbers else UNKNOWN


def _normal(given: Arguments) -> Any:
    _, scale, size = given.bound(("loc", 0.0), ("scale", 1.0), ("size", ()))
    return array(size, None, scale=scale) if isinstance(scale, int | float) else UNKNOWN


def _integers(given: Arguments) -> Any:
    low, high, size = given.bound(("low", 0), ("high", None), ("size", ()))
    low, high = (0, low) if high is None else (low, high)
    if not isinstance(low, int) or not isinstance(high, int):
        return UNKNOWN
    return array(size, given.named.get("dtype"), "int32", values="integers", low=low, high=high)


def _full(given: Arguments) -> Any:
    shape, value, dtype = given.bound(("shape", ()), ("fill_value", 0), ("dtype", None))
    known = isinstance(value, int | float)
    return array(shape, dtype, values="constant", value=value) if known else UNKNOWN


def _arange(given: Arguments) -> Any:
    if len(given.positional) != 1 or not isinstance(given.first, int):
        return UNKNOWN
    return array(given.first, given.named.get("dtype"), "int32", values="arange")


def _eye(given: Arguments) -> Any:
    return array((given.first, given.first), given.named.get("dtype"), values="identity")


def _tril(given: Arguments) -> Any:
    """``np.tril(np.ones(…))``: a causal mask."""
    whole = isinstance(given.first, Array) and dict(given.first.values).get("values") == "ones"
    return replace(given.first, values=(("values", "causal"),)) if whole else UNKNOWN


_MAKERS: dict[str, Callable[[Arguments], Any]] = {
    "uniform": _uniform,
    "normal": _normal,
    "randint": _integers,
    "integers": _integers,
    "full": _full,
    "arange": _arange,
    "eye": _eye,
    "identity": _eye,
    "tril": _tril,
}

# -- what is done with arrays -------------------------------------------------------------------------

_SAME = frozenset({"copy", "contiguous", "cpu", "cuda", "detach", "clone", "numpy", "requires_grad_"})


def method_result(owner: Array, name: str, given: Arguments) -> Any:
    """What a method of an array gives."""
    if name in _SAME:
        return owner
    if name in ("astype", "to", "type"):
        dtype = _dtype(given.named.get("dtype", given.first), owner.dtype)
        return replace(owner, dtype=dtype) if dtype else owner if name == "to" else UNKNOWN
    if name in ("bfloat16", "half", "float", "int"):
        return replace(owner, dtype=_dtype(name))
    if name in ("reshape", "view"):
        shape = _shape(_spread(given))
        return replace(owner, shape=shape) if shape and prod(shape) == prod(owner.shape) else UNKNOWN
    if name in ("transpose", "permute"):
        rank = len(owner.shape)
        axes = _spread(given) if given.positional else range(rank)[::-1]
        whole = all(type(axis) is int for axis in axes) and sorted(axes) == list(range(rank))
        return replace(owner, shape=tuple(owner.shape[axis] for axis in axes)) if whole else UNKNOWN
    return UNKNOWN


def _spread(given: Arguments) -> Any:
    """Extents or axes, which may be given as one tuple or one by one."""
    one = len(given.positional) == 1 and isinstance(given.first, list | tuple)
    return given.first if one else given.positional


def arithmetic(operator: type, left: Any, right: Any) -> Any:
    """The result of an operator with an array on one side or both.

    Of an array and a number, the range or scale of the values follows; of two arrays of one shape, it is like
    the left one, with values of no particular kind.
    """
    one, other = (left, right) if isinstance(left, Array) else (right, left)
    if isinstance(other, Array):
        return replace(one, values=()) if one.shape == other.shape else UNKNOWN
    if not isinstance(other, int | float) or operator not in (ast.Add, ast.Sub, ast.Mult, ast.Div):
        return UNKNOWN
    values = dict(one.values)
    if values.get("values") == "uniform":
        ends = [
            computed(BINARY[operator], *((end, other) if one is left else (other, end)))
            for end in (values.get("low", 0.0), values.get("high", 1.0))
        ]
        if UNKNOWN not in ends:
            return replace(one, values=(("values", "uniform"), ("low", min(ends)), ("high", max(ends))))
    if not values.get("values") and operator in (ast.Mult, ast.Div) and one is left and other:
        scale = abs(BINARY[operator](values.get("scale", 1.0), other))
        return replace(one, values=(("scale", scale),))
    return one
