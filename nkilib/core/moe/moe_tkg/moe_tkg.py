"""The MLPs of a mixture of experts for token generation.

    y_e(x) = (act(clamp(x·Wg_e + bg_e)) ∘ clamp(x·Wu_e + bu_e))·Wd_e + bd_e

    all experts    out[t] = Σ_e a[t, e]·y_e(x[t])        over the experts whose weights are here
    selective      out[t] = Σ_k a[t, e]·y_e(x[t])        over e = expert_index[t, k]

Sizes: T tokens, hidden H, intermediate I, E experts of which E_L are here, K experts of a token.
"""

from typing import Any

import nki.language as nl

from ....blocks.activation import Gating
from ....blocks.arguments import assert_classes
from ...utils.common_types import ActFnType, ExpertAffinityScaleMode, QuantizationType
from ..experts import Experts, hidden_size
from .all_expert_impl import all_experts
from .all_expert_mx_impl import all_experts_mx
from .moe_tkg_checks import (
    check_all_expert_mx,
    check_options,
    check_selection,
    check_selective_mx,
    check_sizes,
    check_tensors,
    is_mx,
)
from .moe_tkg_parameters import Request, Routing, token_count
from .selective_expert_impl import selected_experts
from .selective_expert_mx_impl import selected_experts_mx


def moe_tkg(
    hidden_input: nl.ndarray,
    expert_gate_up_weights: nl.ndarray,
    expert_down_weights: nl.ndarray,
    expert_affinities: nl.ndarray,
    expert_index: nl.ndarray,
    is_all_expert: bool,
    rank_id: nl.ndarray | None = None,
    expert_gate_up_bias: nl.ndarray | None = None,
    expert_down_bias: nl.ndarray | None = None,
    expert_gate_up_weights_scale: nl.ndarray | None = None,
    expert_down_weights_scale: nl.ndarray | None = None,
    hidden_input_scale: nl.ndarray | None = None,
    gate_up_input_scale: nl.ndarray | None = None,
    down_input_scale: nl.ndarray | None = None,
    mask_unselected_experts: bool = False,
    expert_affinities_eager: nl.ndarray | None = None,
    expert_affinities_scaling_mode: ExpertAffinityScaleMode = ExpertAffinityScaleMode.NO_SCALE,
    activation_fn: ActFnType = ActFnType.SiLU,
    output_dtype: Any = None,
    gate_clamp_upper_limit: float | None = None,
    gate_clamp_lower_limit: float | None = None,
    up_clamp_upper_limit: float | None = None,
    up_clamp_lower_limit: float | None = None,
    output_in_sbuf: bool = False,
    is_all_expert_dynamic: bool = False,
) -> nl.ndarray:
    """Run the experts; called from a kernel, or wrapped by ``nki.jit``.

    Args:
        hidden_input: HBM ``[T, H]`` of 16 bits. In SBUF ``[128, T, H/128]`` with ``x[p, t, j] = x[t,
            p·H/128 + j]``, or, where the cores divide H, the core's half of it in the same layout. With MX
            weights and selective ``x[t, 128 j + p]``; with MX weights and all experts quantised,
            ``[128, H/512, T]`` as :mod:`..mx_expert` says.
        expert_gate_up_weights: ``[E_L, H, 2, I]``, gate first, 16 bits or float8_e4m3; or MX, as
            :mod:`..mx_expert` says: float4_e2m1fn_x4 or float8_e4m3fn_x4.
        expert_down_weights: ``[E_L, I, H]``, or MX.
        expert_affinities: ``[T, E]``, HBM; selective also SBUF.
        expert_index: integers ``[T, K]``, HBM or SBUF. All experts: read only to mask.
        is_all_expert: all experts that are here for all tokens, or those that each token selects.
        rank_id: HBM ``[1, 1]``; the experts here are ``rank·E_L`` to ``rank·E_L + E_L - 1``. For all experts
            with POST_SCALE.
        expert_gate_up_bias, expert_down_bias: ``[E_L, 2, I]`` (or as for MX), ``[E_L, H]``.
        expert_gate_up_weights_scale, expert_down_weights_scale: fp32 ``[E_L, 2, I]``, ``[E_L, H]``; both make
            the quantisation ROW, which multiplies the products by them, before the bias. Or those of MX.
        hidden_input_scale: of a quantised hidden_input, SBUF uint8 ``[128, H/512, T]``.
        gate_up_input_scale, down_input_scale: must be None.
        mask_unselected_experts: all experts with POST_SCALE: those that the token's index does not name count
            with 0.
        expert_affinities_eager: selective with MX: ``[T, K]``, weights of the selected experts.
        expert_affinities_scaling_mode: POST_SCALE, or NO_SCALE: each weight is 1.
        activation_fn: of the gate. gate_clamp_*, up_clamp_*: limits before it, the upper one first.
        output_dtype: default is the hidden state's.
        output_in_sbuf: return a tile of the shape and layout of ``hidden_input``.
        is_all_expert_dynamic: all experts with MX; changes no result.

    All experts, and selective with one token or ``H·I ≥ 3072·1536``: cores divide H. Otherwise selective
    cores divide the tokens; then a core's output in SBUF has its own tokens only. With MX weights cores
    divide I (all experts) or each token's experts (selective), and more than 128 tokens may have all experts.

    Returns:
        HBM ``[T, H]``, or the tile.

    Raises AssertionError for what :mod:`.moe_tkg_checks` lists.
    """
    assert_classes(
        tensors=(
            (hidden_input, "hidden_input"), (expert_gate_up_weights, "expert_gate_up_weights"),
            (expert_down_weights, "expert_down_weights"), (expert_affinities, "expert_affinities"),
        ),
        optional=(
            (expert_index, "expert_index"), (rank_id, "rank_id"),
            (expert_gate_up_bias, "expert_gate_up_bias"), (expert_down_bias, "expert_down_bias"),
            (expert_gate_up_weights_scale, "expert_gate_up_weights_scale"),
            (expert_down_weights_scale, "expert_down_weights_scale"),
            (hidden_input_scale, "hidden_input_scale"), (gate_up_input_scale, "gate_up_input_scale"),
            (down_input_scale, "down_input_scale"), (expert_affinities_eager, "expert_affinities_eager"),
        ),
        flags=(
            (is_all_expert, "is_all_expert"), (mask_unselected_experts, "mask_unselected_experts"),
            (output_in_sbuf, "output_in_sbuf"), (is_all_expert_dynamic, "is_all_expert_dynamic"),
        ),
    )  # fmt: skip
    request = Request(
        hidden=hidden_input,
        hidden_scale=hidden_input_scale,
        experts=Experts(
            gate_up=expert_gate_up_weights,
            down=expert_down_weights,
            gate_up_bias=expert_gate_up_bias,
            down_bias=expert_down_bias,
            gate_up_scale=expert_gate_up_weights_scale,
            down_scale=expert_down_weights_scale,
            kind=_kind(expert_gate_up_weights.dtype, expert_gate_up_weights_scale, expert_down_weights_scale),
            gating=Gating(
                function=activation_fn,
                gate=(gate_clamp_upper_limit, gate_clamp_lower_limit),
                up=(up_clamp_upper_limit, up_clamp_lower_limit),
            ),
        ),
        routing=Routing(
            affinities=expert_affinities,
            index=expert_index,
            eager=expert_affinities_eager,
            rank=rank_id,
            masked=mask_unselected_experts,
            mode=expert_affinities_scaling_mode,
        ),
        output_dtype=_output_dtype(hidden_input, hidden_input_scale, output_dtype),
        output_in_sbuf=output_in_sbuf,
    )
    check_options(request, is_all_expert, is_all_expert_dynamic, gate_up_input_scale, down_input_scale)
    return _run(request, is_all_expert)


