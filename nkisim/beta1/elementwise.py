"""Functions of one and two tiles: tables, and how each runs. Operators on tiles are these functions."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import isa
from ..core import operators as tokens
from ..core.dtypes import INTEGER, DType, dtype_of, float32
from ..core.errors import fail
from ..core.memory import OFF_CHIP, PSUM
from ..core.operators import Operator
from ..core.tensor import Tensor
from . import operators
from .compute import as_type, computed, domain_of, in_sbuf, widened
from .dtypes import promoted, result_type, type_of
from .index import Index, as_index
from .tile import Operand, Tile, assign


class Function:
    """A function of the language: call it on tiles, or pass it to an instruction as ``op=``."""

    def __init__(self, operator: Operator, name: str = "", dtype: Any = None) -> None:
        self.operator = operator
        self.__name__ = self.__qualname__ = name or operator.name
        self.default = dtype

    def __repr__(self) -> str:
        return f"nl.{self.__name__}"

    def __call__(self, *args: Any, **kwargs: Any) -> Tile:
        raise NotImplementedError


class Unary(Function):
    """``f(x)``; the result has the element type of x, unless ``dtype`` says another."""

    def __call__(self, x: Any, *, dtype: Any = None, mask: Any = None, **kwargs: Any) -> Tile:
        data = tile_operand(x, self.__name__, "x")
        chosen = dtype_of(dtype or self.default) if dtype or self.default else data.dtype

        def body(dst: Tensor, values: Tensor) -> None:
            if self.operator.activation:
                isa.activation(dst, self.operator, values)
            else:
                isa.tensor_scalar(dst, values, self.operator, 0)

        return computed(body, data.shape, chosen, mask, (data,))


class Binary(Function):
    """``f(x, y)`` of tiles that broadcast to one shape, or of a tile and a number.

    The result has the operands' promoted type (see :mod:`.dtypes`), or bool for comparisons.
    """

    def __call__(self, x: Any, y: Any, *, dtype: Any = None, mask: Any = None, **kwargs: Any) -> Tile:
        for value, what in ((x, "x"), (y, "y")):
            if isinstance(value, Operand) or not np.isscalar(value):
                tile_operand(value, self.__name__, what)
        if not isinstance(x, Operand) and not isinstance(y, Operand):
            raise fail(f"nl.{self.__name__}: neither x nor y is a tile")
        chosen = result_type(dtype or self.default, x, y)
        return _combined(self.operator, x, y, chosen, mask)


class Remainder(Binary):
    """:class:`Binary` whose ``dtype`` and ``mask`` may be positional."""

    def __call__(self, x: Any, y: Any, dtype: Any = None, mask: Any = None, **kwargs: Any) -> Tile:
        return super().__call__(x, y, dtype=dtype, mask=mask)


class Quotient(Binary):
    """:class:`Binary` for ``/``: integers divided are a fraction, so that their quotient is a float."""

    def __call__(self, x: Any, y: Any, *, dtype: Any = None, mask: Any = None, **kwargs: Any) -> Tile:
        if dtype is None and all(type_of(value).kind == INTEGER for value in (x, y)):
            dtype = float32
        return super().__call__(x, y, dtype=dtype, mask=mask, **kwargs)


def tile_operand(value: Any, name: str, what: str, where: str = "nl") -> Operand:
    """A tile in SBUF or PSUM. Raises SimulationError otherwise."""
    if not isinstance(value, Operand):
        raise fail(f"{where}.{name}: {what} must be a tile, it is a {type(value).__name__}")
    if value.buffer in OFF_CHIP:
        raise fail(f"{where}.{name}: {what} is a {value!r}; it must be in sbuf or psum: nl.load it first")
    return value


def _combined(op: Operator, x: Any, y: Any, dtype: DType, mask: Any) -> Tile:
    domain = domain_of(x, y)
    types = type_of(x), type_of(y)
    op = operators.in_integers(op, dtype, types)
    common = promoted(*types) if op.bitwise else None

    def body(dst: Tensor, first: Any, second: Any) -> None:
        shape = dst.array.shape
        if common is not None:
            first, second = (as_type(v, common) if isinstance(v, Tensor) else v for v in (first, second))
        if isinstance(second, Tensor) and (not isinstance(first, Tensor) or _column(first, second, shape)):
            _with_scalar(dst, op, second, first, shape, reverse=True)
        elif not isinstance(second, Tensor) or _column(second, first, shape):
            _with_scalar(dst, op, first, second, shape, reverse=False)
        else:
            _of_tensors(dst, op, spread(first, shape), spread(second, shape))

    return computed(body, domain, dtype, mask, (x, y))


def _column(value: Tensor, other: Tensor, shape: tuple[int, ...]) -> bool:
    """Whether it has one element in each partition, and the other operand all that the result has."""
    return (
        value.array.size == shape[0] == value.array.shape[0]
        and other.array.shape == shape != value.array.shape
    )


def spread(tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The tensor, repeated to a shape that it broadcasts to."""
    if tensor.array.shape == shape:
        return tensor
    array = tensor.array.reshape(widened(tensor.array.shape, len(shape)))
    return tensor.like(np.broadcast_to(array, shape))


