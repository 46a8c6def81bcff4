"""Which keys a query sees: bounds of positions, known when a kernel is traced or only when it runs.

Query i stands at position ``offset + step·i``, key j at position j. Causal queries see keys up to their own
position; a window of W shows them the last W of these, their own included. Keys of a cached prefix stand at
``j - used``, before all others, and only ``used`` of them count.

A :class:`Band` holds what is known at trace time and says which keys need no work; :class:`Bounds` are the
exact limits in SBUF, which :func:`mask_and_max` applies.
"""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from .memory import PARTITIONS, Scratch
from .tiles import as_view

MASKED = -3.4028235e38
"""What stands in place of the score of a key that is not seen: the lowest finite float32."""


class Band(nl.NKIObject):
    """What is known of positions at trace time.

    Attributes:
        causal: whether keys after the query are hidden. window: keys seen, own one included; 0 for all.
        step: positions between neighbouring queries.
        least, most: the offset of the first query lies between them.
    """

    causal: bool = True
    window: int = 0
    step: int = 1
    least: int = 0
    most: int = 0


def seen_keys(band: Band, first: int, end: int, keys: int) -> tuple[int, int]:
    """``(start, end)`` of the keys that queries ``first`` to ``end - 1`` may see; one key at the least."""
    stop = keys
    if band.causal:
        stop = min(keys, band.most + band.step * (end - 1) + 1)
    if band.window == 0:
        return 0, stop
    start = max(0, band.least + band.step * first - band.window + 1)
    return min(start, stop - 1), stop


def seen_prior(band: Band, first: int, end: int, keys: int) -> tuple[int, int]:
    """As :func:`seen_keys` for a prefix of which 0 to ``keys`` are used; ``(0, 0)`` when none can be seen."""
    if band.window == 0:
        return 0, keys
    nearest = band.least + band.step * first
    start = max(0, nearest - band.window + 1)
    if nearest >= band.window - 1 or start >= keys:
        return 0, 0
    return start, keys


def sees_all(band: Band, first: int, end: int, start: int, stop: int) -> bool:
    """Whether each of the queries sees each key of ``start`` to ``stop - 1``, wherever the first query is."""
    if not band.causal:
        return True
    before = stop - 1 <= band.least + band.step * first
    within = band.window == 0 or start > band.most + band.step * (end - 1) - band.window
    return before and within


class Bounds(nl.NKIObject):
    """Inclusive limits of the keys that are seen, float32 in SBUF.

    Attributes:
        upper, lower: ``[128, T]`` for query ``128·t + p`` at (p, t), or ``[128, 1]`` for all tiles of
            queries; no ``lower`` without a window.
    """

    upper: Any = None
    lower: Any = None


def _limit(limits: Any, rows: int, tile: int) -> nl.ndarray:
    column = tile if limits.shape[1] > 1 else 0
    return limits[0:rows, column : column + 1]


def mask_and_max(scores: nl.ndarray, first_key: int, bounds: Bounds, tile: int, largest: nl.ndarray) -> None:
    """Put :data:`MASKED` over scores of keys out of bounds, and take each row's maximum; one instruction.

    Args:
        scores: fp32 ``[P, N]`` in SBUF or PSUM, changed in place: row p is query ``128·tile + p``, column n
            is key ``first_key + n``.
        largest: fp32 ``[P, 1]``. A row without any key gives :data:`MASKED`.

    From gen3 on.
    """
    rows = scores.shape[0]
    upper = _limit(bounds.upper, rows, tile)
    if bounds.lower is None:
        lower, compare = upper, nl.less_equal
    else:
        lower, compare = _limit(bounds.lower, rows, tile), nl.greater_equal
    nisa.range_select(
        dst=scores,
        on_true_tile=scores,
        comp_op0=nl.less_equal,
        comp_op1=compare,
        bound0=upper,
        bound1=lower,
        reduce_cmd=nisa.reduce_cmd.reset_reduce,
        reduce_res=largest,
        reduce_op=nl.maximum,
        range_start=first_key,
        on_false_value=MASKED,
    )


def query_positions(dst: nl.ndarray, step: int) -> None:
    """``dst[p, t] = step·(128·t + p)``, fp32 ``[128, T]``."""
    nisa.iota(dst=dst, pattern=[[step * PARTITIONS, dst.shape[1]]], offset=0, channel_multiplier=step)


def load_number(dst: nl.ndarray, src: Any, work: Scratch) -> None:
    """``dst[p, 0] = src``: the one integer of an HBM tensor ``[1]`` or ``[1, 1]`` on P partitions, fp32.

    Exact up to 2²⁴.
    """
    held = work.tile((dst.shape[0], 1), src.dtype)
    number = as_view(src)
    if number.get_dim() == 1:
        number = number.expand_dim(0)
    nisa.dma_copy(dst=held, src=number.broadcast(0, dst.shape[0]).get_view())
    nisa.tensor_copy(dst=dst, src=held)
