"""The three projections of context encoding, and the quantisation between them."""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from ....blocks.activation import activate
from ....blocks.lnc import exchange
from ....blocks.matmul import transpose
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
from ....blocks.quantize import invert, quantize_rows, quantize_static
from ....blocks.tiles import as_tile, as_view, store_rows, tiles_of
from ...utils.allocator import SbufManager
from ...utils.tensor_view import TensorView
from ..mlp_parameters import MLPParameters
from .plan import Plan


class Weights(nl.NKIObject):
    """This core's weights: HBM ``[K, N]``, or SBUF ``[128, ⌈K/128⌉, N]``."""

    gate: TensorView
    up: TensorView
    down: TensorView


class Scales(nl.NKIObject):
    """Scales of the products; None without.

    Attributes:
        gate, up, down: STATIC, fp32 SBUF ``[128, 1]``, of weights times activations.
        inverse: STATIC, ``1 / down_in_scale``, fp32 SBUF ``[128, 1]``.
        gate_row, up_row, down_row: ROW, HBM ``[1, N]``.
        tokens, middle: ROW, of x and of m, fp32 SBUF ``[128, tiles of a block]``; written for each block.
    """

    gate: Any = None
    up: Any = None
    down: Any = None
    inverse: Any = None
    gate_row: Any = None
    up_row: Any = None
    down_row: Any = None
    tokens: Any = None
    middle: Any = None


def load_scales(params: MLPParameters, plan: Plan, work: Scratch) -> Scales:
    quant = params.quant_params
    if quant.is_quant_static():
        entry, middle = _loaded(quant.gate_up_in_scale, work), _loaded(quant.down_in_scale, work)
        inverse = work.tile((PARTITIONS, 1), nl.float32)
        invert(inverse, middle)
        return Scales(
            gate=_product(quant.gate_w_scale, entry, work),
            up=_product(quant.up_w_scale, entry, work),
            down=_product(quant.down_w_scale, middle, work),
            inverse=inverse,
        )
    if quant.is_quant_row():
        shape = (PARTITIONS, tiles_of(plan.block))
        start, end = plan.inner_first, plan.inner_first + plan.inner
        return Scales(
            gate_row=as_view(quant.gate_w_scale).slice(0, 0, 1).slice(1, start, end),
            up_row=as_view(quant.up_w_scale).slice(0, 0, 1).slice(1, start, end),
            down_row=as_view(quant.down_w_scale).slice(0, 0, 1),
            tokens=work.tile(shape, nl.float32),
            middle=work.tile(shape, nl.float32),
        )
    return Scales()


def _loaded(scale: Any, work: Scratch) -> nl.ndarray:
    tile = work.tile((PARTITIONS, 1), nl.float32)
    nisa.dma_copy(dst=tile, src=as_tile(scale))
    return tile


def _product(scale: Any, other: nl.ndarray, work: Scratch) -> nl.ndarray:
    tile = _loaded(scale, work)
    nisa.tensor_tensor(dst=tile, data1=tile, data2=other, op=nl.multiply)
    return tile


def _of_piece(column: Any, by_token: Any, piece: Piece) -> Any:
    """What multiplies a piece, ``[tokens, 1]``: one scale for all tokens, or each token's; or None."""
    first, count = piece.tokens
    if by_token is not None:
        tile = first // PARTITIONS
        return by_token[0:count, tile : tile + 1]
    if column is not None:
        return column[0:count, :]
    return None


