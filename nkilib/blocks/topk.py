"""The largest elements of rows, eight at a time, and where they stand."""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from .tiles import as_tile, as_view

EIGHT = 8
"""Elements that Vector Engine finds at a time."""

SEARCHED = 16384
"""Most elements of a row that it searches."""

LOWEST = -3.4028234663852886e38
"""The lowest finite float32: what taken elements become."""

_FLOOR = -3.4028232635611926e38
"""The float32 next to it: the least that an element may be, so that none looks as if it were taken."""

_LARGEST = 3.4028234e38
"""In the place of a value that is not to be taken; no element of a row may have it."""


def take_largest(values: Any, places: Any, data: Any, rest: Any, count: int = EIGHT) -> None:
    """The ``count`` largest elements of each row, descending, and their places; ``rest`` is what remains.

    Equal elements take successive places, the first ones first.

    Args:
        values: SBUF ``[P ≤ 128, 8]``, of the dtype of ``data``; from ``count`` on of no use.
        places: SBUF uint32 ``[P, 8]``, the same.
        data: SBUF ``[P, N]``, 8 ≤ N ≤ 16384; every element above :data:`LOWEST`.
        rest: SBUF ``[P, N]``, ``data`` with :data:`LOWEST` for what was taken; may be ``data``.
    """
    found = as_view(values)
    nisa.max8(dst=found.get_view(), src=as_tile(data))
    if count < EIGHT:
        nisa.memset(dst=found.slice(1, count, EIGHT).get_view(), value=_LARGEST)
    nisa.nc_match_replace8(
        dst=as_tile(rest), data=as_tile(data), vals=found.get_view(), imm=LOWEST, dst_idx=as_tile(places)
    )


def take_sorted(values: Any, places: Any, data: Any) -> None:
    """The largest elements of each row, descending, and their places; ``data`` loses them.

    Args:
        values: SBUF ``[P ≤ 128, 8·m]``, of the dtype of ``data``. places: SBUF uint32 ``[P, 8·m]``.
        data: SBUF ``[P, N]``, as :func:`take_largest` takes it; taken elements become :data:`LOWEST`, which
            is taken itself when there is nothing else.
    """
    found, where = as_view(values), as_view(places)
    for start in range(0, found.shape[1], EIGHT):
        take_largest(found.slice(1, start, start + EIGHT), where.slice(1, start, start + EIGHT), data, data)


def clamp_finite(data: Any) -> None:
    """Infinities become finite, the largest and nearly the lowest float32: what can be searched and taken."""
    nisa.tensor_scalar(
        dst=as_tile(data),
        data=as_tile(data),
        op0=nl.maximum,
        operand0=_FLOOR,
        op1=nl.minimum,
        operand1=_LARGEST,
    )


def taken(dst: Any, data: Any, rest: Any) -> None:
    """``dst`` is 1 where :func:`take_largest` took an element of ``data``, and 0 elsewhere."""
    nisa.tensor_tensor(dst=as_tile(dst), data1=as_tile(data), data2=as_tile(rest), op=nl.not_equal)
