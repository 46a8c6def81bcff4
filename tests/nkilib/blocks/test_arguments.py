"""The checks of integers and numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kernels import rejected

from nkilib.blocks.arguments import (
    assert_integer,
    assert_integers,
    assert_limits,
    assert_not_negative,
    assert_number,
)

INFINITE = float("inf")


@pytest.mark.parametrize("value", [0, 7, -3])
def test_integers(value: Any) -> None:
    assert_integer(value, "k")


@pytest.mark.parametrize("value", [1.0, True, np.bool_(True), "1", None, (), np.float32(1), np.int64(5)])
def test_no_integers(value: Any) -> None:
    with rejected(f"k must be an int, it is {value} "):
        assert_integer(value, "k")


def test_bounds_belong_to_the_range() -> None:
    assert_integer(1, "k", 1, 8)
    assert_integer(8, "k", 1, 8)
    with rejected("k must be at least 1, it is 0"):
        assert_integer(0, "k", 1, 8)
    with rejected("k must be at most 8, it is 9"):
        assert_integer(9, "k", 1, 8)


def test_integers_that_are_not_given() -> None:
    assert_integers(((None, "n"), (2, "k")), 1)
    with rejected("k must be at least 1, it is 0"):
        assert_integers(((None, "n"), (0, "k")), 1)


@pytest.mark.parametrize("value", [0, 0.5, -2, np.float64(1), 3e38])
def test_numbers(value: Any) -> None:
    assert_number(value, "scale")


@pytest.mark.parametrize(
    "value", [INFINITE, -INFINITE, float("nan"), 1e39, "1", None, True, (), np.float32(1)]
)
def test_no_numbers(value: Any) -> None:
    with rejected(f"scale must be an int or float, it is {value} "):
        assert_number(value, "scale")


def test_what_is_added_under_a_root() -> None:
    assert_not_negative(0.0, "eps")
    with rejected("eps must be at least 0, it is -0.1"):
        assert_not_negative(-0.1, "eps")


def test_limits() -> None:
    assert_limits((None, -1.0), (INFINITE, -INFINITE))
    with rejected("gate_clamp_upper_limit must be an int or float, it is -inf"):
        assert_limits((-INFINITE, None), (None, None))
    with rejected("up_clamp_lower_limit must be an int or float, it is nan"):
        assert_limits((1.0, -1.0), (1.0, float("nan")))
