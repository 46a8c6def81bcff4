"""More shapes of the kernels of the other lists: few tokens, odd sizes, small layers, one core."""

from __future__ import annotations

import kernel_cost_cases as main
import kernel_cost_moe as moe
import kernel_cost_others as others
import kernel_cost_subkernels as inner

CTE = moe.CTE
SHARD_ON_H = "experimental.moe.forward.bwmm_shard_on_H.blockwise_mm_baseline_shard_hidden"
MAIN = [
    main.mlp("mlp TKG, b1 h2048 i1408", (1, 1), 2048, 1408),
    main.mlp("mlp TKG rmsnorm, b3 s5 h1024 i768", (3, 5), 1024, 768, "RMS_NORM"),
    main.mlp("mlp TKG, b8 s8 h4096 i896", (8, 8), 4096, 896),
    main.mlp("mlp TKG, b128 h2048 i1024", (128, 1), 2048, 1024),
    main.mlp("mlp CTE, s128 h1024 i512", (1, 128), 1024, 512),
    main.mlp("mlp CTE, s300 h4096 i448", (1, 300), 4096, 448),
    main.mlp("mlp CTE rmsnorm, b2 s1000 h1024 i1408", (2, 1000), 1024, 1408, "RMS_NORM"),
    main.mlp_rows(1024, 2048, 512),
    main.mlp_rows(300, 4096, 1408),
    main.qkv("qkv TKG rmsnorm, b1 h2048 i768", (1, 1), 2048, 768),
    main.qkv("qkv TKG rmsnorm, b8 s8 h4096 i1536", (8, 8), 4096, 1536),
    main.qkv("qkv TKG rmsnorm, b3 s5 h1024 i640", (3, 5), 1024, 640),
    main.qkv("qkv CTE rmsnorm, s128 h1024 i640", (1, 128), 1024, 640),
    main.qkv("qkv CTE rmsnorm, s300 h2048 i1280", (1, 300), 2048, 1280),
    main.qkv("qkv CTE rmsnorm, b2 s577 h4096 i384", (2, 577), 4096, 384),
    main.rotated(300, 2048, 8),
    main.rotated(2048, 1024, 1),
    main.projection_tkg(1, 4, 1, 2048, transposed=False),
    main.projection_tkg(3, 5, 5, 1024, transposed=False),
    main.projection_tkg(1, 4, 1, 2048, transposed=True),
    main.projection_tkg(8, 16, 8, 4096, transposed=True),
    main.projection_cte(3, 300, 1024),
    main.projection_cte(16, 512, 2048),
    main.rmsnorm_quant(128, 2048),
    main.rmsnorm_quant(300, 1024),
    main.norm("rmsnorm_tkg", 1, 4096),
    main.norm("rmsnorm_tkg", 15, 2048),
    main.norm("layernorm_tkg", 1, 4096),
    main.norm("layernorm_tkg", 15, 2048),
    main.attention_cte("attention_cte causal, s300 d64", 1, 300, 64, 300 * 301 // 2),
    main.attention_cte("attention_cte, 4 rows of 128, d128", 4, 128, 128, 128 * 128, causal_mask=False),
    main.attention_cte("attention_cte causal, 3 rows of 512, d128", 3, 512, 128, 512 * 513 // 2),
    main.attention_cte("attention_cte causal, s4096 d128", 1, 4096, 128, 4096 * 4097 // 2),
    main.attention_bwd("attention_bwd, 1 head, s512 d128", (1, 1), 512, 128, 512 * 512),
    main.attention_bwd(
        "attention_bwd causal, 4 heads on 1, s512 d64", (4, 1), 512, 64, 512 * 513 // 2, use_causal_mask=True
    ),
    main.attention_tkg(1, 4, 1, 512),
    main.attention_tkg(8, 2, 3, 4096),
    main.attention_tkg(1, 8, 7, 8192),
    main.attention_tkg(2, 4, 1, 1024, block=32),
    main.attention_tkg(1, 8, 5, 8192, block=16),
    main.attention_block(1, 4, 2048, 1024),
    main.attention_block(16, 8, 1024, 512),
    main.moe_block("moe_block_tkg selective, b1 h1024 i384 2 of 8", 1, 1024, 384, (8, 8, 2)),
    main.moe_block(
        "moe_block_tkg all experts, b128 h1024 i512 4 of 8", 128, 1024, 512, (8, 8, 4), is_all_expert=True
    ),
]  # fmt: skip
INNER = [
    inner.rmsnorm_mx(4, 1, 3072),
    inner.rmsnorm_mx(64, 5, 1024, residual=True),
    inner.gen_mask(1, 8, 1, 512),
    inner.gen_mask(8, 1, 4, 8192),
    inner.gen_mask(2, 4, 1, 4096, block=32),
    inner.indexed_flatten(4, 1024, 64),
]
MOE = [
    moe.moe_tkg(1, 1024, 512, 4, 0),
    moe.moe_tkg(128, 2048, 384, 2, 0),
    moe.moe_tkg(1, 2048, 384, 8, 2),
    moe.moe_tkg(3, 1024, 768, 8, 2),
    moe.moe_tkg(32, 3072, 1024, 4, 0, mx=True),
    moe.blocks(f"{CTE}.bwmm_shard_on_block.bwmm_shard_on_block", 512, 2048, 768, 4, 2, 256),
    moe.blocks(f"{CTE}.bwmm_shard_on_block.bwmm_shard_on_block", 2048, 1024, 512, 4, 1, 1024),
    moe.blocks(f"{CTE}.bwmm_shard_on_I.blockwise_mm_baseline_shard_intermediate", 512, 2048, 512, 4, 1, 256),
    moe.blocks(
        f"{CTE}.bwmm_shard_on_I_mx.blockwise_mm_shard_intermediate_mx", 512, 2048, 2048, 4, 2, 256, mx=True
    ),
    moe.blocks(SHARD_ON_H, 512, 2048, 512, 4, 2, 256),
    moe.backward(512, 1024, 512, 4, 1, 256),
]
OTHERS = [
    others.rope(4, 4, 2),
    others.rope(1, 1, 300),
    others.rope(2, 5, 8, contiguous=False),
    others.rope_hf(8, 2, 256),
    others.rope_hf(4, 4, 768),
    others.router(1, 1024, 8, 2),
    others.router(300, 2048, 64, 8),
    others.router(32, 4096, 256, 8),
    others.topk(1, 4096, 64),
    others.topk(64, 8192, 32),
    others.cascaded_max(1, 4096),
    others.cascaded_max(128, 16384),
    others.cumsum(100, 3000),
    others.cumsum(256, 128),
    others.nonzero(1024, 8),
    others.cross_entropy(128, 5000, backward=False),
    others.cross_entropy(128, 5000, backward=True),
    others.convolution(128, 2048, 4),
    others.convolution(300, 200, 7),
]
CASES = [*MAIN, *INNER, *MOE, *OTHERS]
