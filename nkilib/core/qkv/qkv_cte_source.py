"""The activations of :mod:`.qkv_cte`: load, residuals, norm, transpose and quantisation."""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from ...blocks.matmul import transpose
from ...blocks.memory import PARTITIONS, Scratch, scratch
from ...blocks.mx import (
    LANES,
    TILE,
    Lanes,
    MxOperand,
    arrange,
    load_lane_rows,
    mx_columns,
    mx_operand,
    mx_tiles,
    neighbours,
    quantize,
    quarters,
)
from ...blocks.norm import layer_norm_rows, rms_norm_rows
from ...blocks.quantize import quantize_static
from ...blocks.tiles import as_view, load_column, load_sum, tiles_of, transpose_by_dma
from ..subkernels.norm_tkg_utils import rows_of
from ..utils.allocator import SbufManager
from ..utils.common_types import NormType
from ..utils.kernel_helpers import is_rms_normalization
from ..utils.tensor_view import TensorView
from .qkv_cte_utils import QKV_CTE_UserInput, compute_dtype, is_mx, is_static

CHUNK = 4096
"""Hidden columns that are quantised at a time: bounds the scratch memory."""


class Source(nl.NKIObject):
    """Where tokens come from, and what becomes of them.

    Attributes:
        summands: HBM ``[B·S, H]``: the input, and the residuals. hidden: H.
        norm, eps, count: of the fused norm; count is the divisor of RMS_NORM's sum.
        gamma, beta: SBUF fp32 ``[128, H/128]``, for MX ``[128, H/512, 4]``; or None.
        dtype: of values between steps. inverse: STATIC, fp32 ``[128, 1]``, else None.
        operand: dtype of matmul operands, fp8 for STATIC.
        lanes: MX, where values lie, else None. by_dma: whether the load transposes.
    """

    summands: list[TensorView]
    hidden: int
    norm: NormType
    eps: Any
    count: int
    gamma: Any
    beta: Any
    dtype: Any
    inverse: Any
    operand: Any
    lanes: Any
    by_dma: bool


def open_source(args: QKV_CTE_UserInput, scales: Any, work: Scratch) -> Source:
    hidden = args.input.shape[2]
    summands = [rows_of(as_view(args.input))]
    if args.fused_residual_add:
        summands.append(rows_of(as_view(args.mlp_prev)))
        summands.append(rows_of(as_view(args.attention_prev)))
    lanes = None
    if is_mx(args):
        lanes = quarters(hidden) if args.is_input_swizzled else neighbours()
    return Source(
        summands=summands,
        hidden=hidden,
        norm=args.fused_norm_type,
        eps=args.norm_eps,
        count=args.hidden_actual or hidden,
        gamma=_norm_row(args.gamma_norm_weights, lanes, work),
        beta=_norm_row(args.layer_norm_bias, lanes, work),
        dtype=compute_dtype(args),
        inverse=scales.inverse if is_static(args) else None,
        operand=args.fused_qkv_weights.dtype if is_static(args) else compute_dtype(args),
        lanes=lanes,
        by_dma=_by_dma(args),
    )


def _by_dma(args: QKV_CTE_UserInput) -> bool:
    """The DMA transposes 16-bit tokens that need nothing else, from NeuronCore-v3 on."""
    plain = args.fused_norm_type == NormType.NO_NORM and not args.fused_residual_add and not is_mx(args)
    able = nisa.get_nc_version() >= nisa.nc_version.gen3 and args.input.dtype != nl.float32
    return plain and able and bool(args.load_input_with_DMA_transpose)


