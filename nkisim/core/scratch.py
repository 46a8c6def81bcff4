"""Memory for what an instruction computes in between.

Fresh memory costs more than most arithmetic on it: the system clears every page of it. So large intermediate
arrays lie one behind the other in memory that is kept, from the start of an instruction to its end. Exactly
one core runs at a time, and what an instruction leaves behind it has written to a tensor, so there is one for
all.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
SMALL = 1 << 13
"""Elements of arrays below which fresh memory costs no more."""
_ROOM = 16 << 20
_ALIGNED = 64


class Scratch:
    """Where the next array goes, in bytes; negative outside of instructions."""

    __slots__ = ("_memory", "top")

    def __init__(self) -> None:
        self.top = -1
        self._memory: Array | None = None

    def take(self, shape: tuple[int, ...]) -> Array:
        """A float32 array with any content; inside an instruction it is valid until that ends."""
        count = prod(shape)
        top = self.top
        end = top + 4 * count
        if top < 0 or count < SMALL or end > _ROOM:
            return np.empty(shape, np.float32)
        self.top = -(-end // _ALIGNED) * _ALIGNED
        return np.ndarray(shape, np.float32, self._kept(), top)

    def _kept(self) -> Array:
        if self._memory is None:
            raw = np.empty(_ROOM + _ALIGNED, np.uint8)
            start = -int(raw.__array_interface__["data"][0]) % _ALIGNED
            self._memory = raw[start : start + _ROOM]
        return self._memory


scratch = Scratch()
