"""Races: shared HBM that one core writes and the other reads or writes, with nothing that orders the two.

    with nkisim.races():
        kernel[2](x)

What a core does between two meetings (``core_barrier`` or ``sendrecv`` with the other core) is a phase;
accesses of both cores in phases of one number are not ordered, whatever order the simulator ran them in. At
the end of a launch SimulationError names the lines of each pair. ``NKISIM_RACES=1`` and
``python -m nkisim --races`` do the same for all launches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from ..core.context import Core, state
from ..core.dtypes import Array
from ..core.errors import SimulationError, location
from ..core.memory import OFF_CHIP, Storage
from ..core.tensor import Tensor
from ..isa.constants import oob_mode
from .memory import read, written
from .shadow import bound, marks_of, put_marks

READ, WRITTEN = 1, 2
"""Bits of a note, of core 0; those of core 1 are two bits higher."""
_MOST = 20


class _Access(NamedTuple):
    core: int
    bit: int
    tensor: Tensor
    skip: bool
    what: str
    line: str


class _Phase:
    """What both cores did to one storage in phases of one number."""

    def __init__(self, storage: Storage) -> None:
        self.notes: Array = np.zeros(storage.raw.size, np.uint8)
        self.accesses: list[_Access] = []

    def add(self, access: _Access) -> _Access | None:
        """Note an access; the other core's access that it conflicts with, if there is one."""
        marks = marks_of(access.tensor, self.notes, access.skip)
        against = (WRITTEN if access.bit == READ else READ | WRITTEN) << 2 * (1 - access.core)
        clash = bool((marks & against).any()) and self._other(access, against)
        put_marks(access.tensor, self.notes, marks | access.bit << 2 * access.core, access.skip)
        self.accesses.append(access)
        return clash or None

    def _other(self, access: _Access, against: int) -> _Access | None:
        """The last access of the other core to one of the same bytes."""
        for other in reversed(self.accesses):
            if other.core != access.core and other.bit << 2 * other.core & against:
                notes = np.zeros_like(self.notes)
                put_marks(other.tensor, notes, np.full(marks_size(other.tensor), 1, np.uint8), other.skip)
                if (marks_of(access.tensor, notes, access.skip) == 1).any():
                    return other
        return None


def marks_size(tensor: Tensor) -> int:
    """How many bytes of notes a tensor has."""
    return tensor.size * tensor.dtype.stored


class Races:
    """Listens to a launch on two cores."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, str], str] = {}
        self._phases: dict[tuple[int, int], tuple[Storage, _Phase]] = {}
        self._number = [0, 0]

    def heard(self, function: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> None:
        """Note what an instruction that is about to run reads and writes."""
        given, name, core = bound(function, args, kwargs), function.__name__, state.running().index
        if _meets(name, given, core):
            self._number[core] += 1
            self._forget()
            return
        skip = given.get("oob_mode") is oob_mode.skip
        line = ":".join(map(str, location()))
        for _, tensor in read(name, given):
            self._access(_Access(core, READ, tensor, skip, f"nisa.{name} reads", line))
        for tensor in written(given):
            self._access(_Access(core, WRITTEN, tensor, skip, f"nisa.{name} writes", line))

    def _access(self, access: _Access) -> None:
        storage = access.tensor.storage
        if storage.buffer not in OFF_CHIP or isinstance(access.tensor.dynamic, SimulationError):
            return
        key = (id(storage), self._number[access.core])
        if key not in self._phases:
            self._phases[key] = storage, _Phase(storage)
        other = self._phases[key][1].add(access)
        if other is not None:
            first, second = sorted((other, access), key=lambda a: a.core)
            self.found.setdefault((first.line, second.line), _described(first, second))

    def _forget(self) -> None:
        """Drop phases that both cores have left."""
        for key in [key for key in self._phases if key[1] < min(self._number)]:
            del self._phases[key]


def _meets(name: str, given: dict[str, Any], core: int) -> bool:
    """Whether the instruction makes the cores wait for each other."""
    if name == "core_barrier":
        return len({int(rank) for rank in np.atleast_1d(given.get("cores", ()))}) > 1
    if name != "sendrecv":
        return False
    return all(int(given.get(what, core)) != core for what in ("send_to_rank", "recv_from_rank"))


def _described(first: _Access, second: _Access) -> str:
    name = f" {first.tensor.name!r}" if first.tensor.name else ""
    return (
        f"HBM{name}: core 0: {first.what} it at {first.line}; core 1: {second.what} it at {second.line}"
        "; no core_barrier or sendrecv orders them"
    )


@contextmanager
def watch(function: Callable[..., Any], cores: list[Core]) -> Iterator[None]:
    """Look for races in a launch on two cores. Raises SimulationError at its end when there are some."""
    if len(cores) != 2:
        yield
        return
    races = Races()
    state.listeners.append(races.heard)
    try:
        yield
    finally:
        state.listeners.remove(races.heard)
    if races.found:
        shown = list(races.found.values())
        more = [f"and {len(shown) - _MOST} more"] if len(shown) > _MOST else []
        name = getattr(function, "__qualname__", str(function))
        raise SimulationError("\n  ".join([f"races in {name}:", *shown[:_MOST], *more]))
