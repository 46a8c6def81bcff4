"""A router: logits of all experts, the k best experts of each token, and their affinities.

With logits ``L[t, e] = Σ_h x[t, h]·w[h, e] + bias[e]`` and ``v`` the k largest of a row::

    router_pre_norm  norm_topk_prob   best of    affinities
    no               either           L          act(v) at the chosen experts, 0 elsewhere
    yes              no               act(L)     act(L) of all experts
    yes              yes              act(L)     v / Σ v at the chosen experts, 0 elsewhere

Sums and activations are fp32. Of equal values the first expert is chosen first.

Layouts of x in SBUF, H1 = H/128::

    0  [128, T, H1]   x[t, p·H1 + j]                      1  [128, T, H1]   the same in each half of H
    2  [128, T, H1]   x[t, 128·j + p]                     3  [128, H1, T]   x[t, 128·j + p]
"""

from typing import Any

import nki.language as nl

from ... import insides
from ...blocks.arguments import assert_classes, assert_integer, assert_layout
from ...blocks.dtypes import EXACT, FLOATS, assert_dtype
from ...blocks.lnc import cores
from ...blocks.memory import PARTITIONS, PSUM_COLUMNS
from ..utils.common_types import RouterActFnType
from ..utils.kernel_assert import assert_shape, kernel_assert
from .logits import PE_COLUMN_TILE_32, PE_COLUMN_TILE_64, PE_COLUMN_TILE_128
from .operands import (
    XHBMLayout_H_T__0,
    XHBMLayout_T_H__1,
    XSBLayout__128_Hdiv128_T__3,
    XSBLayout_tp102__0,
    XSBLayout_tp201__2,
    XSBLayout_tp2013__1,
    router_topk_input_w_load,
    router_topk_input_x_load,
)
from .routing import SHARED_TOKENS, Routing, route, share, token_count, working_cores
from .selection import Choice

__all__ = [
    "F_MAX",
    "PE_COLUMN_TILE_32",
    "PE_COLUMN_TILE_64",
    "PE_COLUMN_TILE_128",
    "P_MAX",
    "ST_F_MAX",
    "XHBMLayout_H_T__0",
    "XHBMLayout_T_H__1",
    "XSBLayout__128_Hdiv128_T__3",
    "XSBLayout_tp102__0",
    "XSBLayout_tp201__2",
    "XSBLayout_tp2013__1",
    "router_topk",
    "router_topk_input_w_load",
    "router_topk_input_x_load",
]

__getattr__ = insides.named(__name__)

P_MAX = PARTITIONS
F_MAX = PSUM_COLUMNS
ST_F_MAX = PARTITIONS

_FEWEST_EXPERTS = 8
_MOST_CHOSEN = 8
"""Vector Engine finds eight elements at a time, in rows of at least eight."""


