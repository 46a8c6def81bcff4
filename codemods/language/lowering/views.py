"""Methods of tensors that give a view or a copy, and what they say of themselves."""

from __future__ import annotations

from dataclasses import replace

from ..analysis.dtypes import SIZES
from ..analysis.symbols import ONE
from ..analysis.values import Shape, Tensor
from .call import Call, Lowering, shape_code
from .tiles import OFF_CHIP, repeated, result, spread, type_of


def _self(call: Call) -> Tensor:
    return call.tensor(next(name for name in ("self", "data", "src") if name in call))


def reshape(call: Call) -> Tensor:
    """``x.reshape(shape)`` of a whole tensor."""
    return _reshaped(call, _self(call), call.shape())


def _reshaped(call: Call, x: Tensor, shape: Shape) -> Tensor:
    if not x.whole:
        call.refuse("M-VIEW", operands=x.text)
    return replace(x, text=f"{x.text}.reshape({shape_code(shape)})", shape=shape, extents=())


def expand_dims(call: Call) -> Tensor:
    """``x.reshape`` with dimensions of size 1."""
    x = _self(call)
    if x.shape is None:
        call.refuse("M-SHAPE", operands=x.text)
    axes = call.integers("axis")
    rank = len(x.shape) + len(axes)
    places = {axis + rank if axis < 0 else axis for axis in axes}
    sizes = iter(x.shape)
    return _reshaped(call, x, tuple(ONE if axis in places else next(sizes) for axis in range(rank)))


def view(call: Call) -> Tensor:
    """``x.view(dtype)`` → ``x.view(dtype, shape)``: the last dimension takes the change of size."""
    x, dtype = _self(call), call.dtype()
    if not x.whole:
        call.refuse("M-VIEW", operands=x.text)
    old, new = SIZES.get(type_of(x).known or ""), SIZES.get((dtype and dtype.known) or "")
    if x.shape is None or dtype is None or old is None or new is None:
        call.refuse("M-DTYPE", operands=x.text)
    last = x.shape[-1] * old // new if old != new else x.shape[-1]
    shape = (*x.shape[:-1], last)
    return replace(x, text=f"{x.text}.view({dtype.text}, {shape_code(shape)})", shape=shape, dtype=dtype)


def broadcast_to(call: Call) -> Tensor:
    """The tensor itself, an access pattern that repeats free dimensions, or a tile filled by a helper."""
    x, shape = _self(call), call.shape()
    if x.shape is None or len(x.shape) != len(shape):
        call.refuse("M-SHAPE", operands=x.text)
    if x.space in OFF_CHIP and not x.whole:
        call.refuse("M-VIEW", operands=x.text)
    if repeated(call, x.shape[0], shape[0]) and len(shape) == 2 and not repeated(call, x.shape[1], shape[1]):
        return _over_partitions(call, x, shape)
    return spread(call, x, shape, "broadcast")


def _over_partitions(call: Call, x: Tensor, shape: Shape) -> Tensor:
    def write(dst: Tensor) -> None:
        call.out.emit(call.out.helper("broadcast_partitions"), dst=dst.text, src=x.text)

    return result(call, write, shape, type_of(x), native=type_of(x), hint="broadcast")


LOWERINGS: dict[str, Lowering] = {
    "nki.tensor.reshape": reshape,
    "nki.tensor.expand_dims": expand_dims,
    "nki.tensor.view": view,
    "nki.tensor.broadcast_to": broadcast_to,
    "nl.expand_dims": expand_dims,
    "nl.broadcast_to": broadcast_to,
}
