"""A tensor that is one larger or smaller than the others say is refused with a message, and never read as it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from kernels import rejected
from randomcalls import FAMILIES, Family, by_seed

LOOKED_AT = [family for family in FAMILIES if family.free is not None]


@pytest.mark.slow
@pytest.mark.parametrize("family", LOOKED_AT, ids=lambda family: family.id)
def test_other_sizes_are_refused(family: Family) -> None:
    for seed in range(2):
        call = family.draw(by_seed(seed))
        lnc = call.lnc[-1]
        for name, value in call.given(lnc).items():
            if not isinstance(value, np.ndarray):
                continue
            for dim, other in resized(value, (family.free or {}).get(name, ())):
                with rejected():
                    call.run(lnc, **{name: other})
                    pytest.fail(f"{name} may have {other.shape} in place of {value.shape}: dimension {dim}")


def resized(value: Any, free: tuple[int, ...]) -> Iterator[tuple[int, Any]]:
    """The tensor with one more, and one less, in each dimension that is not free."""
    for dim in range(value.ndim):
        if dim in free:
            continue
        first = np.take(value, [0], dim)
        yield dim, np.concatenate([value, first], dim)
        if value.shape[dim] > 1:
            yield dim, np.ascontiguousarray(np.take(value, range(value.shape[dim] - 1), dim))
