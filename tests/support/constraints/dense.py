"""Demands of the MLP, of QKV, of the output projections and of the norms."""

from __future__ import annotations

from typing import Any

import nki.language as nl
import numpy as np
import qkvs
from blockcheck import FP8, FP16, FP32, in_sbuf, sbuf
from qkvs import PLAIN, STATIC

from nkilib.core.mlp.mlp import mlp
from nkilib.core.mlp.mlp_tkg.projection_mx_constants import ProjConfig
from nkilib.core.output_projection.output_projection_cte import output_projection_cte
from nkilib.core.output_projection.output_projection_tkg import output_projection_tkg
from nkilib.core.qkv.qkv import qkv
from nkilib.core.qkv.qkv_cte import qkv_cte
from nkilib.core.qkv.qkv_tkg import qkv_tkg
from nkilib.core.rmsnorm.rmsnorm_quant import RmsNormQuantKernelArgs, rmsnorm_quant_kernel
from nkilib.core.subkernels.layernorm_tkg import layernorm_tkg
from nkilib.core.subkernels.rmsnorm_mx_quantize_tkg import rmsnorm_mx_quantize_tkg
from nkilib.core.subkernels.rmsnorm_tkg import rmsnorm_tkg
from nkilib.core.utils.allocator import SbufManager
from nkilib.core.utils.common_types import NormType, QKVOutputLayout, QuantizationType

