"""The experts that each token selects: ``out[t] = Σ_k a[t, k]·MLP_e(x[t])`` with ``e = index[t, k]``.

Cores divide the tokens, each with all of H, or, for one token or large experts, H as in the MLP.
"""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from ....blocks.memory import PARTITIONS, Scratch, manager, scratch
from ....blocks.softmax import spread_column
from ....blocks.tiles import as_view, tiles_of
from ...mlp.mlp_tkg.down_projection import add_projection
from ...mlp.mlp_tkg.gate_up_projection import project_gate_up
from ...utils.allocator import SbufManager
from ..experts import inner_size
from .moe_tkg_affinity_masking import in_float32, one_row
from .moe_tkg_io import deliver, load_input, result_of, sums_of
from .moe_tkg_parameters import (
    Request,
    Routing,
    Share,
    expert_mlp,
    is_scaled,
    moves_weights,
    share_of,
    shares_tokens,
)


def selected_experts(request: Request, output: Any) -> Any:
    """Fill the output and return it: HBM ``[T, H]``, or None for one in SBUF.

    Where the cores divide the tokens, one in SBUF has this core's tokens only; the others are undefined.
    """
    share = share_of(request, shares_tokens(request))
    sbm = manager()
    work = scratch(sbm, name="selected_experts")
    own = load_input(request, share, work)
    weights = None
    if is_scaled(request.routing):
        weights = on_all_partitions(selected_affinities(request.routing, work), work)
    index = one_row(request.routing.index, share.first, share.count, work)
    result = result_of(request, output)
    if moves_weights(request.experts):
        for token in range(share.count):
            alone = scratch(sbm, name="token")
            total = sums_of(request, share, 1, alone)
            _add_token(total, own, request, share, token, index, weights, sbm)
            deliver(request, result, total, share, share.first + token, alone)
            alone.close()
    else:
        total = sums_of(request, share, share.count, work)
        for token in range(share.count):
            into = as_view(total).slice(2, token, token + 1)
            _add_token(into, own, request, share, token, index, weights, sbm)
        deliver(request, result, total, share, share.first, work)
    work.close()
    return result


def _add_token(
    total: Any,
    own: Any,
    request: Request,
    share: Share,
    token: int,
    index: nl.ndarray,
    weights: Any,
    sbm: SbufManager,
) -> None:
    """Sum up a token's experts in ``total`` (:func:`.moe_tkg_io.sums_of`)."""
    x = own.slice(2, token, token + 1)
    rows = 1 if moves_weights(request.experts) else PARTITIONS
    for choice in range(index.shape[2]):
        params = expert_mlp(request, index[0:1, token, choice : choice + 1])
        work = scratch(sbm, name="expert")
        middle = work.tile((PARTITIONS, tiles_of(inner_size(request.experts)), 1), request.hidden.dtype)
        project_gate_up(middle, x, params, share.here, sbm)
        weight = None
        if weights is not None:
            place = share.first + token
            weight = weights[0:rows, choice, place : place + 1]
        add_projection(total, middle, params, share.here, weight, choice > 0, sbm)
        work.close()


def on_all_partitions(each: nl.ndarray, work: Scratch) -> nl.ndarray:
    """Weights fp32 ``[T, K]`` of SBUF as ``[128, K, T]``."""
    tokens, choices = each.shape
    weights = work.tile((PARTITIONS, choices, tokens), nl.float32)
    for choice in range(choices):
        spread = spread_column(as_view(each).slice(1, choice, choice + 1), PARTITIONS)
        nisa.tensor_copy(dst=weights[:, choice, :], src=spread)
    return weights


def selected_affinities(routing: Routing, work: Scratch) -> nl.ndarray:
    """``affinities[t, index[t, k]]``, fp32 ``[T, K]``."""
    dense = in_float32(routing.affinities, work)
    view = as_view(routing.index)
    numbers = work.tile(tuple(view.shape), nl.uint32)
    if view.is_sbuf():
        nisa.tensor_copy(dst=numbers, src=view.get_view())
    else:
        nisa.dma_copy(dst=numbers, src=view.get_view())
    each = work.tile(tuple(view.shape), nl.float32)
    nisa.nc_n_gather(dst=each, data=dense, indices=numbers)
    return each
