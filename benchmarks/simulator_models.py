"""Layers of models at their real sizes, with the kernels of this library beside plain NumPy.

``simulator_models.py [--only TEXT] [--seconds N]`` prints a Markdown table. The layer is Llama 3 8B's: hidden
4096, 32 heads of queries and 8 of keys and values, of 128 each, and 14336 inside the MLP; the mixture of 8
experts, 2 of a token, has an eighth of Mixtral 8x7B's 14336 in each expert, one device of eight. Context
encoding has 2,048 tokens, token generation a batch of 4. The NumPy side is written as in
:mod:`simulator_kernels`.

Memory is measured in a process of its own: the largest sum of what is allocated while a kernel runs, inputs
included, beside the bytes of the inputs and the results.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
from simulator import cells, conclude, machine, measured, table, verdict
from simulator_kernels import BF16, F32, Array, Case, named, random, rms_normalised, silu

HIDDEN, INNER, EXPERT, HEADS, PAIRS, DEPTH = 4096, 14336, 1792, 32, 8, 128
"""Sizes of the layer; PAIRS: heads of keys and values."""
TOKENS, BATCH, EXPERTS, CHOSEN = 2048, 4, 8, 2
MEMORY_TARGET = 3.0
ROUNDS = 3
"""Runs of each, at least: the largest take ten seconds."""


def mlp(batch: int, length: int, mode: str) -> Case:
    x, gamma = random(batch, length, HIDDEN), random(1, HIDDEN)
    gate, up = (random(HIDDEN, INNER + n, scale=HIDDEN**-0.5)[:, n:].copy() for n in (0, 1))
    down = random(INNER, HIDDEN, scale=INNER**-0.5)
    kernel, norm = named("mlp.mlp.mlp"), named("utils.common_types.NormType").RMS_NORM

    def reference(x: Array, gamma: Array, gate: Array, up: Array, down: Array) -> Array:
        rows = rms_normalised(x.reshape(-1, HIDDEN), gamma)
        middle = silu(rows @ gate)
        middle *= rows @ up
        return (middle @ down).reshape(x.shape)

    return Case(
        f"{mode} MLP with RMSNorm",
        (2,),
        lambda n: lambda: kernel[n](x, gate, up, down, gamma, normalization_type=norm),
        (x, gamma, gate, up, down),
        reference,
        result=lambda found: found[0].astype(F32),
    )


def qkv(batch: int, length: int, mode: str, launches: tuple[int, ...] = (HEADS + 2 * PAIRS,)) -> Case:
    """``launches``: heads of each; a launch of context encoding takes at most 4096 columns."""
    x, gamma = random(batch, length, HIDDEN), random(1, HIDDEN)
    weights = [random(HIDDEN, heads * DEPTH, scale=HIDDEN**-0.5) for heads in launches]
    kernel, norm = named("qkv.qkv.qkv"), named("utils.common_types.NormType").RMS_NORM

    def launched(cores: int) -> list[Any]:
        return [
            kernel[cores](x, weight, fused_norm_type=norm, gamma_norm_weights=gamma) for weight in weights
        ]

    def reference(x: Array, gamma: Array, *weights: Array) -> Array:
        rows = rms_normalised(x.reshape(-1, HIDDEN), gamma)
        result = np.empty((len(rows), sum(launches) * DEPTH), F32)
        start = 0
        for weight in weights:
            end = start + weight.shape[1]
            np.matmul(rows, weight, out=result[:, start:end])
            start = end
        return result.reshape(batch, length, -1)

    return Case(
        f"{mode} QKV with RMSNorm" + (", two launches" if len(launches) == 2 else ""),
        (2,),
        lambda n: lambda: launched(n),
        (x, gamma, *weights),
        reference,
        result=lambda found: np.concatenate(found, axis=-1).astype(F32),
    )


def attention_cte() -> Case:
    kernel = named("attention.attention_cte.attention_cte")
    q, k = random(HEADS, TOKENS, DEPTH), random(PAIRS, DEPTH, TOKENS)
    v = random(PAIRS, TOKENS + 1, DEPTH)[:, 1:].copy()
    scale = DEPTH**-0.5

    def reference(q: Array, k: Array, v: Array) -> Array:
        result = np.empty_like(q)
        hidden = np.triu(np.ones((TOKENS, TOKENS), np.bool_), 1)
        for head in range(HEADS):
            pair = head * PAIRS // HEADS
            scores = q[head] @ k[pair]
            scores *= np.float32(scale)
            np.copyto(scores, -np.inf, where=hidden)
            scores -= scores.max(axis=1, keepdims=True)
            np.exp(scores, out=scores)
            np.matmul(scores, v[pair], out=result[head])
            result[head] /= scores.sum(axis=1, keepdims=True)
        return result

    return Case(
        "CTE attention, causal", (2,), lambda n: lambda: kernel[n](q, k, v, scale=scale), (q, k, v), reference
    )


def attention_tkg(context: int = TOKENS) -> Case:
    """Each head of keys and values is a row of the batch, with the heads of queries that share it."""
    import nki
    import nki.isa as nisa
    import nki.language as nl

    kernel, manager = named("attention.attention_tkg.attention_tkg"), named("utils.allocator.SbufManager")
    rows, heads = BATCH * PAIRS, HEADS // PAIRS
    config = named("attention.attention_tkg_utils.AttnTKGConfig")(
        bs=rows, q_head=heads, s_active=1, curr_sprior=context, full_sprior=context, d_head=DEPTH,
        tp_k_prior=True, strided_mm1=True, qk_in_sb=True,
    )  # fmt: skip

    def body(q: Any, ka: Any, va: Any, kp: Any, vp: Any, mask: Any) -> Any:
        held = []
        for tensor in (q, ka):
            held.append(nl.ndarray(tensor.shape, dtype=tensor.dtype, buffer=nl.sbuf))
            nisa.dma_copy(dst=held[-1], src=tensor)
        out = nl.ndarray((rows, heads, DEPTH, 1), dtype=q.dtype, buffer=nl.shared_hbm)
        sbm = manager(0, nl.tile_size.total_available_sbuf_size, use_auto_alloc=True)
        sbm.open_scope()
        kernel(held[0], held[1], va, kp, vp, mask, out, config, sbm)
        sbm.close_scope()
        return out

    q, ka = random(DEPTH, rows * heads, scale=DEPTH**-0.5), random(DEPTH, rows)
    va, kp = random(rows, 1, 1, DEPTH), random(rows, 1, context, DEPTH)
    vp = random(rows, 1, context + 1, DEPTH)[:, :, 1:].copy()
    mask = np.ones((context, rows, heads, 1), np.uint8)

    def reference(q: Array, ka: Array, va: Array, kp: Array, vp: Array) -> Array:
        queries = q.T.reshape(rows, heads, DEPTH)
        keys, values = kp[:, 0].copy(), vp[:, 0].copy()
        keys[:, -1], values[:, -1] = ka.T, va[:, 0, 0]
        scores = queries @ keys.transpose(0, 2, 1)
        scores -= scores.max(axis=2, keepdims=True)
        np.exp(scores, out=scores)
        result = scores @ values
        result /= scores.sum(axis=2, keepdims=True)
        return result[..., None]

    launched = nki.jit(body)
    return Case(
        f"TKG attention, context {context:,}",
        (2,),
        lambda n: lambda: launched[n](q, ka, va, kp, vp, mask),
        (q, ka, va, kp, vp),
        reference,
    )


def projection_cte() -> Case:
    """A launch takes at most 17 heads; two of them give halves of the sum."""
    heads = HEADS // 2
    importlib.import_module("nkilib.core.output_projection.output_projection_cte.output_projection_cte")
    kernel = named("output_projection.output_projection_cte.output_projection_cte")
    kernel = getattr(kernel, "output_projection_cte", kernel)
    attention = random(1, HEADS, DEPTH, TOKENS)
    weight = random(HEADS * DEPTH, HIDDEN, scale=HIDDEN**-0.5)
    parts = [
        (attention[:, first : first + heads], weight[first * DEPTH : (first + heads) * DEPTH])
        for first in (0, heads)
    ]

    def launched(cores: int) -> Array:
        total, other = (np.asarray(kernel[cores](*part)).astype(F32) for part in parts)
        total += other
        return total.astype(BF16)

    return Case(
        "CTE output projection, two launches and their sum",
        (2,),
        lambda n: lambda: launched(n),
        (attention, weight),
        lambda x, weight: (x.reshape(-1, TOKENS).T @ weight)[None],
    )


def projection_tkg() -> Case:
    kernel = named("output_projection.output_projection_tkg.output_projection_tkg")
    attention = random(DEPTH, BATCH, HEADS, 1)
    weight = random(HEADS * DEPTH, HIDDEN, scale=HIDDEN**-0.5)
    return Case(
        "TKG output projection",
        (2,),
        lambda n: lambda: kernel[n](attention, weight, None),
        (attention, weight),
        lambda x, weight: x.transpose(1, 3, 2, 0).reshape(BATCH, -1) @ weight,
    )


def _experts(x: Array, weights: tuple[Array, Array], affinities: Array, picked: Array) -> Array:
    """The mixture: each expert's tokens in turn. Of the weights only those that are needed are converted."""
    x = x.astype(F32, copy=False)
    result = np.zeros_like(x)
    for expert in range(EXPERTS):
        rows = np.flatnonzero((picked == expert).any(axis=1))
        if not rows.size:
            continue
        inside = x[rows]
        gate_up, down = (each[expert].astype(F32, copy=False) for each in weights)
        middle = silu(inside @ gate_up[:, 0])
        middle *= inside @ gate_up[:, 1]
        result[rows] += (middle @ down) * affinities[rows, expert, None]
    return result