def _at(tile: nl.ndarray, piece: Piece, shift: int = 0) -> TensorView:
    """Where a piece belongs in ``[128, token tiles, columns]``; ``shift`` is its first column there."""
    first, count = piece.tokens
    start, end, _ = piece.columns
    row = as_view(tile).select(1, first // PARTITIONS).slice(0, 0, count)
    return row.slice(1, shift + start, shift + end)


def _rows(tile: Any, piece: Piece) -> Any:
    """A row that is on all partitions, as large as a piece; None stays None."""
    if tile is None:
        return None
    return tile[0 : piece.tokens[1], piece.columns[0] : piece.columns[1]]


def _sum(
    operand: nl.ndarray, weight: TensorView, rows: int, columns: tuple[int, int], sbm: SbufManager
) -> Sums:
    """``operandᵀ · weight`` for columns ``(start, end)``, in PSUM."""
    sums = row_sums(operand.shape[2], columns[1] - columns[0])
    if weight.is_sbuf():
        add_products(sums, operand, weight.slice(2, columns[0], columns[1]), rows)
    else:
        accumulate(sums, operand, weight.slice(1, columns[0], columns[1]), sbm)
    return sums


# -- gate and up ------------------------------------------------------------------------------------------


def project_gate_up(
    middle: nl.ndarray,
    x: nl.ndarray,
    weights: Weights,
    scales: Scales,
    params: MLPParameters,
    plan: Plan,
    sbm: SbufManager,
) -> None:
    """``middle[t, i] = act(x·Wg)·(x·Wu)``: ``[128, token tiles, I]`` from ``[128, H/128, tokens]``."""
    tokens = x.shape[2]
    step = columns_at_once(tokens)
    for start in range(0, plan.inner, step):
        columns = (start, min(start + step, plan.inner))
        work = scratch(sbm, name="gate_up")
        gate = work.tile((PARTITIONS, tiles_of(tokens), columns[1] - start), middle.dtype)
        _project_gate(gate, x, weights, scales, params, columns, sbm)
        _project_up(middle, gate, x, weights, scales, params, columns, sbm)
        work.close()


def _project_gate(
    gate: nl.ndarray,
    x: nl.ndarray,
    weights: Weights,
    scales: Scales,
    params: MLPParameters,
    columns: tuple[int, int],
    sbm: SbufManager,
) -> None:
    work = scratch(sbm, name="gate")
    bias = params.bias_params.gate_proj_bias_tensor
    factors = spread_columns(scales.gate_row, PARTITIONS, columns[0], columns[1], work, sbm)
    shift = spread_columns(bias, PARTITIONS, columns[0], columns[1], work, sbm)
    sums = _sum(x, weights.gate, params.hidden_size, columns, sbm)
    for piece in sums.pieces:
        into, scale = _at(gate, piece), _of_piece(scales.gate, scales.tokens, piece)
        if factors is None and shift is None:
            activate(
                into.get_view(), piece.product, params.activation_fn, scale=1.0 if scale is None else scale
            )
        else:
            affine(into, piece.product, sbm, scale, _rows(factors, piece), _rows(shift, piece))
            activate(into.get_view(), into.get_view(), params.activation_fn)
    work.close()


def _project_up(
    middle: nl.ndarray,
    gate: nl.ndarray,
    x: nl.ndarray,
    weights: Weights,
    scales: Scales,
    params: MLPParameters,
    columns: tuple[int, int],
    sbm: SbufManager,
) -> None:
    work = scratch(sbm, name="up")
    bias = params.bias_params.up_proj_bias_tensor
    factors = spread_columns(scales.up_row, PARTITIONS, columns[0], columns[1], work, sbm)
    shift = spread_columns(bias, PARTITIONS, columns[0], columns[1], work, sbm)
    sums = _sum(x, weights.up, params.hidden_size, columns, sbm)
    for piece in sums.pieces:
        into, other = _at(middle, piece, columns[0]), _at(gate, piece)
        scale = _of_piece(scales.up, scales.tokens, piece)
        if factors is None and shift is None:
            affine(into, piece.product, sbm, scale, other)
        else:
            affine(into, piece.product, sbm, scale, _rows(factors, piece), _rows(shift, piece))
            affine(into, into, sbm, factors=other)
    work.close()


# -- quantisation and down --------------------------------------------------------------------------------


def quantize(
    turned: nl.ndarray, middle: nl.ndarray, scales: Scales, params: MLPParameters, sbm: SbufManager
) -> None:
    """``middle`` ``[128, token tiles, I]`` as a matmul operand ``[128, ⌈I/128⌉, tokens]``, in its dtype."""
    tokens = turned.shape[2]
    for start in range(0, tokens, PARTITIONS):
        count = min(PARTITIONS, tokens - start)
        tile = start // PARTITIONS
        rows = as_view(middle).select(1, tile).slice(0, 0, count)
        work = scratch(sbm, name="quantize")
        if params.quant_params.is_quant():
            rows = _quantized(rows, turned.dtype, scales, tile, params, work, sbm)
        transpose(as_view(turned).slice(2, start, start + count), rows)
        work.close()


def _quantized(
    rows: TensorView,
    dtype: Any,
    scales: Scales,
    tile: int,
    params: MLPParameters,
    work: Scratch,
    sbm: SbufManager,
) -> TensorView:
    """The fp8 values of a token tile, in a dtype that TensorE transposes."""
    count, columns = rows.shape
    small = work.tile((count, columns), dtype)
    if params.quant_params.is_quant_row():
        bound = params.quant_params.clipping_bound if params.quant_params.has_clipping_bound() else None
        quantize_rows(small, scales.middle[0:count, tile : tile + 1], rows, sbm, bound)
    else:
        quantize_static(small, rows, scales.inverse[0:count, :], sbm)
    wide = work.tile((count, columns), rows.dtype)
    nisa.tensor_copy(dst=wide, src=small)
    return as_view(wide)


def project_down(
    output: TensorView,
    turned: nl.ndarray,
    weights: Weights,
    scales: Scales,
    dtype: Any,
    params: MLPParameters,
    plan: Plan,
    sbm: SbufManager,
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
        _project_down_columns(result, turned, weights, scales, params, mine + start, plan, sbm)
        if plan.shares_inner:
            other = work.tile(tuple(result.shape), dtype)
            theirs = width - mine + start
            _project_down_columns(other, turned, weights, scales, params, theirs, plan, sbm)
            _add_exchanged(result, other, tokens, plan, sbm)
        store_rows(output.slice(1, mine + start, mine + start + size), result)
        work.close()


def _project_down_columns(
    result: nl.ndarray,
    turned: nl.ndarray,
    weights: Weights,
    scales: Scales,
    params: MLPParameters,
    start: int,
    plan: Plan,
    sbm: SbufManager,
) -> None:
    """As many columns as ``result`` ``[128, token tiles, columns]`` has, from ``start`` on."""
    end = start + result.shape[2]
    work = scratch(sbm, name="down_columns")
    bias = params.bias_params.down_proj_bias_tensor
    factors = spread_columns(scales.down_row, PARTITIONS, start, end, work, sbm)
    shift = spread_columns(bias, PARTITIONS, start, end, work, sbm)
    sums = _sum(turned, weights.down, plan.inner, (start, end), sbm)
    for piece in sums.pieces:
        scale = _of_piece(scales.down, scales.middle, piece)
        affine(_at(result, piece), piece.product, sbm, scale, _rows(factors, piece), _rows(shift, piece))
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
