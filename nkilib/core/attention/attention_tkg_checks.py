"""What :func:`.attention_tkg.attention_tkg` takes; a failing check says what is wrong and what is allowed."""

from typing import Any

import nki.language as nl

from ...blocks.arguments import assert_classes, assert_integer, assert_tuple
from ...blocks.dtypes import FLOATS_AND_E4M3, assert_dtypes
from ...blocks.lnc import Cores
from ...blocks.memory import PARTITIONS
from ..utils.kernel_assert import assert_shape, kernel_assert
from .attention_tkg_utils import (
    _FA_TILE_SIZE,
    AttnTKGConfig,
    is_batch_sharded,
    is_fp8_e4m3,
    is_fp8_e5m2,
    is_s_prior_sharded,
)

_MAX_BATCH = 128
_MAX_HEADS = 16
_MAX_S_ACTIVE = 8
_MAX_HEAD_DIM = 128
_ROPE_UNIT = 64
"""Heads are rotated in halves, which begin at a multiple of 32 partitions."""


def check_call(
    q: Any, k_active: Any, v_active: Any, k_prior: Any, v_prior: Any, cfg: AttnTKGConfig, here: Cores,
    rope_pos_ids: Any, table: Any, debug: Any,
) -> None:  # fmt: skip
    """Raise AssertionError for what is not allowed; all but the lengths, see :func:`check_lengths`."""
    kernel_assert(here.count <= 2, f"the launch has {here.count} cores, attention_tkg runs on 1 or 2")
    _check_sizes(cfg)
    _check_types(q, k_active, v_active, k_prior, v_prior, cfg)
    _check_options(cfg, here, rope_pos_ids)
    if cfg.block_len > 0:
        _check_blocks(k_active, k_prior, v_prior, cfg, table)
    else:
        by_token = (1, cfg.full_sprior, cfg.d_head)
        by_depth = (1, cfg.d_head, cfg.full_sprior)
        wanted = by_token if cfg.tp_k_prior else by_depth
        found = tuple(k_prior.shape[1:])
        kernel_assert(
            found == wanted,
            f"k_prior must be [B, {wanted}] when tp_k_prior is {cfg.tp_k_prior}, it has {found}",
        )
        enough = k_prior.shape[0] >= cfg.bs and v_prior.shape[0] >= cfg.bs
        found = tuple(v_prior.shape[1:])
        kernel_assert(
            found == by_token and enough,
            f"v_prior must be [B, {by_token}], B at least {cfg.bs}; it is {v_prior.shape}",
        )
    if debug is not None:
        count = 5 if cfg.block_len > 0 else 4
        assert_tuple(debug, count, "tensors", "DBG_TENSORS")
        for tensor in debug:
            assert_classes(tensors=((tensor, "each of DBG_TENSORS"),))


