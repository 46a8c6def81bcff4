"""RMS and layer normalisation.

Two layouts:

* *token-major*: ``x[T ≤ 128, H]``, a token on each partition. Statistics are ``[T, 1]`` columns, so that
  applying them is one instruction.
* *spread*: ``x[128, T, H1]``, the hidden dimension over partitions and H1 elements on each (any assignment of
  h to (p, j) that x, gamma and beta share; see ``tiles.load_hidden``). Sums over H cross the partitions by a
  matmul with ones, which also puts them onto every partition.

All sums and statistics are fp32, whatever x is; results are rounded once, to ``dst``'s dtype. Operands are
tensors as allocated or TensorViews. ``dst`` may be ``x``.
"""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from ..core.utils.allocator import SbufManager
from ..core.utils.kernel_helpers import div_ceil
from ..core.utils.tensor_view import TensorView
from .matmul import sum_over_partitions
from .memory import PARTITIONS, PSUM_COLUMNS, psum_tile, scratch
from .tiles import as_tile, as_view

ROW_CHUNK = 4096
"""Columns of a token-major tile that are squared at a time: bounds the scratch memory."""
STATS_COLUMNS = 512
"""Most columns of one ``bn_stats``."""
SPREAD_ELEMENTS = 8192
"""fp32 elements of a partition that the spread norms work on at a time: bounds the scratch memory."""


def row_sum_squares(dst: nl.ndarray, x: Any, sbm: SbufManager) -> None:
    """``dst[t] = Σ_h x[t, h]²``: fp32 ``[T, 1]`` of a token-major ``[T, H]``."""
    tokens = as_view(x)
    rows, columns = tokens.shape[0], tokens.shape[1]
    chunks = div_ceil(columns, ROW_CHUNK)
    work = scratch(sbm, name="row_sum_squares")
    sums = work.tile((rows, chunks), nl.float32)
    squares = work.tile((rows, min(columns, ROW_CHUNK)), tokens.dtype)
    for chunk in range(chunks):
        start = chunk * ROW_CHUNK
        end = min(start + ROW_CHUNK, columns)
        nisa.activation_reduce(
            dst=squares[:, 0 : end - start],
            op=nl.square,
            data=tokens.slice(1, start, end).get_view(),
            reduce_op=nl.add,
            reduce_res=sums[:, chunk : chunk + 1],
        )
    nisa.tensor_reduce(dst=dst, op=nl.add, data=sums, axis=1)
    work.close()


def rsqrt_of(dst: nl.ndarray, src: nl.ndarray, scale: float, eps: Any, sbm: SbufManager) -> None:
    """``dst = 1 / √(scale·src + eps)``, fp32 ``[P, N]``, SBUF (``src`` also PSUM).

    eps: a number, or SBUF ``[P, 1]`` that holds it.
    """
    if not isinstance(eps, (int, float)):
        nisa.activation(dst=dst, op=nl.rsqrt, data=src, scale=scale, bias=eps)
        return
    work = scratch(sbm, name="rsqrt_of")
    added = work.tile((dst.shape[0], 1), nl.float32)
    nisa.memset(dst=added, value=eps)
    nisa.activation(dst=dst, op=nl.rsqrt, data=src, scale=scale, bias=added)
    work.close()


def row_rms_factor(dst: nl.ndarray, x: Any, eps: Any, sbm: SbufManager, count: int | None = None) -> None:
    """``dst[t] = 1 / √(Σ_h x² / count + eps)``: fp32 ``[T, 1]``, see rsqrt_of; count is H when None or 0."""
    divisor = count if count else as_view(x).shape[1]
    work = scratch(sbm, name="row_rms_factor")
    squares = work.tile((dst.shape[0], 1), nl.float32)
    row_sum_squares(squares, x, sbm)
    rsqrt_of(dst, squares, 1.0 / divisor, eps, sbm)
    work.close()


