"""``nisa.register_*``: scalar registers, for dynamic addresses and loop bounds."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.access import scalar_value
from ..core.errors import fail
from ..core.memory import OFF_CHIP, SBUF
from ..core.registers import Register
from ..core.tensor import Tensor
from .common import instruction, operand


@instruction
def register_alloc(x: Any = None) -> Register:
    """A new 32-bit register that holds ``x``: an integer, the element of a one-element tensor, or 0.

    Raises SimulationError for anything else.
    """
    if isinstance(x, Tensor):
        return Register(_element(x, "register_alloc", "x"))
    return Register(0 if x is None else _integer(x, "register_alloc", "x"))


@instruction
def register_load(dst: Register, src: Any) -> None:
    """Set a register to the one element of a tensor in HBM or SBUF, of up to 4 bytes.

    Raises SimulationError for tensors of more elements and for other buffers.
    """
    _register(dst, "register_load", "dst").value = Register(_element(src, "register_load", "src")).value


@instruction
def register_move(dst: Register, imm: int) -> None:
    """Set a register to an integer that is known when the kernel is compiled; SimulationError otherwise."""
    _register(dst, "register_move", "dst").value = Register(_integer(imm, "register_move", "imm")).value


@instruction
def register_store(dst: Any, src: Register) -> None:
    """Write a register's value to a tensor of one element in HBM or SBUF; SimulationError for others."""
    _one(dst, "register_store", "dst")
    value = _register(src, "register_store", "src").value
    stored = np.empty(dst.shape, np.int64)
    stored.fill(value)
    dst.write(stored)


def _register(value: Any, name: str, what: str) -> Register:
    if not isinstance(value, Register):
        raise fail(f"nisa.{name}: {what} must be a register, it is a {type(value).__name__}")
    return value


def _integer(value: Any, name: str, what: str) -> int:
    if isinstance(value, int | np.integer):
        return int(value)
    raise fail(f"nisa.{name}: {what} must be an integer, it is a {type(value).__name__}")


def _one(tensor: Any, name: str, what: str) -> None:
    operand(tensor, name, what, (SBUF, *OFF_CHIP))
    if tensor.size != 1 or tensor.dtype.itemsize > 4:
        raise fail(f"nisa.{name}: {what} is a {tensor!r}; it must have one element of at most 4 bytes")


def _element(tensor: Any, name: str, what: str) -> int:
    _one(tensor, name, what)
    return scalar_value(tensor)
