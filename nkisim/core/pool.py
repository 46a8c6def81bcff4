"""Memory of tiles that are gone, for those to come: the system clears every page of fresh memory.

What is kept is limited; the block that was given back first goes first.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

LEAST = 1 << 16
"""Bytes below which fresh memory costs no more."""
_MOST = 96 << 20

_kept: dict[int, list[Array]] = {}
_sizes: list[int] = []
_held = 0


def borrow(size: int) -> Array:
    """``size`` bytes of any content."""
    global _held
    blocks = _kept.get(size)
    if not blocks:
        return np.empty(size, np.uint8)
    _sizes.remove(size)
    _held -= size
    return blocks.pop()


def give_back(owner: Any) -> None:
    """Keep ``owner.raw`` for the next one that needs this size, if nothing but ``owner`` refers to it."""
    global _held
    size = owner.raw.nbytes
    if not LEAST <= size <= _MOST or sys.getrefcount(owner.raw) != 2:
        return
    _kept.setdefault(size, []).append(owner.raw)
    _sizes.append(size)
    _held += size
    while _held > _MOST:
        oldest = _sizes.pop(0)
        _kept[oldest].pop(0)
        _held -= oldest
