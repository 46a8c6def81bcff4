"""Calls of attention_block_tkg for tests: inputs, the launch, and what is expected of it."""

from __future__ import annotations

from typing import Any

import nki.language as nl
import numpy as np
from blockcheck import in_sbuf, per_core
from kernels import cast, launch, normal
from npref_attn import (
    attention_block_ref,
    batch_sharded,
    block_mask_row_tokens,
    reduced_block_len,
    sprior_sharded,
    to_transposed_out,
    x_to_sbuf,
)

from nkilib.core.utils.common_types import QuantizationType
from nkilib.experimental.transformer.attention_block_tkg import attention_block_tkg

NONE, STATIC = QuantizationType.NONE, QuantizationType.STATIC
PLAIN: dict[str, Any] = {
    "X_hidden_dim_actual": None, "rmsnorm_X_enabled": False, "rmsnorm_X_eps": None, "rmsnorm_X_gamma": None,
    "bias_qkv": None, "quantization_type_qkv": NONE, "weight_dequant_scale_qkv": None,
    "input_dequant_scale_qkv": None, "rmsnorm_QK_pre_rope_enabled": False, "rmsnorm_QK_pre_rope_eps": 1e-3,
    "cos": None, "sin": None, "rope_contiguous_layout": True, "rmsnorm_QK_post_rope_enabled": False,
    "rmsnorm_QK_post_rope_eps": 1e-3, "rmsnorm_QK_post_rope_W_Q": None, "rmsnorm_QK_post_rope_W_K": None,
    "K_cache_transposed": False, "active_blocks_table": None, "sink": None, "update_cache": False,
    "kv_cache_update_idx": None, "W_out": None, "bias_out": None, "quantization_type_out": NONE,
    "weight_dequant_scale_out": None, "input_dequant_scale_out": None, "transposed_out": False,
    "out_in_sb": False,
}  # fmt: skip
"""Nothing but projection and attention."""


def body(x: Any, options: dict[str, Any], sbuf: bool) -> Any:
    """The kernel with X in SBUF on request, and each core's part of a result that stays in SBUF."""
    if sbuf:
        x = in_sbuf(x)
    out, keys, values = attention_block_tkg(x, **options)
    return per_core(out) if out.buffer == nl.sbuf else out, keys, values