def _with_scalar(
    dst: Tensor, op: Operator, data: Tensor, other: Any, shape: tuple[int, ...], reverse: bool
) -> None:
    if op is tokens.power:
        data = in_sbuf(data)
    isa.tensor_scalar(dst, spread(data, shape), op, other, reverse)


def _of_tensors(dst: Tensor, op: Operator, first: Tensor, second: Tensor) -> None:
    if op is tokens.power:
        first, second = in_sbuf(first), in_sbuf(second)
    elif first.buffer == second.buffer == PSUM:
        second = in_sbuf(second)
    isa.tensor_tensor(dst, first, second, op)


_ALL = {**tokens.TOKENS, **operators.DROPPED}
_NOT_FUNCTIONS = {"copy", "gelu_apprx_sigmoid_dx", "logical_not"}
"""Tokens that the language has not as a function, or not as one of these."""
_REMAINDERS = (operators.mod, operators.fmod)


def _function(operator: Operator) -> Function:
    if operator.arity == 1:
        return Unary(operator)
    if operator in _REMAINDERS:
        return Remainder(operator)
    if operator is tokens.divide:
        return Quotient(operator)
    return Binary(operator, dtype=None if operator.test is None else bool)


FUNCTIONS: dict[str, Function] = {
    **{name: _function(operator) for name, operator in _ALL.items() if name not in _NOT_FUNCTIONS},
    "logical_not": Unary(_ALL["logical_not"], dtype=bool),
}
"""Every function of one or two tiles, by its name in the language."""


# -- operators on tiles -----------------------------------------------------------------------------------

_SYMBOLS = {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "divide",
    "pow": "power",
    "mod": "mod",
    "and": "bitwise_and",
    "or": "bitwise_or",
    "xor": "bitwise_xor",
    "lshift": "left_shift",
    "rshift": "right_shift",
}
_COMPARISONS = {
    "eq": "equal",
    "ne": "not_equal",
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
}
_PREFIXES = {"neg": "negative", "abs": "abs", "invert": "invert"}


def _forward(symbol: str, function: Function) -> Any:
    def method(self: Operand, other: Any) -> Any:
        if isinstance(other, Index):
            return getattr(as_index(self), f"__{symbol}__")(other)
        return function(self, other)

    return method


def _backward(symbol: str, function: Function) -> Any:
    def method(self: Operand, other: Any) -> Any:
        if isinstance(other, Index):
            return getattr(other, f"__{symbol}__")(as_index(self))
        return function(other, self)

    return method


def _in_place(function: Function) -> Any:
    def method(self: Operand, other: Any) -> Operand:
        if function.operator is tokens.add and self.buffer == PSUM and getattr(other, "product", False):
            _accumulate(self, other)
        else:
            result = function(self, other, dtype=self.dtype)
            if result.region is None and getattr(other, "shape", None) == self.shape:
                result.region = getattr(other, "region", None)  # lanes without a result stay
            assign(self, result)
        self.updated = True
        return self

    return method


def _accumulate(into: Operand, product: Tile) -> None:
    """TensorE adds what it multiplies to PSUM as it writes: no instruction of its own.

    Where nothing has been written yet the product is the first of its accumulation group.
    """
    region = product.region
    if region is not None and region.empty:
        return
    held, found = into.part(region), product.part(region)
    first = ~held.written_flags() if held.storage.written is not None else None
    values = found.read().reshape(held.array.shape)
    total = held.read() + values
    if first is not None and first.any():
        total = np.where(first, values, total)
    held.write(total)


def _attach() -> None:
    for symbol, name in _SYMBOLS.items():
        function = FUNCTIONS[name]
        setattr(Operand, f"__{symbol}__", _forward(symbol, function))
        setattr(Operand, f"__r{symbol}__", _backward(symbol, function))
        setattr(Operand, f"__i{symbol}__", _in_place(function))
    for symbol, name in _COMPARISONS.items():
        setattr(Operand, f"__{symbol}__", _forward(symbol, FUNCTIONS[name]))
    for symbol, name in _PREFIXES.items():
        function = FUNCTIONS[name]
        setattr(Operand, f"__{symbol}__", lambda self, function=function: function(self))


_attach()