def router_topk(
    x: nl.ndarray,
    w: nl.ndarray,
    w_bias: nl.ndarray | None,
    router_logits: nl.ndarray | None,
    expert_affinities: nl.ndarray,
    expert_index: nl.ndarray,
    act_fn: RouterActFnType,
    k: int,
    x_hbm_layout: int,
    x_sb_layout: int,
    output_in_sbuf: bool = False,
    router_pre_norm: bool = True,
    norm_topk_prob: bool = False,
    use_column_tiling: bool = False,
    use_indirect_dma_scatter: bool = False,
    return_eager_affi: bool = False,
    use_PE_broadcast_w_bias: bool = False,
    shard_on_tokens: bool = False,
    skip_store_expert_index: bool = False,
    skip_store_router_logits: bool = False,
    x_input_in_sbuf: bool = False,
    expert_affin_in_sb: bool = False,
) -> list[Any]:
    """Choose experts for tokens; called by kernels.

    Args:
        x: HBM ``[H, T]`` (``x_hbm_layout`` 0) or ``[T, H]`` (1), or SBUF in ``x_sb_layout`` 0, 1 or 2.
        w: HBM ``[H, E]`` of the dtype of ``x``, 8 ≤ E ≤ 512, H a multiple of 128.
        w_bias: HBM ``[E]`` or ``[1, E]``, or None.
        router_logits: HBM ``[T, E]``. expert_affinities: HBM ``[T, E]``, or SBUF for T ≤ 128.
        expert_index: uint32, HBM ``[T, k]``, or SBUF ``[T, k]``, for T > 128 ``[128, ⌈T/128⌉, k]``.
        act_fn: SOFTMAX, or SIGMOID, which needs ``use_indirect_dma_scatter``. k: 1 to 8.
        output_in_sbuf, expert_affin_in_sb: ``expert_index``, ``expert_affinities`` are in SBUF.
        router_pre_norm, norm_topk_prob: see above.
        use_column_tiling: up to 64 tokens, 4 or 2 products at a time on TensorE.
        use_indirect_dma_scatter: affinities go to cleared rows of HBM one by one, without a mask; a core's
            tokens must be at most 128 or a multiple of 128.
        return_eager_affi: also give the k affinities; T ≤ 128 when they are activated after the choice.
        use_PE_broadcast_w_bias: TensorE, not a shuffle, spreads the bias.
        shard_on_tokens: the first core takes ⌊T/2⌋ tokens, the other the rest. Results in SBUF are complete
            on both: T must be even between 32 and 128; for fewer or more tokens each core makes them all.
        skip_store_expert_index: leave an ``expert_index`` in HBM as it is.
        skip_store_router_logits: leave ``router_logits`` as they are; they may be None.
        x_input_in_sbuf: ``x`` is in SBUF.

    Returns:
        ``[router_logits, expert_index, expert_affinities]``, as given, and with ``return_eager_affi`` SBUF
        fp32 ``[min(T, 128), ⌈T/128⌉·k]`` for this core's tokens, in the order of ``expert_index``.

    Raises AssertionError when a limit or a shape is not met.
    """
    assert_classes(
        tensors=((x, "x"), (w, "w"), (expert_affinities, "expert_affinities")),
        optional=((w_bias, "w_bias"), (router_logits, "router_logits"), (expert_index, "expert_index")),
        flags=(
            (output_in_sbuf, "output_in_sbuf"), (router_pre_norm, "router_pre_norm"),
            (norm_topk_prob, "norm_topk_prob"), (use_column_tiling, "use_column_tiling"),
            (use_indirect_dma_scatter, "use_indirect_dma_scatter"), (return_eager_affi, "return_eager_affi"),
            (use_PE_broadcast_w_bias, "use_PE_broadcast_w_bias"), (shard_on_tokens, "shard_on_tokens"),
            (skip_store_expert_index, "skip_store_expert_index"),
            (skip_store_router_logits, "skip_store_router_logits"), (x_input_in_sbuf, "x_input_in_sbuf"),
            (expert_affin_in_sb, "expert_affin_in_sb"),
        ),
    )  # fmt: skip
    _validate_x(x, w, x_hbm_layout, x_sb_layout, x_input_in_sbuf)
    _validate_options(act_fn, k, use_indirect_dma_scatter, shard_on_tokens)
    validate_weight(x, w)
    validate_bias(w_bias, w.shape[1])
    given = skip_store_router_logits or router_logits is not None
    kernel_assert(given, "router_logits must be provided when skip_store_router_logits is False")
    given = (skip_store_expert_index and not output_in_sbuf) or expert_index is not None
    kernel_assert(given, "expert_index must be provided unless skip_store_expert_index, for a result in HBM")
    layout = x_sb_layout
    if not x_input_in_sbuf:
        by_token = x_hbm_layout == XHBMLayout_T_H__1
        layout = XSBLayout_tp102__0 if by_token else XSBLayout__128_Hdiv128_T__3
    choice = Choice(
        act_fn=act_fn, k=k, pre_norm=router_pre_norm, norm=norm_topk_prob, indirect=use_indirect_dma_scatter
    )
    routing = Routing(
        x_in_sbuf=x_input_in_sbuf,
        sb_layout=layout,
        index_in_sbuf=output_in_sbuf,
        affinities_in_sbuf=expert_affin_in_sb,
        column_tiling=use_column_tiling,
        bias_by_product=use_PE_broadcast_w_bias,
        shard=shard_on_tokens,
        eager=return_eager_affi,
    )
    tokens = token_count(x, x_input_in_sbuf, layout)
    _validate_tokens(tokens, choice, routing)
    _validate_places(tokens * w.shape[1], choice)
    if not skip_store_router_logits:
        assert_shape(router_logits, (tokens, w.shape[1]), "router_logits")
    assert_shape(expert_affinities, (tokens, w.shape[1]), "expert_affinities")
    if expert_index is not None and not output_in_sbuf:
        assert_shape(expert_index, (tokens, k), "expert_index")
    eager = route(
        x,
        w,
        w_bias,
        None if skip_store_router_logits else router_logits,
        expert_affinities,
        None if skip_store_expert_index and not output_in_sbuf else expert_index,
        choice,
        routing,
    )
    results = [router_logits, expert_index, expert_affinities]
    if return_eager_affi:
        results.append(eager)
    return results


