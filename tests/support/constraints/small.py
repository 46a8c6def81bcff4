"""Demands of kernels without matrix products: scans, selections, indices, rotary embeddings, losses."""

from __future__ import annotations

from typing import Any

import nki.language as nl
import numpy as np
from blockcheck import FP32, in_sbuf, sbuf
from kernels import cast

from nkilib.core.cumsum import cumsum
from nkilib.core.embeddings.rope import RoPE, RoPE_sbuf
from nkilib.core.embeddings.rope_hf import rope_hf
from nkilib.core.loss import cross_entropy_forward as core_cross_entropy_forward
from nkilib.core.max.cascaded_max import cascaded_max
from nkilib.core.subkernels.indexed_flatten import indexed_flatten
from nkilib.core.topk.rotational_topk import RotationalTopkConfig, TopkConfig, rotational_topk
from nkilib.experimental.benchmark.find_nonzero_indices_with_count import find_nonzero_indices_with_count
from nkilib.experimental.conv.depthwise_conv1d import depthwise_conv1d_implicit_gemm
from nkilib.experimental.loss import cross_entropy_backward, cross_entropy_forward
from nkilib.experimental.subkernels.find_nonzero_indices import find_nonzero_indices

from .base import (
    Row,
    Table,
    beyond,
    defined,
    laid_out,
    named,
    of_flags,
    of_number,
    of_tensors,
    refused,
    shown,
    typed,
    zeros,
)

I32 = np.int32


def ones(*shape: int) -> Any:
    return cast(np.ones(shape), "bfloat16")


SUMS = Table(
    "nkilib.core.cumsum.cumsum.cumsum", cumsum, lambda: {"x": zeros(4, 50)},
    [
        *shown("core/cumsum/test_cumsum.py::test_other_axes", {"the last axis": "along the last axis"}),
        *defined("core/cumsum/test_cumsum.py::test_last_axis", {"the last axis by its number": "axis"}),
        *of_number("axis", other="last"),
        refused("elements to add up", "x must have elements", x=zeros(4, 0)),
        *of_tensors("x"),
    ],
    left={"one axis at least": "a scalar is given to a kernel as a tensor of one element"},
)  # fmt: skip

MAX = "core/max/test_cascaded_max.py"
LARGEST = Table(
    "nkilib.core.max.cascaded_max.cascaded_max", cascaded_max, lambda: {"input_tensor": zeros(2, 128)},
    [
        *shown(f"{MAX}::test_checks", {
            "at most 128 rows of a core": "takes 1 to 128 rows, it would get 129", "at least 128 elements": "at least 128 elements",
            "stages of at most 16384": "a stage of 20000 elements is too long", "rows and columns": "must have rows and columns",
        }),
        *shown(f"{MAX}::test_checks_of_folded_loads", {
            "folded loads are 2-D": "must be 2-D", "folds on 128 partitions": "more than the 128 partitions",
        }, of="nkilib.core.max.cascaded_max_utils"),
        *defined(f"{MAX}::test_padding_is_never_the_maximum", {"maxima below the padding": "value"}),
        *defined(f"{MAX}::test_indices_of_other_types_are_exact", {"indices of rows in bfloat16": "dtype"}),
        *of_tensors("input_tensor"),
    ],
)  # fmt: skip

TOPK = "core/topk/test_rotational_topk.py"


def of_plan(x: Any, planned: Any = (4, 300), shape: Any = (4, 300), k: int = 8) -> Any:
    return rotational_topk(x, RotationalTopkConfig(shape, TopkConfig(planned, x.dtype, k)))


CHOSEN = Table(
    "nkilib.core.topk.rotational_topk.topk", of_plan, lambda: {"x": zeros(4, 300, dtype=FP32)},
    [
        *shown(f"{TOPK}::test_checks", {
            "at most 128 rows of a core": "it would get 129", "k at most V": "k must be 1 to V = 300, it is 301", "k at least 1": "it is 0",
            "stages on 128 partitions": "need more than 128 partitions", "stages of at most 16384": "a stage with 16392 elements is too long",
        }),
        *shown(f"{TOPK}::test_checks_of_the_method", {
            "method is a SupportedTopkMethods": "method must be one of", "no CASCADED": "by CASCADED is not available",
            "topk is subscripted": "write topk[lnc]", "SCANNING of at most 16384": "a stage with 20000 elements is too long",
        }),
        *shown(f"{TOPK}::test_checks_of_configs", {
            "launched on the cores of the plan": "planned for 2 cores, launched on 1", "the input of the plan": "must be [4, V] as planned",
            "2-D input": "the input must be [BxS, V]",
        }),
        *defined(f"{TOPK}::test_low_numbers", {"numbers below the padding": "low"}),
        *defined(f"{TOPK}::test_short_rows", {"stages that overlap the end": "shape"}),
        refused("a plan with k at most V", "k must be 1 to V = 300, it is 301", k=301),
        refused("k at most V of what is searched", "k must be 1 to V = 5, it is 8", shape=(4, 5)),
        *of_number("k"),
        refused("elements to choose from", "the input must have elements", planned=(4, 0)),
    ],
    lnc=2, of="nkilib.core.topk",
)  # fmt: skip

