"""Demands of the attention kernels."""

from __future__ import annotations

from typing import Any

import blockcases
import nki.isa as nisa
import nki.language as nl
import numpy as np
import tkgcases
from blockcheck import FP8, FP32, in_sbuf
from randomcalls.attention import FIELDS, made_mask

from nkilib.core.attention.attention_bwd import attention_bwd
from nkilib.core.attention.attention_cte import attention_cte
from nkilib.core.attention.attention_tkg import attention_tkg
from nkilib.core.attention.attention_tkg_utils import AttnTKGConfig
from nkilib.core.utils.allocator import SbufManager, create_auto_alloc_manager
from nkilib.experimental.transformer.attention_block_tkg import attention_block_tkg

from .base import (
    FLOATS,
    FLOATS_AND_E4M3,
    FLOATS_AND_FP8,
    Changes,
    Table,
    below_0,
    beyond,
    cut,
    defined,
    laid_out,
    named,
    of_class,
    of_flags,
    of_number,
    of_tensors,
    of_type,
    refused,
    shown,
    typed,
    zeros,
)

I32, U32, U8 = np.int32, np.uint32, np.uint8

# -- context encoding -------------------------------------------------------------------------------------

CTE, CTE_CHECKS = "core/attention/test_attention_cte.py", "core/attention/test_attention_cte.py::test_refused"


def encoding() -> dict[str, Any]:
    return {"q": zeros(2, 128, 16), "k": zeros(2, 16, 128), "v": zeros(2, 128, 16)}


ENCODING = Table(
    "nkilib.core.attention.attention_cte.attention_cte", attention_cte, encoding,
    [
        *shown(CTE_CHECKS, {
            "v_prior goes with k_prior": "v_prior must be",
            "prior_used_len goes with k_prior": "prior_used_len must be",
            "no v_prior without k_prior": "v_prior is given without",
            "no prior_used_len without k_prior": "prior_used_len is given without",
            "prior_used_len has shape (1,)": "must have shape (1,)",
            "k as q and tp_k say": "k must have shape (2, 16, 16)",
            "v as k": "v must have shape (2, 128, 16)",
            "k_prior as k": "k_prior must have shape (2, 16, 64)",
            "v_prior as k_prior": "v_prior must have shape (2, 64, 16)",
            "statistics of 128s of queries": "cache_softmax needs a multiple of 128 queries",
            "batch of at most 32": "batch of q is 33",
            "batch above 0": "batch of q is 0",
            "batch a multiple of that of keys": "must be a multiple",
            "at most 36864 queries": "q has 36865 tokens",
            "at most 36864 keys": "k and k_prior have 36865 tokens",
            "at most 36864 keys with the prefix": "k and k_prior have 36866 tokens",
            "window not negative": "sliding_window is -1",
            "window at most 36864": "sliding_window is 36865",
            "d above 0": "d is 0",
            "d at most 128": "d is 129",
            "degree at most 32": "global_cp_deg is 33",
            "degree at least 1": "global_cp_deg is -1",
            "no scale with window, prefix or slices": "scale is 0.5",
            "mask with slices": "global_cp_deg needs causal_mask=True",
            "mask with a window": "sliding_window needs causal_mask=True",
            "cp_offset goes with global_cp_deg": "cp_offset must be",
            "cp_offset has shape (1, 1)": "must have shape (1, 1)",
            "strided slices need a degree": "needs global_cp_deg",
        }),
        *shown(f"{CTE}::test_products_beyond_the_limit_are_refused", {"batch·queries·keys within 32·36864²": "batch·queries·keys is"}),
        *defined(f"{CTE}::test_window_of_zero_is_none", {"a window of 0 is none": "sliding_window=0"}),
        *defined(f"{CTE}::test_offset_alone_does_not_matter", {"cp_offset without a degree does nothing": "cp_offset"}),
        *defined(f"{CTE}::test_queries_behind_all_keys_are_finite", {"queries that see no key": "isfinite"}),
        *defined(f"{CTE}::test_what_the_prefix_does_not_use_does_not_matter", {"keys behind prior_used_len": "prior"}),
        beyond("a window of contiguous slices: cp_offset + sq ≤ sk", "runs out of hbm tensor", k=zeros(2, 16, 2048), v=zeros(2, 2048, 16),
               global_cp_deg=2, cp_offset=np.array([[2000]], I32), sliding_window=20),
        refused("sink has a row for each of q", "sink must have shape (2, 1)", sink=zeros(1, 1, dtype=FP32)),
        *shown("core/attention/test_attention_cte_torch.py::test_refused", {
            "the reference: sink [bs, 1]": "sink must have shape (4, 1)", "the reference: no prefix without k_prior": "a prefix needs k_prior",
            "the reference: a whole prefix": "k_prior needs v_prior and prior_used_len", "the reference: statistics of 128s of queries": "cache_softmax needs a multiple of 128",
        }, of="nkilib.core.attention.attention_cte_torch"),
        of_type("softmax_dtype", made=lambda _: {"cache_softmax": True}),
        *typed(named("q", "k", "v")),
        *typed(named("q"), dtype=FP8),
        *typed(named("k_prior", "v_prior"), made=lambda given: {
            "k_prior": zeros(2, 16, 64), "v_prior": zeros(2, 64, 16), "prior_used_len": np.array([64], I32),
        }),
        refused("q, k and v have three dimensions", "q must have 3 dimensions", q=zeros(128, 16)),
        *of_number("sliding_window"),
        *of_number("global_cp_deg", made=lambda _: {"cp_offset": zeros(1, 1, dtype=I32)}),
        *of_number("scale", kind="an int or float", other="half"),
        *of_tensors("q"), *of_flags("causal_mask"),
    ],
    left={
        "prior_used_len up to s_prior, and values of the unused prefix finite": "numbers read at run time",
    },
)  # fmt: skip

