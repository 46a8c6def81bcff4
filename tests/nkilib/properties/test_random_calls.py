"""Every public kernel, called at random: the oracle's result, on one core as on two, and each time the same bits.

A few calls, and the slow tests' some more, are always the same ones; ``make test-kernels EXAMPLES=1000`` draws many,
which differ each time. What fails is shown as small as it gets, and kept in ``.hypothesis`` to be tried first.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
from constraints import TABLES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.database import DirectoryBasedExampleDatabase
from kernels import check_close
from randomcalls import EVERY, Call, Choose, Family, by_seed

TWO_CORES = {"two cores", "sums of two cores"}
"""Demands of kernels that no random call runs on one."""
NEED_TWO_CORES = {table.name for table in TABLES for row in table.rows if row.demand in TWO_CORES}
FEW = 3
MANY = int(os.environ.get("NKILIB_EXAMPLES", "20"))
KEPT = DirectoryBasedExampleDatabase(".hypothesis/examples") if "NKILIB_EXAMPLES" in os.environ else None


def check(family: Family, call: Call) -> bool:
    """Whether results of one core and of two were compared; they are not where the kernel needs two cores."""
    results: dict[int, list[Any]] = {}
    for lnc in call.lnc:
        results[lnc] = call.run(lnc)
        call.check(results[lnc], lnc)
    last = call.lnc[-1]
    assert bits(call.run(last)) == bits(results[last]), "another run gives other bits"
    if call.lnc != (1, 2):
        return False
    wanted = {lnc: [np.asarray(each) for each in call.want(lnc)] for lnc in (1, 2)}
    if family.bits and bits(wanted[1]) == bits(wanted[2]):
        assert bits(results[1]) == bits(results[2]), "one and two cores give other bits"
    found = [
        agree(call, index, [results[1][index], results[2][index]], [wanted[1][index], wanted[2][index]])
        for index in range(len(results[1]))
    ]
    return any(found)


def agree(call: Call, index: int, got: list[Any], want: list[Any]) -> bool:
    """Whether a result of two cores is one core's in another layout, or in each core; then they must agree.

    The layouts are those of the expected values: elements are compared in the order of these.
    """
    first, second = (np.argsort(each, axis=None, kind="stable") for each in want)
    copies = want[1].size // max(1, want[0].size)
    first = np.repeat(first, copies)
    if not np.array_equal(want[0].ravel()[first], want[1].ravel()[second]):
        return False
    rtol, atol = call.tolerance(index)
    atol = np.broadcast_to(atol, want[1].shape).ravel()[second]
    one, two = got[0].ravel()[first], got[1].ravel()[second]
    check_close(two, one, rtol, atol, f"result {index} on two cores, beside one")
    return True


def bits(results: list[Any]) -> list[bytes]:
    return [np.ascontiguousarray(part).tobytes() for part in results]


@EVERY
def test_a_few_calls(family: Family) -> None:
    calls = [family.draw(by_seed(seed)) for seed in range(FEW)]
    compared = [check(family, call) for call in calls]
    assert any(compared) or family.name in NEED_TWO_CORES


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
