"""Functions that are several instructions: selection, norms, gathers, and what writes by index."""

from __future__ import annotations

from ..analysis.dtypes import FLAGS, named
from ..analysis.values import Dtype, Scalar, Space, Tensor
from .binary import Operand
from .call import Call, Lowering, code
from .reduction import by_helper
from .tiles import (
    as_type,
    broadcast,
    copied,
    in_sbuf,
    over_partitions,
    result,
    result_dtype,
    spread,
    tile,
    type_of,
)

PREDICATES = ("uint8", "uint16", "uint32")
"""Dtypes that a predicate can have."""


def where(call: Call) -> Tensor:
    """y, then x where the condition is not 0."""
    test = tile(call, "condition")
    x, y = (_choice(call, each) for each in ("x", "y"))
    tiles = [each for each in (x, y) if isinstance(each, Tensor)]
    dtype = call.dtype() or result_dtype(call, *(tiles or (x, y)))
    flags = _predicate(call, test)
    if all(each.shape is None for each in (test, *tiles)):
        shape, first, second = None, x, y
        if tiles:
            call.out.note("M-SAME", fn=call.name, operands=", ".join(each.text for each in (test, *tiles)))
    else:
        shape = broadcast(call, test, *tiles)
        flags = spread(call, flags, shape)
        first, second = (spread(call, each, shape) if isinstance(each, Tensor) else each for each in (x, y))
    if isinstance(first, Tensor):
        first = as_type(call, first, dtype, "chosen")
        if first.space == flags.space == Space.PSUM:
            flags = copied(call, flags, flags.dtype, "condition")

    def write(dst: Tensor) -> None:
        if isinstance(second, Tensor):
            call.out.emit("nisa.tensor_copy", dst=dst.text, src=second.text)
        else:
            call.out.emit("nisa.memset", dst=dst.text, value=second.text)
        call.out.emit("nisa.tensor_copy_predicated", dst=dst.text, src=first.text, predicate=flags.text)

    reads = [each for each in (flags, first) if isinstance(each, Tensor)]
    like = next((each for each in (*tiles, test) if each.shape == shape), None)
    return result(call, write, shape, dtype, like=like, native=dtype, reads=reads)


def _choice(call: Call, parameter: str) -> Operand:
    value = call.value(parameter)
    return value if isinstance(value, Scalar) else tile(call, parameter)


def _predicate(call: Call, test: Tensor) -> Tensor:
    if type_of(test).known in PREDICATES:
        return test
    made = call.out.temporary("condition", test.shape, FLAGS, Space.SBUF, test)
    call.out.emit("nisa.tensor_scalar", dst=made.text, data=test.text, op0="nl.not_equal", operand0="0.0")
    return made


def softmax(call: Call) -> Tensor:
    """By a helper function, over the last axis of a matrix."""
    x = tile(call, "x")
    return by_helper(call, "softmax", x, x.shape, _computed(call, x))


def rms_norm(call: Call) -> Tensor:
    """By a helper function, over the last axis of a matrix."""
    x, w = tile(call, "x"), tile(call, "w")
    if x.shape is None and w.shape is None:
        call.out.note("M-SAME", fn=call.name, operands=f"{x.text}, {w.text}")
    else:
        w = spread(call, w, broadcast(call, x, w), "weight")
    epsilon = code(call.value("epsilon")) if "epsilon" in call else "1e-6"
    more = {"weight": w.text, "n": code(call.value("n")), "epsilon": epsilon}
    return by_helper(call, "rms_norm", x, x.shape, _computed(call, x), **more)


def _computed(call: Call, x: Tensor) -> Dtype:
    return call.dtype() or call.dtype("compute_dtype") or type_of(x)


def dropout(call: Call) -> Tensor:
    """``nl.dropout(x, rate)``; the instruction writes x's dtype."""
    x, rate = tile(call, "x"), call.value("rate")
    probability = code(rate)
    if isinstance(rate, Tensor):
        if rate.shape is not None and x.shape is not None and rate.shape[0].value == 1:
            rate = over_partitions(call, rate, x.shape[0], "rate")
        probability = rate.text

    def write(dst: Tensor) -> None:
        call.out.emit("nisa.dropout", dst=dst.text, data=x.text, prob=probability)

    return result(call, write, x.shape, call.dtype() or type_of(x), like=x, native=type_of(x))


def gather_flattened(call: Call) -> Tensor:
    """Elements of each partition, by indices over its free dimensions."""
    data = in_sbuf(call, tile(call, "data"), "source")
    indices = in_sbuf(call, tile(call, "indices"), "places")
    indices = as_type(call, indices, named("uint32"), "places")

    def write(dst: Tensor) -> None:
        call.out.emit("nisa.nc_n_gather", dst=dst.text, data=data.text, indices=indices.text)

    dtype = call.dtype() or type_of(data)
    return result(call, write, indices.shape, dtype, native=type_of(data), writes=Space.SBUF, hint="gathered")


def atomic_rmw(call: Call) -> None:
    """An addition in HBM; indices may repeat."""
    dst, value = call.tensor("dst"), tile(call, "value")
    if call.member("op") != "nl.add":
        call.refuse("M-OP", parameter="op", value=code(call.value("op")))
    source = in_sbuf(call, value, "added")
    call.out.emit("nisa.dma_copy", dst=dst.text, src=source.text, dst_rmw_op="nl.add", unique_indices="False")


def device_print(call: Call) -> None:
    """``nl.device_print``: its parameters have other names."""
    arguments = {"print_prefix": code(call.value("prefix")), "tensor": code(call.value("x"))}
    call.out.emit("nl.device_print", **arguments)


LOWERINGS: dict[str, Lowering] = {
    "nl.where": where,
    "nl.softmax": softmax,
    "nl.rms_norm": rms_norm,
    "nl.dropout": dropout,
    "nl.gather_flattened": gather_flattened,
    "nl.atomic_rmw": atomic_rmw,
    "nl.device_print": device_print,
}
