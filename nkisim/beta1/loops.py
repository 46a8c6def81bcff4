"""Loops, and ``nl.loop_reduce``, which folds a tile into the variable that its result is assigned to."""

from __future__ import annotations

import dis
import sys
from types import FrameType
from typing import Any

from ..core.errors import fail
from .elementwise import Binary, tile_operand
from .operators import operator_of
from .tile import Operand, Tile

_BOUNDS = frozenset(("start", "stop", "step"))


def _range(args: tuple[Any, ...], hints: dict[str, Any]) -> range:
    if not _BOUNDS.isdisjoint(hints):
        raise fail(f"a loop's start, stop and step are given in this order, without names, not as {hints}")
    return range(*(int(arg) for arg in args))


def affine_range(*args: Any, **kwargs: Any) -> range:
    """A loop whose iterations do not depend on each other; they run in order. Hints have no effect."""
    return _range(args, kwargs)


def sequential_range(*args: Any, **kwargs: Any) -> range:
    """A loop whose iterations depend on each other. Hints have no effect."""
    return _range(args, kwargs)


def static_range(*args: Any) -> range:
    """A loop that the compiler unrolls."""
    return _range(args, {})


class Folding(Tile):
    """A tile to be folded into what it is assigned to: ``t[…] = nl.loop_reduce(…)``."""

    __slots__ = ("_fold",)

    def __init__(self, data: Operand, fold: Any) -> None:
        super().__init__(data.part(None))
        self._fold = fold

    def onto(self, target: Operand) -> Tile:
        return self._fold(target)


def loop_reduce(
    x: Any, op: Any, loop_indices: Any, *, dtype: Any = None, mask: Any = None, **kwargs: Any
) -> Tile:
    """``b = nl.loop_reduce(a, op, loop_indices)`` is ``b = op(b, a)``, also for ``b[…] = …``.

    The name on the left must hold a tile. Raises SimulationError otherwise.
    """
    data = tile_operand(x, "loop_reduce", "x")
    operator = operator_of(op, "loop_reduce")

    def fold(target: Operand) -> Tile:
        return Binary(operator)(target, data, dtype=dtype or data.dtype, mask=mask)

    frame = sys._getframe(1)
    name = assigned_name(frame)
    if name is None:
        return Folding(data, fold)
    held = frame.f_locals.get(name, frame.f_globals.get(name))
    if not isinstance(held, Operand):
        raise fail(f"nl.loop_reduce: {name} holds no tile to reduce into; initialise it before the loop")
    return fold(held)


def assigned_name(frame: FrameType) -> str | None:
    """The variable that receives the value of the call that a frame is at; None when it is no plain name."""
    for step in dis.get_instructions(frame.f_code):
        if step.offset <= frame.f_lasti or step.opname in ("CACHE", "NOP", "EXTENDED_ARG"):
            continue
        if not step.opname.startswith("STORE_") or step.opname in (
            "STORE_SUBSCR",
            "STORE_ATTR",
            "STORE_SLICE",
        ):
            return None
        return str(step.argval[0] if isinstance(step.argval, tuple) else step.argval)
    return None
