"""Rotary position embedding in its rotate-half form.

With the angle ``a = position·frequency[i]`` for i < d/2 and the halves ``x1, x2`` of a head::

    y[:d/2] = x1·cos a - x2·sin a
    y[d/2:] = x2·cos a + x1·sin a
"""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from ..core.utils.allocator import SbufManager
from ..core.utils.tensor_view import TensorView
from .memory import Scratch, scratch
from .tiles import as_view, load_broadcast

_PI = 3.14159274
"""The float32 next to π, the largest input of the hardware's sine."""
_HALF_PI = 1.57079633
_TURN = (6.25, 0.033203125, -1.7817820413768004e-05)
"""2π in parts: the products of the first two with a number of turns up to 2¹⁹ are exact in float32."""
_TURNS = 0.15915494309189535
"""1/2π."""


def load_angles(dst: Any, frequencies: Any, positions: Any, sbm: SbufManager) -> None:
    """``dst[i, n] = dst[d/2 + i, n] = positions[n]·frequencies[i]``, fp32.

    Args:
        dst: SBUF fp32 ``[d, N]``. frequencies: HBM ``[d/2, 1]``. positions: HBM ``[1, N]``.
    """
    into = as_view(dst)
    depth, half = into.shape[0], into.shape[0] // 2
    work = scratch(sbm, name="load_angles")
    rates = work.tile((depth, 1), nl.float32)
    nisa.dma_copy(dst=rates[0:half, :], src=frequencies)
    nisa.dma_copy(dst=rates[half:depth, :], src=frequencies)
    at = work.tile((depth, into.shape[1]), positions.dtype)
    load_broadcast(at, positions)
    nisa.tensor_scalar(dst=into.get_view(), data=at, op0=nl.multiply, operand0=rates)
    work.close()


def sine_and_cosine(dst: nl.ndarray, angles: nl.ndarray, sbm: SbufManager) -> None:
    """``dst[:, 0] = sin(angles)``, ``dst[:, 1] = cos(angles)``; fp32 ``[P, 2, N]`` and ``[P, N]`` in SBUF.

    The hardware's sine takes [-π, π]: whole turns are subtracted first, ``a - n·2π`` with 2π in three parts
    (Cody and Waite), and π/2 is added for the cosine. The number of turns of a large angle may be one off, so
    that is done again. What is left is the error of the float32 angle.
    """
    rows, columns = angles.shape[0], angles.shape[1]
    work = scratch(sbm, name="sine_and_cosine")
    turns = work.tile((rows, 2, columns), nl.int32)
    reduced = work.tile((rows, 2, columns), nl.float32)
    for part in range(2):
        quarter = 0.25 * part
        nisa.tensor_scalar(
            dst=turns[:, part, :], data=angles, op0=nl.multiply, operand0=_TURNS, op1=nl.add, operand1=quarter
        )
        _add_multiple(reduced[:, part, :], turns[:, part, :], -_TURN[0], angles)
    _add_multiple(reduced, turns, -_TURN[1], reduced)
    _add_multiple(reduced, turns, -_TURN[2], reduced)
    nisa.tensor_scalar(dst=reduced[:, 1, :], data=reduced[:, 1, :], op0=nl.add, operand0=_HALF_PI)
    nisa.tensor_scalar(dst=turns, data=reduced, op0=nl.multiply, operand0=_TURNS)
    _add_multiple(reduced, turns, -2.0 * _PI, reduced)
    nisa.tensor_scalar(dst=reduced, data=reduced, op0=nl.minimum, operand0=_PI, op1=nl.maximum, operand1=-_PI)
    nisa.activation(dst=dst, op=nl.sin, data=reduced)
    work.close()


def _add_multiple(dst: nl.ndarray, count: nl.ndarray, factor: float, start: nl.ndarray) -> None:
    """``dst = start + factor·count``."""
    nisa.scalar_tensor_tensor(
        dst=dst, data=count, op0=nl.multiply, operand0=factor, op1=nl.add, operand1=start
    )


