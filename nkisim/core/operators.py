"""The operator tokens of ``nki.language`` (``nl.add``, ``nl.exp`` …): what instructions apply to elements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import functions
from .dtypes import Array

F32 = np.float32


class Operator:
    """A token. ``function`` works on float32 arrays, on raw integers when ``bitwise``.

    Attributes:
        arity: 1 or 2. reduction: the ufunc that reduces with it, or None. identity: its neutral element.
        alu: Vector and GpSimd Engine have it (tensor_scalar, tensor_tensor …).
        activation: Scalar Engine has it as an activation function.
        test: of a comparison, the ufunc that gives booleans.
        into: the function with a keyword, ``out``: the float32 array that receives its result; or None.
    """

    __slots__ = (
        "activation",
        "alu",
        "arity",
        "bitwise",
        "function",
        "identity",
        "into",
        "name",
        "reduction",
        "test",
    )

    def __init__(
        self,
        name: str,
        function: Callable[..., Array],
        arity: int,
        *,
        bitwise: bool = False,
        reduction: Any = None,
        identity: float | None = None,
        alu: bool = True,
        activation: bool = False,
        test: Any = None,
    ) -> None:
        self.name = name
        self.function = function
        self.arity = arity
        self.bitwise = bitwise
        self.reduction = reduction
        self.identity = identity
        self.alu = alu
        self.activation = activation
        self.test = test
        self.into: Any = test
        if not bitwise and (isinstance(function, np.ufunc) or function in functions.INTO):
            self.into = function

    def __repr__(self) -> str:
        return f"nl.{self.name}"

    def __call__(self, *_: Any, **__: Any) -> Any:
        raise TypeError(
            f"nl.{self.name} is a token for nki.isa; it cannot be called on tensors in this release"
        )

    def __copy__(self) -> Operator:
        return self

    def __deepcopy__(self, _: Any) -> Operator:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _named, (self.name,)


def _named(name: str) -> Operator:
    return TOKENS[name]


def _arithmetic(name: str, ufunc: Any, identity: float | None = None) -> Operator:
    return Operator(name, ufunc, 2, reduction=None if identity is None else ufunc, identity=identity)


def _truth(name: str, ufunc: Any, identity: float | None = None) -> Operator:
    """A comparison or logical operator: 1.0 where it holds, 0.0 elsewhere."""

    def function(x: Array, y: Array) -> Array:
        result: Array = ufunc(x, y).astype(F32)
        return result

    reduction = None if identity is None else ufunc
    return Operator(name, function, 2, reduction=reduction, identity=identity, test=ufunc)


def _bits(name: str, function: Any, arity: int = 2, *, reduces: bool = False) -> Operator:
    return Operator(name, function, arity, bitwise=True, reduction=function if reduces else None)


def _unary(name: str, function: Any, *, alu: bool = False, activation: bool = True) -> Operator:
    return Operator(name, function, 1, alu=alu, activation=activation)


add = _arithmetic("add", np.add, 0.0)
subtract = _arithmetic("subtract", np.subtract, 0.0)
multiply = _arithmetic("multiply", np.multiply, 1.0)
maximum = _arithmetic("maximum", np.maximum, -np.inf)
minimum = _arithmetic("minimum", np.minimum, np.inf)
divide = _arithmetic("divide", np.divide)
power = _arithmetic("power", np.power)

equal = _truth("equal", np.equal)
not_equal = _truth("not_equal", np.not_equal)
less = _truth("less", np.less)
less_equal = _truth("less_equal", np.less_equal)
greater = _truth("greater", np.greater)
greater_equal = _truth("greater_equal", np.greater_equal)
logical_and = _truth("logical_and", np.logical_and, 1.0)
logical_or = _truth("logical_or", np.logical_or, 0.0)
logical_xor = _truth("logical_xor", np.logical_xor, 0.0)
logical_not = _unary("logical_not", functions.logical_not, alu=True, activation=False)

bitwise_and = _bits("bitwise_and", np.bitwise_and, reduces=True)
bitwise_or = _bits("bitwise_or", np.bitwise_or, reduces=True)
bitwise_xor = _bits("bitwise_xor", np.bitwise_xor, reduces=True)
left_shift = _bits("left_shift", functions.left_shift)
right_shift = _bits("right_shift", functions.right_shift)
invert = _bits("invert", np.invert, 1)

abs = _unary("abs", np.abs, alu=True)
reciprocal = _unary("reciprocal", functions.reciprocal, alu=True)
rsqrt = _unary("rsqrt", functions.rsqrt, alu=True)
arctan = _unary("arctan", np.arctan)
copy = _unary("copy", functions.copy)
erf = _unary("erf", functions.erf)
erf_dx = _unary("erf_dx", functions.erf_dx)
exp = _unary("exp", np.exp)
gelu = _unary("gelu", functions.gelu)
gelu_apprx_sigmoid = _unary("gelu_apprx_sigmoid", functions.gelu_apprx_sigmoid)
gelu_apprx_sigmoid_dx = _unary("gelu_apprx_sigmoid_dx", functions.gelu_apprx_sigmoid_dx)
gelu_apprx_tanh = _unary("gelu_apprx_tanh", functions.gelu_apprx_tanh)
gelu_dx = _unary("gelu_dx", functions.gelu_dx)
log = _unary("log", np.log)
mish = _unary("mish", functions.mish)
relu = _unary("relu", functions.relu)
sigmoid = _unary("sigmoid", functions.sigmoid)
sign = _unary("sign", np.sign)
silu = _unary("silu", functions.silu)
silu_dx = _unary("silu_dx", functions.silu_dx)
sin = _unary("sin", np.sin)
softplus = _unary("softplus", functions.softplus)
sqrt = _unary("sqrt", np.sqrt)
square = _unary("square", np.square)
tanh = _unary("tanh", np.tanh)

TOKENS = {value.name: value for value in tuple(globals().values()) if isinstance(value, Operator)}
"""Every token by its name in ``nki.language``."""
