"""Sizes, options and sharding rules of :mod:`.attention_tkg`; plain arithmetic, for kernels and the host."""

from dataclasses import dataclass
from typing import Any

import nki.language as nl

from ..utils.kernel_assert import kernel_assert
from ..utils.logging import get_logger

_FA_TILE_SIZE = 8 * 1024
"""Most tokens of a context that one core works on at once."""

_SHORT_CONTEXT = 256
"""Contexts below this are not split; batches are, if they can."""

_SMALL_PIECE = 8
"""Tokens in a piece of a block below which its loads are slow."""


@dataclass
class AttnTKGConfig(nl.NKIObject):
    """Sizes and options of one call.

    Attributes:
        bs: sequences. q_head: query heads on the one head of keys and values. s_active: new tokens.
        curr_sprior: context used by this call, new tokens included. full_sprior: length of the cache.
        d_head: elements of a head. block_len: tokens in a block of a block cache, 0 for a flat cache.
        tp_k_prior: a flat ``k_prior`` is ``[B, 1, full, d]``; otherwise ``[B, 1, d, full]``.
        strided_mm1: order of the tokens in score tiles of a flat cache (see :mod:`nkilib.blocks.cache`).
        use_pos_id: make the mask of the prior tokens from ``rope_pos_ids``.
        fuse_rope: rotate q and k_active, and scale q by 1/√d.
        use_gpsimd_sb2sb: hint for the exchange between cores, without effect on values.
        qk_in_sb, k_out_in_sb, out_in_sb: which tensors lie in SBUF.
    """

    bs: int = 0
    q_head: int = 0
    s_active: int = 0
    curr_sprior: int = 0
    full_sprior: int = 0
    d_head: int = 0
    block_len: int = 0
    tp_k_prior: bool = False
    strided_mm1: bool = True
    use_pos_id: bool = False
    fuse_rope: bool = False
    use_gpsimd_sb2sb: bool = True
    qk_in_sb: bool = False
    k_out_in_sb: bool = False
    out_in_sb: bool = False


@dataclass
class TileConstants(nl.NKIObject):
    """The hardware: partitions, float32 of a PSUM bank, banks, partitions of a quadrant, bytes of a bank."""

    p_max: int
    psum_f_max: int
    psum_b_max: int
    sbuf_quadrant_size: int
    psum_f_max_bytes: int

    @staticmethod
    def get_tile_constants() -> "TileConstants":
        return TileConstants(
            p_max=128, psum_f_max=512, psum_b_max=8, sbuf_quadrant_size=32, psum_f_max_bytes=2048
        )


def uses_flash_attention(s_prior: int) -> tuple[bool, int]:
    """Whether a core's context is worked on in tiles, and the tokens of such a tile."""
    return s_prior > _FA_TILE_SIZE, _FA_TILE_SIZE


def is_fp8_e4m3(dtype: Any) -> bool:
    return bool(dtype == nl.float8_e4m3 or str(dtype) == "float8e4")


def is_fp8_e5m2(dtype: Any) -> bool:
    return bool(dtype == nl.float8_e5m2 or str(dtype) == "float8e5")


def is_batch_sharded(cfg: AttnTKGConfig, p_max: int) -> bool:
    """Whether two cores, if there are two, take half of the batch each."""
    queries = cfg.bs * cfg.q_head * cfg.s_active
    return cfg.bs % 2 == 0 and (queries > p_max or cfg.curr_sprior < _SHORT_CONTEXT)


def is_s_prior_sharded(cfg: AttnTKGConfig, p_max: int) -> bool:
    """Whether two cores, if there are two, take half of the context each."""
    queries = cfg.bs * cfg.q_head * cfg.s_active
    return not is_batch_sharded(cfg, p_max) and queries <= p_max and cfg.curr_sprior >= 2 * p_max


def resize_cache_block_len_for_attention_tkg_kernel(
    num_blocks_per_batch: int, block_len: int, n_prgs: int, p_max: int, full_sprior: int = 0
) -> tuple[int, int]:
    """``(length, count)`` of the pieces that blocks are cut into, for each partition to have equally many.

    Args:
        num_blocks_per_batch: blocks of a sequence's context. block_len: tokens in a block.
        n_prgs: cores that share the work. p_max: partitions. full_sprior: cache length for a warning, or 0.

    Raises AssertionError unless the context is a multiple of ``n_prgs·p_max`` tokens.
    """
    context = num_blocks_per_batch * block_len
    unit = n_prgs * p_max
    kernel_assert(
        context % unit == 0, f"the context of {num_blocks_per_batch}·{block_len} tokens must divide by {unit}"
    )
    reduced = _common_divisor(block_len, context // unit)
    factor = block_len // reduced
    if factor != 1:
        get_logger("attention_tkg").info(f"blocks of {block_len} tokens are cut into {factor} of {reduced}")
    if reduced < _SMALL_PIECE:
        _warn_of_small_pieces(context, block_len, reduced, unit, full_sprior)
    return reduced, factor


def _warn_of_small_pieces(context: int, block_len: int, reduced: int, unit: int, full_sprior: int) -> None:
    step = unit * block_len
    better = (context + step - 1) // step * step
    logger = get_logger("attention_tkg")
    logger.warn(
        f"pieces of {reduced} tokens load slowly; a context of {better} would keep blocks of {block_len}"
    )
    if full_sprior > 0 and better > full_sprior:
        logger.warn(f"{better} tokens are more than the cache has, {full_sprior}")


def _common_divisor(a: int, b: int) -> int:
    while b != 0:
        a, b = b, a % b
    return a
