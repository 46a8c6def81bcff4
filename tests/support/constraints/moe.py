"""Demands of the router and of the mixtures of experts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import moeblocks
import moes
import numpy as np
from blockcheck import FP8, FP32
from moe_numpy_cases import _bwd, _cte, _tkg, _tkg_mx
from randomcalls.moe import route
from routers import SOFTMAX

from nkilib.core.moe import moe_tkg
from nkilib.core.moe.moe_cte import MoECTEImplementation, MoECTESpec, moe_cte
from nkilib.core.moe.moe_cte.bwmm_shard_on_block import bwmm_shard_on_block
from nkilib.core.moe.moe_cte.bwmm_shard_on_block_mx import bwmm_shard_on_block_mx
from nkilib.core.moe.moe_cte.bwmm_shard_on_I import (
    blockwise_mm_baseline_shard_intermediate,
    blockwise_mm_baseline_shard_intermediate_hybrid,
    blockwise_mm_shard_intermediate_dropping,
)
from nkilib.core.moe.moe_cte.bwmm_shard_on_I_mx import (
    blockwise_mm_shard_intermediate_mx,
    blockwise_mm_shard_intermediate_mx_hybrid,
)
from nkilib.core.moe.moe_cte.moe_cte import QuantizationConfig
from nkilib.core.moe.moe_cte.moe_cte_utils import SkipMode
from nkilib.core.moe_block.moe_block_tkg import moe_block_tkg
from nkilib.experimental.moe.bwd.blockwise_mm_backward import blockwise_mm_bwd
from nkilib.experimental.moe.bwd.moe_bwd_parameters import ClampLimits
from nkilib.experimental.moe.forward.bwmm_shard_on_H import blockwise_mm_baseline_shard_hidden
from nkisim.core.dtypes import dtype_of

from .base import (
    FLOATS_AND_E4M3,
    FLOATS_AND_FP8,
    Changes,
    Row,
    Table,
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
KINDS = MoECTEImplementation

LIMITS = of_number(
    "gate_clamp_upper_limit",
    "gate_clamp_lower_limit",
    "up_clamp_upper_limit",
    "up_clamp_lower_limit",
    kind="an int or float",
    other=float("nan"),
)

# -- router -----------------------------------------------------------------------------------------------

ROUTER = "core/router_topk/test_router_topk.py"


def routing() -> dict[str, Any]:
    return {
        "x": zeros(4, 256), "w": zeros(256, 16), "w_bias": zeros(1, 16), "router_logits": zeros(4, 16, dtype=FP32),
        "expert_affinities": zeros(4, 16, dtype=FP32), "expert_index": zeros(4, 2, dtype=U32), "tokens": 4, "act_fn": SOFTMAX, "k": 2,
        "x_hbm_layout": 1, "x_sb_layout": 0, "router_pre_norm": False,
    }  # fmt: skip


ROUTED = Table(
    "nkilib.core.router_topk.router_topk.router_topk", route, routing,
    [
        *shown(f"{ROUTER}::test_checks", {
            "x_hbm_layout 0 or 1": "x_hbm_layout must be 0 or 1, got 2", "x_sb_layout at most 2": "x_sb_layout must be 0, 1 or 2, got 3",
            "x_sb_layout at least 0": "x_sb_layout must be 0, 1 or 2, got -1", "x in HBM is 2-D": "Expect the input 'x' HBM tensor to be 2-D",
            "x and w of one H": "mismatches w's H 256", "x in SBUF is 3-D": "Expect the input 'x' SBUF tensor to be 3-D",
            "shard_on_tokens needs two cores": "LNC sharding only supported with n_prgs>1, got 1",
            "SIGMOID scatters": "SIGMOID activation requires use_indirect_dma_scatter=True, got False",
            "SIGMOID scatters, even if nothing is": "SIGMOID activation requires", "SOFTMAX or SIGMOID": "Unsupported activation function: None",
            "scattering: 128s of tokens": "T_local (130) must be <= 128 or a multiple of 128", "at most 512 experts": "E (513) must be <= gemm_moving_fmax (512)",
            "at least 8 experts": "E (7) must be >= 8", "H in 128s": "H (200) must be a multiple of pmax (128)", "x and w of one dtype": "must match w dtype",
            "router_logits": "router_logits must be provided", "k at least 1": "K (0) must be >= 1", "k at most 8": "K (9) must be <= 8",
            "eager affinities of at most 128 tokens": "If return_eager_affi, then T must be <=128",
            "affinities in SBUF of at most 128 tokens": "If expert_affin_in_sb, then T must be <=128", "affinities in SBUF are not scattered": "cannot be a SBUF tensor",
        }),
        *shown(f"{ROUTER}::test_checks_of_x_in_sbuf", {"x in SBUF: 128 partitions": "partition-dim max 128 but got 64", "x in SBUF: H/128": "to be H/pmax (2) but got 3"}),
        *shown(f"{ROUTER}::test_affinities_that_are_scattered_are_counted_exactly", {"scattering: at most 2²⁴ affinities": "counts up to 63 affinities"}),
        *shown(f"{ROUTER}::test_halves_in_sbuf_must_be_equal", {"results in SBUF of shared tokens: an even T": "T must be even"}),
        *shown(f"{ROUTER}::test_checks_of_loading", {
            "loading x: hbm_layout": "only hbm_layout=0,1 are supported", "loading x: sb_layout": "only sb_layout=0,1,2,3 are supported",
            "loading x: hbm_layout 0": "hbm_layout=0 only supports sb_layout=3, got 1", "loading x: hbm_layout 1": "hbm_layout=1 only supports sb_layout=0,1,2 got 3",
            "loading x: H in 128s": "Hidden dimension must be multiples of 128", "loading x: layout 1 has H in 256s": "Hidden dimension must be multiples of 256",
            "loading w: x_sb_layout": "only x_sb_layout=0,1,2,3",
        }, of="nkilib.core.router_topk.operands"),
        *defined(f"{ROUTER}::test_column_tiling_of_fewer_tiles_than_groups", {"column tiling of few columns of H": "use_column_tiling"}),
        *defined(f"{ROUTER}::test_normalisation_is_for_activations_before_the_choice", {"norm_topk_prob without router_pre_norm": "norm_topk_prob"}),
        refused("x and w of a float type", "x must be bfloat16, float16 or float32", x=zeros(4, 256, dtype=I32), w=zeros(256, 16, dtype=I32)),
        refused("w_bias has E elements", "w_bias must be [16] or [1, 16]", w_bias=zeros(17)),
        refused("w_bias has one row", "w_bias must be [16] or [1, 16]", w_bias=zeros(2, 16)),
        refused("router_logits [T, E]", "router_logits must have shape (4, 16)", cut("router_logits")),
        refused("expert_affinities [T, E]", "expert_affinities must have shape (4, 16)", cut("expert_affinities", 0)),
        refused("expert_index [T, k]", "expert_index must have shape (4, 2)", cut("expert_index")),
        *of_number("x_hbm_layout", "x_sb_layout", other=True),
        *laid_out({"w": "[H, E]"})[1:],
        *of_number("k"),
        refused("expert_index", "expert_index must be provided", expert_index=None),
        *of_tensors("x"), *of_flags("output_in_sbuf"),
    ],
    left={
        "one of three orders of activation, choice and norm": "no flags make another",
        "no eager affinities of all experts": "they are what the page leaves undefined; here those of the chosen experts",
    },
)  # fmt: skip

# -- token generation -------------------------------------------------------------------------------------

TKG, TKG_MX = "core/moe/test_moe_tkg.py", "core/moe/test_moe_tkg_mx.py"


def experts(all_expert: bool = True, row: bool = False) -> dict[str, Any]:
    given, _, _ = _tkg(4, 256, 32, 2, 2, 2, all_expert=all_expert, bias=True, row_scale=row)()
    return moes.tkg_arguments(given)


def experts_mx(all_expert: bool = True) -> dict[str, Any]:
    sizes = (32, 512, 1024) if all_expert else (4, 512, 64)
    given, _, _ = _tkg_mx(*sizes, 2, "e2m1", K=2, all_expert=all_expert)()
    return moes.tkg_mx_arguments(given)


def without(
    make: Callable[..., dict[str, Any]], *names: str, dim: int = -1, **options: Any
) -> Callable[[Any], Changes]:
    """``make``'s arguments, of which each of these is cut."""

    def made(_: Any) -> Changes:
        arguments = make(**options)
        for name in names:
            arguments |= cut(name, dim)(arguments)
        return arguments

    return made


