"""Launches whose cost is traced, and the least that any implementation must move and multiply.

``nkilib`` is imported when a case runs: it is this project's library or a checkout's, whichever the process
has. Values do not matter for the cost; masks and positions are such that all of the context is used.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
BF16, FP8, F32 = np.dtype(ml_dtypes.bfloat16), np.dtype(ml_dtypes.float8_e4m3), np.dtype(np.float32)


@dataclass(frozen=True)
class Case:
    """One kernel at one shape.

    Attributes:
        launch: runs it on a number of cores; takes the inputs. inputs: what it reads, each element once.
        out: bytes of its results. macs: multiply-adds of the mathematics. cores: to run it on.
    """

    name: str
    launch: Callable[..., Any]
    inputs: Sequence[Array]
    out: int
    macs: int
    cores: tuple[int, ...] = (1, 2)

    def run(self, cores: int) -> None:
        self.launch(cores, *self.inputs)

    def bound(self) -> dict[str, float]:
        return {"bytes": sum(array.nbytes for array in self.inputs) + self.out, "macs": self.macs}


def made(*shape: int, dtype: Any = BF16, scale: float = 0.02) -> Array:
    values = np.random.default_rng(sum(shape)).standard_normal(shape, dtype=np.float32)
    return (values * np.float32(scale)).astype(dtype)


def named(path: str) -> Any:
    """A name of the library in this process."""
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(f"nkilib.core.{module}"), name)


def kind(enum: str, member: str) -> Any:
    return getattr(named(f"utils.common_types.{enum}"), member)


def mlp(name: str, tokens: tuple[int, int], hidden: int, inner: int, norm: str = "NO_NORM") -> Case:
    batch, sequence = tokens
    count = batch * sequence
    gamma = [made(1, hidden)] if norm == "RMS_NORM" else []

    def launch(cores: int, x: Array, gate: Array, up: Array, down: Array, *gamma: Array) -> None:
        kernel = named("mlp.mlp.mlp")
        weights = gamma[0] if gamma else None
        kernel[cores](x, gate, up, down, weights, normalization_type=kind("NormType", norm))

    inputs = [made(batch, sequence, hidden), made(hidden, inner), made(hidden, inner), made(inner, hidden)]
    return Case(name, launch, [*inputs, *gamma], count * hidden * 2, 3 * count * hidden * inner)


def mlp_rows(tokens: int, hidden: int, inner: int) -> Case:
    """Context encoding from activations that are quantised by rows."""

    def launch(cores: int, x: Array, gate: Array, up: Array, down: Array, *scales: Array) -> None:
        gate_scale, up_scale, down_scale = (np.repeat(scale, 128, axis=0) for scale in scales)
        named("mlp.mlp.mlp")[cores](
            x, gate, up, down,
            quantization_type=kind("QuantizationType", "ROW"),
            gate_w_scale=gate_scale, up_w_scale=up_scale, down_w_scale=down_scale,
            output_dtype=importlib.import_module("nki.language").bfloat16,
        )  # fmt: skip

    x = made(1, tokens, hidden + 4, dtype=FP8, scale=1.0)
    x[..., hidden:] = np.full((1, tokens, 1), 0.01, F32).view(FP8)
    weights = [made(hidden, inner, dtype=FP8), made(hidden, inner, dtype=FP8), made(inner, hidden, dtype=FP8)]
    scales = [np.ones((1, size), F32) for size in (inner, inner, hidden)]
    name = f"mlp CTE row fp8, s{tokens} h{hidden} i{inner}"
    return Case(name, launch, [x, *weights, *scales], tokens * hidden * 2, 3 * tokens * hidden * inner)


def qkv(name: str, tokens: tuple[int, int], hidden: int, width: int, **options: Any) -> Case:
    batch, sequence = tokens
    extra = options.pop("arrays", {})

    def launch(cores: int, x: Array, weight: Array, gamma: Array, *others: Array) -> None:
        given = dict(zip(extra, others, strict=True))
        named("qkv.qkv.qkv")[cores](
            x,
            weight,
            gamma_norm_weights=gamma,
            fused_norm_type=kind("NormType", "RMS_NORM"),
            **given,
            **options,
        )

    count = batch * sequence
    inputs = [made(batch, sequence, hidden), made(hidden, width), made(1, hidden), *extra.values()]
    return Case(name, launch, inputs, count * width * 2, count * hidden * width)


def rotated(sequence: int, hidden: int, heads: int) -> Case:
    angles = made(1, sequence, 128, scale=1.0).astype(F32)
    return qkv(
        f"qkv CTE rmsnorm + rope, s{sequence} h{hidden} {heads} heads",
        (1, sequence),
        hidden,
        (heads + 2) * 128,
        arrays={"cos_cache": np.cos(angles).astype(BF16), "sin_cache": np.sin(angles).astype(BF16)},
        fused_rope=True,
        d_head=128,
        num_q_heads=heads,
        num_kv_heads=1,
    )


def projection_tkg(batch: int, heads: int, active: int, hidden: int, transposed: bool) -> Case:
    def launch(cores: int, attention: Array, weight: Array) -> None:
        kernel = named("output_projection.output_projection_tkg.output_projection_tkg")
        kernel[cores](attention, weight, None, TRANSPOSE_OUT=transposed)

    form = ", transposed" if transposed else ""
    name = f"output_projection_tkg{form}, b{batch} n{heads} s{active} d128 h{hidden}"
    inputs = [made(128, batch, heads, active), made(heads * 128, hidden)]
    count = batch * active
    return Case(name, launch, inputs, count * hidden * 2, count * heads * 128 * hidden)


def projection_cte(heads: int, sequence: int, hidden: int) -> Case:
    def launch(cores: int, attention: Array, weight: Array) -> None:
        module = "output_projection.output_projection_cte.output_projection_cte"
        importlib.import_module(f"nkilib.core.{module}")
        named(module)[cores](attention, weight)

    name = f"output_projection_cte, n{heads} d128 s{sequence} h{hidden}"
    inputs = [made(1, heads, 128, sequence), made(heads * 128, hidden)]
    return Case(name, launch, inputs, sequence * hidden * 2, sequence * heads * 128 * hidden)


def rmsnorm_quant(rows: int, hidden: int) -> Case:
    def launch(cores: int, x: Array, gamma: Array) -> None:
        module = "rmsnorm.rmsnorm_quant"
        kernel, options = named(f"{module}.rmsnorm_quant_kernel"), named(f"{module}.RmsNormQuantKernelArgs")
        kernel[cores](x, gamma, options())

    name = f"rmsnorm_quant row, {rows}×{hidden}"
    return Case(name, launch, [made(rows, hidden), made(1, hidden)], rows * (hidden + 4), 0)


def norm(which: str, tokens: int, hidden: int) -> Case:
    def launch(cores: int, x: Array, gamma: Array) -> None:
        import nki

        kernel, nl = named(f"subkernels.{which}.{which}"), importlib.import_module("nki.language")

        def body(x: Any, gamma: Any) -> Any:
            out = nl.ndarray((128, tokens, hidden // 128), dtype=x.dtype, buffer=nl.shared_hbm)
            return kernel(x, gamma, out)

        nki.jit(body)[cores](x, gamma)

    inputs = [made(tokens, 1, hidden), made(1, hidden)]
    return Case(f"{which}, b{tokens} h{hidden}", launch, inputs, tokens * hidden * 2, 0)


def attention_cte(
    name: str, batch: int, queries: int, head_dim: int, pairs: int, key_batch: int = 0, **options: Any
) -> Case:
    """``pairs``: of a query and a key it sees, for one batch row."""

    def launch(cores: int, q: Array, k: Array, v: Array) -> None:
        named("attention.attention_cte.attention_cte")[cores](q, k, v, **options)

    keys = key_batch or batch
    inputs = [
        made(batch, queries, head_dim, scale=1.0),
        made(keys, head_dim, queries, scale=1.0),
        made(keys, queries, head_dim),
    ]
    return Case(name, launch, inputs, batch * queries * head_dim * 2, 2 * batch * pairs * head_dim)


def attention_tkg(batch: int, heads: int, active: int, context: int, block: int = 0) -> Case:
    def launch(
        cores: int, q: Array, ka: Array, va: Array, kp: Array, vp: Array, mask: Array, *table: Array
    ) -> None:
        import nki

        nl, nisa = importlib.import_module("nki.language"), importlib.import_module("nki.isa")
        kernel, manager = named("attention.attention_tkg.attention_tkg"), named("utils.allocator.SbufManager")
        config = named("attention.attention_tkg_utils.AttnTKGConfig")(
            bs=batch, q_head=heads, s_active=active, curr_sprior=context, full_sprior=context, d_head=128,
            block_len=block, tp_k_prior=True, strided_mm1=not block, qk_in_sb=True,
        )  # fmt: skip

        def body(q: Any, ka: Any, va: Any, kp: Any, vp: Any, mask: Any, table: Any) -> Any:
            held = []
            for tensor in (q, ka):
                held.append(nl.ndarray(tensor.shape, dtype=tensor.dtype, buffer=nl.sbuf))
                nisa.dma_copy(dst=held[-1], src=tensor)
            out = nl.ndarray((batch, heads, 128, active), dtype=q.dtype, buffer=nl.shared_hbm)
            sbm = manager(0, nl.tile_size.total_available_sbuf_size, use_auto_alloc=True)
            sbm.open_scope()
            kernel(held[0], held[1], va, kp, vp, mask, out, config, sbm, active_blocks_table=table)
            sbm.close_scope()
            return out

        nki.jit(body)[cores](q, ka, va, kp, vp, mask, table[0] if table else None)

    width = batch * heads * active
    form = f", blocks of {block}" if block else ""
    cache = (batch * context // block, block, 128) if block else (batch, 1, context, 128)
    inputs = [
        made(128, width), made(128, batch * active), made(batch, 1, active, 128),
        made(*cache), made(*cache), np.ones((context, batch, heads, active), np.uint8),
    ]  # fmt: skip
    if block:
        inputs.append(np.arange(batch * context // block, dtype=np.uint32).reshape(batch, -1))
    name = f"attention_tkg{form}, b{batch} h{heads} s{active} context {context} d128"
    return Case(name, launch, inputs, width * 128 * 2, 2 * width * context * 128)


def attention_bwd(
    name: str, heads: tuple[int, int], length: int, head_dim: int, pairs: int, **options: Any
) -> Case:
    """``heads``: of queries, of keys. ``pairs``: of a query and a key it sees, for one head."""

    def launch(cores: int, *inputs: Array) -> None:
        named("attention.attention_bwd.attention_bwd")[cores](*inputs, mixed_precision=True, **options)

    q, k = (made(1, count, head_dim, length, scale=1.0) for count in heads)
    lse = np.full((1, heads[0], 128, length // 128), 8.0, F32)
    # scores, their gradients, dQ, dK and dV
    macs = 5 * heads[0] * pairs * head_dim
    return Case(name, launch, [q, k, k, q, q, lse], q.nbytes + 2 * k.nbytes, macs)


def attention_block(batch: int, heads: int, hidden: int, context: int) -> Case:
    """Norm, projections, rotation, attention and the caches' update, for one new token of each sequence."""
    depth, width = 128, (heads + 2) * 128

    def launch(cores: int, x: Array, gamma: Array, w_qkv: Array, *others: Array) -> None:
        cos, sin, keys, values, mask, starts, w_out = others
        module = importlib.import_module("nkilib.experimental.transformer.attention_block_tkg")
        none = kind("QuantizationType", "NONE")
        module.attention_block_tkg[cores](
            x, X_hidden_dim_actual=None, rmsnorm_X_enabled=True, rmsnorm_X_eps=1e-5, rmsnorm_X_gamma=gamma,
            W_qkv=w_qkv, bias_qkv=None, quantization_type_qkv=none, weight_dequant_scale_qkv=None,
            input_dequant_scale_qkv=None, rmsnorm_QK_pre_rope_enabled=False, rmsnorm_QK_pre_rope_eps=0.0,
            cos=cos, sin=sin, rope_contiguous_layout=True, rmsnorm_QK_post_rope_enabled=False,
            rmsnorm_QK_post_rope_eps=0.0, rmsnorm_QK_post_rope_W_Q=None, rmsnorm_QK_post_rope_W_K=None,
            K_cache_transposed=False, active_blocks_table=None, K_cache=keys, V_cache=values,
            attention_mask=mask, sink=None, update_cache=True, kv_cache_update_idx=starts, W_out=w_out,
            bias_out=None, quantization_type_out=none, weight_dequant_scale_out=None,
            input_dequant_scale_out=None, transposed_out=False, out_in_sb=False,
        )  # fmt: skip

    angles = made(depth // 2, batch, 1, scale=1.0)
    inputs = [
        made(batch, 1, hidden), made(1, hidden), made(hidden, width), angles, angles,
        made(batch, context, depth), made(batch, context, depth),
        np.ones((context, batch, heads, 1), np.uint8), np.zeros((batch, 1), np.uint32),
        made(heads * depth, hidden),
    ]  # fmt: skip
    macs = batch * (hidden * width + 2 * heads * context * depth + heads * depth * hidden)
    name = f"attention_block_tkg, b{batch} h{hidden} {heads} heads context {context} d128"
    return Case(name, launch, inputs, batch * (hidden + 2 * depth) * 2, macs)


def moe_block(
    name: str, tokens: int, hidden: int, inner: int, sizes: tuple[int, int, int], **options: Any
) -> Case:
    """``sizes``: experts of the router, experts here, experts of a token. Macs: of the experts that work."""
    experts, local, k = sizes

    def launch(cores: int, x: Array, gamma: Array, router: Array, gate_up: Array, down: Array) -> None:
        named("moe_block.moe_block_tkg.moe_block_tkg")[cores](
            x, gamma, router, gate_up, down, top_k=k,
            router_act_fn=kind("RouterActFnType", "SOFTMAX"), norm_topk_prob=True,
            expert_affinities_scaling_mode=kind("ExpertAffinityScaleMode", "POST_SCALE"),
            rank_id=np.zeros((1, 1), np.uint32), **options,
        )  # fmt: skip

    # Selected weights are read once for each token that selects them, all experts' once.
    everyone = options.get("is_all_expert", False)
    read = local if everyone else min(local, tokens * k)
    macs = tokens * hidden * (experts + 3 * inner * (local if everyone else k))
    inputs = [
        made(tokens, 1, hidden), made(1, hidden), made(hidden, experts),
        made(local, hidden, 2, inner), made(local, inner, hidden),
    ]  # fmt: skip
    unread = (local - read) * 3 * hidden * inner * 2
    return Case(name, launch, inputs, tokens * (hidden + experts) * 2 - unread, macs, (2,))


CASES = [
    mlp("mlp TKG rmsnorm, b4 h8192 i1024", (4, 1), 8192, 1024, "RMS_NORM"),
    mlp("mlp TKG, b4 s4 h4096 i3584", (4, 4), 4096, 3584),
    mlp("mlp CTE, s2048 h2048 i1024", (1, 2048), 2048, 1024),
    mlp("mlp CTE rmsnorm, s578 h2048 i1408", (1, 578), 2048, 1408, "RMS_NORM"),
    mlp_rows(256, 8192, 896),
    qkv("qkv TKG rmsnorm, b4 h8192 i1280", (4, 1), 8192, 1280),
    qkv("qkv CTE rmsnorm, s2048 h4096 i768", (1, 2048), 4096, 768),
    rotated(1024, 4096, 4),
    projection_tkg(4, 16, 4, 8192, transposed=False),
    projection_tkg(4, 8, 4, 8192, transposed=True),
    projection_cte(8, 2048, 4096),
    projection_cte(1, 1024, 8192),
    rmsnorm_quant(2048, 4096),
    norm("rmsnorm_tkg", 128, 8192),
    norm("layernorm_tkg", 128, 8192),
    attention_cte("attention_cte causal, s2048 d128", 1, 2048, 128, 2048 * 2049 // 2),
    attention_cte("attention_cte, 2 rows of 577, d88", 2, 577, 88, 577 * 577, causal_mask=False),
    attention_cte("attention_cte causal, 8 heads on 1, s1024 d64", 8, 1024, 64, 1024 * 1025 // 2, 1),
    attention_cte(
        "attention_cte window 128, s4096 d128", 1, 4096, 128, 4096 * 128 - 128 * 127 // 2, sliding_window=128
    ),
    attention_bwd(
        "attention_bwd causal, 8 heads on 2, s2048 d128", (8, 2), 2048, 128, 2048 * 2049 // 2,
        use_causal_mask=True,
    ),
    attention_bwd("attention_bwd, 2 heads, s1024 d64", (2, 2), 1024, 64, 1024 * 1024),
    attention_bwd(
        "attention_bwd window 128, 2 heads, s4096 d64", (2, 2), 4096, 64, 4096 * 128 - 128 * 127 // 2,
        use_causal_mask=True, sliding_window=128,
    ),
    attention_tkg(4, 8, 1, 2048),
    attention_tkg(4, 1, 5, 10240),
    attention_tkg(4, 8, 1, 2048, block=16),
    attention_block(4, 8, 4096, 2048),
    moe_block(
        "moe_block_tkg all experts, b32 h3072 i384 4 of 64", 32, 3072, 384, (64, 4, 4), is_all_expert=True
    ),
    moe_block("moe_block_tkg selective, b4 h3072 i384 4 of 16", 4, 3072, 384, (16, 16, 4)),
]  # fmt: skip
