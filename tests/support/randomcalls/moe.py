"""Random calls of the router and of the mixtures of experts."""

from __future__ import annotations

import functools
from typing import Any

import moe_numpy_ref as ref
import moeblocks
import moes
import nki.isa as nisa
import nki.language as nl
import numpy as np
from blockcheck import BF16, FP16, FP32, in_hbm, per_core
from moe_numpy_cases import _bwd, _cte, _tkg, _tkg_mx
from routers import LAYOUTS, SIGMOID, SOFTMAX
from routers import drawn as routed_tokens

from nkilib.core.moe import moe_tkg
from nkilib.core.moe.moe_cte import (
    MoECTEImplementation,
    MoECTESpec,
    QuantizationConfig,
    ShardOnIConfig,
    moe_cte,
)
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
from nkilib.core.moe.moe_cte.moe_cte_utils import BlockShardStrategy
from nkilib.core.moe_block.moe_block_tkg import moe_block_tkg
from nkilib.core.router_topk.router_topk import router_topk, router_topk_input_x_load
from nkilib.core.utils.common_types import ActFnType
from nkilib.experimental.moe.bwd.blockwise_mm_backward import blockwise_mm_bwd
from nkilib.experimental.moe.bwd.moe_bwd_parameters import AffinityOption, KernelTypeOption, ShardOption
from nkilib.experimental.moe.forward.bwmm_shard_on_H import blockwise_mm_baseline_shard_hidden
from nkisim.core.dtypes import dtype_of

from .base import Call, Choose, Family

# -- router -----------------------------------------------------------------------------------------------


def route(
    x: Any, w: Any, w_bias: Any, router_logits: Any, expert_affinities: Any, expert_index: Any, tokens: int,
    **options: Any,
) -> Any:  # fmt: skip
    """router_topk, with the tokens and results in tiles where the options say so."""
    if options.get("x_input_in_sbuf"):
        x = router_topk_input_x_load(x, 1, options["x_sb_layout"])
    if options.get("output_in_sbuf"):
        expert_index = nl.ndarray((tokens, options["k"]), dtype=nl.uint32, buffer=nl.sbuf)
        nisa.memset(dst=expert_index, value=7777)
    if options.get("expert_affin_in_sb"):
        experts = w.shape[len(w.shape) - 1]
        expert_affinities = nl.ndarray((tokens, experts), dtype=nl.float32, buffer=nl.sbuf)
        nisa.memset(dst=expert_affinities, value=-1.0)
    found = router_topk(
        x, w, w_bias, router_logits=router_logits, expert_affinities=expert_affinities,
        expert_index=expert_index, **options,
    )  # fmt: skip
    shown = [per_core(expert_index) if options.get("output_in_sbuf") else expert_index]
    shown.append(per_core(expert_affinities) if options.get("expert_affin_in_sb") else expert_affinities)
    if router_logits is not None:
        shown.append(router_logits)
    if options.get("return_eager_affi"):
        shown.append(in_hbm(found[3]))
    return shown