def mx(all_expert: bool = True, **changes: Any) -> Callable[[Any], Changes]:
    return lambda _: {**experts_mx(all_expert), **changes}


NAMES = {
    "expert_gate_up_weights": 2, "expert_gate_up_bias": -1, "expert_down_weights": 1, "expert_down_bias": -1,
    "expert_gate_up_weights_scale": -1, "expert_down_weights_scale": -1,
}  # fmt: skip
EXPERTS = Table(
    "nkilib.core.moe.moe_tkg.moe_tkg.moe_tkg", moe_tkg, experts,
    [
        *shown(f"{TKG}::test_refused", {
            "all experts, scaled: rank_id": "rank_id is required for all-expert mode with affinity scaling",
            "is_all_expert_dynamic: is_all_expert": "is_all_expert_dynamic=True requires is_all_expert=True",
            "hidden_input_scale: MX, all experts": "hidden_input_scale is only supported with MX weights in all-expert mode",
            "no PRE_SCALE_DELAYED": "PRE_SCALE_DELAYED option is only applicable in CTE expert_mlp case", "no PRE_SCALE": "Kernel does not support pre-scale mode",
            "no gate_up_input_scale": "Static quantization is not supported", "no down_input_scale": "Static quantization is not supported",
            "all experts: no eager affinities": "expert_affinities eager mode not supported with is_all_expert=True", "K at most 16": "top_k 17 exceeds 16",
            "weights and hidden of one H": "Weight Sharding mismatch: expected", "affinities of all experts": "expert_affinities has 1 columns for 2 experts",
        }),
        *shown(f"{TKG}::test_refused_sizes", {
            "at most 128 tokens": "Currently only batch size * seq len <= 128 is supported", "H/128 divides by the cores": "Invalid sharding: H1=3 (H=384)",
            "H in 128s": "378", "at most 8 banks": "Required psum banks for down projection: 9, which exceeds", "selected of more than one expert": "E=1 must be > 1 for MoE",
        }),
        *defined(f"{TKG}::test_one_scale_alone_is_not_used", {"one weight scale alone": "name"}),
        *defined(f"{TKG}::test_one_bias_alone", {"one bias alone": "name"}),
        *defined(f"{TKG}::test_selective_does_not_read_the_eager_affinities", {"selected, not MX: eager affinities": "eager"}),
        *defined(f"{TKG}::test_an_expert_that_is_named_twice_counts_once_in_the_mask", {"an expert that a token names twice": "mask"}),
        *shown(f"{TKG}::test_affinities_of_a_rank_are_refused", {
            "masking: K of expert_index": "expert_index has 3 columns, K is 2", "masking: affinities [T, E]": "expert_affinities must have shape (5, 24)",
        }, of="nkilib.core.moe.moe_tkg.moe_tkg_affinity_masking"),
        *shown(f"{TKG_MX}::test_refused_for_all_experts", {
            "MX: both scales": "Scales must be set when using MX weights", "MX, all: T in 32s": "Expected T divisible by 32, got T=33",
            "MX, all: float16 or bfloat16": "Expected input dtype in float16, bfloat16, got float32", "MX, all: no result in SBUF": "All-expert MX kernel does not yet support SBUF output",
            "MX, all: POST_SCALE": "Expected expert_affinities_scaling_mode=POST_SCALE", "MX, all: affinities of all experts": "expert_affinities has 1 columns for 2 experts",
        }),
        *shown(f"{TKG_MX}::test_refused_for_selected_experts", {
            "MX, selected: no result in SBUF": "does not support sbuf output", "MX, selected: K divides by the cores": "Selective load shard on K requires K divisible by num NC",
            "MX, selected: at most 128 tokens": "Currently only batch size * seq len <= 128", "MX, selected: K at most 16": "top_k 18 exceeds 16",
        }),
        *shown(f"{TKG_MX}::test_refused_sizes", {
            "MX, all: H in 512s": "Expected H divisible by 512, got H=768", "MX, all: a core's I in 512s": "I must be a multiple of 1024, 512 for each core",
            "MX: the rest of I in 32s": "I512 tile remainder (16) must be divisible by quantization block size (32)",
            "MX, selected: H in 512s": "Expect H to be a multiple of 512, got 768", "MX, selected: the rest of I in 32s": "I512 tile remainder (80) must be divisible",
            "MX, selected: a down bias of at most 128 experts": "only supports E <= 128 when down projection bias exists",
        }),
        *shown(f"{TKG_MX}::test_refused_quantised_inputs", {
            "quantised: T in 4s": "Expected T divisible by 4, got T=34", "quantised: MX elements": "Expected quantized input dtype in", "quantised: uint8 scales": "Expected hidden_input_scale dtype = nl.uint8",
        }),
        *shown(f"{TKG_MX}::test_refused_rows_in_sbuf", {"MX, all: hidden in HBM, or quantised": "give hidden_input in HBM, or quantised"}),
        *defined(f"{TKG_MX}::test_dynamic_is_the_same", {"MX, all: is_all_expert_dynamic": "is_all_expert_dynamic"}),
        *defined(f"{TKG_MX}::test_selected_without_scaling", {"MX, selected: NO_SCALE": "NO_SCALE"}),
        refused("activation_fn is an ActFnType", "silu is no ActFnType", activation_fn="silu"),
        refused("a scaling mode", "1 is no ExpertAffinityScaleMode", expert_affinities_scaling_mode=1),
        refused("affinities are 2-D", "Expected 2D expert_affinities, got (4,)", expert_affinities=zeros(4, dtype=FP32)),
        refused("selected: expert_index", "expert_index is needed", is_all_expert=False, expert_index=None),
        refused("masked: expert_index", "expert_index is needed", mask_unselected_experts=True, expert_index=None),
        refused("a row of affinities for each token", "expert_affinities must have shape (4, 2)", cut("expert_affinities", 0)),
        refused("selected: a row of expert_index for each token", "expert_index must have shape (4, 2)", without(experts, "expert_index", dim=0, all_expert=False)),
        refused("float32 with float32", "float32 goes with float32 only", hidden_input=zeros(4, 256, dtype=FP32)),
        refused("MX, selected: float16 or bfloat16", "Expected input dtype in float16, bfloat16, got float32",
                mx(False, hidden_input=zeros(4, 512, dtype=FP32)), target="trn3"),
        *typed(named("hidden_input", "expert_gate_up_bias", "expert_down_bias", "expert_affinities")),
        *typed(named("hidden_input"), dtype=FP8),
        of_type("output_dtype"),
        *typed(named("expert_gate_up_weights", "expert_down_weights"), FLOATS_AND_FP8),
        *typed(named("expert_gate_up_weights_scale", "expert_down_weights_scale"), made=lambda _: experts(row=True)),
        *typed(named("expert_gate_up_bias", "expert_down_bias"), made=lambda _: experts_mx(), prefix="MX: ", target="trn3"),
        refused("rank_id [1, 1]", "rank_id must have shape (1, 1)", rank_id=zeros(2, 1, dtype=U32)),
        *(refused(f"{name} as the others", f"{name} must have shape", without(experts, name, dim=dim, row=name.endswith("scale"))) for name, dim in NAMES.items()),
        *(refused(f"MX: {name} as the others", f"{name} must have shape", without(experts_mx, name, dim=dim), target="trn3") for name, dim in NAMES.items()),
        refused("MX: hidden of H", "hidden_input must have shape (32, 512)", without(experts_mx, "hidden_input"), target="trn3"),
        refused("MX: affinities are 2-D", "Expected 2D expert_affinities, got (32,)", mx(expert_affinities=zeros(32, dtype=FP32)), target="trn3"),
        refused("MX, selected: eager affinities [T, K]", "expert_affinities_eager must have shape (4, 2)",
                mx(False, expert_affinities_eager=zeros(4, 3, dtype=FP32)), target="trn3"),
        refused("MX, selected: a row of affinities for each token", "expert_affinities must have shape (4, 2)",
                without(experts_mx, "expert_affinities", dim=0, all_expert=False), target="trn3"),
        beyond("expert_index within E", "is outside 0..1", lambda _: {**experts(False), "expert_index": np.full((4, 2), 5, I32)}),
        beyond("expert_index not negative", "outside 0..1", lambda _: {**experts(False), "expert_index": np.full((4, 2), -1, I32)}),
        beyond("rank_id within the ranks", "outside 0..1", rank_id=np.array([[3]], U32)),
        refused("MX: a scaling mode", "1 is no ExpertAffinityScaleMode", mx(False, expert_affinities_scaling_mode=1), target="trn3"),
        *LIMITS,
        *laid_out({"expert_index": "[T, K]"}, made=lambda _: experts(False)),
        refused("there are tokens", "hidden_input must have tokens", hidden_input=zeros(0, 256)),
        *of_tensors("hidden_input"), *of_flags("is_all_expert"),
    ],
    lnc=2,
)  # fmt: skip

