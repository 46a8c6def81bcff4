"""Loads, stores, copies and transposes."""

from __future__ import annotations

from ..analysis.symbols import Sym
from ..analysis.values import Dtype, Shape, Space, Tensor
from .call import Call, Lowering, code, literal
from .tiles import in_sbuf, matrix, result, tile, type_of

PARTITIONS = 128


def load(call: Call) -> Tensor:
    """``nl.load(src)`` → ``nisa.dma_copy(dst=tile, src=src)``; a DMA converts."""
    src = call.tensor("src")
    vector = src.shape is not None and len(src.shape) == 1  # as far as is known: it may have more dimensions
    shape = None if vector and call.out.target() is None else src.shape

    def write(dst: Tensor) -> None:
        call.out.emit("nisa.dma_copy", dst=dst.text, src=src.text)

    return result(
        call, write, shape, call.dtype() or type_of(src), like=src, writes=Space.SBUF, hint="loaded"
    )


def store(call: Call) -> None:
    """``nl.store(dst, value)`` → ``nisa.dma_copy``; what lies in PSUM passes through SBUF."""
    dst, value = call.tensor("dst"), call.value("value")
    if not isinstance(value, Tensor):
        if literal(value) is None:
            call.unreadable("value")
        source = call.out.temporary("filled", dst.shape, dst.dtype, Space.SBUF, dst)
        call.out.emit("nisa.memset", dst=source.text, value=code(value))
    else:
        source = in_sbuf(call, value, "result")
    call.out.emit("nisa.dma_copy", dst=dst.text, src=source.text)


def load_transposed(call: Call) -> Tensor:
    """``nl.load_transpose2d(src)``: a load, and a transpose on TensorE; a DMA transposes no matrices."""
    src = matrix(call.tensor("src"))
    if src.shape is None or len(src.shape) != 2:
        call.refuse("M-SHAPE", operands=src.text)
    rows, columns = src.shape
    dtype = type_of(src)
    if rows.value is None or rows.value > PARTITIONS:
        return _load_in_pieces(call, src, (columns, rows))
    loaded = call.out.temporary("loaded", src.shape, dtype, Space.SBUF, src)
    call.out.emit("nisa.dma_copy", dst=loaded.text, src=src.text)
    return transposed(call, loaded, call.dtype() or dtype)


def _load_in_pieces(call: Call, src: Tensor, shape: Shape) -> Tensor:
    def write(dst: Tensor) -> None:
        call.out.emit(call.out.helper("load_transposed"), dst=dst.text, src=src.text)

    return result(call, write, shape, call.dtype() or type_of(src), writes=Space.SBUF, hint="loaded")


def transposed(call: Call, data: Tensor, dtype: Dtype) -> Tensor:
    """The transpose of a tile in SBUF, by way of PSUM."""
    assert data.shape is not None
    shape = _flipped(data.shape)

    def write(dst: Tensor) -> None:
        call.out.emit("nisa.nc_transpose", dst=dst.text, data=data.text)

    return result(call, write, shape, dtype, writes=Space.PSUM, native=type_of(data), hint="transposed")


def transposable(call: Call, parameter: str) -> Tensor:
    """The tile that an instruction transposes: of partitions and at least one free dimension."""
    data = matrix(tile(call, parameter))
    if len(data.shape or ()) < 2:
        call.refuse("M-VECTOR", fn=call.name, x=data.text)
    return data


def _flipped(shape: Shape) -> Shape:
    free = shape[1]
    for more in shape[2:]:
        free = free * more
    return (free, shape[0])


def transpose(call: Call) -> Tensor:
    """``nl.transpose(x)``: in SBUF."""
    x = in_sbuf(call, transposable(call, "x"), "source")
    return transposed(call, x, call.dtype() or type_of(x))


def nc_transpose(call: Call) -> Tensor:
    """``nisa.nc_transpose(data)``: in PSUM, or in SBUF on Vector Engine."""
    data = transposable(call, "data")
    assert data.shape is not None
    shape = _flipped(data.shape)
    engine = code(call.value("engine")) if "engine" in call else ""
    if engine and not call.member("engine"):
        call.unreadable("engine")
    on_vector = call.member("engine").endswith(("vector_engine", "engine.vector")) or (
        data.space == Space.PSUM and all(_at_most(n, 32) for n in shape)
    )
    if not on_vector:
        data = in_sbuf(call, data, "source")
    options = {"engine": engine} if engine else {}

    def write(dst: Tensor) -> None:
        call.out.emit("nisa.nc_transpose", dst=dst.text, data=data.text, **options)

    home = Space.SBUF if on_vector else Space.PSUM
    return result(
        call,
        write,
        shape,
        call.dtype() or type_of(data),
        home=home,
        writes=home,
        native=type_of(data),
        hint="transposed",
    )


def _at_most(size: Sym, limit: int) -> bool:
    return size.value is not None and size.value <= limit


def copy(call: Call) -> Tensor:
    """``nl.copy(src)``, ``x.astype(dtype)`` …: a copy in SBUF that may have another dtype."""
    parameter = next((name for name in ("src", "self", "input_data") if name in call), "src")
    src = tile(call, parameter)
    options = {"engine": code(call.value("engine"))} if "engine" in call else {}

    def write(dst: Tensor) -> None:
        call.out.emit("nisa.tensor_copy", dst=dst.text, src=src.text, **options)

    return result(call, write, src.shape, call.dtype() or type_of(src), like=src)


def dma_copy(call: Call) -> None:
    """``nisa.dma_copy``: its keywords stay."""
    kept = ("dst", "src", "dst_rmw_op", "oob_mode", "dge_mode")
    call.out.emit("nisa.dma_copy", **{name: code(call.value(name)) for name in kept if name in call})


LOWERINGS: dict[str, Lowering] = {
    "nl.load": load,
    "nl.store": store,
    "nl.load_transpose2d": load_transposed,
    "nl.transpose": transpose,
    "nl.copy": copy,
    "nl.static_cast": copy,
    "nki.tensor.astype": copy,
    "nisa.nc_transpose": nc_transpose,
    "nisa.tensor_copy": copy,
    "nisa.tensor_copy_dynamic_src": copy,
    "nisa.dma_copy": dma_copy,
}
