"""Functions of one tile: what Scalar Engine computes, and what Vector Engine does with a constant."""

from __future__ import annotations

from ..analysis.dtypes import FLAGS, FLOAT32, SIZES, named
from ..analysis.values import Dtype, Space, Tensor
from .call import Call, Lowering
from .tiles import column, result, tile, type_of

FUNCTIONS = (
    *("abs", "arctan", "erf", "erf_dx", "exp", "gelu", "gelu_apprx_sigmoid", "gelu_apprx_tanh", "gelu_dx"),
    *("log", "mish", "relu", "rsqrt", "sigmoid", "sign", "silu", "silu_dx", "sin", "softplus", "sqrt"),
    *("square", "tanh"),
)
"""Functions of the language that are tokens of ``nisa.activation``."""


def activation(function: str) -> Lowering:
    """``nl.f(x)`` → ``nisa.activation(op=nl.f)``."""

    def lower(call: Call) -> Tensor:
        return activated(call, function, tile(call, "x"), call.dtype())

    return lower


def activated(call: Call, function: str, x: Tensor, dtype: Dtype | None) -> Tensor:
    """``function`` of a tile."""
    if function == "rsqrt" and call.name == "nl.rsqrt":
        call.out.note("M-PRECISION", fn=call.name)

    def write(dst: Tensor) -> None:
        call.out.emit("nisa.activation", dst=dst.text, op=f"nl.{function}", data=x.text)

    return result(call, write, x.shape, dtype or type_of(x), like=x)


def cosine(call: Call) -> Tensor:
    """``cos(x)`` is ``sin(x + π/2)``; Scalar Engine adds the bias."""
    x = tile(call, "x")
    call.out.note("M-RANGE", fn=call.name, range="[-π, π] after π/2 is added")
    shift = call.out.temporary("quarter_turn", column(x), FLOAT32, Space.SBUF)
    call.out.emit("nisa.memset", dst=shift.text, value="1.5707963267948966")

    def write(dst: Tensor) -> None:
        call.out.emit("nisa.activation", dst=dst.text, op="nl.sin", data=x.text, bias=shift.text)

    return result(call, write, x.shape, call.dtype() or type_of(x), like=x)


def reciprocal(call: Call) -> Tensor:
    """``1 / x`` on Vector Engine."""
    x = tile(call, "data" if "data" in call else "x")

    def write(dst: Tensor) -> None:
        call.out.emit("nisa.reciprocal", dst=dst.text, data=x.text)

    return result(call, write, x.shape, call.dtype() or type_of(x), like=x)


def negative(call: Call) -> Tensor:
    """``-x``."""
    x = tile(call, "x")
    return with_constant(call, x, "nl.multiply", "-1.0", call.dtype() or type_of(x))


def logical_not(call: Call) -> Tensor:
    """``x == 0``; ``nl.logical_not`` itself is no token that instructions take."""
    return with_constant(call, tile(call, "x"), "nl.equal", "0.0", call.dtype() or FLAGS)


def invert(call: Call) -> Tensor:
    """All bits flipped: exclusive or with ones."""
    x = tile(call, "x")
    known = type_of(x).known
    if known is None:
        call.refuse("M-DTYPE", operands=x.text)
    ones = hex(2 ** (8 * SIZES[known]) - 1) if known.startswith("u") else "-1"
    return with_constant(call, x, "nl.bitwise_xor", ones, call.dtype() or named(known))


def with_constant(call: Call, x: Tensor, op: str, constant: str, dtype: Dtype) -> Tensor:
    """``x op constant``."""

    def write(dst: Tensor) -> None:
        call.out.emit("nisa.tensor_scalar", dst=dst.text, data=x.text, op0=op, operand0=constant)

    return result(call, write, x.shape, dtype, like=x)


LOWERINGS: dict[str, Lowering] = {
    **{f"nl.{name}": activation(name) for name in FUNCTIONS},
    "nl.cos": cosine,
    "nl.invert": invert,
    "nl.logical_not": logical_not,
    "nl.negative": negative,
    "nl.reciprocal": reciprocal,
    "nisa.reciprocal": reciprocal,
}