def rms_norm_rows(
    dst: Any, x: Any, eps: Any, sbm: SbufManager, gamma: Any = None, count: int | None = None
) -> None:
    """``dst[t, h] = x / √(Σ_h x² / count + eps) · gamma[h]``, token-major ``[T, H]``.

    gamma: SBUF ``[T, H]``, the same on each partition (``tiles.load_broadcast``), or None (apply it later,
    for example with ``matmul.transpose(scale=…)``). count: divisor of the sum, H when None or 0.
    """
    tokens = as_view(x)
    work = scratch(sbm, name="rms_norm_rows")
    factor = work.tile((tokens.shape[0], 1), nl.float32)
    row_rms_factor(factor, tokens, eps, sbm, count)
    if gamma is None:
        nisa.activation(dst=as_tile(dst), op=nl.copy, data=as_tile(x), scale=factor)
    else:
        nisa.scalar_tensor_tensor(
            dst=as_tile(dst),
            data=as_tile(x),
            op0=nl.multiply,
            operand0=factor,
            op1=nl.multiply,
            operand1=as_tile(gamma),
        )
    work.close()


def row_mean_variance(dst: nl.ndarray, x: Any, sbm: SbufManager) -> None:
    """``dst[t] = (mean, population variance)`` over H: fp32 ``[T, 2]`` of a token-major ``[T, H]``."""
    tokens = as_view(x)
    columns = tokens.shape[1]
    chunks = div_ceil(columns, STATS_COLUMNS)
    work = scratch(sbm, name="row_mean_variance")
    stats = work.tile((tokens.shape[0], 6 * chunks), nl.float32)
    for chunk in range(chunks):
        start = chunk * STATS_COLUMNS
        part = tokens.slice(1, start, min(start + STATS_COLUMNS, columns))
        nisa.bn_stats(dst=stats[:, 6 * chunk : 6 * chunk + 6], data=part.get_view())
    nisa.bn_aggr(dst=dst, data=stats)
    work.close()


def layer_norm_rows(dst: Any, x: Any, eps: float, sbm: SbufManager) -> None:
    """``dst[t, h] = (x - mean) / √(variance + eps)``, token-major ``[T, H]``; gamma and beta come later."""
    tokens = as_view(x)
    rows = tokens.shape[0]
    work = scratch(sbm, name="layer_norm_rows")
    stats = work.tile((rows, 2), nl.float32)
    factor = work.tile((rows, 1), nl.float32)
    row_mean_variance(stats, tokens, sbm)
    rsqrt_of(factor, stats[:, 1:2], 1.0, eps, sbm)
    nisa.tensor_scalar(
        dst=as_tile(dst),
        data=as_tile(x),
        op0=nl.subtract,
        operand0=stats[:, 0:1],
        op1=nl.multiply,
        operand1=factor,
    )
    work.close()


def rms_norm_spread(
    dst: Any,
    x: Any,
    gamma: Any,
    eps: float,
    count: int,
    sbm: SbufManager,
    on_heap: bool = False,
    product_dtype: Any = nl.float32,
) -> None:
    """``dst = x·gamma / √(Σ_h x² / count + eps)``, spread ``[128, T, H1]``.

    Args:
        gamma: SBUF ``[128, H1]`` in the layout of x, or ``[128, T, H1]``, or None.
        count: divisor of the sum over all 128·H1 elements.
        on_heap: scratch from the heap side of ``sbm``.
        product_dtype: what x·gamma is rounded to before it is divided.
    """
    work = scratch(sbm, on_heap, "rms_norm_spread")
    added = work.tile((PARTITIONS, 1), nl.float32)
    nisa.memset(dst=added, value=eps)
    rms_norm_spread_with(dst, x, gamma, added, None, count, sbm, on_heap, product_dtype)
    work.close()