def _kind(dtype: Any, gate_up_scale: Any, down_scale: Any) -> QuantizationType:
    """How the weights are quantised, as far as they themselves say it."""
    if is_mx(dtype):
        return QuantizationType.MX
    if gate_up_scale is not None and down_scale is not None:
        return QuantizationType.ROW
    return QuantizationType.NONE


def _output_dtype(hidden: Any, scale: Any, dtype: Any) -> Any:
    """The output's type; bfloat16 if nothing says it, that is for a quantised hidden state."""
    if dtype is not None:
        return dtype
    return hidden.dtype if scale is None else nl.bfloat16


def _run(request: Request, is_all_expert: bool) -> nl.ndarray:
    """Check what the chosen way needs, allocate the output and fill it."""
    mx = request.experts.kind == QuantizationType.MX
    if not mx:
        check_sizes(request, is_all_expert)
    elif is_all_expert:
        check_all_expert_mx(request)
    else:
        check_selective_mx(request)
    if not is_all_expert:
        check_selection(request)
    check_tensors(request, is_all_expert)
    output = None
    if not request.output_in_sbuf:
        shape = (token_count(request), hidden_size(request.experts))
        output = nl.ndarray(shape, dtype=request.output_dtype, buffer=nl.shared_hbm)
    if mx:
        return all_experts_mx(request, output) if is_all_expert else selected_experts_mx(request, output)
    return all_experts(request, output) if is_all_expert else selected_experts(request, output)
