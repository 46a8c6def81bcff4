"""Kernels of a checkout of the NKI Library (2.28), and plain NumPy float32 for the mathematics of each.

The NumPy side is written from the mathematics, vectorised, in place where that saves memory traffic. Inputs
are representable in the kernels' types, so that both compute the same. Its results are float32, but for the
kernel that quantises.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
BF16, F32 = np.dtype(ml_dtypes.bfloat16), np.dtype(np.float32)


@dataclass(frozen=True)
class Case:
    """One kernel at one shape.

    Attributes:
        cores: to run it on. kernel: runs it on a number of cores, given as float32 by ``result``.
        given: the kernel's arrays, which ``mathematics`` takes in float32.
        converts: ``mathematics`` also takes them as they are, and converts only what it needs.
        tolerance: the largest difference relative to the largest value.
    """

    name: str
    cores: tuple[int, ...]
    kernel: Callable[[int], Callable[[], Any]]
    given: tuple[Array, ...]
    mathematics: Callable[..., Array]
    tolerance: float = 2e-2
    result: Callable[[Any], Array] = lambda found: np.asarray(found).astype(np.float32)
    converts: bool = False

    def from_float32(self) -> Callable[[], Array]:
        """NumPy from float32 arrays to a float32 result."""
        arrays = [array.astype(np.float32) for array in self.given]
        return lambda: self.mathematics(*arrays)

    def from_same(self) -> Callable[[], Array]:
        """NumPy from the kernel's own arrays to a float32 result."""
        if self.converts:
            return lambda: self.mathematics(*self.given)
        return lambda: self.mathematics(*[array.astype(np.float32) for array in self.given])


def random(*shape: int, dtype: Any = BF16, scale: float = 1.0) -> Array:
    """Normal numbers, representable in ``dtype``."""
    generator = np.random.default_rng(len(shape) + sum(shape))
    return (generator.standard_normal(shape, dtype=np.float32) * np.float32(scale)).astype(dtype)


def named(path: str) -> Any:
    """A name of the checkout's library."""
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(f"nkilib.core.{module}"), name)


def rms_normalised(x: Array, gamma: Array, epsilon: float = 1e-6) -> Array:
    mean = np.einsum("...h,...h->...", x, x) / np.float32(x.shape[-1])
    scaled = x * (np.float32(1) / np.sqrt(mean + np.float32(epsilon)))[..., None]
    scaled *= gamma
    return scaled


def cumsum(dtype: Any) -> Case:
    kernel, x = named("cumsum.cumsum.cumsum"), random(2048, 8192, dtype=dtype)
    return Case(
        f"cumsum 2048×8192 {'fp32' if dtype is F32 else 'bf16'}",
        (1,),
        lambda n: lambda: kernel(x),
        (x,),
        lambda x: np.cumsum(x, axis=-1),
        1e-5 if dtype is F32 else 2e-2,
    )


def rope() -> Case:
    kernel, x = named("embeddings.rope.RoPE"), random(128, 1, 8, 2048)
    angles = np.outer(1e4 ** -(np.arange(64) / 64), np.arange(2048))[:, None]
    cos, sin = np.cos(angles).astype(BF16), np.sin(angles).astype(BF16)

    def reference(x: Array, c: Array, s: Array) -> Array:
        first, second = x[:64], x[64:]
        result = np.empty_like(x)
        np.subtract(first * c, second * s, out=result[:64])
        np.add(second * c, first * s, out=result[64:])
        return result

    return Case(
        "RoPE d128 h8 s2048",
        (1, 2),
        lambda n: lambda: kernel[n](x, cos, sin, lnc_shard=True),
        (x, cos[:, :, None], sin[:, :, None]),
        reference,
    )


