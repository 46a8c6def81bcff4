"""Methods of tensors that give a view or a copy, and what they say of themselves."""

from __future__ import annotations

from ...record import replace
from ..analysis.dtypes import SIZES
from ..analysis.symbols import ONE, Sym
from ..analysis.values import Dtype, Scalar, Shape, Tensor, Unknown
from .call import Call, Lowering, shape_code
from .emitter import Emitter
from .tiles import OFF_CHIP, first_partition, in_sbuf, repeated, result, spread, type_of


def _self(call: Call) -> Tensor:
    return call.tensor(next((name for name in ("self", "data", "src") if name in call), "data"))


def reshape(call: Call) -> Tensor:
    """``x.reshape(shape)`` of a whole tensor, also to a shape that is not known here."""
    x, shape = _self(call), call.value("shape")
    if not isinstance(shape, Unknown):
        return _reshaped(call, x, call.shape())
    if not x.whole:
        call.refuse("M-VIEW", operands=x.text)
    if x.extents:
        call.refuse("M-CUT", operands=x.text)
    return replace(x, text=f"{x.text}.reshape({shape.text})", shape=None)


def _reshaped(call: Call, x: Tensor, shape: Shape) -> Tensor:
    if not x.whole:
        call.refuse("M-VIEW", operands=x.text)
    left = _left_of(call, x, shape) if x.extents else shape
    return replace(x, text=f"{x.text}.reshape({shape_code(left)})", shape=left, extents=())


def _left_of(call: Call, x: Tensor, shape: Shape) -> Shape:
    """The shape that the part which a mask left gets, where all of it would get ``shape``: only partitions
    may be missing, and have to stay what they are.
    """
    first, *others = x.extents
    if x.shape is None or first is None or any(others) or call.out.same(first, shape[0]) is not True:
        call.refuse("M-CUT", operands=x.text)
    return (x.shape[0], *shape[1:])


def expand_dims(call: Call) -> Tensor:
    """``x.reshape`` with dimensions of size 1."""
    x = _self(call)
    if x.shape is None:
        call.refuse("M-SHAPE", operands=x.text)
    axes = call.integers("axis")
    rank = len(x.shape) + len(axes)
    places = {axis + rank if axis < 0 else axis for axis in axes}
    if len(places) < len(axes) or not places <= set(range(rank)):
        call.unreadable("axis")
    sizes, own = iter(x.shape), replace(x, extents=())
    return _reshaped(call, own, tuple(ONE if axis in places else next(sizes) for axis in range(rank)))


def view(call: Call) -> Tensor:
    """``x.view(dtype)`` → ``x.view(dtype, shape)``: the last dimension takes the change of size."""
    x, dtype = _self(call), call.dtype()
    if not x.whole:
        call.refuse("M-VIEW", operands=x.text)
    if x.shape is None or dtype is None:
        call.refuse("M-SHAPE", operands=x.text)
    if x.extents and x.extents[-1]:
        call.refuse("M-CUT", operands=x.text)
    old, new = itemsize(type_of(x), call.out).sym, itemsize(dtype, call.out).sym
    assert old is not None
    assert new is not None
    last = x.shape[-1] if old == new else x.shape[-1] * old // new
    shape = (*x.shape[:-1], last)
    return replace(x, text=f"{x.text}.view({dtype.text}, {shape_code(shape)})", shape=shape, dtype=dtype)


def broadcast_to(call: Call) -> Tensor:
    """The tensor itself, an access pattern that repeats free dimensions, or a tile filled by a helper."""
    x = _self(call)
    shape = _left_by_masks(call, x, call.shape())
    if x.shape is None and len(shape) == 2:
        return _matrix(call, x, shape)
    if x.shape is None or len(x.shape) != len(shape):
        call.refuse("M-SHAPE", operands=x.text)
    if x.space in OFF_CHIP and not x.whole:
        call.refuse("M-VIEW", operands=x.text)
    open_axes = [
        axis
        for axis, (own, wanted) in enumerate(zip(x.shape, shape, strict=True))
        if not repeated(call, own, wanted) and call.out.same(own, wanted) is None
    ]
    if open_axes in ([0], [1]) and len(shape) == 2 and not x.extents:
        return _matrix(
            call, x, shape, has_columns=open_axes == [0] and call.out.same(x.shape[1], shape[1]) is True
        )
    if open_axes:
        call.refuse("M-SHAPE", operands=x.text)
    if repeated(call, x.shape[0], shape[0]) and len(shape) == 2 and not repeated(call, x.shape[1], shape[1]):
        return _over_partitions(call, x, shape)
    return spread(call, x, shape, "broadcast")


