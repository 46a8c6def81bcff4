"""Boxes of bytes on chip: some partitions, and some bytes of each of them."""

from __future__ import annotations

from collections.abc import Iterable

Box = tuple[int, int, int, int]
"""First partition and the one after the last, first byte of a partition and the one after the last."""


def apart(box: Box, others: Iterable[Box]) -> bool:
    """Whether a box overlaps none of the others."""
    row, end, byte, last = box
    return not any(row < r1 and r0 < end and byte < b1 and b0 < last for r0, r1, b0, b1 in others)


def overlapping(box: Box, others: Iterable[Box]) -> list[Box]:
    """Those of the others that a box overlaps."""
    row, end, byte, last = box
    return [
        other for other in others if row < other[1] and other[0] < end and byte < other[3] and other[2] < last
    ]


def common(first: Box, second: Box) -> Box:
    """The bytes that two boxes share, which overlap."""
    (r0, r1, b0, b1), (row, end, byte, last) = first, second
    return max(r0, row), min(r1, end), max(b0, byte), min(b1, last)


def without(box: Box, taken: Box) -> list[Box]:
    """What is left of a box without one that overlaps it."""
    r0, r1, b0, b1 = box
    row, end, byte, last = common(box, taken)
    pieces = ((r0, row, b0, b1), (end, r1, b0, b1), (row, end, b0, byte), (row, end, last, b1))
    return [piece for piece in pieces if piece[0] < piece[1] and piece[2] < piece[3]]
