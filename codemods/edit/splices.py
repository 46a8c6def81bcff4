"""Replacing ranges of bytes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from ..model import Edit, Span
from ..record import record
from .refusal import EditRefused


@record
class Splice:
    """New bytes for a range of the file, and the edit that wants them."""

    span: Span
    new: bytes
    edit: Edit


def ordered(splices: Iterable[Splice]) -> list[Splice]:
    """By position; insertions (empty ranges) come before a replacement that starts there.

    Raises:
        EditRefused: two of them overlap.
    """
    result = sorted(splices, key=lambda splice: splice.span)
    for before, after in pairwise(result):
        if after.span[0] < before.span[1]:
            raise EditRefused(after.edit, "it overlaps another change")
    return result


def splice(data: bytes, span: Span, splices: Sequence[Splice]) -> bytes:
    """The bytes of ``span`` with the ``splices`` inside it, which are in order, carried out."""
    position, end = span
    pieces = []
    for change in splices:
        if span[0] <= change.span[0] and change.span[1] <= end:
            pieces += [data[position : change.span[0]], change.new]
            position = change.span[1]
    return b"".join([*pieces, data[position:end]])