def routed(c: Choose) -> Call:
    tokens, hidden, experts, k = c.int(1, 20), 256 * c.int(1, 2), c.of(16, 8, 32), c.int(1, 6)
    act, form = c.of(SOFTMAX, SIGMOID), c.of({}, {"router_pre_norm": False}, {"norm_topk_prob": True})
    layout = c.of(*LAYOUTS)
    given = routed_tokens(tokens, hidden, experts, k, act, **form, seed=c.int(0, 999), bias=c.flag())
    options: dict[str, Any] = dict.fromkeys(c.some("use_column_tiling", "use_PE_broadcast_w_bias"), True)
    options |= form
    in_tiles = c.some("output_in_sbuf", "expert_affin_in_sb")
    scattered = act == SIGMOID or c.flag()
    if scattered:
        options["use_indirect_dma_scatter"] = True
        in_tiles -= {"expert_affin_in_sb"}
    options |= dict.fromkeys(in_tiles, True)
    eager = (form and tokens <= 128) and c.flag()
    if eager:
        options["return_eager_affi"] = True
    shared = not eager and not tokens % 2 and c.flag()
    if shared:
        options["shard_on_tokens"] = True
    kind, number = layout.split()
    options |= {
        "act_fn": act, "k": k, "x_hbm_layout": 0 if layout == "hbm 0" else 1,
        "x_sb_layout": int(number) if kind == "sbuf" else 0, "x_input_in_sbuf": kind == "sbuf",
    }  # fmt: skip
    skipped = c.some("skip_store_router_logits", "skip_store_expert_index")
    if in_tiles & {"output_in_sbuf"}:
        skipped -= {"skip_store_expert_index"}
    options |= dict.fromkeys(skipped, True)
    want = given.expected()
    index = want["expert_index"]
    if "skip_store_expert_index" in skipped:
        index = np.full_like(index, 9999)
    x = given.x if layout != "hbm 0" else np.ascontiguousarray(given.x.T)
    logits = None if "skip_store_router_logits" in skipped else np.full((tokens, experts), -5, FP32)
    arguments = {
        "x": x, "w": given.w, "w_bias": given.bias, "router_logits": logits,
        "expert_affinities": None if "expert_affin_in_sb" in in_tiles else np.full((tokens, experts), -5, FP32),
        "expert_index": None if "output_in_sbuf" in in_tiles else np.full((tokens, k), 9999, np.uint32), **options,
    }  # fmt: skip
    run = functools.partial(route, tokens=tokens)

    def expected(lnc: int) -> Any:
        shown = [np.stack([index] * lnc) if "output_in_sbuf" in in_tiles else index]
        affinities = want["expert_affinities"]
        shown.append(np.stack([affinities] * lnc) if "expert_affin_in_sb" in in_tiles else affinities)
        if logits is not None:
            shown.append(want["router_logits"])
        return [*shown, want["eager"]] if eager else shown

    def shown(got: Any) -> Any:
        return [*got[:-1], got[-1][:, :k]] if eager else got

    return Call(run, arguments, expected, [(0, 0), (1e-5, 1e-5)], lnc=(2,) if shared else (1, 2), shown=shown)


def limits_of(c: Choose, most: float) -> dict[str, float]:
    """Some of the four limits, as the oracles call them."""
    values = {"g_hi": most, "g_lo": -most / 2, "u_hi": most * 0.9, "u_lo": -most * 0.8}
    return {name: values[name] for name in c.some(*values)}


# -- token generation -------------------------------------------------------------------------------------


def experts(c: Choose) -> Call:
    if c.of(0, 0, 1):
        return experts_mx(c)
    all_expert, local = c.flag(), c.int(1, 4)
    ranks = c.int(1, 2) if all_expert else 1
    local += local * ranks == 1
    total = local * ranks
    chosen, dtype = min(total, c.int(1, 3)), c.of(BF16, FP16)
    given, want, _ = _tkg(
        c.int(1, 9), 256 * c.int(1, 2), c.of(32, 64, 7 * 16), local, total, chosen, all_expert=all_expert,
        rank=c.int(0, ranks - 1), mask=all_expert and c.flag(), post=c.of(True, False), bias=c.flag(),
        clamp=limits_of(c, 2.0), act=c.of(*ActFnType).name, row_scale=c.flag(), seed=c.int(0, 999),
        rnd=ref.bf16 if dtype == BF16 else ref.fp16,
    )()  # fmt: skip
    arguments = moes.tkg_arguments(given, dtype)
    out = c.of(None, nl.float32)
    arguments["output_dtype"] = out
    dtypes = [dtype if out is None else FP32]
    return Call(moe_tkg, arguments, lambda _: [want["out"]], [(2e-2, 1e-5)], dtypes)