NONZERO = "experimental/subkernels/test_find_nonzero_indices.py"
PLACES = Table(
    "nkilib.experimental.subkernels.find_nonzero_indices.find_nonzero_indices", find_nonzero_indices,
    lambda: {"input_tensor": zeros(128, 4, dtype=I32)},
    [
        *shown(f"{NONZERO}::test_checks", {
            "[T, E]": "must be [T, E]", "elements of 4 bytes": "must have 4 bytes", "row_start_id needs n_rows": "needs n_rows",
            "n_rows at most E": "must be 1 to E = 4", "chunk_size above 0": "chunk_size must be positive",
        }),
        *defined(f"{NONZERO}::test_sizes", {"an odd number of columns, one core": "lnc"}),
        *defined(f"{NONZERO}::test_chunks_of_full_and_empty_tokens", {"chunks that do not divide T": "chunk"}),
        *defined(f"{NONZERO}::test_the_number_of_columns_is_for_a_range", {"n_rows without row_start_id": "(6, 128)"}),
        refused("row_start_id has shape (1,)", "row_start_id must have shape (1,)", row_start_id=zeros(1, 1, dtype=I32), n_rows=2),
        beyond("row_start_id + n_rows at most E", "runs out of hbm tensor", row_start_id=np.array([3], I32), n_rows=2),
        refused("index_dtype has -1", "index_dtype must have -1 and all numbers below T = 128", index_dtype=nl.uint32),
        refused("index_dtype has T - 1", "numbers below T = 300, as int32 has, it is bfloat16", input_tensor=zeros(300, 4, dtype=I32), index_dtype=nl.bfloat16),
        refused("index_dtype is an element type", "as int32 has, it is rows", index_dtype="rows"),
        refused("n_rows at least 1", "n_rows must be 1 to E = 4, it is 0", row_start_id=zeros(1, dtype=I32), n_rows=0),
        *of_number("chunk_size"),
        *of_number("n_rows", made=lambda _: {"row_start_id": zeros(1, dtype=I32)}),
        refused("tokens", "input_tensor must be [T, E] with elements", input_tensor=zeros(0, 4, dtype=I32)),
        *of_tensors("input_tensor"),
    ],
    lnc=2,
)  # fmt: skip
PLACES_OF_ALL = Table(
    "nkilib.experimental.benchmark.find_nonzero_indices_with_count.find_nonzero_indices_with_count",
    find_nonzero_indices_with_count, lambda: {"input_tensor": zeros(1, 128, dtype=I32)},
    [
        refused("[1, T]", "input_tensor must be [1, T]", input_tensor=zeros(2, 128, dtype=I32)),
        refused("tokens", "input_tensor must be [1, T]", input_tensor=zeros(1, 0, dtype=I32)),
        refused("float32 or int32", "must be float32 or int32", input_tensor=zeros(1, 128)),
        *of_tensors("input_tensor"),
    ],
)  # fmt: skip