BLOCK = "core/moe_block/test_moe_block_tkg.py"


def around() -> dict[str, Any]:
    case = moeblocks.Block((4, 1), 256, 32, 8)
    return {**case.arguments, "router_mm_dtype": dtype_of(case.router_dtype)}


AROUND = Table(
    "nkilib.core.moe_block.moe_block_tkg.moe_block_tkg", moe_block_tkg, around,
    [
        *shown(f"{BLOCK}::test_what_is_rejected", {
            "H in 128s": "H=520 must be divisible by 128", "inp [B, S, H]": "inp must be [B, S, H]", "selected: at most 128 tokens": "selective_load mode currently supports T <= 128",
            "all experts: at most 128 tokens": "all_expert mode currently supports T <= 128", "no shared expert": "shared_expert has not been supported",
            "no biases of shared experts": "shared_expert biases have not been supported", "all experts: rank_id": "rank_id is required for all_expert mode",
            "a residual with MX only": "only supported for MXFP", "H in 256s": "H=384 must be divisible by 256", "no hidden_act_scale_factor": "hidden_act_scale_factor is currently a placeholder",
            "no hidden_act_bias": "hidden_act_bias is currently a placeholder", "the router's type": "router_mm_dtype to be one of", "router_weights of the router's type": "as router_mm_dtype says, router_weights must be float32",
            "top_k at most 8": "must be <= 8", "top_k at least 1": "must be >= 1", "a router's activation": "Unsupported activation function", "at least 8 experts": "must be >= 8", "gamma [1, H]": "gamma",
        }),
        *shown(f"{BLOCK}::test_one_core_is_rejected", {"two cores": "only supports LNC-2; but got a spmd grid size of 1"}),
        *shown(f"{BLOCK}::test_mx_of_all_experts_takes_tokens_in_fours", {"MX, all: T in 4s": "requires T divisible by 4, got 130"}),
        *shown(f"{BLOCK}::test_residuals_that_do_not_fit", {
            "MX, all: a residual of 256 tokens": "must be at least 256", "MX, all: a residual with H/128 in 8s": "multiple of 8",
            "MX, all: a residual as inp": "residual must be as inp",
        }),
        *defined(f"{BLOCK}::test_a_residual_is_not_read_by_selected_experts", {"selected: a residual does nothing": "residual"}),
        *typed(named("inp")),
        *typed(named("gamma"), FLOATS_AND_E4M3),
        *typed(named("inp"), dtype=FP8),
        refused("router_bias [E] or [1, E]", "w_bias must be [8] or [1, 8]", router_bias=zeros(1, 7)),
        refused("router_weights of H rows", "router_weights must have H = 256 rows", router_weights=zeros(128, 8)),
        refused("hidden_act_fn is an ActFnType", "silu is no ActFnType", hidden_act_fn="silu"),
        refused("a scaling mode", "1 is no ExpertAffinityScaleMode", expert_affinities_scaling_mode=1),
        refused("gate and up weights of H", "expert_gate_up_weights must have shape", cut("expert_gate_up_weights", 1)),
        refused("down weights of I", "expert_down_weights must have shape", cut("expert_down_weights", 1)),
        *of_number("hidden_actual"),
        *of_number("hidden_actual", kind="at most 256", other=257),
        *of_number("hidden_actual", kind="at least 0", other=-1),
        *laid_out({"router_weights": "[H, E]"}),
        *of_tensors("inp"), *of_flags("router_pre_norm"),
    ],
    lnc=2,
)  # fmt: skip

