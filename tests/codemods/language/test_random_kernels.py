"""Kernels made at random compute the same before and after the language step."""

from __future__ import annotations

from collections import Counter

import pytest
from randomkernels import tried


def check(seeds: range) -> None:
    found = Counter[str]()
    for seed in seeds:
        outcome, wrong = tried(seed)
        assert not wrong, f"kernel {seed}: {wrong}"
        found[outcome] += 1
    assert found["migrated"] > 0.9 * len(seeds), found  # otherwise little is shown


def test_random_kernels() -> None:
    check(range(120))


@pytest.mark.slow
def test_many_random_kernels() -> None:
    check(range(120, 5000))
