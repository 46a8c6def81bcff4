"""The results of :mod:`.qkv_cte`: bias and scales, rotary embedding, the output, and quantised caches."""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from ...blocks.indirect import scatter_rows
from ...blocks.memory import PARTITIONS, Scratch, scratch
from ...blocks.projection import Sums, spread_row
from ...blocks.quantize import invert
from ...blocks.rope import rotate_rows
from ...blocks.tiles import as_view
from ..subkernels.norm_tkg_utils import rows_of
from ..utils.allocator import SbufManager
from ..utils.common_types import QKVOutputLayout
from ..utils.tensor_view import TensorView
from .products import by_head, leave
from .qkv_cte_utils import (
    QKV_CTE_UserInput,
    cache_bounds,
    cache_dtype,
    compute_dtype,
    fills_cache,
    head_size,
    heads_of,
    is_static,
)


class Cache(nl.NKIObject):
    """One of the caches, and how rows get into it.

    Attributes:
        tensor: HBM ``[B, max_seq, n·d]``, or as rows ``[slots, n·d]`` with ``slots``.
        inverse: fp32 SBUF ``[128, 1]``, of the scale. dtype, high, low: values are cast, then clipped.
        first: fused column where its heads begin. slots: HBM int32 ``[B·S, 1]``, or None. sequence: S.
    """

    tensor: nl.ndarray
    inverse: nl.ndarray
    dtype: Any
    high: float
    low: float
    first: int
    slots: Any
    sequence: int


class Sink(nl.NKIObject):
    """Where tokens go.

    Attributes:
        result: HBM, what the kernel returns. rows: the same as ``[B·S, N]``, or ``[B·S, n, d]`` for NBSd.
        depth: size of a head for NBSd, otherwise 0. columns: I; stored: how many of them the result has.
        bias: SBUF ``[128, I]`` or None. scales: STATIC, or None. dtype: of values between steps.
        rotated: columns that rope turns, 0 without. cosine, sine: HBM ``[B·S, d]`` or None. head: their d.
        caches: keys and values, or none.
    """

    result: nl.ndarray
    rows: TensorView
    depth: int
    columns: int
    stored: int
    bias: Any
    scales: Any
    dtype: Any
    rotated: int
    cosine: Any
    sine: Any
    head: int
    caches: list[Cache]


def open_sink(args: QKV_CTE_UserInput, scales: Any, work: Scratch) -> Sink:
    columns = args.fused_qkv_weights.shape[1]
    stored = heads_of(args).end(0) if fills_cache(args) else columns
    depth = head_size(args) if args.output_layout == QKVOutputLayout.NBSd else 0
    result = _result(args, stored, depth)
    rotated = heads_of(args).end(1) if args.fused_rope else 0
    return Sink(
        result=result,
        rows=rows_of(as_view(result)) if depth == 0 else _by_token(result),
        depth=depth,
        columns=columns,
        stored=stored,
        bias=_bias(args, work),
        scales=scales,
        dtype=compute_dtype(args),
        rotated=rotated,
        cosine=rows_of(as_view(args.cos_cache)) if args.fused_rope else None,
        sine=rows_of(as_view(args.sin_cache)) if args.fused_rope else None,
        head=head_size(args),
        caches=_caches(args, work) if fills_cache(args) else [],
    )