# -- blocks -----------------------------------------------------------------------------------------------

ON_BLOCK, ON_I, ON_MX, ANY = (
    f"core/moe/test_{name}.py" for name in ("bwmm_shard_on_block", "bwmm_shard_on_I", "bwmm_mx", "moe_cte")
)
ON_H, BACK = (f"experimental/moe/test_{name}.py" for name in ("bwmm_shard_on_H", "blockwise_mm_bwd"))


def blocks(size: int, more: int = 0, drop: tuple[str, ...] = (), **changes: Any) -> dict[str, Any]:
    """A call of block-wise kernels in bfloat16; ``more`` conditions than blocks."""
    given, _, _ = _cte(100, 512, 32, 2, 1, size, 1, bias=not drop, seed=1)()
    arguments = moes.block_arguments(given)
    if more:
        arguments["conditions"] = moes.conditions_of(given, more)
    return {name: value for name, value in arguments.items() if name not in drop} | changes


def blocks_mx(size: int, inner: int, more: int = 0) -> dict[str, Any]:
    given, _, _ = _cte(100, 512, inner, 2, 1, size, 1, bias=True, kind="e2m1", seed=1)()
    arguments = moes.block_mx_arguments(given, "e2m1")
    if more:
        arguments["conditions"] = moes.conditions_of(given, more)
    return arguments