def experts_mx(c: Choose) -> Call:
    all_expert, kind, local = c.flag(), c.of("e2m1", "e4m3"), c.int(2, 3)
    tokens, inner = (32 * c.int(1, 2), 1024) if all_expert else (c.int(1, 5), c.of(64, 192))
    act = c.of(ActFnType.Swish, ActFnType.SiLU)
    given, want, rtol = _tkg_mx(
        tokens, 512 * c.int(1, 2), inner, local, kind, K=2, all_expert=all_expert, act=act.name,
        seed=c.int(0, 999),
    )()  # fmt: skip
    arguments = moes.tkg_mx_arguments(given) | {"activation_fn": act}
    if all_expert:
        arguments["is_all_expert_dynamic"] = c.flag()
    return Call(moe_tkg, arguments, lambda _: [want["out"]], [(rtol, 1e-5)], [BF16], target="trn3")


def around_experts(c: Choose) -> Call:
    form = c.of({}, {"router_pre_norm": False}, {"norm_topk_prob": True})
    act, k, all_expert = c.of(SOFTMAX, SIGMOID), c.int(1, 3), c.flag()
    case = moeblocks.Block(
        (c.int(1, 8), 1), 256 * c.int(1, 2), c.of(32, 64), 8, k, dtype=c.of(BF16, FP16), router_act_fn=act,
        is_all_expert=all_expert, hidden_act_fn=c.of(*ActFnType), eps=c.of(1e-6, 0.01), **form,
    )  # fmt: skip
    if c.flag():
        case.add_biases()
    limits = {"gate_clamp_upper_limit": 0.5, "gate_clamp_lower_limit": -0.3, "up_clamp_upper_limit": 0.4, "up_clamp_lower_limit": -0.2}  # fmt: skip
    case.arguments |= {name: limits[name] for name in c.some(*limits)}
    if c.flag():
        case.arguments["expert_affinities_scaling_mode"] = moes.NO_SCALE
    if c.flag():
        case.arguments["router_bias"] = None
    if c.flag():
        case.arguments["hidden_actual"] = case.arguments["inp"].shape[2] - 60
        case.arguments["inp"][..., -60:] = 0
    case.set_apart(np.random.default_rng(7))
    out, logits = case.expected()
    skipped = c.flag()
    arguments = {
        **case.arguments,
        "router_mm_dtype": dtype_of(case.router_dtype),
        "skip_router_logits": skipped,
    }
    want = [out] if skipped else [out, logits]
    return Call(moe_block_tkg, arguments, lambda _: want, [(3e-2, 1e-5)], [case.dtype] * len(want), lnc=(2,))


# -- blocks -----------------------------------------------------------------------------------------------

MODES = ("POST", "NO")


def blocks(c: Choose, block: int, inner: tuple[int, ...], modes: tuple[str, ...], scale: bool = False, **more: Any) -> Any:  # fmt: skip
    """Arguments without MX and expected results of block-wise kernels."""
    mode, experts_ = c.of(*modes), c.int(1, 3)
    given, want, rtol = _cte(
        c.of(100, 30, 257), 512, c.of(*inner), experts_, c.int(1, experts_), block, c.of(0, 1), c.flag() and mode != "PRE_H",
        c.of("SiLU", "Swish"), mode, limits_of(c, 1.0), scale and c.flag(), seed=c.int(0, 999), ckpt=True, **more,
    )()  # fmt: skip
    return (
        given,
        moes.block_arguments(given) | {"is_tensor_update_accumulating": True},
        {**want, "output": unpadded(given, want["output"])},
        (rtol, 1e-5),
    )


def unpadded(given: dict[str, Any], output: Any) -> Any:
    """Without what the oracle adds up for padding in the row behind the tokens, which stays zero."""
    if not given["skip"] & 1:
        output[-1] = 0
    return output


def by_block(c: Choose) -> Call:
    given, arguments, want, tolerance = blocks(c, 128 * c.int(1, 2), (64, 16, 48), (*MODES, "PRE_H"))
    output = want["output"]
    stacked = np.stack([output, np.zeros_like(output)], 1)
    arguments |= {"n_block_per_iter": c.int(1, 4), "down_activations": np.zeros((1, 1, 1), BF16)}
    unused = np.full((len(given["gate_up_proj_weight"]), 1, 512), 3, FP32)
    arguments |= {"gate_up_proj_scale": unused, "down_proj_scale": unused}
    return Call(bwmm_shard_on_block, arguments, lambda _: [stacked], [tolerance], [BF16], lnc=(2,))


