"""The feed-forward half of a decoder layer with a mixture of experts, for token generation.

    n            = RMSNorm(inp (+ residual))      rounded to inp's dtype
    L, index, a  = router(n)                      K of E experts for each token, and their weights
    out          = Σ_e a[t, e]·MLP_e(n[t])        over the token's experts

Composed of :func:`.rmsnorm_tkg` or :func:`.rmsnorm_mx_quantize_tkg`, :mod:`..router_topk` and
:func:`.moe_tkg`; between them activations stay in SBUF, ``[128, T, H/128]`` in the layout that experts take:

    all experts, MX              x[t, 128 j + p], also quantised; router of half of the tokens on each core
    selective, MX                x[t, 128 j + p]
    selective, several tokens    x[t, p·H/128 + j], and each core has a part of the tokens
    otherwise                    the same in each half of H, of which each core has one

Weights of the experts go to HBM for all experts, for each core its own copy unless cores divide the tokens.
"""

from typing import Any

import nki
import nki.isa as nisa
import nki.language as nl

from ...blocks.arguments import assert_classes
from ...blocks.dtypes import assert_dtype
from ...blocks.lnc import Cores, barrier, cores
from ...blocks.memory import PARTITIONS, Scratch, manager, scratch
from ...blocks.mx import TILE
from ..moe.moe_tkg.moe_tkg import moe_tkg
from ..moe.moe_tkg.moe_tkg_parameters import LARGE_EXPERT
from ..router_topk.operands import XSBLayout_tp102__0, XSBLayout_tp201__2, XSBLayout_tp2013__1
from ..router_topk.router_topk import validate_bias, validate_choice, validate_weight
from ..router_topk.routing import SHARED_TOKENS, Routing, route
from ..router_topk.selection import Choice
from ..subkernels.rmsnorm_mx_quantize_tkg import rmsnorm_mx_quantize_tkg
from ..subkernels.rmsnorm_tkg import rmsnorm_tkg
from ..utils.common_types import ActFnType, ExpertAffinityScaleMode, RouterActFnType
from ..utils.kernel_assert import kernel_assert
from .moe_block_tkg_utils import MoEBlockTKGDims, parse_moe_block_config, validate_moe_block_inputs


class Plan(nl.NKIObject):
    """How activations lie and who does what.

    Attributes:
        all_experts, mx: which kind of experts. layout: of SBUF, a number of :mod:`..router_topk`.
        halves: each core gives the experts its half of H. shared: each core routes half of the tokens.
    """

    all_experts: bool
    mx: bool
    layout: int
    halves: bool
    shared: bool


class Hidden(nl.NKIObject):
    """Normalised activations.

    Attributes:
        normed: SBUF ``[128, T, H/128]``; complete, or a core's half of the tokens where they are quantised.
        quantised, scales: MX for all experts, else None. residual: HBM ``[T, H]``, the sum with it, or None.
    """

    normed: nl.ndarray
    quantised: Any = None
    scales: Any = None
    residual: Any = None


class Routed(nl.NKIObject):
    """The router's results; ``logits`` is None if they are not wanted."""

    logits: Any
    index: nl.ndarray
    affinities: nl.ndarray


