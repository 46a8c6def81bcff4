"""QKV projection for context encoding: many tokens, in blocks that the weights stream past.

    x = input (+ mlp_prev + attention_prev)
    x = norm(x)
    y[t, i] = Σ_h x[t, h] · W[h, i] + bias[i]           fp32 sums
    y = rope(y) for the heads of queries and keys

    x    SBUF [t, H]           128 tokens at a time: load, norm
         SBUF [128, H/128, t]  transposed; gamma and beta are applied on the way out of PSUM
    W    SBUF [128, H/128, I]  if it fits, else blocks of rows that pass by for each block of tokens
    y    PSUM [t, ≤ 512]       rounded with the bias; rope and the caches' quantisation in SBUF

Values between steps have the input's dtype, bfloat16 for float32; statistics and sums are fp32. Cores divide
the tokens: all of them, or, from 640 for each core on, those of each sequence. Each core reads the weights.

STATIC: see :mod:`.products`. MX (NeuronCore-v4): weights ``[H/4, I]`` of packed elements, whose row r holds
the hidden columns ``4 r`` to ``4 r + 3``, with a scale for each 32 of them, ``[H/32, I]``; x is quantised to
e4m3 on chip, see :mod:`nkilib.blocks.mx`.

Caches: ``clip(rnd(y / scale), low, high)`` of the heads of keys, and of values, where rnd rounds to the
cache's dtype; an infinity that this makes is clipped, too.
"""

from typing import Any

import nki.language as nl

from ... import insides
from ...blocks.arguments import assert_classes, assert_object
from ...blocks.lnc import Cores, cores, split
from ...blocks.memory import PARTITIONS, PSUM_COLUMNS, Scratch, manager, scratch
from ...blocks.mx import LANES, MxOperand, accumulate_mx, add_mx_products, load_mx, mx_operand
from ...blocks.projection import WEIGHT_BYTES, accumulate, add_products, row_sums
from ...blocks.tiles import load_rows, tiles_of
from ..utils.allocator import SbufManager, sizeinbytes
from ..utils.common_types import NormType, QKVOutputLayout, QuantizationType
from ..utils.kernel_helpers import NUM_HW_PSUM_BANKS, div_ceil
from .products import load_scales
from .qkv_cte_sink import Sink, deliver, open_sink
from .qkv_cte_source import Source, even, load_tokens, open_source, operand_tile
from .qkv_cte_utils import QKV_CTE_UserInput, compute_dtype, heads_of, is_mx, is_static, validate

__getattr__ = insides.named(__name__)

MAX_STREAM_SHUFFLE_PARTITIONS = 32
NUM_MX_WEIGHT_BUFFERS = 2

FOLDED_TOKENS = 640
"""With fewer tokens in a sequence for each core, all sequences count as one."""
MOST_TILES = 4
"""Most tiles of 128 tokens in a block."""
SMALL_BYTES = 24 * 1024
"""Bytes of a partition for tiles that live for a few instructions."""
RESULT_BYTES = 8
"""Bytes of a partition for each column of a result, with what rope needs."""


class Weights(nl.NKIObject):
    """What a block of tokens is multiplied with.

    Attributes:
        values: HBM ``[rows, I]``, or SBUF ``[128, tiles, I]``, or an MX operand in SBUF.
        scales: of MX weights, HBM ``[H/32, I]``, else None. tiles: how many MX weights are loaded at a time.
        resident: whether they are in SBUF. rows: of the contraction. mx: whether they are MX.
    """

    values: Any
    scales: Any
    tiles: int
    resident: bool
    rows: int
    mx: bool