def by_inner(c: Choose) -> Call:
    on_product = c.flag()
    _, arguments, want, tolerance = blocks(c, 256, (64, 288), MODES, True, multI=on_product)
    arguments["expert_affinity_multiply_on_I"] = on_product
    results = [want["output"]]
    return Call(blockwise_mm_baseline_shard_intermediate, arguments, lambda _: results, [tolerance], [BF16])


def by_inner_hybrid(c: Choose) -> Call:
    given, arguments, want, tolerance = blocks(c, 256, (64, 288), MODES, True)
    arguments["conditions"] = moes.conditions_of(given, 1)
    arguments["num_static_block"] = c.of(None, 0, 1)
    return Call(
        blockwise_mm_baseline_shard_intermediate_hybrid, arguments, lambda _: [want["output"]], [tolerance], [BF16],
        lnc=(2,),
    )  # fmt: skip


def dropped(c: Choose) -> Call:
    """One block for each expert; some places are padding, some tokens are in none."""
    count, experts_, on_product, size = c.of(120, 40), c.int(1, 2), c.flag(), 1024
    given, arguments, _, tolerance = blocks(c, 256, (32, 96), ("POST",), True)
    tokens = len(given["hidden_states"])
    experts_ = len(given["gate_up_proj_weight"])
    random = c.random()
    ids = np.full((experts_, size), tokens - 1 if given["skip"] == 0 else -1, np.int32)
    chosen = min(count, tokens - 10)
    for expert in range(experts_):
        ids[expert, :chosen] = random.permutation(tokens - 10)[:chosen]
    affinities = random.random((tokens, experts_)).astype(FP32)
    affinities[tokens - 1] = 0
    arguments |= {
        "block_size": size, "token_position_to_id": ids.reshape(-1),
        "expert_affinities_masked": affinities.reshape(-1, 1), "block_to_expert": np.zeros(experts_, np.int32),
        "expert_affinity_multiply_on_I": on_product,
    }  # fmt: skip
    biases = {}
    if "down_proj_bias" in given:
        biases = {"bgu": given["gate_and_up_proj_bias"], "bd": given["down_proj_bias"]}
    if "down_proj_scale" in given:
        inner, hidden = given["down_proj_weight"].shape[1:]
        biases |= {
            "sgu": given["gate_up_proj_scale"].reshape(-1, 2, inner),
            "sd": given["down_proj_scale"].reshape(-1, hidden),
        }
    want = ref.moe_cte(
        given["hidden_states"], affinities, given["gate_up_proj_weight"], given["down_proj_weight"],
        ids.reshape(-1), np.arange(experts_), size, multiply_on_I=on_product,
        act_name=given["activation_function"], **biases, **given["clamps"],
    )  # fmt: skip
    return Call(
        blockwise_mm_shard_intermediate_dropping, arguments, lambda _: [want], [tolerance], [BF16],
        shown=lambda got: [got[0]],
    )  # fmt: skip


def by_hidden(c: Choose) -> Call:
    given, _, rtol = _cte(
        c.of(100, 30, 257), c.of(256, 144), c.of(48, 16), 3, c.int(1, 3), 128 * c.int(1, 2), c.of(0, 1),
        mode=c.of("POST", "NO"), seed=c.int(0, 999), ckpt=True,
    )()  # fmt: skip
    want, absent = _, ("activation_function", *moes.LIMITS.values())
    arguments = {name: value for name, value in moes.block_arguments(given).items() if name not in absent}
    arguments["is_tensor_update_accumulating"] = True
    return Call(
        blockwise_mm_baseline_shard_hidden, arguments, lambda _: [want["output"]], [(rtol, 1e-5)], [BF16]
    )


