"""All experts for all tokens: ``out[t] = Σ_e a[t, e]·MLP_e(x[t])``; the cores divide H as in the MLP."""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from ....blocks.memory import PARTITIONS, Scratch, manager, scratch
from ....blocks.softmax import spread_column
from ....blocks.tiles import as_view, tiles_of
from ...mlp.mlp_tkg.down_projection import add_projection
from ...mlp.mlp_tkg.gate_up_projection import project_gate_up
from ...utils.allocator import SbufManager
from ..experts import expert_count, inner_size
from .moe_tkg_affinity_masking import local_affinities
from .moe_tkg_io import deliver, load_input, result_of, sums_of
from .moe_tkg_parameters import (
    Request,
    Share,
    expert_mlp,
    is_scaled,
    moves_weights,
    share_of,
    token_count,
)


def all_experts(request: Request, output: Any) -> Any:
    """Fill the output and return it: HBM ``[T, H]``, or None for one in SBUF."""
    share = share_of(request, by_tokens=False)
    sbm = manager()
    work = scratch(sbm, name="all_experts")
    tokens, count = token_count(request), expert_count(request.experts)
    own = load_input(request, share, work)
    total = sums_of(request, share, tokens, work)
    local = None
    if is_scaled(request.routing):
        local = local_affinities(request.routing, count, tokens, work, sbm)
    for expert in range(count):
        _add_expert(total, own, request, share, expert, local, sbm)
    result = result_of(request, output)
    deliver(request, result, total, share, 0, work)
    work.close()
    return result


def _add_expert(
    total: nl.ndarray, own: Any, request: Request, share: Share, expert: int, local: Any, sbm: SbufManager
) -> None:
    """Add one expert to ``total`` (:func:`.moe_tkg_io.sums_of`); the first one fills it."""
    params, tokens = expert_mlp(request, expert), own.shape[2]
    work = scratch(sbm, name="expert")
    middle = work.tile((PARTITIONS, tiles_of(inner_size(request.experts)), tokens), request.hidden.dtype)
    project_gate_up(middle, own, params, share.here, sbm)
    weight = None
    if local is not None and moves_weights(request.experts):
        weight = local[:, 0, expert : expert + 1]
    elif local is not None:
        weight = _on_all_partitions(local, expert, work)
    add_projection(total, middle, params, share.here, weight, expert > 0, sbm)
    work.close()


def _on_all_partitions(local: nl.ndarray, expert: int, work: Scratch) -> nl.ndarray:
    """The affinities ``[T, 1, E]`` to one expert as ``[128, T]``."""
    spread = work.tile((PARTITIONS, local.shape[0]), nl.float32)
    column = as_view(local).select(1, 0).slice(1, expert, expert + 1)
    nisa.tensor_copy(dst=spread, src=spread_column(column, PARTITIONS))
    return spread