def _left_by_masks(call: Call, x: Tensor, shape: Shape) -> Shape:
    """The shape with as many elements as masks left, along axes that have what they had before."""
    if x.shape is None or len(x.extents) != len(shape):
        return shape
    axes = zip(shape, x.extents, x.shape, strict=True)
    return tuple(
        left if was is not None and call.out.same(was, size) is True else size for size, was, left in axes
    )


def _matrix(call: Call, x: Tensor, shape: Shape, has_columns: bool = False) -> Tensor:
    """A matrix of which it is only known when the kernel is traced which dimensions are repeated."""
    source = in_sbuf(call, x, "source")
    if x.space in OFF_CHIP or not (source.whole or has_columns):
        call.refuse("M-SHAPE", operands=x.text)

    def write(dst: Tensor) -> None:
        call.out.emit(call.out.helper("broadcast"), dst=dst.text, src=source.text)

    return result(call, write, shape, type_of(x), native=type_of(x), hint="broadcast")


def _over_partitions(call: Call, x: Tensor, shape: Shape) -> Tensor:
    source = first_partition(call, in_sbuf(call, x, "source"), "source")

    def write(dst: Tensor) -> None:
        call.out.emit(call.out.helper("broadcast_partitions"), dst=dst.text, src=source.text)

    return result(call, write, shape, type_of(x), native=type_of(x), hint="broadcast")


def assert_shape(call: Call) -> Tensor:
    """``x.assert_shape(shape)`` → an assertion; the tensor itself."""
    x = _self(call)
    shape = call.shape()
    call.out.line(f"assert {x.text}.shape == {shape_code(shape)}")
    return replace(x, shape=shape)


def itemsize(dtype: Dtype, out: Emitter) -> Scalar:
    """Bytes of an element: a number, or what a helper says when the kernel is traced."""
    size = SIZES.get(dtype.known or "")
    if size is not None:
        return Scalar(str(size), Sym.constant(size))
    text = f"{out.helper('itemsize')}({dtype.text})"
    return Scalar(text, Sym.atom(text))


_LIMITS = {
    "float32": ("3.4028235e38", "1.1920929e-07"),
    "tfloat32": ("3.4028235e38", "1.1920929e-07"),
    "bfloat16": ("3.3895314e38", "0.0078125"),
    "float16": ("65504.0", "0.0009765625"),
    "float8_e4m3": ("240.0", "0.125"),
    "float8_e5m2": ("57344.0", "0.25"),
}
"""Largest finite value, and the step above 1, of each float type."""


def limit(dtype: Dtype, member: str, out: Emitter) -> Scalar | None:
    """``nl.finfo(dtype).min``, ``.max`` or ``.eps``: a number, or what a helper says in the kernel;
    None for a dtype that is no float.
    """
    if dtype.known is not None and dtype.known not in _LIMITS:
        return None
    if dtype.known is not None:
        largest, step = _LIMITS[dtype.known]
    else:
        name = "step_above_one" if member == "eps" else "largest_number"
        largest = step = f"{out.helper(name)}({dtype.text})"
    return Scalar({"max": largest, "min": f"-{largest}", "eps": step}[member], real=True)


LOWERINGS: dict[str, Lowering] = {
    "nki.tensor.assert_shape": assert_shape,
    "nki.tensor.reshape": reshape,
    "nki.tensor.expand_dims": expand_dims,
    "nki.tensor.view": view,
    "nki.tensor.broadcast_to": broadcast_to,
    "nl.expand_dims": expand_dims,
    "nl.broadcast_to": broadcast_to,
}
