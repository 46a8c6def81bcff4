"""The attention block of a decoder layer for token generation, in one launch.

    x    = RMSNorm(X)                             if enabled
    y    = x·W_qkv (+ bias)                       [B·S, (heads + 2)·d], queries, one key head, one value head
    Q, K = heads of y                             norm, rotation, norm with factors, each if enabled
    K, V = fp8(clip(K·k_scale, ±240)), …          with both scales
    A    = attention(softmax_scale·Q, K, V, caches)
    caches get K and V, after they were read      if enabled
    out  = A·W_out (+ bias)                       if there is one

Composed of :func:`.qkv_tkg`, :func:`.RoPE_sbuf`, :func:`.attention_tkg` and :func:`.output_projection_tkg`,
which say how products are rounded and what two cores divide; between them all stays in SBUF. Two cores both
process all heads; the first one writes values into the cache, the second one keys.
"""

from typing import Any

import nki
import nki.isa as nisa
import nki.language as nl

from ...blocks.arguments import (
    assert_classes,
    assert_integers,
    assert_layout,
    assert_not_negative,
    assert_number,
)
from ...blocks.lnc import Cores, barrier, cores
from ...blocks.matmul import transpose
from ...blocks.memory import Scratch, manager, scratch
from ...blocks.quantize import quantize_static
from ...blocks.tiles import as_view, load_broadcast
from ...core.attention.attention_tkg import AttnTKGConfig, attention_tkg
from ...core.output_projection.output_projection_tkg import output_projection_tkg
from ...core.qkv.qkv_tkg import qkv_tkg
from ...core.utils.allocator import SbufManager
from ...core.utils.common_types import NormType, QuantizationType
from ...core.utils.kernel_assert import kernel_assert
from .attention_block_tkg_cache import Rows, as_rows, row_numbers, write_columns, write_rows
from .attention_block_tkg_checks import (
    Sizes,
    check_norms,
    check_rotation,
    check_scales,
    check_types,
    check_update,
    sizes_of,
)
from .attention_block_tkg_heads import HeadSteps, by_sequence, load_rotation, process

DEFAULT_EPS = 1e-3


class New(nl.NKIObject):
    """New tokens on chip.

    Attributes:
        queries: ``[d, heads, T]``. keys: ``[d, T]``. values: ``[T, d]``.
    """

    queries: nl.ndarray
    keys: nl.ndarray
    values: Any


