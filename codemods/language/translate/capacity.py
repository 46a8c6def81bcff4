"""Whether a tile fits on chip: the former compiler spilled or shared memory, the new one does not."""

from __future__ import annotations

from ..analysis import values as v
from ..analysis.dtypes import SIZES
from .walker import Walker

LIMITS = {v.Space.SBUF: 192 * 1024, v.Space.PSUM: 16 * 1024}
"""Bytes of one partition: 192 KiB of SBUF, 8 banks of 2 KiB of PSUM."""


def check(w: Walker, tile: v.Tensor, name: str, partition: int = 0) -> None:
    """Note a tile that alone is larger than the memory; only sizes that are numbers can be told."""
    limit = LIMITS.get(tile.space) if tile.space else None
    size = SIZES.get(tile.dtype.known or "") if tile.dtype else None
    if limit is None or size is None or tile.shape is None:
        return
    for axis, n in enumerate(tile.shape):
        if n.value is None:
            return
        size *= 1 if axis == partition else n.value
    if size > limit:
        fields = {"name": name, "bytes": f"{size} bytes", "limit": str(limit)}
        w.writer.note("M-CAPACITY", buffer=f"nl.{tile.space.value}" if tile.space else "", **fields)
