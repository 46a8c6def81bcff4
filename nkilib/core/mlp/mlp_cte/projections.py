"""The three projections of context encoding, and the quantisation between them."""

from typing import Any

import nki.language as nl

from ....blocks.activation import activate
from ....blocks.lnc import exchange
from ....blocks.matmul import copy_on, transpose
from ....blocks.memory import PARTITIONS, Scratch, scratch
from ....blocks.projection import (
    Piece,
    Sums,
    accumulate,
    add_products,
    affine,
    columns_at_once,
    row_sums,
    spread_columns,
)
from ....blocks.quantize import quantize_rows, quantize_static
from ....blocks.tiles import as_view, store_rows, tiles_of
from ...utils.allocator import SbufManager
from ...utils.common_types import ActFnType
from ...utils.tensor_view import TensorView
from ..mlp_parameters import MLPParameters
from .layers import Layers, Linear
from .plan import Plan


def project_gate_up(
    middle: nl.ndarray, x: nl.ndarray, layers: Layers, function: ActFnType, sbm: SbufManager
) -> None:
    """``middle[t, i] = f(x·Wg)·(x·Wu)``: ``[128, token tiles, I]`` from ``[128, H/128, tokens]``."""
    tokens, inner = x.shape[2], middle.shape[2]
    step = columns_at_once(tokens)
    for start in range(0, inner, step):
        columns = (start, min(start + step, inner))
        work = scratch(sbm, name="gate_up")
        gate = work.tile((PARTITIONS, tiles_of(tokens), columns[1] - start), middle.dtype)
        project(as_view(gate), x, layers.gate, columns, sbm, function=function)
        into = as_view(middle).slice(2, columns[0], columns[1])
        project(into, x, layers.up, columns, sbm, factors=gate)
        work.close()


def project(
    dst: TensorView,
    operand: nl.ndarray,
    linear: Linear,
    columns: tuple[int, int],
    sbm: SbufManager,
    function: ActFnType | None = None,
    factors: Any = None,
) -> None:
    """``dst = f(operandᵀ·W·scales + bias) · factors``, the columns ``(start, end)`` of W.

    Args:
        dst: SBUF ``[128, token tiles, columns]``. operand: SBUF ``[128, tiles, tokens]``.
        function, factors: an activation, or SBUF of the shape of dst; at most one of them.
    """
    work = scratch(sbm, name="project")
    row_scale = spread_columns(linear.row_scale, PARTITIONS, columns[0], columns[1], work, sbm)
    bias = spread_columns(linear.bias, PARTITIONS, columns[0], columns[1], work, sbm)
    sums = _sum(operand, linear, columns, sbm)
    for piece in sums.pieces:
        into, scale = _at(dst, piece), _scale_of(linear, piece)
        other = None if factors is None else _at(as_view(factors), piece)
        if row_scale is not None or bias is not None:
            affine(into, piece.product, sbm, scale, _row_of(row_scale, piece), _row_of(bias, piece))
            if other is not None:
                affine(into, into, sbm, factors=other)
            if function is not None:
                activate(into.get_view(), into.get_view(), function)
        elif function is not None:
            activate(into.get_view(), piece.product, function, scale=1.0 if scale is None else scale)
        else:
            affine(into, piece.product, sbm, scale, other)
    work.close()


def _sum(operand: nl.ndarray, linear: Linear, columns: tuple[int, int], sbm: SbufManager) -> Sums:
    """``operandᵀ·W`` in PSUM."""
    weight = linear.weight
    sums = row_sums(operand.shape[2], columns[1] - columns[0])
    if weight.is_sbuf():
        add_products(sums, operand, weight.slice(2, columns[0], columns[1]), linear.rows)
    else:
        accumulate(sums, operand, weight.slice(1, columns[0], columns[1]), sbm)
    return sums