MAPS = [
    refused("blocks above 0", "positive", block_size=0),
    refused("an expert for each block", "block_to_expert must have N =", cut("block_to_expert")),
    refused(
        "an affinity for each token and expert",
        "expert_affinities_masked must have R·E",
        cut("expert_affinities_masked", 0),
    ),
    refused(
        "whole blocks of tokens",
        "token_position_to_id shape must be divisible by B",
        cut("token_position_to_id"),
    ),
]
TOKENS = {"hidden_states": "[R, H]", "token_position_to_id": "[N·B]"}
WEIGHTS_MX = {
    "gate_up_proj_weight": "[E, 128, 2, H/512, I]",
    "down_proj_weight": "[E, rows, ⌈I/512⌉, H]",
}


def two_more(given: dict[str, Any]) -> Changes:
    """Conditions of all blocks, and two behind."""
    return {"conditions": zeros(len(given["block_to_expert"]) + 2, dtype=I32)}


MODE = [refused("a scaling mode", "1 is no ExpertAffinityScaleMode", expert_affinities_scaling_mode=1)]
WEIGHTS = [
    of_type("compute_dtype"),
    *typed(named("hidden_states", "expert_affinities_masked")),
    *typed(named("hidden_states"), dtype=FP8),
    *typed(named("gate_up_proj_weight", "down_proj_weight"), FLOATS_AND_FP8),
    refused("hidden states of H", "hidden_states must be [R, 512] as the weights", cut("hidden_states")),
    refused(
        "two products", "gate_up_proj_weight must have shape (2, 512, 2, 32)", cut("gate_up_proj_weight", 2)
    ),
    refused(
        "down weights of I",
        "down_proj_weight must be [2, at least 32, 512]",
        lambda given: {"down_proj_weight": given["down_proj_weight"][:, :16].copy()},
    ),
    refused(
        "down weights of all experts",
        "down_proj_weight must be [2, at least 32, 512]",
        cut("down_proj_weight", 0),
    ),
]
BIASES = [
    *typed(named("gate_and_up_proj_bias", "down_proj_bias")),
    refused(
        "gate and up bias [E, 2, I]", "gate_and_up_proj_bias must have E·2·I", cut("gate_and_up_proj_bias")
    ),
    refused("down bias [E, H]", "down_proj_bias must have E·H", cut("down_proj_bias")),
]
SCALES = [
    *typed(
        named("gate_up_proj_scale", "down_proj_scale"),
        made=lambda _: {
            "gate_up_proj_scale": zeros(2, 1, 64, dtype=FP32),
            "down_proj_scale": zeros(2, 1, 512, dtype=FP32),
        },
    ),
    refused(
        "gate and up scale [E, 1, 2·I]",
        "gate_up_proj_scale must have E·2·I",
        gate_up_proj_scale=zeros(2, 1, 63, dtype=FP32),
        down_proj_scale=zeros(2, 1, 512, dtype=FP32),
    ),
    refused(
        "down scale [E, 1, H]",
        "down_proj_scale must have E·H",
        gate_up_proj_scale=zeros(2, 1, 64, dtype=FP32),
        down_proj_scale=zeros(2, 1, 511, dtype=FP32),
    ),
]
REFUSED_MX = [
    of_type("weight_dtype", "float4_e2m1fn_x4, float8_e4m3fn_x4 or float8_e5m2_x4"),
    *typed(named("hidden_states"), "bfloat16 or float16"),
    *typed(named("hidden_states"), "bfloat16 or float16", FP32),
    *typed(named("expert_affinities_masked", "gate_and_up_proj_bias", "down_proj_bias")),
    refused(
        "MX elements, or what carries them",
        "must have MX elements",
        lambda given: {"gate_up_proj_weight": zeros(*given["gate_up_proj_weight"].shape, dtype=FP8)},
    ),
    refused(
        "gate and up weights as the others",
        "gate_up_proj_weight must have shape",
        cut("gate_up_proj_weight", 2),
    ),
    refused(
        "gate and up scales as the weights", "gate_up_proj_scale must have shape", cut("gate_up_proj_scale")
    ),
    refused("down scales as the weights", "down_proj_scale must have shape", cut("down_proj_scale")),
    refused(
        "gate and up bias as the weights",
        "gate_and_up_proj_bias must have shape",
        cut("gate_and_up_proj_bias"),
    ),
    BIASES[-1],
    refused("activation_function is an ActFnType", "silu is no ActFnType", activation_function="silu"),
]


def of_weights() -> list[Row]:
    """What the three kernels that divide I refuse alike."""
    return [
        *shown(f"{ON_I}::test_refused", {
            "B in 256s": "Blocksize must be a multiple of 256", "H of 512 to 8192": "Hidden dims must be between 512 and 8192, found 9216",
            "H in 512s": "Hidden dim size must be multiples of 512, found 768", "I of the down weights in 16s": "down_proj_weight I must be divisible by 16, found 40. Please pad it",
            "no skip_weight": "DMA weight skipping is not yet supported by the BWMM shard on I kernel", "SiLU or Swish": "activation_function must be SiLU or Swish",
        }),
        *defined(f"{ON_I}::test_one_of_a_pair_alone_is_not_used", {"one bias or scale alone": "pair"}),
        *defined(f"{ON_I}::test_rows_of_the_down_weights_that_pad_them_are_not_read", {"rows of the down weights beyond I": "nan"}),
        *MAPS, *WEIGHTS, *BIASES, *SCALES, *LIMITS, *laid_out(TOKENS), *of_number("block_size", other=256.0),
    ]  # fmt: skip


