"""Scalar Engine's activations, and Vector Engine's exponential with its running sum."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import operators as nl
from ..core.context import state
from ..core.dtypes import Array
from ..core.errors import fail
from ..core.operators import Operator
from ..core.scratch import scratch
from ..core.tensor import Tensor
from . import rules
from .blocks import in_blocks, mapped
from .common import instruction, operand, operand_limit, put, vector
from .constants import reduce_cmd

_NUMBERS = (int, float)
_IDLE, _RESET, _REDUCE = reduce_cmd.idle, reduce_cmd.reset, reduce_cmd.reduce
_RESET_REDUCE, _LOAD_REDUCE = reduce_cmd.reset_reduce, reduce_cmd.load_reduce
_COMMANDS = (_IDLE, _RESET, _REDUCE, _RESET_REDUCE)
_RUNNING = (_IDLE, _REDUCE, _RESET_REDUCE, _LOAD_REDUCE)


@instruction
def activation(
    dst: Any,
    op: Any,
    data: Any,
    bias: Any = None,
    scale: Any = 1.0,
    reduce_op: Any = None,
    reduce_res: Any = None,
    reduce_cmd: reduce_cmd = _IDLE,
    name: Any = None,
) -> None:
    """``dst = op(data * scale + bias)`` on Scalar Engine; scale and bias are scalars or ``[P, 1]`` tiles.

    The engine keeps one float32 sum for each partition across instructions: ``reset`` clears it, ``reduce``
    adds the row sums of the result (before conversion to dst), ``reset_reduce`` does both, ``reduce_res``
    receives it. Buffers: SBUF or PSUM. On gen2 a bias must be a tile. Raises SimulationError.
    """
    _activate("activation", dst, op, data, bias, scale, reduce_op, reduce_res, reduce_cmd)


@instruction
def activation_reduce(
    dst: Any,
    op: Any,
    data: Any,
    reduce_op: Any,
    reduce_res: Any,
    bias: Any = None,
    scale: Any = 1.0,
    name: Any = None,
) -> None:
    """:func:`activation` with ``reset_reduce``: reduce_res is the row sums of ``op(data * scale + bias)``."""
    operand(reduce_res, "activation_reduce", "reduce_res")
    _activate("activation_reduce", dst, op, data, bias, scale, reduce_op, reduce_res, _RESET_REDUCE)


def _activate(
    name: str,
    dst: Any,
    op: Any,
    data: Any,
    bias: Any,
    scale: Any,
    reduce_op: Any,
    into: Any,
    command: reduce_cmd,
) -> None:
    operand(dst, name, "dst")
    operand(data, name, "data")
    if not isinstance(op, Operator) or not op.activation:
        raise fail(f"nisa.{name}: op is {op!r}; it must be an activation function, such as nl.exp or nl.copy")
    if command is not _IDLE or into is not None:
        _check_reduction(name, reduce_op, into, command)
    start = 0
    for tile, part, factor, shift in in_blocks(dst, data, scale, bias):
        result = mapped(op, scaled(name, part.read(), factor, shift), tile)
        if command is not _IDLE:
            start = _accumulate(result, command, start)
        put(tile, result, name)
    if into is not None:
        rows = data.shape[0] if data.partitioned else 1
        put(into, state.running().activation_accumulators[:rows], name, "reduce_res")


def scaled(name: str, values: Array, scale: Any, bias: Any) -> Array:
    scaled = values
    if not (isinstance(scale, _NUMBERS) and scale == 1.0):
        scaled = np.multiply(values, vector(scale, values, name, "scale"), out=scratch.take(values.shape))
    if bias is None:
        return scaled
    if state.generation == 2 and not isinstance(bias, Tensor):
        raise fail(f"nisa.{name}: bias is a number; on gen2 it must be a [P, 1] tile")
    shift = vector(bias, values, name, "bias")
    return np.add(scaled, shift, out=scratch.take(values.shape) if scaled is values else scaled)


def _check_reduction(name: str, reduce_op: Any, into: Any, command: reduce_cmd) -> None:
    operand_limit(command in _COMMANDS, name, f"{command} is not for Scalar Engine as its reduce_cmd")
    if reduce_op is not None:
        rules.one_of(name, reduce_op, "reduce_op", (nl.add,))
    if into is not None:
        operand(into, name, "reduce_res")


def _accumulate(result: Array, command: reduce_cmd, start: int) -> int:
    """Add row sums to the sums from ``start`` on; the row after the last one."""
    sums = state.running().activation_accumulators
    rows = result.shape[0]
    if start == 0 and command is not _REDUCE:
        sums[...] = 0
    if command is not _RESET:
        sums[start : start + rows, 0] += np.add.reduce(result.reshape(rows, -1), axis=1)
    return start + rows


@instruction
def exponential(
    dst: Any,
    src: Any,
    max_value: Any = 0.0,
    reduce_res: Any = None,
    reduce_cmd: reduce_cmd = _IDLE,
    reduce_init: Any = 0.0,
    name: Any = None,
) -> None:
    """``dst = exp(src - max_value)`` on Vector Engine, from gen4 on; max_value is a scalar or a ``[P, 1]``
    tile.

    The engine's accumulators take the row sums: ``reset_reduce`` from 0, ``load_reduce`` from reduce_init,
    ``reduce`` from what they hold; ``reduce_res`` receives them. Buffers: SBUF or PSUM. Raises
    SimulationError.
    """
    rules.needs_generation("exponential")
    operand(dst, "exponential", "dst")
    operand(src, "exponential", "src")
    operand_limit(reduce_cmd in _RUNNING, "exponential", f"{reduce_cmd} is not for exponential")
    operand_limit(
        reduce_cmd is _LOAD_REDUCE or (isinstance(reduce_init, int | float) and reduce_init == 0),
        "exponential",
        f"reduce_init is {reduce_init!r}; it belongs to reduce_cmd.load_reduce",
    )
    values = src.read()
    rows = values.shape[0]
    result = np.exp(values - vector(max_value, values, "exponential", "max_value"))
    sums = state.running().vector_accumulators
    if reduce_cmd is _RESET_REDUCE:
        sums[...] = 0
    elif reduce_cmd is _LOAD_REDUCE:
        sums[:rows] = vector(reduce_init, sums[:rows], "exponential", "reduce_init")
    if reduce_cmd is not _IDLE:
        sums[:rows, 0] += np.add.reduce(result.reshape(rows, -1), axis=1)
    put(dst, result, "exponential")
    if reduce_res is not None:
        put(operand(reduce_res, "exponential", "reduce_res"), sums[:rows], "exponential", "reduce_res")
