"""Launches of the mixtures of experts, beside those of :mod:`kernel_cost_cases`.

Token generation: each expert has a token, so that all weights are needed once. Blocks of tokens: bounds have
the weights once and the multiply-adds of the tokens without padding.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from kernel_cost_cases import Array, Case, kind, made, named
from kernel_cost_subkernels import jitted

F32 = np.dtype(np.float32)


def words(*shape: int) -> Array:
    """MX elements, four values of 4 bits each, as NumPy has them."""
    return np.random.default_rng(len(shape)).integers(0, 1 << 16, shape).astype(np.uint16)


def fp4(raw: Array) -> Array:
    return raw.view(importlib.import_module("nki.language").float4_e2m1fn_x4.numpy)


def mx_weights(experts: int, hidden: int, inner: int) -> list[Array]:
    """Gate and up, down, their scales, their biases."""
    rows, tiles = min(128, inner // 4), -(-inner // 512)
    return [
        words(experts, 128, 2, hidden // 512, inner),
        words(experts, rows, tiles, hidden),
        np.full((experts, 16, 2, hidden // 512, inner), 120, np.uint8),
        np.full((experts, rows // 8, tiles, hidden), 120, np.uint8),
        made(experts, rows, 2, tiles, 4),
        made(experts, hidden),
    ]


def float_weights(experts: int, hidden: int, inner: int) -> list[Array]:
    return [made(experts, hidden, 2, inner), made(experts, inner, hidden)]


def moe_tkg(tokens: int, hidden: int, inner: int, experts: int, choices: int, mx: bool = False) -> Case:
    """``choices`` experts of each token; 0 is all of them."""

    def launch(cores: int, x: Array, affinities: Array, index: Array, rank: Array, *weights: Array) -> None:
        kernel = named("moe.moe_tkg.moe_tkg.moe_tkg")

        def body(x: Any, affinities: Any, index: Any, rank: Any, weights: Any) -> Any:
            return kernel(
                x, weights[0], weights[1], affinities, index, not choices, rank,
                expert_gate_up_weights_scale=weights[2] if mx else None,
                expert_down_weights_scale=weights[3] if mx else None,
                expert_gate_up_bias=weights[4] if mx else None,
                expert_down_bias=weights[5] if mx else None,
                expert_affinities_scaling_mode=kind("ExpertAffinityScaleMode", "POST_SCALE"),
            )  # fmt: skip

        given = [fp4(each) if each.dtype == np.uint16 else each for each in weights]
        jitted(body, "trn3" if mx else "")[cores](x, affinities, index, rank, given)

    weights = (mx_weights if mx else float_weights)(experts, hidden, inner)
    each = choices or experts
    index = np.arange(tokens * each, dtype=np.int32).reshape(tokens, each) % experts
    inputs = [made(tokens, hidden), made(tokens, experts, dtype=F32), index, np.zeros((1, 1), np.uint32)]
    how = f"{choices} selected" if choices else "all"
    form = " MX fp4" if mx else ""
    name = f"moe_tkg{form}, {how} of {experts} experts, t{tokens} h{hidden} i{inner}"
    macs = 3 * tokens * each * hidden * inner
    return Case(name, launch, [*inputs, *weights], tokens * hidden * 2, macs, (2,) if mx else (1, 2))


def maps(tokens: int, experts: int, choices: int, block: int) -> list[Array]:
    """Ids and experts of blocks, and affinities; padding is -1, and blocks are even in number."""
    draw = np.random.default_rng(0)
    picked = np.stack([draw.permutation(experts)[:choices] for _ in range(tokens)])
    ids, owners = [], []
    for expert in range(experts):
        own = np.flatnonzero((picked == expert).any(1))
        for start in range(0, len(own), block):
            part = own[start : start + block]
            ids.append(np.pad(part, (0, block - len(part)), constant_values=-1))
            owners.append(expert)
    while len(ids) % 2:
        ids.append(np.full(block, -1))
        owners.append(experts - 1)
    affinities = made(tokens * experts, 1, dtype=F32)
    return [np.concatenate(ids).astype(np.int32), np.array(owners, np.int32), affinities]


def blocks(
    path: str, tokens: int, hidden: int, inner: int, experts: int, choices: int, block: int, mx: bool = False
) -> Case:
    """A block-wise kernel; ``path`` is its module and name."""
    module, _, function = path.rpartition(".")

    def launch(cores: int, x: Array, ids: Array, owners: Array, affinities: Array, *weights: Array) -> None:
        home = importlib.import_module(f"nkilib.{module}")
        skip = named("moe.moe_cte.moe_cte_utils.SkipMode")(True, False)
        options: dict[str, Any] = {
            "expert_affinities_scaling_mode": kind("ExpertAffinityScaleMode", "POST_SCALE"),
            "skip_dma": skip,
            "block_size": block,
        }
        if mx:
            options.update(gate_up_proj_scale=weights[2], down_proj_scale=weights[3])
            options.update(gate_and_up_proj_bias=weights[4], down_proj_bias=weights[5])
        getattr(home, function)[cores](
            hidden_states=x,
            expert_affinities_masked=affinities,
            gate_up_proj_weight=weights[0],
            down_proj_weight=weights[1],
            token_position_to_id=ids,
            block_to_expert=owners,
            **options,
        )

    weights = (mx_weights if mx else float_weights)(experts, hidden, inner)
    name = f"{function}, s{tokens} h{hidden} i{inner}, {choices} of {experts} experts, blocks of {block}"
    inputs = [made(tokens, hidden), *maps(tokens, experts, choices, block), *weights]
    return Case(name, launch, inputs, tokens * hidden * 2, 3 * tokens * choices * hidden * inner, (2,))


def backward(tokens: int, hidden: int, inner: int, experts: int, choices: int, block: int) -> Case:
    def launch(cores: int, x: Array, dy: Array, *others: Array) -> None:
        home = importlib.import_module("nkilib.experimental.moe.bwd.blockwise_mm_backward")
        types = importlib.import_module("nkilib.experimental.moe.bwd.moe_bwd_parameters")
        ids, owners, affinities, gate_up, down, gates, results = others
        home.blockwise_mm_bwd[cores](
            x, affinities, gate_up, down, gates, results, ids, owners, dy, block,
            skip_dma=types.SkipMode(True, False),
        )  # fmt: skip

    found = maps(tokens, experts, choices, block)
    count = len(found[1])
    weights = float_weights(experts, hidden, inner)
    checkpoints = [made(count, 2, inner, block), made(count, block, hidden)]
    name = (
        f"blockwise_mm_bwd, s{tokens} h{hidden} i{inner}, {choices} of {experts} experts, blocks of {block}"
    )
    inputs = [made(tokens, hidden), made(tokens, hidden), *found, *weights, *checkpoints]
    out = tokens * hidden * 2 + found[2].nbytes + sum(each.nbytes for each in weights)
    return Case(name, launch, inputs, out, 6 * tokens * choices * hidden * inner, (2,))


CTE = "core.moe.moe_cte"
CASES = [
    moe_tkg(4, 3072, 384, 4, 0),
    moe_tkg(32, 3072, 384, 8, 0),
    moe_tkg(4, 3072, 384, 16, 4),
    moe_tkg(128, 3072, 3072, 1, 0, mx=True),
    moe_tkg(4, 3072, 384, 16, 4, mx=True),
    blocks(f"{CTE}.bwmm_shard_on_block.bwmm_shard_on_block", 1024, 3072, 384, 8, 4, 512),
    blocks(f"{CTE}.bwmm_shard_on_I.blockwise_mm_baseline_shard_intermediate", 1024, 3072, 1024, 8, 4, 512),
    blocks(f"{CTE}.bwmm_shard_on_block_mx.bwmm_shard_on_block_mx", 1024, 3072, 384, 8, 4, 256, mx=True),
    blocks(
        f"{CTE}.bwmm_shard_on_I_mx.blockwise_mm_shard_intermediate_mx", 1024, 3072, 1024, 8, 4, 256, mx=True
    ),
    blocks(
        "experimental.moe.forward.bwmm_shard_on_H.blockwise_mm_baseline_shard_hidden",
        1024, 3072, 336, 8, 4, 512,
    ),
    backward(1024, 2048, 384, 4, 2, 512),
]  # fmt: skip