FLATTEN = "core/subkernels/test_indexed_flatten.py"
FLATTENED = Table(
    "nkilib.core.subkernels.indexed_flatten.indexed_flatten", indexed_flatten,
    lambda: {"input_tensor": zeros(2, 2048, dtype=I32), "f_len": 128, "output_len": 4096, "row_offsets": np.array([0, 16], I32)},
    [
        *shown(f"{FLATTEN}::test_checks", {
            "output_len in 128s": "multiple of 128", "output_len in f_lens": "output_len 3968 must be a multiple of f_len", "T in f_lens": "T = 2100",
            "16s of blocks in T": "multiple of 16, it is 8", "an offset for each row": "one entry for each of 2 rows",
            "an offset for each row from the start on": "at least 2 entries", "[E, T]": "[E, T]", "f_len above 0": "f_len must be positive",
        }),
        *defined(f"{FLATTEN}::test_blocks_out_of_range_are_left_out", {"offsets beyond the output, or below 0": "offset"}),
        *defined(f"{FLATTEN}::test_values_smaller_than_the_padding_are_lost_to_the_other_core", {"values below the padding": "padding"}),
        *defined(f"{FLATTEN}::test_overlaps", {"rows that overlap": "[0, 8, 30, 38]"}),
        beyond("start + E at most N", "runs out of hbm tensor", row_offsets=np.array([0, 16, 0], I32), row_offsets_start=np.array([2], I32)),
        beyond("start not negative", "outside 0..2", row_offsets=np.array([0, 16, 0], I32), row_offsets_start=np.array([-1], I32)),
        refused("row_offsets_start has shape (1,)", "row_offsets_start must have shape (1,)", row_offsets_start=zeros(2, dtype=I32)),
        *of_number("f_len", "output_len"),
        *of_number("output_len", kind="at least 1", other=0),
        *of_number("output_len", kind=f"at most {2**31 - 1}", other=2**31),
        *of_number("padding_val", kind="an int or float", other="none"),
        refused(
            "at most 2²⁴ blocks", "at most 16777216 blocks can be counted, of T and output_len: 16777232",
            input_tensor=zeros(2, 16, dtype=I32), f_len=1, output_len=1 << 24,
        ),
        refused("rows", "input_tensor must be [E, T] with elements", input_tensor=zeros(0, 2048, dtype=I32)),
        *laid_out({"row_offsets": "[N]"}),
        *of_tensors("input_tensor"),
    ],
    lnc=2,
)  # fmt: skip

CONV = "experimental/conv/test_depthwise_conv1d.py"
CONVOLVED = Table(
    "nkilib.experimental.conv.depthwise_conv1d.depthwise_conv1d_implicit_gemm", depthwise_conv1d_implicit_gemm,
    lambda: {"img_ref": zeros(1, 4, 1, 60), "filter_ref": zeros(4, 1, 1, 5), "feature_group_count": 4},
    [
        *shown(f"{CONV}::test_checks", {
            "as many groups as channels": "feature_group_count must be C = 4, it is 1", "rows have stride 1": "stride must be (1, at least 1)", "strides of at least 1": "stride must be at least 1",
            "no dilation": "dilations must be (1, 1)", "one batch group": "batch_group_count must be 1", "a result": "longer than the image",
            "the image [N, C, 1, W]": "must be [N, C, 1, W]", "channels divide by the cores": "C = 5 must divide by the 2 cores",
            "the filter [C, 1, 1, S]": "the filter must have shape",
        }),
        *defined(f"{CONV}::test_only_zeros_beside_the_image_count", {"padding of the other axis does nothing": "above="}),
        *defined(f"{CONV}::test_one_channel_needs_no_groups_and_permutations_are_ignored", {"permutations do nothing": "perm"}),
        *typed({"img_ref": "the image", "filter_ref": "the filter"}),
        refused(
            "an image with elements", "the image must have elements", img_ref=zeros(1, 4, 1, 0), padding=((0, 0), (3, 3))
        ),
        refused("a filter with elements", "the filter must have elements", filter_ref=zeros(4, 1, 1, 0)),
        *of_tensors("img_ref"),
        refused("padding of two axes", "padding must be 2 pairs, it is (1, 2, 3)", padding=(1, 2, 3)),
        refused("padding before and behind each axis", "padding must be 2 integers, it is (1,)", padding=((0, 0), (1,))),
        refused("padding of integers", "padding must be an int, it is 0.5", padding=((0, 0), (0.5, 1))),
        refused("padding at least 0", "padding must be at least 0, it is -1", padding=((0, 0), (-1, 1))),
        refused("padding of the other axis, too", "padding must be 2 integers, it is 0", padding=(0, (0, 0))),
        refused("two strides", "stride must be 2 integers, it is 2", stride=2),
        refused("two dilations", "rhs_dilation must be 2 integers, it is (1, 1, 1)", rhs_dilation=(1, 1, 1)),
    ],
    lnc=2,
)  # fmt: skip

LOSS = "experimental/loss/test_cross_entropy.py"