# -- token generation -------------------------------------------------------------------------------------

TKG = "core/attention/test_attention_tkg_checks.py"


def token(
    out: tuple[int, ...] = (2, 1, 64, 2), k_out: tuple[int, ...] | None = None, dtypes: Any = (nl.bfloat16, nl.bfloat16),
    **given: Any,
) -> Any:  # fmt: skip
    """The kernel with results of these shapes in HBM; a configuration and a manager may be given."""
    cfg = AttnTKGConfig(**{name: given.pop(name) for name in FIELDS})
    made = [
        tkgcases.output(shape, dtype, False) if shape else None
        for shape, dtype in zip((out, k_out), dtypes, strict=True)
    ]
    sbm = create_auto_alloc_manager(tkgcases.QUIET)
    sbm.open_scope()
    if cfg.qk_in_sb:
        given |= {name: in_sbuf(given[name]) for name in ("q", "k_active")}
    attention_tkg(**{"out": made[0], "k_out": made[1], "cfg": cfg, "sbm": sbm, **given})
    sbm.close_scope()
    return made[0]


def step(**options: Any) -> dict[str, Any]:
    case = tkgcases.Case(2, 1, 2, 256, 64, **{"qk_in_sb": True, **options})
    return {**case.arrays, **{name: getattr(case.cfg, name) for name in FIELDS}}


def rotated(arguments: dict[str, Any]) -> Changes:
    """Everything of a call that rotates, from HBM."""
    return step(qk_in_sb=False, fuse_rope=True, tp_k_prior=arguments["tp_k_prior"])


def also(make: Any, name: str, dim: int = -1) -> Any:
    """``make``'s changes, with an argument cut."""
    return lambda arguments: {**make(arguments), **cut(name, dim)({**arguments, **make(arguments)})}


