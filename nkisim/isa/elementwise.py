"""Instructions that work element by element on tiles: Vector, Scalar and GpSimd Engine.

Arithmetic is float32 whatever the element types are; the result is converted to that of ``dst``. Bitvec
operators work on the stored bits of integers. Operands match by partitions and by elements in each.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import operators as nl
from ..core.dtypes import INTEGER, PACKED, Array, bool_, fill, float32, uint8, uint16, uint32
from ..core.errors import fail
from ..core.memory import PSUM
from ..core.operators import Operator
from ..core.registers import Register
from ..core.scratch import scratch
from ..core.tensor import Tensor
from . import rules
from .blocks import combined, in_blocks, mapped, room
from .common import F32, column, instruction, matched, number, operand, operand_limit, put, vector
from .constants import engine

_UNKNOWN = engine.unknown
_POWER = nl.power
_TILES = ("data1", "data2")


def applied(
    op: Operator,
    data: Array,
    other: Any,
    reverse: bool,
    instruction_name: str,
    what: str = "operand0",
    dst: Tensor | None = None,
) -> Array:
    """``data op other`` in float32 with a scalar or ``[P, 1]`` operand; unary operators ignore ``other``.

    With ``dst``, which no operand is read from afterwards, the result may lie there (:func:`.blocks.room`).
    """
    into = op.into
    value = None if op.arity == 1 else vector(other, data, instruction_name, what)
    if into is None:
        operands = (data,) if op.arity == 1 else (value, data) if reverse else (data, value)
        return op.function(*operands)
    out = scratch.take(data.shape) if dst is None else room(dst, data.shape)
    if op.arity == 1:
        return into(data, out=out)
    return into(value, data, out=out) if reverse else into(data, value, out=out)


@instruction
def tensor_tensor(
    dst: Any, data1: Any, data2: Any, op: Any, engine: engine = _UNKNOWN, name: Any = None
) -> None:
    """``dst = data1 op data2``, element by element, without broadcasting (use ``.ap`` with a step of 0).

    Buffers: SBUF or PSUM, but not both inputs in PSUM. Engines: vector, gpsimd (SBUF only; ``nl.power`` runs
    there). Bitvec operators need integer tensors. Raises SimulationError.
    """
    operand(dst, "tensor_tensor", "dst")
    operand(data1, "tensor_tensor", "data1")
    operand(data2, "tensor_tensor", "data2")
    rules.alu("tensor_tensor", op, "op", 2)
    if data1.buffer == PSUM:
        rules.one_in_psum("tensor_tensor", data1, data2, _TILES)
    if engine is not _UNKNOWN:
        rules.check_engine("tensor_tensor", engine, dst, data1, data2)
    if op is _POWER:
        rules.outside_psum("tensor_tensor", dst, data1, data2)
    if op.bitwise:
        rules.integers("tensor_tensor", dst=dst, data1=data1, data2=data2)
        first, second = data1.read_raw(), data2.read_raw().astype(data1.dtype.numpy, copy=False)
        second = matched(first, second, "tensor_tensor", _TILES)
        put(dst, op.function(first, second), "tensor_tensor")
        return
    for into, left, right in in_blocks(dst, data1, data2):
        values = combined(op, left.read(), right.read(), into, "tensor_tensor", _TILES)
        put(into, values, "tensor_tensor")


@instruction
def tensor_scalar(
    dst: Any,
    data: Any,
    op0: Any,
    operand0: Any,
    reverse0: bool = False,
    op1: Any = None,
    operand1: Any = None,
    reverse1: bool = False,
    engine: engine = _UNKNOWN,
    name: Any = None,
) -> None:
    """``dst = (data op0 operand0) op1 operand1`` with scalars or ``[P, 1]`` tiles; ``reverse`` swaps sides.

    Buffers: SBUF or PSUM. Both operators are arithmetic, or both bitvec (integers, Vector Engine). Engines:
    vector, gpsimd (SBUF only), scalar (multiply+add, multiply, add). Raises SimulationError.
    """
    operand(dst, "tensor_scalar", "dst")
    operand(data, "tensor_scalar", "data")
    rules.alu("tensor_scalar", op0, "op0")
    if op1 is not None:
        rules.alu("tensor_scalar", op1, "op1", bitwise=op0.bitwise)
    elif operand1 is not None:
        raise fail("nisa.tensor_scalar: operand1 is given, but no op1 to apply it with")
    if engine is not _UNKNOWN:
        _check_scalar_engine(engine, op0, op1, dst, data, operand0, operand1)
    if op0.bitwise:
        rules.integers("tensor_scalar", dst=dst, data=data, operand0=operand0, operand1=operand1)
        values = _bits(op0, data.read_raw(), operand0, reverse0, "operand0")
        if op1 is not None:
            values = _bits(op1, values, operand1, reverse1, "operand1")
        put(dst, values, "tensor_scalar")
        return
    for into, part, first, second in in_blocks(dst, data, operand0, operand1):
        if op1 is None:
            values = applied(op0, part.read(), first, reverse0, "tensor_scalar", "operand0", into)
        else:
            values = applied(op0, part.read(), first, reverse0, "tensor_scalar")
            values = applied(op1, values, second, reverse1, "tensor_scalar", "operand1", into)
        put(into, values, "tensor_scalar")


_SCALAR_ENGINE = ((nl.multiply, nl.add), (nl.multiply, None), (nl.add, None))


def _check_scalar_engine(chosen: engine, op0: Operator, op1: Any, *tensors: Any) -> None:
    rules.check_engine("tensor_scalar", chosen, *tensors)
    if chosen is engine.scalar:
        operand_limit(
            (op0, op1) in _SCALAR_ENGINE,
            "tensor_scalar",
            f"Scalar Engine runs multiply then add, multiply, or add; not {op0} then {op1}",
        )
    operand_limit(
        not op0.bitwise or chosen is engine.vector,
        "tensor_scalar",
        f"{op0} is a bitvec operator and runs on Vector Engine only, not on the {chosen}",
    )


def _bits(op: Operator, data: Array, other: Any, reverse: bool, what: str) -> Array:
    """A bitvec operator on stored bits; the operand is taken as the data's integer type."""
    result: Array
    if op.arity == 1:
        result = op.function(data)
        return result
    if isinstance(other, Tensor):
        operand(other, "tensor_scalar", what)
        value = column(other.read_raw(), data, "tensor_scalar", what, other).astype(data.dtype)
    else:
        number(other, "tensor_scalar", what)
        value = _wrapped(int(other), data.dtype)
    result = op.function(value, data) if reverse else op.function(data, value)
    return result