def _mixture(tokens: int) -> tuple[Array, Array, Array, Array, Array]:
    """Tokens, weights, and which experts each token has with which weight."""
    draw = np.random.default_rng(0)
    picked = np.stack([draw.permutation(EXPERTS)[:CHOSEN] for _ in range(tokens)]).astype(np.int32)
    affinities = np.zeros((tokens, EXPERTS), F32)
    np.put_along_axis(affinities, picked, draw.random((tokens, CHOSEN), F32), axis=1)
    gate_up = random(EXPERTS, HIDDEN, 2, EXPERT, scale=HIDDEN**-0.5)
    return (
        random(tokens, HIDDEN),
        gate_up,
        random(EXPERTS, EXPERT, HIDDEN, scale=EXPERT**-0.5),
        affinities,
        picked,
    )


def moe_tkg() -> Case:
    import nki

    kernel = named("moe.moe_tkg.moe_tkg.moe_tkg")
    mode = named("utils.common_types.ExpertAffinityScaleMode").POST_SCALE
    x, gate_up, down, affinities, picked = _mixture(BATCH)
    rank = np.zeros((1, 1), np.uint32)

    def body(x: Any, gate_up: Any, down: Any, affinities: Any, picked: Any, rank: Any) -> Any:
        return kernel(
            x, gate_up, down, affinities, picked, False, rank, expert_affinities_scaling_mode=mode
        )  # fmt: skip

    launched = nki.jit(body)
    return Case(
        f"TKG experts, {CHOSEN} of {EXPERTS}",
        (2,),
        lambda n: lambda: launched[n](x, gate_up, down, affinities, picked, rank),
        (x, gate_up, down, affinities),
        lambda x, gate_up, down, affinities: _experts(x, (gate_up, down), affinities, picked),
        converts=True,
    )