TOKEN = Table(
    "nkilib.core.attention.attention_tkg.attention_tkg", token, step,
    [
        *shown(f"{TKG}::test_sizes", {
            "bs at least 1": "bs is 0, allowed: 1 to 128", "bs at most 128": "bs is 129",
            "q_head at least 1": "q_head is 0", "q_head at most 16": "q_head is 17, allowed: 1 to 16",
            "s_active at least 1": "s_active is 0", "s_active at most 8": "s_active is 9, allowed: 1 to 8",
            "curr_sprior within the cache": "more than the cache has",
            "k_prior [B, 1, d, full]": "k_prior must be [B, (1, 64, 384)]",
            "k_prior [B, 1, full, d] with tp_k_prior": "k_prior must be [B, (1, 256, 64)]",
        }),
        *shown(f"{TKG}::test_long_heads", {"d_head at most 128": "d_head is 129"}),
        *shown(f"{TKG}::test_more_cores", {"at most 2 cores": "attention_tkg runs on 1 or 2"}),
        *shown(f"{TKG}::test_contexts_that_are_no_tiles", {"a core's context in 128s": "curr_sprior must be a multiple of"}),
        *shown(f"{TKG}::test_queries_from_hbm_must_be_rotated", {"fuse_rope or qk_in_sb": "qk_in_sb"}),
        *shown(f"{TKG}::test_positions_are_needed", {"rope_pos_ids for use_pos_id and fuse_rope": "need rope_pos_ids"}),
        *shown(f"{TKG}::test_rotation_of_heads_that_have_no_halves", {"fuse_rope: d_head in 64s": "multiples of 64"}),
        *shown(f"{TKG}::test_rotation_of_many_queries", {"fuse_rope: at most 128 queries": "bs·q_head·s_active is 150"}),
        *shown(f"{TKG}::test_rotation_with_a_shared_batch", {"fuse_rope: no shared batch": "a batch that two cores share"}),
        *shown(f"{TKG}::test_eight_bit_tensors_go_together", {
            "float8_e4m3: all four or none": "all float8_e4m3 or none of them", "no float8_e5m2": "float8_e5m2 are not supported",
        }),
        *shown(f"{TKG}::test_what_goes_with_eight_bits", {
            "fp8: no fuse_rope": "fuse_rope does not go with", "fp8: q not float32": "q of float32 does not go with",
            "fp8: qk_in_sb": "qk_in_sb",
        }),
        *shown(f"{TKG}::test_float32_goes_with_float32", {"float32 queries and caches together": "float32 together"}),
        *shown(f"{TKG}::test_tables", {
            "the table is uint32": "must be uint32", "a block cache has a table": "needs active_blocks_table",
            "the table is [bs, curr_sprior / block_len]": "active_blocks_table must be [bs, curr_sprior / block_len]",
        }),
        *shown(f"{TKG}::test_block_caches", {
            "k_prior [blocks, block_len, d]": "k_prior must be [blocks, 16, 64]", "both block caches of one shape": "must have one shape",
            "blocks: k_active [d, bs·s_active]": "k_active must have shape (64, 4)", "blocks: qk_in_sb": "qk_in_sb",
        }),
        *shown(f"{TKG}::test_pieces_are_counted_exactly", {"blocks: at most 2²⁴ pieces": "a cache is loaded in at most 3 pieces"}),
        *shown(f"{TKG}::test_blocks_that_do_not_fill_the_partitions", {"blocks: the context in 128s of each core": "must divide by 256"}),
        *shown(f"{TKG}::test_long_blocks_must_fit_into_tiles", {"blocks: long tiles in 128 pieces": "must be multiples of 128 pieces"}),
        *shown(f"{TKG}::test_debug_tensors", {"4 debug tensors, 5 of blocks": "DBG_TENSORS must be"}),
        *shown("core/attention/test_attention_tkg_torch.py::test_it_is_launched_as_a_kernel_is", {
            "the reference is subscripted": "TypeError",
        }, of="nkilib.core.utils.lnc_subscriptable"),
        *shown("core/attention/test_attention_tkg.py::test_debug_tensors_of_another_shape", {"the shapes of debug tensors": "must have shape"}),
        *shown(f"{TKG}::test_too_little_memory", {"room for a sequence": "Insufficient memory"}),
        *shown("core/attention/test_attention_tkg_utils.py::test_pieces_of_a_context_that_cores_cannot_share", {
            "pieces: the context in 128s of each core": "must divide by 256",
        }, of="nkilib.core.attention.attention_tkg_utils"),
        *defined("core/attention/test_attention_tkg.py::test_blocks_in_several_tiles_ignore_strided_order", {"blocks with strided_mm1": "strided_mm1"}),
        *defined("core/attention/test_attention_tkg.py::test_blocks_that_the_cache_does_not_have", {"blocks beyond the cache": "active_blocks_table"}),
        *defined("core/attention/test_attention_tkg.py::test_masked_keys_do_not_matter", {"masked keys may be anything": "k_prior"}),
        *defined("core/attention/test_attention_tkg.py::test_a_first_tile_without_any_visible_key", {"a first tile of which nothing is seen": "positions=np.zeros(2, int)"}),
        refused("v_prior [B, 1, full, d]", "v_prior must be [B, (1, 256, 64)]", cut("v_prior")),
        refused("v_prior has bs sequences", "B at least 2", cut("v_prior", 0)),
        refused("q in SBUF [d, bs·q_head·s_active]", "q must have shape (64, 4)", cut("q")),
        refused("k_active in SBUF [d, bs·s_active]", "k_active must have shape (64, 4)", cut("k_active")),
        refused("q in HBM [bs, q_head, s_active, d]", "q must have shape (2, 1, 2, 64)", also(rotated, "q")),
        refused("k_active in HBM [bs, 1, s_active, d]", "k_active must have shape (2, 1, 2, 64)", also(rotated, "k_active", 2)),
        refused("v_active [bs, 1, s_active, d]", "v_active must have shape (2, 1, 2, 64)", cut("v_active", 2)),
        refused("a mask of curr_sprior rows", "mask must have shape (256, 2, 1, 2)", cut("mask", 0)),
        refused("use_pos_id: a mask of the new tokens", "mask must have shape (2, 2, 1, 2)", also(lambda _: step(use_pos_id=True), "mask", 0)),
        refused("inv_freqs [d/2, 1]", "inv_freqs must have shape (32, 1)", also(rotated, "inv_freqs", 0)),
        refused("rope_pos_ids [bs, s_active]", "rope_pos_ids must have shape (2, 2)", also(rotated, "rope_pos_ids")),
        refused("sink [q_head, 1]", "sink must have shape (1, 1)", sink=zeros(2, 1, dtype=FP32)),
        refused("out [bs, q_head, d, s_active]", "out must have shape (2, 1, 64, 2)", out=(2, 1, 2, 64)),
        refused("out in SBUF [d, bs·q_head·s_active]", "out must have shape (64, 4)", out_in_sb=True),
        refused("k_out [bs, 1, d, s_active]", "k_out must have shape (2, 1, 64, 2)", lambda given: {**rotated(given), "k_out": (2, 1, 2, 64)}),
        refused("k_out in SBUF [d, bs·s_active]", "k_out must have shape (64, 4)",
                lambda given: {**rotated(given), "k_out_in_sb": True, "k_out": (2, 1, 64, 2)}),
        *typed(named("q", "k_active", "v_active", "k_prior", "v_prior"), FLOATS_AND_E4M3),
        refused("out of a float type", "out must be bfloat16", dtypes=(nl.int32, nl.bfloat16)),
        refused("k_out of a float type", "k_out must be bfloat16", lambda given: {**rotated(given), "k_out": (2, 1, 64, 2), "dtypes": (nl.bfloat16, nl.int32)}),
        refused("d_head at least 1", "d_head is 0, allowed: 1 to 128", d_head=0),
        *of_number("d_head", "block_len", "curr_sprior", "full_sprior"),
        *of_tensors("v_active"), *of_flags("tp_k_prior"), of_class("cfg", AttnTKGConfig), of_class("sbm", SbufManager),
        refused("debug tensors in a tuple", "DBG_TENSORS must be 4 tensors, it is 3", DBG_TENSORS=3),
        refused("debug tensors that are some", "each of DBG_TENSORS must be a tensor, it is 3", DBG_TENSORS=(3, 3, 3, 3)),
    ],
    left={
        "a last long tile of s_active tokens": "tiles are multiples of 128, s_active is at most 8",
        "values of masked prior rows are finite": "numbers read at run time",
        "piece numbers below 2²⁴": "a cache of so many pieces does not fit a test",
    },
)  # fmt: skip

