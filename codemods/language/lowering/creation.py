"""Tensors that are made: empty, filled, like others."""

from __future__ import annotations

from ..analysis.dtypes import is_integer
from ..analysis.values import Dtype, Items, Scalar, Shape, Space, Tensor, Unknown, Value
from .call import Call, Lowering, code, literal
from .tiles import OFF_CHIP, result, type_of


def ndarray(call: Call) -> Tensor:
    """``nl.ndarray``: the tensor itself."""
    return call.out.destination(call.shape(), call.dtype(), call.space())


def empty_like(call: Call) -> Tensor:
    """A tile of the shape and dtype of another tensor."""
    a = call.tensor("a")
    return call.out.destination(a.shape, call.dtype() or type_of(a), call.space(), a)


def filled(value: str) -> Lowering:
    """``nl.zeros``, ``nl.ones``."""

    def lower(call: Call) -> Tensor:
        shape, like = _sizes(call)
        return fill(call, shape, call.dtype(), Scalar(value), like)

    return lower


def full(call: Call) -> Tensor:
    """``nl.full``, ``nisa.memset``: every element holds one value."""
    parameter = "fill_value" if "fill_value" in call else "value"
    target = call.out.target()
    if target is not None and "shape" not in call:  # a number assigned to a tile
        return fill(call, target.shape, target.dtype, call.value(parameter), target)
    shape, like = _sizes(call)
    return fill(call, shape, call.dtype(), call.value(parameter), like)


def _sizes(call: Call) -> tuple[Shape | None, Tensor | None]:
    """The shape that the call lists; also the tensor whose shape it is, which spells it."""
    value = call.value("shape")
    owner = code(value).removesuffix(".shape")
    if owner == code(value) or not owner.isidentifier():
        return call.shape(), None
    shape = call.shape() if isinstance(value, Items) else None
    return shape, Tensor(owner, shape, None, None)


def zeros_like(call: Call) -> Tensor:
    """Zeros of the shape and dtype of another tensor."""
    a = call.tensor("a")
    return fill(call, a.shape, call.dtype() or type_of(a), Scalar("0"), a)


def fill(
    call: Call, shape: Shape | None, dtype: Dtype | None, value: Value, like: Tensor | None = None
) -> Tensor:
    """A tile filled by ``nisa.memset``; the value is written as a number of the tile's kind."""
    space = call.space()
    if not isinstance(value, Scalar):
        value = _number(call, value)
    options = {"engine": code(call.value("engine"))} if "engine" in call else {}

    def write(dst: Tensor) -> None:
        call.out.emit("nisa.memset", dst=dst.text, value=constant(value, dst.dtype or dtype), **options)

    if space in OFF_CHIP:
        return _off_chip(call, shape, dtype, value, space, like)
    return result(call, write, shape, dtype, home=space, like=like)


def _number(call: Call, value: Value) -> Scalar:
    """What fills a tile is a number, whatever a parameter was taken to be; kernels have none of NumPy's."""
    text = code(value)
    parameter = isinstance(value, Tensor) and value.shape is None and text.isidentifier()
    if "np." in text or "numpy." in text or not (parameter or isinstance(value, Unknown)):
        call.refuse("M-ARGUMENT", parameter="fill_value", value=text)
    return Scalar(text)


def _off_chip(
    call: Call,
    shape: Shape | None,
    dtype: Dtype | None,
    value: Scalar,
    space: Space,
    like: Tensor | None,
) -> Tensor:
    """A tensor in HBM, which a helper fills by DMA from a tile of one row."""
    if shape is None or len(shape) != 2:
        call.refuse("M-SHAPE", operands="a filled tensor in HBM")
    made = call.out.destination(shape, dtype, space, like)
    call.out.emit(call.out.helper("fill_hbm"), dst=made.text, value=constant(value, dtype))
    return made


def constant(value: Scalar, dtype: Dtype | None) -> str:
    """A literal of the kind that the dtype has; other numbers as they are."""
    number = literal(value)
    if number is None or (value.sym is not None and not value.text.lstrip("-").isdigit()):
        return value.text
    if is_integer(dtype):
        return str(int(number)) if number == int(number) else value.text
    return str(float(number)) if isinstance(number, int) else value.text


LOWERINGS: dict[str, Lowering] = {
    "nl.ndarray": ndarray,
    "nl.empty_like": empty_like,
    "nl.zeros": filled("0"),
    "nl.ones": filled("1"),
    "nl.full": full,
    "nl.zeros_like": zeros_like,
    "nisa.memset": full,
}