@nki.jit
def moe_block_tkg(
    inp: nl.ndarray,
    gamma: nl.ndarray,
    router_weights: nl.ndarray,
    expert_gate_up_weights: nl.ndarray,
    expert_down_weights: nl.ndarray,
    shared_expert_gate_w: nl.ndarray | None = None,
    shared_expert_up_w: nl.ndarray | None = None,
    shared_expert_down_w: nl.ndarray | None = None,
    expert_gate_up_weights_scale: nl.ndarray | None = None,
    expert_down_weights_scale: nl.ndarray | None = None,
    router_bias: nl.ndarray | None = None,
    expert_gate_up_bias: nl.ndarray | None = None,
    expert_down_bias: nl.ndarray | None = None,
    shared_expert_gate_bias: nl.ndarray | None = None,
    shared_expert_up_bias: nl.ndarray | None = None,
    shared_expert_down_bias: nl.ndarray | None = None,
    eps: float = 1e-6,
    top_k: int = 1,
    router_act_fn: RouterActFnType = RouterActFnType.SIGMOID,
    router_pre_norm: bool = True,
    norm_topk_prob: bool = False,
    expert_affinities_scaling_mode: ExpertAffinityScaleMode = ExpertAffinityScaleMode.NO_SCALE,
    hidden_act_fn: ActFnType = ActFnType.SiLU,
    hidden_act_scale_factor: float | None = None,
    hidden_act_bias: nl.ndarray | None = None,
    gate_clamp_upper_limit: float | None = None,
    gate_clamp_lower_limit: float | None = None,
    up_clamp_upper_limit: float | None = None,
    up_clamp_lower_limit: float | None = None,
    router_mm_dtype: Any = nl.bfloat16,
    hidden_actual: int | None = None,
    skip_router_logits: bool = False,
    is_all_expert: bool = False,
    rank_id: nl.ndarray | None = None,
    residual: nl.ndarray | None = None,
) -> tuple[nl.ndarray, ...]:
    """Normalise, route and run the experts, on two cores.

    Args:
        inp: HBM ``[B, S, H]`` of 16 bits; T = B·S, up to 128, for all experts with MX any multiple of 4.
        gamma: HBM ``[1, H]``. eps: added to the mean square, whose divisor is ``hidden_actual``, or H.
        router_weights: HBM ``[H, E]`` of ``router_mm_dtype``: bfloat16, float16 or float32, to which the
            normalised activations are converted for the router. router_bias: HBM ``[E]``, ``[1, E]`` or None.
        top_k, router_act_fn, router_pre_norm, norm_topk_prob: see :mod:`..router_topk`. Without a norm of the
            probabilities those of experts that are not chosen do not count.
        expert_*, expert_affinities_scaling_mode, hidden_act_fn, gate_clamp_*, up_clamp_*, rank_id: see
            :func:`.moe_tkg`.
        skip_router_logits: do not return them.
        is_all_expert: all experts that are here for all tokens, or those that each token selects.
        residual: HBM ``[B, S, H]`` or ``[T, H]``, added to ``inp``, for all experts with MX weights; selected
            experts do not read it.
        shared_expert_*, hidden_act_scale_factor, hidden_act_bias: must be None.

    Returns:
        HBM ``out [T, H]``, the router's logits ``[T, E]`` unless skipped, and with a residual that is read
        ``inp + residual`` ``[T, H]``; all of ``inp``'s dtype.

    Raises AssertionError for what :mod:`.moe_block_tkg_utils`, the router and the experts refuse.
    """
    assert_classes(
        tensors=(
            (inp, "inp"), (gamma, "gamma"), (router_weights, "router_weights"),
            (expert_gate_up_weights, "expert_gate_up_weights"), (expert_down_weights, "expert_down_weights"),
        ),
        optional=(
            (shared_expert_gate_w, "shared_expert_gate_w"), (shared_expert_up_w, "shared_expert_up_w"),
            (shared_expert_down_w, "shared_expert_down_w"),
            (expert_gate_up_weights_scale, "expert_gate_up_weights_scale"),
            (expert_down_weights_scale, "expert_down_weights_scale"), (router_bias, "router_bias"),
            (expert_gate_up_bias, "expert_gate_up_bias"), (expert_down_bias, "expert_down_bias"),
            (shared_expert_gate_bias, "shared_expert_gate_bias"),
            (shared_expert_up_bias, "shared_expert_up_bias"),
            (shared_expert_down_bias, "shared_expert_down_bias"), (hidden_act_bias, "hidden_act_bias"),
            (rank_id, "rank_id"), (residual, "residual"),
        ),
        flags=(
            (router_pre_norm, "router_pre_norm"), (norm_topk_prob, "norm_topk_prob"),
            (skip_router_logits, "skip_router_logits"), (is_all_expert, "is_all_expert"),
        ),
    )  # fmt: skip
    biased = False
    for bias in (shared_expert_gate_bias, shared_expert_up_bias, shared_expert_down_bias):
        biased = biased or bias is not None
    kernel_assert(not biased, "shared_expert biases have not been supported in moe_block_tkg kernel yet")
    dims, quantization, experts = parse_moe_block_config(
        inp, router_weights, expert_gate_up_weights, shared_expert_gate_w, top_k, hidden_actual, is_all_expert
    )
    validate_moe_block_inputs(
        dims, quantization, experts, shared_expert_gate_w, shared_expert_up_w, shared_expert_down_w,
        hidden_act_scale_factor, hidden_act_bias, router_mm_dtype, rank_id, residual,
    )  # fmt: skip
    assert_dtype(router_weights, [router_mm_dtype], "as router_mm_dtype says, router_weights")
    width = expert_gate_up_weights.shape[len(expert_gate_up_weights.shape) - 1]
    plan = _plan(dims, quantization.is_moe_weight_mx, is_all_expert, width)
    work = scratch(manager(), name="moe_block_tkg")
    hidden = _normalize(inp, gamma, residual, eps, dims, plan, work)
    choice = Choice(
        act_fn=router_act_fn, k=top_k, pre_norm=router_pre_norm, norm=norm_topk_prob, indirect=False
    )
    logits = None
    if not skip_router_logits:
        logits = nl.ndarray((dims.T, dims.E), dtype=inp.dtype, buffer=nl.shared_hbm)
    x = _for_router(hidden.normed, router_mm_dtype, dims, plan, work)
    routed = _route(x, router_weights, router_bias, logits, choice, dims, plan, work)
    out = moe_tkg(
        _for_experts(hidden, dims, plan, work), expert_gate_up_weights, expert_down_weights,
        routed.affinities, routed.index, is_all_expert, rank_id,
        expert_gate_up_bias=expert_gate_up_bias, expert_down_bias=expert_down_bias,
        expert_gate_up_weights_scale=expert_gate_up_weights_scale,
        expert_down_weights_scale=expert_down_weights_scale,
        hidden_input_scale=hidden.scales, mask_unselected_experts=router_pre_norm,
        expert_affinities_scaling_mode=expert_affinities_scaling_mode, activation_fn=hidden_act_fn,
        output_dtype=inp.dtype,
        gate_clamp_upper_limit=gate_clamp_upper_limit, gate_clamp_lower_limit=gate_clamp_lower_limit,
        up_clamp_upper_limit=up_clamp_upper_limit, up_clamp_lower_limit=up_clamp_lower_limit,
    )  # fmt: skip
    work.close()
    results = [out]
    if logits is not None:
        results.append(logits)
    if hidden.residual is not None:
        results.append(hidden.residual)
    return tuple(results)