MASK = Table(
    "nkilib.core.attention.gen_mask_tkg.gen_mask_tkg",
    lambda pos_ids, shape, **given: made_mask(pos_ids, shape, **given),
    lambda: {
        "pos_ids": zeros(128, 8, dtype=FP32), "shape": (128, 2, 2, 3, 4), "bs": 2, "q_head": 3, "s_active": 4,
        "is_s_prior_sharded": False, "s_prior_per_shard": 256,
    },
    [
        *shown("core/attention/test_gen_mask_tkg.py::test_shapes_that_are_refused", {
            "mask_out has five dimensions": "dimensions", "mask_out is for bs, q_head and s_active": "mask_out is (128, 2, 2, 3, 4)",
        }),
        *defined("core/attention/test_gen_mask_tkg.py::test_blocks_have_new_tokens_in_the_last_tile_only", {"new tokens of blocks in another tile": "active"}),
        refused("blocks fill the tile", "blocks of 4 must fill the 2 columns", block_len=4),
        refused("active_mask [s_active, bs, q_head, s_active]", "active_mask must have shape (4, 2, 3, 4)", active_mask=zeros(4, 2, 3, 3, dtype=U8)),
        *of_number("block_len", "s_prior_per_shard", "s_prior_offset"),
        *below_0("block_len", "s_prior_per_shard", "s_prior_offset"),
        *laid_out({"pos_ids": "[128, bs·s_active]"})[:1],
        *of_tensors("active_mask"), *of_flags("is_s_prior_sharded"), of_class("sbm", SbufManager),
    ],
)  # fmt: skip

