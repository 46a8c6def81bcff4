"""The tutorials of the legacy language, each kernel beside its mathematics in float64."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Import = Callable[[Path], ModuleType]
MATMULS = (
    "nki_matmul_basic_",
    "nki_matmul_tiled_",
    "nki_matmul_hoist_load_",
    "nki_matmul_block_free_dimension_",
    "nki_matmul_fully_optimized_",
)
TOLERANCE = 1e-4
"""Largest error relative to the largest value, for kernels in float32."""
ROUNDED = 1e-2
"""The same for kernels that round to bfloat16 on the way; the tutorial's own tolerance."""

_random = np.random.default_rng(0)


def normal(*shape: int) -> Array:
    return _random.standard_normal(shape).astype(np.float32)


def matmul_inputs(name: str) -> tuple[Array, Array]:
    """lhsT and rhs of the tutorial's small and large workload."""
    if name == "nki_matmul_basic_":
        return normal(128, 64), normal(128, 512)
    return normal(1024, 4096), normal(1024, 2048)


def matmuls(module: ModuleType) -> Iterator[tuple[str, Array, Array, float]]:
    for name in MATMULS:
        lhs, rhs = matmul_inputs(name)
        yield name, getattr(module, name)(lhs, rhs), lhs.T.astype(np.float64) @ rhs, TOLERANCE


def transposes(module: ModuleType) -> Iterator[tuple[str, Array, Array, float]]:
    x = normal(5, 12)
    exact = x.reshape(5, 3, 4).transpose(0, 2, 1).reshape(5, 12)
    yield "tensor_transpose2D_kernel_", module.tensor_transpose2D_kernel_(x, (3, 4)), exact, 0.0


def poolings(module: ModuleType) -> Iterator[tuple[str, Array, Array, float]]:
    x = normal(16, 12, 12)
    exact = x.astype(np.float64).reshape(16, 6, 2, 6, 2).mean((2, 4))
    yield "tensor_avgpool_kernel", module.tensor_avgpool_kernel(x, 2), exact, TOLERANCE


def mambas(module: ModuleType) -> Iterator[tuple[str, Array, Array, float]]:
    channels, states, steps = 256, 16, 512
    delta, u = np.abs(normal(1, channels, steps)) * np.float32(0.1), normal(1, channels, steps)
    a, b, c = -np.abs(normal(channels, states)), normal(1, states, steps), normal(1, states, steps)
    state, exact = np.zeros((1, channels, states)), np.zeros((1, channels, steps))
    for t in range(steps):
        change = delta[:, :, t, None].astype(np.float64)
        state = np.exp(change * a) * state + change * u[:, :, t, None] * b[:, None, :, t]
        exact[:, :, t] = (state * c[:, None, :, t]).sum(-1)
    for name in ("mamba_v1", "mamba_v2", "mamba_v3"):
        yield name, getattr(module, name)(delta, u, a, b, c), exact, TOLERANCE


def softmax(scores: Array) -> Array:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    found: Array = powers / powers.sum(axis=1, keepdims=True)
    return found


def attentions(module: ModuleType, length: int) -> Iterator[tuple[str, Array, Array, float]]:
    names = [name for name in vars(module) if name.startswith("attn_fwd_v")]
    for name in sorted(names, key=lambda name: (len(name), name)):
        rows = 128 if name in ("attn_fwd_v1", "attn_fwd_v2") else length
        q, k, v = (_random.uniform(-1, 1, (128, rows)).astype(np.float32) for _ in range(3))
        exact = softmax(q.T.astype(np.float64) @ k) @ v.T
        yield name, getattr(module, name)(q, k, v), exact, ROUNDED


def small_heads(module: ModuleType) -> Iterator[tuple[str, Array, Array, float]]:
    kernel = module.fused_self_attn_for_SD_small_head_size
    q, k, v = (_random.uniform(0, 1, (512, 64)).astype(np.float32) for _ in range(3))
    scores = (q * 0.125).astype(np.float64) @ k.T
    for causal in (False, True):
        exact = softmax(np.where(np.tri(512) > 0, scores, -1e30) if causal else scores) @ v
        found = kernel(q, k, v, use_causal_mask=causal, mixed_precision=False)
        yield f"{kernel.name}{', causal' if causal else ''}", found, exact, TOLERANCE


TUTORIALS = {
    "matrix_multiplication/matrix_multiplication_nki_kernels.py": matmuls,
    "transpose2d/transpose2d_nki_kernels.py": transposes,
    "average_pool2d/average_pool2d_nki_kernels.py": poolings,
    "fused_mamba/mamba_nki_kernels.py": mambas,
    "attention/attention_kernels.py": attentions,
    "sd_attention/sd_attention_nki_kernels.py": small_heads,
}


def report(old: Path, new: Path, imported: Import, given: argparse.Namespace) -> bool:
    """Print the tutorials' table and the comparison of matmuls; whether all are right."""
    print("\n| tutorial | kernel | error, relative to the largest value |\n|---|---|---|")
    right = True
    for place, cases in TUTORIALS.items():
        module = imported(old / place)
        options = (given.length,) if cases is attentions else ()
        for name, found, exact, tolerance in cases(module, *options):
            error = float(np.abs(found.astype(np.float64) - exact).max() / np.abs(exact).max())
            wrong = not error <= tolerance
            right &= not wrong
            print(f"| {place.partition('/')[0]} | {name} | {error:.1e}{' WRONG' if wrong else ''} |")
    return bits_of_matmuls(old, new, imported, given) and right


def bits_of_matmuls(old: Path, new: Path, imported: Import, given: argparse.Namespace) -> bool:
    """Print whether legacy and rewritten matmul kernels give the same bits."""
    place = next(iter(TUTORIALS))
    legacy, rewritten = imported(old / place), imported(new / place)
    equal = []
    for name in MATMULS:
        inputs = matmul_inputs(name)
        results = [np.ascontiguousarray(getattr(module, name)(*inputs)) for module in (legacy, rewritten)]
        equal.append(results[0].tobytes() == results[1].tobytes())
        if not equal[-1]:
            differ = np.abs(results[0] - results[1]).max()
            print(f"\n{name}: {given.old} and {given.new} differ by {differ}")
    print(f"\nMatmul kernels with the bits of their rewrites at {given.new}: {sum(equal)} of {len(equal)}")
    return all(equal)
