"""Random calls of kernels without matrix products: scans, selections, indices, rotary embeddings, losses."""

from __future__ import annotations

from typing import Any

import nki.language as nl
import npref_attn as ref
import numpy as np
from kernels import cast

from nkilib.core.cumsum import cumsum
from nkilib.core.embeddings.rope import RoPE, RoPE_sbuf
from nkilib.core.embeddings.rope_hf import rope_hf
from nkilib.core.loss import cross_entropy_forward as core_cross_entropy_forward
from nkilib.core.max.cascaded_max import cascaded_max
from nkilib.core.subkernels.indexed_flatten import indexed_flatten
from nkilib.core.topk import topk
from nkilib.core.topk.rotational_topk import SupportedTopkMethods
from nkilib.experimental.benchmark.find_nonzero_indices_with_count import find_nonzero_indices_with_count
from nkilib.experimental.conv.depthwise_conv1d import depthwise_conv1d_implicit_gemm
from nkilib.experimental.loss import cross_entropy_backward, cross_entropy_forward
from nkilib.experimental.subkernels.find_nonzero_indices import find_nonzero_indices

from .base import EXACT, Call, Choose, Family

ROUNDING = {"float32": 1e-5, "bfloat16": 1e-2, "float16": 2e-3}


def values(random: Any, shape: tuple[int, ...], dtype: Any, scale: float = 1.0) -> Any:
    return cast(random.normal(size=shape) * scale, dtype)


def running_sums(c: Choose) -> Call:
    shape = (
        (c.int(1, 140), c.of(5, 100, 2049, 2300)) if c.flag() else (c.int(1, 3), c.int(1, 4), c.int(1, 300))
    )
    dtype = c.of("float32", "bfloat16")
    x = values(c.random(), shape, dtype)
    want = np.cumsum(x.astype(np.float64), -1)
    return Call(cumsum, {"x": x, "axis": c.of(-1, len(shape) - 1)}, lambda _: [want], [(ROUNDING[dtype], 1e-3)], [x.dtype])  # fmt: skip


def largest(c: Choose) -> Call:
    shape = (c.int(1, 30), c.int(1, 3), c.of(128, 130, 700, 1999))
    x = values(c.random(), shape, c.of("float32", "bfloat16"))
    return Call(cascaded_max, {"input_tensor": x}, lambda lnc: ref.cascaded_max_ref(x, lnc), [EXACT], [x.dtype, np.uint32])  # fmt: skip


def top(c: Choose) -> Call:
    shape = (c.int(1, 20), c.of(300, 700, 1030))
    k, order = c.of(1, 5, 8, 40, 64), c.flag()
    # All different: equal ones may be found in any order.
    columns = np.arange(shape[1], dtype=np.float32) / 64
    x = c.random().permuted(np.broadcast_to(columns - columns.mean(), shape), axis=1)
    found, places = ref.topk_ref(x, k)

    def shown(got: Any) -> Any:
        """Unsorted results in order."""
        by_size = np.argsort(-got[0], -1, kind="stable")
        return [np.take_along_axis(part, by_size, -1) for part in got] if not order else got

    method = c.of(SupportedTopkMethods.ROTATIONAL, SupportedTopkMethods.SCANNING)
    arguments = {"inp": x, "k": k, "sorted_flag": order, "method": method}
    dtypes = [x.dtype, np.uint32]
    return Call(topk, arguments, lambda _: [found, places], [EXACT], dtypes, shown=shown, subscripted=True)


