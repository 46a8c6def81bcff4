"""Output projection for token generation.

    y[b·S + s, h] = Σ_{n,d} attention[d, b, n, s] · weight[n·D + d, h] + bias[h]

    attention  HBM or SBUF [D, B, N, S]    packed to [g·D, N/g, B·S]: g heads share the partitions of a tile
    weight     HBM [N·D, H]                in SBUF [g·D, N/g, columns], loaded once

Four forms of the result, T = B·S tokens:

    HBM   [T, H]                           tokens on partitions, 128 at a time
    HBM   [128, lnc, H2, T]                TRANSPOSE_OUT, H2 = H/lnc/128; h = c·(H/lnc) + p·H2 + j
    SBUF  [T, H/lnc], [128, H2, T]         OUT_IN_SB: the columns of this core

Products are summed in fp32 over all heads, scale and bias are applied to the sum, and the result is rounded
once to the attention's dtype. STATIC: see :mod:`.projection`. Core c computes the c-th H/lnc columns.
"""

import nki
import nki.isa as nisa
import nki.language as nl

from ... import insides
from ...blocks.arguments import assert_classes, assert_layout
from ...blocks.dtypes import FLOATS, FLOATS_AND_FP8, assert_dtype, is_fp8
from ...blocks.lnc import Cores, cores
from ...blocks.matmul import contract
from ...blocks.memory import PARTITIONS, PSUM_COLUMNS, Scratch, manager, psum_tile, scratch
from ...blocks.projection import spread_columns
from ...blocks.tiles import as_view, load_hidden_row
from ..utils.allocator import SbufManager
from ..utils.common_types import QuantizationType
from ..utils.kernel_assert import kernel_assert
from ..utils.kernel_helpers import is_hbm_buffer
from ..utils.tensor_view import TensorView
from .output_projection_utils import calculate_head_packing
from .projection import (
    Scales,
    columns_at_a_time,
    leave,
    load_scales,
    loaded_as,
    project_tokens,
    quantized,
    validate_operands,
    validate_quantization,
)

__getattr__ = insides.named(__name__)

P_MAX = 128
F_MAX = 512
PARTITION_UNIT = 32
"""Partitions at which an engine can start: heads are packed when D is a multiple of it."""

MAX_VALIDATED_N_TIMES_H_SIZE = 163840
MAX_VALIDATED_N_TIMES_H_SIZE_FP32 = MAX_VALIDATED_N_TIMES_H_SIZE // 2


class Operands(nl.NKIObject):
    """What the products are made of.

    Attributes:
        attention: SBUF ``[depth, tiles, T]``. weight: HBM ``[tiles·depth, H/lnc]``, the columns of this core.
        bias: HBM ``[1, H/lnc]`` or None. scales: see :class:`Scales`.
    """

    attention: nl.ndarray
    weight: TensorView
    bias: TensorView
    scales: Scales


@nki.jit
def output_projection_tkg(
    attention: nl.ndarray,
    weight: nl.ndarray,
    bias: nl.ndarray | None = None,
    quantization_type: QuantizationType = QuantizationType.NONE,
    weight_scale: nl.ndarray | None = None,
    input_scale: nl.ndarray | None = None,
    TRANSPOSE_OUT: bool = False,
    OUT_IN_SB: bool = False,
) -> nl.ndarray:
    """Project attention outputs of all heads back to the hidden size.

    Args:
        attention: HBM or SBUF ``[D, B, N, S]``, D ≤ 128; bfloat16, float16 or float32, as the bias.
        weight: HBM ``[N·D, H]``, for STATIC fp8; H divisible by the cores.
        bias: HBM ``[1, H]`` or None.
        quantization_type: NONE, or STATIC with one scale for each operand.
        weight_scale, input_scale: HBM fp32 ``[128, 1]``, all rows equal; for STATIC.
        TRANSPOSE_OUT: hidden on partitions; needs B·S ≤ 512 and H divisible by 128·lnc.
        OUT_IN_SB: leave the columns of this core in SBUF; needs B·S ≤ 128 unless transposed.

    Returns:
        One of the four forms above, of the attention's dtype.

    Raises AssertionError when a limit or a shape is not met.
    """
    assert_classes(
        tensors=((attention, "attention"), (weight, "weight")),
        optional=((bias, "bias"), (weight_scale, "weight_scale"), (input_scale, "input_scale")),
        flags=((TRANSPOSE_OUT, "TRANSPOSE_OUT"), (OUT_IN_SB, "OUT_IN_SB")),
    )
    here = cores()
    _validate(attention, weight, bias, TRANSPOSE_OUT, OUT_IN_SB, here)
    validate_quantization(quantization_type, weight, weight_scale, input_scale)
    static = quantization_type == QuantizationType.STATIC
    sbm = manager()
    work = scratch(sbm, name="output_projection_tkg")
    share = weight.shape[1] // here.count
    result = _result(attention, share, here, TRANSPOSE_OUT, OUT_IN_SB)
    scales = load_scales(weight_scale if static else None, input_scale, work)
    operands = _operands(attention, weight, bias, scales, here, work, sbm)
    mine = as_view(result)
    if TRANSPOSE_OUT:
        if not OUT_IN_SB:
            mine = mine.select(1, here.index)
        _project_transposed(mine, operands, sbm)
    else:
        if not OUT_IN_SB:
            mine = mine.slice(1, here.index * share, (here.index + 1) * share)
        _project(mine, operands, sbm)
    work.close()
    return result


