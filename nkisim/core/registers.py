"""Scalar registers of a core: 32-bit integers that are known when the program runs."""

from __future__ import annotations

from numbers import Integral
from operator import index
from typing import Any

_LOW, _SPAN = -(1 << 31), 1 << 32


class Register:
    """A register's value; arithmetic gives new registers, comparisons look at the value.

    Other operands are integers: TypeError for floats, which would lose their fraction.
    """

    __slots__ = ("value",)

    def __init__(self, value: Any = 0) -> None:
        self.value = (int(value) - _LOW) % _SPAN + _LOW

    def __index__(self) -> int:
        return self.value

    __int__ = __index__

    def __bool__(self) -> bool:
        return self.value != 0

    def __add__(self, other: Any) -> Register:
        return Register(self.value + index(other))

    __radd__ = __add__

    def __sub__(self, other: Any) -> Register:
        return Register(self.value - index(other))

    def __rsub__(self, other: Any) -> Register:
        return Register(index(other) - self.value)

    def __mul__(self, other: Any) -> Register:
        return Register(self.value * index(other))

    __rmul__ = __mul__

    def __floordiv__(self, other: Any) -> Register:
        return Register(self.value // index(other))

    def __mod__(self, other: Any) -> Register:
        return Register(self.value % index(other))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Integral | Register) and self.value == index(other)

    def __lt__(self, other: Any) -> bool:
        return self.value < index(other)

    def __le__(self, other: Any) -> bool:
        return self.value <= index(other)

    def __gt__(self, other: Any) -> bool:
        return self.value > index(other)

    def __ge__(self, other: Any) -> bool:
        return self.value >= index(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Register({self.value})"
