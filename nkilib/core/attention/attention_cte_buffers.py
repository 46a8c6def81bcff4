"""SBUF that the work on rows of :mod:`.attention_cte` shares."""

from typing import Any

import nki.language as nl

from ...blocks.memory import PARTITIONS, Scratch
from ...blocks.softmax import SOFTMAX_COLUMNS
from ...blocks.tiles import tiles_of
from .attention_cte_call import Call
from .attention_cte_plan import chunk_blocks

GROUP_TILES = 4
"""Most tiles of queries in a group: what one matmul moves."""


class Buffers(nl.NKIObject):
    """SBUF that steps, chunks, groups and shares take in turns; and how many of them there were.

    Attributes:
        exponentials: of steps. weights, products (fp32): of chunks.
        queries ``[d, rows]``, sums (fp32) and results ``[128, tiles, d]``: of groups.
        totals, states: of groups, for the softmax, for each tile of queries; four, since a new group begins
            while three are not yet stored.
        inverses, negated: 1/Z and -m of shares, fp32 ``[128, tiles]``.
        blocks: most blocks in a chunk.
    """

    blocks: int
    exponentials: Any
    weights: Any
    products: Any
    queries: Any
    totals: Any
    states: Any
    sums: Any
    results: Any
    inverses: Any
    negated: Any
    steps: int = 0
    chunks: int = 0
    groups: int = 0
    shares: int = 0


def make_buffers(call: Call, work: Scratch) -> Buffers:
    """Buffers as large as this call needs them."""
    cfg, blocks = call.cfg, chunk_blocks(call)
    blocks = min(blocks, tiles_of(max(call.keys, cfg.seqlen_k_prior)))
    tiles = min(GROUP_TILES, tiles_of(cfg.seqlen_q))
    rows = min(cfg.seqlen_q, tiles * PARTITIONS)
    by_token, all_tiles = (PARTITIONS, tiles, cfg.d), (PARTITIONS, tiles_of(cfg.seqlen_q))
    states = []
    for _ in range(tiles):
        states.append(_rotating(work, 4, (PARTITIONS, SOFTMAX_COLUMNS), nl.float32))
    return Buffers(
        blocks=blocks,
        exponentials=_rotating(work, 2, (PARTITIONS, blocks * PARTITIONS), nl.bfloat16),
        weights=_rotating(work, 2, (PARTITIONS, blocks, rows), nl.bfloat16),
        products=_rotating(work, 2, (cfg.d, rows), nl.float32),
        queries=_rotating(work, 2, (cfg.d, rows), nl.bfloat16),
        totals=_rotating(work, 4, (PARTITIONS, tiles), nl.float32),
        states=states,
        sums=_rotating(work, 2, by_token, nl.float32),
        results=_rotating(work, 2, by_token, call.result.dtype),
        inverses=_rotating(work, 2, all_tiles, nl.float32),
        negated=_rotating(work, 2, all_tiles, nl.float32),
    )


def _rotating(work: Scratch, count: int, shape: tuple[int, ...], dtype: Any) -> list[nl.ndarray]:
    tiles = []
    for _ in range(count):
        tiles.append(work.tile(shape, dtype))
    return tiles