def qkv_cte(
    input: nl.ndarray,
    fused_qkv_weights: nl.ndarray,
    output_layout: QKVOutputLayout = QKVOutputLayout.BSD,
    bias: nl.ndarray | None = None,
    fused_residual_add: bool | None = False,
    mlp_prev: nl.ndarray | None = None,
    attention_prev: nl.ndarray | None = None,
    fused_norm_type: NormType = NormType.NO_NORM,
    gamma_norm_weights: nl.ndarray | None = None,
    layer_norm_bias: nl.ndarray | None = None,
    norm_eps: float | None = 1e-6,
    hidden_actual: int | None = None,
    fused_rope: bool | None = False,
    cos_cache: nl.ndarray | None = None,
    sin_cache: nl.ndarray | None = None,
    d_head: int | None = None,
    num_q_heads: int | None = None,
    num_kv_heads: int | None = None,
    k_cache: nl.ndarray | None = None,
    v_cache: nl.ndarray | None = None,
    k_scale: nl.ndarray | None = None,
    v_scale: nl.ndarray | None = None,
    fp8_max: float | None = None,
    fp8_min: float | None = None,
    kv_dtype: Any = None,
    use_block_kv: bool = False,
    block_size: int | None = None,
    slot_mapping: nl.ndarray | None = None,
    store_output_in_sbuf: bool = False,
    sbm: SbufManager | None = None,
    use_auto_allocation: bool = False,
    load_input_with_DMA_transpose: bool = True,
    quantization_type: QuantizationType = QuantizationType.NONE,
    qkv_w_scale: nl.ndarray | None = None,
    qkv_in_scale: nl.ndarray | None = None,
    is_input_swizzled: bool = False,
) -> Any:
    """Project tokens to queries, keys and values.

    Args:
        input: HBM ``[B, S, H]``; bfloat16, float16, or float32, which is computed in bfloat16.
        fused_qkv_weights: HBM ``[H, I]``; fp8 for STATIC; packed ``[H/4, I]`` for MX. bias: HBM ``[1, I]``.
        output_layout: BSD or NBSd, the second for heads of 128.
        fused_residual_add, mlp_prev, attention_prev: add both, HBM ``[B, S, H]``, before the norm.
        fused_norm_type: any; gamma_norm_weights and layer_norm_bias: HBM ``[1, H]``; norm_eps is added to the
            mean square or variance; hidden_actual: divisor of the sum of squares, None or 0 is H.
        fused_rope, cos_cache, sin_cache: rotate queries and keys by HBM ``[B, S, d]``; only the first half of
            a row of sin_cache is read.
        d_head, num_q_heads, num_kv_heads: the heads; d_head may be missing where the other two make it.
        k_cache, v_cache, k_scale, v_scale: with both scales, HBM ``[128, 1]``, keys and values go to the
            caches, quantised, in place: rows 0 to S - 1 of each batch of HBM ``[B, max_seq, Nkv·d]``.
        fp8_max, fp8_min, kv_dtype: bounds and dtype of the caches; by default the dtype's, and the input's.
        use_block_kv, block_size, slot_mapping: caches are HBM ``[blocks, block_size, Nkv·d]``, and token
            (b, s) goes to row ``slot_mapping[b, s]`` of all blocks; HBM int32 ``[B, S]``, all different.
        store_output_in_sbuf: must be False.
        sbm, use_auto_allocation: a manager of SBUF, and whether it leaves addresses to the compiler.
        load_input_with_DMA_transpose: let the DMA transpose where it can; changes no value.
        quantization_type, qkv_w_scale, qkv_in_scale: NONE, STATIC with HBM fp32 ``[128, 3]`` and ``[128, 1]``
            or one row of each, or MX with uint8 ``[H/32, I]``.
        is_input_swizzled: for MX, column ``q·H/4 + 128 i + p`` of the input is hidden ``512 i + 4 p + q``.

    Returns:
        HBM ``[B, S, I]`` or ``[I/d, B, S, d]`` of the input's dtype, bfloat16 for STATIC; with k_scale and
        v_scale ``(queries [B, S, Nq·d], k_cache, v_cache)``.

    Raises AssertionError when a limit, a shape or a combination is not met.
    """
    assert_classes(
        tensors=((input, "input"), (fused_qkv_weights, "fused_qkv_weights")),
        optional=(
            (bias, "bias"), (mlp_prev, "mlp_prev"), (attention_prev, "attention_prev"),
            (gamma_norm_weights, "gamma_norm_weights"), (layer_norm_bias, "layer_norm_bias"),
            (cos_cache, "cos_cache"), (sin_cache, "sin_cache"), (k_cache, "k_cache"), (v_cache, "v_cache"),
            (k_scale, "k_scale"), (v_scale, "v_scale"), (slot_mapping, "slot_mapping"),
            (qkv_w_scale, "qkv_w_scale"), (qkv_in_scale, "qkv_in_scale"),
        ),
        flags=(
            (False if fused_residual_add is None else fused_residual_add, "fused_residual_add"),
            (False if fused_rope is None else fused_rope, "fused_rope"), (use_block_kv, "use_block_kv"),
            (store_output_in_sbuf, "store_output_in_sbuf"), (use_auto_allocation, "use_auto_allocation"),
            (load_input_with_DMA_transpose, "load_input_with_DMA_transpose"),
            (is_input_swizzled, "is_input_swizzled"),
        ),
    )  # fmt: skip
    assert_object(sbm, SbufManager, "sbm", optional=True)
    args = QKV_CTE_UserInput(
        input=input,
        fused_qkv_weights=fused_qkv_weights,
        output_layout=output_layout,
        bias=bias,
        fused_residual_add=fused_residual_add,
        mlp_prev=mlp_prev,
        attention_prev=attention_prev,
        fused_norm_type=fused_norm_type,
        gamma_norm_weights=gamma_norm_weights,
        layer_norm_bias=layer_norm_bias,
        norm_eps=norm_eps,
        hidden_actual=hidden_actual,
        fused_rope=fused_rope,
        cos_cache=cos_cache,
        sin_cache=sin_cache,
        d_head=d_head,
        num_q_heads=num_q_heads,
        num_kv_heads=num_kv_heads,
        k_cache=k_cache,
        v_cache=v_cache,
        k_scale=k_scale,
        v_scale=v_scale,
        fp8_max=fp8_max,
        fp8_min=fp8_min,
        kv_dtype=kv_dtype,
        use_block_kv=use_block_kv,
        block_size=block_size,
        slot_mapping=slot_mapping,
        store_output_in_sbuf=store_output_in_sbuf,
        sbm=sbm,
        use_auto_allocation=use_auto_allocation,
        load_input_with_DMA_transpose=load_input_with_DMA_transpose,
        quantization_type=quantization_type,
        qkv_w_scale=qkv_w_scale,
        qkv_in_scale=qkv_in_scale,
        is_input_swizzled=is_input_swizzled,
    )
    here = cores()
    validate(args, here.count)
    return _run(args, here)