def rms_norm_spread_with(
    dst: Any,
    x: Any,
    gamma: Any,
    eps: Any,
    ones: Any,
    count: int,
    sbm: SbufManager,
    on_heap: bool = False,
    product_dtype: Any = nl.float32,
) -> None:
    """:func:`rms_norm_spread` for callers that have its constants in SBUF.

    Args:
        eps: fp32 ``[128, 1]``. ones: fp32 ``[128, 128]`` of ones, or None.
    """
    values = as_view(x)
    tokens = values.shape[1]
    work = scratch(sbm, on_heap, "rms_norm_spread_with")
    squares = work.tile((PARTITIONS, tokens), nl.float32)
    factor = work.tile((PARTITIONS, tokens), nl.float32)
    _sum_squares_of_parts(squares, values, sbm, on_heap)
    sum_over_partitions(factor, squares, sbm, nl.rsqrt, 1.0 / count, as_tile(eps), on_heap, ones)
    _scale_spread(as_view(dst), values, gamma, as_view(factor), product_dtype, sbm, on_heap)
    work.close()


def _token_chunk(values: TensorView) -> int:
    """How many tokens the spread norms take at a time."""
    return max(1, min(values.shape[1], SPREAD_ELEMENTS // values.shape[2]))


def _sum_squares_of_parts(dst: nl.ndarray, values: TensorView, sbm: SbufManager, on_heap: bool) -> None:
    """``dst[p, t] = Σ_j values[p, t, j]²``, fp32."""
    size, width = _token_chunk(values), values.shape[2]
    work = scratch(sbm, on_heap, "sum_squares_of_parts")
    squares = work.tile((PARTITIONS, size, width), nl.float32)
    for start in range(0, values.shape[1], size):
        part = values.slice(1, start, start + size)
        count = part.shape[1]
        nisa.activation(dst=squares[:, 0:count, :], op=nl.square, data=part.get_view())
        nisa.tensor_reduce(dst=dst[:, start : start + count], op=nl.add, data=squares[:, 0:count, :], axis=2)
    work.close()


def _scale_spread(
    dst: TensorView,
    values: TensorView,
    gamma: Any,
    factor: TensorView,
    product_dtype: Any,
    sbm: SbufManager,
    on_heap: bool,
) -> None:
    """``dst[p, t, j] = values·gamma[p, j]·factor[p, t]``, the first product rounded to ``product_dtype``."""
    size, width = _token_chunk(values), values.shape[2]
    work = scratch(sbm, on_heap, "scale_spread")
    product = work.tile((PARTITIONS, size, width), product_dtype)
    for start in range(0, values.shape[1], size):
        part = values.slice(1, start, start + size)
        count = part.shape[1]
        scaled = part.get_view()
        if gamma is not None:
            scaled = product[:, 0:count, :]
            nisa.tensor_tensor(
                dst=scaled, data1=part.get_view(), data2=_along_tokens(gamma, start, count), op=nl.multiply
            )
        nisa.tensor_tensor(
            dst=dst.slice(1, start, start + count).get_view(),
            data1=scaled,
            data2=_along_hidden(factor, start, count, width),
            op=nl.multiply,
        )
    work.close()


def _along_tokens(weights: Any, start: int, count: int) -> nl.ndarray:
    """``[128, H1]`` repeated for ``count`` tokens, or these tokens' part of ``[128, T, H1]``."""
    view = as_view(weights)
    if view.get_dim() == 2:
        return view.expand_dim(1).broadcast(1, count).get_view()
    return view.slice(1, start, start + count).get_view()


def _along_hidden(factor: TensorView, start: int, count: int, width: int) -> nl.ndarray:
    """Tokens' values ``[128, T]``, repeated over the hidden elements of a partition."""
    return factor.slice(1, start, start + count).expand_dim(2).broadcast(2, width).get_view()


def layer_norm_spread(
    dst: Any,
    x: Any,
    gamma: Any,
    beta: Any,
    eps: float,
    sbm: SbufManager,
    on_heap: bool = False,
) -> None:
    """``dst = (x - μ) / √(E[x²] - μ² + eps) · gamma + beta``, spread ``[128, T, H1]``.

    The variance is a difference of moments, taken as 0 where rounding makes it negative.

    Args:
        gamma, beta: SBUF ``[128, H1]`` in the layout of x; beta or both may be None.
    """
    values, into = as_view(x), as_view(dst)
    tokens, width = values.shape[1], values.shape[2]
    size = min(_token_chunk(values), PSUM_COLUMNS // 2)
    work = scratch(sbm, on_heap, "layer_norm_spread")
    shares = work.tile((PARTITIONS, PARTITIONS), nl.float32)
    nisa.memset(dst=shares, value=1.0 / (PARTITIONS * width))
    spare = work.tile((PARTITIONS, size, width), nl.float32)
    for start in range(0, tokens, size):
        end = min(start + size, tokens)
        held, part = spare[:, 0 : end - start, :], values.slice(1, start, end)
        moments = _moments(part, held, shares, sbm, on_heap)
        factor = _deviation_factor(moments, eps, sbm, on_heap)
        _normalize_spread(into.slice(1, start, end), part, held, gamma, beta, moments, factor)
    work.close()


def _moments(
    part: TensorView, spare: nl.ndarray, shares: nl.ndarray, sbm: SbufManager, on_heap: bool
) -> nl.ndarray:
    """Means of ``[128, n, H1]`` over all of it but n, and of its squares: PSUM ``[128, 2, n]``, n ≤ 256.

    ``shares``: fp32 ``[128, 128]`` of 1/H. ``spare``: fp32 of the shape of ``part``.
    """
    tokens = part.shape[1]
    work = scratch(sbm, on_heap, "moments")
    sums = work.tile((PARTITIONS, 2, tokens), nl.float32)
    nisa.tensor_reduce(dst=sums[:, 0, :], op=nl.add, data=part.get_view(), axis=2)
    nisa.activation(dst=spare, op=nl.square, data=part.get_view())
    nisa.tensor_reduce(dst=sums[:, 1, :], op=nl.add, data=spare, axis=2)
    moments = psum_tile((PARTITIONS, 2, tokens))
    nisa.nc_matmul(dst=moments, stationary=shares, moving=sums)
    work.close()
    return moments


def _deviation_factor(moments: nl.ndarray, eps: float, sbm: SbufManager, on_heap: bool) -> nl.ndarray:
    """``1 / √(max(E[x²] - μ², 0) + eps)`` of each token: PSUM ``[128, n]``."""
    tokens = moments.shape[2]
    work = scratch(sbm, on_heap, "deviation_factor")
    variance = work.tile((PARTITIONS, tokens), nl.float32)
    nisa.activation(dst=variance, op=nl.square, data=moments[:, 0, :])
    nisa.tensor_tensor(dst=variance, data1=moments[:, 1, :], data2=variance, op=nl.subtract)
    nisa.tensor_scalar(dst=variance, data=variance, op0=nl.maximum, operand0=0.0, op1=nl.add, operand1=eps)
    factor = psum_tile((PARTITIONS, tokens))
    nisa.activation(dst=factor, op=nl.rsqrt, data=variance)
    work.close()
    return factor


def _normalize_spread(
    into: TensorView,
    part: TensorView,
    held: nl.ndarray,
    gamma: Any,
    beta: Any,
    moments: nl.ndarray,
    factor: nl.ndarray,
) -> None:
    """``into = (part - mean)·factor·gamma + beta`` through fp32, one rounding.

    Means and factors are read out of PSUM, where Vector Engine takes fp32 at twice the rate of SBUF's.
    """
    count, width = part.shape[1], part.shape[2]
    means = _along_hidden(as_view(moments).select(1, 0), 0, count, width)
    factors = _along_hidden(as_view(factor), 0, count, width)
    last = into.get_view()
    nisa.tensor_tensor(dst=held, data1=part.get_view(), data2=means, op=nl.subtract)
    target = last if gamma is None and beta is None else held
    nisa.tensor_tensor(dst=target, data1=held, data2=factors, op=nl.multiply)
    if gamma is not None:
        target = last if beta is None else held
        nisa.tensor_tensor(dst=target, data1=held, data2=_along_tokens(gamma, 0, count), op=nl.multiply)
    if beta is not None:
        nisa.tensor_tensor(dst=last, data1=held, data2=_along_tokens(beta, 0, count), op=nl.add)