@instruction
def scalar_tensor_tensor(
    dst: Any,
    data: Any,
    op0: Any,
    operand0: Any,
    op1: Any,
    operand1: Any,
    reverse0: bool = False,
    reverse1: bool = False,
    name: Any = None,
    dtype: Any = None,
) -> None:
    """``dst = (data op0 operand0) op1 operand1``: operand0 a scalar or ``[P, 1]`` tile, operand1 like data.

    Buffers: SBUF or PSUM, but not data and operand1 both in PSUM. Arithmetic operators only. ``dtype`` is
    accepted and without effect: dst decides. Raises SimulationError.
    """
    operand(dst, "scalar_tensor_tensor", "dst")
    operand(data, "scalar_tensor_tensor", "data")
    operand(operand1, "scalar_tensor_tensor", "operand1")
    rules.alu("scalar_tensor_tensor", op0, "op0", bitwise=False)
    rules.alu("scalar_tensor_tensor", op1, "op1", bitwise=False, arity=2)
    rules.one_in_psum("scalar_tensor_tensor", data, operand1, ("data", "operand1"))
    for into, part, scalar, tile in in_blocks(dst, data, operand0, operand1):
        first = applied(op0, part.read(), scalar, reverse0, "scalar_tensor_tensor")
        second = tile.read()
        if reverse1:
            values = combined(op1, second, first, into, "scalar_tensor_tensor", ("operand1", "data"))
        else:
            values = combined(op1, first, second, into, "scalar_tensor_tensor", ("data", "operand1"))
        put(into, values, "scalar_tensor_tensor")


@instruction
def tensor_copy(dst: Any, src: Any, engine: engine = _UNKNOWN, name: Any = None, dtype: Any = None) -> None:
    """``dst = src``: the same bits between equal element types, through float32 otherwise.

    Buffers: SBUF or PSUM. Engines: vector, gpsimd (SBUF only), scalar (from gen3 on). ``dtype`` has no
    effect. Raises SimulationError.
    """
    operand(dst, "tensor_copy", "dst")
    operand(src, "tensor_copy", "src")
    if engine is not _UNKNOWN:
        rules.check_engine("tensor_copy", engine, dst, src)
    if src.dtype is dst.dtype:
        put(dst, src.read_raw(), "tensor_copy")
        return
    for into, part in in_blocks(dst, src):
        put(into, part.read(), "tensor_copy")