def places(c: Choose) -> Call:
    rows, columns = c.of(128, 200, 256), c.int(1, 20)
    random = c.random()
    x = (random.random((rows, columns)) < c.of(0.1, 0.5)) * c.of(1, -3)
    x = x.astype(c.of("int32", "float32"))
    arguments: dict[str, Any] = {"input_tensor": x, "chunk_size": c.of(None, 128)}
    start, count = 0, None
    if c.flag():
        start = c.int(0, columns - 1)
        count = c.int(1, columns - start)
        arguments |= {"row_start_id": np.array([start], np.int32), "n_rows": count}
    if rows % 128:
        arguments["chunk_size"] = None
    arguments["index_dtype"] = c.of(nl.int32, nl.float32)
    want = ref.find_nonzero_ref(x, start, count)
    return Call(
        find_nonzero_indices, arguments, lambda _: want, [EXACT], [cast(0, arguments["index_dtype"]).dtype]
    )


def places_of_all(c: Choose) -> Call:
    x = (c.random().random((1, c.int(1, 900))) < c.of(0.3, 0, 1)).astype(c.of("int32", "float32"))
    indices, counts = ref.find_nonzero_ref(x.T)
    want = np.concatenate([indices, counts[None]], 1)
    return Call(find_nonzero_indices_with_count, {"input_tensor": x}, lambda _: [want], [EXACT], [np.int32])


def flattened(c: Choose) -> Call:
    f_len, rows = c.of(128, 256), c.int(1, 5)
    length = 16 * f_len * c.int(1, 2)
    per_row = length // f_len
    start = c.int(0, 2) if c.flag() else None
    random = c.random()
    slots = random.permutation(rows + 2)[:rows] * per_row
    offsets = np.concatenate([np.full(start or 0, 1, np.int32), slots]).astype(np.int32)
    output = (rows + 2) * length
    x = random.integers(1, 1 << 20, (rows, length)).astype(np.int32)
    padding = c.of(-1, 0)
    arguments: dict[str, Any] = {
        "input_tensor": x, "f_len": f_len, "output_len": output, "row_offsets": offsets, "padding_val": padding,
        "row_offsets_start": None if start is None else np.array([start], np.int32),
    }  # fmt: skip
    return Call(
        indexed_flatten,
        arguments,
        lambda lnc: [
            ref.indexed_flatten_ref(x, f_len, output, offsets, start or 0, cores=lnc, padding_val=padding)
        ],
        [EXACT],
    )


def convolved(c: Choose) -> Call:
    batch, channels, taps = c.int(1, 3), 2 * c.int(1, 6), c.of(1, 3, 7, 64, 130)
    width, stride, dtype = taps + c.int(0, 60), c.int(1, 4), c.of("float32", "bfloat16", "float16")
    pad = (c.int(0, 9), c.int(0, 9))
    random = c.random()
    image, filters = (
        values(random, (batch, channels, 1, width), dtype),
        values(random, (channels, 1, 1, taps), dtype),
    )
    arguments = {
        "img_ref": image, "filter_ref": filters, "padding": ((0, 0), pad), "stride": (1, stride),
        "feature_group_count": channels, "in_perm": (0, 1, 2, 3), "kern_perm": (0, 1, 2, 3),
        "out_perm": (0, 1, 2, 3),
    }  # fmt: skip
    want = ref.depthwise_conv1d_ref(image, filters, pad, stride)
    return Call(depthwise_conv1d_implicit_gemm, arguments, lambda _: [want], [(ROUNDING[dtype], 1e-5)], [image.dtype])  # fmt: skip


def _logits(c: Choose) -> tuple[Any, Any, dict[str, Any]]:
    positions, vocabulary, dtype = c.int(1, 70), c.of(77, 300, 700), c.of(nl.float32, nl.bfloat16)
    random = c.random()
    x = values(random, (positions, vocabulary), c.of("float32", "bfloat16"), 2.0)
    targets = random.integers(0, vocabulary, positions).astype(np.int32)
    options = {
        "positions_per_batch": c.of(8, 32, 128),
        "chunk_size": c.of(vocabulary, 50, 70),
        "dtype": dtype,
    }
    return x, targets, options


