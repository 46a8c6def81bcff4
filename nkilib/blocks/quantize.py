"""Static and row quantisation to fp8 (e4m3, largest value 240; e5m2, 57344), and its scales.

A scale ``s`` is a *de*quantisation scale: ``x ≈ q·s``. Tiles are ``[P, F]`` in SBUF, as
allocated or as TensorViews.
"""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from ..core.utils.allocator import SbufManager
from ..core.utils.kernel_assert import kernel_assert
from ..core.utils.kernel_helpers import div_ceil, get_max_positive_value_for_dtype
from .memory import scratch
from .tiles import as_tile, as_view

ROW_CHUNK = 4096
"""Columns whose largest value is found at a time: bounds the scratch memory."""
MIN_SCALE = 1e-6
"""Row scales are at least this, so that a row of zeros divides by something."""


def quantize_static(dst: Any, src: Any, inverse_scale: Any, sbm: SbufManager, product: Any = None) -> None:
    """``dst = fp8(clip(src·inverse_scale, ±largest))``.

    Args:
        dst: SBUF ``[P, F]``, fp8. src: SBUF or PSUM ``[P, …]`` of F elements a partition.
        inverse_scale: SBUF fp32 ``[P, 1]`` (see :func:`invert`), or a number.
        product: dtype that the product is rounded to; ``src``'s if None.
    """
    largest = largest_of(dst.dtype)
    work = scratch(sbm, name="quantize_static")
    scaled = work.tile(tuple(src.shape), src.dtype if product is None else product)
    nisa.tensor_scalar(
        dst=scaled,
        data=as_tile(src),
        op0=nl.multiply,
        operand0=inverse_scale,
        op1=nl.minimum,
        operand1=largest,
    )
    nisa.tensor_scalar(dst=as_tile(dst), data=scaled, op0=nl.maximum, operand0=-largest)
    work.close()


def quantize_rows(
    dst: Any, scale: nl.ndarray, src: Any, sbm: SbufManager, bound: float | None = None
) -> None:
    """Quantise each partition's row with a scale of its own.

        m = max|src|;  with a bound: m = min(m, bound), src = clip(src, ±bound)
        scale = max(m · (1 / 240), 1e-6);  dst = fp8(src · (1 / scale))

    Args:
        dst: SBUF ``[P, F]``, fp8 (240 is the largest value of its dtype).
        scale: SBUF fp32 ``[P, 1]``, receives the dequantisation scales.
        src: SBUF ``[P, F]``; clipped in place when there is a bound.
        bound: positive, or None.
    """
    largest = largest_of(dst.dtype)
    rows = dst.shape[0]
    work = scratch(sbm, name="quantize_rows")
    top = work.tile((rows, 1), nl.float32)
    inverse = work.tile((rows, 1), nl.float32)
    row_abs_max(top, src, sbm)
    if bound is not None:
        clip(src, src, bound)
        nisa.tensor_scalar(dst=top, data=top, op0=nl.minimum, operand0=bound)
    nisa.tensor_scalar(
        dst=scale, data=top, op0=nl.multiply, operand0=1.0 / largest, op1=nl.maximum, operand1=MIN_SCALE
    )
    nisa.reciprocal(dst=inverse, data=scale)
    # On Scalar Engine: Vector Engine has the searches for the largest values.
    nisa.activation(dst=as_tile(dst), op=nl.copy, data=as_tile(src), scale=inverse)
    work.close()


def row_abs_max(dst: nl.ndarray, src: Any, sbm: SbufManager) -> None:
    """``dst[p] = max_f |src[p, f]|``: fp32 ``[P, 1]`` of ``[P, F]``."""
    tile = as_view(src)
    rows, columns = tile.shape[0], tile.shape[1]
    chunks = div_ceil(columns, ROW_CHUNK)
    work = scratch(sbm, name="row_abs_max")
    tops = work.tile((rows, chunks), nl.float32)
    sizes = work.tile((rows, min(columns, ROW_CHUNK)), tile.dtype)
    for chunk in range(chunks):
        start = chunk * ROW_CHUNK
        end = min(start + ROW_CHUNK, columns)
        nisa.tensor_scalar_reduce(
            dst=sizes[:, 0 : end - start],
            data=tile.slice(1, start, end).get_view(),
            op0=nl.abs,
            operand0=0.0,
            reduce_op=nl.maximum,
            reduce_res=tops[:, chunk : chunk + 1],
        )
    nisa.tensor_reduce(dst=dst, op=nl.maximum, data=tops, axis=1)
    work.close()


def largest_of(dtype: Any) -> float:
    """The largest finite value of an fp8 dtype; fails its check for another one."""
    largest = get_max_positive_value_for_dtype(dtype)
    kernel_assert(largest is not None, f"quantisation is to float8_e4m3 or float8_e5m2, not to {dtype}")
    return float(largest or 0.0)


def clip(dst: Any, src: Any, bound: float) -> None:
    """``dst = max(min(src, bound), -bound)``; ``dst`` may be ``src``."""
    nisa.tensor_scalar(
        dst=as_tile(dst), data=as_tile(src), op0=nl.minimum, operand0=bound, op1=nl.maximum, operand1=-bound
    )


def invert(dst: nl.ndarray, scale: nl.ndarray) -> None:
    """``dst = 1 / scale``, fp32 ``[P, …]``."""
    nisa.reciprocal(dst=dst, data=scale)