CONDITIONS = [
    *laid_out({"conditions": "[N + 1]"}),
    *of_number("num_static_block"),
    refused("conditions", "conditions are needed", conditions=None),
    refused("num_static_block at least 0", "num_static_block must be 0 to", num_static_block=-1),
    refused(
        "a block for each expert, if num_static_block is not given",
        "num_static_block must be 0 to 1, it is -1",
        lambda given: {
            "token_position_to_id": given["token_position_to_id"][: given["block_size"]],
            "conditions": zeros(2, dtype=I32),
            "block_to_expert": zeros(1, dtype=I32),
        },
    ),
]
BY = "nkilib.core.moe.moe_cte.bwmm_shard_on"


def checkpoints(block: int) -> list[Row]:
    """Tensors that receive what the backward pass needs; the call has two blocks."""
    gates, down = (2, 2, 32, block), (2, block, 512)
    return [
        refused("gate_up_activations_T of a float type", f"gate_up_activations_T must be {FLOATS_AND_FP8}", gate_up_activations_T=zeros(*gates, dtype=I32)),
        refused("down_activations of a float type", f"down_activations must be {FLOATS_AND_FP8}", down_activations=zeros(*down, dtype=I32)),
        refused("gate_up_activations_T [N, 2, I, B]", f"gate_up_activations_T must have shape {gates}", gate_up_activations_T=zeros(3, 2, 32, block)),
        refused("down_activations [N, B, H]", f"down_activations must have shape {down}", down_activations=zeros(2, block, 514)),
    ]  # fmt: skip