def losses(c: Choose, kernel: Any = cross_entropy_forward) -> Call:
    x, targets, options = _logits(c)
    want = ref.cross_entropy_fwd_ref(cast(x, options["dtype"]), targets)
    tolerance = (1e-5 if options["dtype"] == nl.float32 else 2e-2, 1e-5)
    arguments = {"logits_hbm": x, "targets_hbm": targets, **options}
    return Call(kernel, arguments, lambda _: want, [tolerance], [cast(0, options["dtype"]).dtype] * 2)  # fmt: skip


def gradients(c: Choose) -> Call:
    x, targets, options = _logits(c)
    lse = ref.cross_entropy_fwd_ref(x, targets)[1].astype(np.float32)
    reduction, inplace = c.of("mean", "sum"), c.flag()
    want = ref.cross_entropy_bwd_ref(cast(x, options["dtype"]), targets, lse, reduction)
    tolerance = (1e-5 if options["dtype"] == nl.float32 and x.dtype == np.float32 else 2e-2, 1e-6)
    arguments = {
        "logits_hbm": x, "targets_hbm": targets, "lse_state_hbm": lse, "reduction": reduction,
        "inplace": inplace, **options,
    }  # fmt: skip
    dtype = x.dtype if inplace else cast(0, options["dtype"]).dtype
    return Call(cross_entropy_backward, arguments, lambda _: [want], [tolerance], [dtype])


def _angles(random: Any, shape: tuple[int, ...], dtype: str) -> tuple[Any, Any]:
    angles = random.uniform(-np.pi, np.pi, shape)
    return cast(np.cos(angles), dtype), cast(np.sin(angles), dtype)


