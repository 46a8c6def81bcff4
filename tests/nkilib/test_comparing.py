"""The rule that results of kernels are compared by."""

from __future__ import annotations

import numpy as np
import pytest
from kernels import check_close, close_max

INF, NAN = np.inf, np.nan


@pytest.mark.parametrize(
    ("got", "want", "close"),
    [
        ([100.0, 0.9], [100.0, 0.0], True),  # 0.01 of the largest is 1
        ([100.0, 1.1], [100.0, 0.0], False),
        ([100.0, -1.1], [100.0, 0.0], False),
        ([1.0, INF], [1.0, INF], True),
        ([1.0, INF], [1.0, -INF], False),
        ([1.0, 2.0], [1.0, INF], False),
        ([1.0, INF], [1.0, 2.0], False),
        ([1.0, NAN], [1.0, NAN], False),
        ([1.0, NAN], [1.0, 1.0], False),
        ([1.0, 1.0], [1.0, NAN], False),
        ([INF], [INF], True),
        ([3.0, INF], [2.0, INF], False),  # the infinite one does not widen the bound
        ([[1.0]], [1.0], False),
        ([], [], True),
    ],
)
def test_rule(got, want, close) -> None:
    assert close_max(got, want, rtol=0.01, atol=0.0) is close


def test_absolute_tolerance() -> None:
    assert close_max([0.5], [0.0], rtol=0.0, atol=0.5)
    assert not close_max([0.6], [0.0], rtol=0.0, atol=0.5)


def test_failure_names_the_worst_element() -> None:
    with pytest.raises(
        AssertionError, match=r"off by 3, allowed are 0.04 at \(1, 0\): got 7.0, expected 4.0"
    ):
        check_close([[1.0, 2.1], [7.0, 4.0]], [[1.0, 2.0], [4.0, 4.0]], rtol=0.01, atol=0.0)