def _blocks(picked: Array, block: int) -> tuple[Array, Array]:
    """Ids of each block's tokens, and its expert; padding is -1, and blocks are even in number."""
    ids: list[Array] = []
    owners: list[int] = []
    for expert in range(EXPERTS):
        own = np.flatnonzero((picked == expert).any(axis=1))
        for start in range(0, len(own), block):
            part = own[start : start + block]
            ids.append(np.pad(part, (0, block - len(part)), constant_values=-1))
            owners.append(expert)
    if len(ids) % 2:
        ids.append(np.full(block, -1))
        owners.append(EXPERTS - 1)
    return np.concatenate(ids).astype(np.int32), np.array(owners, np.int32)


def moe_cte(block: int = 256) -> Case:
    module = importlib.import_module("nkilib.core.moe.moe_cte.bwmm_shard_on_block")
    skip = named("moe.moe_cte.moe_cte_utils.SkipMode")(True, False)
    mode = named("utils.common_types.ExpertAffinityScaleMode").POST_SCALE
    x, gate_up, down, affinities, picked = _mixture(TOKENS)
    ids, owners = _blocks(picked, block)
    flat = affinities.reshape(-1, 1)

    def launched(cores: int) -> Any:
        return module.bwmm_shard_on_block[cores](
            hidden_states=x, expert_affinities_masked=flat, gate_up_proj_weight=gate_up,
            down_proj_weight=down, token_position_to_id=ids, block_to_expert=owners, block_size=block,
            skip_dma=skip, expert_affinities_scaling_mode=mode,
        )  # fmt: skip

    return Case(
        f"CTE experts, {CHOSEN} of {EXPERTS}, blocks of {block}",
        (2,),
        lambda n: lambda: launched(n),
        (x, gate_up, down, affinities),
        lambda x, gate_up, down, affinities: _experts(x, (gate_up, down), affinities, picked),
        converts=True,
        result=lambda found: np.asarray(found)[:, 0].astype(F32),
    )


