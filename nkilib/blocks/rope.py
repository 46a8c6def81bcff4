"""Rotary position embedding in its rotate-half form.

With the angle ``a = position·frequency[i]`` for i < d/2 and the halves ``x1, x2`` of a head::

    y[:d/2] = x1·cos a - x2·sin a
    y[d/2:] = x2·cos a + x1·sin a
"""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from ..core.utils.allocator import SbufManager
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


def rotate_spread(dst: Any, src: Any, sine: Any, cosine: Any, work: Scratch) -> None:
    """Rotate heads that lie on the partitions; products and sum in fp32, one rounding to ``dst``'s dtype.

    Args:
        dst, src: SBUF ``[d, …]``, d a multiple of 64, since both halves must begin at a multiple of 32.
        sine, cosine: SBUF fp32, views of the same shape as ``src``.
    """
    source, into = as_view(src), as_view(dst)
    depth, half = source.shape[0], source.shape[0] // 2
    swapped = work.tile(tuple(source.shape), source.dtype)
    nisa.tensor_scalar(
        dst=as_view(swapped).slice(0, 0, half).get_view(),
        data=source.slice(0, half, depth).get_view(),
        op0=nl.multiply,
        operand0=-1.0,
    )
    nisa.tensor_copy(
        dst=as_view(swapped).slice(0, half, depth).get_view(), src=source.slice(0, 0, half).get_view()
    )
    along = work.tile(tuple(source.shape), nl.float32)
    across = work.tile(tuple(source.shape), nl.float32)
    nisa.tensor_tensor(dst=along, data1=source.get_view(), data2=as_view(cosine).get_view(), op=nl.multiply)
    nisa.tensor_tensor(dst=across, data1=swapped, data2=as_view(sine).get_view(), op=nl.multiply)
    nisa.tensor_tensor(dst=into.get_view(), data1=along, data2=across, op=nl.add)


def rotate_rows(dst: Any, src: Any, sine: Any, cosine: Any, sbm: SbufManager) -> None:
    """Rotate heads of tokens that lie on the partitions; each product is rounded to ``src``'s dtype.

    Args:
        dst, src: SBUF ``[T ≤ 128, n, d]``, d even; ``dst`` may be ``src``.
        sine: SBUF ``[T, d/2]``, or wider: only the first half of a head is read. cosine: SBUF ``[T, d]``.
    """
    rows, into = as_view(src), as_view(dst)
    heads, half = rows.shape[1], rows.shape[2] // 2
    work = scratch(sbm, name="rotate_rows")
    along = as_view(work.tile(tuple(rows.shape), rows.dtype))
    across = as_view(work.tile(tuple(rows.shape), rows.dtype))
    cosines = as_view(cosine).expand_dim(1).broadcast(1, heads)
    sines = as_view(sine).slice(1, 0, half).expand_dim(1).broadcast(1, heads).get_view()
    nisa.tensor_tensor(dst=along.get_view(), data1=rows.get_view(), data2=cosines.get_view(), op=nl.multiply)
    for part in range(2):
        first, other = part * half, (1 - part) * half
        turned = across.slice(2, first, first + half).get_view()
        swapped = rows.slice(2, other, other + half).get_view()
        nisa.tensor_tensor(dst=turned, data1=swapped, data2=sines, op=nl.multiply)
    for part in range(2):
        first = part * half
        nisa.tensor_tensor(
            dst=into.slice(2, first, first + half).get_view(),
            data1=along.slice(2, first, first + half).get_view(),
            data2=across.slice(2, first, first + half).get_view(),
            op=nl.subtract if part == 0 else nl.add,
        )
    work.close()
