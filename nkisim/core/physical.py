"""A core's one SBUF or PSUM, which tensors with addresses share.

Filling all of it with what unwritten memory reads as would take longer than many launches. So a byte is
filled when a tensor that has it is read, or written in part, and nothing wrote the whole tensor before.
"""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np

from .boxes import Box, apart, common, overlapping, without
from .pool import borrow, give_back

Array = np.ndarray[Any, np.dtype[Any]]

PARTITIONS = 128
_APART = 64
"""Bytes between partitions that share a memory, whose size is a power of two or nearly: without them the same
bytes of all partitions evict each other from the processor's cache."""
_MOST = 64
"""Boxes of bytes without a content that are kept apart, at most: of more all are filled."""


class Physical:
    """The bytes, and which of them have no content yet.

    Those are closed until a tensor reaches them. A tensor is fresh (``Storage.fresh``) as long as none of its
    bytes has a content; it gets one as a whole, and then no tensor that it overlaps is fresh any more.

    Attributes:
        raw: all bytes. pitch: bytes from one partition to the next.
    """

    __slots__ = ("_closed", "_filled", "_fresh", "_once_fresh", "pitch", "raw")

    def __init__(self, capacity: int) -> None:
        self.pitch = capacity + _APART
        self.raw = borrow(PARTITIONS * self.pitch)
        self._closed: list[Box] = [(0, PARTITIONS, 0, capacity)]
        self._filled: list[Box] = []
        self._fresh: dict[Box, list[Any]] = {}
        self._once_fresh: list[tuple[Box, Any]] = []

    def __del__(self) -> None:
        ends = give_back is None  # as the interpreter leaves it when it ends
        if not ends:
            give_back(self)

    def reach(self, storage: Any) -> None:
        """A new tensor reaches the bytes of its storage."""
        box: Box = storage.box
        if box in self._fresh:
            self._claim(box, storage)
            return
        fresh, closed = overlapping(box, self._fresh), overlapping(box, self._closed)
        if closed:
            pieces = [piece for each in closed for piece in without(each, box)]
            self._closed = [each for each in self._closed if each not in closed] + pieces
            if len(self._closed) > _MOST:
                self._fill(*self._closed)
                self._closed = []
        empty = [common(box, each) for each in closed]
        if not _uncovered(box, [*empty, *(common(box, each) for each in fresh)]):
            self._claim(box, storage)
            if len(self._fresh) > _MOST:
                self._give_content(list(self._fresh))
            return
        self._fill(*empty)
        self._give_content(fresh)

    def _claim(self, box: Box, storage: Any) -> None:
        storage.fresh = True
        reference = weakref.ref(storage)
        self._fresh.setdefault(box, []).append(reference)
        self._once_fresh.append((box, reference))

    def _give_content(self, boxes: list[Box]) -> None:
        for box in boxes:
            self._fill(box)
            self.settle(box)

    def settle(self, box: Box) -> None:
        """Fresh tensors' bytes have a content now; what shares some of them gets one for its others."""
        settled = [box]
        for each in settled:
            for claimed in overlapping(each, self._fresh):
                for reference in self._fresh.pop(claimed):
                    storage = reference()
                    if storage is not None:
                        storage.fresh = False
                for piece in _uncovered(claimed, settled):
                    fill_box(self.raw, self.pitch, piece)
                    settled.append(piece)

    def poison(self, box: Box) -> None:
        """A fresh tensor's bytes are as unwritten memory reads."""
        fill_box(self.raw, self.pitch, box)
        self.settle(box)

    def clear(self) -> None:
        """Nothing was written: a launch starts that reaches the same tensors, all at once."""
        self._fresh = {}
        for box, reference in self._once_fresh:
            self._fresh.setdefault(box, []).append(reference)
            storage = reference()
            if storage is not None:
                storage.fresh = True
        for box in self._filled:
            self.poison(box)

    def _fill(self, *boxes: Box) -> None:
        """Fill what a launch that starts again fills at once."""
        for box in boxes:
            fill_box(self.raw, self.pitch, box)
        self._filled.extend(boxes)


def fill_box(raw: Array, pitch: int, box: Box) -> None:
    """Fill a part of a memory with what reads as NaN."""
    row, end, byte, last = box
    raw.reshape(-1, pitch)[row:end, byte:last] = 0xFF


def _uncovered(box: Box, others: list[Box]) -> list[Box]:
    """The parts of a box that lie in none of the others."""
    left = [box]
    for other in others:
        left = [
            piece for each in left for piece in ([each] if apart(each, (other,)) else without(each, other))
        ]
    return left
