"""Random calls of the attention kernels."""

from __future__ import annotations

import functools
from typing import Any

import blockcases
import nki.isa as nisa
import nki.language as nl
import npref_attn as ref
import numpy as np
import tkgcases
from blockcheck import BF16, FP8, FP32, in_sbuf, per_core
from kernels import cast, normal

from nkilib.core.attention.attention_bwd import attention_bwd
from nkilib.core.attention.attention_cte import attention_cte
from nkilib.core.attention.attention_tkg_utils import AttnTKGConfig
from nkilib.core.attention.gen_mask_tkg import gen_mask_tkg
from nkisim.core.dtypes import dtype_of
from nkisim.core.objects import fields_of

from .base import EXACT, Call, Choose, Family, step_of_fp8

# -- context encoding -------------------------------------------------------------------------------------


def encoded(c: Choose) -> Call:
    group, kv_rows = c.of(1, 1, 2, 3), c.int(1, 2)
    rows, depth, queries = group * kv_rows, c.of(64, 32, 128, 88), c.of(128, 1, 60, 200, 256)
    window, parallel = c.of(None, None, 1, 23, 128), c.of("", "", "contiguous", "strided")
    prefix, causal = c.flag(), True
    degree = c.of(2, 1, 4) if parallel else 1
    keys = queries * degree if parallel or window else c.of(128, 1, 100, 300)
    if not window and not parallel:
        causal = c.flag()
    dtype, random = c.of("bfloat16", "float32", "float16"), c.random()

    def values(*shape: int) -> Any:
        return cast(cast(random.uniform(-1, 1, shape), "bfloat16"), dtype)  # the kernel computes in bfloat16

    tp_q, tp_k = c.flag(), c.flag()
    arguments: dict[str, Any] = {
        "q": values(rows, queries, depth) if tp_q else values(rows, depth, queries),
        "k": values(kv_rows, keys, depth) if tp_k else values(kv_rows, depth, keys),
        "v": values(kv_rows, keys, depth),
        "tp_q": tp_q, "tp_k": tp_k, "tp_out": c.flag(), "causal_mask": causal, "sliding_window": window,
    }  # fmt: skip
    if prefix:
        length = c.of(128, 5, 200)
        arguments["k_prior"] = values(kv_rows, length, depth) if tp_k else values(kv_rows, depth, length)
        arguments["v_prior"] = values(kv_rows, length, depth)
        arguments["prior_used_len"] = np.array([c.of(length, 0, length // 2)], np.int32)
    if parallel:
        rank = c.int(0, degree - 1)
        arguments["global_cp_deg"], arguments["cp_strided_q_slicing"] = degree, parallel == "strided"
        arguments["cp_offset"] = np.array([[rank if parallel == "strided" else rank * queries]], np.int32)
    if not (prefix or window or parallel):
        arguments["scale"] = c.of(0.125, 1.0, 0.5)
    if c.flag():
        arguments["sink"] = (random.uniform(-1, 3, (rows, 1))).astype(FP32)
    want = lambda: ref.attention_cte_ref(**arguments)  # noqa: E731
    if queries % 128 == 0 and c.flag():
        dtypes = c.of(nl.float32, nl.bfloat16)
        arguments["cache_softmax"] = True
        expected = want()
        arguments["softmax_dtype"] = dtypes
        statistics = dtype_of(dtypes).numpy
        return Call(attention_cte, arguments, lambda _: expected, dtypes=[arguments["q"].dtype, statistics, statistics])  # fmt: skip
    result = want()
    return Call(attention_cte, arguments, lambda _: [result], dtypes=[arguments["q"].dtype])


# -- token generation -------------------------------------------------------------------------------------

FIELDS = tuple(fields_of(AttnTKGConfig))


def decode(out_dtype: Any, arguments: dict[str, Any]) -> Any:
    """attention_tkg with a configuration of the arguments that are its fields."""
    config = {name: value for name, value in arguments.items() if name in FIELDS}
    arrays = {name: value for name, value in arguments.items() if name not in FIELDS}
    return tkgcases.kernel(arrays, AttnTKGConfig(**config), out_dtype, 0, None)


def decoded(c: Choose) -> Call:
    sizes = (c.int(1, 4), c.int(1, 4), c.int(1, 4), c.of(256, 512), c.of(64, 128))
    blocks, rotated = c.of(0, 0, 16), False
    options: dict[str, Any] = {"use_pos_id": c.flag(), "out_in_sb": c.flag(), "use_gpsimd_sb2sb": c.flag()}
    more: dict[str, Any] = {"seed": c.int(0, 999), "sink": c.of("", "float32"), "spread": c.of(1.0, 2.0)}
    if blocks:
        options |= {"block_len": blocks, "qk_in_sb": True}
    else:
        rotated = c.flag()
        options |= {"tp_k_prior": c.flag(), "strided_mm1": c.flag(), "fuse_rope": rotated}
        options |= {"qk_in_sb": c.flag() or not rotated, "k_out_in_sb": rotated and c.flag()}
        more |= {"full": sizes[3] + c.of(0, 128), "more": c.of(0, 1)}
    more |= {"dtype": c.of("bfloat16", "float32"), "out": c.of("", "float32")}
    if not rotated and more["dtype"] == "bfloat16":
        more["kv"] = c.of("", "float8_e4m3")

    @functools.cache
    def case(lnc: int) -> tkgcases.Case:
        return tkgcases.Case(*sizes, lnc=lnc, **more, **options)

    def arguments_on(lnc: int) -> dict[str, Any]:
        made = case(lnc)
        return {**made.arrays, **{name: getattr(made.cfg, name) for name in FIELDS}}

    def want(lnc: int) -> Any:
        out, keys = case(lnc).expected()
        both = [np.stack([out] * lnc) if options["out_in_sb"] else out]
        if rotated:
            both.append(np.stack([keys] * lnc) if options["k_out_in_sb"] else keys)
        return both

    out_dtype = dtype_of(more["out"] or more["dtype"])
    return Call(
        lambda **arguments: decode(out_dtype, arguments),
        {},
        want,
        dtypes=[out_dtype.numpy],
        arguments_on=arguments_on,
    )


def made_mask(pos_ids: Any, shape: tuple[int, ...], active_mask: Any = None, **options: Any) -> Any:
    """The mask of each core."""
    mask = nl.ndarray(shape, dtype=nl.float32, buffer=nl.sbuf)
    nisa.memset(dst=mask, value=7)
    assert gen_mask_tkg(in_sbuf(pos_ids), mask, active_mask=active_mask, **options) is mask
    return per_core(mask)


def masks(c: Choose) -> Call:
    shared = c.of("", "", "context", "batch")
    batch, heads, new, length = c.int(1, 4), c.int(1, 3), c.int(1, 5), c.of(512, 1024)
    tile = c.of(length, 256)
    options: dict[str, Any] = {
        "bs": batch, "q_head": heads, "s_active": new, "is_s_prior_sharded": shared == "context",
        "s_prior_per_shard": length, "s_prior_offset": length - tile, "is_batch_sharded": shared == "batch",
    }  # fmt: skip
    options |= c.of({}, {"strided_mm1": False}, {"block_len": 2})
    random = c.random()
    row = np.repeat(random.integers(1, length * 2 if shared == "context" else length, batch), new)
    active = None
    if c.flag():
        count = batch * 2 if shared == "batch" else batch
        active = random.integers(0, 2, (new, count, heads, new)).astype(np.uint8)
    shape = (128, tile // 128, batch, heads, new)

    def want(lnc: int) -> Any:
        each = [
            ref.gen_mask_ref(row[None], n_tile=tile // 128, active_mask=active, shard_id=core, **options)
            for core in range(lnc)
        ]
        return [np.stack(each)]

    arguments = {"pos_ids": np.tile(row, (128, 1)).astype(FP32), "active_mask": active, **options}
    run = functools.partial(made_mask, shape=shape)
    return Call(run, arguments, want, [EXACT], lnc=(2,) if shared else (1, 2))


# -- gradients --------------------------------------------------------------------------------------------


def gradients(c: Choose) -> Call:
    kv_heads, group, batch = c.int(1, 2), c.int(1, 2), c.int(1, 2)
    depth, causal = c.of(64, 32, 128, 160), c.flag()
    queries, keys = c.of(128, 256), c.of(128, 256, 512)
    if causal:
        keys = queries
    window = c.of(None, 5, 100) if causal else None
    dtype, scale, mixed = c.of(BF16, FP32), c.of(None, 0.07), c.flag()
    random, heads = c.random(), kv_heads * group
    q, dy = (cast(random.normal(size=(batch, heads, depth, queries)), dtype) for _ in range(2))
    k, v = (cast(random.normal(size=(batch, kv_heads, depth, keys)), dtype) for _ in range(2))
    sinks = None
    if c.flag():
        sinks = random.normal(size=(batch, heads, *c.of((), (3,)))).astype(FP32)
    o, lse, _ = ref.attention_fwd_for_bwd(q, k, v, scale, causal, window or 0, sinks)
    o, lse = cast(o, dtype), lse.astype(FP32)
    arguments = {
        "q_ref": q, "k_ref": k, "v_ref": v, "o_ref": o, "dy_ref": dy, "lse_ref": lse, "sinks_ref": sinks,
        "use_causal_mask": causal, "mixed_precision": mixed, "softmax_scale": scale, "sliding_window": window,
    }  # fmt: skip
    want = ref.attention_bwd_ref(q, k, v, o, dy, lse, sinks, causal, scale, window or 0)
    tolerances: list[tuple[float, Any]] = [(1e-4 if dtype == FP32 else 3e-2, 1e-5)] * 3
    if sinks is not None:
        tolerances.append((0.0, sink_rounding(o, dy, lse, sinks, mixed)))
    return Call(attention_bwd, arguments, lambda _: want, tolerances, [dtype] * 3)


def sink_rounding(o: Any, dy: Any, lse: Any, sinks: Any, mixed: bool) -> Any:
    """How far sinks' gradients ``-Σ_i w_i·D_i``, with ``w_i = exp(sink - lse_i)``, may be off by roundings.

    Terms of both signs cancel, so the error is not relative to the sum but to the sizes of what is added up. Each
    product dy·o in D, then D, w and w·D are rounded to a type with unit roundoff u, that of the inputs or with
    ``mixed`` float32's; a rounded lse makes w off by ``u·|lse|``. Sums are those of float32 in any case.
    """
    single = 2.0**-24
    unit = 2.0**-9 if o.dtype == BF16 and not mixed else single
    products = dy.astype(np.float64) * o.astype(np.float64)
    rows = lse.astype(np.float64).swapaxes(2, 3).reshape(*o.shape[:2], 1, -1)
    weights = np.exp(sinks.astype(np.float64).reshape(*o.shape[:2], -1, 1) - rows)
    sizes, sums = (each[:, :, None] for each in (np.abs(products).sum(2), np.abs(products.sum(2))))
    rounded = unit * (sizes + (3 + np.abs(rows)) * sums)
    added = single * (o.shape[2] + o.shape[3]) * sizes
    return (weights * (rounded + added)).sum(3).reshape(sinks.shape)


# -- the block around token generation --------------------------------------------------------------------


def block_options(c: Choose, depth: int, blocks: int, projected: bool) -> dict[str, Any]:
    options: dict[str, Any] = {
        "softmax_scale": c.of(None, 0.05), "skip_attention": c.of(False, False, True), "out_in_sb": c.flag(),
        "K_cache_transposed": not blocks and c.flag(), "transposed_out": projected and c.flag(),
    }  # fmt: skip
    if depth == 128:
        options |= {"rmsnorm_QK_pre_rope_enabled": c.flag(), "rmsnorm_QK_pre_rope_eps": c.of(1e-3, 0.5)}
        options |= {"rmsnorm_QK_post_rope_enabled": c.flag(), "rmsnorm_QK_post_rope_eps": c.of(1e-3, 0.5)}
        for name in c.some("W_Q", "W_K"):
            options[f"rmsnorm_QK_post_rope_{name}"] = normal((1, 128), "bfloat16", 9)
    return options


def block(c: Choose) -> Call:
    batch, heads, depth, hidden = c.int(1, 3), c.int(1, 4), c.of(64, 128), c.of(512, 256)
    sequence, blocks, projected = c.int(1, 3), c.of(0, 0, 16), c.flag()
    quantised = c.of("", "", "weights", "caches")
    options = block_options(c, depth, blocks, projected or quantised == "weights")
    parts = c.some("norm", "rotation", "update", "bias", "qkv bias", "sink", "actual")
    contiguous, in_tile = c.flag(), c.flag()

    @functools.cache
    def case(lnc: int) -> blockcases.Block:
        made = blockcases.Block(batch, heads, depth, hidden, 256, sequence, block=blocks, lnc=lnc, in_sbuf=in_tile, **options)  # fmt: skip
        if "norm" in parts:
            made.add_norm(hidden - 100 if "actual" in parts else None)
        if "rotation" in parts:
            made.add_rotation(contiguous)
        if projected or quantised == "weights":
            made.add_projection("bias" in parts)
        if "update" in parts:
            made.add_update()
        if "qkv bias" in parts:
            made.given(bias_qkv=normal((1, (heads + 2) * depth), "bfloat16", 10))
        if "sink" in parts:
            made.given(sink=np.linspace(-1, 2, heads, dtype=FP32).reshape(-1, 1))
        return quantise(made, quantised)

    def arguments_on(lnc: int) -> dict[str, Any]:
        made = case(lnc)
        x = made.x
        if in_tile:
            x = ref.x_to_sbuf(x.reshape(-1, hidden), lnc)
        return {"X": x, **made.options}

    def run(X: Any, **given: Any) -> Any:
        return blockcases.body(X, given, in_tile)

    tolerances: list[tuple[float, Any]] = [(0.06, 1e-2) if quantised == "weights" else (0.02, 1e-5)]
    if quantised == "caches":
        tolerances = [(0.08, 0.1), *((0.02, step_of_fp8(stored)) for stored in case(1).expected()[1:])]
    return Call(run, {}, lambda lnc: case(lnc).expected(), tolerances, arguments_on=arguments_on)


def quantise(made: blockcases.Block, what: str) -> blockcases.Block:
    """Static quantisation of both projections' weights, or of the caches."""
    o, hidden, depth = made.options, made.x.shape[2], made.depth
    if what == "weights":
        scales = {"weight": np.array([[0.004, 0.002, 0.001]], FP32), "input": np.full((1, 1), 0.02, FP32)}
        o["W_qkv"] = cast(normal(o["W_qkv"].shape, "float32", 1) * 20, FP8)
        o["W_out"] = cast(normal((made.heads * depth, hidden), "float32", 7) * 20, FP8)
        made.given(
            quantization_type_qkv=blockcases.STATIC, quantization_type_out=blockcases.STATIC,
            weight_dequant_scale_qkv=np.repeat(scales["weight"], 128, 0),
            input_dequant_scale_qkv=np.repeat(scales["input"], 128, 0),
            weight_dequant_scale_out=np.full((128, 1), 0.003, FP32),
            input_dequant_scale_out=np.full((128, 1), 0.01, FP32),
        )  # fmt: skip
    if what == "caches":
        for name in ("K_cache", "V_cache"):
            o[name] = cast(np.clip(o[name].astype(FP32) * 80, -240, 240), FP8)
        made.given(k_scale=np.full((128, 1), 80.0, FP32), v_scale=np.full((128, 1), 50.0, FP32))
        made.given(softmax_scale=0.00125)
    return made


FAMILIES = [
    Family(
        "nkilib.core.attention.attention_cte.attention_cte", encoded,
        free={"q": (0, 1, 2)},  # its batch is any multiple of that of keys
    ),
    Family(
        "nkilib.core.attention.attention_tkg.attention_tkg", decoded,
        made=frozenset({"out", "cfg", "sbm", "k_out"}),
        classes=("nkilib.core.attention.attention_tkg_utils.AttnTKGConfig",),
        idle={"use_gpsimd_sb2sb": "who exchanges", "strided_mm1": "the order of tokens on chip"},
        shown_by={"DBG_TENSORS": "core/attention/test_attention_tkg.py::test_debug_tensors"},
        free={"k_prior": (0,), "v_prior": (0,)},
    ),
    Family(
        "nkilib.core.attention.gen_mask_tkg.gen_mask_tkg", masks, made=frozenset({"mask_out", "sbm"}), bits=True,
        free={"pos_ids": (0, 1)},
    ),
    Family(
        "nkilib.core.attention.attention_bwd.attention_bwd", gradients, bits=True,
        idle={"mixed_precision": "precision of sums"},
        free={"sinks_ref": (2,)},
    ),
    Family(
        "nkilib.experimental.transformer.attention_block_tkg.attention_block_tkg", block, made=frozenset({"sbm"}),
        free={"X": (0,), "attention_mask": (0,)},
    ),
]  # fmt: skip