@nki.jit
def attention_block_tkg(
    X: nl.ndarray,
    *,
    X_hidden_dim_actual: int | None,
    rmsnorm_X_enabled: bool,
    rmsnorm_X_eps: float | None,
    rmsnorm_X_gamma: nl.ndarray | None,
    W_qkv: nl.ndarray,
    bias_qkv: nl.ndarray | None,
    quantization_type_qkv: QuantizationType,
    weight_dequant_scale_qkv: nl.ndarray | None,
    input_dequant_scale_qkv: nl.ndarray | None,
    rmsnorm_QK_pre_rope_enabled: bool,
    rmsnorm_QK_pre_rope_eps: float,
    cos: nl.ndarray | None,
    sin: nl.ndarray | None,
    rope_contiguous_layout: bool,
    rmsnorm_QK_post_rope_enabled: bool,
    rmsnorm_QK_post_rope_eps: float,
    rmsnorm_QK_post_rope_W_Q: nl.ndarray | None,
    rmsnorm_QK_post_rope_W_K: nl.ndarray | None,
    K_cache_transposed: bool,
    active_blocks_table: nl.ndarray | None,
    K_cache: nl.ndarray,
    V_cache: nl.ndarray,
    attention_mask: nl.ndarray,
    sink: nl.ndarray | None,
    softmax_scale: float | None = None,
    update_cache: bool,
    kv_cache_update_idx: nl.ndarray | None,
    k_scale: nl.ndarray | None = None,
    v_scale: nl.ndarray | None = None,
    W_out: nl.ndarray | None,
    bias_out: nl.ndarray | None,
    quantization_type_out: QuantizationType,
    weight_dequant_scale_out: nl.ndarray | None,
    input_dequant_scale_out: nl.ndarray | None,
    transposed_out: bool,
    out_in_sb: bool,
    sbm: SbufManager | None = None,
    skip_attention: bool = False,
) -> tuple[nl.ndarray, nl.ndarray, nl.ndarray]:
    """Run the block for up to 128 tokens ``T = B·S``.

    Args:
        X: HBM ``[B, S, H]``, or SBUF ``[128, T, H/128]`` with one shard of H for each core. It and
            the biases are bfloat16, float16 or float32, weights and caches may also be fp8.
        X_hidden_dim_actual: divisor of the norm's mean when X is padded with zeros; H if None.
        rmsnorm_X_enabled, rmsnorm_X_eps, rmsnorm_X_gamma: the norm of X; eps 1e-3 if None, HBM ``[1, H]``.
        W_qkv, bias_qkv: HBM ``[H, (heads + 2)·d]`` and ``[1, …]`` or None.
        quantization_type_qkv: NONE, or STATIC with HBM fp32 weight_dequant_scale_qkv ``[128 or 1, 3]``
            (queries, keys, values) and input_dequant_scale_qkv ``[128 or 1, 1]``.
        rmsnorm_QK_pre_rope_enabled, …_eps: a norm of each head of queries and keys, for d = 128.
        cos, sin: HBM ``[d/2, B, S]``; either None: no rotation.
        rope_contiguous_layout: the halves of a head are the members of its pairs; otherwise neighbours are.
        rmsnorm_QK_post_rope_enabled, …_eps, …_W_Q, …_W_K: a second norm, factors HBM ``[1, d]`` or None.
        K_cache_transposed: a flat K_cache is ``[B, d, S_max]``; otherwise ``[B, S_max, d]``, as V_cache.
        active_blocks_table: HBM uint32 ``[B, blocks of a sequence]``, with caches ``[blocks, length, d]``.
        K_cache, V_cache: HBM; an axis of one head may stand where it belongs.
        attention_mask: HBM uint8 ``[S_ctx, B, heads, S]`` in :func:`.attention_tkg`'s order, 1 to attend.
            The last S rows are the new tokens.
        sink: HBM ``[heads, 1]`` or None. softmax_scale: of the scores; ``1/√d`` if None.
        update_cache, kv_cache_update_idx: write new keys and values to S rows from HBM uint32 ``[B, 1]`` on;
            in blocks, counted over all of them, a number that is too large leaves a sequence out.
        k_scale, v_scale: HBM ``[1 or 128, 1]``, one number; both given: keys and values are quantised.
        W_out, bias_out: HBM ``[heads·d, H]`` and ``[1, H]``, or None.
        quantization_type_out, weight_dequant_scale_out, input_dequant_scale_out: NONE, or STATIC with HBM
            fp32 ``[128, 1]``.
        transposed_out: ``[128, cores, H/cores/128, T]`` instead of ``[T, H]``; needs W_out.
        out_in_sb: leave the result in SBUF; with W_out this core's columns of it.
        sbm: a manager that leaves addresses to the compiler.
        skip_attention: Q takes the place of A, unscaled.

    Returns:
        ``(out, keys, values)``. Without W_out: ``[B, heads, d, S]``, in SBUF ``[d, B·heads·S]``. Caches if
        they are written, otherwise the new keys ``[d, B, S]`` and values ``[B, 1, S, d]``.

    Raises AssertionError when a limit, a shape or a combination is not met.
    """
    assert_classes(
        tensors=(
            (X, "X"), (W_qkv, "W_qkv"), (K_cache, "K_cache"), (V_cache, "V_cache"),
            (attention_mask, "attention_mask"),
        ),
        optional=(
            (rmsnorm_X_gamma, "rmsnorm_X_gamma"), (bias_qkv, "bias_qkv"),
            (weight_dequant_scale_qkv, "weight_dequant_scale_qkv"),
            (input_dequant_scale_qkv, "input_dequant_scale_qkv"), (cos, "cos"), (sin, "sin"),
            (rmsnorm_QK_post_rope_W_Q, "rmsnorm_QK_post_rope_W_Q"),
            (rmsnorm_QK_post_rope_W_K, "rmsnorm_QK_post_rope_W_K"),
            (active_blocks_table, "active_blocks_table"), (sink, "sink"),
            (kv_cache_update_idx, "kv_cache_update_idx"), (k_scale, "k_scale"), (v_scale, "v_scale"),
            (W_out, "W_out"), (bias_out, "bias_out"), (weight_dequant_scale_out, "weight_dequant_scale_out"),
            (input_dequant_scale_out, "input_dequant_scale_out"),
        ),
        flags=(
            (rmsnorm_X_enabled, "rmsnorm_X_enabled"),
            (rmsnorm_QK_pre_rope_enabled, "rmsnorm_QK_pre_rope_enabled"),
            (rope_contiguous_layout, "rope_contiguous_layout"),
            (rmsnorm_QK_post_rope_enabled, "rmsnorm_QK_post_rope_enabled"),
            (K_cache_transposed, "K_cache_transposed"), (update_cache, "update_cache"),
            (transposed_out, "transposed_out"), (out_in_sb, "out_in_sb"), (skip_attention, "skip_attention"),
        ),
    )  # fmt: skip
    sizes = sizes_of(X, W_qkv, K_cache, V_cache, attention_mask, K_cache_transposed, active_blocks_table)
    assert_integers(((X_hidden_dim_actual, "X_hidden_dim_actual"),), 0, sizes.hidden)
    check_types(X, W_qkv, bias_qkv, K_cache, V_cache, W_out, bias_out)
    head_norms = rmsnorm_QK_pre_rope_enabled or rmsnorm_QK_post_rope_enabled
    check_norms(sizes, rmsnorm_X_gamma, head_norms, (rmsnorm_QK_post_rope_W_Q, rmsnorm_QK_post_rope_W_K))
    assert_number(0.0 if softmax_scale is None else softmax_scale, "softmax_scale")
    assert_not_negative(DEFAULT_EPS if rmsnorm_X_eps is None else rmsnorm_X_eps, "rmsnorm_X_eps")
    if rmsnorm_QK_pre_rope_enabled:
        assert_not_negative(rmsnorm_QK_pre_rope_eps, "rmsnorm_QK_pre_rope_eps")
    if rmsnorm_QK_post_rope_enabled:
        assert_not_negative(rmsnorm_QK_post_rope_eps, "rmsnorm_QK_post_rope_eps")
    rotates, quantized = cos is not None and sin is not None, k_scale is not None and v_scale is not None
    if rotates:
        check_rotation(sizes, cos, sin, rope_contiguous_layout)
    if quantized:
        check_scales(k_scale, v_scale, K_cache, V_cache)
    if update_cache:
        dtype = nl.float8_e4m3 if quantized else X.dtype
        check_update(sizes, kv_cache_update_idx, dtype, K_cache_transposed)
    kernel_assert(not transposed_out or W_out is not None, "transposed_out needs W_out")
    if W_out is not None:
        assert_layout(W_out, 2, "[heads·d, H]", "W_out")
    kernel_assert(
        W_out is None or W_out.shape[1] == sizes.hidden,
        f"W_out must have H = {sizes.hidden} columns, its shape is {None if W_out is None else W_out.shape}",
    )
    here, sbm = cores(), manager(sbm)
    work = scratch(sbm, name="attention_block_tkg")
    projected = qkv_tkg(
        X, W_qkv, rmsnorm_X_gamma if rmsnorm_X_enabled else None,
        d_head=sizes.depth, num_kv_heads=1, num_q_heads=sizes.heads,
        eps=DEFAULT_EPS if rmsnorm_X_eps is None else rmsnorm_X_eps,
        norm_type=NormType.RMS_NORM if rmsnorm_X_enabled else NormType.NO_NORM,
        quantization_type=quantization_type_qkv,
        qkv_w_scale=weight_dequant_scale_qkv, qkv_in_scale=input_dequant_scale_qkv,
        output_in_sbuf=True, qkv_bias=bias_qkv, hidden_actual=X_hidden_dim_actual, sbm=sbm,
    )  # fmt: skip
    steps = HeadSteps()
    if rmsnorm_QK_pre_rope_enabled:
        steps.before = rmsnorm_QK_pre_rope_eps
    if rotates:
        steps.rotation = load_rotation(cos, sin, not rope_contiguous_layout, X.dtype, work)
    if rmsnorm_QK_post_rope_enabled:
        steps.after = rmsnorm_QK_post_rope_eps
        steps.queries, steps.keys = rmsnorm_QK_post_rope_W_Q, rmsnorm_QK_post_rope_W_K
    new = _new_tokens(projected, sizes, steps, work, sbm)
    if quantized:
        _quantize(new, k_scale, v_scale, work, sbm)
    attended = _result(sizes, X.dtype, W_out is not None or out_in_sb, skip_attention)
    if skip_attention:
        _copy_queries(attended, new, sizes, here, work)
    else:
        scale = sizes.depth**-0.5 if softmax_scale is None else softmax_scale
        caches = (K_cache, V_cache, attention_mask, sink, active_blocks_table)
        _attend(attended, new, sizes, scale, caches, K_cache_transposed, work, sbm)
    if update_cache:
        step = 0 if sizes.block > 0 else sizes.cache
        rows = Rows(starts=kv_cache_update_idx, batch=sizes.batch, sequence=sizes.sequence, step=step)
        _update(K_cache, V_cache, K_cache_transposed, new, rows, here, work, sbm)
        kept = (K_cache, V_cache)
    else:
        kept = _kept(new, sizes, here)
    out = attended
    if W_out is not None:
        out = output_projection_tkg(
            attended.reshape((sizes.depth, sizes.batch, sizes.heads, sizes.sequence)), W_out, bias_out,
            quantization_type=quantization_type_out,
            weight_scale=weight_dequant_scale_out, input_scale=input_dequant_scale_out,
            TRANSPOSE_OUT=transposed_out, OUT_IN_SB=out_in_sb,
        )  # fmt: skip
    work.close()
    return out, kept[0], kept[1]


