"""Launches of embeddings, the router, searches, losses and others; see :mod:`kernel_cost_cases`."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from kernel_cost_cases import F32, Array, Case, kind, made, named
from kernel_cost_subkernels import jitted, language

I32 = np.dtype(np.int32)


def experimental(path: str) -> Any:
    """A name of the library's experimental part in this process."""
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(f"nkilib.experimental.{module}"), name)


def rope(batch: int, heads: int, length: int, contiguous: bool = True) -> Case:
    """Cores share positions."""

    def launch(cores: int, x: Array, cos: Array, sin: Array) -> None:
        kernel = named("embeddings.rope.RoPE")
        kernel[cores](x, cos, sin, lnc_shard=True, contiguous_layout=contiguous)

    form = "" if contiguous else " interleaved"
    inputs = [made(128, batch, heads, length), made(64, batch, length), made(64, batch, length)]
    return Case(f"RoPE{form}, d128 b{batch} n{heads} s{length}", launch, inputs, inputs[0].nbytes, 0)


def rope_hf(heads: int, key_heads: int, length: int) -> Case:
    def launch(cores: int, q: Array, k: Array, cache: Array) -> None:
        named("embeddings.rope_hf.rope_hf")[cores](q, k, q.copy(), k.copy(), rope_cache=cache)

    q, k = made(1, heads, length, 128), made(1, key_heads, length, 128)
    name = f"rope_hf, {heads} + {key_heads} heads s{length} d128"
    return Case(name, launch, [q, k, made(length, 256)], q.nbytes + k.nbytes, 0)


def router(tokens: int, hidden: int, experts: int, k: int) -> Case:
    """Softmax of the chosen, by a mask; cores share tokens."""

    def launch(cores: int, x: Array, w: Array, bias: Array) -> None:
        nl, _ = language()
        kernel, act_fn = named("router_topk.router_topk.router_topk"), kind("RouterActFnType", "SOFTMAX")

        def body(x: Any, w: Any, bias: Any) -> Any:
            logits = nl.ndarray((tokens, experts), dtype=x.dtype, buffer=nl.shared_hbm)
            affinities = nl.ndarray((tokens, experts), dtype=x.dtype, buffer=nl.shared_hbm)
            index = nl.ndarray((tokens, k), dtype=nl.uint32, buffer=nl.shared_hbm)
            kernel(
                x, w, bias, logits, affinities, index, act_fn, k, 1, 0,
                router_pre_norm=False, shard_on_tokens=cores > 1,
            )  # fmt: skip
            return logits, affinities, index

        jitted(body)[cores](x, w, bias)

    inputs = [made(tokens, hidden), made(hidden, experts), made(1, experts)]
    out = tokens * (4 * experts + 4 * k)
    name = f"router_topk, t{tokens} h{hidden} e{experts} k{k}"
    return Case(name, launch, inputs, out, tokens * hidden * experts)


def topk(rows: int, length: int, k: int) -> Case:
    def launch(cores: int, x: Array) -> None:
        module = importlib.import_module("nkilib.core.topk.rotational_topk")
        config = module.RotationalTopkConfig(x.shape, module.TopkConfig(x.shape, x.dtype, k, True, cores))
        module.prepare_rotational_constants(config)
        module.rotational_topk[cores](x, config)
        module.cleanup_rotational_constants()

    inputs = [made(rows, length, dtype=F32)]
    return Case(f"topk, {rows}×{length} k{k}", launch, inputs, rows * k * 8, 0)


def cascaded_max(rows: int, length: int) -> Case:
    def launch(cores: int, x: Array) -> None:
        named("max.cascaded_max.cascaded_max")[cores](x)

    return Case(f"cascaded_max, {rows}×{length}", launch, [made(rows, length, dtype=F32)], rows * 8, 0)


def cumsum(rows: int, length: int) -> Case:
    def launch(cores: int, x: Array) -> None:
        named("cumsum.cumsum.cumsum")[cores](x)

    inputs = [made(rows, length)]
    return Case(f"cumsum, {rows}×{length}", launch, inputs, inputs[0].nbytes, 0)


def nonzero(tokens: int, columns: int) -> Case:
    def launch(cores: int, x: Array) -> None:
        experimental("subkernels.find_nonzero_indices.find_nonzero_indices")[cores](x)

    x = (made(tokens, columns, dtype=F32) > 0.03).astype(I32)
    out = (tokens + 1) * columns * 4
    return Case(f"find_nonzero_indices, {tokens}×{columns}", launch, [x], out, 0, (2,))


def cross_entropy(positions: int, vocabulary: int, backward: bool) -> Case:
    """In bfloat16, 64 positions at a time; the gradient to a tensor of its own."""
    batch, chunk = 64, min(vocabulary, 16384)

    def launch(cores: int, x: Array, targets: Array, *lse: Array) -> None:
        if backward:
            kernel = experimental("loss.cross_entropy.cross_entropy_backward")
            kernel[cores](x, targets, lse[0], positions_per_batch=batch, chunk_size=chunk, inplace=False)
        else:
            kernel = experimental("loss.cross_entropy.cross_entropy_forward")
            kernel[cores](x, targets, positions_per_batch=batch, chunk_size=chunk)

    x, targets = made(positions, vocabulary, scale=1.0), np.arange(positions, dtype=I32)
    lse = [made(positions) + 10] if backward else []
    form = "backward" if backward else "forward"
    out = x.nbytes if backward else positions * 4
    return Case(f"cross_entropy_{form}, {positions}×{vocabulary}", launch, [x, targets, *lse], out, 0)


def convolution(channels: int, width: int, taps: int) -> Case:
    """Its multiply-adds are Vector Engine's here, and no matmul's."""

    def launch(cores: int, x: Array, filters: Array) -> None:
        kernel = experimental("conv.depthwise_conv1d.depthwise_conv1d_implicit_gemm")
        kernel[cores](x, filters, feature_group_count=channels)

    count = width - taps + 1
    inputs = [made(1, channels, 1, width), made(channels, 1, 1, taps)]
    name = f"depthwise_conv1d, c{channels} w{width} s{taps}"
    return Case(name, launch, inputs, channels * count * 2, 0)


CASES = [
    rope(1, 8, 2048),
    rope(1, 8, 2048, contiguous=False),
    rope_hf(32, 8, 2048),
    router(128, 3072, 128, 4),
    router(1024, 3072, 128, 4),
    topk(8, 25600, 256),
    cascaded_max(8, 25600),
    cumsum(1024, 8192),
    nonzero(4096, 128),
    cross_entropy(512, 32128, backward=False),
    cross_entropy(512, 32128, backward=True),
    convolution(256, 512, 64),
]
