"""Collectives of one device are copies; others are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tiles import got, hbm, psum, tile

from nkisim import collectives as ncl
from nkisim import language as nl
from nkisim.core.errors import SimulationError

ALONE = ncl.ReplicaGroup([[0]])
PAIR = ncl.ReplicaGroup([[0, 1]])
X = np.arange(8, dtype=np.float32).reshape(2, 4)


def calls(group: ncl.ReplicaGroup) -> list[Any]:
    return [
        lambda s, d: ncl.all_reduce(s, d, group, nl.add),
        lambda s, d: ncl.all_gather(s, d, group, 0),
        lambda s, d: ncl.reduce_scatter(s, d, group, 0, nl.maximum),
        lambda s, d: ncl.all_to_all(s, d, group, 1),
        lambda s, d: ncl.collective_permute_implicit([s], [d], group),
    ]


@pytest.mark.parametrize("call", [*calls(ALONE), lambda s, d: ncl.collective_permute(s, d, [[0, 0]])])
def test_alone(call: Any) -> None:
    first, second = hbm(np.zeros((2, 4), np.float32)), hbm(np.zeros((2, 4), np.float32))
    call([hbm(X), hbm(X + 1)], [first, second])
    assert np.array_equal(got(first), X)
    assert np.array_equal(got(second), X + 1)


@pytest.mark.parametrize("call", [*calls(PAIR), lambda s, d: ncl.collective_permute(s, d, [[0, 1]])])
def test_with_others(call: Any) -> None:
    with pytest.raises(SimulationError, match="one device, rank 0 of 1"):
        call([hbm(X)], [hbm(X)])


def test_ranks() -> None:
    assert ncl.rank_id() == 0
    assert ncl.collective_permute_implicit_current_processing_rank_id(0, ALONE) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([tile(X)], [hbm(X)], ALONE, nl.add), "all tensors in HBM"),
        (([tile(X)] * 2, [tile(X)] * 2, ALONE, nl.add), "all tensors in HBM"),
        (([hbm(X)], [], ALONE, nl.add), "1 sources, 0 destinations"),
        (([hbm(X)], [psum((2, 4))], ALONE, nl.add), "psum"),
        (([hbm(X)], [hbm(X)], ALONE, nl.multiply), "op is nl.multiply"),
        (([hbm(X)], [hbm(X)], [[0]], nl.add), "must be a ReplicaGroup"),
    ],
)
def test_refused(arguments: Any, message: str) -> None:
    with pytest.raises(SimulationError, match=message):
        ncl.all_reduce(*arguments)


def test_groups_do_not_overlap() -> None:
    with pytest.raises(ValueError, match="overlap"):
        ncl.ReplicaGroup([[0, 1], [1, 2]])


def test_a_permutation_of_nobody_is_nothing() -> None:
    src, dst = hbm(X), hbm(np.zeros_like(X))
    ncl.collective_permute([src], [dst], [])
    assert (got(dst) == 0).all()


def test_what_is_documented_for_a_ring_only() -> None:
    with pytest.raises(SimulationError, match="collective_permute_implicit_reduce is not simulated"):
        ncl.collective_permute_implicit_reduce([[hbm(X)]], [[hbm(X)]], [[hbm(X)]], ALONE, nl.add)
