"""The enumerations: members, order of generations, and the target in force."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from nkisim import isa as nisa
from nkisim.core.running import run

MEMBERS = {
    "dge_mode": "unknown swdge hwdge none",
    "engine": "tensor vector scalar gpsimd dma sync unknown",
    "oob_mode": "error skip",
    "reduce_cmd": "idle reset reduce reset_reduce load_reduce",
    "matmul_perf_mode": "none double_row",
    "nc_version": "gen2 gen3 gen4",
}


@pytest.mark.parametrize(("name", "members"), MEMBERS.items())
def test_members(name: str, members: str) -> None:
    assert {member.name for member in getattr(nisa, name)} == set(members.split())


def test_short_names_of_engines() -> None:
    for name in ("tensor", "vector", "scalar", "gpsimd", "dma", "unknown"):
        assert getattr(nisa, f"{name}_engine") is nisa.engine[name]


def test_generations_are_ordered() -> None:
    for (i, one), (j, other) in itertools.product(enumerate(nisa.nc_version), repeat=2):
        assert (one < other, one <= other, one > other, one >= other) == (i < j, i <= j, i > j, i >= j)
    with pytest.raises(TypeError):
        nisa.nc_version.gen3 < 3  # type: ignore[operator]  # noqa: B015


@pytest.mark.parametrize(("platform", "expected"), [("trn1", "gen2"), ("trn2", "gen3"), ("trn3", "gen4")])
def test_the_target_in_force(platform: str, expected: str) -> None:
    seen: list[Any] = []
    run(lambda: seen.append(nisa.get_nc_version()), (), (), {}, platform=platform)
    assert seen == [nisa.nc_version[expected]]