def losing(function: str, of_results: str = "results must be bfloat16 or float32") -> list[Row]:
    return [
        *shown(f"{LOSS}::test_checks", {
            "logits [N, V]": f"{function}: logits must be [N, V]", "targets [N]": f"{function}: targets must be [N]", "a target for each row": f"{function}: there are 3 rows of logits and 4 targets",
            "targets int32": f"{function}: targets must be int32", "logits bfloat16 or float32": f"{function}: logits must be bfloat16 or float32",
            "chunk_size above 0": f"{function}: chunk_size must be positive", "chunk_size at most V": f"{function}: chunk_size must be at most V = 300",
            "chunk_size at most 65536": f"{function}: chunk_size must be at most 65536", "positions_per_batch 1 to 128": f"{function}: positions_per_batch must be 1 to 128",
            "at most 24 MiB": f"{function}: positions_per_batch times chunk_size takes 33554432 bytes",
        }),
        *shown(f"{LOSS}::test_empty_logits", {"logits not empty": f"{function}: logits must not be empty"}),
        refused("chunk_size an int", f"{function}: chunk_size must be an int, it is 100.0", chunk_size=100.0),
        refused("positions_per_batch an int", f"{function}: positions_per_batch must be an int, it is True", positions_per_batch=True),
        refused("dtype bfloat16 or float32", f"{function}: {of_results}", dtype=nl.int32),
        refused("dtype not float16", f"{function}: {of_results}", dtype=nl.float16),
        *of_tensors("logits_hbm"),
        refused("logits with a vocabulary", f"{function}: logits must not be empty", logits_hbm=zeros(3, 0), chunk_size=1),
    ]  # fmt: skip


def logits() -> dict[str, Any]:
    return {"logits_hbm": zeros(3, 300), "targets_hbm": zeros(3, dtype=I32), "chunk_size": 300}


UNSEEN = {"targets of 0 to V - 1": "numbers read at run time, which are documented as not checked"}
CORE_LOSS = "nkilib.core.loss.cross_entropy"
LOSSES = Table(
    "nkilib.experimental.loss.cross_entropy.cross_entropy_forward", cross_entropy_forward, logits,
    losing("cross_entropy_forward"), UNSEEN, lnc=2, of=f"{CORE_LOSS}.cross_entropy_forward",
)  # fmt: skip
CORE_LOSSES = Table(
    f"{CORE_LOSS}.cross_entropy_forward", core_cross_entropy_forward, logits,
    [
        *losing("cross_entropy_forward"),
        *defined(f"{LOSS}::test_both_forwards_are_one", {"the same as the experimental one": "core"}),
    ],
    UNSEEN, lnc=2,
)  # fmt: skip
LOSS_GRADIENTS = Table(
    "nkilib.experimental.loss.cross_entropy.cross_entropy_backward", cross_entropy_backward,
    lambda: {**logits(), "lse_state_hbm": zeros(3, dtype=FP32)},
    [
        *losing("cross_entropy_backward"),
        *shown(f"{LOSS}::test_checks_of_the_gradient", {
            "mean or sum": "reduction must be 'mean' or 'sum', it is 'none'", "lse [N]": "lse_state must be [N]",
            "an lse for each row": "entries of lse_state", "lse bfloat16 or float32": "lse_state must be bfloat16 or float32",
        }),
        *of_flags("inplace"),
    ],
    UNSEEN, lnc=2,
)  # fmt: skip

ROPE = "core/embeddings/test_rope.py"
ROTATED = Table(
    "nkilib.core.embeddings.rope.RoPE", RoPE,
    lambda: {"x_in": ones(64, 1, 2, 16), "cos": ones(32, 1, 16), "sin": ones(32, 1, 16), "lnc_shard": True},
    [
        *shown(f"{ROPE}::test_checks", {
            "d of 64 or 128": "d must be 64 or 128", "S divides by the cores": "must divide by the 2 cores", "cos [d/2, B, S]": "cos must have shape",
            "sin [d/2, B, S]": "sin must have shape", "cos and sin of one dtype": "cos and sin must have one dtype", "[d, B, N, S]": "must be [d, B, N, S]",
        }),
        *defined(f"{ROPE}::test_odd_lengths_are_for_each_core_alone", {"an odd S without lnc_shard": "lnc"}),
        *typed({"x_in": "x"}),
        refused("cos and sin of a float type", "cos and sin must be bfloat16, float16 or float32", cos=zeros(32, 1, 16, dtype=I32), sin=zeros(32, 1, 16, dtype=I32)),
        refused("B, N, S above 0", "B, N and S must be positive", x_in=zeros(64, 1, 2, 0), cos=zeros(32, 1, 0), sin=zeros(32, 1, 0)),
        *of_tensors("x_in"), *of_flags("lnc_shard"),
    ],
    left={"B·N·S within SBUF": "what does not fit is the allocator's error"},
    lnc=2,
)  # fmt: skip