def _norm_row(row: Any, lanes: Any, work: Scratch) -> Any:
    """A row ``[1, H]`` of HBM as fp32 down the partitions, in the operand's layout."""
    if row is None:
        return None
    if lanes is None:
        tile = work.tile((PARTITIONS, tiles_of(row.shape[1])), nl.float32)
        load_column(tile, row)
        return tile
    tile = work.tile((PARTITIONS, row.shape[1] // TILE, LANES), nl.float32)
    load_lane_rows(tile, row)
    return tile


def operand_tile(source: Source, tokens: int, work: Scratch) -> Any:
    """Room for the operand of so many tokens: SBUF ``[128, H/128, T]``, for MX of ``H/512`` tiles."""
    if source.lanes is not None:
        return mx_operand(source.hidden // TILE, even(tokens), nl.float8_e4m3fn_x4, work)
    return work.tile((PARTITIONS, source.hidden // PARTITIONS, tokens), source.operand)


def even(tokens: int) -> int:
    """MX products take columns in pairs."""
    return tokens + tokens % 2


def load_tokens(dst: Any, source: Source, first: int, count: int, sbm: SbufManager) -> None:
    """Tokens ``first`` to ``first + count - 1`` into an operand, 128 at a time."""
    for start in range(0, count, PARTITIONS):
        end = min(start + PARTITIONS, count)
        work = scratch(sbm, name="tokens")
        tokens = (first + start, first + end)
        if source.by_dma:
            rows = source.summands[0].slice(0, tokens[0], tokens[1])
            _fill(as_view(dst).slice(2, start, end), rows, source, sbm)
        else:
            rows = as_view(work.tile((end - start, source.hidden), source.dtype))
            _load_rows(rows, source, tokens)
            _normalize(rows, source, sbm)
            if source.lanes is not None:
                _fill_mx(mx_columns(dst, start, start + even(end - start)), rows, source, sbm)
            else:
                _fill(as_view(dst).slice(2, start, end), rows, source, sbm)
        work.close()


def _load_rows(dst: TensorView, source: Source, tokens: tuple[int, int]) -> None:
    parts = []
    for summand in source.summands:
        parts.append(summand.slice(0, tokens[0], tokens[1]))
    if len(parts) == 1:
        nisa.dma_copy(dst=dst.get_view(), src=parts[0].get_view())
    else:
        load_sum(dst, parts)


def _normalize(rows: TensorView, source: Source, sbm: SbufManager) -> None:
    """In place, without gamma and beta."""
    if is_rms_normalization(source.norm):
        rms_norm_rows(rows, rows, source.eps, sbm, count=source.count)
    elif source.norm == NormType.LAYER_NORM:
        layer_norm_rows(rows, rows, source.eps, sbm)


def _fill(dst: TensorView, rows: TensorView, source: Source, sbm: SbufManager) -> None:
    """``dst[p, i, t]`` of tokens ``[T, H]`` in SBUF, or in HBM if the load transposes; STATIC: quantised."""
    if source.inverse is None:
        _turn(dst, rows, source, 0, source.hidden)
        return
    for start in range(0, source.hidden, CHUNK):
        end = min(start + CHUNK, source.hidden)
        work = scratch(sbm, name="turned")
        part = dst.slice(1, start // PARTITIONS, end // PARTITIONS)
        turned = work.tile(tuple(part.shape), source.dtype)
        _turn(as_view(turned), rows, source, start, end)
        quantize_static(part, turned, source.inverse, sbm)
        work.close()


def _turn(dst: TensorView, rows: TensorView, source: Source, start: int, end: int) -> None:
    """Hidden columns ``start`` to ``end - 1`` onto the partitions."""
    part = rows.slice(1, start, end)
    if source.by_dma:
        transpose_by_dma(dst, part)
        return
    tiles = (start // PARTITIONS, end // PARTITIONS)
    transpose(dst, part, _tiles(source.gamma, tiles), _tiles(source.beta, tiles))


def _tiles(values: Any, tiles: tuple[int, int]) -> Any:
    return None if values is None else as_view(values).slice(1, tiles[0], tiles[1])


def _fill_mx(dst: MxOperand, rows: TensorView, source: Source, sbm: SbufManager) -> None:
    """Tokens ``[T, H]`` quantised; a token of zeros makes their number even."""
    tokens = rows.shape[0]
    lanes: Lanes = source.lanes
    for start in range(0, source.hidden // TILE, CHUNK // TILE):
        end = min(start + CHUNK // TILE, source.hidden // TILE)
        work = scratch(sbm, name="lanes")
        laid = as_view(work.tile((PARTITIONS, end - start, even(tokens), LANES), source.dtype))
        if tokens % 2 == 1:
            nisa.memset(dst=laid.slice(2, tokens, tokens + 1).get_view(), value=0.0)
        tiles = (start, end)
        arrange(
            laid.slice(2, 0, tokens),
            rows,
            lanes,
            sbm,
            _tiles(source.gamma, tiles),
            _tiles(source.beta, tiles),
            start,
        )
        quantize(mx_tiles(dst, start, end), laid)
        work.close()