def rmsnorm_quant() -> Case:
    kernel, made = named("rmsnorm.rmsnorm_quant.rmsnorm_quant_kernel"), "rmsnorm.rmsnorm_quant."
    options = named(made + "RmsNormQuantKernelArgs")()
    x, gamma = random(2048, 4096), random(1, 4096)

    def reference(x: Array, gamma: Array) -> Array:
        normal = rms_normalised(x, gamma)
        largest = np.maximum(normal.max(axis=1), -normal.min(axis=1)) / np.float32(240)
        normal *= (np.float32(1) / np.maximum(largest, np.float32(1e-6)))[:, None]
        return normal.astype(ml_dtypes.float8_e4m3)  # quantising is what the kernel is for

    return Case(
        "rmsnorm_quant row 2048×4096 → fp8",
        (1, 2),
        lambda n: lambda: kernel[n](x, gamma, options),
        (x, gamma),
        reference,
        7e-2,
        lambda found: np.asarray(found)[:, :4096].astype(np.float32),
    )


def output_projection_tkg() -> Case:
    kernel = named("output_projection.output_projection_tkg.output_projection_tkg")
    attention, weight = random(128, 4, 16, 4), random(2048, 8192, scale=2048**-0.5)

    def reference(x: Array, weight: Array) -> Array:
        return x.transpose(1, 3, 2, 0).reshape(16, 2048) @ weight

    return Case(
        "output_projection_tkg d128 b4 n16 s4 h8192",
        (1, 2),
        lambda n: lambda: kernel[n](attention, weight),
        (attention, weight),
        reference,
    )


def output_projection_cte() -> Case:
    kernel = named("output_projection.output_projection_cte.output_projection_cte")
    attention, weight = random(1, 8, 128, 2048), random(1024, 4096, scale=1024**-0.5)
    return Case(
        "output_projection_cte n8 d128 s2048 h4096",
        (2,),
        lambda n: lambda: kernel[n](attention, weight),
        (attention, weight),
        lambda x, weight: (x.reshape(1024, 2048).T @ weight)[None],
    )


def cross_entropy(rows: int, vocabulary: int, cores: tuple[int, ...]) -> Case:
    kernel, x = named("loss.cross_entropy.cross_entropy_forward"), random(rows, vocabulary, dtype=F32)
    targets = (np.arange(rows, dtype=np.int32) * 7919) % vocabulary

    def reference(x: Array) -> Array:
        largest = x.max(axis=1, keepdims=True)
        shifted = x - largest
        np.exp(shifted, out=shifted)
        total = largest[:, 0] + np.log(shifted.sum(axis=1))
        return np.stack([total - x[np.arange(rows), targets], total])

    return Case(
        f"cross_entropy_forward {rows}×{vocabulary} fp32",
        cores,
        lambda n: lambda: kernel[n](x, targets, dtype=np.float32),
        (x,),
        reference,
        1e-5,
        lambda found: np.stack([np.asarray(each) for each in found]),
    )


def silu(x: Array) -> Array:
    gate = np.exp(-x)
    gate += np.float32(1)
    np.divide(x, gate, out=gate)
    return gate


def mlp(batch: int, length: int, hidden: int, inner: int, mode: str) -> Case:
    kernel = named("mlp.mlp.mlp")
    x = random(batch, length, hidden)
    gate, up = random(hidden, inner, scale=hidden**-0.5), random(hidden, inner + 1, scale=hidden**-0.5)[:, 1:]
    up = np.ascontiguousarray(up)
    down = random(inner, hidden, scale=inner**-0.5)

    def reference(x: Array, gate: Array, up: Array, down: Array) -> Array:
        rows = x.reshape(-1, hidden)
        middle = silu(rows @ gate)
        middle *= rows @ up
        return (middle @ down).reshape(x.shape)

    name = f"mlp {mode} b{batch} s{length} h{hidden} i{inner}"
    return Case(
        name,
        (2,),
        lambda n: lambda: kernel[n](x, gate, up, down),
        (x, gate, up, down),
        reference,
        result=lambda found: found[0].astype(np.float32),
    )


