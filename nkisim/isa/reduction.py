"""Reductions, scans and statistics: Vector Engine, and GpSimd Engine across partitions. All in float32."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import operators as nl
from ..core.context import state
from ..core.dtypes import Array, int32, uint32
from ..core.memory import SBUF
from ..core.operators import Operator
from . import rules
from .common import F32, instruction, matched, operand, operand_limit, put, vector
from .constants import reduce_cmd
from .elementwise import applied

_REDUCERS = (nl.add, nl.subtract, nl.multiply, nl.maximum, nl.minimum)
_ACROSS = (nl.add, nl.maximum, nl.bitwise_or, nl.bitwise_and)
_RESET_REDUCE = reduce_cmd.reset_reduce


def _reduced(op: Operator, values: Array, axes: int | tuple[int, ...]) -> Array:
    assert op.reduction is not None
    result: Array = op.reduction.reduce(values, axis=axes, keepdims=True)
    return result.astype(F32) if result.dtype == np.bool_ and not op.bitwise else result


@instruction
def tensor_reduce(
    dst: Any, op: Any, data: Any, axis: Any, negate: bool = False, keepdims: bool = False, name: Any = None
) -> None:
    """Reduce the innermost free dimensions of data; ``axis`` says by its length how many of them.

    In this release 1 means the last dimension of a tile of any rank, ``[1, 2]`` the last two. ``negate``
    multiplies the result of an arithmetic operator by -1. dst has the remaining elements in each partition;
    ``keepdims`` does not matter for it. Buffers: SBUF or PSUM. Bitvec operators need integers. Raises
    SimulationError.
    """
    operand(dst, "tensor_reduce", "dst")
    operand(data, "tensor_reduce", "data")
    rules.alu("tensor_reduce", op, "op")
    operand_limit(op.reduction is not None, "tensor_reduce", f"{op} is no operator that reduces")
    values = data.read_raw() if op.bitwise else data.read()
    count = _reduced_dimensions(axis, values.ndim)
    if op.bitwise:
        rules.integers("tensor_reduce", dst=dst, data=data)
        operand_limit(not negate, "tensor_reduce", f"negate works with arithmetic operators, not with {op}")
    if op is nl.subtract and count > 1:  # one after the other, which NumPy does along one axis only
        values = values.reshape(*values.shape[: values.ndim - count], -1)
        count = 1
    result = _reduced(op, values, -1 if count == 1 else tuple(range(values.ndim - count, values.ndim)))
    put(dst, np.negative(result) if negate else result, "tensor_reduce")


LAST_DIMENSION = 4
"""The innermost one in lists that count as the instruction does: four free dimensions, whatever data has."""


def _reduced_dimensions(axis: Any, ndim: int) -> int:
    if type(axis) is int and 0 < axis < ndim:
        return 1
    axes = list(axis) if isinstance(axis, list | tuple) else [axis]
    whole = bool(axes) and all(isinstance(each, int | np.integer) for each in axes)
    operand_limit(whole, "tensor_reduce", f"axis is {axis!r}; it must be an integer, or a list of them")
    operand_limit(
        0 not in axes, "tensor_reduce", f"axis is {axis}; 0 is the partition, which it cannot reduce"
    )
    following = axes == list(range(axes[0], axes[0] + len(axes)))
    operand_limit(following, "tensor_reduce", f"axis is {axis}; it must list consecutive dimensions")
    ends = axes[-1] < ndim or axes[-1] == LAST_DIMENSION
    there = len(axes) < ndim and -ndim < axes[0] and ends
    operand_limit(there, "tensor_reduce", f"axis is {axis}; data has {ndim - 1} free dimensions")
    return len(axes)


@instruction
def tensor_scalar_reduce(
    dst: Any,
    data: Any,
    op0: Any,
    operand0: Any,
    reduce_op: Any,
    reduce_res: Any,
    reverse0: bool = False,
    name: Any = None,
) -> None:
    """``dst = data op0 operand0``; reduce_res, ``[P, 1]``, is reduce_op over each partition of it (in
    float32).

    reduce_op: add, subtract, multiply, maximum, minimum. ``reverse0`` is not supported by this release.
    Buffers: SBUF or PSUM. Raises SimulationError.
    """
    operand(dst, "tensor_scalar_reduce", "dst")
    operand(data, "tensor_scalar_reduce", "data")
    operand(reduce_res, "tensor_scalar_reduce", "reduce_res")
    rules.alu("tensor_scalar_reduce", op0, "op0", bitwise=False)
    rules.one_of("tensor_scalar_reduce", reduce_op, "reduce_op", _REDUCERS)
    operand_limit(not reverse0, "tensor_scalar_reduce", "reverse0 is not supported in this release")
    result = applied(op0, data.read(), operand0, False, "tensor_scalar_reduce")
    folded = _reduced(reduce_op, result.reshape(result.shape[0], -1), -1)
    put(dst, result, "tensor_scalar_reduce")
    put(reduce_res, folded, "tensor_scalar_reduce", "reduce_res")


@instruction
def tensor_partition_reduce(dst: Any, op: Any, data: Any, name: Any = None) -> None:
    """Reduce over the partitions into dst of one partition, on GpSimd Engine: SBUF only.

    op: add, maximum, bitwise_or, bitwise_and. Raises SimulationError.
    """
    operand(dst, "tensor_partition_reduce", "dst", (SBUF,))
    operand(data, "tensor_partition_reduce", "data", (SBUF,))
    rules.one_of("tensor_partition_reduce", op, "op", _ACROSS)
    if op.bitwise:
        rules.integers("tensor_partition_reduce", dst=dst, data=data)
    values = data.read_raw() if op.bitwise else data.read()
    put(dst, _reduced(op, values, 0), "tensor_partition_reduce")


@instruction
def tensor_tensor_scan(
    dst: Any,
    data0: Any,
    data1: Any,
    initial: Any,
    op0: Any,
    op1: Any,
    reverse0: bool = False,
    reverse1: bool = False,
    name: Any = None,
) -> None:
    """In each partition ``s = (data0[i] op0 s) op1 data1[i]``, ``dst[i] = s``, from ``s = initial``, in
    float32.

    initial is a scalar or a ``[P, 1]`` tile; ``reverse`` swaps the two sides of an operator. Arithmetic
    operators. Buffers: SBUF or PSUM, but not data0 and data1 both in PSUM. Raises SimulationError.
    """
    operand(dst, "tensor_tensor_scan", "dst")
    operand(data0, "tensor_tensor_scan", "data0")
    operand(data1, "tensor_tensor_scan", "data1")
    rules.alu("tensor_tensor_scan", op0, "op0", bitwise=False, arity=2)
    rules.alu("tensor_tensor_scan", op1, "op1", bitwise=False, arity=2)
    rules.one_in_psum("tensor_tensor_scan", data0, data1, ("data0", "data1"))
    first = data0.read()
    second = matched(first, data1.read(), "tensor_tensor_scan", ("data0", "data1"))
    rows = first.shape[0]
    a, b = first.reshape(rows, -1), second.reshape(rows, -1)
    start = np.broadcast_to(vector(initial, a, "tensor_tensor_scan", "initial"), (rows, 1))[:, 0]
    if op0 is nl.multiply and op1 is nl.add and (a == 1).all():
        result = _sums(b, start)
    else:
        result = _scanned(a, b, start, op0, op1, reverse0, reverse1)
    put(dst, result.reshape(first.shape), "tensor_tensor_scan")


def _sums(values: Array, start: Array) -> Array:
    """Running sums; NumPy adds one after the other, as the engine does."""
    result: Array = values.copy()
    result[:, 0] += start
    np.cumsum(result, axis=1, dtype=F32, out=result)
    return result


def _scanned(a: Array, b: Array, carry: Array, op0: Operator, op1: Operator, rev0: bool, rev1: bool) -> Array:
    first, second = np.ascontiguousarray(a.T), np.ascontiguousarray(b.T)
    result: Array = np.empty_like(first)
    for i in range(len(first)):
        carry = op0.function(carry, first[i]) if rev0 else op0.function(first[i], carry)
        carry = op1.function(second[i], carry) if rev1 else op1.function(carry, second[i])
        result[i] = carry
    across: Array = result.T
    return across


@instruction
def tensor_scalar_cumulative(
    dst: Any,
    src: Any,
    op0: Any,
    op1: Any,
    imm0: Any,
    imm1: Any = None,
    reduce_cmd: reduce_cmd = _RESET_REDUCE,
    name: Any = None,
) -> None:
    """In each partition ``s = (src[i] op0 imm0) op1 s``, ``dst[i] = s``, in float32.

    s is Vector Engine's accumulator, which lives on: ``reset_reduce`` starts from op1's neutral element,
    ``load_reduce`` from imm1, ``reduce`` from what it holds. imm0 and imm1 are scalars or ``[P, 1]`` tiles.
    op1: add, subtract, multiply, maximum, minimum. No 32-bit integers. Buffers: SBUF or PSUM. Raises
    SimulationError.
    """
    what = "tensor_scalar_cumulative"
    operand(dst, what, "dst")
    operand(src, what, "src")
    rules.alu(what, op0, "op0", bitwise=False)
    rules.one_of(what, op1, "op1", _REDUCERS)
    for side, tensor in (("dst", dst), ("src", src)):
        operand_limit(
            tensor.dtype not in (int32, uint32), what, f"{side} is a {tensor!r}; no 32-bit integers"
        )
    values = applied(op0, src.read(), imm0, False, what, "imm0")
    rows = values.shape[0]
    state_of = state.running().vector_accumulators
    _start(state_of, rows, op1, imm1, reduce_cmd)
    result = _cumulated(values.reshape(rows, -1), state_of[:rows, 0], op1)
    state_of[:rows, 0] = result[:, -1]
    put(dst, result.reshape(values.shape), what)


def _start(accumulators: Array, rows: int, op1: Operator, imm1: Any, command: reduce_cmd) -> None:
    what = "tensor_scalar_cumulative"
    if command is _RESET_REDUCE:
        accumulators[...] = op1.identity
    elif command is reduce_cmd.load_reduce:
        operand_limit(imm1 is not None, what, "reduce_cmd.load_reduce needs imm1, the value to start from")
        accumulators[:rows] = vector(imm1, accumulators[:rows], what, "imm1")
    else:
        operand_limit(
            command is reduce_cmd.reduce,
            what,
            f"{command} is not for it; use reset_reduce, load_reduce or reduce",
        )


def _cumulated(values: Array, start: Array, op: Operator) -> Array:
    if op is nl.subtract:
        return _scanned(values, values, start.copy(), nl.subtract, _SECOND_AWAY, False, False)
    result = values.copy()
    result[:, 0] = op.function(result[:, 0], start)
    assert op.reduction is not None
    accumulated: Array = op.reduction.accumulate(result, axis=1)
    return accumulated


_SECOND_AWAY = Operator("keep", lambda x, _: x, 2)


@instruction
def bn_stats(dst: Any, data: Any, name: Any = None) -> None:
    """Six numbers for each partition: count, mean and variance·count of its even, then of its odd elements.

    At most 512 elements in a partition. Buffers: SBUF or PSUM. Raises SimulationError.
    """
    operand(dst, "bn_stats", "dst")
    operand(data, "bn_stats", "data")
    values = data.read()
    values = values.reshape(values.shape[0], -1)
    operand_limit(
        values.shape[1] <= 512, "bn_stats", f"data has {values.shape[1]} elements in a partition; at most 512"
    )
    result = np.zeros((values.shape[0], 6), F32)
    for half in range(2):
        part = values[:, half::2]
        if part.shape[1]:
            mean = np.add.reduce(part, axis=1, dtype=F32) / F32(part.shape[1])
            result[:, 3 * half] = part.shape[1]
            result[:, 3 * half + 1] = mean
            result[:, 3 * half + 2] = np.add.reduce(np.square(part - mean[:, None]), axis=1, dtype=F32)
    put(dst, result, "bn_stats")


@instruction
def bn_aggr(dst: Any, data: Any, name: Any = None) -> None:
    """Mean and (population) variance of each partition from :func:`bn_stats`' triples, of any number of
    calls.

    Elements in a partition: a multiple of 3 in data, 2 in dst. Buffers: SBUF or PSUM. Raises SimulationError.
    """
    operand(dst, "bn_aggr", "dst")
    operand(data, "bn_aggr", "data")
    values = data.read()
    rows = values.shape[0]
    elements = values.size // rows
    operand_limit(elements % 3 == 0, "bn_aggr", f"data has {elements} elements in a partition, not triples")
    triples = values.reshape(rows, -1, 3)
    counts, means, spreads = triples[..., 0], triples[..., 1], triples[..., 2]
    total = np.add.reduce(counts, axis=1, dtype=F32)
    result = np.empty((rows, 2), F32)
    mean = result[:, 0] = np.add.reduce(counts * means, axis=1, dtype=F32) / total
    around = spreads + counts * np.square(means - mean[:, None])
    result[:, 1] = np.add.reduce(around, axis=1, dtype=F32) / total
    put(dst, result, "bn_aggr")