class Block:
    """A call in bfloat16; attributes are the arguments, to be changed before :meth:`run`.

    ``positions`` are the tokens that each sequence has; ``block`` the length of the cache's blocks, or 0.
    """

    def __init__(
        self,
        batch: int,
        heads: int,
        depth: int,
        hidden: int,
        context: int,
        sequence: int = 1,
        *,
        cache: int = 0,
        block: int = 0,
        lnc: int = 2,
        in_sbuf: bool = False,
        dtype: str = "bfloat16",
        **options: Any,
    ) -> None:
        self.batch, self.heads, self.depth, self.sequence, self.lnc = batch, heads, depth, sequence, lnc
        self.context, self.cache, self.block, self.in_sbuf = context, cache or context, block, in_sbuf
        self.dtype = dtype
        self.x = normal((batch, sequence, hidden), dtype, 0)
        self.options = {**PLAIN, **options}
        width = (heads + 2) * depth
        self.options["W_qkv"] = normal((hidden, width), dtype, 1, hidden**-0.5)
        self.positions = (3 * np.arange(batch) + 3 * (context // 4)) % (context - sequence)
        self._make_caches()
        self.options["attention_mask"] = self._mask()

    def _make_caches(self) -> None:
        count = self.batch * self.context // self.block if self.block else self.batch
        length = self.block or self.cache
        keys, values = (normal((count, length, self.depth), self.dtype, seed) for seed in (2, 3))
        if self.options["K_cache_transposed"]:
            keys = keys.swapaxes(1, 2).copy()
        self.options |= {"K_cache": keys, "V_cache": values}
        if self.block:
            table = np.random.default_rng(4).permutation(count).astype(np.uint32).reshape(self.batch, -1)
            self.options["active_blocks_table"] = table

    def piece(self) -> int:
        """The length of the pieces of blocks."""
        sizes = (self.batch, self.heads, self.sequence, self.context)
        shared = self.lnc == 2 and (batch_sharded(*sizes) or sprior_sharded(*sizes))
        table = self.options["active_blocks_table"]
        return int(reduced_block_len(table.shape[1], self.block, 2 if shared else 1)[0])

    def _mask(self) -> Any:
        """Earlier tokens, and new ones up to the query's own."""
        keys = np.arange(self.context)[:, None, None, None]
        start = self.context - self.sequence
        before = keys < self.positions[None, :, None, None]
        new = (keys >= start) & (keys - start <= np.arange(self.sequence))
        mask = np.broadcast_to(
            np.where(keys < start, before, new), (self.context, self.batch, self.heads, self.sequence)
        ).astype(np.uint8)
        return mask[block_mask_row_tokens(self.context, self.piece())] if self.block else mask.copy()

    def slots(self) -> Any:
        """Where new tokens go: at their positions; in blocks counted over all of them."""
        found = self.positions.copy()
        if self.block:
            table = self.options["active_blocks_table"]
            blocks, rest = found // self.block, found % self.block
            found = table[np.arange(self.batch), blocks] * self.block + rest
        return found.astype(np.uint32).reshape(-1, 1)

    def given(self, **more: Any) -> Block:
        """With further arguments by the names of the kernel."""
        self.options |= more
        return self

    def add_norm(self, actual: int | None = None) -> Block:
        hidden = self.x.shape[2]
        if actual:
            self.x[..., actual:] = 0
        return self.given(
            rmsnorm_X_enabled=True, rmsnorm_X_eps=1e-3, rmsnorm_X_gamma=normal((1, hidden), self.dtype, 5),
            X_hidden_dim_actual=actual,
        )  # fmt: skip

    def add_rotation(self, contiguous: bool = True) -> Block:
        angles = np.random.default_rng(6).uniform(-np.pi, np.pi, (self.depth // 2, self.batch, self.sequence))
        return self.given(
            cos=cast(np.cos(angles), self.dtype), sin=cast(np.sin(angles), self.dtype),
            rope_contiguous_layout=contiguous,
        )  # fmt: skip

    def add_projection(self, bias: bool = False) -> Block:
        rows, hidden = self.heads * self.depth, self.x.shape[2]
        self.options["W_out"] = normal((rows, hidden), self.dtype, 7, rows**-0.5)
        if bias:
            self.options["bias_out"] = normal((1, hidden), self.dtype, 8)
        return self

    def add_update(self) -> Block:
        return self.given(update_cache=True, kv_cache_update_idx=self.slots())

    def run(self, **launched: Any) -> Any:
        """(out, keys, values), with copies of the caches."""
        options = dict(self.options)
        for name in ("K_cache", "V_cache"):
            options[name] = options[name].copy()
        x = self.x
        if self.in_sbuf:
            x = x_to_sbuf(x.reshape(-1, x.shape[2]), max(1, self.lnc))
        return launch(body, x, options, self.in_sbuf, lnc=self.lnc, **launched)

    def expected(self) -> Any:
        """What the reference says, in the layout of the result."""
        o = self.options
        scales, both = (
            o["weight_dequant_scale_qkv"],
            o.get("k_scale") is not None and o.get("v_scale") is not None,
        )
        caches = [np.asarray(o[name]) for name in ("K_cache", "V_cache")]
        ranks = [cache.shape for cache in caches]
        squeezed = [cache.squeeze(2 if self.block else 1) if cache.ndim == 4 else cache for cache in caches]
        out, keys, values = attention_block_ref(
            self.x, o["W_qkv"], *squeezed, o["attention_mask"], qh=self.heads, d=self.depth,
            hidden_actual=o["X_hidden_dim_actual"], gamma=o["rmsnorm_X_gamma"], rms_X=o["rmsnorm_X_enabled"],
            eps_X=o["rmsnorm_X_eps"] or 1e-3, bias_qkv=o["bias_qkv"],
            qkv_w_scale=None if scales is None else scales[0], qkv_in_scale=_number(o["input_dequant_scale_qkv"]),
            pre_eps=o["rmsnorm_QK_pre_rope_eps"] if o["rmsnorm_QK_pre_rope_enabled"] else None,
            cos=o["cos"], sin=o["sin"], contiguous=o["rope_contiguous_layout"],
            post_eps=o["rmsnorm_QK_post_rope_eps"] if o["rmsnorm_QK_post_rope_enabled"] else None,
            W_Q=_floats(o["rmsnorm_QK_post_rope_W_Q"]), W_K=_floats(o["rmsnorm_QK_post_rope_W_K"]),
            K_cache_transposed=o["K_cache_transposed"], table=o["active_blocks_table"],
            eff_block_len=self.piece() if self.block else None, sink=o["sink"], softmax_scale=o.get("softmax_scale"),
            update_idx=o["kv_cache_update_idx"] if o["update_cache"] else None,
            k_scale=_number(o["k_scale"]) if both else None, v_scale=_number(o["v_scale"]) if both else None,
            W_out=o["W_out"], bias_out=o["bias_out"], out_w_scale=_number(o["weight_dequant_scale_out"]),
            out_in_scale=_number(o["input_dequant_scale_out"]), skip_attention=o.get("skip_attention", False),
        )  # fmt: skip
        if o["update_cache"]:
            keys, values = (np.reshape(made, rank) for made, rank in zip((keys, values), ranks, strict=True))
        return self._arranged(out), keys, values

    def _arranged(self, out: Any) -> Any:
        """The reference's result as the kernel leaves it; what stays in SBUF with the cores in front."""
        o, cores = self.options, max(1, self.lnc)
        if o["W_out"] is None:
            flat = out.transpose(2, 0, 1, 3).reshape(self.depth, -1)
            if o["out_in_sb"]:
                return np.stack([flat] * cores)
            return flat if o.get("skip_attention") else out
        if o["transposed_out"]:
            turned = to_transposed_out(out, cores)
            return turned.swapaxes(0, 1) if o["out_in_sb"] else turned
        if o["out_in_sb"]:
            return out.reshape(out.shape[0], cores, -1).swapaxes(0, 1)
        return out


def _number(scale: Any) -> float | None:
    """The one value of a scale."""
    return None if scale is None else float(np.asarray(scale, np.float32).reshape(-1)[0])


def _floats(values: Any) -> Any:
    return None if values is None else np.asarray(values, np.float64)