def qkv(batch: int, length: int, hidden: int, inner: int, mode: str) -> Case:
    kernel, norm = named("qkv.qkv.qkv"), named("utils.common_types.NormType").RMS_NORM
    x, weight = random(batch, length, hidden), random(hidden, inner, scale=hidden**-0.5)
    gamma = random(1, hidden)
    name = f"qkv {mode} + rmsnorm b{batch} s{length} h{hidden} i{inner}"
    return Case(
        name,
        (2,),
        lambda n: lambda: kernel[n](x, weight, fused_norm_type=norm, gamma_norm_weights=gamma),
        (x, weight, gamma),
        lambda x, weight, gamma: (rms_normalised(x.reshape(-1, hidden), gamma) @ weight).reshape(
            batch, length, inner
        ),
    )


def router_topk() -> Case:
    import nkisim

    function = named("router_topk.router_topk.router_topk")
    softmax = named("utils.common_types.RouterActFnType").SOFTMAX
    tokens, hidden, experts, k = 128, 3072, 128, 4
    x, w = random(tokens, hidden, dtype=F32), random(hidden, experts, dtype=F32, scale=hidden**-0.5)
    into = [np.zeros((tokens, experts), np.float32) for _ in range(2)]
    index = np.zeros((tokens, k), np.uint32)

    def kernel(x: Any, w: Any, logits: Any, affinities: Any, index: Any, split: bool) -> Any:
        found = function(
            x, w, None, logits, affinities, index, softmax, k, 1, 0,
            router_pre_norm=False, shard_on_tokens=split,
        )  # fmt: skip
        return found[0], found[2]

    def reference(x: Array, w: Array) -> Array:
        logits = x @ w
        chosen = np.argpartition(-logits, k - 1, axis=1)[:, :k]
        values = np.take_along_axis(logits, chosen, axis=1)
        values = np.exp(values - values.max(axis=1, keepdims=True))
        values /= values.sum(axis=1, keepdims=True)
        affinities = np.zeros_like(logits)
        np.put_along_axis(affinities, chosen, values, axis=1)
        return np.stack([logits, affinities])

    return Case(
        "router_topk T128 H3072 E128 k4 fp32",
        (1, 2),
        lambda n: lambda: nkisim.simulate(kernel)[n](x, w, into[0], into[1], index, n > 1),
        (x, w),
        reference,
        1e-5,
        lambda found: np.stack([np.asarray(each) for each in found]),
    )


def attention(length: int, cores: tuple[int, ...]) -> Case:
    kernel = named("attention.attention_cte.attention_cte")
    q, k, v = random(1, length, 128), random(1, 128, length), random(1, length, 128)
    scale = 128**-0.5

    def reference(q: Array, k: Array, v: Array) -> Array:
        scores = q[0] @ k[0]
        scores *= np.float32(scale)
        for row in range(length):
            scores[row, row + 1 :] = -np.inf
        scores -= scores.max(axis=1, keepdims=True)
        np.exp(scores, out=scores)
        result = scores @ v[0]
        result /= scores.sum(axis=1, keepdims=True)
        return result[None]

    name = f"attention_cte causal s{length} d128"
    return Case(name, cores, lambda n: lambda: kernel[n](q, k, v, scale=scale), (q, k, v), reference)


def cases() -> Iterator[Callable[[], Case]]:
    """One maker for each case: inputs are made, and go, one after the other."""
    yield lambda: cumsum(F32)
    yield lambda: cumsum(BF16)
    yield rope
    yield rmsnorm_quant
    yield output_projection_tkg
    yield output_projection_cte
    yield lambda: cross_entropy(256, 32768, (1, 2))
    yield lambda: cross_entropy(512, 131072, (2,))
    yield lambda: mlp(4, 1, 8192, 1024, "TKG")
    yield lambda: mlp(4, 4, 4096, 3584, "TKG")
    yield lambda: mlp(1, 2048, 2048, 1024, "CTE")
    yield lambda: qkv(4, 1, 8192, 1280, "TKG")
    yield lambda: qkv(1, 2048, 4096, 768, "CTE")
    yield lambda: qkv(1, 4096, 8192, 1280, "CTE")
    yield router_topk
    yield lambda: attention(2048, (1, 2))
    yield lambda: attention(4096, (1, 2))
    yield lambda: attention(8192, (2,))
