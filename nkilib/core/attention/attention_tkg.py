"""Attention for token generation (decode): a few new tokens of each sequence over its cache.

For sequence b, query head h (all heads share one head of keys and values), new token s, and context token t::

    keys, values   = the first S rows of the cache, the last s_a of them replaced by k_active, v_active
    score(t)       = keys[b, t]·q[b, h, s]       where the mask lets the query attend, else -∞
    m              = max_t score(t)              and sink[h], if there is one
    Z              = Σ_t exp(score(t) - m)       + exp(sink[h] - m)
    out[b, h, s]   = Σ_t exp(score(t) - m)·values[b, t] / Z

With ``fuse_rope`` q and k_active are rotated first (:mod:`nkilib.blocks.rope`), and q is divided by √d;
otherwise scores are not scaled. The cache is not written. What its rows hold that are replaced or masked does
not matter, except that values must be finite.

Tensors (B, H, s_a, S, d: bs, q_head, s_active, curr_sprior, d_head; in HBM unless ``…_in_sb``)::

    q          [B, H, s_a, d]                              in SBUF [d, B·H·s_a]
    k_active   [B, 1, s_a, d]                              in SBUF [d, B·s_a]
    v_active   [B, 1, s_a, d]
    k_prior    [≥B, 1, full, d] with tp_k_prior, else [≥B, 1, d, full]; blocks [blocks, block_len, d]
    v_prior    [≥B, 1, full, d]; blocks as k_prior
    mask       uint8 [S, B, H, s_a], 1 to attend; with use_pos_id [s_a, B, H, s_a], of the new keys
    out        [B, H, d, s_a]                              in SBUF [d, B·H·s_a]
    k_out      [B, 1, d, s_a], the rotated k_active        in SBUF [d, B·s_a]

Rows of a mask of a flat cache are tokens. For blocks, row r is the token at partition ``r % 128`` and tile
``r // 128`` in :class:`nkilib.blocks.cache.TokenOrder`, with the pieces that
``resize_cache_block_len_for_attention_tkg_kernel`` gives for the cores that share batch or context.

New keys and values are rounded to the cache's type. Products accumulate in fp32, m and Z are fp32; the
weights ``exp(score - m)`` are rounded to q's type before they are summed and multiplied with the values; 1/Z
comes last. A context of more than 8192 tokens on a core is worked on in tiles of so many. A query that
attends to nothing gets unspecified values.

Two cores share the batch, when it is even and has more than 128 queries or a context below 256; else the
context, up to 128 queries; else they do the same. Outputs that both have are stored in HBM by the first core,
``k_out`` by the one whose context ends with the new tokens; in SBUF each core has all of them.
"""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from ... import insides
from ...blocks.arguments import assert_classes, assert_object
from ...blocks.lnc import cores, gather
from ...blocks.memory import scratch
from ..utils.allocator import SbufManager
from .attention_tkg_call import Call, prepare, share_of
from .attention_tkg_checks import _MAX_S_ACTIVE as _MAX_S_ACTIVE
from .attention_tkg_checks import check_call, check_results, check_tensors
from .attention_tkg_debug import check_debug_tensors, keep_pieces
from .attention_tkg_groups import attend
from .attention_tkg_utils import AttnTKGConfig as AttnTKGConfig
from .attention_tkg_utils import TileConstants as TileConstants
from .attention_tkg_utils import is_batch_sharded as is_batch_sharded
from .attention_tkg_utils import is_fp8_e4m3 as is_fp8_e4m3
from .attention_tkg_utils import is_fp8_e5m2 as is_fp8_e5m2
from .attention_tkg_utils import is_s_prior_sharded as is_s_prior_sharded
from .attention_tkg_utils import (
    resize_cache_block_len_for_attention_tkg_kernel as resize_cache_block_len_for_attention_tkg_kernel,
)
from .attention_tkg_utils import uses_flash_attention as uses_flash_attention

__getattr__ = insides.named(__name__)

OOB_MODE_SKIP = nisa.oob_mode.skip
"""What a DMA does with elements of which the index is out of bounds: it leaves them out."""

_ALLOWED_CONFIGURATIONS = [
    (256, [(128, 64)]),
    (2048, [(64, 32), (128, 1)]),
    (8192, [(4, 128), (16, 16), (128, 1)]),
    (12288, [(8, 64), (128, 1)]),
    (16384, [(4, 64), (128, 1)]),
    (32768, [(1, 128), (4, 16)]),
]
"""Sizes to try: contexts up to the first number, with up to (bs, q_head·s_active). Others are taken, too."""