BY_INNER = Table(
    f"{BY}_I.blockwise_mm_baseline_shard_intermediate", blockwise_mm_baseline_shard_intermediate, partial(blocks, 256),
    [*of_weights(), *MODE, *shown(f"{ON_I}::test_more_cores", {"at most two cores": "Only 1 or 2 shards are supported"}), *of_tensors("hidden_states"), of_class("skip_dma", SkipMode), *of_flags("checkpoint_activation"), *of_flags("is_tensor_update_accumulating")], lnc=2,
)  # fmt: skip
BY_INNER_HYBRID = Table(
    f"{BY}_I.blockwise_mm_baseline_shard_intermediate_hybrid", blockwise_mm_baseline_shard_intermediate_hybrid, partial(blocks, 256, 1),
    [
        *of_weights(), *MODE, *CONDITIONS[:5], *checkpoints(256),
        *shown(f"{ON_I}::test_refused_by_the_hybrid", {
            "two cores": "shard-on-I with dynamic control flow only work on TRN2", "N + 1 conditions": "conditions must have N + 1",
            "num_static_block at most N": "num_static_block must be 0 to 7, it is 8",
        }),
        *defined(f"{ON_I}::test_blocks_that_are_not_active_are_not_run", {"blocks behind the active ones": "nan"}),
        CONDITIONS[5],
        *of_tensors("conditions"), of_class("skip_dma", SkipMode), *of_flags("is_tensor_update_accumulating"),
    ],
    lnc=2,
)  # fmt: skip
DROPPING = Table(
    f"{BY}_I.blockwise_mm_shard_intermediate_dropping", blockwise_mm_shard_intermediate_dropping, partial(blocks, 1024),
    [
        *[row for row in of_weights() if row.demand not in ("B in 256s", "an expert for each block")],
        *shown(f"{ON_I}::test_refused_by_dropping", {"B in 1024s": "Blocksize must be a multiple of 1024", "one block for each expert": "there must be one block for each expert"}),
        *shown(f"{ON_I}::test_more_cores", {"at most two cores": "Only 1 or 2 shards are supported"}),
        *of_tensors("hidden_states"), of_class("skip_dma", SkipMode), *of_flags("expert_affinity_multiply_on_I"), *of_flags("is_tensor_update_accumulating"),
    ],
    lnc=2,
)  # fmt: skip
BY_BLOCK = Table(
    f"{BY}_block.bwmm_shard_on_block", bwmm_shard_on_block, partial(blocks, 128),
    [
        *shown(f"{ON_BLOCK}::test_refused", {
            "PING_PONG": "Currently only support PING-PONG sharding strategy", "gate and up weights are 4-D": "Unsupported gate_up_proj_weight layout, should be [E, H, 2, I_TP]",
            "down weights are 3-D": "Unsupported down_proj_weight layout, should be [E, I_TP, H]", "I in 16s": "Vector DGE expects the partition dimension",
            "H in 512s": "Hidden dim size must be multiples of 512", "B in 128s": "Blocksize must be a multiple of 128", "SiLU or Swish": "activation_function must be SiLU or Swish",
        }),
        *shown(f"{ON_BLOCK}::test_one_core_has_nothing_to_add_up", {"sums of two cores": "only support reducing data from 2 shards"}),
        *defined(f"{ON_BLOCK}::test_one_bias_alone_is_not_used", {"one bias alone": "name"}),
        *defined(f"{ON_BLOCK}::test_forms_of_the_maps_and_biases", {"forms of maps and biases": "bias"}),
        *defined(f"{ON_BLOCK}::test_what_is_not_used", {"scales and checkpoints do nothing": "scale"}),
        *MAPS, *WEIGHTS, *BIASES, *MODE,
        *of_number("block_size", other=128.0), *LIMITS,
        *laid_out(TOKENS),
        of_class("skip_dma", SkipMode), *of_tensors("hidden_states"), *of_flags("is_tensor_update_accumulating"),
    ],
    lnc=2,
)  # fmt: skip
BY_BLOCK_MX = Table(
    f"{BY}_block_mx.bwmm_shard_on_block_mx", bwmm_shard_on_block_mx, partial(blocks_mx, 128, 64),
    [
        *shown(f"{ON_MX}::test_refused_sizes", {
            "H of 512 to 8192": "Hidden dims must be between 512 and 8192, found 9216", "H in 512s": "Hidden dim size must be multiples of 512, found 768",
            "I in 16s": "down_proj_weight I must be divisible by 16, found 72. Please pad it", "the rest of I in 32s": "I512 tile remainder (80) must be divisible by quantization block size (32)",
        }),
        *shown(f"{ON_MX}::test_refused", {
            "B in 128s": "Blocksize must be a multiple of 128", "block_size": "block_size is needed", "sums only": "Only support topK > 1 at the moment.", "no PRE_SCALE": "PRE_SCALE mode not implemented",
            "N + 2 conditions": "condition vector must have exactly N+2 elements", "fewer static blocks than blocks": "Cannot have more static blocks than total number of blocks",
            "scales": "MX weights need gate_up_proj_scale and down_proj_scale", "down weights as the others": "down_proj_weight must have shape (2, 16, 1, 512)",
        }),
        *shown(f"{ON_MX}::test_cores", {"two cores": "The kernel only support sharding on exactly 2 cores, got 1"}),
        *defined(f"{ON_MX}::test_absent_biases", {"some of the biases": "absent"}),
        *defined(f"{ON_MX}::test_how_many_blocks_are_static", {"any number of dynamic blocks": "n_dynamic_blocks"}),
        *MAPS[1:], *REFUSED_MX, *MODE,
        *of_number("block_size", other=128.0), *LIMITS, *laid_out(TOKENS), *laid_out(WEIGHTS_MX), *laid_out({"conditions": "[N + 2]"}, made=two_more),
        *of_number("n_static_blocks", "n_dynamic_blocks", made=two_more),
        *of_tensors("hidden_states"), of_class("skip_dma", SkipMode), *of_flags("is_tensor_update_accumulating"),
    ],
    left={"static and dynamic blocks make up N": "always so, however many are asked for"},
    lnc=2, target="trn3",
)  # fmt: skip
INNER_MX_CHECKS = [
    *shown(f"{ON_MX}::test_refused_sizes", {
        "I in 1024s": "I need to be multiple of 1024", "H of 512 to 8192": "Hidden dimension must be in [512, 8192], got 9216", "H in 512s": "Hidden dimension must be a multiple of 512, got 768",
    }),
    *shown(f"{ON_MX}::test_refused", {
        "B in 256s": "Blocksize must be a multiple of 256", "block_size": "block_size is needed", "no skip_weight": "DMA weight skipping not supported for MXFP4/MXFP8 kernel",
        "no PRE_SCALE_DELAYED": "PRE_SCALE mode not implemented",
    }),
    *MAPS, *REFUSED_MX, *MODE, *LIMITS, *laid_out(TOKENS), *laid_out(WEIGHTS_MX), *of_number("block_size", other=256.0),
]  # fmt: skip
BY_INNER_MX = Table(
    f"{BY}_I_mx.blockwise_mm_shard_intermediate_mx", blockwise_mm_shard_intermediate_mx, partial(blocks_mx, 256, 1024),
    [
        *INNER_MX_CHECKS,
        *shown(f"{ON_MX}::test_the_default_mode_of_the_static_kernel_is_refused", {"no PRE_SCALE, which is the default": "PRE_SCALE mode not implemented"}),
        *shown(f"{ON_MX}::test_more_cores", {"at most two cores": "Only 1 or 2 shards supported"}),
        *of_tensors("hidden_states"), of_class("skip_dma", SkipMode), *of_flags("is_tensor_update_accumulating"),
    ],
    lnc=2, target="trn3",
)  # fmt: skip
BY_INNER_MX_HYBRID = Table(
    f"{BY}_I_mx.blockwise_mm_shard_intermediate_mx_hybrid", blockwise_mm_shard_intermediate_mx_hybrid, partial(blocks_mx, 256, 1024, 1),
    [
        *INNER_MX_CHECKS, *CONDITIONS[:5],
        *shown(f"{ON_MX}::test_cores", {"two cores": "shard-on-I with dynamic control flow only works on TRN3 with 2 shards"}),
        refused("N + 1 conditions", "conditions must have N + 1 =", cut("conditions")),
        refused("num_static_block at most N", "num_static_block must be 0 to", num_static_block=99),
        *of_tensors("conditions"), of_class("skip_dma", SkipMode), *of_flags("is_tensor_update_accumulating"),
    ],
    lnc=2, target="trn3",
)  # fmt: skip


def specified(kind: Any, **changes: Any) -> Callable[[Any], Changes]:
    return lambda given: {"spec": MoECTESpec(kind), **changes}