@instruction
def tensor_copy_predicated(
    dst: Any, src: Any, predicate: Any, reverse_pred: bool = False, name: Any = None
) -> None:
    """Copy src (a tile, or a number) to dst where predicate is not 0, or is 0 with ``reverse_pred``.

    Other elements of dst stay. Buffers: SBUF or PSUM, but not src and predicate both in PSUM. predicate:
    uint8, uint16 or uint32. A tile has the element type of dst. Raises SimulationError.
    """
    operand(dst, "tensor_copy_predicated", "dst")
    operand(predicate, "tensor_copy_predicated", "predicate")
    rules.dtype_in("tensor_copy_predicated", predicate, "predicate", (uint8, uint16, uint32, bool_))
    old = dst.read_raw()
    chosen = np.equal(predicate.read_raw(), 0) if reverse_pred else np.not_equal(predicate.read_raw(), 0)
    chosen = matched(old, chosen, "tensor_copy_predicated", ("dst", "predicate"))
    if isinstance(src, Tensor):
        operand(src, "tensor_copy_predicated", "src")
        rules.one_in_psum("tensor_copy_predicated", src, predicate, ("src", "predicate"))
        rules.same_type("tensor_copy_predicated", src, dst, ("src", "dst"))
        new = matched(old, src.read_raw(), "tensor_copy_predicated", ("dst", "src"))
    else:
        number(src, "tensor_copy_predicated", "src")
        new = constant(src, dst)
    put(dst, selected(chosen, new, old), "tensor_copy_predicated")


@instruction
def memset(dst: Any, value: Any, engine: engine = _UNKNOWN, name: Any = None) -> None:
    """Fill dst with a constant, converted to its element type; on packed (x4) types it is that of every byte.

    Buffers: SBUF, or PSUM (not on gpsimd). Integers out of range wrap. Raises SimulationError.
    """
    operand(dst, "memset", "dst")
    if engine is not _UNKNOWN:
        rules.check_engine("memset", engine, dst)
    number(value, "memset", "value")
    if dst.dynamic is None:
        dst.before_write()
        fill(dst.array, constant(value, dst))
    else:
        put(dst, np.broadcast_to(constant(value, dst), dst.shape), "memset")


def selected(holds: Array, stored: Any, otherwise: Any) -> Any:
    """``np.where`` on stored values, by their bits: NumPy is slow on the types of ml_dtypes."""
    first, second = np.asarray(stored), np.asarray(otherwise)
    if first.dtype.kind != "V" and first.dtype == second.dtype:
        return np.where(holds, first, second)
    bits = f"u{first.dtype.itemsize}"
    return np.where(holds, first.view(bits), second.view(bits)).view(first.dtype)


def constant(value: Any, dst: Tensor) -> Any:
    """A number as one stored element of ``dst``."""
    if dst.dtype is float32:
        return F32(value)
    made = np.empty(1, dst.dtype.numpy)
    if dst.dtype.kind == PACKED:
        made.view(np.uint8)[...] = int(value)
    elif dst.dtype.kind == INTEGER and isinstance(value, int | np.integer | Register):
        made[...] = _wrapped(int(value), made.dtype)
    elif dst.dtype.kind == INTEGER:
        low, high = dst.dtype.limits if dst.dtype is not bool_ else (0, 1)
        made[...] = int(np.clip(np.rint(np.nan_to_num(float(value))), low, high))
    else:
        made[...] = F32(value)
    return made.reshape(())


def _wrapped(value: int, kind: Any) -> Array:
    """The lowest bits of an integer."""
    if kind == np.bool_:
        return np.asarray(value != 0)
    bits = 8 * kind.itemsize
    return np.asarray(value & ((1 << bits) - 1), f"u{kind.itemsize}").view(kind)


@instruction
def reciprocal(dst: Any, data: Any, name: Any = None) -> None:
    """``dst = 1 / data`` in float32. Buffers: SBUF or PSUM. Raises SimulationError."""
    operand(dst, "reciprocal", "dst")
    operand(data, "reciprocal", "data")
    for into, part in in_blocks(dst, data):
        put(into, mapped(nl.reciprocal, part.read(), into), "reciprocal")
