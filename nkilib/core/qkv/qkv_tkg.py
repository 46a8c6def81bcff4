"""QKV projection for token generation: few tokens, everything but weights in SBUF.

    x = hidden (+ attn_prev + mlp_prev)                 rounded to the hidden state's dtype
    x = norm(x)
    y[t, i] = Σ_h x[t, h] · W[h, i] + bias[i]           fp32 sums, rounded once

    x    SBUF [128, T, H/128/lnc]     hidden column c·H/lnc + p·H1s + j on partition p, H1s = H/128/lnc
    W    HBM  [H, I]                  read once, rows p·H1s + j of each core's half against (p, j)
    y    PSUM [T, ≤ 512]              partial sums of the cores, exchanged and added in fp32

Core c sums over the hidden columns ``[c·H/lnc, (c + 1)·H/lnc)`` for all of I. With a result in HBM each core
stores half of the columns; one in SBUF is complete on both. A norm needs all columns: cores normalise half of
the tokens each where :mod:`..subkernels.rmsnorm_tkg` and :mod:`..subkernels.layernorm_tkg` do. The sum with
the residuals goes to HBM from where it is made: each core stores its half of the tokens, or of the columns.
STATIC quantisation: see :mod:`.products`.
"""

from typing import Any

import nki.language as nl

from ... import insides
from ...blocks.arguments import assert_classes, assert_integers
from ...blocks.lnc import Cores, cores, sharing, split
from ...blocks.memory import PARTITIONS, Scratch, manager, scratch
from ...blocks.quantize import quantize_static
from ...blocks.tiles import as_view, load_hidden, load_hidden_sum, store_hidden
from ..subkernels import layernorm_tkg as layernorm
from ..subkernels import rmsnorm_tkg as rmsnorm
from ..subkernels.norm_tkg_utils import own_tokens, rows_of
from ..utils.allocator import SbufManager
from ..utils.common_types import NormType, QKVOutputLayout, QuantizationType
from ..utils.kernel_helpers import is_hbm_buffer
from ..utils.logging import get_logger
from ..utils.tensor_view import TensorView
from .products import Heads, load_scales, validate_quantization, validate_scales
from .qkv_tkg_checks import (
    Norm,
    threshold,
    tokens_of,
    validate_add,
    validate_norm,
    validate_operands,
    validate_output,
    width_of,
)
from .qkv_tkg_output import Projection, project

__getattr__ = insides.named(__name__)

P_MAX = 128
F_MAX = 512
NUM_PSUM_BANKS = 8
I_TILE_SIZE = F_MAX
I_BLOCK_SIZE = NUM_PSUM_BANKS * I_TILE_SIZE
H_BLOCK_SIZE = 2048
NUM_TILES_PER_H_BLOCK = H_BLOCK_SIZE // P_MAX
logger = get_logger("qkv_tkg")


class Residuals(nl.NKIObject):
    """What is added to the hidden state, HBM ``[B, S, H]``, and where the sum goes."""

    attention: nl.ndarray
    mlp: nl.ndarray
    total: nl.ndarray