def _at(tile: TensorView, piece: Piece) -> TensorView:
    """Where a piece belongs in ``[128, token tiles, columns]``."""
    first, count = piece.tokens
    row = tile.select(1, first // PARTITIONS).slice(0, 0, count)
    return row.slice(1, piece.columns[0], piece.columns[1])


def _scale_of(linear: Linear, piece: Piece) -> Any:
    """What multiplies a piece, ``[tokens, 1]``: each token's scale, or one for all; or None."""
    first, count = piece.tokens
    if linear.token_scale is not None:
        tile = first // PARTITIONS
        return linear.token_scale[0:count, tile : tile + 1]
    if linear.scale is not None:
        return linear.scale[0:count, :]
    return None


def _row_of(tile: Any, piece: Piece) -> Any:
    """A row that is on all partitions, as large as a piece; None stays None."""
    if tile is None:
        return None
    return tile[0 : piece.tokens[1], piece.columns[0] : piece.columns[1]]


# -- quantisation and down --------------------------------------------------------------------------------


def quantize(
    turned: nl.ndarray, middle: nl.ndarray, layers: Layers, params: MLPParameters, sbm: SbufManager
) -> None:
    """``middle`` ``[128, token tiles, I]`` as a matmul operand ``[128, ⌈I/128⌉, tokens]``, in its dtype."""
    tokens = turned.shape[2]
    for start in range(0, tokens, PARTITIONS):
        count = min(PARTITIONS, tokens - start)
        tile = start // PARTITIONS
        rows = as_view(middle).select(1, tile).slice(0, 0, count)
        work = scratch(sbm, name="quantize")
        if params.quant_params.is_quant():
            rows = _quantized(rows, turned.dtype, layers, tile, params, work, sbm)
        # What is quantised keeps Vector Engine busy with scales.
        into = as_view(turned).slice(2, start, start + count)
        transpose(into, rows, on_scalar=params.quant_params.is_quant())
        work.close()


def _quantized(
    rows: TensorView,
    dtype: Any,
    layers: Layers,
    tile: int,
    params: MLPParameters,
    work: Scratch,
    sbm: SbufManager,
) -> TensorView:
    """The fp8 values of a token tile, in a dtype that TensorE transposes."""
    count, columns = rows.shape
    small = work.tile((count, columns), dtype)
    quant = params.quant_params
    if quant.is_quant_row():
        bound = quant.clipping_bound if quant.has_clipping_bound() else None
        quantize_rows(small, layers.down.token_scale[0:count, tile : tile + 1], rows, sbm, bound)
    else:
        quantize_static(small, rows, layers.inverse[0:count, :], sbm)
    wide = work.tile((count, columns), rows.dtype)
    copy_on(wide, small, True)
    return as_view(wide)


def project_down(
    output: TensorView, turned: nl.ndarray, layers: Layers, dtype: Any, plan: Plan, sbm: SbufManager
) -> None:
    """``output`` HBM ``[tokens, H]`` from ``turned`` ``[128, ⌈I/128⌉, tokens]``; ``dtype`` is that of y."""
    tokens, width = output.shape
    mine = 0
    if plan.shares_inner:
        width = width // 2
        mine = plan.here.index * width
    step = columns_at_once(tokens)
    for start in range(0, width, step):
        size = min(step, width - start)
        work = scratch(sbm, name="down")
        result = work.tile((PARTITIONS, tiles_of(tokens), size), dtype)
        first = mine + start
        project(as_view(result), turned, layers.down, (first, first + size), sbm)
        if plan.shares_inner:
            other = work.tile(tuple(result.shape), dtype)
            theirs = width - mine + start
            project(as_view(other), turned, layers.down, (theirs, theirs + size), sbm)
            _add_exchanged(result, other, tokens, plan, sbm)
        store_rows(output.slice(1, first, first + size), result)
        work.close()


def _add_exchanged(result: nl.ndarray, other: nl.ndarray, tokens: int, plan: Plan, sbm: SbufManager) -> None:
    """Send ``other``, the other core's columns, and add what that core sends to ``result``."""
    work = scratch(sbm, name="exchanged")
    received = work.tile(tuple(other.shape), other.dtype)
    for start in range(0, tokens, PARTITIONS):
        count, tile = min(PARTITIONS, tokens - start), start // PARTITIONS
        theirs = as_view(received).select(1, tile).slice(0, 0, count)
        exchange(theirs, as_view(other).select(1, tile).slice(0, 0, count), plan.here)
        into = as_view(result).select(1, tile).slice(0, 0, count)
        affine(into, into, sbm, shift=theirs)
    work.close()
