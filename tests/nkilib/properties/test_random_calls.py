"""Every public kernel, called at random: the oracle's result, on one core as on two, and each time the same bits.

A few calls, and the slow tests' some more, are always the same ones; ``make test-kernels EXAMPLES=1000`` draws many,
which differ each time. What fails is shown as small as it gets, and kept in ``.hypothesis`` to be tried first.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.database import DirectoryBasedExampleDatabase
from kernels import check_close
from randomcalls import FAMILIES, Call, Choose, Family, by_seed

EVERY = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.id)
FEW = 3
MANY = int(os.environ.get("NKILIB_EXAMPLES", "20"))
KEPT = DirectoryBasedExampleDatabase(".hypothesis/examples") if "NKILIB_EXAMPLES" in os.environ else None


def check(family: Family, call: Call) -> None:
    results: dict[int, list[Any]] = {}
    for lnc in call.lnc:
        results[lnc] = call.run(lnc)
        call.check(results[lnc], lnc)
    last = call.lnc[-1]
    assert bits(call.run(last)) == bits(results[last]), "another run gives other bits"
    if call.lnc == (1, 2) and alike(call):
        if family.bits:
            assert bits(results[1]) == bits(results[2]), "one and two cores give other bits"
        for index, (one, two) in enumerate(zip(results[1], results[2], strict=True)):
            check_close(two, one, *call.tolerance(index), f"result {index} on two cores, beside one")


def alike(call: Call) -> bool:
    """Whether one and two cores are given the same, and should give the same."""
    given = [[each for each in call.given(lnc).values() if isinstance(each, np.ndarray)] for lnc in (1, 2)]
    wanted = [[np.asarray(each) for each in call.want(lnc)] for lnc in (1, 2)]
    shapes = [[each.shape for each in arrays] for arrays in wanted]
    return bits(given[0]) == bits(given[1]) and shapes[0] == shapes[1] and bits(wanted[0]) == bits(wanted[1])


def bits(results: list[Any]) -> list[bytes]:
    return [np.ascontiguousarray(part).tobytes() for part in results]


@EVERY
def test_a_few_calls(family: Family) -> None:
    for seed in range(FEW):
        check(family, family.draw(by_seed(seed)))


@pytest.mark.slow
@EVERY
def test_many_calls(family: Family) -> None:
    @settings(
        max_examples=MANY,
        deadline=None,
        derandomize=KEPT is None,
        database=KEPT,
        suppress_health_check=[
            HealthCheck.too_slow,
            HealthCheck.data_too_large,
            HealthCheck.large_base_example,
        ],
    )
    @given(st.data())
    def many(data: st.DataObject) -> None:
        def pick(lowest: int, highest: int) -> int:
            return data.draw(st.integers(lowest, highest))

        check(family, family.draw(Choose(pick)))

    many()