def rotated(c: Choose) -> Call:
    d, batch, heads, length = c.of(64, 128), c.int(1, 3), c.int(1, 5), c.of(2, 16, 50, 128)
    dtype, contiguous = c.of("bfloat16", "float32"), c.flag()
    random = c.random()
    x = values(random, (d, batch, heads, length), dtype)
    cos, sin = _angles(random, (d // 2, batch, length), dtype)
    arguments = {
        "x_in": x, "cos": cos, "sin": sin, "contiguous_layout": contiguous, "lnc_shard": c.flag(),
        "relayout_in_sbuf": False if contiguous else c.flag(),
    }  # fmt: skip
    want = ref.rope_ref(x, cos, sin, contiguous)
    return Call(RoPE, arguments, lambda _: [want], [(ROUNDING[dtype], 1e-3)], [x.dtype])


def rotated_pairs(c: Choose) -> Call:
    batch, query, key, length, d = c.int(1, 3), c.int(1, 4), c.int(1, 2), 256 * c.int(1, 2), c.of(64, 128)
    dtype, back, packed = c.of("bfloat16", "float32"), c.flag(), c.flag()
    table = (length,) if c.flag() else (batch, length)
    random = c.random()
    q, k = values(random, (batch, query, length, d), dtype), values(random, (batch, key, length, d), dtype)
    cos, sin = values(random, (*table, d), dtype), values(random, (*table, d), dtype)
    tables = {"rope_cache": np.concatenate([cos, sin], -1)} if packed else {"cos": cos, "sin": sin}
    arguments = {
        "q": q,
        "k": k,
        "q_out": np.zeros_like(q),
        "k_out": np.zeros_like(k),
        "backward": back,
        **tables,
    }
    want = [ref.rope_hf_ref(x, cos, sin, back) for x in (q, k)]
    return Call(rope_hf, arguments, lambda _: want, [(ROUNDING[dtype], 1e-5)], [q.dtype, k.dtype])


def in_tiles(x_in_sb: Any, cos_sb: Any, sin_sb: Any, **options: Any) -> Any:
    """``RoPE_sbuf`` of tiles."""
    from blockcheck import in_hbm, in_sbuf

    tiles = [in_sbuf(each) for each in (x_in_sb, cos_sb, sin_sb)]
    out = nl.ndarray(x_in_sb.shape, dtype=x_in_sb.dtype, buffer=nl.sbuf)
    RoPE_sbuf(*tiles, out, **options)
    return in_hbm(out)


def rotated_tile(c: Choose) -> Call:
    d, batch, heads, length = c.of(64, 128), c.int(1, 2), c.int(1, 4), c.of(1, 16, 50)
    dtype, interleaved = c.of("bfloat16", "float32"), c.flag()
    random = c.random()
    x = values(random, (d, batch, heads, length), dtype)
    cos, sin = _angles(random, (d // 2, batch, length), dtype)
    arguments = {"x_in_sb": x, "cos_sb": cos, "sin_sb": sin, "convert_from_interleaved": interleaved}
    want = ref.rope_ref(x, cos, sin, contiguous=not interleaved)
    return Call(in_tiles, arguments, lambda _: [want], [(ROUNDING[dtype], 1e-3)], [x.dtype])


FAMILIES = [
    Family(
        "nkilib.core.cumsum.cumsum.cumsum", running_sums, bits=True, idle={"axis": "only the last axis is allowed"},
        free={"x": (0, 1, 2)},
    ),
    Family(
        "nkilib.core.max.cascaded_max.cascaded_max", largest,
        free={"input_tensor": (0, 1, 2)},
    ),
    Family(
        "nkilib.core.topk.rotational_topk.topk", top, bits=True,
        made=frozenset({"lnc"}),
        idle={"method": "another way to the same", "sorted_flag": "False allows any order"},
        free={"inp": (0, 1)},
    ),
    Family(
        "nkilib.experimental.subkernels.find_nonzero_indices.find_nonzero_indices", places, bits=True,
        idle={"chunk_size": "columns at a time"},
        free={"input_tensor": (0, 1)},
    ),
    Family(
        "nkilib.experimental.benchmark.find_nonzero_indices_with_count.find_nonzero_indices_with_count", places_of_all, bits=True,
        free={"input_tensor": (1,)},
    ),
    Family(
        "nkilib.core.subkernels.indexed_flatten.indexed_flatten", flattened,
        free={"input_tensor": (0, 1), "row_offsets": (0,)},
    ),
    Family(
        "nkilib.experimental.conv.depthwise_conv1d.depthwise_conv1d_implicit_gemm", convolved, bits=True,
        idle=dict.fromkeys(("in_perm", "kern_perm", "out_perm"), "not looked at"),
        refused={"rhs_dilation": (2, 1), "lhs_dilation": (1, 2), "batch_group_count": 2},
        free={"img_ref": (0, 3), "filter_ref": (3,)},
    ),
    Family(
        "nkilib.experimental.loss.cross_entropy.cross_entropy_forward", losses, bits=True,
        idle={"positions_per_batch": "positions at a time", "chunk_size": "columns at a time"},
        free={"logits_hbm": (1,)},
    ),
    Family(
        "nkilib.core.loss.cross_entropy.cross_entropy_forward", lambda c: losses(c, core_cross_entropy_forward),
        bits=True, idle={"positions_per_batch": "positions at a time", "chunk_size": "columns at a time"},
        free={"logits_hbm": (1,)},
    ),
    Family(
        "nkilib.experimental.loss.cross_entropy.cross_entropy_backward", gradients, bits=True,
        idle={"positions_per_batch": "positions at a time", "chunk_size": "columns at a time"},
        free={"logits_hbm": (1,)},
    ),
    Family(
        "nkilib.core.embeddings.rope.RoPE", rotated, bits=True,
        idle={"lnc_shard": "who does what", "relayout_in_sbuf": "where the layout changes"},
        free={"x_in": (2,)},
    ),
    Family(
        "nkilib.core.embeddings.rope.RoPE_sbuf", rotated_tile, made=frozenset({"x_out_sb"}),
        free={"x_in_sb": (0, 2)},
    ),
    Family(
        "nkilib.core.embeddings.rope_hf.rope_hf", rotated_pairs, bits=True, made=frozenset({"q_out", "k_out"}),
        free={"rope_cache": (0, 1)},
    ),
]  # fmt: skip
