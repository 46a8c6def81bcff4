"""The first partition of a tile, copied to all partitions of another."""

import nki.isa as nisa
import nki.language as nl

from .kernel_assert import kernel_assert

_QUADRANT = 32
"""Partitions that one shuffle reaches."""

_FIRST = [0] * _QUADRANT


def stream_shuffle_broadcast(src: nl.ndarray, dst: nl.ndarray) -> None:
    """``dst[p, f] = src[0, f]`` for every partition of ``dst``, bit by bit.

    Args:
        src: SBUF ``[any, F]``; only partition 0 is read.
        dst: SBUF ``[1..128, F]`` of the same type; may be ``src``.

    Raises AssertionError for other ranks or unequal F.
    """
    kernel_assert(
        len(src.shape) == 2 and len(dst.shape) == 2,
        f"stream_shuffle_broadcast takes 2-D tiles; src is {src.shape}, dst is {dst.shape}",
    )
    partitions, free = dst.shape
    kernel_assert(
        src.shape[1] == free,
        f"stream_shuffle_broadcast: src {src.shape} and dst {dst.shape} must have equally many elements in a "
        "partition",
    )
    for start in range(0, partitions, _QUADRANT):
        stop = min(start + _QUADRANT, partitions)
        nisa.nc_stream_shuffle(dst=dst[start:stop, 0:free], src=src[0:1, 0:free], shuffle_mask=_FIRST)