def _result(attention: nl.ndarray, share: int, here: Cores, transposed: bool, in_sbuf: bool) -> nl.ndarray:
    """The tensor to fill; ``share`` is H/lnc."""
    tokens = attention.shape[1] * attention.shape[3]
    if in_sbuf:
        shape = (P_MAX, share // P_MAX, tokens) if transposed else (tokens, share)
        return nl.ndarray(shape, dtype=attention.dtype, buffer=nl.sbuf)
    whole = (P_MAX, here.count, share // P_MAX, tokens) if transposed else (tokens, share * here.count)
    return nl.ndarray(whole, dtype=attention.dtype, buffer=nl.shared_hbm, name="output_projection_tkg_out")


def _operands(
    attention: nl.ndarray,
    weight: nl.ndarray,
    bias: nl.ndarray | None,
    scales: Scales,
    here: Cores,
    work: Scratch,
    sbm: SbufManager,
) -> Operands:
    head_dim, _, heads, _ = attention.shape
    depth = head_dim
    if head_dim % PARTITION_UNIT == 0:
        _, depth, _ = calculate_head_packing(heads, head_dim, P_MAX)
    share = weight.shape[1] // here.count
    mine = as_view(weight).slice(1, here.index * share, (here.index + 1) * share)
    added = None
    if bias is not None:
        added = as_view(bias).slice(1, here.index * share, (here.index + 1) * share)
    packed = _packed(attention, depth, loaded_as(attention.dtype, weight.dtype, scales), work)
    rows = heads * head_dim
    return Operands(
        attention=quantized(packed, rows, scales, weight.dtype, work, sbm),
        weight=mine,
        bias=added,
        scales=scales,
    )


def _packed(attention: nl.ndarray, depth: int, dtype: type, work: Scratch) -> nl.ndarray:
    """``[D, B, N, S]`` as ``[depth, N·D/depth, B·S]``: head ``t·g + j`` in tile t, partition ``j·D``."""
    head_dim, batch, heads, active = attention.shape
    group = depth // head_dim
    packed = work.tile((depth, heads // group, batch * active), dtype)
    source, target = as_view(attention), as_view(packed).reshape_dim(2, (batch, active))
    for j in range(group):
        into = target.slice(0, j * head_dim, (j + 1) * head_dim).get_view()
        each = source.slice(2, j, heads, group).permute((0, 2, 1, 3)).get_view()
        if is_hbm_buffer(attention):
            nisa.dma_copy(dst=into, src=each)
        else:
            nisa.tensor_copy(dst=into, src=each)
    return packed


def _project(out: TensorView, operands: Operands, sbm: SbufManager) -> None:
    """``out[t, h]``, HBM or SBUF ``[T, H/lnc]``, by blocks of weight columns."""
    depth, tiles, tokens = operands.attention.shape
    width = out.shape[1]
    step = columns_at_a_time(tiles, width, operands.weight.dtype, F_MAX)
    for start in range(0, width, step):
        size = min(step, width - start)
        work = scratch(sbm, name="columns")
        loaded = work.tile((depth, tiles, size), operands.weight.dtype)
        columns = operands.weight.slice(1, start, start + size)
        nisa.dma_copy(dst=loaded, src=columns.reshape_dim(0, (tiles, depth)).permute((1, 0, 2)).get_view())
        added = spread_columns(operands.bias, min(P_MAX, tokens), start, start + size, work, sbm)
        for token in range(0, tokens, P_MAX):
            count = min(P_MAX, tokens - token)
            part = out.slice(0, token, token + count).slice(1, start, start + size)
            _project_rows(part, operands, loaded, added, (token, count), sbm)
        work.close()


def _project_rows(
    out: TensorView,
    operands: Operands,
    weight: nl.ndarray,
    bias: nl.ndarray | None,
    tokens: tuple[int, int],
    sbm: SbufManager,
) -> None:
    """Up to 128 tokens ``(start, count)``, into SBUF in place, into HBM through a tile."""
    depth, tiles, _ = operands.attention.shape
    work = scratch(sbm, name="rows")
    result = out if out.is_sbuf() else as_view(work.tile((tokens[1], out.shape[1]), out.dtype))
    project_tokens(
        result, operands.attention, weight, tiles * depth, depth, tokens, bias, operands.scales, sbm
    )
    if not out.is_sbuf():
        nisa.dma_copy(dst=out.get_view(), src=result.get_view())
    work.close()


def _project_transposed(out: TensorView, operands: Operands, sbm: SbufManager) -> None:
    """``out[p, j, t]``, HBM or SBUF ``[128, H2, T]``, hidden ``p·H2 + j``, by blocks of j."""
    tiles, tokens = operands.attention.shape[1], operands.attention.shape[2]
    width = out.shape[1]
    step = columns_at_a_time(tiles * P_MAX, width, operands.weight.dtype, 1)
    spread = operands.weight.reshape_dim(1, (P_MAX, width))
    work = scratch(sbm, name="transposed")
    added = None
    if operands.bias is not None:
        added = work.tile((PARTITIONS, width), operands.bias.dtype)
        load_hidden_row(added, operands.bias)
    result = out if out.is_sbuf() else as_view(work.tile((P_MAX, width, tokens), out.dtype))
    for start in range(0, width, step):
        end = min(start + step, width)
        part = result.slice(1, start, end)
        biases = None if added is None else as_view(added).slice(1, start, end)
        _project_planes(part, operands, spread.slice(2, start, end), biases, sbm)
    if not out.is_sbuf():
        nisa.dma_copy(dst=out.get_view(), src=result.get_view())
    work.close()


def _project_planes(
    out: TensorView, operands: Operands, weight: TensorView, biases: TensorView | None, sbm: SbufManager
) -> None:
    """``out[p, j, t]`` in SBUF for the weight columns ``[N·D, 128, J]``.

    The sums of each j are a plane; as many as a PSUM bank holds leave it in one instruction.
    """
    depth, tiles, tokens = operands.attention.shape
    planes = out.shape[1]
    work = scratch(sbm, name="planes")
    loaded = work.tile((depth, tiles, P_MAX, planes), weight.dtype)
    nisa.dma_copy(dst=loaded, src=weight.reshape_dim(0, (tiles, depth)).permute((1, 0, 2, 3)).get_view())
    paired = is_fp8(operands.attention.dtype) and is_fp8(weight.dtype)
    columns = as_view(loaded)
    group = PSUM_COLUMNS // tokens
    for first in range(0, planes, group):
        last = min(first + group, planes)
        bank = psum_tile((P_MAX, last - first, tokens))
        for j in range(first, last):
            product, column = bank[:, j - first, :], columns.select(3, j)
            contract(product, column, operands.attention, tiles * depth, depth=depth, double_row=paired)
        bias = None
        if biases is not None:
            bias = biases.slice(1, first, last).expand_dim(2).broadcast(2, tokens).get_view()
        leave(out.slice(1, first, last), bank, bias, operands.scales, first // group, sbm)
    work.close()


def _validate(
    attention: nl.ndarray,
    weight: nl.ndarray,
    bias: nl.ndarray | None,
    transposed: bool,
    in_sbuf: bool,
    here: Cores,
) -> None:
    kernel_assert(len(attention.shape) == 4, f"attention must be [D, B, N, S], it is {attention.shape}")
    head_dim, batch, heads, active = attention.shape
    assert_layout(weight, 2, "[N·D, H]", "weight")
    hidden, tokens = weight.shape[1], batch * active
    kernel_assert(head_dim <= P_MAX, f"D must be at most {P_MAX}, it is {head_dim}")
    kernel_assert(hidden % here.count == 0, f"H = {hidden} must divide by the {here.count} cores")
    validate_operands(heads * head_dim, weight, bias)
    assert_dtype(attention, FLOATS, "attention")
    assert_dtype(weight, FLOATS_AND_FP8, "weight")
    if in_sbuf and not transposed:
        kernel_assert(tokens <= P_MAX, f"OUT_IN_SB takes at most {P_MAX} tokens, B·S is {tokens}")
    if not transposed:
        return
    unit = P_MAX * here.count
    kernel_assert(hidden % unit == 0, f"TRANSPOSE_OUT needs H in multiples of {unit}, it is {hidden}")
    kernel_assert(
        tokens <= PSUM_COLUMNS, f"TRANSPOSE_OUT takes at most {PSUM_COLUMNS} tokens, B·S is {tokens}"
    )
    most = MAX_VALIDATED_N_TIMES_H_SIZE
    if weight.dtype == nl.float32:
        most = MAX_VALIDATED_N_TIMES_H_SIZE_FP32
    kernel_assert(
        heads * hidden <= most, f"TRANSPOSE_OUT needs N·H of at most {most}, it is {heads * hidden}"
    )
