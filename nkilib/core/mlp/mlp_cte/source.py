"""The activations of context encoding: load, fused add, norm, and the transpose to a matmul operand."""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from ....blocks.dtypes import is_fp8
from ....blocks.lnc import split
from ....blocks.matmul import transpose
from ....blocks.memory import PARTITIONS, Scratch, scratch
from ....blocks.norm import layer_norm_rows, rms_norm_rows
from ....blocks.tiles import as_view, load_column, tiles_of
from ...subkernels.norm_tkg_utils import rows_of
from ...utils.allocator import SbufManager
from ...utils.tensor_view import TensorView
from ..mlp_parameters import (
    MLPParameters,
    mlpp_has_layer_normalization,
    mlpp_has_quantized_weights,
    mlpp_has_rms_normalization,
    mlpp_input_has_packed_scale,
)
from .plan import Plan

SCALE_BYTES = 4


class Source(nl.NKIObject):
    """Where tokens come from.

    Attributes:
        hidden: HBM ``[T, H]``. added: HBM ``[T, H]`` or None. total: where their sum goes, or None.
        gamma, beta: SBUF fp32 ``[128, H/128]`` or None.
        dtype: of values between steps. operand_dtype: of matmul operands.
    """

    hidden: TensorView
    added: Any
    total: Any
    gamma: Any
    beta: Any
    dtype: Any
    operand_dtype: Any


def open_source(params: MLPParameters, total: Any, plan: Plan, work: Scratch) -> Source:
    hidden, norm = params.hidden_tensor, params.norm_params
    dtype = nl.bfloat16 if is_fp8(hidden.dtype) else hidden.dtype
    return Source(
        hidden=rows_of(as_view(hidden)).slice(1, 0, params.hidden_size),
        added=_rows(params.fused_add_params.fused_add_tensor),
        total=_rows(total),
        gamma=_column(norm.normalization_weights_tensor, work),
        beta=_column(norm.normalization_bias_tensor, work),
        dtype=dtype,
        operand_dtype=hidden.dtype if mlpp_has_quantized_weights(params) else dtype,
    )


def _rows(tensor: Any) -> Any:
    return None if tensor is None else rows_of(as_view(tensor))


def _column(row: Any, work: Scratch) -> Any:
    """A row ``[1, H]`` of HBM down the partitions, as fp32."""
    if row is None:
        return None
    tile = work.tile((PARTITIONS, tiles_of(row.shape[1])), nl.float32)
    load_column(tile, row)
    return tile


def load_source(
    x: nl.ndarray,
    token_scale: Any,
    source: Source,
    tokens: tuple[int, int],
    params: MLPParameters,
    plan: Plan,
    sbm: SbufManager,
) -> None:
    """Tokens ``(start, end)`` into ``x`` ``[128, H/128, end - start]``; ROW: their scales, too."""
    if mlpp_input_has_packed_scale(params):
        _load_token_scales(token_scale, params, tokens)
    for start in range(tokens[0], tokens[1], PARTITIONS):
        end = min(start + PARTITIONS, tokens[1])
        work = scratch(sbm, name="tokens")
        rows = work.tile((end - start, params.hidden_size), source.dtype)
        nisa.dma_copy(dst=rows, src=source.hidden.slice(0, start, end).get_view())
        if source.added is not None:
            _add(rows, source, start, end, plan, work)
        if mlpp_has_rms_normalization(params):
            rms_norm_rows(rows, rows, params.eps, sbm)
        elif mlpp_has_layer_normalization(params):
            layer_norm_rows(rows, rows, params.eps, sbm)
        into = as_view(x).slice(2, start - tokens[0], end - tokens[0])
        transpose(into, rows, source.gamma, source.beta)
        work.close()


def _add(rows: nl.ndarray, source: Source, start: int, end: int, plan: Plan, work: Scratch) -> None:
    """Add, and store the sum; where the cores share I, each stores half of the columns."""
    other = work.tile(tuple(rows.shape), source.added.dtype)
    nisa.dma_copy(dst=other, src=source.added.slice(0, start, end).get_view())
    nisa.tensor_tensor(dst=rows, data1=rows, data2=other, op=nl.add)
    if source.total is None:
        return
    first, size = 0, rows.shape[1]
    if plan.shares_inner:
        first, size = split(size, plan.here)
    target = source.total.slice(0, start, end).slice(1, first, first + size)
    nisa.dma_copy(dst=target.get_view(), src=rows[:, first : first + size])


def _load_token_scales(dst: nl.ndarray, params: MLPParameters, tokens: tuple[int, int]) -> None:
    """The last 4 bytes of token ``start + 128 i + p`` as the fp32 ``dst[p, i]``."""
    width = params.hidden_size + SCALE_BYTES
    columns = dst.shape[1]
    hidden = params.hidden_tensor
    flat = hidden.reshape((hidden.shape[0] * hidden.shape[1], width))
    for start in range(tokens[0], tokens[1], PARTITIONS):
        count = min(PARTITIONS, tokens[1] - start)
        tile = (start - tokens[0]) // PARTITIONS
        src = flat.ap(
            pattern=[[width, count], [1, SCALE_BYTES]],
            offset=start * width + params.hidden_size,
            dtype=nl.uint8,
        )
        into = dst.ap(
            pattern=[[SCALE_BYTES * columns, count], [1, SCALE_BYTES]],
            offset=SCALE_BYTES * tile,
            dtype=nl.uint8,
        )
        nisa.dma_copy(dst=into, src=src)
