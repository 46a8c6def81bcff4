"""Output projection for context encoding.

    out[b, s, h] = Σ_{n,d} attention[b, n, d, s] · weight[n·D + d, h] + bias[h]

    attention  HBM [B, N, D, S]      for one b a matrix [N·D, S]; heads need no borders in its tiles
    weight     HBM [N·D, H]          in SBUF [128, ⌈N·D/128⌉, columns], loaded once
    out        HBM [B, S, H]         128 tokens at a time in SBUF [128, columns], stored as whole rows

Attention is loaded with a cast to the weight's dtype, products are summed in fp32 over all heads, scale and
bias are applied to the sum, and the result is rounded once to the attention's dtype. STATIC: see
:mod:`..projection`. Core c computes the columns ``[c·H/lnc, (c+1)·H/lnc)`` for all tokens.
"""

import nki
import nki.isa as nisa
import nki.language as nl

from ....blocks.arguments import assert_classes
from ....blocks.lnc import cores, split
from ....blocks.memory import PARTITIONS, manager, scratch
from ....blocks.projection import spread_columns
from ....blocks.tiles import as_view, load_rows, tiles_of
from ...utils.allocator import SbufManager
from ...utils.common_types import QuantizationType
from ...utils.tensor_view import TensorView
from ..projection import (
    Scales,
    columns_at_a_time,
    load_scales,
    loaded_as,
    project_tokens,
    quantized,
    validate_quantization,
)
from .output_projection_cte_parameters import F_MAX, P_MAX, validate_shapes


@nki.jit
def output_projection_cte(
    attention: nl.ndarray,
    weight: nl.ndarray,
    bias: nl.ndarray | None = None,
    quantization_type: QuantizationType = QuantizationType.NONE,
    input_scales: nl.ndarray | None = None,
    weight_scales: nl.ndarray | None = None,
) -> nl.ndarray:
    """Project attention outputs of all heads back to the hidden size.

    Args:
        attention: HBM ``[B, N, D, S]``, bf16, fp16 or fp32; B·S ≤ 131072, N ≤ 17, D ≤ 128.
        weight: HBM ``[N·D, H]``, bf16, fp16 or fp32, for STATIC fp8 e4m3; H ≤ 20705, divisible by the cores.
        bias: HBM ``[1, H]`` or None.
        quantization_type: NONE, or STATIC with one scale for each operand.
        input_scales, weight_scales: HBM fp32 ``[128, 1]``, all rows equal; for STATIC.

    Returns:
        HBM ``[B, S, H]`` of the attention's dtype.

    Raises AssertionError when a limit or a shape is not met.
    """
    assert_classes(
        tensors=((attention, "attention"), (weight, "weight")),
        optional=((bias, "bias"), (input_scales, "input_scales"), (weight_scales, "weight_scales")),
    )
    here = cores()
    validate_shapes(attention, weight, bias, here.count)
    validate_quantization(quantization_type, weight, weight_scales, input_scales)
    batch, heads, head_dim, sequence = attention.shape
    rows, hidden = heads * head_dim, weight.shape[1]
    out = nl.ndarray((batch, sequence, hidden), dtype=attention.dtype, buffer=nl.shared_hbm)
    flat = as_view(attention.reshape((batch, rows, sequence)))
    static = quantization_type == QuantizationType.STATIC
    sbm = manager()
    work = scratch(sbm, name="output_projection_cte")
    scales = load_scales(weight_scales if static else None, input_scales, work)
    first, share = split(hidden, here)
    step = columns_at_a_time(tiles_of(rows), share, weight.dtype, F_MAX)
    for start in range(first, first + share, step):
        size = min(step, first + share - start)
        _project_columns(as_view(out), flat, as_view(weight), bias, scales, start, size, sbm)
    work.close()
    return out


def _project_columns(
    out: TensorView,
    attention: TensorView,
    weight: TensorView,
    bias: nl.ndarray | None,
    scales: Scales,
    start: int,
    size: int,
    sbm: SbufManager,
) -> None:
    """Columns ``[start, start + size)`` of all tokens, with the weight of these columns on chip."""
    rows = weight.shape[0]
    work = scratch(sbm, name="columns")
    loaded = work.tile((PARTITIONS, tiles_of(rows), size), weight.dtype)
    load_rows(loaded, weight.slice(1, start, start + size))
    added = spread_columns(bias, PARTITIONS, start, start + size, work, sbm)
    for b in range(attention.shape[0]):
        sequence = attention.shape[2]
        for token in range(0, sequence, F_MAX):
            tokens = min(F_MAX, sequence - token)
            source = attention.select(0, b).slice(1, token, token + tokens)
            target = out.select(0, b).slice(0, token, token + tokens).slice(1, start, start + size)
            _project_block(target, source, loaded, added, scales, sbm)
    work.close()


def _project_block(
    out: TensorView,
    attention: TensorView,
    weight: nl.ndarray,
    bias: nl.ndarray | None,
    scales: Scales,
    sbm: SbufManager,
) -> None:
    """Up to 512 tokens: attention HBM ``[N·D, T]`` to out HBM ``[T, columns]``."""
    rows, tokens = attention.shape
    work = scratch(sbm, name="tokens")
    loaded = work.tile((PARTITIONS, tiles_of(rows), tokens), loaded_as(attention.dtype, weight.dtype, scales))
    load_rows(loaded, attention)
    operand = quantized(loaded, rows, scales, weight.dtype, work, sbm)
    for token in range(0, tokens, P_MAX):
        count = min(P_MAX, tokens - token)
        result = work.tile((count, weight.shape[2]), out.dtype)
        project_tokens(result, operand, weight, rows, PARTITIONS, (token, count), bias, scales, sbm)
        nisa.dma_copy(dst=out.slice(0, token, token + count).get_view(), src=result)
    work.close()
