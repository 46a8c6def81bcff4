"""What becomes of the dimensions of a tile in front of its partitions.

The new language has none. A dimension of which every iteration of a loop uses its own element is dropped, and
the tile allocated in that loop. One that is always indexed becomes a Python list; one that index tiles or
slices run along becomes a free dimension, behind the partitions.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from ...record import fresh, record
from .access import Layout
from .facts import Facts
from .symbols import ZERO, Sym


@record
class Loop:
    """A loop around a place of a kernel: ``for variable in range(start, stop, step)``.

    Attributes:
        key: tells it from other loops.
        certain: the place runs in each of its iterations (no branch around it, inside the loop).
    """

    key: Hashable
    variable: Sym
    start: Sym | None = None
    stop: Sym | None = None
    step: Sym | None = None
    certain: bool = True


@record
class Use:
    """A place where a tile with block dimensions is used, in the order of the program.

    Attributes:
        at: for each block dimension the integer it is indexed with; None where it is not a single element.
        loops: around the place, outermost first.
        overwrites: it writes all of the elements at these indexes, without reading them.
        handed: all that the integers leave is given to a function, which indexes it further.
    """

    at: tuple[Sym | None, ...]
    loops: tuple[Loop, ...] = ()
    overwrites: bool = False
    handed: bool = False

    def lists(self, dims: Sequence[int]) -> bool:
        """Whether it could work on nested lists of these dimensions."""
        given = [self.at[dim] is not None for dim in dims]
        return all(given) or (self.handed and given == sorted(given, reverse=True))


@record
class Placing:
    """Where and how a tile with block dimensions is allocated.

    Attributes:
        layout: what becomes of each dimension.
        inside: the loop at the start of whose body the allocation moves; None at the old place.
        grown: the loop, inside of that, that appends a tile to the list at the start of its body; None when
            the whole list is made at once.
        owners: for each dimension that is dropped the loop whose iterations use their own element.
    """

    layout: Layout = fresh(factory=Layout)
    inside: Hashable | None = None
    grown: Hashable | None = None
    owners: tuple[Hashable, ...] = ()


def placed(
    outer: Sequence[Sym], rank: int, around: Sequence[Loop], uses: Sequence[Use], facts: Facts
) -> Placing:
    """The placing of a tile of ``rank`` dimensions.

    ``outer`` are the sizes of those in front of the partitions, ``around`` the loops around the allocation.
    """
    owners = _owners(len(outer), len(around), uses)
    dropped = tuple(sorted(owners))
    left = [dim for dim in range(len(outer)) if dim not in owners]
    listed = all(use.lists(left) for use in uses if use.handed)
    lists = tuple(
        dim for dim in left if all(use.at[dim] is not None or (use.handed and listed) for use in uses)
    )
    free = [dim for dim in left if dim not in lists]
    order = (len(outer), *free, *range(len(outer) + 1, rank)) if free else None
    path = [loop.key for loop in uses[0].loops] if uses else []
    deepest = max((path.index(key) for key in owners.values()), default=len(around) - 1)
    inside = path[deepest] if owners else None
    grown = _grown(lists[0], outer[lists[0]], deepest + 1, uses, facts) if len(lists) == 1 else None
    return Placing(Layout(dropped, lists, order), inside, grown, tuple(owners[dim] for dim in dropped))


def _owners(count: int, depth: int, uses: Sequence[Use]) -> dict[int, Hashable]:
    """The dimensions whose elements are private to the iterations of a loop, and that loop.

    All uses index the dimension with the loop's variable. Nothing is carried over from an earlier run of the
    loop: every loop between it and the allocation owns a dimension too, or the first use overwrites.
    """
    owners: dict[int, Hashable] = {}
    fresh = bool(uses) and uses[0].overwrites and all(loop.certain for loop in uses[0].loops[depth:])
    for loop in _common([use.loops[depth:] for use in uses]):
        mine = [dim for dim in range(count) if all(use.at[dim] == loop.variable for use in uses)]
        if not mine and not fresh:
            break
        owners |= dict.fromkeys(mine, loop.key)
    return owners


def _common(paths: Sequence[Sequence[Loop]]) -> list[Loop]:
    """The loops that all paths begin with."""
    found: list[Loop] = []
    for level in zip(*paths, strict=False):
        if len({loop.key for loop in level}) > 1:
            break
        found.append(level[0])
    return found


def _grown(dim: int, size: Sym, depth: int, uses: Sequence[Use], facts: Facts) -> Hashable | None:
    """The loop whose iterations meet the elements one after the other, before anything else does."""
    if not uses or len(uses[0].loops) <= depth:
        return None
    loop = uses[0].loops[depth]
    if loop.start is None or loop.stop is None or loop.step is None or not loop.certain:
        return None
    whole = facts.same(loop.start, ZERO) is True and facts.same(loop.stop, size) is True
    inside = [use for use in uses if len(use.loops) > depth and use.loops[depth].key == loop.key]
    own = all(use.at[dim] == loop.variable for use in inside)
    return loop.key if whole and own and loop.step.value == 1 else None
