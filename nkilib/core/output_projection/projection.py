"""What both output projections share: ``y[t, h] = Σ_r attention[r, t] · weight[r, h]``, r = (head, d).

Attention and weight are contraction-major operands ``[depth, tiles, …]`` of :mod:`nkilib.blocks.matmul`: row
``r`` is (partition ``r % depth``, tile ``r // depth``). With STATIC quantisation both are fp8 and

    y = Σ fp8(clip(attention / input_scale, ±240)) · weight · (weight_scale · input_scale) + bias
"""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from ...blocks.dtypes import FLOATS, assert_dtype, is_fp8
from ...blocks.matmul import contract
from ...blocks.memory import PARTITIONS, PSUM_COLUMNS, Scratch, psum_tile
from ...blocks.projection import affine
from ...blocks.quantize import invert, quantize_static
from ...blocks.tiles import as_tile, as_view
from ..utils.allocator import SbufManager, sizeinbytes
from ..utils.common_types import QuantizationType
from ..utils.interleave_copy import interleave_copy
from ..utils.kernel_assert import assert_shape, kernel_assert

WEIGHT_BYTES = 96 * 1024
"""Bytes of a partition that one block of weight columns may take."""


class Scales(nl.NKIObject):
    """STATIC quantisation on chip, fp32 ``[128, 1]`` each; None without it.

    Attributes:
        inverse: of the input scale. product: weight scale times input scale.
    """

    inverse: Any = None
    product: Any = None


def load_scales(weight_scale: Any, input_scale: Any, work: Scratch) -> Scales:
    """The two scales of a STATIC projection, HBM fp32 ``[128, 1]``; both None without quantisation."""
    if weight_scale is None:
        return Scales(inverse=None, product=None)
    inverse = work.tile((PARTITIONS, 1), nl.float32)
    product = work.tile((PARTITIONS, 1), nl.float32)
    nisa.dma_copy(dst=inverse, src=input_scale)
    nisa.dma_copy(dst=product, src=weight_scale)
    nisa.tensor_tensor(dst=product, data1=product, data2=inverse, op=nl.multiply)
    invert(inverse, inverse)
    return Scales(inverse=inverse, product=product)


def quantized(operand: Any, rows: int, scales: Scales, dtype: Any, work: Scratch, sbm: SbufManager) -> Any:
    """A contraction-major operand ``[depth, tiles, M]`` as the matmul takes it: fp8 under STATIC."""
    if scales.inverse is None:
        return operand
    depth = operand.shape[0]
    whole = rows // depth
    small = work.tile(tuple(operand.shape), dtype)
    _quantize_part(small, operand, (depth, whole), 0, scales, sbm)
    if rows > whole * depth:
        _quantize_part(small, operand, (rows - whole * depth, 1), whole, scales, sbm)
    return small


def _quantize_part(
    dst: Any, src: Any, part: tuple[int, int], first: int, scales: Scales, sbm: SbufManager
) -> None:
    """``part = (partitions, tiles)`` from tile ``first`` on, in one pass."""
    partitions, tiles = part
    if tiles == 0:
        return
    target = as_view(dst).slice(0, 0, partitions).slice(1, first, first + tiles)
    source = as_view(src).slice(0, 0, partitions).slice(1, first, first + tiles)
    quantize_static(target, source, as_view(scales.inverse).slice(0, 0, partitions).get_view(), sbm)


def loaded_as(attention: Any, weight: Any, scales: Scales) -> Any:
    """The type that the attention is loaded in: the weight's, unless that has 8 bits; then its own.

    That is not float32 beside 8 bits, with which it does not mix, but bfloat16; STATIC quantises it.
    """
    if scales.inverse is not None:
        return attention
    if is_fp8(weight):
        return nl.bfloat16 if attention == nl.float32 else attention
    return weight


def project_tokens(
    dst: Any,
    attention: Any,
    weight: Any,
    rows: int,
    depth: int,
    columns: tuple[int, int],
    bias: Any,
    scales: Scales,
    sbm: SbufManager,
) -> None:
    """``dst[t, h] = rnd(Σ_r attention[r, t] · weight[r, h] · scale + bias[h])`` for up to 128 tokens.

    Args:
        dst: SBUF ``[T ≤ 128, H]``. attention: contraction-major, tokens are its ``columns`` (start, size).
        weight: contraction-major ``[depth, tiles, H]``. rows, depth: of the contraction, see ``contract``.
        bias: SBUF ``[≥ T, H]`` or None.
    """
    into = as_view(dst)
    tokens, width = into.shape[0], into.shape[1]
    paired = is_fp8(attention.dtype) and is_fp8(weight.dtype)
    for start in range(0, width, PSUM_COLUMNS):
        end = min(start + PSUM_COLUMNS, width)
        product = psum_tile((tokens, end - start))
        contract(product, attention, weight, rows, columns, (start, end - start), depth, paired)
        part = None if bias is None else as_view(bias).slice(0, 0, tokens).slice(1, start, end).get_view()
        leave(into.slice(1, start, end), product, part, scales, start // PSUM_COLUMNS, sbm)


def leave(dst: Any, product: nl.ndarray, bias: Any, scales: Scales, index: int, sbm: SbufManager) -> None:
    """``dst = product · scale + bias``, out of PSUM with one rounding; without a bias the engines alternate.

    bias: SBUF of the product's shape, or None.
    """
    target = as_tile(dst)
    scale = None
    if scales.product is not None:
        scale = as_view(scales.product).slice(0, 0, product.shape[0])
    if bias is None:
        interleave_copy(target, product, scale, index=index)
    else:
        affine(target, product, sbm, None if scale is None else scale.get_view(), shift=bias)


def columns_at_a_time(tiles: int, width: int, dtype: Any, unit: int) -> int:
    """How many of ``width`` weight columns are on chip at a time: a multiple of ``unit``, or all."""
    fitting = WEIGHT_BYTES // (tiles * sizeinbytes(dtype)) // unit * unit
    return min(width, max(unit, fitting))


def validate_operands(rows: int, weight: Any, bias: Any) -> None:
    """Weight ``[N·D, H]`` and bias ``[1, H]``."""
    kernel_assert(weight.shape[0] == rows, f"weight must have N·D = {rows} rows, it has {weight.shape[0]}")
    if bias is not None:
        assert_shape(bias, (1, weight.shape[1]), "bias")
        assert_dtype(bias, FLOATS, "bias")


def validate_quantization(kind: QuantizationType, weight: Any, weight_scale: Any, input_scale: Any) -> None:
    """NONE, or STATIC with fp8 weights and both scales."""
    known = kind == QuantizationType.NONE or kind == QuantizationType.STATIC
    kernel_assert(known, f"quantization_type must be NONE or STATIC, it is {kind}")
    if kind == QuantizationType.NONE:
        return
    kernel_assert(is_fp8(weight.dtype), f"STATIC needs an fp8 weight, its dtype is {weight.dtype}")
    given = weight_scale is not None and input_scale is not None
    kernel_assert(given, "STATIC needs a weight scale and an input scale")
    assert_shape(weight_scale, (PARTITIONS, 1), "the weight scale")
    assert_shape(input_scale, (PARTITIONS, 1), "the input scale")
    assert_dtype(weight_scale, FLOATS, "the weight scale")
    assert_dtype(input_scale, FLOATS, "the input scale")
