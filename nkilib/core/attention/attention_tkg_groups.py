"""The work of :mod:`.attention_tkg`: groups of sequences with up to 128 queries, the context tile by tile.

Scores have the tokens on the partitions, ``[128, n, C]`` for the C queries of a group, so that they are the
moving operand of the product with the values as they are::

    scores[p, f, c]  = Σ_d keys[d, b, f, p] · queries[d, c]         a matmul for each tile f and sequence b
    m[c]             = max over p, f                                by a transpose through TensorE
    weights          = exp(scores - m)                              rounded to q's type
    sums[d, c]       = Σ_p,f values[p, b, f, d] · weights[p, f, c]  one PSUM tile
"""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from ...blocks.lnc import exchange, sum_over_cores
from ...blocks.matmul import contract
from ...blocks.memory import PARTITIONS, PSUM_COLUMNS, Scratch, psum_tile, scratch
from ...blocks.softmax import column_max, spread_column, weigh_columns
from ...blocks.tiles import as_view
from ..utils.allocator import sizeinbytes
from ..utils.kernel_assert import kernel_assert
from ..utils.tensor_view import TensorView
from .attention_tkg_cache import fill_mask, key_type, load_keys, load_values_of, through_tensor_engine
from .attention_tkg_call import Call, Tile, tiles_of_share
from .attention_tkg_debug import keep_scores, keep_sums, keep_weights

_NO_SCORE = float("-inf")
_RESERVED_BYTES = 2048
"""For small tiles whose size does not depend on the group."""
_BYTES_A_QUERY = 64
"""Statistics of a query: maxima, sums, factors, products, all [128, 1] in fp32."""
_BYTES_TOGETHER = 16384
"""Keys or values that are loaded together; more does not make a DMA better."""


class Group(nl.NKIObject):
    """Sequences ``first`` to ``first + batches - 1`` of this core; ``column`` is their first query.

    Attributes:
        sums: fp32 ``[d, C]``, Σ weights·values.
        total: fp32 ``[128, C]``, sums of weights on each partition.
        largest: fp32 ``[128, C]``, the maxima, once there are any (``begun``).
    """

    first: int
    batches: int
    column: int
    sums: Any
    total: Any
    largest: Any
    begun: bool = False


class Plan(nl.NKIObject):
    """Sequences in a group, those whose keys or values are loaded together, and places for such loads."""

    batches: int
    together: int
    places: int


def attend(call: Call) -> None:
    """All sequences of this core."""
    tiles = tiles_of_share(call.share, call.cfg.strided_mm1)
    plan = _plan(call, tiles[0].size)
    for first in range(0, call.share.batches, plan.batches):
        _attend_group(call, plan, tiles, first, min(plan.batches, call.share.batches - first))


def _queries(call: Call) -> int:
    """Of a sequence."""
    return int(call.cfg.q_head * call.cfg.s_active)