THROUGH = Table(
    "nkilib.core.moe.moe_cte.moe_cte.moe_cte", moe_cte, lambda: {**blocks(256), "spec": MoECTESpec(KINDS.shard_on_i)},
    [
        *shown(f"{ANY}::test_blocks", {"PING_PONG": "Currently only support PING-PONG sharding strategy"}),
        *shown(f"{ANY}::test_an_unknown_implementation", {"a known implementation": "spec.implementation must be a MoECTEImplementation"}),
        *typed(named("hidden_states")),
        refused("hybrid: conditions", "conditions are needed", specified(KINDS.shard_on_i_hybrid)),
        refused("dropping: B in 1024s", "Blocksize must be a multiple of 1024", specified(KINDS.shard_on_i_dropping)),
        refused("a scaling mode", "1 is no ExpertAffinityScaleMode", expert_affinities_scaling_mode=1),
        of_class("spec", MoECTESpec), of_class("quantization_config", QuantizationConfig), of_class("skip_dma", SkipMode),
        refused("options of kernels that share blocks", "spec.shard_on_block must be of the class ShardOnBlockConfig, it is 3", spec=MoECTESpec(KINDS.shard_on_block, 3)),
        refused("options of kernels that share I", "spec.shard_on_I must be of the class ShardOnIConfig, it is 3", spec=MoECTESpec(KINDS.shard_on_i, None, 3)),
        *of_tensors("hidden_states"), *of_flags("is_tensor_update_accumulating"),
    ],
    lnc=2,
)  # fmt: skip

SKIPPED = ("activation_function", *moes.LIMITS.values(), "gate_and_up_proj_bias", "down_proj_bias")
BY_HIDDEN = Table(
    "nkilib.experimental.moe.forward.bwmm_shard_on_H.blockwise_mm_baseline_shard_hidden", blockwise_mm_baseline_shard_hidden,
    partial(blocks, 128, 0, SKIPPED),
    [
        *shown(f"{ON_H}::test_refused", {
            "I of the down weights in 16s": "down_proj_weight I_TP must be divisible by 16", "H divides by the cores": "Hidden dim must be divisible by 2",
            "B in 128s": "Blocksize must be a multiple of 128", "no PRE_SCALE_DELAYED": "not PRE_SCALE_DELAYED",
        }),
        *defined(f"{ON_H}::test_rows_of_the_down_weights_that_pad_them_are_not_read", {"rows of the down weights beyond I": "nan"}),
        *defined(f"{ON_H}::test_skipping_weights_changes_nothing", {"skip_weight": "skip"}),
        *MAPS, *WEIGHTS, *MODE,
        *checkpoints(128),
        *laid_out(TOKENS),
        *of_tensors("hidden_states"), of_class("skip_dma", SkipMode), *of_flags("is_tensor_update_accumulating"),
    ],
    lnc=2,
)  # fmt: skip


def backward() -> dict[str, Any]:
    return moes.backward_arguments(_bwd(60, 64, 64, 2, 1, 128, 0, seed=1)()[0])


DIFFERENTIATED = Table(
    "nkilib.experimental.moe.bwd.blockwise_mm_backward.blockwise_mm_bwd", blockwise_mm_bwd, backward,
    [
        *shown(f"{BACK}::test_refused_sizes", {
            "B of 128, 256, 512 or 1024": "block_size must be 128, 256, 512, or 1024, got 64", "I even": "I_TP must be divisible by 2, got 63", "H even": "H must be divisible by 2, got 127",
            "a core's H in 32s": "got sharded H as 48", "a core's I in 32s": "got sharded I_TP as 16",
        }),
        *shown(f"{BACK}::test_parameters_refuse_sizes", {
            "H divides by the shards": "Hidden dim H=128 must be divisible by num_shards=3",
        }, of="nkilib.experimental.moe.bwd"),
        *shown(f"{BACK}::test_refused_activations", {"SiLU or Swish": "activation_function must be SiLU or Swish"}),
        *defined(f"{BACK}::test_what_is_not_used", {"options that do nothing": "shard_option"}),
        *typed(named(
            "hidden_states", "expert_affinities_masked", "gate_up_proj_weight", "down_proj_weight", "output_hidden_states_grad",
            "gate_up_proj_act_checkpoint_T", "down_proj_act_checkpoint",
        )),
        of_type("compute_dtype"),
        *MAPS[1:3],
        refused("whole blocks of tokens", "token_position_to_id must have N·B", cut("token_position_to_id")),
        refused("the output's gradient as hidden", "output_hidden_states_grad must have shape", cut("output_hidden_states_grad", 0)),
        refused("down weights of H", "down_proj_weight must be [2, at least 64, 64]", cut("down_proj_weight")),
        refused("down weights of I rows, none more", "down_proj_weight must have shape (2, 64, 64)", down_proj_weight=zeros(2, 80, 64)),
        refused("checkpoints of gates [N, 2, I, B]", "gate_up_proj_act_checkpoint_T must have shape", cut("gate_up_proj_act_checkpoint_T")),
        refused("checkpoints of products [N, B, H]", "down_proj_act_checkpoint must have shape", cut("down_proj_act_checkpoint")),
        *of_number("block_size", other=128.0),
        *of_number("block_size", kind="at least 1", other=0),
        *laid_out(TOKENS),
        of_class("skip_dma", SkipMode), of_class("clamp_limits", ClampLimits),
        *of_tensors("hidden_states"), *of_flags("is_tensor_update_accumulating"),
    ],
)  # fmt: skip

TABLES = [
    ROUTED, EXPERTS, AROUND, BY_INNER, BY_INNER_HYBRID, DROPPING, BY_BLOCK, BY_BLOCK_MX, BY_INNER_MX, BY_INNER_MX_HYBRID, THROUGH,
    BY_HIDDEN, DIFFERENTIATED,
]  # fmt: skip
