"""Instructions as data: operands with values, what is allowed for them, and the result by a NumPy formula.

Tests that treat all instructions alike (views of operands, wrong operands) run over :data:`CASES`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

ON_CHIP = ("sbuf", "psum")
SBUF_ONLY = ("sbuf",)
PSUM_ONLY = ("psum",)
DMA = ("hbm", "sbuf", "shared_hbm", "private_hbm")
INTEGERS = "int8 uint8 int16 uint16 int32 uint32"
FLOATS = "float32 tfloat32 bfloat16 float16 float8_e4m3 float8_e4m3fn float8_e5m2"
ANY = f"{FLOATS} {INTEGERS}"
FILLER = 7
"""What output tensors hold before the instruction runs."""


@dataclass(frozen=True)
class Case:
    """One instruction with arguments that work.

    Attributes:
        name: of the instruction. inputs: operand → values ``[P, N]`` in its element type.
        outputs: operand → its shape, its NumPy type, and the formula: float64 inputs by name → values. Without
            a formula the result is what the same call gives for plain tiles.
        options: arguments that are no tensors. buffers: operand → where it may be, SBUF or PSUM by default.
        generation: first one that has the instruction, when that is not the first of all.
        vectors: operands that may also be numbers, and then have one element in a partition.
        taller, shorter, wider: operands that may have more partitions than this, fewer, or more elements in a
            partition. flat: those whose free dimensions mean something. fixed: those whose values cannot be
            others. typed: operand → the element types it may have (the others being as they are), where not any.
        label: tells cases of one instruction apart.
    """

    name: str
    inputs: dict[str, Any]
    outputs: dict[str, tuple[tuple[int, int], Any, Callable[[dict[str, Any]], Any] | None]]
    options: dict[str, Any] = field(default_factory=dict)
    buffers: dict[str, tuple[str, ...]] = field(default_factory=dict)
    generation: int = 2
    vectors: tuple[str, ...] = ()
    taller: tuple[str, ...] = ()
    shorter: tuple[str, ...] = ()
    wider: tuple[str, ...] = ()
    flat: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()
    typed: dict[str, str] = field(default_factory=dict)
    label: str = ""

    def __str__(self) -> str:
        return f"{self.name}{self.label}"

    @property
    def operands(self) -> tuple[str, ...]:
        return (*self.inputs, *self.outputs)

    def allowed(self, operand: str) -> tuple[str, ...]:
        return self.buffers.get(operand, ON_CHIP)

    def types(self, operand: str) -> tuple[str, ...]:
        """Names of the element types that an operand may have."""
        return tuple(self.typed.get(operand, ANY).split())

    def shape(self, operand: str) -> tuple[int, int]:
        return self.inputs[operand].shape if operand in self.inputs else self.outputs[operand][0]

    def kind(self, operand: str) -> np.dtype[Any]:
        return np.dtype(self.inputs[operand].dtype if operand in self.inputs else self.outputs[operand][1])


def filler(kind: Any) -> Any:
    """One element of a NumPy type that is :data:`FILLER`; every byte of a packed one."""
    one = np.empty((), kind)
    if one.dtype.names:
        one = np.full(one.itemsize, FILLER, np.uint8).view(kind)[0]
    else:
        one[...] = FILLER
    return one


def sources(operands: dict[str, Any]) -> dict[str, Any]:
    """Keyword arguments: ``srcs[0]``, ``srcs[1]`` … make one list."""
    listed = [value for name, value in operands.items() if name.startswith("srcs[")]
    named = {name: value for name, value in operands.items() if not name.startswith("srcs[")}
    return {**named, "srcs": listed} if listed else named