def check_tensors(
    q: Any,
    k_active: Any,
    v_active: Any,
    mask: Any,
    cfg: AttnTKGConfig,
    inv_freqs: Any,
    rope_pos_ids: Any,
    sink: Any,
) -> None:
    """Raise AssertionError for a tensor that has not the shape which the configuration says."""
    batch, heads, new, depth = cfg.bs, cfg.q_head, cfg.s_active, cfg.d_head
    if cfg.qk_in_sb:
        assert_shape(q, (depth, batch * heads * new), "q")
        assert_shape(k_active, (depth, batch * new), "k_active")
    else:
        assert_shape(q, (batch, heads, new, depth), "q")
        assert_shape(k_active, (batch, 1, new, depth), "k_active")
    assert_shape(v_active, (batch, 1, new, depth), "v_active")
    rows = new if cfg.use_pos_id else cfg.curr_sprior
    assert_shape(mask, (rows, batch, heads, new), "mask")
    if cfg.fuse_rope:
        assert_shape(inv_freqs, (depth // 2, 1), "inv_freqs")
    if cfg.use_pos_id or cfg.fuse_rope:
        assert_shape(rope_pos_ids, (batch, new), "rope_pos_ids")
    if sink is not None:
        assert_shape(sink, (heads, 1), "sink")


def check_results(out: Any, k_out: Any, cfg: AttnTKGConfig) -> None:
    """Raise AssertionError for a tensor of results that has not the shape which the configuration says."""
    assert_dtypes(((out, "out"), (k_out, "k_out")), FLOATS_AND_E4M3)
    batch, heads, new, depth = cfg.bs, cfg.q_head, cfg.s_active, cfg.d_head
    on_chip, stored = (depth, batch * heads * new), (batch, heads, depth, new)
    assert_shape(out, on_chip if cfg.out_in_sb else stored, "out")
    if cfg.fuse_rope and k_out is not None:
        on_chip, stored = (depth, batch * new), (batch, 1, depth, new)
        assert_shape(k_out, on_chip if cfg.k_out_in_sb else stored, "k_out")


def _check_sizes(cfg: AttnTKGConfig) -> None:
    _check_range("bs", cfg.bs, _MAX_BATCH)
    _check_range("q_head", cfg.q_head, _MAX_HEADS)
    _check_range("s_active", cfg.s_active, _MAX_S_ACTIVE)
    _check_range("d_head", cfg.d_head, _MAX_HEAD_DIM)
    assert_integer(cfg.curr_sprior, "curr_sprior", 1)
    assert_integer(cfg.full_sprior, "full_sprior", 1)
    assert_integer(cfg.block_len, "block_len", 0)
    kernel_assert(
        cfg.curr_sprior <= cfg.full_sprior,
        f"curr_sprior is {cfg.curr_sprior}, more than the cache has: full_sprior is {cfg.full_sprior}",
    )


def _check_range(name: str, value: int, most: int) -> None:
    assert_integer(value, name)
    kernel_assert(value >= 1 and value <= most, f"{name} is {value}, allowed: 1 to {most}")


def _check_types(
    q: Any, k_active: Any, v_active: Any, k_prior: Any, v_prior: Any, cfg: AttnTKGConfig
) -> None:
    tensors = (k_active, v_active, k_prior, v_prior)
    count = 0
    for tensor in tensors:
        kernel_assert(not is_fp8_e5m2(tensor.dtype), "keys and values of float8_e5m2 are not supported")
        if is_fp8_e4m3(tensor.dtype):
            count += 1
    kernel_assert(
        count == 0 or count == len(tensors),
        "k_active, v_active, k_prior, v_prior are all float8_e4m3 or none of them; "
        f"they are {k_active.dtype}, {v_active.dtype}, {k_prior.dtype}, {v_prior.dtype}",
    )
    if count > 0:
        kernel_assert(not cfg.fuse_rope, "fuse_rope does not go with keys of float8_e4m3")
        kernel_assert(q.dtype != nl.float32, "q of float32 does not go with keys of float8_e4m3")
        kernel_assert(cfg.qk_in_sb, "keys of float8_e4m3 need qk_in_sb")
    assert_dtypes(((q, "q"), (k_active, "k_active"), (v_active, "v_active")), FLOATS_AND_E4M3)
    assert_dtypes(((k_prior, "k_prior"), (v_prior, "v_prior")), FLOATS_AND_E4M3)
    wide = q.dtype == nl.float32
    kernel_assert(
        wide == (k_prior.dtype == nl.float32) and wide == (v_prior.dtype == nl.float32),
        f"q, k_prior and v_prior are float32 together; they are {q.dtype}, {k_prior.dtype}, {v_prior.dtype}",
    )


def _check_options(cfg: AttnTKGConfig, here: Cores, rope_pos_ids: Any) -> None:
    kernel_assert(
        cfg.fuse_rope or cfg.qk_in_sb, "without fuse_rope q and k_active must be in SBUF (qk_in_sb)"
    )
    if cfg.use_pos_id or cfg.fuse_rope:
        kernel_assert(rope_pos_ids is not None, "use_pos_id and fuse_rope need rope_pos_ids")
    if not cfg.fuse_rope:
        return
    queries = cfg.bs * cfg.q_head * cfg.s_active
    kernel_assert(
        here.count < 2 or not is_batch_sharded(cfg, PARTITIONS),
        "fuse_rope does not go with a batch that two cores share (an even bs, and a context below 256)",
    )
    kernel_assert(
        queries <= PARTITIONS,
        f"fuse_rope takes up to {PARTITIONS} queries, bs·q_head·s_active is {queries}",
    )
    kernel_assert(
        cfg.d_head % _ROPE_UNIT == 0,
        f"fuse_rope needs a d_head in multiples of {_ROPE_UNIT}, not {cfg.d_head}",
    )


def _check_blocks(k_active: Any, k_prior: Any, v_prior: Any, cfg: AttnTKGConfig, table: Any) -> None:
    kernel_assert(table is not None, "a block cache (block_len > 0) needs active_blocks_table")
    kernel_assert(table.dtype == nl.uint32, f"active_blocks_table must be uint32, it is {table.dtype}")
    kernel_assert(
        tuple(k_prior.shape[1:]) == (cfg.block_len, cfg.d_head),
        f"k_prior must be [blocks, {cfg.block_len}, {cfg.d_head}], it is {k_prior.shape}",
    )
    kernel_assert(
        tuple(k_prior.shape) == tuple(v_prior.shape),
        f"k_prior and v_prior must have one shape, they are {k_prior.shape} and {v_prior.shape}",
    )
    kernel_assert(cfg.qk_in_sb, "a block cache needs qk_in_sb")
    assert_shape(k_active, (cfg.d_head, cfg.bs * cfg.s_active), "k_active")
    blocks = cfg.curr_sprior // cfg.block_len
    kernel_assert(
        tuple(table.shape) == (cfg.bs, blocks) and cfg.curr_sprior % cfg.block_len == 0,
        f"active_blocks_table must be [bs, curr_sprior / block_len] = [{cfg.bs}, {cfg.curr_sprior} / "
        f"{cfg.block_len}], it is {table.shape}",
    )


def check_lengths(cfg: AttnTKGConfig, tokens: int, piece: int, cores: int) -> None:
    """Raise AssertionError unless a core's context can be cut into tiles, whose last one has all new tokens.

    Args:
        tokens: of one core. piece: length of the pieces of blocks, or 0. cores: that share the context.
    """
    kernel_assert(
        tokens * cores == cfg.curr_sprior and tokens > 0 and tokens % PARTITIONS == 0,
        f"curr_sprior must be a multiple of {PARTITIONS * cores} on {cores} core(s), it is {cfg.curr_sprior}",
    )
    rest = tokens % _FA_TILE_SIZE
    if tokens > _FA_TILE_SIZE and piece > 0:
        fold = piece * PARTITIONS
        kernel_assert(
            _FA_TILE_SIZE % fold == 0 and rest % fold == 0,
            f"tiles of {_FA_TILE_SIZE} and {rest} tokens must be multiples of {PARTITIONS} pieces of {piece}",
        )


def splits(cfg: AttnTKGConfig, here: Cores) -> tuple[bool, bool]:
    """Whether the cores of the launch share the batch, and whether they share the context."""
    if here.count < 2:
        return False, False
    batch = is_batch_sharded(cfg, PARTITIONS)
    return batch, not batch and is_s_prior_sharded(cfg, PARTITIONS)
