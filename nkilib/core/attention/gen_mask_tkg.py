"""The mask of a decode step: prior tokens up to a limit for each sequence, and a given part for new tokens.

``mask[p, f, b, h, s] = 1`` if the context token at (p, f) is below ``pos_ids[b·s_active]``, else 0; where a
token is one of the new ones, the value of ``active_mask`` instead. :mod:`nkilib.blocks.cache` says which
token lies at (p, f).
"""

import nki.isa as nisa
import nki.language as nl

from ...blocks.arguments import assert_classes, assert_integer, assert_layout, assert_object
from ...blocks.cache import TokenOrder, put_rows, runs, token_numbers
from ...blocks.lnc import cores
from ...blocks.memory import PARTITIONS, scratch
from ...blocks.tiles import as_view
from ..utils.allocator import SbufManager
from ..utils.kernel_assert import assert_shape, kernel_assert
from ..utils.logging import LogLevel, get_logger
from ..utils.tensor_view import TensorView

_SCRATCH_BYTES = 128 * 128 * 4


def gen_mask_tkg(
    pos_ids: nl.ndarray,
    mask_out: nl.ndarray,
    bs: int,
    q_head: int,
    s_active: int,
    is_s_prior_sharded: bool,
    s_prior_per_shard: int,
    s_prior_offset: int = 0,
    block_len: int = 0,
    strided_mm1: bool = True,
    active_mask: nl.ndarray | None = None,
    sbm: SbufManager | None = None,
    is_batch_sharded: bool = False,
) -> nl.ndarray:
    """Fill ``mask_out``, which is returned, for one tile of the context.

    Args:
        pos_ids: SBUF ``[128, bs·s_active]``, the same on all partitions; column ``b·s_active`` is the limit
            of sequence b.
        mask_out: SBUF ``[128, n, bs, q_head, s_active]``, any numeric type, for ``128·n`` tokens.
        bs, q_head, s_active: sizes on this core.
        is_s_prior_sharded: the cores of the launch have a part of the context each.
        s_prior_per_shard: tokens of such a part, or of the whole context.
        s_prior_offset: where the tile begins in it.
        block_len: length of pieces, 0 for a flat cache. strided_mm1: order of a flat cache.
        active_mask: HBM ``[s_active (key), batch, q_head, s_active (query)]``, or None. With a flat cache its
            keys are the last tokens of the tile; with blocks the last of the part, 0 being this tile's size,
            so that tiles without them stay as they are.
        sbm: SBUF manager; None leaves addresses to the compiler.
        is_batch_sharded: ``active_mask`` has the sequences of all cores, ``bs`` of each.

    Raises AssertionError for masks of other shapes, and for blocks that do not fill the tile.
    """
    assert_classes(
        tensors=((pos_ids, "pos_ids"), (mask_out, "mask_out")),
        optional=((active_mask, "active_mask"),),
        flags=(
            (is_s_prior_sharded, "is_s_prior_sharded"), (strided_mm1, "strided_mm1"),
            (is_batch_sharded, "is_batch_sharded"),
        ),
    )  # fmt: skip
    _check(mask_out, bs, q_head, s_active, block_len)
    assert_integer(s_prior_per_shard, "s_prior_per_shard", 0)
    assert_integer(s_prior_offset, "s_prior_offset", 0)
    here = cores()
    tiles = mask_out.shape[1]
    order = TokenOrder(tiles=tiles, piece=block_len, strided=strided_mm1)
    shard = here.index if is_s_prior_sharded else 0
    assert_object(sbm, SbufManager, "sbm", optional=True)
    if sbm is None:
        sbm = SbufManager(0, _SCRATCH_BYTES, get_logger("SBM", LogLevel.WARN), use_auto_alloc=True)
    mask = as_view(mask_out)
    assert_layout(pos_ids, 2, "[128, bs·s_active]", "pos_ids")
    limits = as_view(pos_ids).slice(1, 0, bs * s_active, s_active)
    mask_prior(mask, limits, order, shard * s_prior_per_shard + s_prior_offset, sbm)
    if active_mask is not None:
        count = bs * here.count if is_batch_sharded else bs
        assert_shape(active_mask, (s_active, count, q_head, s_active), "active_mask")
        first = here.index * bs if is_batch_sharded else 0
        mine = as_view(active_mask).slice(1, first, first + bs)
        start = PARTITIONS * tiles - s_active
        if block_len > 0 and s_prior_per_shard > 0:
            start = s_prior_per_shard - s_active - s_prior_offset
        mask_active(mask, mine, order, start)
    return mask_out


def _check(mask_out: nl.ndarray, bs: int, q_head: int, s_active: int, block_len: int) -> None:
    shape = tuple(mask_out.shape)
    assert_integer(block_len, "block_len", 0)
    kernel_assert(
        len(shape) == 5, f"mask_out must be [128, n, bs, q_head, s_active], it has {len(shape)} dimensions"
    )
    kernel_assert(
        shape[2] == bs and shape[3] == q_head and shape[4] == s_active,
        f"mask_out is {shape}; bs, q_head, s_active are {bs}, {q_head}, {s_active}",
    )
    kernel_assert(
        block_len == 0 or shape[1] % block_len == 0,
        f"blocks of {block_len} must fill the {shape[1]} columns of mask_out",
    )


def mask_prior(mask: TensorView, limits: TensorView, order: TokenOrder, base: int, sbm: SbufManager) -> None:
    """1 where a token is below its sequence's limit, else 0, in one pass over the mask.

    Args:
        mask: SBUF ``[128, n, B, H, s]``. limits: SBUF ``[128, B]``. base: number of the tile's first token.
    """
    _, tiles, batch, heads, active = mask.shape
    work = scratch(sbm, name="mask_prior")
    numbers = work.tile((PARTITIONS, tiles), nl.float32)
    token_numbers(numbers, order, base)
    queries = heads * active
    token = as_view(numbers).expand_dim(2).broadcast(2, batch).expand_dim(3).broadcast(3, queries)
    limit = limits.expand_dim(1).broadcast(1, tiles).expand_dim(3).broadcast(3, queries)
    nisa.tensor_tensor(
        dst=mask.flatten_dims(3, 4).get_view(), data1=token.get_view(), data2=limit.get_view(), op=nl.less
    )
    work.close()


def mask_active(mask: TensorView, active: TensorView, order: TokenOrder, start: int) -> None:
    """Write the mask of new tokens over those at ``start`` and after, as far as the tile has them.

    Args:
        mask: SBUF ``[128, n, B, H, s]``. active: HBM ``[s (key), B, H, s]``.
    """
    count = active.shape[0]
    first, end = max(0, -start), min(count, PARTITIONS * order.tiles - start)
    if first < end:
        put_rows(mask, active.slice(0, first, end), runs(order, start + first, end - first))