def blocks_mx(c: Choose, inner: bool) -> Any:
    kind = c.of("e2m1", "e4m3")
    sizes: tuple[int, ...] = (
        (512, 1024, c.int(1, 2), 1, 256) if inner else (512, c.of(64, 96), c.int(1, 2), 1, 128)
    )
    given, want, rtol = _cte(
        c.of(100, 30), *sizes, c.of(0, 1), c.flag(), c.of(*ActFnType).name, c.of(*MODES), limits_of(c, 1.0), kind=kind,
        seed=c.int(0, 999),
    )()  # fmt: skip
    arguments = moes.block_mx_arguments(given, kind) | {"is_tensor_update_accumulating": True}
    return given, arguments, unpadded(given, want["output"]), (rtol, 1e-5)


def by_block_mx(c: Choose) -> Call:
    given, arguments, output, tolerance = blocks_mx(c, False)
    count = len(given["block_to_expert"])
    if count > 1 and c.flag():
        arguments["conditions"] = moes.conditions_of(given, 2)
        arguments |= c.of({"n_static_blocks": 1}, {"n_dynamic_blocks": 1})
    stacked = np.stack([output, np.zeros_like(output)])
    arguments |= {"compute_dtype": nl.float16, "gate_up_activations_T": None, "down_activations": None}
    return Call(
        bwmm_shard_on_block_mx, arguments, lambda _: [stacked], [tolerance], [BF16], lnc=(2,), target="trn3"
    )


def by_inner_mx(c: Choose, hybrid: bool) -> Call:
    given, arguments, output, tolerance = blocks_mx(c, True)
    kernel: Any = blockwise_mm_shard_intermediate_mx
    lnc: tuple[int, ...] = (1, 2)
    arguments["compute_dtype"] = nl.float16
    if hybrid:
        kernel, lnc = blockwise_mm_shard_intermediate_mx_hybrid, (2,)
        arguments |= {"conditions": moes.conditions_of(given, 1), "num_static_block": c.of(None, 0, 1)}
    return Call(kernel, arguments, lambda _: [output], [tolerance], [BF16], lnc=lnc, target="trn3")


KINDS = MoECTEImplementation
THROUGH = {
    KINDS.shard_on_block: by_block,
    KINDS.shard_on_i: by_inner,
    KINDS.shard_on_i_hybrid: by_inner_hybrid,
    KINDS.shard_on_block_mx: by_block_mx,
    KINDS.shard_on_i_mx: lambda c: by_inner_mx(c, False),
}
OF_INNER = ("expert_affinity_multiply_on_I", "num_static_block")
SCALES = ("gate_up_proj_scale", "down_proj_scale")


def by_any(c: Choose) -> Call:
    """Through ``moe_cte``, which chooses the kernel by its specification."""
    kind = c.of(*THROUGH)
    call = THROUGH[kind](c)
    arguments = dict(call.arguments)
    config = {name: arguments.pop(name) for name in OF_INNER if name in arguments}
    scales = [arguments.pop(name, None) for name in SCALES]
    for name in ("n_static_blocks", "n_dynamic_blocks", "conditions"):
        if kind == KINDS.shard_on_block_mx:
            arguments.pop(name, None)
    if scales[0] is not None:
        arguments["quantization_config"] = QuantizationConfig(*scales)
    arguments["spec"] = MoECTESpec(kind, shard_on_I=ShardOnIConfig(**config) if config else None)
    for name in ("n_block_per_iter", "down_activations", "gate_up_activations_T", "compute_dtype"):
        arguments.pop(name, None)
    if kind == KINDS.shard_on_block:
        arguments.pop("quantization_config", None)
    call.kernel, call.arguments = moe_cte, arguments
    return call


