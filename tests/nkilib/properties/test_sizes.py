"""A tensor that is larger or smaller than the others say is refused with a message, and never read as it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from blockcheck import NoTileError
from randomcalls import FAMILIES, SEEDS, Call, Family, by_seed


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.id)
def test_other_sizes_are_refused(family: Family) -> None:
    for seed in SEEDS:
        call = family.draw(by_seed(seed))
        lnc = call.lnc[-1]
        for name, value in call.given(lnc).items():
            if not isinstance(value, np.ndarray):
                continue
            for dim, other in resized(value, family.free.get(name, ())):
                refused_or_right(call, lnc, f"dimension {dim} of {value.shape}", name, other)


def refused_or_right(call: Call, lnc: int, what: str, name: str, other: Any) -> None:
    """A tensor that a call does not read, as gamma without a norm, may be anything; a tile that none has is no call."""
    try:
        got, _ = call.tried(lnc, **{name: other})
    except NoTileError:
        return
    if got is None:
        return
    try:
        call.check(got, lnc)
    except AssertionError as error:
        raise AssertionError(f"{name}, {what}, may be {other.shape}") from error


def resized(value: Any, free: tuple[int, ...]) -> Iterator[tuple[int, Any]]:
    """The tensor with one more, one less, twice as much and half of it in each dimension that is not free."""
    for dim in range(value.ndim):
        size = value.shape[dim]
        for other in {size + 1, size - 1, 2 * size, size // 2} - {0, size} if dim not in free else ():
            yield dim, np.ascontiguousarray(np.take(value, np.arange(other) % size, dim))