CASES: dict[str, Callable[[], Case]] = {
    "CTE MLP": lambda: mlp(1, TOKENS, "CTE"),
    "CTE QKV": lambda: qkv(1, TOKENS, "CTE", (HEADS, 2 * PAIRS)),
    "CTE attention": attention_cte,
    "CTE output projection": projection_cte,
    "CTE experts": moe_cte,
    "TKG MLP": lambda: mlp(BATCH, 1, "TKG"),
    "TKG QKV": lambda: qkv(BATCH, 1, "TKG"),
    "TKG attention": attention_tkg,
    "TKG output projection": projection_tkg,
    "TKG experts": moe_tkg,
}


def held(case: Case, cores: int) -> float:
    """The most memory while a kernel runs, its inputs included, as a multiple of inputs and results."""
    run = case.kernel(cores)
    given = sum(array.nbytes for array in case.given)
    tracemalloc.start()
    found = run()
    peak = tracemalloc.get_traced_memory()[1]
    results = found if isinstance(found, list | tuple) else [found]
    return (given + peak) / (given + sum(np.asarray(each).nbytes for each in results))


def _memory(name: str) -> float:
    """:func:`held` in a process of its own, in which nothing is kept from other kernels."""
    command = [sys.executable, __file__, "--memory", name]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return float(json.loads(done.stdout.splitlines()[-1]))


def arguments() -> argparse.Namespace:
    """The command line; ``--memory`` is for the processes that this one starts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="rows whose name has this text")
    parser.add_argument("--seconds", type=float, default=3.0, help="for each row, at least")
    parser.add_argument("--memory", default="", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    options = arguments()
    import nkisim

    nkisim.install(always=True)
    os.environ["NKILIB_LOG_LEVEL"] = "OFF"
    if options.memory:
        case = CASES[options.memory]()
        print(json.dumps(held(case, case.cores[0])))
        return
    print(machine())
    table(
        "kernel | cores | nkisim | NumPy, same arrays | ratio | NumPy, all float32 | ratio | "
        "memory | largest difference"
    )
    found, memory = [], []
    for name, make in CASES.items():
        if options.only not in name:
            continue
        case = make()
        for cores in case.cores:
            times = measured(case, cores, options.seconds, ROUNDS)
            found.append(times)
            memory.append(_memory(name))
            row = (case.name, str(cores), *cells(times), f"{memory[-1]:.2f}×", f"{times.difference:.0e}")
            print(f"| {' | '.join(row)} |", flush=True)
    if found:
        conclude(found)
        most = max(memory)
        print(
            f"\nMemory: at most {most:.2f}× (at most {MEMORY_TARGET:g}×: {verdict(most <= MEMORY_TARGET)})."
        )


if __name__ == "__main__":
    main()
