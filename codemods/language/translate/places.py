"""Places in memory that a kernel chooses for its tiles."""

from __future__ import annotations

from dataclasses import dataclass

from ..analysis import values as v
from ..analysis.dtypes import SIZES
from ..analysis.refusal import Refused
from ..analysis.symbols import Sym, product

_BANK = 2048
"""Bytes that a bank of PSUM has in a partition."""


@dataclass(frozen=True)
class Address:
    """Where the tiles of a tensor with block dimensions lie: in turns, one place after the other.

    Attributes:
        base: bytes in SBUF, a bank in PSUM. turns: for each block dimension the number of places.
    """

    space: v.Space
    base: Sym
    turns: tuple[Sym, ...]


def code(address: Address, indexes: tuple[Sym, ...], tile: v.Shape, dtype: v.Dtype) -> str:
    """``address=(…)`` of the tile at these block indexes."""
    turns = address.turns or tuple(Sym.constant(1) for _ in indexes)
    if len(turns) != len(indexes):
        raise Refused("M-ALLOC", fn="alloc", name="mod_alloc")
    place = Sym.constant(0)
    for index, count in zip(indexes, turns, strict=True):
        place = place * count + (Sym.constant(0) if count.value == 1 else index % count)
    if address.space is v.Space.PSUM:
        return f"(0, {((address.base + place) * _BANK).text})"
    if place.value == 0:
        return f"(0, {address.base.text})"
    size = SIZES.get(dtype.known or "")
    if size is None:
        raise Refused("M-DTYPE", fn="nl.ndarray", operands=dtype.text)
    return f"(0, {(address.base + place * product(tile[1:]) * size).text})"