# -- new tokens -------------------------------------------------------------------------------------------


def _new_tokens(
    projected: nl.ndarray, sizes: Sizes, steps: HeadSteps, work: Scratch, sbm: SbufManager
) -> New:
    """Heads of the projection ``[T, (heads + 2)·d]``."""
    tokens, depth, heads = sizes.batch * sizes.sequence, sizes.depth, sizes.heads
    rows = as_view(projected)
    queries = work.tile((depth, heads, tokens), projected.dtype)
    keys = work.tile((depth, 1, tokens), projected.dtype)
    transpose(queries, rows.slice(1, 0, heads * depth), width=depth)
    transpose(keys, rows.slice(1, heads * depth, (heads + 1) * depth), width=depth)
    queries = process(queries, steps, steps.queries, work, sbm)
    keys = process(keys, steps, steps.keys, work, sbm)
    values = rows.slice(1, (heads + 1) * depth, (heads + 2) * depth)
    return New(queries=queries, keys=keys.reshape((depth, tokens)), values=values)


def _quantize(new: New, k_scale: nl.ndarray, v_scale: nl.ndarray, work: Scratch, sbm: SbufManager) -> None:
    keys = work.tile(tuple(new.keys.shape), nl.float8_e4m3)
    values = work.tile(tuple(new.values.shape), nl.float8_e4m3)
    quantize_static(keys, new.keys, _column(k_scale, keys.shape[0], work), sbm, product=nl.float32)
    quantize_static(values, new.values, _column(v_scale, values.shape[0], work), sbm, product=nl.float32)
    new.keys, new.values = keys, as_view(values)