from .base import (
    FLOATS,
    FLOATS_AND_E4M3,
    FLOATS_AND_FP8,
    Table,
    below_0,
    beyond,
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


def eights(*shape: int) -> Any:
    return zeros(*shape, dtype=FP8)


# -- MLP --------------------------------------------------------------------------------------------------

MLP, INSIDE, PARAMETERS = (f"core/mlp/test_mlp_{name}.py" for name in ("checks", "options", "parameters"))
GATE, UP, DOWN = "gate_proj_weights_tensor", "up_proj_weights_tensor", "down_proj_weights_tensor"


def few(tokens: int = 4) -> dict[str, Any]:
    weights = {GATE: zeros(256, 130), UP: zeros(256, 130), DOWN: zeros(130, 256)}
    return {"hidden_tensor": zeros(1, tokens, 256), **weights}


MANY = {"hidden_tensor": zeros(1, 98, 256)}
FEED = Table(
    "nkilib.core.mlp.mlp.mlp", mlp, few,
    [
        *shown(f"{MLP}::test_both_modes", {
            "hidden is required": "hidden_tensor is required", "the gate's weight is required": f"{GATE} is required",
            "the up weight is required": f"{UP} is required", "the down weight is required": f"{DOWN} is required", "hidden has three dimensions": "hidden_tensor must have 3 dimensions",
            "there are tokens": "must have tokens", "the gate's weight [H, I]": "must be [H, I]", "H in 128s": "multiple of 128, it is 200",
            "H and I above 0": "H and I must be positive", "the up weight [H, I]": "must have shape (256, 130)",
            "the down weight [I, H]": "must have shape (130, 256)", "hidden of H columns": "hidden_tensor must have shape",
            "norm weights [1, H]": "normalization_weights_tensor must have", "norm bias [1, H]": "normalization_bias_tensor must have",
            "fused add as hidden": "fused_add_tensor must have shape", "gate bias [1, I]": "gate_proj_bias_tensor must have shape (1, 130)",
            "up bias [1, I]": "up_proj_bias_tensor must have shape (1, 130)", "down bias [1, H]": "down_proj_bias_tensor must have shape (1, 256)",
            "hidden not float32": "hidden_tensor must be float16", "the gate's weight not float32": f"{GATE} must be float16, bfloat16 or float8_e4m3, its dtype is float32",
            "the up weight not float32": f"{UP} must be float16", "the down weight not float32": f"{DOWN} must be float16",
            "norm weights not float32": "normalization_weights_tensor must be", "norm bias not float32": "normalization_bias_tensor must be",
            "fused add not float32": "fused_add_tensor must be", "gate bias not float32": "gate_proj_bias_tensor must be",
            "up bias not float32": "up_proj_bias_tensor must be", "down bias not float32": "down_proj_bias_tensor must be",
            "norm bias with LAYER_NORM only": "is for LAYER_NORM",
            "ROW: gate scale [128, I]": "gate_w_scale must have shape (128, 130)", "ROW: up scale [128, I]": "up_w_scale must have shape (128, 130)",
            "ROW: down scale [128, H]": "down_w_scale must have shape (128, 256)", "gate_w_scale float32": "gate_w_scale must be float32",
            "up_w_scale float32": "up_w_scale must be float32", "down_w_scale float32": "down_w_scale must be float32",
            "ROW needs its scales": "needs gate_w_scale", "STATIC needs its scales": "needs down_w_scale",
            "STATIC needs input scales": "gate_up_in_scale and down_in_scale", "STATIC: weight scales [128, 1]": "down_w_scale must have shape (128, 1)",
            "STATIC: gate_up_in_scale [128, 1]": "gate_up_in_scale must have shape", "STATIC: down_in_scale [128, 1]": "down_in_scale must have shape",
            "gate_up_in_scale float32": "gate_up_in_scale must be float32", "down_in_scale float32": "down_in_scale must be float32", "no MX weights": f"{GATE} must be float16, bfloat16 or float8_e4m3, its dtype is uint8",
        }),
        *shown(f"{MLP}::test_token_generation_divides_the_hidden_dimension", {
            "mlp_tkg: no shard_on_h_disabled": "shard_on_h_disabled is for experts",
        }, of="nkilib.core.mlp.mlp_tkg.mlp_tkg"),
        *shown(f"{PARAMETERS}::test_sequence_lengths_beyond_the_sequence", {
            "override_seq_len: within the sequence": "seq_len must be 1 to 5",
        }, of="nkilib.core.mlp.mlp_parameters"),
        *shown(f"{PARAMETERS}::test_inner_sizes_beyond_the_columns", {
            "override_inter_size: within the columns": "the intermediate size must be 1 to 130",
        }, of="nkilib.core.mlp.mlp_parameters"),
        *shown(f"{MLP}::test_the_grid_has_one_dimension", {"a grid of one dimension": "at most 1 dimension, it has 2"}),
        *shown(f"{MLP}::test_token_generation", {
            "few tokens: the optimized layout without column tiling": "use_tkg_down_proj_column_tiling=False",
            "few tokens: H/128 divides by the cores": "2 cores", "few tokens: the swapped product fits 8 banks": "need 9 banks",
        }),
        *shown(f"{MLP}::test_hidden_state_in_sbuf", {
            "hidden in SBUF: no result in SBUF, no stored sum": "neither store_output_in_sbuf nor",
            "hidden in SBUF [128, T, H/128]": "hidden_tensor must have shape (128, 4, 2)", "many tokens: hidden in HBM": "takes hidden_tensor from HBM",
        }),
        *shown(f"{MLP}::test_context_encoding", {
            "many tokens: no skip_gate_proj": "skip_gate_proj", "many tokens: no clamps": "clamps", "many tokens: no result in SBUF": "store_output_in_sbuf",
            "many tokens: no optimized layout": "use_tkg_down_proj_optimized_layout", "many tokens: quantised hidden": "takes an fp8 hidden_tensor",
        }),
        *defined(f"{MLP}::test_context_encoding", {"force_cte_mode: few tokens are as many": "force_cte_mode=tokens == FEW"}),
        *shown(f"{MLP}::test_quantised_context_encoding", {
            "quantised: no norm": "has no norm", "quantised: no fused add": "has no fused add", "quantised: no biases": "no projection biases",
            "STATIC: hidden without scales": "hidden_tensor must have shape (1, 98, 256)",
        }),
        *shown(f"{MLP}::test_row_quantised_tokens_have_their_scales", {"ROW: hidden with scales": "hidden_tensor must have shape (1, 98, 260)"}),
        *shown(f"{MLP}::test_tokens_divide_by_the_cores", {"many tokens: B·S divides by the cores": "must divide by the 2 cores"}),
        *defined(f"{INSIDE}::test_without_a_norm_its_weights_are_not_read", {"NO_NORM: weights of the norm": "np.nan"}),
        *defined(f"{INSIDE}::test_a_norm_without_weights", {"RMS_NORM_SKIP_GAMMA for few tokens": "SKIP"}),
        *defined(f"{INSIDE}::test_many_and_few_inner_columns", {"any I, beyond 4096 too": "5001"}),
        *defined(f"{INSIDE}::test_some_of_the_biases", {"some of the biases": "bias"}),
        of_type("output_dtype", FLOATS_AND_FP8),
        refused("activation_fn is an ActFnType", "silu is no ActFnType", activation_fn="silu"),
        refused("many tokens: activation_fn is an ActFnType", "None is no ActFnType", activation_fn=None, **MANY),
        refused("normalization_type is a NormType", "1 is no NormType", normalization_type=1),
        *of_number("gate_clamp_upper_limit", "gate_clamp_lower_limit", "up_clamp_upper_limit", "up_clamp_lower_limit", kind="an int or float", other=float("nan")),
        *below_0("eps", made=lambda _: {"normalization_type": NormType.RMS_NORM, "normalization_weights_tensor": zeros(1, 256)}),
        of_class("quantization_type", QuantizationType), *of_number("quant_clipping_bound", kind="an int or float", other="half"),
        *of_tensors("hidden_tensor"), *of_flags("store_fused_add_result"),
    ],
)  # fmt: skip

# -- products of MX weights -------------------------------------------------------------------------------

DOWN_MX, UP_MX = "core/mlp/test_down_mx.py", "core/mlp/test_gate_up_mx.py"
PROJECTIONS = Table(
    "nkilib.core.mlp.mlp_tkg.projection_mx_constants.ProjConfig",
    lambda H=1024, I=384, BxS=4, n_prgs=2: ProjConfig(H, I, BxS, n_prgs, 0) and None,  # noqa: E741
    rows=[
        *shown(f"{DOWN_MX}::test_configurations_that_cannot_be", {
            "H in 128s": "H must be a multiple of 128", "H/128 divides by the cores": "must divide by 2 cores", "a core's H in 512s": "must be a multiple of 512",
            "I in 32s": "I must be a multiple of 32", "out_p_offset of 0, 32, 64 or 96": "out_p_offset must be 0, 32, 64 or 96",
            "tokens fit behind out_p_offset": "do not fit",
        }),
        *shown(f"{DOWN_MX}::test_sizes_that_do_not_fit", {"tokens on partitions: at most 128": "at most 128 tokens, there are 129"}),
        *shown(f"{DOWN_MX}::test_shapes_that_do_not_fit", {
            "inter_sb": "inter_sb must have shape", "down: weight": "weight must have shape", "down: weight_scale": "weight_scale must have shape", "down, H on partitions: bias_sb": "bias_sb must have shape (128, 8)",
            "down, tokens on partitions: bias_sb": "It is (1 or 128, H/cores)",
        }),
        *shown(f"{DOWN_MX}::test_weights_in_sbuf_of_another_shape", {
            "down: weight in SBUF": "weight must have shape (128, 1, 1024)", "down: weight_scale in SBUF": "weight_scale must have shape (128, 1, 1024)",
        }),
        *shown(f"{UP_MX}::test_shapes_that_do_not_fit", {
            "hidden_qtz_sb": "hidden_qtz_sb must have shape", "hidden_scale_sb": "hidden_scale_sb must have shape", "gate, up: weight_qtz": "weight_qtz must have shape",
            "gate, up: weight_scale": "weight_scale must have shape", "gate, up: bias_sb": "bias_sb must have shape",
        }),
        *shown(f"{UP_MX}::test_a_bias_for_both_projections_has_both", {"a shared bias": "bias_sb must have shape (128, 2, 1, 4)"}),
        *shown(f"{UP_MX}::test_weights_in_sbuf_of_another_shape", {
            "gate, up: weight_qtz in SBUF": "weight_qtz must have shape (128, 2, 192)", "gate, up: weight_scale in SBUF": "weight_scale must have shape (128, 2, 192)",
        }),
        *shown(f"{UP_MX}::test_fused_shapes_that_do_not_fit", {
            "fused: weights": "gate_up_weights of one expert must be", "fused: bias": "gate_up_bias must have shape", "fused: hidden_scale": "hidden_scale must have shape",
        }),
        *shown(f"{UP_MX}::test_fused_tiles_that_do_not_fit", {
            "fused: gate_up_scale_sb": "gate_up_scale_sb must have shape", "fused: output": "output must have shape", "fused: hidden": "hidden must have shape",
        }),
    ],
    of="nkilib.core.mlp.mlp_tkg",
)  # fmt: skip

# -- QKV --------------------------------------------------------------------------------------------------

DISPATCH, CTE, TKG = (f"core/qkv/test_{name}.py" for name in ("qkv", "qkv_cte", "qkv_tkg"))


def static(**more: Any) -> dict[str, Any]:
    scales = {"qkv_w_scale": qkvs.scale([1, 1, 1]), "qkv_in_scale": qkvs.scale(1)}
    return {"quantization_type": STATIC, **scales, **qkvs.heads(1, 1), **more}


PROJECTED = Table(
    "nkilib.core.qkv.qkv.qkv", qkv, lambda: {"input": zeros(1, 4, 256), "fused_qkv_weights": zeros(256, 384)},
    [
        *shown(f"{DISPATCH}::test_what_inputs_in_sbuf_cannot_have", {
            "input in SBUF: at most 96 tokens": "at most 96 tokens, it has 97", "input in SBUF: no fused_rope": "goes without fused_rope",
            "input in SBUF: no MX, swizzle, caches": "input in SBUF goes without",
        }),
        *shown(f"{DISPATCH}::test_what_neither_kernel_does", {
            "few tokens: no NBdS": "exception: output_layout must be BSD or NBSd", "many tokens: no NBdS": "[QKV CTE Kernel] output_layout must be BSD or NBSd",
             "few tokens: no RMS_NORM_SKIP_GAMMA": "norm_type must be NO_NORM, RMS_NORM or LAYER_NORM",
            "few tokens: B·S at most 128": "B·S must be at most 128, it is 192",
        }),
        *defined(f"{DISPATCH}::test_dispatch", {"few tokens with what only context encoding has": "caches("}),
        *laid_out({"input": "[B, S, H]"}),
        *of_tensors("input"), *of_flags("fused_residual_add"),
    ],
)  # fmt: skip


def slotted(_: Any) -> dict[str, Any]:
    """A block cache of 256 rows; the last slots are behind it."""
    caches = {name: zeros(16, 16, 128) for name in ("k_cache", "v_cache")}
    scales = {name: qkvs.scale(1) for name in ("k_scale", "v_scale")}
    slots = np.arange(200, 328, dtype=np.int32)[None]
    return {
        **qkvs.heads(1, 1),
        **caches,
        **scales,
        "fp8_max": 1.0,
        "fp8_min": -1.0,
        "use_block_kv": True,
        "block_size": 16,
        "slot_mapping": slots,
    }


def encoded(input: Any, in_tile: bool = False, **options: Any) -> Any:
    return qkv_cte(in_sbuf(input) if in_tile else input, **options)


def everything(_: Any) -> dict[str, Any]:
    """All tensors that a call can have beside the first two."""
    row, rows, angles = zeros(1, 256), zeros(1, 128, 256), zeros(1, 128, 128)
    return {
        **qkvs.heads(1, 1),
        "bias": zeros(1, 384),
        "fused_residual_add": True,
        "mlp_prev": rows,
        "attention_prev": rows,
        "fused_norm_type": NormType.LAYER_NORM,
        "gamma_norm_weights": row,
        "layer_norm_bias": row,
        "fused_rope": True,
        "cos_cache": angles,
        "sin_cache": angles,
    }


PROJECTED_CTE = Table(
    "nkilib.core.qkv.qkv_cte.qkv_cte", encoded, lambda: {"input": zeros(1, 128, 256), "fused_qkv_weights": zeros(256, 384)},
    [
        *shown(f"{CTE}::test_limits", {
            "H at most 24576": "H must be at most 24576, it is 24704", "H in 128s": "H must be a multiple of 128, it is 200", "input [B, S, H]": "input must be [B, S, H]",
            "I at most 4096": "I must be at most 4096, it is 4224", "weights of H rows": "must have 512 rows", "BSD or NBSd": "output_layout must be BSD or NBSd",
            "NBSd with d_head of 128": "NBSd needs d_head = 128, it is 64", "NBSd with d_head": "NBSd needs d_head = 128, it is None",
            "NBSd: I in heads": "NBSd needs I in heads of 128", "bias [1, I]": "] bias must have shape (1, 512)", "hidden_actual at most H": "hidden_actual must be at most H = 512",
            "residuals: both": "fused_residual_add needs mlp_prev and attention_prev", "residuals: mlp_prev as input": "mlp_prev must have shape",
            "residuals: attention_prev as input": "attention_prev must have shape", "residuals with the flag only": "go with fused_residual_add only",
            "norms need gamma": "needs gamma_norm_weights", "gamma [1, H]": "gamma_norm_weights must have shape",
            "no gamma with NO_NORM": "gamma_norm_weights do not go with NormType.NO_NORM", "no gamma with SKIP_GAMMA": "gamma_norm_weights do not go with",
            "norms need eps": "needs norm_eps", "beta with LAYER_NORM only": "layer_norm_bias goes with LAYER_NORM only",
            "beta [1, H]": "layer_norm_bias must have shape (1, 512)", "heads make up I": "heads of 128 must be I = 512 columns",
            "tables with fused_rope only": "go with fused_rope only", "fused_rope: both tables": "fused_rope needs both caches",
            "fused_rope: numbers of heads": "fused_rope needs num_q_heads and num_kv_heads", "cos [B, S, d]": "cos_cache must have shape",
            "sin [B, S, d]": "sin_cache must have shape", "no result in SBUF": "store_output_in_sbuf is not available",
            "NONE, STATIC or MX": "quantization_type must be one of", "STATIC: fp8 weights": "STATIC needs fp8", "STATIC: scales": "STATIC needs qkv_w_scale and qkv_in_scale",
            "STATIC: three weight scales": "qkv_w_scale must be [128, 3] or [1, 3]", "STATIC: heads": "STATIC needs d_head, num_q_heads and num_kv_heads",
            "k_scale and v_scale together": "k_scale and v_scale go together", "caches: BSD": "k_scale and v_scale go with BSD only",
            "caches: heads": "need num_q_heads, num_kv_heads and d_head", "caches: both": "need both caches", "k_scale [128, 1]": "k_scale must have shape (128, 1)",
            "v_scale [128, 1]": "v_scale must have shape (128, 1)", "caches: limits of other dtypes": "has no largest value: give fp8_max and fp8_min",
            "caches: S rows": "must be [1, ≥ 128, 128]", "caches: rows of the heads": "v_cache must have rows of 128",
            "blocks: slot_mapping and block_size": "use_block_kv needs slot_mapping and block_size", "slot_mapping [B, S]": "slot_mapping must have shape (1, 128)",
            "blocks of block_size": "must have blocks of block_size = 8", "MX: no caches": "do not go with MX", "MX: H/4 rows": "must have 128 rows",
            "MX: packed weights": "fused_qkv_weights must be float4_e2m1fn_x4", "MX: uint8 scales": "qkv_w_scale must be uint8",
            "MX: scales": "MX needs qkv_w_scale", "MX: scales [H/32, I]": "qkv_w_scale must have shape (16, 512)", "MX: an even number of tokens": "MX needs an even number of tokens",
            "MX: H in 512s": "MX needs H in multiples of 512, it is 384", "swizzled: MX": "is_input_swizzled goes with MX only", "swizzled: NO_NORM": "goes with NO_NORM",
            "swizzled: no residuals": "without fused_residual_add",
        }),
        *shown(f"{CTE}::test_a_manager_and_what_is_said_of_it_must_agree", {"use_auto_allocation is what sbm does": "use_auto_allocation must say what sbm does"}),
        *defined(f"{CTE}::test_heads_that_do_not_divide_a_bank", {"fused_rope: d that does not divide 512": "96"}),
        refused("input in HBM", "input must be in HBM", input=zeros(1, 8, 256), in_tile=True),
        *typed(named("input")),
        *typed(named("input"), dtype=FP8),
        *typed(named("fused_qkv_weights"), FLOATS_AND_FP8),
        *typed(named("bias", "mlp_prev", "attention_prev", "gamma_norm_weights", "layer_norm_bias", "cos_cache", "sin_cache"), made=everything),
        *typed(named("k_cache", "v_cache"), FLOATS_AND_FP8, made=slotted),
        of_type("kv_dtype", FLOATS_AND_FP8, made=slotted),
        refused("caches of kv_dtype", "k_cache must have kv_dtype, float8_e5m2, its dtype is bfloat16", lambda _: {**slotted(_), "kv_dtype": nl.float8_e5m2}),
        refused("fp8_min at most fp8_max", "fp8_min must be at most fp8_max, they are 2.0 and 1.0", lambda _: {**slotted(_), "fp8_max": 1.0, "fp8_min": 2.0}),
        *typed(named("qkv_w_scale", "qkv_in_scale"), made=lambda _: {**static(), "fused_qkv_weights": eights(256, 384)}),
        refused("fused_norm_type is a NormType", "1 is no NormType", fused_norm_type=1, gamma_norm_weights=zeros(1, 256)),
        refused("STATIC: heads make up I", "2 + 2·1 heads of 128 must be I = 384 columns",
                **static(num_q_heads=2), fused_qkv_weights=eights(256, 384)),
        refused("STATIC: one input scale", "qkv_in_scale must be [128, 1] or [1, 1]",
                **static(qkv_in_scale=qkvs.scale([1, 1])), fused_qkv_weights=eights(256, 384)),
        refused("fused_rope: d even", "heads of an even size, it is 63", **qkvs.heads(1, 1, 63), fused_qkv_weights=zeros(256, 189),
                fused_rope=True, cos_cache=zeros(1, 128, 63), sin_cache=zeros(1, 128, 63)),
        beyond("slots within the cache", "outside 0..255", slotted),
        beyond("slots not negative", "outside 0..255", lambda given: {**slotted(given), "slot_mapping": np.arange(-1, 127, dtype=np.int32)[None]}),
        refused("caches: v_cache of S rows", "must be [1, ≥ 128, 128]", **qkvs.heads(1, 1), k_cache=zeros(1, 128, 128), v_cache=zeros(1, 127, 128),
                k_scale=qkvs.scale(1), v_scale=qkvs.scale(1), fp8_max=1.0, fp8_min=-1.0),
        *of_number("d_head", "num_q_heads", "num_kv_heads", "hidden_actual"),
        *below_0("d_head", "num_q_heads", "num_kv_heads", "hidden_actual"),
        *below_0("norm_eps", made=everything),
        *of_number("fp8_max", "fp8_min", kind="an int or float", other=float("nan"), made=slotted),
        *of_number("block_size", made=slotted),
        *laid_out({"fused_qkv_weights": "[H, I]"}),
        of_class("sbm", SbufManager), *of_tensors("input"), *of_flags("fused_residual_add"),
    ],
    left={"slots that are unique": "numbers read at run time"},
)  # fmt: skip


def scaled(_: Any) -> dict[str, Any]:
    """A norm whose weights are there."""
    return {"norm_type": NormType.RMS_NORM, "norm_w": zeros(1, 256)}


PROJECTED_TKG = Table(
    "nkilib.core.qkv.qkv_tkg.qkv_tkg", qkv_tkg, lambda: {"hidden": zeros(1, 4, 256), "qkv_w": zeros(256, 384), "norm_type": PLAIN},
    [
        *shown(f"{TKG}::test_limits", {
            "H in 128s": "H must be a multiple of 128", "hidden has three dimensions": "must have 3 dimensions", "weights of H rows": "qkv_w must have H = 256 rows",
            "float32 weights with float32": "float32 goes with float32 only", "bias [1, I]": "qkv_bias must have shape (1, 384)",
            "B·S at most 128": "B·S must be at most 128", "no ROW, no MX": "quantization_type must be one of",
            "NO_NORM, RMS_NORM or LAYER_NORM": "norm_type must be NO_NORM, RMS_NORM or LAYER_NORM", "norms need norm_w": "needs norm_w",
            "norm_w [1, H]": "norm_w must have shape (1, 256)", "norm_bias with LAYER_NORM only": "norm_bias goes with LAYER_NORM only",
            "norm_bias [1, H]": "norm_bias must have shape", "BSD or NBSd": "output_layout must be BSD or NBSd", "NBSd with d_head": "NBSd needs d_head",
            "NBSd: I in heads": "NBSd needs I in heads of 100", "STATIC: scales": "STATIC needs qkv_w_scale and qkv_in_scale",
            "STATIC: three weight scales": "qkv_w_scale must be [128, 3] or [1, 3], it is (128, 1)", "STATIC: one input scale": "qkv_in_scale must be [128, 1]",
            "STATIC: heads": "STATIC needs d_head, num_q_heads and num_kv_heads", "fused_add: both": "fused_add needs attn_prev and mlp_prev",
            "attn_prev as hidden": "attn_prev must have shape", "mlp_prev as hidden": "mlp_prev must have shape",
        }),
        *shown(f"{TKG}::test_what_two_cores_cannot_divide", {
            "H/128 divides by the cores": "H/128 = 3 must divide by the 2 cores", "fused_add: an even number of tokens": "B·S must be even, it is 19",
        }),
        *shown(f"{TKG}::test_columns_in_sbuf_are_limited", {"a result in SBUF: I at most 4096": "at most 4096 columns, I is 4224"}),
        *shown(f"{TKG}::test_limits_of_inputs_in_sbuf", {
            "hidden in SBUF: the result, too": "hidden in SBUF needs output_in_sbuf", "hidden in SBUF: 128 partitions": "hidden in SBUF must have 128 partitions",
            "hidden in SBUF: no fused_add": "fused_add needs hidden in HBM",
        }),
        *shown(f"{TKG}::test_a_manager_that_places_tiles_is_refused", {"sbm leaves addresses to the compiler": "sbm must leave addresses to the compiler"}),
        *defined(f"{TKG}::test_heads_that_do_not_divide_a_block", {"NBSd: heads that do not divide 4096": "depth"}),
        refused("STATIC: heads make up I", "2 + 2·1 heads of 128 must be I = 384 columns", **static(num_q_heads=2), qkv_w=eights(256, 384)),
        refused("STATIC: fp8 weights", "not to bfloat16", **static()),
        *typed(named("hidden")),
        *typed(named("hidden"), dtype=FP8),
        *typed(named("qkv_w"), FLOATS_AND_FP8),
        refused("qkv_bias of a float type", f"qkv_bias must be {FLOATS}", qkv_bias=zeros(1, 384, dtype=np.int32)),
        *typed(named("norm_w", "norm_bias", "attn_prev", "mlp_prev"), made=lambda _: {
            "norm_type": NormType.LAYER_NORM, "norm_w": zeros(1, 256), "norm_bias": zeros(1, 256),
            "fused_add": True, "attn_prev": zeros(1, 4, 256), "mlp_prev": zeros(1, 4, 256),
        }),
        *typed(named("qkv_w_scale", "qkv_in_scale"), made=lambda _: {**static(), "qkv_w": eights(256, 384)}),
        refused("there are tokens", "hidden must have tokens", hidden=zeros(1, 0, 256)),
        *of_number("d_head", "num_q_heads", "num_kv_heads"),
        refused("NBSd: d_head an int", "d_head must be an int, it is x", output_layout=QKVOutputLayout.NBSd, d_head="x"),
        *below_0("d_head", "num_q_heads", "num_kv_heads"),
        *below_0("eps", "hidden_actual", made=scaled),
        *of_number("hidden_actual", made=scaled),
        *of_number("hidden_actual", kind="at most 256", other=257, made=scaled),
        *laid_out({"qkv_w": "[H, I]"}),
        *of_tensors("hidden"), *of_flags("fused_add"),
    ],
)  # fmt: skip

# -- output projections -----------------------------------------------------------------------------------

OUT_CTE, OUT_TKG, HELPERS = (
    f"core/output_projection/test_output_projection_{name}.py" for name in ("cte", "tkg", "helpers")
)
BACK_CTE = Table(
    "nkilib.core.output_projection.output_projection_cte.output_projection_cte.output_projection_cte", output_projection_cte,
    lambda: {"attention": zeros(1, 2, 8, 4), "weight": zeros(16, 128)},
    [
        *shown(f"{OUT_CTE}::test_limits", {
            "H at most 20705": "H must be at most 20705", "N at most 17": "N must be at most 17", "D at most 128": "D must be at most 128",
            "B·S at most 131072": "B·S must be at most 131072", "H divides by the cores": "must divide by the 2 cores",
        }),
        *shown(f"{OUT_CTE}::test_operands_must_fit", {
            "weight of N·D rows": "weight must have N·D = 8 rows", "bias [1, H]": "bias must have shape (1, 16)", "attention [B, N, D, S]": "attention must be [B, N, D, S]",
        }),
        *shown(f"{OUT_CTE}::test_head_packing", {
            "calculate_head_packing: D of 1 to 128": "D must be 1 to 128, it is 129",
        }, of="nkilib.core.output_projection.output_projection_utils"),
        *shown(f"{OUT_CTE}::test_other_quantisations", {"NONE or STATIC": "must be NONE or STATIC"}),
        *shown(f"{OUT_CTE}::test_static_needs_its_operands", {
            "STATIC: an fp8 weight": "STATIC needs an fp8 weight", "STATIC: scales": "STATIC needs a weight scale and an input scale", "STATIC: input_scales [128, 1]": "the input scale must have shape (128, 1)",
        }),
        *shown("core/output_projection/test_output_projection_cte_torch.py::test_dtype_and_quantisation", {
            "the reference: NONE or STATIC": "must be NONE or STATIC",
        }, of="nkilib.core.output_projection.output_projection_cte.output_projection_cte_torch"),
        *shown(f"{HELPERS}::test_what_does_not", {
            "attention of a float type": "attention must be bfloat16, float16 or float32", "weight of a float type": "weight must be bfloat16, float16, float32 or float8_e4m3",
        }, of="nkilib.core.output_projection"),
        *defined(f"{OUT_CTE}::test_fp8_weights_without_quantisation_leave_the_attention_as_it_is", {"NONE: an fp8 weight": "FP8"}),
        refused("bias of a float type", f"bias must be {FLOATS}", bias=zeros(1, 128, dtype=np.int32)),
        refused("STATIC: weight_scales [128, 1]", "the weight scale must have shape (128, 1)", weight=eights(16, 128), quantization_type=STATIC,
                weight_scales=np.ones((1, 1), FP32), input_scales=qkvs.scale(1)),
        *laid_out({"weight": "[N·D, H]"}),
        *of_tensors("attention"),
    ],
)  # fmt: skip
BACK_TKG = Table(
    "nkilib.core.output_projection.output_projection_tkg.output_projection_tkg", output_projection_tkg,
    lambda: {"attention": zeros(64, 1, 2, 4), "weight": zeros(128, 256)},
    [
        *shown(f"{OUT_TKG}::test_limits", {
            "NONE or STATIC": "must be NONE or STATIC", "TRANSPOSE_OUT: H in 128s": "in multiples of 128", "TRANSPOSE_OUT: H in 128s of each core": "in multiples of 256",
            "H divides by the cores": "H = 601 must divide by the 2 cores", "D at most 128": "D must be at most 128", "TRANSPOSE_OUT: at most 512 tokens": "at most 512 tokens",
            "OUT_IN_SB: at most 128 tokens": "at most 128 tokens", "TRANSPOSE_OUT: N·H at most 163840": "N·H of at most 163840",
            "TRANSPOSE_OUT: half of it in float32": "N·H of at most 81920",
        }),
        *shown(f"{OUT_TKG}::test_operands_must_fit", {
            "bias [1, H]": "bias must have shape (1, 256)", "attention [D, B, N, S]": "attention must be [D, B, N, S]", "weight of N·D rows": "weight must have N·D = 64 rows",
            "STATIC: weight_scale [128, 1]": "the weight scale must have shape (128, 1)", "STATIC: scales": "STATIC needs a weight scale and an input scale",
        }),
        *defined(f"{OUT_TKG}::test_fp8_weights_without_quantisation_leave_the_attention_as_it_is", {"NONE: an fp8 weight": "FP8"}),
        *typed(named("attention")),
        *typed(named("attention"), dtype=FP8),
        *typed(named("weight"), FLOATS_AND_FP8),
        refused("bias of a float type", f"bias must be {FLOATS}", bias=zeros(1, 256, dtype=np.int32)),
        *typed({"weight_scale": "the weight scale", "input_scale": "the input scale"}, made=lambda _: {
            "weight": eights(128, 256), "quantization_type": STATIC, "weight_scale": qkvs.scale(1), "input_scale": qkvs.scale(1),
        }),
        refused("STATIC: an fp8 weight", "STATIC needs an fp8 weight", quantization_type=STATIC, weight_scale=qkvs.scale(1), input_scale=qkvs.scale(1)),
        refused("STATIC: input_scale [128, 1]", "the input scale must have shape (128, 1)", weight=eights(128, 256), quantization_type=STATIC,
                weight_scale=qkvs.scale(1), input_scale=qkvs.scale([1, 1])),
        *laid_out({"weight": "[N·D, H]"}),
        *of_tensors("attention"), *of_flags("TRANSPOSE_OUT"),
    ],
)  # fmt: skip

# -- norms ------------------------------------------------------------------------------------------------

QUANT = "core/rmsnorm/test_rmsnorm_quant.py"


def quantised(
    hidden: Any, ln_w: Any, input_dequant_scale: Any = None, kargs: Any = None, **options: Any
) -> Any:
    kargs = RmsNormQuantKernelArgs(**options) if kargs is None else kargs
    return rmsnorm_quant_kernel(hidden, ln_w, kargs, input_dequant_scale)


ROWS = Table(
    "nkilib.core.rmsnorm.rmsnorm_quant.rmsnorm_quant_kernel", quantised, lambda: {"hidden": zeros(2, 64), "ln_w": zeros(64)},
    [
        *shown(f"{QUANT}::test_arguments_are_checked", {
            "lower_bound not negative": "lower_bound", "NO_NORM or RMS_NORM": "norm_type", "ROW or STATIC": "quantization_type", "eps not negative": "eps",
        }),
        *shown(f"{QUANT}::test_inputs_are_checked", {
            "two dimensions at least": "at least 2 dimensions", "not empty": "empty", "H at most 16384": "H must be at most 16384", "batch at most 2": "batch",
            "sequence at most 32768": "sequence", "2-D: at most 65536 rows": "65536 rows", "dimension 2 at most 16384": "dimension 2", "a row for each program": "2 programs",
            "ln_w [H] or [1, H]": "ln_w", "STATIC: input_dequant_scale": "STATIC needs input_dequant_scale",
            "STATIC: input_dequant_scale [128, 1]": "input_dequant_scale must have shape",
        }),
        *defined(f"{QUANT}::test_static_ignores_the_bound", {"STATIC: lower_bound does nothing": "lower_bound"}),
        refused("ln_w for RMS_NORM", "ln_w must be a tensor, it is None", ln_w=None),
        *defined(f"{QUANT}::test_gamma_is_not_read_without_norm", {"NO_NORM: ln_w is not read": "NO_NORM"}),
        *typed(named("hidden", "ln_w")),
        *of_number("lower_bound", "eps", kind="an int or float", other=float("nan")),
        *of_tensors("hidden", "ln_w"), of_class("kargs", RmsNormQuantKernelArgs),
    ],
    of="nkilib.core.rmsnorm.rmsnorm_quant",
)  # fmt: skip

RMSNORM, LAYERNORM, MX_NORM, HELP = (
    f"core/subkernels/test_{name}.py" for name in ("rmsnorm_tkg", "layernorm_tkg", "rmsnorm_mx_quantize_tkg", "norm_tkg_utils")
)  # fmt: skip


def normed(kernel: Any) -> Any:
    def run(
        input: Any, gamma: Any, out: tuple[int, ...] = (128, 4, 2), in_tile: bool = False, dtype: Any = None, **options: Any
    ) -> Any:  # fmt: skip
        dtype = dtype or input.dtype
        made = sbuf(out, dtype) if in_tile else nl.ndarray(out, dtype=dtype, buffer=nl.shared_hbm)
        kernel(in_sbuf(input) if in_tile else input, gamma, made, **options)

    return run


SHAPES = [
    refused("input has three dimensions", "input must have 3 dimensions", input=zeros(4, 256)),
    refused("an output of the tokens", "output must have shape (128, 4, 2)", out=(128, 5, 2)),
    refused("an output of H", "output must have shape (128, 4, 2)", out=(128, 4, 3)),
    refused("gamma [1, H]", "gamma must have shape (1, 256)", gamma=zeros(256)),
    refused(
        "input in SBUF: 128 partitions",
        "input in SBUF must have 128 partitions",
        input=zeros(64, 4, 2),
        in_tile=True,
    ),
    *typed(named("input", "gamma"), FLOATS_AND_E4M3),
    *typed(named("input"), FLOATS_AND_E4M3, np.dtype("float8_e5m2")),
    refused("an output of a float type", f"output must be {FLOATS_AND_E4M3}", dtype=nl.int32),
]
NORMED = Table(
    "nkilib.core.subkernels.rmsnorm_tkg.rmsnorm_tkg", normed(rmsnorm_tkg), lambda: {"input": zeros(1, 4, 256), "gamma": zeros(1, 256)},
    [
        *SHAPES,
        *shown(f"{RMSNORM}::test_shapes_are_checked", {"H in 128s": "H must be a multiple of 128", "H/128 divides by the cores": "2 cores", "there are tokens": "empty"}),
        *shown(f"{RMSNORM}::test_a_chunk_is_checked", {"process_rmsnorm_tile: as many tokens": "output tile", "process_rmsnorm_tile: at most 512": "at most 512"}),
        *shown(f"{RMSNORM}::test_transposed_layout_has_one_shard", {"hidden_dim_tp: one shard": "one shard"}),
        *below_0("eps", "hidden_actual"),
        *of_number("hidden_actual"),
        *of_number("hidden_actual", kind="at most 256", other=257),
        *of_tensors("gamma"), *of_flags("hidden_dim_tp"),
    ],
    of="nkilib.core.subkernels.rmsnorm_tkg",
)  # fmt: skip
LAYERED = Table(
    "nkilib.core.subkernels.layernorm_tkg.layernorm_tkg", normed(layernorm_tkg), lambda: {"input": zeros(1, 4, 256), "gamma": zeros(1, 256)},
    [
        *SHAPES,
        *shown(f"{LAYERNORM}::test_shapes_are_checked", {
            "H in 128s": "H must be a multiple of 128", "beta [1, H]": "beta", "H/128 divides by the cores": "2 cores", "there are tokens": "empty",
        }),
        *defined(f"{LAYERNORM}::test_large", {"more than 512 tokens": "640"}),
        refused("beta of a float type", f"beta must be {FLOATS_AND_E4M3}", beta=zeros(1, 256, dtype=np.int32)),
        *below_0("eps"),
        *of_number("eps", kind="an int or float", other="small"),
        *of_tensors("gamma"), *of_flags("use_heap_memory"),
    ],
)  # fmt: skip


def normed_mx(
    input: Any, gamma: Any, residual: Any = None, total: Any = None, out: Any = (128, 32, 4), quant: Any = (128, 1, 32), scale: Any = (128, 1, 32),
    dtype: Any = nl.float16, **options: Any,
) -> Any:  # fmt: skip
    stored = None if total is None else nl.ndarray(total, dtype=input.dtype, buffer=nl.shared_hbm)
    tiles = sbuf(out, dtype), sbuf(quant, nl.float8_e4m3fn_x4), sbuf(scale, nl.uint8)
    rmsnorm_mx_quantize_tkg(input, gamma, *tiles, residual, stored, **options)


NORMED_MX = Table(
    "nkilib.core.subkernels.rmsnorm_mx_quantize_tkg.rmsnorm_mx_quantize_tkg", normed_mx,
    lambda: {"input": zeros(32, 1, 512, dtype=FP16), "gamma": zeros(1, 512, dtype=FP16)},
    [
        *shown(f"{MX_NORM}::test_needs_two_cores", {"two cores": "runs on two cores, not on 1"}),
        *shown(f"{MX_NORM}::test_rejected", {
            "H in 512s": "H must be a multiple of 512", "B·S in 4s": "B*S must be a multiple of 4, it is 6", "hidden_dim_tp": "pass hidden_dim_tp=True",
            "output float16 or bfloat16": "output must be float16 or bfloat16", "a residual: 256 tokens": "B*S must be at least 256, it is 128",
            "a residual: H/128 in 8s": "H/128 must be a multiple of 8, it is 4",
        }),
        *shown(f"{MX_NORM}::test_outputs_of_another_shape", {"output_quant and output_scale": "quantised values and scales must be (128, 1, 32)"}),
        *shown(f"{MX_NORM}::test_a_residual_needs_its_output", {"a residual: output_residual": "output_residual"}),
        *shown(f"{HELP}::test_invalid_shapes", {
            "the function: residual": "a residual add needs residual", "a residual as the input": "residual must have shape (2, 128, 1024)",
            "the function: output_residual": "a residual add needs output_residual", "output_residual [B·S, H]": "output_residual must have shape",
            "the function: gamma": "gamma must have shape", "the function: output": "output must have shape (128, 256, 8)",
        }, of="nkilib.core.subkernels.norm_tkg_utils"),
        *typed(named("input"), "bfloat16 or float16"),
        *typed(named("input"), "bfloat16 or float16", FP32),
        *typed(named("gamma")),
        refused("residual: bfloat16 or float16", "residual must be bfloat16 or float16", input=zeros(256, 1, 1024, dtype=FP16),
                gamma=zeros(1, 1024, dtype=FP16), residual=zeros(256, 1, 1024, dtype=np.int32), total=(256, 1024),
                out=(128, 256, 8), quant=(128, 2, 256), scale=(128, 2, 256)),
        refused("output (128, B·S, H/128)", "output must have shape (128, 32, 4)", out=(128, 32, 3)),
        refused("gamma [1, H]", "gamma must have shape (1, 512)", gamma=zeros(512, dtype=FP16)),
        refused("the residual's shape", "residual must have shape", residual=zeros(32, 1, 1024, dtype=FP16), total=(32, 512)),
        *below_0("eps", "hidden_actual"),
        *of_number("hidden_actual"),
        *of_number("hidden_actual", kind="at most 512", other=513),
        *laid_out({"input": "[B, S, H]"})[1:],
        *of_tensors("input"), *of_flags("hidden_dim_tp"),
    ],
    left={"(B·S)/2 divides by its tiles": "always so"},
    lnc=2, target="trn3",
)  # fmt: skip

TABLES = [
    FEED,
    PROJECTIONS,
    PROJECTED,
    PROJECTED_CTE,
    PROJECTED_TKG,
    BACK_CTE,
    BACK_TKG,
    ROWS,
    NORMED,
    LAYERED,
    NORMED_MX,
]
