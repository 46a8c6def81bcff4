"""What an expression of a harness may be to its reader, and how a spec file writes it."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from math import prod
from typing import Any

PLAIN = (int, float, str, bool, type(None))
"""Types whose values are themselves to the reader; so are tuples and lists."""


class _Unknown:
    def __repr__(self) -> str:
        return "?"


UNKNOWN = _Unknown()
"""Any value that reading alone does not give."""


@dataclass(frozen=True)
class Array:
    """An array or tensor that would be made, of which only the form is known.

    Attributes:
        values: further keys of its table in a spec file, which say how its elements are drawn.
    """

    shape: tuple[int, ...]
    dtype: str = "float32"
    values: tuple[tuple[str, Any], ...] = ()

    def table(self) -> dict[str, Any]:
        """As a spec file writes it."""
        return {"shape": list(self.shape), "dtype": self.dtype, **dict(self.values)}


@dataclass(frozen=True)
class Expression:
    """A value that only running gives, by its source text, which means the same in the kernel's module."""

    text: str


@dataclass(frozen=True)
class Kernel:
    """A kernel, with the launch grid that it was subscripted with."""

    name: str
    grid: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Dotted:
    """Something that another module defines, or a builtin, by its dotted path."""

    path: str

    @property
    def last(self) -> str:
        return self.path.rpartition(".")[2]


@dataclass(frozen=True)
class Method:
    """An attribute of an array that is about to be called."""

    array: Array
    name: str


@dataclass(frozen=True)
class Function:
    """A function of the harness itself, with the names that it sees."""

    node: ast.FunctionDef | ast.Lambda
    scope: dict[str, Any] = field(compare=False)


class Wrapper:
    """``nki.jit(…)`` and its kin, called with options but not yet with a kernel."""


@dataclass(frozen=True)
class Arguments:
    """What a call gives: values in order, and by keyword."""

    positional: list[Any]
    named: dict[str, Any]

    @property
    def first(self) -> Any:
        """The first positional one; None without any."""
        return self.positional[0] if self.positional else None

    def bound(self, *parameters: tuple[str, Any]) -> list[Any]:
        """The value of each parameter, given as its name and default, in their order."""
        given = self.positional
        return [
            given[i] if i < len(given) else self.named.get(name, default)
            for i, (name, default) in enumerate(parameters)
        ]


@dataclass(frozen=True)
class Called:
    """A call of a kernel that a harness makes.

    Attributes:
        inputs: parameter → value as a spec file writes it, or :data:`UNKNOWN`.
        grid: the extents of its launch grid, likewise.
        line: of the call.
    """

    kernel: str
    inputs: dict[str, Any]
    grid: tuple[Any, ...]
    line: int

    @property
    def complete(self) -> bool:
        """Whether the call can be made again: nothing about it is unknown."""
        return not any(value is UNKNOWN for value in (*self.inputs.values(), *self.grid))

    @property
    def elements(self) -> int:
        """Elements of all arrays: the fewer, the sooner it has run."""
        return sum(prod(v["shape"]) for v in self.inputs.values() if isinstance(v, dict) and "shape" in v)


_PREFIXES = {
    "neuronxcc.nki.language": "nl",
    "nki.language": "nl",
    "neuronxcc.nki.isa": "nisa",
    "nki.isa": "nisa",
    "numpy": "np",
}
"""Modules that expressions in spec files know → the name they have there."""


def in_spec(value: Any) -> Any:
    """A value as a spec file writes it; UNKNOWN when none can stand for it."""
    if isinstance(value, Array):
        return value.table()
    if isinstance(value, bool | int | float | str):
        return value
    if value is None:
        return {"python": "None"}
    if isinstance(value, Expression):
        return {"python": value.text}
    if isinstance(value, Dotted):
        module, _, name = value.path.rpartition(".")
        return {"python": f"{_PREFIXES[module]}.{name}"} if module in _PREFIXES else UNKNOWN
    if isinstance(value, tuple | list):
        items = [in_spec(item) for item in value]
        if any(item is UNKNOWN for item in items):
            return UNKNOWN
        return items if isinstance(value, tuple) else {"items": items}
    return UNKNOWN