# -- gradients --------------------------------------------------------------------------------------------

BWD = "core/attention/test_attention_bwd.py"


def gradient() -> dict[str, Any]:
    shape = (1, 2, 64, 128)
    tensors = {name: zeros(*shape) for name in ("q_ref", "k_ref", "v_ref", "o_ref", "dy_ref")}
    return {**tensors, "lse_ref": zeros(1, 2, 128, 1, dtype=FP32)}


GRADIENT = Table(
    "nkilib.core.attention.attention_bwd.attention_bwd", attention_bwd, gradient,
    [
        *shown(f"{BWD}::test_what_is_rejected", {
            "query heads a multiple of key heads": "multiple of the 2", "q_ref has four dimensions": "q_ref must be [b, h, d, queries]",
            "k_ref has four dimensions": "k_ref must be", "k_ref as q_ref": "k_ref must have shape", "v_ref as k_ref": "v_ref must have shape", "o_ref as q_ref": "o_ref must have shape",
            "dy_ref as q_ref": "dy_ref must have shape", "lse_ref [b, h, 128, queries / 128]": "lse_ref must have shape",
            "sinks_ref [b, h] or [b, h, n]": "sinks_ref must be",
            "as many queries as keys with the mask": "as many queries", "a window needs the mask": "use_causal_mask=True",
            "d in equal tiles": "2 equal tiles", "d at most 2048": "2048", "queries in 128s": "2040 queries",
            "128, 256, or 512s of keys": "640 keys",
        }),
        *shown(f"{BWD}::test_tensors_of_other_types_are_rejected", {"one dtype": "is float32"}),
        *defined(f"{BWD}::test_no_window", {"a window of None, 0 or less is none": "window"}),
        refused("q_ref of a float type", f"q_ref must be {FLOATS}", lambda given: {name: value.astype(I32) for name, value in given.items() if name != "lse_ref"}),
        *typed(named("lse_ref")),
        refused("sinks_ref of a float type", f"sinks_ref must be {FLOATS}", sinks_ref=zeros(1, 2, dtype=I32)),
        *shown("core/attention/test_attention_bwd_torch.py::test_what_is_rejected", {
            "the reference: a window needs the mask": "use_causal_mask", "the reference: queries in 128s": "multiple of 128",
        }, of="nkilib.core.attention.attention_bwd_torch"),
        *defined(f"{BWD}::test_scales", {"a scale of 0 is the default": "scale"}),
        *of_number("sliding_window"),
        *of_number("softmax_scale", kind="an int or float", other=float("nan")),
        refused("sinks_ref has elements", "sinks_ref must be [1, 2]", sinks_ref=zeros(1, 2, 0)),
        *of_tensors("q_ref"), *of_flags("use_causal_mask"),
    ],
    left={"no upper limit of lengths": "what does not fit SBUF is the allocator's error"},
)  # fmt: skip