def rotate_spread(
    dst: Any, src: Any, sine: Any, cosine: Any, work: Scratch, products: Any = nl.float32
) -> None:
    """Rotate heads that lie on the partitions; the sum is made in fp32 and rounded once to ``dst``'s dtype.

    Args:
        dst, src: SBUF ``[d, …]``, d a multiple of 64, since both halves must begin at a multiple of 32.
        sine, cosine: SBUF, views of the same shape as ``src``; the second half of ``sine`` is negative, since
            it is what that half of ``src`` adds to the other (:func:`negate_half`).
        products: the dtype that each product is rounded to before the sum.
    """
    source, into, sines = as_view(src), as_view(dst), as_view(sine)
    depth, half = source.shape[0], source.shape[0] // 2
    along = work.tile(tuple(source.shape), products)
    across = as_view(work.tile(tuple(source.shape), products))
    nisa.tensor_tensor(dst=along, data1=source.get_view(), data2=as_view(cosine).get_view(), op=nl.multiply)
    for first in range(0, depth, half):
        other = half - first
        nisa.tensor_tensor(
            dst=across.slice(0, other, other + half).get_view(),
            data1=source.slice(0, first, first + half).get_view(),
            data2=sines.slice(0, first, first + half).get_view(),
            op=nl.multiply,
        )
    nisa.tensor_tensor(dst=into.get_view(), data1=along, data2=across.get_view(), op=nl.add)


def negate_half(dst: Any, sine: Any) -> None:
    """The second half of ``dst`` ``[d, …]``, as :func:`rotate_spread` takes it, from the sines ``[d/2, …]``.

    Both in SBUF; ``sine`` may be either half of ``dst``.
    """
    source = as_view(sine)
    half = source.shape[0]
    into = as_view(dst).slice(0, half, 2 * half)
    nisa.tensor_scalar(dst=into.get_view(), data=source.get_view(), op0=nl.multiply, operand0=-1.0)


def rotate_rows(
    dst: Any, src: Any, sine: Any, cosine: Any, sbm: SbufManager, quarters: bool = False, back: bool = False
) -> None:
    """Rotate heads of tokens that lie on the partitions; each product is rounded to ``src``'s dtype.

    Args:
        dst, src: SBUF ``[P ≤ 128, n, …, d]``, d even; ``dst`` may be ``src``.
        sine: SBUF ``[P, …, d/2]``, for all n. cosine: SBUF ``[P, …, d]``.
        quarters: ``sine`` is ``[P, …, d]``, a half for each half of the result. Without it a wider one may be
            given too, of which only the first half is read.
        back: the transposed map, which for halves that are equal turns back.
    """
    rows, into = as_view(src), as_view(dst)
    last = rows.get_dim() - 1
    half = rows.shape[last] // 2
    work = scratch(sbm, name="rotate_rows")
    along = as_view(work.tile(tuple(rows.shape), rows.dtype))
    across = as_view(work.tile(tuple(rows.shape), rows.dtype))
    cosines, sines = _for_all(cosine, rows), _for_all(sine, rows)
    nisa.tensor_tensor(dst=along.get_view(), data1=rows.get_view(), data2=cosines.get_view(), op=nl.multiply)
    for part in range(2):
        first, other = part * half, (1 - part) * half
        used = 0
        if quarters:
            used = other if back else first
        turned = across.slice(last, first, first + half).get_view()
        swapped = rows.slice(last, other, other + half).get_view()
        factors = sines.slice(last, used, used + half).get_view()
        nisa.tensor_tensor(dst=turned, data1=swapped, data2=factors, op=nl.multiply)
    for part in range(2):
        first = part * half
        nisa.tensor_tensor(
            dst=into.slice(last, first, first + half).get_view(),
            data1=along.slice(last, first, first + half).get_view(),
            data2=across.slice(last, first, first + half).get_view(),
            op=nl.subtract if (part == 0) != back else nl.add,
        )
    work.close()


def _for_all(table: Any, rows: TensorView) -> TensorView:
    """``[P, …, w]`` repeated for each of ``rows``' second dimension."""
    return as_view(table).expand_dim(1).broadcast(1, rows.shape[1])
