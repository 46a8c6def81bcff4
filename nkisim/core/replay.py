"""Kernels that are traced once: ``nkisim.replay()``.

    with nkisim.replay():
        kernel(x)  # runs the kernel's Python, and records the instructions
        kernel(y)  # y has x's shape and type: runs the instructions again

As for the device, a kernel is traced for each combination of shapes, element types and other arguments, and
what its Python does besides instructions it does then. Instructions run and check as they always do. A launch
runs as usual when something watches it (a trace, strict mode …) and when it cannot be recorded
(:mod:`.recording`) or its arguments cannot be compared: torch and jax arrays, arrays that have to be
converted, methods. ``NKISIM_REPLAY=1`` does the same for all launches.
"""

from __future__ import annotations

import os
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from logging import Logger
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

from .arguments import NARROWED
from .context import state, target_generation
from .dtypes import Array, DType
from .precision import exact
from .purity import is_plain
from .reads import attributes_of
from .recording import Plan
from .tensor import Tensor
from .watch import MODES, OFF, active
from .watcher import watched_by_others

VARIABLE = "NKISIM_REPLAY"
"""The environment variable: 1 asks for replaying, 0 forbids it."""
MOST = 16
"""Launches that are kept."""

_PLANS: OrderedDict[Any, Plan | None] = OrderedDict()
_ATOMS = frozenset({type(None), bool, int, str, bytes})
_IDENTICAL = (DType, Enum, type, np.dtype, ModuleType, Logger, FunctionType)
_open = 0


@contextmanager
def replay() -> Iterator[None]:
    """Launches in the ``with`` block are recorded, and replayed; what was recorded goes with its end."""
    global _open
    _open += 1
    try:
        yield
    finally:
        _open -= 1
        if not _open:
            _PLANS.clear()


def way() -> str:
    """How to run a launch: ``recorded`` when replaying is asked for, ``repeated`` when nothing is said of it,
    and ``as usual`` when it is not wanted, or something watches what runs.
    """
    said = os.environ.get(VARIABLE, "")
    asked = bool(_open) or said not in OFF
    if state.listeners or state.allocations or any(map(active, MODES)):
        return "as usual"
    if asked:
        return "recorded"
    return "as usual" if said or watched_by_others() else "repeated"


class Unknown(Exception):
    """An argument that cannot be compared with another launch's."""


def key_of(
    function: Callable[..., Any], grid: tuple[int, ...], args: Any, kwargs: dict[str, Any], platform: str
) -> tuple[Any, list[Array]]:
    """What tells launches apart that do different things, and the arrays that they do it with.

    Raises Unknown when that cannot be told.
    """
    if not isinstance(function, FunctionType) or not exact():
        raise Unknown
    frozen = _Frozen()
    given = frozen.value(tuple(args), 0), frozen.value(kwargs, 0)
    key = weakref.ref(function), grid, target_generation(platform), given
    return key, frozen.arrays


def known(key: Any) -> bool:
    """Whether such a launch was recorded, or could not be."""
    return key in _PLANS


def plan_of(key: Any) -> Plan | None:
    """The recorded launch, if there is one."""
    plan = _PLANS.get(key)
    if plan is not None:
        _PLANS.move_to_end(key)
    return plan


def keep(key: Any, plan: Plan | None) -> None:
    """Keep a launch, or that there is nothing to keep; the one that was used least recently goes."""
    _PLANS[key] = plan
    if len(_PLANS) > MOST:
        _PLANS.popitem(last=False)


class _Frozen:
    """Makes something hashable that is equal for arguments that a kernel cannot tell apart.

    Collects arrays. What is given twice is known by its place: a launch with one array (or list) twice is
    another one than with two of them.
    """

    def __init__(self) -> None:
        self.arrays: list[Array] = []
        self._seen: dict[int, tuple[int, Any]] = {}

    def value(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind in _ATOMS:
            return kind, value
        if kind is float:
            return kind, value.hex()
        if issubclass(kind, _IDENTICAL):
            return _Same(value)
        if issubclass(kind, np.generic):
            return _scalar(value)
        if id(value) in self._seen:
            return "again", self._seen[id(value)][0]
        self._seen[id(value)] = len(self._seen), value
        if issubclass(kind, np.ndarray):
            return self._layout(value)
        if depth > 20:
            raise Unknown
        if kind in (list, tuple):
            return kind, tuple([self.value(item, depth + 1) for item in value])
        if kind is dict:
            return kind, self._items(value, depth)
        if not _is_plain_object(value):
            raise Unknown
        return kind, self._items(attributes_of(value), depth)

    def _items(self, items: dict[Any, Any], depth: int) -> Any:
        return tuple(
            [(self.value(key, depth + 1), self.value(item, depth + 1)) for key, item in items.items()]
        )

    def _layout(self, array: Array) -> Any:
        shared = array.flags.c_contiguous and array.size and array.ndim and array.dtype not in NARROWED
        if not shared or not array.dtype.isnative:
            raise Unknown
        self.arrays.append(array)
        return array.shape, array.dtype, array.flags.writeable


class _Same:
    """Equal to itself: for what may say of itself that it is equal to others."""

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self._value is other._value

    def __hash__(self) -> int:
        return id(self._value)


def _scalar(value: Any) -> Any:
    kind = type(value)
    if kind.__module__ not in ("numpy", "ml_dtypes") or kind is np.void:
        raise Unknown
    return kind, value.dtype.str, value.tobytes()


def _is_plain_object(value: Any) -> bool:
    """Whether its attributes are all there is to it: its class and that one's bases are written in Python."""
    kind = type(value)
    if issubclass(kind, Tensor) or callable(value) or hasattr(kind, "__array__"):
        return False
    return is_plain(kind)