def _plan(dims: MoEBlockTKGDims, mx: bool, all_experts: bool, width: int) -> Plan:
    """``width``: I of experts that are not MX."""
    divides_tokens = not all_experts and dims.T > 1 and dims.H * width < LARGE_EXPERT
    layout, halves = XSBLayout_tp2013__1, True
    if mx:
        layout, halves = XSBLayout_tp201__2, False
    elif divides_tokens:
        layout, halves = XSBLayout_tp102__0, False
    selective = not all_experts and dims.T > SHARED_TOKENS and dims.T % 2 == 0
    return Plan(
        all_experts=all_experts, mx=mx, layout=layout, halves=halves, shared=selective or (mx and all_experts)
    )


def _normalize(
    inp: nl.ndarray,
    gamma: nl.ndarray,
    residual: Any,
    eps: float,
    dims: MoEBlockTKGDims,
    plan: Plan,
    work: Scratch,
) -> Hidden:
    tokens = dims.T
    hidden = Hidden(normed=work.tile((PARTITIONS, tokens, dims.H_free), inp.dtype))
    if not plan.all_experts or not plan.mx:
        rmsnorm_tkg(
            inp, gamma, hidden.normed, eps, dims.hidden_actual,
            hidden_dim_tp=plan.layout == XSBLayout_tp201__2,
            single_core_forced=plan.layout == XSBLayout_tp102__0,
        )  # fmt: skip
        return hidden
    quantised = (PARTITIONS, dims.H // TILE, tokens)
    hidden.quantised = work.tile(quantised, nl.float8_e4m3fn_x4)
    hidden.scales = work.tile(quantised, nl.uint8)
    if residual is not None:
        hidden.residual = nl.ndarray((tokens, dims.H), dtype=inp.dtype, buffer=nl.shared_hbm)
        shape = tuple(residual.shape)
        fits = shape == (dims.B, dims.S, dims.H) or shape == (tokens, dims.H)
        kernel_assert(fits, f"residual must be as inp, {tuple(inp.shape)}, or [T, H], it is {shape}")
        residual = residual.reshape((dims.B, dims.S, dims.H))
    rmsnorm_mx_quantize_tkg(
        inp,
        gamma,
        hidden.normed,
        hidden.quantised,
        hidden.scales,
        residual,
        hidden.residual,
        eps,
        dims.hidden_actual,
    )
    return hidden


def _for_router(
    normed: nl.ndarray, dtype: Any, dims: MoEBlockTKGDims, plan: Plan, work: Scratch
) -> nl.ndarray:
    """The activations in the router's dtype; of the tokens that this core has."""
    if normed.dtype == dtype:
        return normed
    first, last = 0, dims.T
    if plan.all_experts and plan.mx:
        first = dims.prg_id * dims.T // 2
        last = first + dims.T // 2
    converted = work.tile(tuple(normed.shape), dtype)
    nisa.tensor_copy(dst=converted[:, first:last, :], src=normed[:, first:last, :])
    return converted


def _for_experts(hidden: Hidden, dims: MoEBlockTKGDims, plan: Plan, work: Scratch) -> nl.ndarray:
    """What the experts take: quantised, this core's half of H, or all of it."""
    if hidden.quantised is not None:
        return hidden.quantised
    if not plan.halves:
        return hidden.normed
    own = work.tile((PARTITIONS, dims.T, dims.H_free_shard), hidden.normed.dtype)
    start = dims.prg_id * dims.H_free_shard
    nisa.tensor_copy(dst=own, src=hidden.normed[:, :, start : start + dims.H_free_shard])
    return own


def _route(
    x: nl.ndarray, weight: nl.ndarray, bias: Any, logits: Any, choice: Choice, dims: MoEBlockTKGDims,
    plan: Plan, work: Scratch,
) -> Routed:  # fmt: skip
    """The router, with the checks of :func:`.router_topk` but for SIGMOID, which needs no scattering here."""
    validate_choice(choice.act_fn, choice.k)
    validate_weight(x, weight)
    rows = weight.shape[0]
    kernel_assert(rows == dims.H, f"router_weights must have H = {dims.H} rows, they have {rows}")
    validate_bias(bias, weight.shape[1])
    here: Cores = cores()
    index_in_sbuf = not (plan.all_experts and plan.mx)
    if index_in_sbuf:
        index = work.tile((dims.T, dims.K), nl.uint32)
    else:
        index = nl.ndarray((dims.T, dims.K), dtype=nl.uint32, buffer=nl.shared_hbm)
    if plan.all_experts:
        buffer = nl.shared_hbm if plan.shared else nl.private_hbm
        affinities = nl.ndarray((dims.T, dims.E), dtype=nl.float32, buffer=buffer)
    else:
        affinities = work.tile((dims.T, dims.E), nl.float32)
    routing = Routing(
        x_in_sbuf=True,
        sb_layout=plan.layout,
        index_in_sbuf=index_in_sbuf,
        affinities_in_sbuf=not plan.all_experts,
        column_tiling=True,
        bias_by_product=plan.all_experts and plan.mx,
        shard=plan.shared,
        eager=False,
    )
    stored = logits if plan.shared or here.index == 0 else None
    route(x, weight, bias, stored, affinities, index, choice, routing)
    if not index_in_sbuf:
        barrier(index, here)
    return Routed(logits=logits, index=index, affinities=affinities)
