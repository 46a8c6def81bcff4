"""The work of a router: tokens tile by tile, on one core or a share on each of two."""

from typing import Any

import nki.language as nl

from ...blocks.lnc import Cores, barrier, cores
from ...blocks.memory import PARTITIONS, manager, scratch
from .logits import PE_COLUMN_TILE_64, Router, compute_logits, load_bias
from .operands import XSBLayout__128_Hdiv128_T__3, load_weight, token_columns, weight_shape
from .selection import Choice, Results, choose, eager_tile, exchange_halves

SHARED_TOKENS = 32
"""Up to so many tokens, results in SBUF are sooner made twice than exchanged."""


class Routing(nl.NKIObject):
    """Where things are, and how the work is done.

    Attributes:
        x_in_sbuf, sb_layout: of the activations, see :mod:`.operands`. index_in_sbuf, affinities_in_sbuf: of
            results. column_tiling: several products at a time for up to 64 tokens. bias_by_product: TensorE
            spreads the bias. shard: each core takes a half of the tokens. eager: the k affinities are wanted.
    """

    x_in_sbuf: bool
    sb_layout: int
    index_in_sbuf: bool
    affinities_in_sbuf: bool
    column_tiling: bool
    bias_by_product: bool
    shard: bool
    eager: bool


def token_count(x: nl.ndarray, in_sbuf: bool, sb_layout: int) -> int:
    """T of activations in SBUF or HBM."""
    return x.shape[1] if in_sbuf or sb_layout == XSBLayout__128_Hdiv128_T__3 else x.shape[0]


def working_cores(tokens: int, routing: Routing) -> Cores:
    """The cores that divide the tokens.

    Results in SBUF are wanted on each core: up to 32 tokens each makes them all, and more than 128, which are
    folded so that a half has no rows of its own.
    """
    in_sbuf = routing.index_in_sbuf or routing.affinities_in_sbuf
    whole = in_sbuf and (tokens <= SHARED_TOKENS or tokens > PARTITIONS)
    return cores(alone=not routing.shard or whole)


def share(tokens: int, here: Cores) -> tuple[int, int]:
    """``(start, size)``: ⌊T/2⌋ tokens for the first of two cores, the rest for the other."""
    each = tokens // here.count
    start = here.index * each
    return start, tokens - start if here.index == here.count - 1 else each


def route(
    x: nl.ndarray,
    w: nl.ndarray,
    w_bias: Any,
    router_logits: Any,
    expert_affinities: nl.ndarray,
    expert_index: Any,
    choice: Choice,
    routing: Routing,
) -> Any:
    """Fill the results, of which logits and index may be None; returns the eager affinities or None.

    Takes what :func:`.router_topk.router_topk` takes, without its checks, and SIGMOID without scattering too.
    """
    sbm = manager()
    tokens = token_count(x, routing.x_in_sbuf, routing.sb_layout)
    here = working_cores(tokens, routing)
    start, count = share(tokens, here)
    results = Results(
        logits=router_logits,
        index=expert_index,
        affinities=expert_affinities,
        eager=eager_tile(count, choice.k) if routing.eager else None,
        index_in_sbuf=routing.index_in_sbuf,
        affinities_in_sbuf=routing.affinities_in_sbuf,
    )
    work = scratch(sbm, name="router_topk")
    weight = work.tile(weight_shape(w), w.dtype)
    load_weight(weight, w, routing.sb_layout)
    router = Router(
        weight=weight,
        bias=load_bias(w_bias, min(PARTITIONS, count), routing.bias_by_product, work, sbm),
        grouped=routing.column_tiling and count <= PE_COLUMN_TILE_64,
    )
    for first in range(0, count, PARTITIONS):
        size = min(PARTITIONS, count - first)
        inner = scratch(sbm, name="tokens")
        columns = token_columns(x, routing.x_in_sbuf, routing.sb_layout, start + first, size, inner)
        logits = inner.tile((size, w.shape[1]), nl.float32)
        compute_logits(logits, columns, router)
        choose(results, logits, choice, start + first, first // PARTITIONS, x.dtype, inner)
        inner.close()
    work.close()
    if not routing.affinities_in_sbuf:
        barrier(expert_affinities, here)
    exchange_halves(results, tokens, here)
    return results.eager
