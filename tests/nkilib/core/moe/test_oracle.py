"""The oracle agrees with itself: formats, layouts, blocks against dense sums, gradients against differences."""

from __future__ import annotations

from moe_numpy_ref import self_check


def test_oracle() -> None:
    self_check()
