"""Functions of two operands: tiles that broadcast to one shape, or a tile and a number."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ..analysis.dtypes import (
    FLAGS,
    FLOAT32,
    SIZES,
    certainly_same,
    is_integer,
    named,
    number_type,
    promoted,
)
from ..analysis.values import Dtype, Scalar, Shape, Space, Tensor
from .activation import activated
from .call import Call, Lowering, code, literal, operand_code
from .tiles import (
    aligned,
    as_type,
    beside_column,
    broadcast,
    in_partitions,
    in_sbuf,
    is_column,
    is_single_column,
    repeats,
    result,
    result_dtype,
    scalar_operand,
    spread,
    tile,
)

COMMUTATIVE = frozenset(
    (
        *("add", "multiply", "maximum", "minimum", "equal", "not_equal", "logical_and", "logical_or"),
        *("logical_xor", "bitwise_and", "bitwise_or", "bitwise_xor"),
    )
)
COMPARISONS = (
    *("equal", "not_equal", "less", "less_equal", "greater", "greater_equal"),
    *("logical_and", "logical_or", "logical_xor"),
)
BITWISE = ("bitwise_and", "bitwise_or", "bitwise_xor", "left_shift", "right_shift")
ARITHMETIC = ("add", "subtract", "multiply", "maximum", "minimum")
INEXACT = ("add", "subtract", "multiply")
"""What 32-bit integers are computed with in float32 now."""

Operand = Tensor | Scalar
Options = Mapping[str, str]
"""Further arguments of the instruction, such as its engine."""
_NONE: Options = MappingProxyType({})


def binary(function: str) -> Lowering:
    """``nl.f(x, y)``."""

    def lower(call: Call) -> Tensor:
        x, y = operands(call)
        return combined(call, function, x, y, dtype(call, function, x, y))

    return lower


def dtype(call: Call, function: str, x: Operand, y: Operand) -> Dtype:
    """What ``dtype=`` says, else truth values of comparisons, else the promoted dtype."""
    said = call.dtype()
    if said is not None:
        return said
    return FLAGS if function in COMPARISONS else result_dtype(call, x, y)


def operands(call: Call) -> tuple[Operand, Operand]:
    """x and y: tiles or numbers, at least one of them a tile."""
    x, y = (_operand(call, each) for each in ("x", "y"))
    if isinstance(x, Scalar) and isinstance(y, Scalar):
        call.unreadable("x")
    return x, y


def _operand(call: Call, parameter: str) -> Operand:
    value = call.value(parameter)
    if isinstance(value, Scalar):
        return value
    return tile(call, parameter) if isinstance(value, Tensor) else call.unreadable(parameter)


def combined(
    call: Call, function: str, x: Operand, y: Operand, dtype: Dtype, options: Options = _NONE
) -> Tensor:
    """``x f y`` by the instruction that the shapes ask for."""
    if function in INEXACT and all(is_integer(_type(each)) for each in (x, y)) and _is_wide(dtype):
        call.out.note("M-INTEGER", fn=call.name)
    if isinstance(y, Scalar):
        assert isinstance(x, Tensor)
        return with_scalar(call, function, x, y, x.shape, dtype, False, options)
    if isinstance(x, Scalar):
        return with_scalar(call, function, y, x, y.shape, dtype, True, options)
    if x.shape is None and y.shape is None:
        if x.text != y.text:
            call.out.note("M-SAME", fn=call.name, operands=f"{x.text}, {y.text}")
        return of_tiles(call, function, x, y, None, dtype, options)
    if x.shape is None and is_single_column(y):
        return with_scalar(call, function, x, y, None, dtype, False, options)
    if y.shape is None and is_single_column(x):
        return with_scalar(call, function, y, x, None, dtype, True, options)
    for data, other in ((x, y), (y, x)):
        if beside_column(call, data, other):
            return with_scalar(call, function, data, other, data.shape, dtype, data is y, options)
    shape = broadcast(call, x, y)
    if not all(each.shape is None or aligned(call, each, shape) for each in (x, y)):
        call.out.note("M-SAME", fn=call.name, operands=f"{x.text}, {y.text}")
    x, y = (in_partitions(call, each, shape) for each in (x, y))
    if is_column(call, y, shape) and not repeats(call, x, shape):
        return with_scalar(call, function, x, y, shape, dtype, False, options)
    if is_column(call, x, shape) and not repeats(call, y, shape):
        return with_scalar(call, function, y, x, shape, dtype, True, options)
    x, y = (spread(call, each, shape) for each in (x, y))
    return of_tiles(call, function, x, y, shape, dtype, options)


def by_variable(call: Call, x: Tensor, y: Tensor, dtype: Dtype, options: Options) -> Tensor:
    """Two tiles, and an operation that is known when the kernel is traced: ``options`` spell it."""
    if x.shape is None and y.shape is None:
        call.out.note("M-SAME", fn=call.name, operands=f"{x.text}, {y.text}")
        return of_tiles(call, "", x, y, None, dtype, options)
    shape = broadcast(call, x, y)
    x, y = (spread(call, each, shape) for each in (x, y))
    return of_tiles(call, "", x, y, shape, dtype, options)


def _type(operand: Operand) -> Dtype | None:
    return operand.dtype if isinstance(operand, Tensor) else number_type(operand)


def _is_wide(dtype: Dtype) -> bool:
    return dtype.known in ("int32", "uint32")


def with_scalar(
    call: Call,
    function: str,
    data: Tensor,
    other: Operand,
    shape: Shape | None,
    dtype: Dtype,
    reverse: bool,
    options: Options,
) -> Tensor:
    """A tile with a number, or with a tile of one element in each partition."""
    if function == "power":
        data = in_sbuf(call, data, "base")
    value = code(other) if function in BITWISE else scalar_operand(call, other, "factor")
    turned = {"reverse0": "True"} if reverse and function not in COMMUTATIVE else {}

    def write(dst: Tensor) -> None:
        call.out.emit(
            "nisa.tensor_scalar",
            dst=dst.text,
            data=data.text,
            op0=f"nl.{function}",
            operand0=value,
            **turned,
            **options,
        )

    writes = Space.SBUF if function == "power" else None
    return result(call, write, shape, dtype, like=data, writes=writes)


def of_tiles(
    call: Call, function: str, x: Tensor, y: Tensor, shape: Shape | None, dtype: Dtype, options: Options
) -> Tensor:
    """Two tiles of one shape. ``options`` may spell the operation, too."""
    if function == "power":
        x, y = in_sbuf(call, x, "base"), in_sbuf(call, y, "exponent")
    elif x.space == y.space == Space.PSUM:
        y = in_sbuf(call, y, "right")

    def write(dst: Tensor) -> None:
        arguments = {"data1": x.text, "data2": y.text, "op": f"nl.{function}", **options}
        call.out.emit("nisa.tensor_tensor", dst=dst.text, **arguments)

    like = next((each for each in (x, y) if each.shape == shape and ".ap(" not in each.text), None)
    return result(call, write, shape, dtype, like=like, writes=Space.SBUF if function == "power" else None)


def divide(call: Call) -> Tensor:
    """A product with the reciprocal: no instruction divides. Tiles are taken to be floats."""
    x, y = operands(call)
    whole = [each for each in (x, y) if _type(each) == named("int32") and isinstance(each, Scalar)]
    tiles = [each for each in (x, y) if isinstance(each, Tensor)]
    kind = dtype(call, "divide", *(tiles[0], tiles[0]) if whole else (x, y))
    if is_integer(kind):
        call.refuse("M-MATH", fn=call.name.rpartition(".")[2])
    call.out.note("M-DIVIDE", fn=call.name)
    return divided(call, x, y, kind)


def divided(call: Call, x: Operand, y: Operand, dtype: Dtype) -> Tensor:
    """``x / y``."""
    if isinstance(y, Scalar):
        return combined(call, "multiply", x, Scalar(f"1.0 / {operand_code(y.text)}"), dtype)

    def write(dst: Tensor) -> None:
        call.out.emit("nisa.reciprocal", dst=dst.text, data=y.text)

    if isinstance(x, Scalar) and literal(x) == 1:
        return result(call, write, y.shape, dtype, like=y)
    inverse = call.out.temporary("inverse", y.shape, FLOAT32, Space.SBUF, y)
    write(inverse)
    return combined(call, "multiply", x, inverse, dtype)


def power(call: Call) -> Tensor:
    """``x ** y``, on GpSimd Engine; squares on Scalar Engine."""
    x, y = operands(call)
    kind = dtype(call, "power", x, y)
    if isinstance(x, Tensor) and literal(y) == 2:
        return activated(call, "square", x, kind)
    return combined(call, "power", x, y, kind)


def bitwise(function: str) -> Lowering:
    """``nl.f(x, y)`` on the bits of integers of one type."""

    def lower(call: Call) -> Tensor:
        x, y = operands(call)
        common = _common_integer(call, x, y)
        x, y = (
            as_type(call, each, common, "integers") if isinstance(each, Tensor) else each for each in (x, y)
        )
        said = call.dtype()
        return result_of_bits(call, function, x, y, common if said is None else said, common)

    return lower


def result_of_bits(call: Call, function: str, x: Operand, y: Operand, dtype: Dtype, common: Dtype) -> Tensor:
    """The operation on operands of one integer type; columns keep that type, as bits do."""
    if not (is_integer(dtype) or certainly_same(dtype, common)):
        call.refuse("M-DTYPE", operands=dtype.text)
    return combined(call, function, x, y, dtype)


def _common_integer(call: Call, x: Operand, y: Operand) -> Dtype:
    types = [_type(each) for each in (x, y)]
    tiles = [each for each in types if each is not None and each.known in SIZES]
    numbers = isinstance(x, Scalar) or isinstance(y, Scalar)
    if len(tiles) == 2 and numbers and any(each.known == "uint32" for each in tiles):
        return named("uint32")
    found = promoted(*types)
    if found is None or not (is_integer(found) or (not numbers and found.known is None)):
        call.refuse("M-DTYPE", operands=", ".join(code(each) for each in (x, y)))
    return found


LOWERINGS: dict[str, Lowering] = {
    **{f"nl.{name}": binary(name) for name in (*ARITHMETIC, *COMPARISONS)},
    **{f"nl.{name}": bitwise(name) for name in BITWISE},
    "nl.divide": divide,
    "nl.power": power,
}
