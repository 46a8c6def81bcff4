"""Calls of attention_tkg for tests: inputs, the kernel around it, and what is expected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import nki.isa as nisa
import nki.language as nl
import numpy as np
from blockcheck import per_core, possible
from kernels import cast, launch
from npref_attn import (
    attention_tkg_ref,
    batch_sharded,
    block_mask_row_tokens,
    reduced_block_len,
    sprior_sharded,
)

from nkilib.core.attention.attention_tkg import AttnTKGConfig, attention_tkg
from nkilib.core.utils.allocator import SbufManager, create_auto_alloc_manager
from nkilib.core.utils.logging import LogLevel, get_logger
from nkisim.core.dtypes import dtype_of

Arrays = Mapping[str, Any]
QUIET = get_logger("SBM", LogLevel.ERROR)


def output(shape: tuple[int, ...], dtype: Any, on_chip: bool) -> Any:
    return nl.ndarray(shape, dtype=dtype, buffer=nl.sbuf if on_chip else nl.shared_hbm)


def kernel(arrays: dict[str, Any], cfg: AttnTKGConfig, out_dtype: Any, bytes_of_sbuf: int, debug: Any) -> Any:
    """Returns [out, k_out?, debug…]; what is left in SBUF with the cores in front.

    ``bytes_of_sbuf`` is the room of a manager with fixed addresses; 0 for one that leaves them to the compiler.
    """
    sbm = create_auto_alloc_manager(QUIET)
    if bytes_of_sbuf:
        sbm = SbufManager(0, bytes_of_sbuf, QUIET)
    sbm.open_scope()
    given = dict(arrays)
    if cfg.qk_in_sb:
        for name in ("q", "k_active"):
            tile = sbm.alloc_stack(possible(given[name].shape), given[name].dtype)
            nisa.dma_copy(dst=tile, src=given[name])
            given[name] = tile
    queries = cfg.bs * cfg.q_head * cfg.s_active
    if cfg.out_in_sb:
        out = sbm.alloc_stack((cfg.d_head, queries), out_dtype)
    else:
        out = nl.ndarray(
            (cfg.bs, cfg.q_head, cfg.d_head, cfg.s_active), dtype=out_dtype, buffer=nl.shared_hbm
        )
    k_out = None
    if cfg.fuse_rope and cfg.k_out_in_sb:
        k_out = sbm.alloc_stack((cfg.d_head, cfg.bs * cfg.s_active), out_dtype)
    elif cfg.fuse_rope:
        k_out = nl.ndarray((cfg.bs, 1, cfg.d_head, cfg.s_active), dtype=out_dtype, buffer=nl.shared_hbm)
    tensors = None
    if debug is not None:
        tensors = tuple([nl.ndarray(shape, dtype=dtype, buffer=nl.shared_hbm) for shape, dtype in debug])
    got, got_keys = attention_tkg(cfg=cfg, sbm=sbm, out=out, k_out=k_out, DBG_TENSORS=tensors, **given)
    assert got is out
    assert got_keys is k_out
    results = []
    for tensor in (out, k_out):
        if tensor is not None:
            results.append(tensor if tensor.buffer != nl.sbuf else per_core(tensor))
    sbm.close_scope()
    return results + list(tensors or ())


class Case:
    """Inputs of one call, uniform in [0, 1) unless ``spread``, in the call's layouts.

    ``cores`` is the launch that a pre-generated mask of blocks is for.
    """

    def __init__(
        self,
        B: int,
        H: int,
        s_a: int,
        S: int,
        d: int,
        *,
        full: int = 0,
        lnc: int = 1,
        dtype: str = "bfloat16",
        kv: str = "",
        out: str = "",
        sink: str = "",
        spread: float = 1.0,
        seed: int = 0,
        more: int = 0,
        positions: Any = None,
        block_len: int = 0,
        **options: Any,
    ) -> None:
        self.sizes = {"B": B, "H": H, "s_a": s_a, "S": S, "d": d}
        self.lnc, self.out = lnc, out or dtype
        full = full or S
        options = {"strided_mm1": not block_len, **options}
        self.cfg = AttnTKGConfig(
            bs=B, q_head=H, s_active=s_a, curr_sprior=S, full_sprior=full, d_head=d, block_len=block_len, **options
        )  # fmt: skip
        cfg, kv = self.cfg, kv or dtype
        random = np.random.default_rng(seed)

        def values(*shape: int, dtype: str = kv, amount: float = spread) -> Any:
            return cast(random.uniform(size=shape) * amount, dtype)

        self.positions = positions if positions is not None else (3 * np.arange(B) + 3 * (S // 4)) % (S - s_a)
        q, new = values(B, H, s_a, d, dtype=dtype), values(B, 1, s_a, d)
        cache = (B + more, 1, full, d)
        self.arrays: dict[str, Any] = {
            "q": columns(q) if cfg.qk_in_sb else q,
            "k_active": columns(new) if cfg.qk_in_sb else new,
            "v_active": values(B, 1, s_a, d),
        }
        if block_len:
            count = B * S // block_len
            self.arrays["k_prior"], self.arrays["v_prior"] = (values(count, block_len, d) for _ in range(2))
            self.arrays["active_blocks_table"] = random.permutation(count).astype(np.uint32).reshape(B, -1)
        else:
            keys = values(*cache)
            self.arrays["k_prior"] = keys if cfg.tp_k_prior else keys.swapaxes(2, 3).copy()
            self.arrays["v_prior"] = values(*cache)
        self.arrays["mask"] = self.mask()
        if cfg.fuse_rope:
            self.arrays["inv_freqs"] = random.uniform(size=(d // 2, 1)).astype(np.float32)
        if cfg.fuse_rope or cfg.use_pos_id:
            self.arrays["rope_pos_ids"] = np.repeat(self.positions[:, None], s_a, 1).astype(np.float32)
        if sink:
            self.arrays["sink"] = cast(random.uniform(size=(H, 1)) * spread + np.arange(H)[:, None] / 2, sink)

    @property
    def piece(self) -> int:
        """Effective length of blocks."""
        cfg, sizes = self.cfg, {name: self.sizes[name] for name in ("B", "H", "s_a", "S")}
        shared = self.lnc == 2 and (batch_sharded(**sizes) or sprior_sharded(**sizes))
        return reduced_block_len(cfg.curr_sprior // cfg.block_len, cfg.block_len, 2 if shared else 1)[0]

    def mask(self) -> Any:
        """Prior tokens below each position, and those new ones that are not after the query."""
        cfg = self.cfg
        new = np.tril(np.ones((cfg.s_active, cfg.s_active), np.uint8)).T[:, None, None, :]
        new = np.broadcast_to(new, (cfg.s_active, cfg.bs, cfg.q_head, cfg.s_active)).copy()
        if cfg.use_pos_id:
            return new
        prior = np.arange(cfg.curr_sprior)[:, None, None, None] < self.positions[None, :, None, None]
        mask = np.broadcast_to(prior, (cfg.curr_sprior, *new.shape[1:])).astype(np.uint8)
        mask[-cfg.s_active :] = new
        return mask[block_mask_row_tokens(cfg.curr_sprior, self.piece)] if cfg.block_len else mask

    def run(self, lnc: int | None = None, bytes_of_sbuf: int = 0, debug: Any = None, **changes: Any) -> Any:
        """[out, k_out?, debug…]."""
        arrays = {**self.arrays, **changes}
        lnc = self.lnc if lnc is None else lnc
        return launch(kernel, arrays, self.cfg, dtype_of(self.out), bytes_of_sbuf, debug, lnc=lnc)

    def expected(self, details: bool = False, **changes: Any) -> Any:
        cfg, arrays = self.cfg, {**self.arrays, **changes}
        names = ("tp_k_prior", "use_pos_id", "fuse_rope", "qk_in_sb", "out_in_sb", "k_out_in_sb")
        table = arrays.pop("active_blocks_table", None)
        return attention_tkg_ref(
            **arrays,
            **self.sizes,
            **{name: getattr(cfg, name) for name in names},
            table=table,
            eff_block_len=self.piece if table is not None else None,
            details=details,
        )


def columns(values: Any) -> Any:
    """``[B, heads, s_a, d]`` as ``[d, B·heads·s_a]``."""
    return values.reshape(-1, values.shape[-1]).T.copy()