def differentiated(c: Choose) -> Call:
    given, want, rtol = _bwd(
        c.of(60, 200), 64 * c.int(1, 3), 64 * c.int(1, 2), 2, c.int(1, 2), 128, c.of(0, 1), c.flag(),
        c.of("SiLU", "Swish"), c.of(None, 0.5), seed=c.int(0, 99),
    )()  # fmt: skip
    arguments = moes.backward_arguments(given) | {
        "shard_option": ShardOption.SHARD_ON_HIDDEN, "affinity_option": AffinityOption.AFFINITY_ON_H,
        "kernel_type_option": KernelTypeOption.DROPLESS, "block_tile_size": 64, "is_tensor_update_accumulating": True,
    }  # fmt: skip
    return Call(blockwise_mm_bwd, arguments, lambda _: list(want.values()), [(rtol, 1e-5)])


BY = "nkilib.core.moe.moe_cte.bwmm_shard_on"
TKG_MX, BLOCK = "core/moe/test_moe_tkg_mx.py", "core/moe_block/test_moe_block_tkg.py"
ON_I, ON_MX, ALL = (f"core/moe/test_{name}.py" for name in ("bwmm_shard_on_I", "bwmm_mx", "moe_cte"))
ON_H, BACK = (f"experimental/moe/test_{name}.py" for name in ("bwmm_shard_on_H", "blockwise_mm_bwd"))
HYBRID = {"conditions": f"{ON_I}::test_blocks_that_are_not_active_are_not_run"}
MX_ONCE = {"is_tensor_update_accumulating": f"{ON_MX}::test_top_1_is_written_as_it_is"}
FAMILIES = [
    Family(
        "nkilib.core.router_topk.router_topk.router_topk", routed,
        made=frozenset({"router_logits", "expert_affinities", "expert_index"}),
        idle={"shard_on_tokens": "who does what", "use_PE_broadcast_w_bias": "who spreads the bias",
              "use_column_tiling": "how products are grouped"},
        shown_by={"x_input_in_sbuf": "core/router_topk/test_router_topk.py::test_checks"},
    ),
    Family(
        "nkilib.core.moe.moe_tkg.moe_tkg.moe_tkg", experts,
        idle={"is_all_expert_dynamic": "how experts follow each other"},
        refused={"gate_up_input_scale": np.ones((128, 1), FP32), "down_input_scale": np.ones((128, 1), FP32)},
        shown_by={"hidden_input_scale": f"{TKG_MX}::test_a_quantised_hidden_state",
                  "expert_affinities_eager": f"{TKG_MX}::test_eager_weights",
                  "output_in_sbuf": "core/moe/test_moe_tkg.py::test_all_experts_in_sbuf"},
        # All experts without affinities: only the tokens say how many they are.
        free={"hidden_input": (0,), "expert_affinities": (1,), "expert_index": (0, 1)},
    ),
    Family(
        "nkilib.core.moe_block.moe_block_tkg.moe_block_tkg", around_experts,
        refused={
            **dict.fromkeys((f"shared_expert_{part}_w" for part in ("gate", "up", "down")), np.zeros((256, 16), BF16)),
            **dict.fromkeys((f"shared_expert_{part}_bias" for part in ("gate", "up", "down")), np.zeros((1, 16), BF16)),
            "hidden_act_scale_factor": 2.0, "hidden_act_bias": np.zeros((1, 16), BF16),
        },
        shown_by={"residual": f"{BLOCK}::test_residual", "expert_gate_up_weights_scale": f"{BLOCK}::test_rows_scales",
                  "expert_down_weights_scale": f"{BLOCK}::test_rows_scales"},
        free={"inp": (0, 1), "router_weights": (1,), "rank_id": (0, 1)},
    ),
    Family(
        f"{BY}_block.bwmm_shard_on_block", by_block,
        idle=dict.fromkeys(("gate_up_proj_scale", "down_proj_scale", "down_activations", "n_block_per_iter"), "not used"),
        refused={"block_sharding_strategy": BlockShardStrategy.HI_LO},
        shown_by={"compute_dtype": "core/moe/test_bwmm_shard_on_block.py::test_compute_dtype"},
        free={"down_proj_weight": (1,), "gate_up_proj_weight": (3,), "gate_up_proj_scale": (0, 1, 2), "down_proj_scale": (0, 1, 2), "down_activations": (0, 1, 2)},
    ),
    Family(
        f"{BY}_I.blockwise_mm_baseline_shard_intermediate", by_inner,
        shown_by={"compute_dtype": f"{ON_I}::test_float32", "checkpoint_activation": f"{ON_I}::test_checkpoints"},
        free={"down_proj_weight": (1,), "gate_up_proj_weight": (3,)},
    ),
    Family(
        f"{BY}_I.blockwise_mm_baseline_shard_intermediate_hybrid", by_inner_hybrid,
        idle={"num_static_block": "blocks that need no condition"},
        shown_by={"compute_dtype": "core/moe/test_moe_cte.py::test_hybrid_inner", **HYBRID,
                  "gate_up_activations_T": f"{ON_I}::test_checkpoints_of_the_hybrid",
                  "down_activations": f"{ON_I}::test_checkpoints_of_the_hybrid"},
        free={"down_proj_weight": (1,), "gate_up_proj_weight": (3,)},
    ),
    Family(
        f"{BY}_I.blockwise_mm_shard_intermediate_dropping", dropped,
        idle={"block_to_expert": "each expert has its block", "expert_affinities_scaling_mode": "always POST_SCALE"},
        shown_by={"compute_dtype": "core/moe/test_moe_cte.py::test_dropping"},
        free={"down_proj_weight": (1,), "gate_up_proj_weight": (3,), "block_to_expert": (0,)},
    ),
    Family(
        f"{BY}_block_mx.bwmm_shard_on_block_mx", by_block_mx,
        idle=dict.fromkeys(("compute_dtype", "gate_up_activations_T", "down_activations"), "not used"),
        refused={"is_tensor_update_accumulating": False},
        shown_by={"weight_dtype": f"{ON_MX}::test_carriers",
                  **dict.fromkeys(("n_static_blocks", "n_dynamic_blocks"), f"{ON_MX}::test_how_many_blocks_are_static"),
                  "conditions": f"{ON_MX}::test_blocks_that_are_not_active_are_not_run"},
    ),
    Family(
        f"{BY}_I_mx.blockwise_mm_shard_intermediate_mx", functools.partial(by_inner_mx, hybrid=False),
        idle={"compute_dtype": "not used"}, shown_by={"weight_dtype": f"{ON_MX}::test_carriers", **MX_ONCE},
    ),
    Family(
        f"{BY}_I_mx.blockwise_mm_shard_intermediate_mx_hybrid", functools.partial(by_inner_mx, hybrid=True),
        idle={"compute_dtype": "not used", "num_static_block": "blocks that need no condition"},
        shown_by={"weight_dtype": f"{ON_MX}::test_carriers", **MX_ONCE,
                  "conditions": f"{ON_MX}::test_blocks_that_are_not_active_are_not_run"},
    ),
    Family(
        "nkilib.core.moe.moe_cte.moe_cte.moe_cte", by_any,
        shown_by={
            **dict.fromkeys(("conditions", "gate_up_activations_T", "down_activations"), f"{ALL}::test_hybrid_inner"),
            "compute_dtype": f"{ALL}::test_inner",
        },
        free={"down_proj_weight": (1,), "gate_up_proj_weight": (3,)},
    ),
    Family(
        "nkilib.experimental.moe.forward.bwmm_shard_on_H.blockwise_mm_baseline_shard_hidden", by_hidden,
        shown_by={"compute_dtype": f"{ON_H}::test_float32",
                  **dict.fromkeys(("gate_up_activations_T", "down_activations"), f"{ON_H}::test_cases")},
        free={"down_proj_weight": (1,), "gate_up_proj_weight": (3,)},
    ),
    Family(
        "nkilib.experimental.moe.bwd.blockwise_mm_backward.blockwise_mm_bwd", differentiated,
        idle=dict.fromkeys(("shard_option", "affinity_option", "kernel_type_option", "block_tile_size"), "not used"),
        shown_by={"compute_dtype": f"{BACK}::test_float32"},
    ),
]  # fmt: skip