def _result(args: QKV_CTE_UserInput, stored: int, depth: int) -> nl.ndarray:
    batch, sequence, _ = args.input.shape
    dtype = nl.bfloat16 if is_static(args) else args.input.dtype
    shape: tuple[int, ...] = (batch, sequence, stored)
    if depth > 0:
        shape = (stored // depth, batch, sequence, depth)
    return nl.ndarray(shape, dtype=dtype, buffer=nl.shared_hbm)


def _by_token(result: nl.ndarray) -> TensorView:
    """HBM ``[n, B, S, d]`` as ``[B·S, n, d]``."""
    return as_view(result).flatten_dims(1, 2).permute((1, 0, 2))


def _bias(args: QKV_CTE_UserInput, work: Scratch) -> Any:
    if args.bias is None:
        return None
    tile = work.tile((PARTITIONS, args.bias.shape[1]), args.bias.dtype)
    spread_row(tile, args.bias, work.sbm)
    return tile


def _caches(args: QKV_CTE_UserInput, work: Scratch) -> list[Cache]:
    heads = heads_of(args)
    keys = _cache(args.k_cache, args.k_scale, heads.end(0), args, work)
    values = _cache(args.v_cache, args.v_scale, heads.end(1), args, work)
    return [keys, values]


def _cache(
    tensor: nl.ndarray, scale: nl.ndarray, first: int, args: QKV_CTE_UserInput, work: Scratch
) -> Cache:
    inverse = work.tile((PARTITIONS, 1), nl.float32)
    nisa.dma_copy(dst=inverse, src=scale)
    invert(inverse, inverse)
    high, low = cache_bounds(args)
    batch, sequence, _ = args.input.shape
    slots = None
    if args.use_block_kv:
        mapping: Any = args.slot_mapping
        slots = mapping.reshape((batch * sequence, 1))
        tensor = tensor.reshape((tensor.shape[0] * tensor.shape[1], tensor.shape[2]))
    return Cache(
        tensor=tensor,
        inverse=inverse,
        dtype=cache_dtype(args),
        high=high,
        low=low,
        first=first,
        slots=slots,
        sequence=sequence,
    )


def deliver(sink: Sink, sums: Sums, first: int, count: int, sbm: SbufManager) -> None:
    """Tokens ``first`` to ``first + count - 1`` out of PSUM: to the output and the caches."""
    tiles = (count + PARTITIONS - 1) // PARTITIONS
    each = len(sums.pieces) // tiles
    for tile in range(tiles):
        start = tile * PARTITIONS
        size = min(PARTITIONS, count - start)
        work = scratch(sbm, name="result")
        rows = as_view(work.tile((size, sink.columns), sink.dtype))
        for index in range(tile * each, (tile + 1) * each):
            piece = sums.pieces[index]
            left, right, _ = piece.columns
            bias = None if sink.bias is None else as_view(sink.bias).slice(1, left, right)
            leave(rows.slice(1, left, right), piece.product, bias, sink.scales, left, sbm)
        if sink.rotated > 0:
            _rotate(rows, sink, first + start, work, sbm)
        _store(rows, sink, first + start)
        for cache in sink.caches:
            _fill_cache(cache, rows, first + start, work)
        work.close()


def _rotate(rows: TensorView, sink: Sink, first: int, work: Scratch, sbm: SbufManager) -> None:
    """Heads of queries and keys ``[T, n·d]``, in place."""
    tokens = rows.shape[0]
    cosine = work.tile((tokens, sink.head), sink.dtype)
    sine = work.tile((tokens, sink.head // 2), sink.dtype)
    half = sink.sine.slice(0, first, first + tokens).slice(1, 0, sink.head // 2)
    nisa.dma_copy(dst=cosine, src=sink.cosine.slice(0, first, first + tokens).get_view())
    nisa.dma_copy(dst=sine, src=half.get_view())
    heads = by_head(rows.slice(1, 0, sink.rotated), sink.head)
    rotate_rows(heads, heads, sine, cosine, sbm)


def _store(rows: TensorView, sink: Sink, first: int) -> None:
    target = sink.rows.slice(0, first, first + rows.shape[0])
    source = rows.slice(1, 0, sink.stored)
    if sink.depth > 0:
        source = by_head(source, sink.depth)
    nisa.dma_copy(dst=target.get_view(), src=source.get_view())


def _fill_cache(cache: Cache, rows: TensorView, first: int, work: Scratch) -> None:
    """Quantise the heads of the cache and store them: tokens' rows of their batch, or to their slots."""
    tokens = rows.shape[0]
    width = cache.tensor.shape[len(cache.tensor.shape) - 1]
    small = as_view(work.tile((tokens, width), cache.dtype))
    heads = rows.slice(1, cache.first, cache.first + width).get_view()
    inverse = as_view(cache.inverse).slice(0, 0, tokens).get_view()
    nisa.tensor_scalar(dst=small.get_view(), data=heads, op0=nl.multiply, operand0=inverse)
    nisa.tensor_scalar(
        dst=small.get_view(),
        data=small.get_view(),
        op0=nl.minimum,
        operand0=cache.high,
        op1=nl.maximum,
        operand1=cache.low,
    )
    if cache.slots is not None:
        slots = work.tile((tokens, 1), nl.int32)
        nisa.dma_copy(dst=slots, src=as_view(cache.slots).slice(0, first, first + tokens).get_view())
        scatter_rows(cache.tensor, slots, small)
        return
    done = 0
    while done < tokens:
        batch, position = (first + done) // cache.sequence, (first + done) % cache.sequence
        size = min(tokens - done, cache.sequence - position)
        target = as_view(cache.tensor).select(0, batch).slice(0, position, position + size)
        nisa.dma_copy(dst=target.get_view(), src=small.slice(0, done, done + size).get_view())
        done += size
