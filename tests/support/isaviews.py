"""Places for operands: each kind is a view of some tensor, with the elements of that tensor which it shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
from isacases import Case, filler

from nkisim.core.registers import Register
from nkisim.core.tensor import Tensor

_places = count()


@dataclass
class Placed:
    """A tensor, a view of it, and the view's elements as row and column numbers of the tensor."""

    tensor: Tensor
    view: Tensor
    rows: Any
    columns: Any

    def fill(self, values: Any) -> None:
        """Write the values (None: nothing) where the view is, something else around it."""
        shape = self.tensor.shape
        kind = self.tensor.dtype.numpy
        around = np.full((shape[0], self.tensor.size // shape[0]), filler(kind), kind)
        if values is not None:
            around[np.ix_(self.rows, self.columns)] = values
        self.tensor.write(around.reshape(shape))

    def contents(self) -> Any:
        """All elements of the tensor, as stored."""
        return np.array(self.tensor.read_raw().reshape(self.tensor.shape[0], -1))


def _first(rows: int) -> int:
    return 32 if rows <= 96 else 0


def whole(rows: int, columns: int, dtype: Any, buffer: str) -> Placed:
    made = Tensor((rows, columns), dtype, buffer=buffer)
    return Placed(made, made, range(rows), range(columns))


def sliced(rows: int, columns: int, dtype: Any, buffer: str) -> Placed:
    first = _first(rows)
    made = Tensor((first + rows, columns + 5), dtype, buffer=buffer)
    view = made[first : first + rows, 2 : 2 + columns]
    return Placed(made, view, range(first, first + rows), range(2, 2 + columns))


def strided(rows: int, columns: int, dtype: Any, buffer: str) -> Placed:
    made = Tensor((rows, 2 * columns + 1), dtype, buffer=buffer)
    return Placed(made, made[:, 1 : 2 * columns + 1 : 2], range(rows), range(1, 2 * columns + 1, 2))


def pattern(rows: int, columns: int, dtype: Any, buffer: str) -> Placed:
    first, width = _first(rows), 3 * columns + 2
    made = Tensor((first + rows, width), dtype, buffer=buffer)
    view = made.ap([[width, rows], [3, columns]], offset=first * width + 1)
    return Placed(made, view, range(first, first + rows), range(1, 1 + 3 * columns, 3))


def reshaped(rows: int, columns: int, dtype: Any, buffer: str) -> Placed:
    halves = (columns // 2, 2) if columns % 2 == 0 else (1, columns)
    made = Tensor((rows, *halves), dtype, buffer=buffer)
    return Placed(made, made.reshape((rows, columns)), range(rows), range(columns))


def factored(rows: int, columns: int, dtype: Any, buffer: str) -> Placed:
    """Three dimensions, where the instruction counts the free ones as one."""
    halves = (columns // 2, 2) if columns % 2 == 0 else (columns, 1)
    made = Tensor((rows, *halves), dtype, buffer=buffer)
    return Placed(made, made, range(rows), range(columns))


def dynamic(rows: int, columns: int, dtype: Any, buffer: str) -> Placed:
    """A column offset that a register gives."""
    made = Tensor((rows, 2 * columns), dtype, buffer=buffer)
    at = [[2 * columns, rows], [1, columns]]
    view = made.ap(at, scalar_offset=Register(columns), indirect_dim=1)
    return Placed(made, view, range(rows), range(columns, 2 * columns))


def addressed(rows: int, columns: int, dtype: Any, buffer: str) -> Placed:
    """A window into the core's physical memory, where others do not reach."""
    if buffer not in ("sbuf", "psum"):
        return whole(rows, columns, dtype, buffer)
    at = (_first(rows), next(_places) % 8 * 2048)
    made = Tensor((rows, columns), dtype, buffer=buffer, address=at)
    return Placed(made, made, range(rows), range(columns))


def one_row(rows: int, columns: int, dtype: Any, buffer: str) -> Placed:
    """An integer on the partition dimension: the shape loses it, the operand stays one partition."""
    if rows != 1 or buffer not in ("sbuf", "psum"):
        return whole(rows, columns, dtype, buffer)
    made = Tensor((3, columns), dtype, buffer=buffer)
    return Placed(made, made[1], [1], range(columns))


def repeated(rows: int, columns: int, dtype: Any, buffer: str) -> Placed:
    """A step of 0 shows one element of each partition all over; for inputs only."""
    made = Tensor((rows, 1), dtype, buffer=buffer)
    return Placed(made, made.ap([[1, rows], [0, columns]]), range(rows), [0])


KINDS: dict[str, Callable[[int, int, Any, str], Placed]] = {
    each.__name__: each
    for each in (sliced, strided, pattern, reshaped, factored, dynamic, addressed, one_row, repeated)
}


def place(case: Case, operand: str, kind: str, buffer: str = "") -> Placed:
    """An operand of a case, filled with its values (or with what outputs start from)."""
    where = buffer or case.allowed(operand)[0]
    make = KINDS.get(kind, whole)
    placed = make(*case.shape(operand), case.kind(operand), where)
    values = case.inputs.get(operand)
    if values is not None and kind == "repeated":
        values = values[:, :1]
    placed.fill(values)
    return placed