# -- the block around token generation --------------------------------------------------------------------

BLOCK = "experimental/transformer/test_attention_block_tkg.py"
STATIC = blockcases.STATIC


def block(X: Any, in_tile: str = "", manager: str = "", **options: Any) -> Any:
    """The kernel with X where ``in_tile`` says, and a manager that places tiles itself."""
    if in_tile:
        tile = nl.ndarray(X.shape, dtype=X.dtype, buffer=nl.sbuf if in_tile == "sbuf" else nl.psum)
        if in_tile == "sbuf":
            nisa.dma_copy(dst=tile, src=X)
        X = tile
    if manager:
        options["sbm"] = SbufManager(0, 100 * 1024, tkgcases.QUIET)
        options["sbm"].open_scope()
    return attention_block_tkg(X, **options)


def generation(**sizes: Any) -> dict[str, Any]:
    case = blockcases.Block(
        **{"batch": 2, "heads": 2, "depth": 64, "hidden": 256, "context": 256, "sequence": 1, **sizes}
    )
    case.add_projection()
    return {"X": case.x, **case.options}


def in_eights(**scales: Any) -> dict[str, Any]:
    return {"K_cache": zeros(2, 256, 64, dtype=FP8), "V_cache": zeros(2, 256, 64, dtype=FP8), **scales}