def _plan(call: Call, tokens: int) -> Plan:
    """Raises AssertionError when not even one sequence fits into SBUF."""
    tiles, queries = tokens // PARTITIONS, _queries(call)
    keys = tokens * sizeinbytes(key_type(call))
    if through_tensor_engine(call):
        keys += tiles * call.cfg.d_head * sizeinbytes(key_type(call))
    loaded = max(keys, tiles * call.cfg.d_head * sizeinbytes(call.v_prior.dtype))
    each = queries * (tiles * (4 + 1 + sizeinbytes(call.queries.dtype)) + _BYTES_A_QUERY)
    free = call.sbm.get_free_space() - _RESERVED_BYTES
    kernel_assert(
        free >= loaded + each,
        f"Insufficient memory: a sequence of {tokens} tokens and {queries} queries needs {loaded + each} "
        f"bytes of SBUF in a partition, {free} are free",
    )
    batches = min(call.share.batches, PARTITIONS // queries, (free - loaded) // each)
    fitting = (free - batches * each) // loaded
    places = 2 if fitting > 1 and batches > 1 else 1
    together = max(1, min(batches, fitting // places, _BYTES_TOGETHER // loaded))
    return Plan(batches=batches, together=together, places=places)


def _attend_group(call: Call, plan: Plan, tiles: list[Tile], first: int, batches: int) -> None:
    work = scratch(call.sbm, name="group")
    queries = _queries(call)
    columns = batches * queries
    group = Group(
        first=first,
        batches=batches,
        column=first * queries,
        sums=work.tile((call.cfg.d_head, columns), nl.float32),
        total=work.tile((PARTITIONS, columns), nl.float32),
        largest=work.tile((PARTITIONS, columns), nl.float32),
    )
    for tile in tiles:
        _attend_tile(call, plan, group, tile)
    _finish(call, group, work)
    work.close()


# -- a tile of the context ------------------------------------------------------------------------------


def _attend_tile(call: Call, plan: Plan, group: Group, tile: Tile) -> None:
    work = scratch(call.sbm, name="tile")
    shape = (PARTITIONS, tile.order.tiles, group.total.shape[1])
    scores = work.tile(shape, nl.float32)
    _score(call, plan, group, tile, scores, work)
    keep_scores(call, tile, scores, group.column)
    largest = work.tile((PARTITIONS, shape[2]), nl.float32) if group.begun else group.largest
    _raise_maxima(call, group, scores, largest, work)
    weights = work.tile(shape, call.queries.dtype)
    part = work.tile((PARTITIONS, shape[2]), nl.float32)
    weigh_columns(weights, scores, largest, part)
    keep_weights(call, tile, weights, largest, group.column, work)
    product = _sum_values(call, plan, group, tile, weights)
    _add_tile(group, product, part, largest, work)
    work.close()


def _score(call: Call, plan: Plan, group: Group, tile: Tile, scores: nl.ndarray, work: Scratch) -> None:
    """Scores of all sequences of the group; -∞ where a query does not attend."""
    mask = work.tile((PARTITIONS, tile.order.tiles, group.batches, _queries(call)), nl.uint8)
    fill_mask(call, tile, mask, group.first, group.batches)
    nisa.memset(dst=scores, value=_NO_SCORE, engine=nisa.gpsimd_engine)
    loads = scratch(call.sbm, name="keys", places=plan.places)
    for start in range(0, group.batches, plan.together):
        count = min(plan.together, group.batches - start)
        held = loads.tile((call.cfg.d_head, count, tile.size), key_type(call))
        keys = load_keys(call, tile, held, group.first + start)
        _score_loaded(call, group, start, keys, as_view(mask).flatten_dims(2, 3), as_view(scores))
        loads.turn()
    loads.close()


def _score_loaded(
    call: Call, group: Group, start: int, keys: TensorView, mask: TensorView, scores: TensorView
) -> None:
    """``keys`` are those of the group's sequences from ``start`` on; as many scores leave a PSUM bank at once
    as fit."""
    queries, tiles = _queries(call), keys.shape[2]
    fitting = PSUM_COLUMNS // queries
    together = max(1, fitting // tiles)
    for batch in range(0, keys.shape[1], together):
        batches = min(together, keys.shape[1] - batch)
        column = (start + batch) * queries
        for tile in range(0, tiles, fitting):
            end = min(tiles, tile + fitting)
            product = psum_tile((PARTITIONS, end - tile, batches, queries))
            for index in range(batches):
                mine = _queries_of(call, group, start + batch + index)
                for f in range(tile, end):
                    held = keys.select(1, batch + index).select(1, f).get_view()
                    nisa.nc_matmul(dst=product[:, f - tile, index, :], stationary=held, moving=mine)
            region = scores.slice(1, tile, end).slice(2, column, column + batches * queries)
            seen = mask.slice(1, tile, end).slice(2, column, column + batches * queries)
            nisa.tensor_copy_predicated(dst=region.get_view(), src=product, predicate=seen.get_view())


def _queries_of(call: Call, group: Group, batch: int) -> nl.ndarray:
    """``[d, H·s_a]`` of a sequence of the group."""
    queries = _queries(call)
    first = (call.share.first + group.first + batch) * queries
    return call.queries.slice(1, first, first + queries).get_view()


def _raise_maxima(call: Call, group: Group, scores: nl.ndarray, largest: nl.ndarray, work: Scratch) -> None:
    """``largest`` = the maxima over this and earlier tiles, of cores that share the context, and the sink."""
    columns = scores.shape[2]
    column = work.tile((columns, 1), nl.float32)
    column_max(column, scores, work)
    if call.share.by_context:
        other = work.tile((columns, 1), nl.float32)
        exchange(other, column, call.share.here, gpsimd=call.cfg.use_gpsimd_sb2sb)
        nisa.tensor_tensor(dst=column, data1=column, data2=other, op=nl.maximum)
    spread = spread_column(column, PARTITIONS)
    if not group.begun and call.sink is None:
        nisa.tensor_copy(dst=largest, src=spread)
        return
    before = as_view(group.largest) if group.begun else _sink_of(call, group)
    nisa.tensor_tensor(dst=largest, data1=spread, data2=before.get_view(), op=nl.maximum)


def _sink_of(call: Call, group: Group) -> TensorView:
    """``[128, B, H, s_a]``: the sink of each query's head."""
    heads = as_view(call.sink).expand_dim(1).broadcast(1, group.batches)
    return heads.expand_dim(3).broadcast(3, call.cfg.s_active)


def _sum_values(call: Call, plan: Plan, group: Group, tile: Tile, weights: nl.ndarray) -> nl.ndarray:
    """Σ weights·values, ``[d, C]`` in PSUM."""
    depth, queries = call.cfg.d_head, _queries(call)
    product = psum_tile((depth, weights.shape[2]))
    loads = scratch(call.sbm, name="values", places=plan.places)
    for start in range(0, group.batches, plan.together):
        count = min(plan.together, group.batches - start)
        held = loads.tile((PARTITIONS, count, tile.order.tiles, depth), call.v_prior.dtype)
        load_values_of(call, tile, held, group.first + start)
        for index in range(count):
            column = (start + index) * queries
            contract(
                product[:, column : column + queries],
                as_view(held).select(1, index),
                weights,
                tile.size,
                moving_columns=(column, queries),
            )
        loads.turn()
    loads.close()
    return product


def _add_tile(
    group: Group, product: nl.ndarray, part: nl.ndarray, largest: nl.ndarray, work: Scratch
) -> None:
    """Take the tile in; what was summed before is scaled down to the new maxima."""
    if not group.begun:
        nisa.tensor_copy(dst=group.sums, src=product)
        nisa.tensor_copy(dst=group.total, src=part)
    else:
        factor = work.tile((PARTITIONS, part.shape[1]), nl.float32)
        nisa.tensor_tensor(dst=factor, data1=group.largest, data2=largest, op=nl.subtract)
        nisa.activation(dst=factor, op=nl.exp, data=factor)
        nisa.tensor_tensor(
            dst=group.sums, data1=group.sums, data2=factor[0 : product.shape[0], :], op=nl.multiply
        )
        nisa.tensor_tensor(dst=group.sums, data1=group.sums, data2=product, op=nl.add)
        nisa.tensor_tensor(dst=group.total, data1=group.total, data2=factor, op=nl.multiply)
        nisa.tensor_tensor(dst=group.total, data1=group.total, data2=part, op=nl.add)
        nisa.tensor_copy(dst=group.largest, src=largest)
    group.begun = True


# -- results --------------------------------------------------------------------------------------------


def _finish(call: Call, group: Group, work: Scratch) -> None:
    """Divide by the sums of all weights, and deliver."""
    share = call.share
    if share.by_context:
        sum_over_cores(group.sums, share.here, call.sbm, gpsimd=call.cfg.use_gpsimd_sb2sb)
    factors = _factors(call, group, work)
    result = _result(call, group, work)
    nisa.tensor_tensor(dst=result.get_view(), data1=group.sums, data2=factors, op=nl.multiply)
    if not call.cfg.out_in_sb and (share.by_batch or share.here.index == 0):
        _store(call, group, result)


def _factors(call: Call, group: Group, work: Scratch) -> nl.ndarray:
    """1 / Σ weights, the sink's among them, for each query: PSUM ``[d, C]``.

    Partitions are summed into one row, which is spread when nothing remains to be done: two narrow products,
    of 128 multiply-adds for each query, where one with a square of ones has 128².
    """
    depth, columns = call.cfg.d_head, group.total.shape[1]
    row = work.tile((1, columns), nl.float32)
    summed = psum_tile((1, columns))
    nisa.nc_matmul(dst=summed, stationary=call.ones[:, 0:1], moving=group.total)
    nisa.tensor_copy(dst=row, src=summed, engine=nisa.scalar_engine)
    if call.share.by_context:
        sum_over_cores(row, call.share.here, call.sbm, gpsimd=call.cfg.use_gpsimd_sb2sb)
    if call.sink is not None:
        extra = work.tile((1, columns), nl.float32)
        sink = _sink_of(call, group).slice(0, 0, 1).get_view()
        nisa.tensor_tensor(dst=extra, data1=sink, data2=group.largest[0:1, :], op=nl.subtract)
        nisa.activation(dst=extra, op=nl.exp, data=extra)
        nisa.tensor_tensor(dst=row, data1=row, data2=extra, op=nl.add)
    keep_sums(call, row, group.column)
    nisa.reciprocal(dst=row, data=row)
    spread = psum_tile((depth, columns))
    nisa.nc_matmul(dst=spread, stationary=call.ones[0:1, 0:depth], moving=row)
    return spread


def _result(call: Call, group: Group, work: Scratch) -> TensorView:
    """Where ``[d, C]`` of the group goes: into the output itself when that is in SBUF."""
    columns = group.total.shape[1]
    if not call.cfg.out_in_sb:
        return as_view(work.tile((call.cfg.d_head, columns), call.out.dtype))
    first = call.share.first * _queries(call) + group.column
    return as_view(call.out).slice(1, first, first + columns)


def _store(call: Call, group: Group, result: TensorView) -> None:
    """Into HBM, ``[B, H, d, s_a]``."""
    first = call.share.first + group.first
    target = as_view(call.out).slice(0, first, first + group.batches).permute((2, 0, 1, 3))
    nisa.dma_copy(dst=target.get_view(), src=result.get_view())