def _column(scale: nl.ndarray, rows: int, work: Scratch) -> nl.ndarray:
    """One number of HBM ``[1 or 128, 1]`` as fp32 ``[rows, 1]``."""
    column = work.tile((rows, 1), nl.float32)
    load_broadcast(column, as_view(scale).slice(0, 0, 1))
    return column


# -- attention --------------------------------------------------------------------------------------------


def _result(sizes: Sizes, dtype: Any, in_sbuf: bool, skips: bool) -> nl.ndarray:
    """Where attention goes: SBUF ``[d, B·heads·S]`` or HBM ``[B, heads, d, S]``; HBM as SBUF without it."""
    flat = (sizes.depth, sizes.batch * sizes.heads * sizes.sequence)
    if in_sbuf:
        return nl.ndarray(flat, dtype=dtype, buffer=nl.sbuf)
    by_head = (sizes.batch, sizes.heads, sizes.depth, sizes.sequence)
    return nl.ndarray(flat if skips else by_head, dtype=dtype, buffer=nl.shared_hbm)


def _copy_queries(dst: nl.ndarray, new: New, sizes: Sizes, here: Cores, work: Scratch) -> None:
    """Queries in the order of ``[d, B·heads·S]``; into HBM by the first core."""
    source = as_view(new.queries).reshape_dim(2, (sizes.batch, sizes.sequence)).get_view()
    held = dst if dst.buffer == nl.sbuf else work.tile(tuple(dst.shape), dst.dtype)
    into = by_sequence(held, sizes.batch, sizes.heads, sizes.sequence)
    nisa.tensor_copy(dst=into.get_view(), src=source)
    if dst.buffer != nl.sbuf and here.index == 0:
        nisa.dma_copy(dst=dst, src=held)


