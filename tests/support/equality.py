"""Equality to the last bit, of arrays and of what holds them."""

from __future__ import annotations

from typing import Any

import numpy as np


def check_equal(one: Any, other: Any) -> None:
    assert type(one) is type(other)
    if isinstance(one, list | tuple | dict):
        pairs = (one, other) if not isinstance(one, dict) else (list(one.items()), list(other.items()))
        assert len(one) == len(other)
        for mine, yours in zip(*pairs, strict=True):
            check_equal(mine, yours)
    elif isinstance(one, np.ndarray):
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        assert one.tobytes() == other.tobytes()
    else:
        assert one == other