def qkv_tkg(
    hidden: nl.ndarray,
    qkv_w: nl.ndarray,
    norm_w: nl.ndarray | None = None,
    fused_add: bool = False,
    mlp_prev: nl.ndarray | None = None,
    attn_prev: nl.ndarray | None = None,
    d_head: int | None = None,
    num_kv_heads: int | None = None,
    num_q_heads: int | None = None,
    output_layout: QKVOutputLayout = QKVOutputLayout.BSD,
    eps: float = 1e-6,
    norm_type: NormType = NormType.RMS_NORM,
    quantization_type: QuantizationType = QuantizationType.NONE,
    qkv_w_scale: nl.ndarray | None = None,
    qkv_in_scale: nl.ndarray | None = None,
    output_in_sbuf: bool = False,
    qkv_bias: nl.ndarray | None = None,
    norm_bias: nl.ndarray | None = None,
    hidden_actual: int | None = None,
    sbm: SbufManager | None = None,
) -> nl.ndarray | tuple[nl.ndarray, nl.ndarray]:
    """Project up to 128 tokens to queries, keys and values.

    Args:
        hidden: HBM ``[B, S, H]``, or SBUF ``[128, B·S, H/128]`` with one shard of H for each core.
        qkv_w: HBM ``[H, I]``, for STATIC fp8. qkv_bias: HBM ``[1, I]``.
        fused_add, mlp_prev, attn_prev: add both, HBM ``[B, S, H]``, before the norm.
        norm_type: NO_NORM, RMS_NORM or LAYER_NORM; norm_w, norm_bias: HBM ``[1, H]``, the second for
            LAYER_NORM; eps is added to the mean square or variance; hidden_actual: divisor of RMS_NORM's sum.
        d_head, num_kv_heads, num_q_heads: d for NBSd, all three for STATIC.
        output_layout: BSD or NBSd, for a result in HBM.
        quantization_type: NONE, or STATIC with HBM fp32 qkv_w_scale ``[128, 3]`` (queries, keys, values) and
            qkv_in_scale ``[128, 1]``; one row of each will do.
        output_in_sbuf: leave the result in SBUF, for I ≤ 4096.
        sbm: a manager that leaves addresses to the compiler.

    Returns:
        HBM ``[B, S, I]`` or ``[I/d, B, S, d]``, or SBUF ``[B·S, I]`` on each core. With ``fused_add`` a pair,
        whose second is the sum, HBM ``[B, S, H]``.

    Raises AssertionError when a limit, a shape or a combination is not met.
    """
    assert_classes(
        tensors=((hidden, "hidden"), (qkv_w, "qkv_w")),
        optional=(
            (norm_w, "norm_w"), (mlp_prev, "mlp_prev"), (attn_prev, "attn_prev"),
            (qkv_w_scale, "qkv_w_scale"), (qkv_in_scale, "qkv_in_scale"), (qkv_bias, "qkv_bias"),
            (norm_bias, "norm_bias"),
        ),
        flags=((fused_add, "fused_add"), (output_in_sbuf, "output_in_sbuf")),
    )  # fmt: skip
    assert_integers(((d_head, "d_head"), (num_q_heads, "num_q_heads"), (num_kv_heads, "num_kv_heads")), 0)
    here = cores()
    sbm = manager(sbm)
    norm = Norm(kind=norm_type, gamma=norm_w, beta=norm_bias, eps=eps, hidden_actual=hidden_actual)
    validate_operands(hidden, qkv_w, qkv_bias, here, sbm)
    validate_output(hidden, qkv_w, output_layout, d_head, output_in_sbuf)
    validate_norm(norm, qkv_w.shape[0])
    static = quantization_type == QuantizationType.STATIC
    validate_quantization(quantization_type, [QuantizationType.NONE, QuantizationType.STATIC])
    if static:
        validate_scales(qkv_w_scale, qkv_in_scale, [d_head, num_q_heads, num_kv_heads], qkv_w.shape[1])
    residuals = None
    if fused_add:
        validate_add(hidden, attn_prev, mlp_prev, norm, here)
        total = nl.ndarray(hidden.shape, dtype=hidden.dtype, buffer=nl.shared_hbm)
        residuals = Residuals(attention=attn_prev, mlp=mlp_prev, total=total)
    work = scratch(sbm, name="qkv_tkg")
    scales = None
    if static:
        heads = Heads(queries=num_q_heads, keys=num_kv_heads, depth=d_head)
        scales = load_scales(qkv_w_scale, qkv_in_scale, heads, work)
    x = _activations(hidden, residuals, norm, here, work, sbm)
    start, size = split(qkv_w.shape[0], here)
    projection = Projection(
        x=_operand(x, scales, qkv_w.dtype, work, sbm),
        weight=as_view(qkv_w).slice(0, start, start + size),
        bias=qkv_bias if here.index == 0 else None,
        scales=scales,
        dtype=hidden.dtype,
    )
    depth = 0
    if d_head and output_layout == QKVOutputLayout.NBSd and not output_in_sbuf:
        depth = d_head
    output = project(hidden, projection, depth, output_in_sbuf, here, sbm)
    work.close()
    if residuals is None:
        return output
    return output, residuals.total


