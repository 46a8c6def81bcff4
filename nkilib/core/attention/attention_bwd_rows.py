"""The work of :mod:`.attention_bwd` on one head of keys, and the query heads that share it.

Keys and values of a section are on chip, with the sums of their gradients. Queries come in groups of up to 4
tiles of 128, keys in tiles of up to 512. For each two, a block::

    weights, slopes   [128 queries, tiles, 512 keys]      P and dS
    slopes by key     [128 keys, 4, queries]              dS, transposed by DMA
    products          [depth, 512 keys]                   what the block adds to dV and dK, over its queries
    sums              [depth, parts, queries]             dQ in PSUM, over all blocks of the group's section

A step is one tile of queries of a block. Engines work in the order of issue, so stages of a step are issued
apart: P and dS, the transpose one step later, the products of a block two steps after its last.
"""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from ...blocks.masks import mask_and_max, sees_all
from ...blocks.matmul import contract, sum_over_partitions
from ...blocks.memory import PARTITIONS, PSUM_COLUMNS, Scratch, psum_tile, scratch
from ...blocks.tiles import as_view, load_broadcast, transpose_by_dma
from ..utils.allocator import SbufManager
from ..utils.tensor_view import TensorView
from .attention_bwd_plan import Block, Call, blocks_of, in_order, queries_of_keys


class Section(nl.NKIObject):
    """Keys ``start`` to ``start + length - 1`` of a head.

    Attributes:
        keys, values: ``[depth, parts, length]``. keys_by_row: ``[128, length / 128, d]``.
        dk, dv: sums ``[depth, parts, length]`` of type ``mixed``.
        begun: for each tile of keys whether there is something in the sums.
    """

    start: int
    length: int
    keys: Any
    values: Any
    keys_by_row: Any
    dk: Any
    dv: Any
    begun: Any


class Group(nl.NKIObject):
    """Queries of a head: scaled, and dy; ``[depth, parts, queries]``, and by row ``[128, tiles, d]``.

    ``sums`` is dQ in PSUM, while blocks add to it.
    """

    batch: int
    head: int
    queries: Any
    dy: Any
    queries_by_row: Any
    dy_by_row: Any
    sums: Any = None


class Rows(nl.NKIObject):
    """-lse and D of all queries: ``[128, heads, tiles]`` of type ``mixed``.

    D of a group's queries is there from its first section on. ``ones``: ``[depth, 1]``.
    """

    negated: Any
    products: Any
    ones: Any


class Buffers(nl.NKIObject):
    """SBUF that groups and blocks take in turns; ``blocks``, ``groups`` count them."""

    groups_held: Any
    weights: Any
    slopes: Any
    slopes_by_key: Any
    largest: Any
    blocks: int = 0
    groups: int = 0


class Step(nl.NKIObject):
    """A tile of queries of a block, with what it works on; ``last`` of its block."""

    group: Group
    block: Block
    tile: int
    buffer: int
    last: bool = False


