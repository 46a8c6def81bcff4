"""What instructions share: the wrapper that counts and traces them, and the checks of their operands."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from ..core.context import state
from ..core.dtypes import Array
from ..core.errors import SimulationError, fail
from ..core.memory import PSUM, SBUF
from ..core.registers import Register
from ..core.scratch import scratch
from ..core.tensor import Tensor

Function = TypeVar("Function", bound=Callable[..., Any])
F32 = np.float32
ON_CHIP = (SBUF, PSUM)


def instruction(function: Function) -> Function:
    """Make a function an instruction: listeners hear of it, and errors in it say which one it was.

    Operands are checked by the function itself, with the helpers below; ``fail`` adds the kernel's line.
    """
    name = function.__name__

    @functools.wraps(function)
    def issue(*args: Any, **kwargs: Any) -> Any:
        outer = scratch.top
        if outer < 0:
            scratch.top = 0
        try:
            if state.listeners:
                return _told(function, args, kwargs)
            return function(*args, **kwargs)
        except SimulationError:
            raise
        except (ValueError, TypeError, IndexError, ArithmeticError) as error:
            raise fail(f"nisa.{name}: {error}") from error
        finally:
            scratch.top = outer

    return issue  # type: ignore[return-value]


def _told(function: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
    """Run it with listeners; instructions that it is made of are not told."""
    core = state.running()
    if core.busy:
        return function(*args, **kwargs)
    core.busy = True
    try:
        for listener in state.listeners:
            listener(function, args, kwargs)
        result = function(*args, **kwargs)
        if state.recorder is not None:
            state.recorder.done(function, args, kwargs)
        return result
    except Exception:
        if state.recorder is not None:
            state.recorder.spoil("an instruction failed")
        raise
    finally:
        core.busy = False


def operand(tensor: Any, instruction_name: str, what: str, buffers: tuple[str, ...] = ON_CHIP) -> Tensor:
    """The tensor, if it is one and in an allowed buffer; raises SimulationError otherwise."""
    if not isinstance(tensor, Tensor):
        raise fail(f"nisa.{instruction_name}: {what} must be a tensor, it is a {type(tensor).__name__}")
    if tensor.buffer not in buffers:
        raise fail(f"nisa.{instruction_name}: {what} is a {tensor!r}; allowed: {', '.join(buffers)}")
    return tensor


def vector(value: Any, like: Array, instruction_name: str, what: str) -> Any:
    """A scalar, register or ``[P, 1]`` tensor as something that broadcasts against ``like``.

    The tensor may have more partitions than the data; the first ones count.
    """
    if not isinstance(value, Tensor):
        return number(value, instruction_name, what)
    if value.buffer not in ON_CHIP:
        operand(value, instruction_name, what)
    read = value.read()
    if like.ndim == 2 and read.shape == (like.shape[0], 1):
        return read
    return column(read, like, instruction_name, what, value)


def number(value: Any, instruction_name: str, what: str) -> np.float32:
    """A number or a register's value as float32; raises SimulationError for anything else."""
    if value.__class__ is float or value.__class__ is int:
        return F32(value)
    if isinstance(value, Register):
        return F32(value.value)
    scalar = None if value is None or isinstance(value, str) else F32(value)
    if type(scalar) is not F32:
        raise fail(
            f"nisa.{instruction_name}: {what} must be a number or a tensor, not {type(value).__name__}"
        )
    return scalar


def column(read: Array, like: Array, instruction_name: str, what: str, tensor: Tensor) -> Array:
    """The first elements of ``tensor``, whose values are ``read``: one for each of the data's partitions.

    Raises SimulationError when there are more elements in a partition, or fewer partitions.
    """
    rows = like.shape[0]
    if read.shape == (rows, 1) and like.ndim == 2:
        return read
    if read.size != read.shape[0] or read.shape[0] < rows:
        raise fail(
            f"nisa.{instruction_name}: {what} is a {tensor!r}; it must be a scalar or have one element in "
            f"each of the data's {rows} partitions"
        )
    return read.reshape(-1)[:rows].reshape((rows,) + (1,) * (like.ndim - 1))


def matched(first: Array, second: Array, instruction_name: str, names: tuple[str, str]) -> Array:
    """``second`` in the shape of ``first``: operands match by partitions and elements in each."""
    if first.shape == second.shape:
        return second
    if first.shape[0] == second.shape[0] and first.size == second.size:
        reshaped: Array = second.reshape(first.shape)
        return reshaped
    raise fail(
        f"nisa.{instruction_name}: {names[0]} has {first.shape[0]} partitions of "
        f"{first.size // first.shape[0]} elements, {names[1]} has {second.shape[0]} of "
        f"{second.size // second.shape[0]}; both must match (broadcast with .ap and a step of 0)"
    )


def put(dst: Tensor, values: Array, instruction_name: str, what: str = "dst") -> None:
    """Write a result with the destination's partitions and elements in each.

    Only ``reduce_res`` may have more partitions, of which the first ones are written. A result that was
    computed in the destination (:func:`.blocks.room`) is there already. Raises SimulationError when
    partitions or elements differ otherwise.
    """
    if values is dst.array:
        return
    if dst.partitioned and dst.dynamic is None:
        target = dst.array.shape
    else:
        target = dst.shape if dst.partitioned else (1, *dst.shape)
    if values.shape != target:
        rows, size = target[0], int(np.prod(target, dtype=np.int64))
        one_each = values.size == values.shape[0] and size == rows
        if what == "reduce_res" and one_each and values.shape[0] < rows:
            dst = dst[: values.shape[0]]
        elif values.size != size or values.shape[0] != rows:
            raise fail(
                f"nisa.{instruction_name}: the result is {list(values.shape)}, {what} is a {dst!r}; "
                "partitions and elements in each must match"
            )
    dst.write(values)


def operand_limit(condition: bool, instruction_name: str, text: str) -> None:
    """Raise SimulationError with ``text`` unless ``condition``."""
    if not condition:
        raise fail(f"nisa.{instruction_name}: {text}")