WHOLE = Table(
    "nkilib.experimental.transformer.attention_block_tkg.attention_block_tkg", block, generation,
    [
        *shown(f"{BLOCK}::test_the_first_generations_are_rejected", {"trn2 or later": "trn2"}),
        *shown(f"{BLOCK}::test_x_in_sbuf_has_128_partitions_and_whole_sequences", {"X in SBUF: whole sequences": "multiple of B = 3"}),
        *shown(f"{BLOCK}::test_sizes_are_checked", {
            "B·S at most 128": "B·S must be at most 128", "a rotation needs d = 64 or 128": "64 or 128", "interleaved: B·heads·S at most 512": "512",
        }),
        *shown(f"{BLOCK}::test_what_is_rejected", {
            "d even": "even", "W_qkv has whole heads": "whole heads of 64", "W_qkv has a query head": "at least 3 heads",
            "W_qkv has H rows": "qkv_w must have H = 512 rows", "bias_qkv [1, columns]": "qkv_bias", "both caches 3-D or both 4-D": "3 or 4 dimensions",
            "a cache has one head": "one head", "V_cache has B sequences": "B = 2 sequences",
            "K_cache as V_cache and K_cache_transposed say": "K_cache must be", "the mask has four dimensions": "attention_mask must be [S_ctx, B, heads, S]",
            "the mask [S_ctx, B, heads, S]": "attention_mask must have shape",
            "S_ctx within the cache": "more than the cache", "gamma [1, H]": "rmsnorm_X_gamma", "a norm of X has gamma": "needs norm_w",
            "cos [d/2, B, S]": "cos", "sin [d/2, B, S]": "sin", "norms of heads need d = 128": "d = 128",
            "weights of the norm [1, d]": "rmsnorm_QK_post_rope", "scales need caches of float8_e4m3": "k_scale and v_scale need caches",
            "caches of float8_e4m3 need scales": "all float8_e4m3", "update_cache needs kv_cache_update_idx": "update_cache needs kv_cache_update_idx", "kv_cache_update_idx [B, 1]": "kv_cache_update_idx must have shape",
            "transposed_out needs W_out": "transposed_out needs W_out", "W_out has heads·d rows": "weight must have N·D = 256 rows",
            "blocks: no K_cache_transposed": "blocks", "STATIC needs scales": "STATIC needs qkv_w_scale and qkv_in_scale",
        }),
        *shown(f"{BLOCK}::test_scales_of_another_shape_are_rejected", {"k_scale and v_scale (1, 1) or (128, 1)": "(1, 1) or (128, 1)"}),
        *shown(f"{BLOCK}::test_blocks_of_two_shapes_are_rejected", {"block caches of one shape": "one shape"}),
        *shown(f"{BLOCK}::test_masks_that_do_not_have_a_row_for_each_token_of_the_blocks_are_rejected", {"blocks: a row of the mask for each token": "row for each token"}),
        *shown(f"{BLOCK}::test_keys_that_must_be_turned_are_bfloat16", {"keys of other types into a transposed cache only": "transposed K_cache"}),
        *shown(f"{BLOCK}::test_hidden_sizes_that_cores_do_not_divide", {"H/128 divides by the cores": "divide by the 2 cores"}),
        *shown(f"{BLOCK}::test_rows_of_a_cache_are_counted_exactly", {"a cache of at most 2²⁴ rows": "a cache has at most 511 rows"}),
        *defined(f"{BLOCK}::test_one_scale_quantises_nothing", {"one of k_scale and v_scale": "scale"}),
        *defined(f"{BLOCK}::test_gamma_without_norm_is_not_read", {"gamma without the norm": "gamma"}),
        *defined(f"{BLOCK}::test_no_rotation_without_both_tables", {"one of cos and sin": "cos"}),
        *defined(f"{BLOCK}::test_a_sequence_of_blocks_can_be_left_out", {"blocks: an index of 2³²-1": "NEVER"}),
        refused("K_cache has one head", "K_cache has one head", K_cache=zeros(2, 2, 256, 64), V_cache=zeros(2, 1, 256, 64)),
        refused("blocks: a cache has one head", "V_cache has one head",
                lambda _: {**generation(block=16), **{name: zeros(32, 16, 2, 64) for name in ("K_cache", "V_cache")}}),
        *typed(named("X")),
        *typed(named("X"), dtype=FP8),
        *typed(named("W_qkv", "W_out", "K_cache", "V_cache"), FLOATS_AND_FP8),
        refused("bias_qkv of a float type", f"bias_qkv must be {FLOATS}", bias_qkv=zeros(1, 256, dtype=I32)),
        refused("bias_out of a float type", f"bias_out must be {FLOATS}", bias_out=zeros(1, 256, dtype=I32)),
        refused("X has three dimensions", "X must have 3 dimensions", X=zeros(2, 256)),
        refused("X in SBUF has 128 partitions", "X in SBUF must be [128, B·S, H/128]", X=zeros(64, 2, 2), in_tile="sbuf"),
        refused("X in HBM or SBUF", "X must be in HBM or in SBUF", X=zeros(128, 2, 2, dtype=FP32), in_tile="psum"),
        refused("H in 128s", "H must be a multiple of 128", lambda _: generation(hidden=200)),
        refused("(heads + 2)·d at most 4096", "at most 4096 columns", lambda _: generation(batch=1, heads=31, depth=128)),
        refused("at most 16 query heads", "q_head is 17", lambda _: generation(heads=17, depth=32)),
        refused("at most 8 new tokens", "s_active is 9", lambda _: generation(sequence=9)),
        refused("d at most 128", "at most 128, it is 130", lambda _: generation(depth=130)),
        refused("W_out has H columns", "W_out must have H = 256 columns", W_out=zeros(128, 512)),
        refused("bias_out [1, H]", "bias must have shape (1, 256)", bias_out=zeros(1, 255)),
        refused("weight_dequant_scale_qkv has three columns", "qkv_w_scale must be [128, 3] or [1, 3]",
                W_qkv=zeros(256, 256, dtype=FP8), quantization_type_qkv=STATIC,
                weight_dequant_scale_qkv=zeros(128, 1, dtype=FP32), input_dequant_scale_qkv=zeros(128, 1, dtype=FP32)),
        refused("STATIC of W_out needs scales", "STATIC needs a weight scale and an input scale",
                W_out=zeros(128, 256, dtype=FP8), quantization_type_out=STATIC),
        refused("weight_dequant_scale_out (128, 1)", "the weight scale must have shape (128, 1)",
                W_out=zeros(128, 256, dtype=FP8), quantization_type_out=STATIC,
                weight_dequant_scale_out=zeros(1, 1, dtype=FP32), input_dequant_scale_out=zeros(128, 1, dtype=FP32)),
        refused("projections are NONE or STATIC", "quantization_type must be one of", quantization_type_qkv=blockcases.QuantizationType.ROW),
        refused("W_out is NONE or STATIC", "must be NONE or STATIC", quantization_type_out=blockcases.QuantizationType.ROW),
        refused("a manager leaves addresses to the compiler", "use_auto_alloc", manager="by hand"),
        refused("transposed_out: heads·H at most 163840", "N·H of at most 163840",
                lambda _: {**generation(batch=1, heads=16, depth=2, hidden=10496, context=256), "transposed_out": True}),
        refused("caches of float8_e4m3 need both scales", "all float8_e4m3", **in_eights(k_scale=zeros(1, 1, dtype=FP32))),
        refused("the table is [B, blocks]", "active_blocks_table must be [B, blocks]",
                lambda _: (lambda given: {**given, "active_blocks_table": given["active_blocks_table"][0]})(generation(block=16))),
        refused("blocks: kv_cache_update_idx [B, 1]", "kv_cache_update_idx must have shape (2, 1)",
                lambda _: {**generation(block=16), "update_cache": True, "kv_cache_update_idx": zeros(1, 1, dtype=U32)}),
        beyond("a flat cache has the row that kv_cache_update_idx says, of the last sequence", "outside 0..511",
               update_cache=True, kv_cache_update_idx=np.array([[3], [256]], U32)),
        beyond("flat caches leave out no sequence", "outside 0..511", update_cache=True, kv_cache_update_idx=np.array([[3], [2**32 - 1]], U32)),
        refused("sink [heads, 1]", "sink must have shape (2, 1)", sink=zeros(1, 2, dtype=FP32)),
        refused("the table is uint32", "must be uint32",
                lambda _: (lambda given: {**given, "active_blocks_table": given["active_blocks_table"].astype(I32)})(generation(block=16))),
        *of_number("softmax_scale", kind="an int or float", other=float("nan")),
        *below_0("rmsnorm_X_eps"),
        *below_0("rmsnorm_QK_pre_rope_eps", made=lambda _: {**generation(depth=128), "rmsnorm_QK_pre_rope_enabled": True}),
        *below_0("rmsnorm_QK_post_rope_eps", made=lambda _: {**generation(depth=128), "rmsnorm_QK_post_rope_enabled": True}),
        *laid_out({"W_qkv": "[H, (heads + 2)·d]", "W_out": "[heads·d, H]"}),
        *laid_out({"V_cache": "[…, S_max, d]", "attention_mask": "[S_ctx, B, heads, S]"})[1::2],
        *of_tensors("X"), *of_flags("rmsnorm_X_enabled"), of_class("sbm", SbufManager), *of_number("X_hidden_dim_actual"),
        *of_number("X_hidden_dim_actual", kind="at least 0", other=-1), *of_number("X_hidden_dim_actual", kind="at most 256", other=257),
    ],
    left={
        "a flat cache has the row that kv_cache_update_idx says, of the first sequences": "a number read at run time, which leads to the next",
        "padding of X behind X_hidden_dim_actual is 0": "values",
    },
    lnc=2,
)  # fmt: skip

TABLES = [ENCODING, TOKEN, MASK, GRADIENT, WHOLE]
