"""``nl.all_reduce``: a reduction over the programs of a launch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from math import prod
from typing import Any

from ..core.context import state
from ..core.dtypes import Array, dtype_of, store
from ..core.errors import fail
from .compute import new_tile
from .elementwise import tile_operand
from .operators import operator_of
from .tile import Tile


def all_reduce(
    x: Any,
    op: Any,
    program_axes: int | Sequence[int],
    *,
    dtype: Any = None,
    mask: Any = None,
    parallel_reduce: bool = True,
    asynchronous: bool = False,
    **kwargs: Any,
) -> Tile:
    """``op`` over the tiles of all programs that differ in ``program_axes`` only, in the order of their ids.

    Every program waits for the others. Raises SimulationError for axes that the grid does not have, for an
    operator of one operand, and when a program never comes (a deadlock).
    """
    data = tile_operand(x, "all_reduce", "x")
    operator = operator_of(op, "all_reduce")
    if operator.arity != 2:
        raise fail(f"nl.all_reduce: op is {operator}; it must take two operands")
    parts = _exchanged(data.part(None).read(), program_axes)
    total = reduce(operator.function, parts)
    made = new_tile(data.shape, dtype_of(dtype or data.dtype))
    store(made.tensor.array, total, made.dtype)
    made.tensor.before_write()
    return made


def _exchanged(own: Array, axes: int | Sequence[int]) -> list[Array]:
    """What all programs of the group brought, in the order of their ids."""
    core, launch = state.core, state.launch
    chosen = (axes,) if isinstance(axes, int) else tuple(axes)
    if core is None or any(not 0 <= axis < max(len(core.grid), 1) for axis in chosen):
        raise fail(
            f"nl.all_reduce: program_axes are {axes}; the launch grid is {() if core is None else core.grid}"
        )
    if launch is None:
        return [own]
    group = tuple(_key(core.index, core.grid, chosen))
    size = prod(core.grid[axis] for axis in chosen)
    core.sites["all_reduce"] = turn = core.sites.get("all_reduce", 0) + 1
    box: list[Any] = launch.mail.setdefault(("all_reduce", turn, chosen, group), [])
    box.append((core.index, own.copy()))
    launch.wait(core, lambda: len(box) == size, f"all_reduce over {list(chosen)}")
    return [values for _, values in sorted(box, key=lambda pair: pair[0])]


def _key(index: int, grid: tuple[int, ...], axes: tuple[int, ...]) -> list[int]:
    """Where a program is on the axes that are not reduced."""
    place = [index // prod(grid[axis + 1 :]) % size for axis, size in enumerate(grid)]
    return [position for axis, position in enumerate(place) if axis not in axes]