def tile(
    x: Any, cos: Any, sin: Any, shape: Any = (64, 1, 2, 16), dtype: Any = nl.bfloat16, turned: bool = False
) -> None:
    RoPE_sbuf(in_sbuf(x), in_sbuf(cos), in_sbuf(sin), sbuf(shape, dtype), turned)


ROTATED_TILE = Table(
    "nkilib.core.embeddings.rope.RoPE_sbuf", tile,
    lambda: {"x": ones(64, 1, 2, 16), "cos": ones(32, 1, 16), "sin": ones(32, 1, 16)},
    [
        *shown(f"{ROPE}::test_contiguous_tiles_may_be_larger", {"interleaved: B·N·S at most 512": "at most 512"}),
        *shown(f"{ROPE}::test_sizes_of_tiles_are_checked", {"x_out_sb of the dtype of x_in_sb": "dtype of x_in_sb", "x_out_sb as x_in_sb": "x_out_sb must have shape"}),
        refused("d of 64 or 128", "d must be 64 or 128, it is 32", x=ones(32, 1, 2, 16)),
        refused("cos [d/2, B, S]", "cos must have shape (32, 1, 16)", cos=ones(32, 1, 15)),
        refused("sin [d/2, B, S]", "sin must have shape (32, 1, 16)", sin=ones(16, 1, 16)),
        refused("cos and sin of one dtype", "cos and sin must have one dtype", sin=zeros(32, 1, 16, dtype=FP32)),
        refused("x_in_sb of a float type", "x must be bfloat16, float16 or float32", x=zeros(64, 1, 2, 16, dtype=I32), dtype=nl.int32),
    ],
)  # fmt: skip

PAIRS = "core/embeddings/test_rope_hf.py"


def pairs() -> dict[str, Any]:
    q, k = ones(1, 2, 128, 64), ones(1, 1, 128, 64)
    return {
        "q": q,
        "k": k,
        "q_out": zeros(*q.shape),
        "k_out": zeros(*k.shape),
        "cos": ones(128, 64),
        "sin": ones(128, 64),
    }


ROTATED_PAIRS = Table(
    "nkilib.core.embeddings.rope_hf.rope_hf", rope_hf, pairs,
    [
        *shown(f"{PAIRS}::test_checks", {
            "rope_cache, or cos and sin": "not both", "cos and sin": "both cos and sin", "tables of d columns": "must have 64 columns",
            "cos and sin of one shape": "one shape", "rope_cache of 2d columns": "must have 128 columns", "a row for each position": "at least 256 rows",
            "tables of the batch": "batch of 3", "tables of two or three dimensions": "must be [s', 128]", "q has four dimensions": "q must be [b, hq, s, d]",
            "q and k of one d": "one head size", "s in 128s of each core": "multiple of 256 on 2 cores",
        }),
        refused("sin of d columns", "sin must have 64 columns, it has 128", sin=ones(128, 128)),
        *typed(named("q", "k", "q_out", "k_out", "cos", "sin")),
        refused("rope_cache of a float type", "rope_cache must be bfloat16, float16 or float32", rope_cache=zeros(128, 128, dtype=I32), cos=None, sin=None),
        refused("k of the batch of q", "k must have shape (1, 1, 128, 64)", k=ones(2, 1, 128, 64)),
        refused("k of the length of q", "k must have shape (1, 1, 128, 64)", k=ones(1, 1, 256, 64)),
        refused("q_out as q", "q_out must have shape (1, 2, 128, 64)", q_out=zeros(1, 1, 128, 64)),
        refused("k_out as k", "k_out must have shape (1, 1, 128, 64)", k_out=zeros(1, 2, 128, 64)),
        refused("d even", "d must be even, it is 63", q=ones(1, 2, 128, 63), k=ones(1, 1, 128, 63), cos=ones(128, 63), sin=ones(128, 63),
                q_out=zeros(1, 2, 128, 63), k_out=zeros(1, 1, 128, 63)),
        *of_tensors("q"), *of_flags("backward"),
    ],
)  # fmt: skip

TABLES = [
    SUMS, LARGEST, CHOSEN, PLACES, PLACES_OF_ALL, FLATTENED, CONVOLVED, LOSSES, CORE_LOSSES, LOSS_GRADIENTS, ROTATED,
    ROTATED_TILE, ROTATED_PAIRS,
]  # fmt: skip