def _validate_x(x: nl.ndarray, w: nl.ndarray, hbm_layout: int, sb_layout: int, in_sbuf: bool) -> None:
    assert_integer(hbm_layout, "x_hbm_layout")
    assert_integer(sb_layout, "x_sb_layout")
    assert_layout(w, 2, "[H, E]", "w")
    by_token = hbm_layout == XHBMLayout_T_H__1
    kernel_assert(
        by_token or hbm_layout == XHBMLayout_H_T__0, f"x_hbm_layout must be 0 or 1, got {hbm_layout}"
    )
    kernel_assert(0 <= sb_layout <= 2, f"x_sb_layout must be 0, 1 or 2, got {sb_layout}")
    shape, hidden = tuple(x.shape), w.shape[0]
    if in_sbuf:
        ranked = len(shape) == 3
        kernel_assert(ranked, f"Expect the input 'x' SBUF tensor to be 3-D, got shape of {shape}")
        kernel_assert(
            shape[0] == P_MAX, f"Expect input x.shape[0] to be partition-dim max {P_MAX} but got {shape[0]}"
        )
        width = hidden // P_MAX
        kernel_assert(shape[2] == width, f"Expect x.shape[2] to be H/pmax ({width}) but got {shape[2]}")
        return
    ranked = len(shape) == 2
    kernel_assert(ranked, f"Expect the input 'x' HBM tensor to be 2-D, got shape of {shape}")
    own = shape[1] if by_token else shape[0]
    kernel_assert(
        own == hidden, f"x shape {shape} has an H: {own}) that mismatches w's H {hidden}. w.shape: {w.shape}"
    )


def _validate_options(act_fn: RouterActFnType, k: int, indirect: bool, shard: bool) -> None:
    count = cores().count
    kernel_assert(not shard or count > 1, f"LNC sharding only supported with n_prgs>1, got {count}")
    kernel_assert(
        act_fn != RouterActFnType.SIGMOID or indirect,
        f"SIGMOID activation requires use_indirect_dma_scatter=True, got {indirect}",
    )
    validate_choice(act_fn, k)


def validate_choice(act_fn: RouterActFnType, k: int) -> None:
    """Raise AssertionError for an activation or a number of experts that there is not."""
    known = act_fn == RouterActFnType.SIGMOID or act_fn == RouterActFnType.SOFTMAX
    kernel_assert(known, f"Unsupported activation function: {act_fn}")
    assert_integer(k, "k")
    kernel_assert(k >= 1, f"K ({k}) must be >= 1")
    kernel_assert(k <= _MOST_CHOSEN, f"K ({k}) must be <= {_MOST_CHOSEN}")


def validate_weight(x: nl.ndarray, w: nl.ndarray) -> None:
    """Raise AssertionError for weights that do not fit the limits or the activations."""
    hidden, experts = w.shape
    kernel_assert(experts <= F_MAX, f"E ({experts}) must be <= gemm_moving_fmax ({F_MAX})")
    kernel_assert(experts >= _FEWEST_EXPERTS, f"E ({experts}) must be >= {_FEWEST_EXPERTS}")
    kernel_assert(hidden % P_MAX == 0, f"H ({hidden}) must be a multiple of pmax ({P_MAX})")
    assert_dtype(x, FLOATS, "x")
    kernel_assert(x.dtype == w.dtype, f"x dtype ({x.dtype}) must match w dtype ({w.dtype})")


def validate_bias(bias: nl.ndarray | None, experts: int) -> None:
    """Raise AssertionError for a bias that is not ``[E]`` or ``[1, E]``."""
    if bias is not None:
        shape = tuple(bias.shape)
        fits = shape == (experts,) or shape == (1, experts)
        kernel_assert(fits, f"w_bias must be [{experts}] or [1, {experts}], it is {shape}")


def _validate_places(affinities: int, choice: Choice) -> None:
    """Affinities that are scattered are counted in float32."""
    counted = not choice.indirect or choice.dense() or affinities <= EXACT
    kernel_assert(
        counted, f"use_indirect_dma_scatter counts up to {EXACT} affinities, T times E is {affinities}"
    )


def _validate_tokens(tokens: int, choice: Choice, routing: Routing) -> None:
    """What the number of tokens must be, by where results go and how."""
    here = working_cores(tokens, routing)
    _, count = share(tokens, here)
    aligned = count <= P_MAX or count % P_MAX == 0
    kernel_assert(
        not choice.indirect or aligned,
        f"T_local ({count}) must be <= {P_MAX} or a multiple of {P_MAX} with use_indirect_dma_scatter",
    )
    few = tokens <= P_MAX
    kernel_assert(
        not routing.eager or choice.pre_norm or few,
        "If return_eager_affi, then T must be <=128 because expert_affinities shape is [T,k]",
    )
    kernel_assert(
        not routing.affinities_in_sbuf or not choice.indirect,
        "expert_affinities cannot be a SBUF tensor if we use indirect dma to perform scatter",
    )
    kernel_assert(
        not routing.affinities_in_sbuf or few,
        "If expert_affin_in_sb, then T must be <=128 because its rows are on partitions",
    )
    in_sbuf = routing.index_in_sbuf or routing.affinities_in_sbuf
    halves = here.count == 1 or not in_sbuf or tokens % 2 == 0
    kernel_assert(
        halves,
        f"T must be even for results in SBUF of shard_on_tokens beyond {SHARED_TOKENS}, it is {tokens}",
    )
