"""Which generation and engine an instruction needs, which operators and types it takes: tables and checks."""

from __future__ import annotations

from typing import Any

from ..core.context import state
from ..core.dtypes import (
    INTEGER,
    bfloat16,
    float8_e4m3,
    float8_e4m3fn,
    float8_e5m2,
    float16,
    float32,
    tfloat32,
)
from ..core.errors import fail
from ..core.memory import PSUM
from ..core.operators import Operator
from ..core.tensor import Tensor
from .constants import engine

FLOATS = (float32, tfloat32, bfloat16, float16, float8_e4m3, float8_e4m3fn, float8_e5m2)
SINCE = {
    "nonzero_with_count": 3,
    "range_select": 3,
    "rand_get_state": 3,
    "rand_set_state": 3,
    "exponential": 4,
    "rand2": 4,
}
"""First generation that has the instruction, where that is not the first of all."""

_ANY = (engine.vector, engine.scalar, engine.gpsimd)
_SHARED = (engine.vector, engine.gpsimd)
ENGINES: dict[str, dict[int, tuple[engine, ...]]] = {
    "memset": {2: _ANY, 3: _ANY, 4: _ANY},
    "tensor_copy": {2: _SHARED, 3: _ANY, 4: _ANY},
    "tensor_scalar": {2: _ANY, 3: _ANY, 4: _ANY},
    "tensor_tensor": {2: _SHARED, 3: _SHARED, 4: _SHARED},
    "rng": {2: (engine.vector,), 3: _SHARED, 4: _SHARED},
    "rand_get_state": {3: (engine.gpsimd,), 4: _SHARED},
    "rand_set_state": {3: (engine.gpsimd,), 4: _SHARED},
}
"""Engines that can run the instruction, by generation; ``engine.unknown`` always may."""


def needs_generation(instruction: str) -> None:
    """Raises SimulationError when the target is older than the instruction."""
    if state.generation < SINCE[instruction]:
        raise fail(
            f"nisa.{instruction} needs gen{SINCE[instruction]} or newer, the target is gen{state.generation}"
        )


def check_engine(instruction: str, chosen: engine, *tensors: Any) -> None:
    """Raises SimulationError when the engine cannot run it on this generation, or cannot reach a tensor."""
    allowed = ENGINES[instruction][state.generation]
    if chosen not in allowed:
        names = ", ".join(each.name for each in allowed)
        raise fail(
            f"nisa.{instruction}: the {chosen} does not run it on gen{state.generation}; these do: {names}"
        )
    if chosen is engine.gpsimd:
        outside_psum(instruction, *tensors)


def outside_psum(instruction: str, *tensors: Any) -> None:
    """GpSimd Engine cannot reach PSUM. Raises SimulationError."""
    for tensor in tensors:
        if isinstance(tensor, Tensor) and tensor.buffer == PSUM:
            raise fail(f"nisa.{instruction}: GpSimd Engine cannot access PSUM, and {tensor!r} is there")


def one_in_psum(instruction: str, first: Any, second: Any, names: tuple[str, str]) -> None:
    """Only one of the two inputs may be in PSUM. Raises SimulationError."""
    both = isinstance(second, Tensor) and first.buffer == PSUM and second.buffer == PSUM
    if both:
        raise fail(
            f"nisa.{instruction}: {names[0]} and {names[1]} are both in PSUM; copy one of them to SBUF first"
        )


def alu(instruction: str, operator: Any, what: str, arity: int = 0, bitwise: bool | None = None) -> None:
    """Raises SimulationError unless it is an operator that Vector Engine has.

    ``bitwise`` asks for a bitvec (True) or an arithmetic (False) operator, ``arity`` for that many operands.
    """
    if not isinstance(operator, Operator):
        raise fail(f"nisa.{instruction}: {what} must be an operator of nki.language, not {operator!r}")
    if not operator.alu:
        raise fail(
            f"nisa.{instruction}: {what} is {operator}, an activation function; use nisa.activation for it"
        )
    if bitwise is not None and operator.bitwise is not bitwise:
        kind = "a bitvec" if bitwise else "an arithmetic"
        raise fail(f"nisa.{instruction}: {what} is {operator}; it must be {kind} operator")
    if arity and operator.arity != arity:
        raise fail(f"nisa.{instruction}: {what} is {operator}; it must take {arity} operands")


def one_of(instruction: str, operator: Any, what: str, allowed: tuple[Operator, ...]) -> None:
    """Raises SimulationError unless the operator is among those allowed."""
    if operator not in allowed:
        raise fail(f"nisa.{instruction}: {what} is {operator!r}; allowed: {', '.join(map(repr, allowed))}")


def integers(instruction: str, **tensors: Any) -> None:
    """Bitvec operators take integers only. Raises SimulationError."""
    for what, tensor in tensors.items():
        if isinstance(tensor, Tensor) and tensor.dtype.kind != INTEGER:
            raise fail(
                f"nisa.{instruction}: {what} is a {tensor!r}; a bitvec operator needs integers "
                "(reinterpret the bits with .view)"
            )


def dtype_in(instruction: str, tensor: Tensor, what: str, allowed: tuple[Any, ...]) -> None:
    """Raises SimulationError when the tensor's element type is not among ``allowed``."""
    if tensor.dtype not in allowed:
        names = ", ".join(map(repr, allowed))
        raise fail(f"nisa.{instruction}: {what} is a {tensor!r}; its element type must be one of {names}")


def same_type(instruction: str, first: Tensor, second: Tensor, names: tuple[str, str]) -> None:
    """Raises SimulationError when two tensors, of which one receives the other's bits, differ in type."""
    if first.dtype is not second.dtype:
        raise fail(
            f"nisa.{instruction}: {names[0]} is {first.dtype}, {names[1]} is {second.dtype}; "
            "they must be the same"
        )
