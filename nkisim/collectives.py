"""``nki.collectives``: communication between devices.

A simulated launch is one device, rank 0 of 1. In a group of that rank alone every collective is a copy, which
is what is done here; with other ranks in the group there is nobody to talk to, which is an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .core import operators
from .core.errors import SimulationError, fail
from .core.memory import OFF_CHIP, SBUF
from .core.operators import Operator
from .isa.common import operand
from .isa.dma import dma_copy

REDUCTIONS = (operators.add, operators.minimum, operators.maximum)


class ReplicaGroup:
    """Groups of ranks that work together: ``ReplicaGroup([[0, 1], [2, 3]])``. Groups must not overlap.

    Raises ValueError when they do.
    """

    def __init__(self, groups: Sequence[Sequence[int]]) -> None:
        self.groups = tuple(tuple(int(rank) for rank in group) for group in groups)
        ranks = [rank for group in self.groups for rank in group]
        if len(set(ranks)) != len(ranks):
            raise ValueError(f"replica groups {list(map(list, self.groups))} overlap")


def rank_id() -> int:
    """This device's rank: 0."""
    return 0


def all_reduce(srcs: Sequence[Any], dsts: Sequence[Any], replica_group: Any, op: Operator) -> None:
    """Every rank gets ``op`` of all ranks' sources."""
    _check_operator("all_reduce", op)
    _alone("all_reduce", replica_group)
    _copy("all_reduce", srcs, dsts)


def all_gather(srcs: Sequence[Any], dsts: Sequence[Any], replica_group: Any, collective_dim: int) -> None:
    """Every rank gets all ranks' sources, one after the other along a dimension."""
    _alone("all_gather", replica_group)
    _copy("all_gather", srcs, dsts)


def reduce_scatter(
    srcs: Sequence[Any], dsts: Sequence[Any], replica_group: Any, collective_dim: int, op: Operator
) -> None:
    """Every rank gets its part of ``op`` of all ranks' sources."""
    _check_operator("reduce_scatter", op)
    _alone("reduce_scatter", replica_group)
    _copy("reduce_scatter", srcs, dsts)


def all_to_all(srcs: Sequence[Any], dsts: Sequence[Any], replica_group: Any, collective_dim: int) -> None:
    """Rank i's part j goes to rank j's part i."""
    _alone("all_to_all", replica_group)
    _copy("all_to_all", srcs, dsts)


def collective_permute(
    srcs: Sequence[Any], dsts: Sequence[Any], source_target_pairs: Sequence[Sequence[int]]
) -> None:
    """Each pair's first rank sends to the second."""
    pairs = [tuple(int(rank) for rank in pair) for pair in source_target_pairs]
    if any(pair != (0, 0) for pair in pairs):
        raise _nobody("collective_permute", pairs)
    if pairs:
        _copy("collective_permute", srcs, dsts)


def collective_permute_implicit(
    srcs_by_channel: Sequence[Sequence[Any]],
    dsts_by_channel: Sequence[Sequence[Any]],
    replica_group: Any,
    channel_ids: Sequence[int] = (0,),
) -> None:
    """Each rank sends to its successor, for each channel."""
    _alone("collective_permute_implicit", replica_group)
    for srcs, dsts in zip(srcs_by_channel, dsts_by_channel, strict=True):
        _copy("collective_permute_implicit", srcs, dsts)


def collective_permute_implicit_reduce(
    srcs0_by_channel: Any,
    srcs1_by_channel: Any,
    dsts_by_channel: Any,
    replica_group: Any,
    op: Operator,
    channel_ids: Sequence[int] = (0,),
) -> None:
    """Not simulated, also for one rank: what it does is documented for a ring only."""
    raise fail("nki.collectives.collective_permute_implicit_reduce is not simulated")


def collective_permute_implicit_current_processing_rank_id(
    iteration_id: int, replica_group: Any, channel_id: int = 0, num_channels: int = 1
) -> int:
    """The rank whose data an iteration of a ring handles: 0, the only one."""
    _alone("collective_permute_implicit_current_processing_rank_id", replica_group)
    return 0


def _alone(name: str, group: Any) -> None:
    if not isinstance(group, ReplicaGroup):
        raise fail(f"nki.collectives.{name}: replica_group must be a ReplicaGroup, it is {group!r}")
    if group.groups != ((0,),):
        raise _nobody(name, list(map(list, group.groups)))


def _nobody(name: str, ranks: Any) -> SimulationError:
    return fail(f"nki.collectives.{name}: ranks {ranks}; a simulated launch is one device, rank 0 of 1")


def _check_operator(name: str, op: Any) -> None:
    if op not in REDUCTIONS:
        raise fail(f"nki.collectives.{name}: op is {op!r}; allowed: nl.add, nl.minimum, nl.maximum")


def _copy(name: str, srcs: Sequence[Any], dsts: Sequence[Any]) -> None:
    if len(srcs) != len(dsts):
        raise fail(f"nki.collectives.{name}: {len(srcs)} sources, {len(dsts)} destinations")
    buffers = {operand(t, name, "srcs and dsts", (SBUF, *OFF_CHIP)).buffer for t in (*srcs, *dsts)}
    if SBUF in buffers and (len(buffers) > 1 or len(srcs) > 1):
        raise fail(f"nki.collectives.{name}: all tensors in HBM, or one source and destination in SBUF")
    for src, dst in zip(srcs, dsts, strict=True):
        dma_copy(dst, src)