def _attend(
    dst: nl.ndarray,
    new: New,
    sizes: Sizes,
    scale: float,
    caches: Any,
    transposed: bool,
    work: Scratch,
    sbm: SbufManager,
) -> None:
    """``dst`` = attention; caches: keys, values, mask, sink, table."""
    K_cache, V_cache, mask, sink, table = caches
    batch, sequence, heads, depth = sizes.batch, sizes.sequence, sizes.heads, sizes.depth
    queries = work.tile((depth, batch * heads * sequence), new.queries.dtype)
    nisa.tensor_scalar(
        dst=by_sequence(queries, batch, heads, sequence).get_view(),
        data=as_view(new.queries).reshape_dim(2, (batch, sequence)).get_view(),
        op0=nl.multiply,
        operand0=scale,
    )
    # Each core's own copy: neither waits for the other.
    values = nl.ndarray((batch, 1, sequence, depth), dtype=new.values.dtype, buffer=nl.private_hbm)
    nisa.dma_copy(dst=values.reshape((batch * sequence, depth)), src=new.values.get_view())
    keys_of, values_of = _with_head(K_cache, sizes, transposed), _with_head(V_cache, sizes, False)
    config = AttnTKGConfig(
        bs=batch, q_head=heads, s_active=sequence, curr_sprior=sizes.context, full_sprior=sizes.cache,
        d_head=depth, block_len=sizes.block, tp_k_prior=not transposed, strided_mm1=sizes.block == 0,
        use_pos_id=False, fuse_rope=False, qk_in_sb=True, out_in_sb=dst.buffer == nl.sbuf,
    )  # fmt: skip
    attention_tkg(
        queries, new.keys, values, keys_of, values_of, mask, dst, config, sbm,
        sink=sink, active_blocks_table=table,
    )  # fmt: skip


def _with_head(cache: nl.ndarray, sizes: Sizes, transposed: bool) -> nl.ndarray:
    """As attention takes it: ``[B, 1, S_max, d]`` or ``[B, 1, d, S_max]``, blocks ``[blocks, length, d]``."""
    if sizes.block > 0:
        return cache.reshape((cache.shape[0], sizes.block, sizes.depth))
    if transposed:
        return cache.reshape((sizes.batch, 1, sizes.depth, sizes.cache))
    return cache.reshape((sizes.batch, 1, sizes.cache, sizes.depth))


# -- caches -----------------------------------------------------------------------------------------------


def _update(
    K_cache: nl.ndarray,
    V_cache: nl.ndarray,
    transposed: bool,
    new: New,
    rows: Rows,
    here: Cores,
    work: Scratch,
    sbm: SbufManager,
) -> None:
    """New values by the first core, keys by the last one, when both have read the caches."""
    barrier(K_cache, here)
    barrier(V_cache, here)
    numbers = row_numbers(rows, work) if here.index == 0 or not transposed else None
    if here.index == 0:
        write_rows(V_cache, new.values, numbers, rows)
    if here.index == here.count - 1:
        if transposed:
            flat = K_cache.reshape((rows.batch, new.keys.shape[0], rows.step))
            write_columns(flat, new.keys, rows, sbm)
        else:
            write_rows(K_cache, as_rows(new.keys, work), numbers, rows)


def _kept(new: New, sizes: Sizes, here: Cores) -> tuple[nl.ndarray, nl.ndarray]:
    """New keys ``[d, B, S]`` and values ``[B, 1, S, d]`` in HBM, written by the same cores."""
    batch, sequence, depth = sizes.batch, sizes.sequence, sizes.depth
    keys = nl.ndarray((depth, batch, sequence), dtype=new.keys.dtype, buffer=nl.shared_hbm)
    values = nl.ndarray((batch, 1, sequence, depth), dtype=new.values.dtype, buffer=nl.shared_hbm)
    if here.index == 0:
        nisa.dma_copy(dst=values.reshape((batch * sequence, depth)), src=new.values.get_view())
    if here.index == here.count - 1:
        nisa.dma_copy(dst=keys.reshape((depth, batch * sequence)), src=new.keys)
    return keys, values