def differentiate(call: Call, batch: int, head: int, sbm: SbufManager) -> None:
    """All gradients of one head of keys."""
    work = scratch(sbm, name="head")
    rows = _rows(call, batch, head, work, sbm)
    buffers = _buffers(call, work)
    for start in range(0, call.keys, call.section):
        held = scratch(sbm, name="section")
        section = _load_section(call, batch, head, start, held)
        behind: list[Any] = [None, None]
        for query_head in range(call.heads):
            for first in range(0, call.queries // PARTITIONS, call.group):
                behind = _group(call, section, (batch, head, query_head, first), rows, buffers, behind, sbm)
        for _ in range(len(behind)):
            _follow(call, section, behind, buffers, sbm)
            behind = [None, behind[0]]
        _store(call.dk, batch, head, section.dk, start)
        _store(call.dv, batch, head, section.dv, start)
        held.close()
    if call.sinks is not None:
        for query_head in range(call.heads):
            _sink_gradient(call, batch, head * call.heads + query_head, query_head, rows, sbm)
    work.close()


# -- what rows need ---------------------------------------------------------------------------------------


def _by_depth(call: Call, tensor: Any, batch: int, head: int, start: int, end: int) -> TensorView:
    """A head of HBM ``[b, h, d, s]``, tokens ``start`` to ``end - 1``, as ``[depth, parts, tokens]``."""
    columns = as_view(tensor).select(0, batch).select(0, head).slice(1, start, end)
    return columns.reshape_dim(0, (call.parts, call.depth)).permute((1, 0, 2))


def _load(call: Call, dst: Any, tensor: Any, batch: int, head: int, start: int) -> None:
    source = _by_depth(call, tensor, batch, head, start, start + dst.shape[2])
    nisa.dma_copy(dst=dst, src=source.get_view())


def _rows(call: Call, batch: int, head: int, work: Scratch, sbm: SbufManager) -> Rows:
    """-lse, loaded; D is still undefined."""
    tiles = call.queries // PARTITIONS
    shape = (PARTITIONS, call.heads, tiles)
    rows = Rows(
        negated=work.tile(shape, call.mixed),
        products=work.tile(shape, call.mixed),
        ones=work.tile((call.depth, 1), call.mixed),
    )
    nisa.memset(dst=rows.ones, value=1.0)
    inner = scratch(sbm, name="rows", places=2)
    for query_head in range(call.heads):
        source = head * call.heads + query_head
        lse = inner.tile((PARTITIONS, tiles), call.lse.dtype)
        nisa.dma_copy(dst=lse, src=as_view(call.lse).select(0, batch).select(0, source).get_view())
        nisa.tensor_scalar(dst=rows.negated[:, query_head, :], data=lse, op0=nl.multiply, operand0=-1.0)
        inner.turn()
    inner.close()
    return rows


def _row_products(
    call: Call, group: Group, block: Block, place: tuple[int, int], rows: Rows, sbm: SbufManager
) -> None:
    """D = Σ_d dy·o of a group's queries; place: query head among those of the key head, and among all."""
    first, tiles = block.first, block.tiles
    work = scratch(sbm, name="products")
    shape = (call.depth, call.parts, tiles * PARTITIONS)
    o, product = work.tile(shape, call.q.dtype), work.tile(shape, call.mixed)
    _load(call, o, call.o, group.batch, place[1], first * PARTITIONS)
    dy = group.dy[:, :, 0 : tiles * PARTITIONS]
    # GpSimd has nothing else to do.
    nisa.tensor_tensor(dst=product, data1=dy, data2=o, op=nl.multiply, engine=nisa.gpsimd_engine)
    sums = psum_tile((PARTITIONS, tiles))
    for tile in range(tiles):
        at = tile * PARTITIONS
        for part in range(call.parts):
            nisa.nc_matmul(
                dst=sums[:, tile : tile + 1],
                stationary=product[:, part, at : at + PARTITIONS],
                moving=rows.ones,
            )
    nisa.tensor_copy(dst=rows.products[:, place[0], first : first + tiles], src=sums)
    work.close()


def _sink_gradient(
    call: Call, batch: int, source: int, query_head: int, rows: Rows, sbm: SbufManager
) -> None:
    """``dsinks[n] = -Σ_i exp(sinks[n] - lse_i)·D_i``."""
    tiles, count = call.queries // PARTITIONS, call.sinks.shape[2]
    work = scratch(sbm, name="sinks")
    sinks = work.tile((PARTITIONS, count), call.sinks.dtype)
    load_broadcast(sinks, as_view(call.sinks).select(0, batch).slice(0, source, source + 1))
    partial = work.tile((PARTITIONS, count), nl.float32)
    weights = work.tile((PARTITIONS, tiles), call.mixed)
    for sink in range(count):
        nisa.activation(
            dst=weights, op=nl.exp, data=rows.negated[:, query_head, :], bias=sinks[:, sink : sink + 1]
        )
        nisa.tensor_tensor(dst=weights, data1=weights, data2=rows.products[:, query_head, :], op=nl.multiply)
        nisa.tensor_reduce(dst=partial[:, sink : sink + 1], op=nl.add, data=weights, axis=1)
    total = work.tile((PARTITIONS, count), call.sinks.dtype)
    sum_over_partitions(total, partial, sbm, scale=-1.0)
    into = as_view(call.dsinks).select(0, batch).slice(0, source, source + 1)
    nisa.dma_copy(dst=into.get_view(), src=total[0:1, :])
    work.close()


# -- sections and groups ----------------------------------------------------------------------------------


def _load_section(call: Call, batch: int, head: int, start: int, work: Scratch) -> Section:
    length = min(call.section, call.keys - start)
    shape, dtype = (call.depth, call.parts, length), call.k.dtype
    begun = []
    for _ in range(0, length, call.width):
        begun.append(False)
    section = Section(
        start=start,
        length=length,
        keys=work.tile(shape, dtype),
        values=work.tile(shape, dtype),
        keys_by_row=work.tile((PARTITIONS, length // PARTITIONS, call.depth * call.parts), dtype),
        dk=work.tile(shape, call.mixed),
        dv=work.tile(shape, call.mixed),
        begun=begun,
    )
    _load(call, section.keys, call.k, batch, head, start)
    _load(call, section.values, call.v, batch, head, start)
    _by_row(call, section.keys_by_row, section.keys, length)
    return section


def _by_row(call: Call, dst: Any, src: Any, tokens: int) -> None:
    """``dst[token, tile, part·depth + p] = src[p, part, 128·tile + token]``."""
    for part in range(call.parts):
        into = as_view(dst).slice(2, part * call.depth, (part + 1) * call.depth)
        transpose_by_dma(into, as_view(src).select(1, part).slice(1, 0, tokens))


def _store(gradient: Any, batch: int, head: int, sums: Any, start: int) -> None:
    depth, parts = sums.shape[0], sums.shape[1]
    into = as_view(gradient).select(0, batch).select(0, head).slice(1, start, start + sums.shape[2])
    nisa.dma_copy(dst=into.reshape_dim(0, (parts, depth)).permute((1, 0, 2)).get_view(), src=sums)


def _buffers(call: Call, work: Scratch) -> Buffers:
    """Two of each, so that a block begins while the one before it is summed."""
    queries, dtype = call.group * PARTITIONS, call.q.dtype
    columns = (call.depth, call.parts, queries)
    by_row = (PARTITIONS, call.group, call.depth * call.parts)
    keys, by_key = (PARTITIONS, call.group, call.width), (PARTITIONS, call.width // PARTITIONS, queries)
    buffers = Buffers(
        groups_held=[],
        weights=[],
        slopes=[],
        slopes_by_key=[],
        largest=work.tile((PARTITIONS, 1), nl.float32),
    )
    for _ in range(2):
        held = []
        for shape in (columns, columns, by_row, by_row):
            held.append(work.tile(shape, dtype))
        buffers.groups_held.append(held)
        buffers.weights.append(work.tile(keys, dtype))
        buffers.slopes.append(work.tile(keys, dtype))
        buffers.slopes_by_key.append(work.tile(by_key, dtype))
    return buffers


def _group(
    call: Call,
    section: Section,
    at: tuple[int, int, int, int],
    rows: Rows,
    buffers: Buffers,
    behind: list[Any],
    sbm: SbufManager,
) -> list[Any]:
    """The steps of a group and a section; at: batch, key head, query head of it, first tile of queries.

    Returns the last two steps, whose later stages are still to be issued.
    """
    batch, head, query_head, first = at
    group = None
    for block in blocks_of(call, first, section.start, section.start + section.length):
        begun = False
        for tile in range(block.tiles):
            if block.spans[tile][0] == block.spans[tile][1]:
                continue
            _follow(call, section, behind, buffers, sbm)
            if group is None:  # only now are its buffers free
                group = _load_group(call, batch, head * call.heads + query_head, block, buffers)
                if not block.adds:
                    place = (query_head, head * call.heads + query_head)
                    _row_products(call, group, block, place, rows, sbm)
            if not begun:
                _fill(call, block, buffers)
                begun = True
            step = Step(group=group, block=block, tile=tile, buffer=buffers.blocks % 2)
            _weigh(call, section, step, (query_head, rows), buffers)
            behind = [step, behind[0]]
        behind[0].last = True
        buffers.blocks += 1
    return behind


def _load_group(call: Call, batch: int, head: int, block: Block, buffers: Buffers) -> Group:
    held = buffers.groups_held[buffers.groups % 2]
    buffers.groups += 1
    group = Group(
        batch=batch, head=head, queries=held[0], dy=held[1], queries_by_row=held[2], dy_by_row=held[3]
    )
    start, count = block.first * PARTITIONS, block.tiles * PARTITIONS
    queries, dy = group.queries[:, :, 0:count], group.dy[:, :, 0:count]
    _load(call, queries, call.q, batch, head, start)
    _load(call, dy, call.dy, batch, head, start)
    nisa.activation(dst=queries, op=nl.copy, data=queries, scale=call.scale)
    _by_row(call, as_view(group.queries_by_row).slice(1, 0, block.tiles), group.queries, count)
    _by_row(call, as_view(group.dy_by_row).slice(1, 0, block.tiles), group.dy, count)
    return group


# -- stages of a step -------------------------------------------------------------------------------------


def _fill(call: Call, block: Block, buffers: Buffers) -> None:
    """Zeros where the first of the block's products read what no query sees."""
    buffer = buffers.blocks % 2
    tile, start, end = in_order(block.spans, call.width)[0]
    seen = block.spans[tile]
    for held in (buffers.weights[buffer], buffers.slopes[buffer]):
        _zero(held, tile, (start, seen[0]))
        _zero(held, tile, (seen[1], end))
    if block.opens:
        spans = queries_of_keys(block, call.width)
        key, start, end = in_order(spans, block.tiles * PARTITIONS)[0]
        _zero(buffers.slopes_by_key[buffer], key, (start, spans[key][0]))
        _zero(buffers.slopes_by_key[buffer], key, (spans[key][1], end))


def _zero(held: Any, tile: int, columns: tuple[int, int]) -> None:
    if columns[0] < columns[1]:
        nisa.memset(dst=held[:, tile, columns[0] : columns[1]], value=0.0)


def _weigh(call: Call, section: Section, step: Step, head_rows: tuple[int, Rows], buffers: Buffers) -> None:
    """``P = exp(S - lse)`` and ``dS = P·(dYᵀV - D)`` of the keys that the tile of queries sees."""
    group, block, tile = step.group, step.block, step.block.first + step.tile
    query_head, rows = head_rows
    start, end = block.spans[step.tile]
    queries = (step.tile * PARTITIONS, PARTITIONS)
    keys = (block.start - section.start + start, end - start)
    scores, slopes = psum_tile((PARTITIONS, end - start)), psum_tile((PARTITIONS, end - start))
    size = call.depth * call.parts
    contract(scores, group.queries, section.keys, size, queries, keys, call.depth)
    contract(slopes, group.dy, section.values, size, queries, keys, call.depth)
    _mask(call, scores, tile, block.start + start, buffers.largest)
    weights = buffers.weights[step.buffer][:, step.tile, start:end]
    nisa.activation(dst=weights, op=nl.exp, data=scores, bias=rows.negated[:, query_head, tile : tile + 1])
    nisa.scalar_tensor_tensor(
        dst=buffers.slopes[step.buffer][:, step.tile, start:end],
        data=slopes,
        op0=nl.subtract,
        operand0=rows.products[:, query_head, tile : tile + 1],
        op1=nl.multiply,
        operand1=weights,
    )


def _mask(call: Call, scores: nl.ndarray, tile: int, first_key: int, largest: nl.ndarray) -> None:
    """The lowest number over the scores of keys that are not seen, of 128 at a time where some are not."""
    for column in range(0, scores.shape[1], PARTITIONS):
        key = first_key + column
        if not sees_all(call.band, tile * PARTITIONS, (tile + 1) * PARTITIONS, key, key + PARTITIONS):
            mask_and_max(scores[:, column : column + PARTITIONS], key, call.bounds, tile, largest)


def _follow(call: Call, section: Section, behind: list[Any], buffers: Buffers, sbm: SbufManager) -> None:
    """Later stages of the steps before this one, latest first."""
    if behind[1] is not None and behind[1].last:
        _add_products(call, section, behind[1], buffers)
        _add_sums(call, section, behind[1], buffers)
        if behind[1].block.closes:
            _store_sums(call, behind[1], sbm)
    if behind[0] is not None:
        step = behind[0]
        start, end = step.block.spans[step.tile]
        into = as_view(buffers.slopes_by_key[step.buffer]).slice(1, start // PARTITIONS, end // PARTITIONS)
        column = step.tile * PARTITIONS
        slopes = as_view(buffers.slopes[step.buffer]).select(1, step.tile).slice(1, start, end)
        transpose_by_dma(into.slice(2, column, column + PARTITIONS), slopes)


def _add_products(call: Call, section: Section, step: Step, buffers: Buffers) -> None:
    """``dV += dY·P`` and ``dK += scale·Q·dS`` of a block."""
    group, block = step.group, step.block
    order = in_order(block.spans, call.width)
    for part in range(call.parts):
        columns = (part * call.depth, call.depth)
        into = as_view(section.dv).select(1, part)
        _add_product(
            call, section, block, into, (group.dy_by_row, columns), buffers.weights[step.buffer], order
        )
        into = as_view(section.dk).select(1, part)
        operand = (group.queries_by_row, columns)
        _add_product(call, section, block, into, operand, buffers.slopes[step.buffer], order)
    section.begun[(block.start - section.start) // call.width] = True


def _add_product(
    call: Call, section: Section, block: Block, sums: TensorView, operand: Any, by_row: Any, order: Any
) -> None:
    """``sums[:, keys] += Σ_i operand[i, columns]·by_row[i, keys]``; order: see :func:`in_order`."""
    rows, (first, size) = operand
    product = psum_tile((size, call.width))
    for each in order:
        tile, start, end = each
        nisa.nc_matmul(
            dst=product[:, start:end],
            stationary=rows[:, tile, first : first + size],
            moving=by_row[:, tile, start:end],
        )
    at = block.start - section.start
    into = sums.slice(1, at, at + call.width).get_view()
    if section.begun[at // call.width]:
        nisa.tensor_tensor(dst=into, data1=into, data2=product, op=nl.add)
    else:
        nisa.tensor_copy(dst=into, src=product)


def _add_sums(call: Call, section: Section, step: Step, buffers: Buffers) -> None:
    """``dQ += K·dSᵀ`` of a block, in PSUM."""
    group, block = step.group, step.block
    count = block.tiles * PARTITIONS
    spans = queries_of_keys(block, call.width)
    if block.opens:  # parts a whole number of times in a bank: none lies in two
        room = PSUM_COLUMNS // (PSUM_COLUMNS // count)
        group.sums = psum_tile((call.depth, call.parts, room))
    order = in_order(spans, count if block.opens else 0)
    first = (block.start - section.start) // PARTITIONS
    for part in range(call.parts):
        columns = as_view(section.keys_by_row).slice(2, part * call.depth, (part + 1) * call.depth)
        for each in order:
            key, start, end = each
            nisa.nc_matmul(
                dst=group.sums[:, part, start:end],
                stationary=columns.select(1, first + key).get_view(),
                moving=buffers.slopes_by_key[step.buffer][:, key, start:end],
            )


def _store_sums(call: Call, step: Step, sbm: SbufManager) -> None:
    """``dq = scale·dQ``, added to what earlier sections left there; ends the sums' life."""
    group, block = step.group, step.block
    work = scratch(sbm, name="dq")
    start, count = block.first * PARTITIONS, block.tiles * PARTITIONS
    shape = (call.depth, call.parts, count)
    result = work.tile(shape, call.dq.dtype)
    sums = group.sums[:, :, 0:count]
    into = _by_depth(call, call.dq, group.batch, group.head, start, start + count)
    if block.adds:
        before = work.tile(shape, call.dq.dtype)
        nisa.dma_copy(dst=before, src=into.get_view())
        nisa.scalar_tensor_tensor(
            dst=result, data=sums, op0=nl.multiply, operand0=call.scale, op1=nl.add, operand1=before
        )
    else:
        nisa.activation(dst=result, op=nl.copy, data=sums, scale=call.scale)
    nisa.dma_copy(dst=into.get_view(), src=result)
    group.sums = None
    work.close()
