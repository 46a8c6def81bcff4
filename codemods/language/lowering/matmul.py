"""Products on TensorE. The first product into a PSUM tile overwrites it, later ones add to it."""

from __future__ import annotations

from ..analysis.dtypes import FLOAT32
from ..analysis.symbols import product
from ..analysis.values import Shape, Space, Tensor
from .call import Call, Lowering, code
from .tiles import copied, in_sbuf, matrix, result, tile, type_of

MODES = dict.fromkeys(("double_row", "double_row_gen3"), "nisa.matmul_perf_mode.double_row")
"""Modes that were given as strings: both rows of an 8-bit operand at once."""
OPTIONS = ("is_stationary_onezero", "is_moving_onezero", "is_transpose", "tile_position", "tile_size")


def nc_matmul(call: Call) -> Tensor:
    """``nisa.nc_matmul(stationary, moving)``."""
    stationary = in_sbuf(call, matrix(tile(call, "stationary")), "stationary")
    moving = in_sbuf(call, matrix(tile(call, "moving")), "moving")
    options = {name: code(call.value(name)) for name in OPTIONS if name in call}
    doubled = "perf_mode" in call
    if doubled:
        mode = code(call.value("perf_mode")).strip("'\"").rpartition(".")[2]
        options["perf_mode"] = MODES.get(mode) or call.unreadable("perf_mode")
    return multiplied(call, stationary, moving, options, contracted=2 if doubled else 1)


def matmul(call: Call) -> Tensor:
    """``nl.matmul(x, y)``; x is transposed on TensorE unless it comes transposed."""
    x = in_sbuf(call, matrix(tile(call, "x")), "left")
    y = in_sbuf(call, matrix(tile(call, "y")), "right")
    if not call.flag("transpose_x"):
        x = _transposed(call, x)
    return multiplied(call, x, y, {})


def _transposed(call: Call, x: Tensor) -> Tensor:
    if x.shape is None or len(x.shape) != 2:
        call.refuse("M-SHAPE", operands=x.text)
    flipped = (x.shape[1], x.shape[0])
    made = call.out.temporary("transposed", flipped, type_of(x), Space.PSUM)
    call.out.emit("nisa.nc_transpose", dst=made.text, data=x.text)
    return copied(call, made, type_of(x), "transposed")


def multiplied(
    call: Call, stationary: Tensor, moving: Tensor, options: dict[str, str], contracted: int = 1
) -> Tensor:
    """The product over the first dimensions: float32 in PSUM, but what is only moved keeps its dtype."""
    assert stationary.shape is not None
    assert moving.shape is not None
    shape: Shape = (product(stationary.shape[contracted:]), *moving.shape[contracted:])

    def write(dst: Tensor) -> None:
        call.out.emit(
            "nisa.nc_matmul", dst=dst.text, stationary=stationary.text, moving=moving.text, **options
        )

    native = None if options.get("is_transpose") == "True" else FLOAT32
    return result(
        call, write, shape, FLOAT32, home=Space.PSUM, writes=Space.PSUM, native=native, hint="product"
    )


LOWERINGS: dict[str, Lowering] = {"nisa.nc_matmul": nc_matmul, "nl.matmul": matmul}