def _activations(
    hidden: nl.ndarray, residuals: Any, norm: Norm, here: Cores, work: Scratch, sbm: SbufManager
) -> TensorView:
    """This core's columns of x, SBUF ``[128, T, H/128/lnc]``."""
    tokens, width = tokens_of(hidden), width_of(hidden)
    start, size = split(width // PARTITIONS, here)
    if norm.kind == NormType.NO_NORM:
        if not is_hbm_buffer(hidden):
            return as_view(hidden).slice(2, start, start + size)
        own = as_view(work.tile((PARTITIONS, tokens, size), hidden.dtype))
        _load_own_columns(own, hidden, residuals, here)
        return own
    normed = work.tile((PARTITIONS, tokens, width // PARTITIONS), hidden.dtype)
    source = hidden
    if residuals is not None:
        _load_sum(as_view(normed), hidden, residuals, norm, here)
        source = normed
    _normalize(normed, source, norm, sbm)
    return as_view(normed).slice(2, start, start + size)


def _load_own_columns(own: TensorView, hidden: nl.ndarray, residuals: Any, here: Cores) -> None:
    """HBM into ``[128, T, H/128/lnc]``; stores this core's columns of the sum."""
    start, size = split(hidden.shape[2], here)
    if residuals is None:
        load_hidden(own, _columns(hidden, start, size))
        return
    load_hidden_sum(own, _summands(hidden, residuals, (0, tokens_of(hidden)), (start, size)))
    store_hidden(_columns(residuals.total, start, size), own)


def _columns(tensor: nl.ndarray, start: int, size: int) -> TensorView:
    return rows_of(as_view(tensor)).slice(1, start, start + size)


def _summands(
    hidden: nl.ndarray, residuals: Residuals, rows: tuple[int, int], columns: tuple[int, int]
) -> list[TensorView]:
    """Tokens and columns, each (start, size), of what is added up."""
    found = []
    for tensor in [hidden, residuals.attention, residuals.mlp]:
        found.append(_columns(tensor, columns[0], columns[1]).slice(0, rows[0], rows[0] + rows[1]))
    return found


def _load_sum(whole: TensorView, hidden: nl.ndarray, residuals: Residuals, norm: Norm, here: Cores) -> None:
    """The tokens that this core normalises of ``[128, T, H/128]``; stores its part of the sum."""
    tokens, width = tokens_of(hidden), hidden.shape[2]
    share = sharing(tokens, here, threshold(norm))
    own = own_tokens(whole, share)
    rows = split(tokens, share)
    load_hidden_sum(own, _summands(hidden, residuals, rows, (0, width)), here.count)
    if share.count == here.count:
        store_hidden(_rows(residuals.total, rows), own, here.count)
        return
    start, size = split(width // PARTITIONS, here)
    store_hidden(
        _columns(residuals.total, start * PARTITIONS, size * PARTITIONS), whole.slice(2, start, start + size)
    )


def _rows(tensor: nl.ndarray, rows: tuple[int, int]) -> TensorView:
    """Tokens (start, size) of HBM ``[B, S, H]``."""
    return rows_of(as_view(tensor)).slice(0, rows[0], rows[0] + rows[1])


def _normalize(dst: nl.ndarray, source: nl.ndarray, norm: Norm, sbm: SbufManager) -> None:
    """``[128, T, H/128]`` from HBM or SBUF, possibly from itself."""
    if norm.kind == NormType.RMS_NORM:
        rmsnorm.rmsnorm_tkg(source, norm.gamma, dst, norm.eps, norm.hidden_actual, sbm=sbm)
    else:
        layernorm.layernorm_tkg(source, norm.gamma, dst, norm.beta, norm.eps, sbm=sbm)


def _operand(x: TensorView, scales: Any, dtype: Any, work: Scratch, sbm: SbufManager) -> TensorView:
    """``[128, T, H1s]`` as the matmul takes it, ``[128, H1s, T]``; STATIC: in fp8."""
    if scales is None:
        return x.permute((0, 2, 1))
    small = work.tile(tuple(x.shape), dtype)
    quantize_static(small, x, scales.inverse, sbm)
    return as_view(small).permute((0, 2, 1))