def attention_tkg(
    q: nl.ndarray,
    k_active: nl.ndarray,
    v_active: nl.ndarray,
    k_prior: nl.ndarray,
    v_prior: nl.ndarray,
    mask: nl.ndarray,
    out: nl.ndarray,
    cfg: AttnTKGConfig,
    sbm: SbufManager,
    inv_freqs: nl.ndarray | None = None,
    rope_pos_ids: nl.ndarray | None = None,
    sink: nl.ndarray | None = None,
    active_blocks_table: nl.ndarray | None = None,
    k_out: nl.ndarray | None = None,
    DBG_TENSORS: tuple[Any, ...] | None = None,
) -> tuple[nl.ndarray, nl.ndarray | None]:
    """Fill ``out``, and ``k_out`` with ``fuse_rope``; both are returned. The module's text has all shapes.

    Args:
        q, out: any type; q, k_prior and v_prior are float32 together.
        k_active, v_active, k_prior, v_prior: all of them float8_e4m3 (taken as they are, without scales), or
            none; the former with qk_in_sb, without fuse_rope, and for a q that is not float32.
        cfg: sizes and options.
        sbm: SBUF manager with an open scope; all that is allocated is freed again.
        inv_freqs: HBM fp32 ``[d/2, 1]``, for fuse_rope.
        rope_pos_ids: HBM ``[B, s_a]``, positions of the new tokens for fuse_rope. With use_pos_id, prior
            tokens below ``rope_pos_ids[b, 0]`` are attended to.
        sink: HBM ``[H, 1]``, one more logit for each head that has no value.
        active_blocks_table: HBM uint32 ``[B, S/block_len]``, the blocks of each sequence. Blocks that the
            cache does not have count as zero.
        DBG_TENSORS: HBM tensors for intermediate results, see :mod:`.attention_tkg_debug`; four, five with
            blocks.

    Raises AssertionError for what is not allowed, and when not even one sequence fits into SBUF.
    """
    assert_object(cfg, AttnTKGConfig, "cfg")
    assert_object(sbm, SbufManager, "sbm")
    assert_classes(
        tensors=(
            (q, "q"), (k_active, "k_active"), (v_active, "v_active"), (k_prior, "k_prior"),
            (v_prior, "v_prior"), (mask, "mask"), (out, "out"),
        ),
        optional=(
            (inv_freqs, "inv_freqs"), (rope_pos_ids, "rope_pos_ids"), (sink, "sink"),
            (active_blocks_table, "active_blocks_table"), (k_out, "k_out"),
        ),
        flags=(
            (cfg.tp_k_prior, "tp_k_prior"), (cfg.strided_mm1, "strided_mm1"), (cfg.use_pos_id, "use_pos_id"),
            (cfg.fuse_rope, "fuse_rope"), (cfg.use_gpsimd_sb2sb, "use_gpsimd_sb2sb"),
            (cfg.qk_in_sb, "qk_in_sb"), (cfg.k_out_in_sb, "k_out_in_sb"), (cfg.out_in_sb, "out_in_sb"),
        ),
    )  # fmt: skip
    here = cores()
    check_call(
        q, k_active, v_active, k_prior, v_prior, cfg, here, rope_pos_ids, active_blocks_table, DBG_TENSORS
    )
    check_tensors(q, k_active, v_active, mask, cfg, inv_freqs, rope_pos_ids, sink)
    check_results(out, k_out, cfg)
    share = share_of(cfg, here, active_blocks_table)
    call = Call(
        cfg=cfg, share=share, sbm=sbm, v_active=v_active, k_prior=k_prior, v_prior=v_prior, mask=mask,
        out=out, debug=DBG_TENSORS,
    )  # fmt: skip
    check_debug_tensors(call)
    work = scratch(sbm, name="attention_tkg")
    prepare(call, q, k_active, k_out, inv_freqs, rope_pos_ids, sink, active_blocks_table, work)
    keep_pieces(call)
    attend(call)
    work.close()
    if cfg.out_in_sb and share.by_batch:
        gather(out, 1, here, gpsimd=cfg.use_gpsimd_sb2sb)
    return out, k_out
