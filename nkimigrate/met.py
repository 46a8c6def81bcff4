"""A set of names that forgets nothing and takes little memory, at the price of a few that it never met."""

from __future__ import annotations

_BITS = 24
_MASK = (1 << _BITS) - 1


class Met:
    """Tells of most names that they were never added; of those that were, it always says so.

    A Bloom filter of 2 MB, of which as much is in memory as is used: with a million names it is wrong about
    one in two hundred others.
    """

    def __init__(self) -> None:
        self._bits: bytearray | None = None

    def add(self, name: str) -> None:
        """Never forget the name."""
        if self._bits is None:
            self._bits = bytearray(1 << _BITS - 3)
        for place in _places(name):
            self._bits[place >> 3] |= 1 << (place & 7)

    def __contains__(self, name: str) -> bool:
        bits = self._bits
        return bits is not None and all(bits[place >> 3] >> (place & 7) & 1 for place in _places(name))


def _places(name: str) -> tuple[int, int, int]:
    mixed = hash(name)
    return mixed & _MASK, mixed >> 20 & _MASK, mixed >> 40 & _MASK