def _run(args: QKV_CTE_UserInput, here: Cores) -> Any:
    sbm = manager(args.sbm)
    work = scratch(sbm, name="qkv_cte")
    scales = None
    if is_static(args):
        scales = load_scales(args.qkv_w_scale, args.qkv_in_scale, heads_of(args), work)
    source = open_source(args, scales, work)
    sink = open_sink(args, scales, work)
    resident, step = _plan(args, source, sbm.get_free_space())
    weights = _open_weights(args, resident, work)
    for share in _shares(args, here):
        last = share[0] + share[1]
        for first in range(share[0], last, step):
            _project_block(source, weights, sink, first, min(step, last - first), sbm)
    work.close()
    if len(sink.caches) > 0:
        return sink.result, args.k_cache, args.v_cache
    return sink.result


def _shares(args: QKV_CTE_UserInput, here: Cores) -> list[tuple[int, int]]:
    """This core's tokens, each entry (first, count) in the order of all B·S."""
    batch, sequence, _ = args.input.shape
    if sequence < FOLDED_TOKENS * here.count:
        return [split(batch * sequence, here)]
    start, size = split(sequence, here)
    found = []
    for index in range(batch):
        found.append((index * sequence + start, size))
    return found


def _plan(args: QKV_CTE_UserInput, source: Source, free: int) -> tuple[bool, int]:
    """Whether all weights fit into ``free`` bytes of a partition, and the tokens of a block."""
    hidden, columns = source.hidden, args.fused_qkv_weights.shape[1]
    weight = tiles_of(args.fused_qkv_weights.shape[0]) * columns * _weight_bytes(args)
    operand = 2 * hidden
    if is_static(args):
        operand = hidden
    elif is_mx(args):
        operand = hidden + hidden // LANES
    rows = 0 if source.by_dma else 2 * hidden
    result = RESULT_BYTES * columns
    if weight + operand + rows + result + SMALL_BYTES <= free:
        return True, PARTITIONS
    # Loading tokens, and multiplying them (two blocks of weights), take turns.
    rest = free - max(rows + SMALL_BYTES, 2 * WEIGHT_BYTES + result)
    most = min(MOST_TILES, NUM_HW_PSUM_BANKS // div_ceil(columns, PSUM_COLUMNS))
    return False, max(1, min(most, rest // operand)) * PARTITIONS


def _weight_bytes(args: QKV_CTE_UserInput) -> int:
    """Bytes of a column in a tile of weights, with its scale for MX."""
    size = sizeinbytes(_loaded_dtype(args))
    return size + 1 if is_mx(args) else size


def _loaded_dtype(args: QKV_CTE_UserInput) -> Any:
    """Weights are used as they are, but for float32."""
    dtype = args.fused_qkv_weights.dtype
    return compute_dtype(args) if dtype == nl.float32 else dtype


def _open_weights(args: QKV_CTE_UserInput, resident: bool, work: Scratch) -> Weights:
    rows, columns = args.fused_qkv_weights.shape
    dtype = _loaded_dtype(args)
    values, scales = args.fused_qkv_weights, None
    size = _weight_bytes(args) * columns
    if is_mx(args):
        scales = args.qkv_w_scale
    if resident and is_mx(args):
        values = mx_operand(tiles_of(rows), columns, dtype, work)
        load_mx(values, args.fused_qkv_weights, scales)
    elif resident:
        values = work.tile((PARTITIONS, tiles_of(rows), columns), dtype)
        load_rows(values, args.fused_qkv_weights)
    return Weights(
        values=values,
        scales=scales,
        tiles=max(1, WEIGHT_BYTES // size),
        resident=resident,
        rows=rows,
        mx=is_mx(args),
    )


def _project_block(
    source: Source, weights: Weights, sink: Sink, first: int, count: int, sbm: SbufManager
) -> None:
    work = scratch(sbm, name="block")
    x = operand_tile(source, count, work)
    load_tokens(x, source, first, count, sbm)
    sums = row_sums(even(count) if weights.mx else count, sink.columns)
    if weights.mx:
        _multiply_mx(sums, x, weights, sbm)
    elif weights.resident:
        add_products(sums, x, weights.values, weights.rows)
    else:
        accumulate(sums, x, weights.values, sbm)
    deliver(sink, sums, first, count, sbm)
    work.close()


def _multiply_mx(sums: Any, x: MxOperand, weights: Weights, sbm: SbufManager) -> None:
    if weights.resident:
        add_mx_products(sums, x, weights.values)
    else:
        accumulate_mx(sums, x, weights.values, weights.scales, weights.tiles, sbm)
