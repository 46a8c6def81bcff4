"""Launches of kernels that work inside of others, beside those of :mod:`kernel_cost_cases`."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from kernel_cost_cases import Array, Case, made, named

F16 = np.dtype(np.float16)


def jitted(body: Any, target: str = "") -> Any:
    import nki

    return nki.jit(body, platform_target=target)


def language() -> tuple[Any, Any]:
    """``nl`` and ``nisa`` of this process."""
    return importlib.import_module("nki.language"), importlib.import_module("nki.isa")


def rmsnorm_mx(batch: int, sequence: int, hidden: int, residual: bool = False) -> Case:
    """Its results stay in SBUF, but for the sum."""

    def launch(cores: int, x: Array, gamma: Array, *added: Array) -> None:
        nl, _ = language()
        kernel = named("subkernels.rmsnorm_mx_quantize_tkg.rmsnorm_mx_quantize_tkg")

        def body(x: Any, gamma: Any, added: Any) -> Any:
            tokens = batch * sequence
            small = (128, hidden // 512, tokens)
            output = nl.ndarray((128, tokens, hidden // 128), dtype=x.dtype, buffer=nl.sbuf)
            values = nl.ndarray(small, dtype=nl.float8_e4m3fn_x4, buffer=nl.sbuf)
            scales = nl.ndarray(small, dtype=nl.uint8, buffer=nl.sbuf)
            if added is None:
                kernel(x, gamma, output, values, scales)
                return None
            total = nl.ndarray((tokens, hidden), dtype=x.dtype, buffer=nl.shared_hbm)
            kernel(x, gamma, output, values, scales, added, total)
            return total

        jitted(body, "trn3")[cores](x, gamma, added[0] if added else None)

    shape = (batch, sequence, hidden)
    inputs = [made(*shape, dtype=F16), made(1, hidden, dtype=F16)]
    if residual:
        inputs.append(made(*shape, dtype=F16, scale=0.03))
    form = " + residual" if residual else ""
    name = f"rmsnorm_mx_quantize_tkg{form}, b{batch} s{sequence} h{hidden}"
    return Case(name, launch, inputs, inputs[0].nbytes if residual else 0, 0, (2,))


def gen_mask(batch: int, heads: int, active: int, context: int, block: int = 0) -> Case:
    """The whole mask of a core that has all of the context; it stays in SBUF."""

    def launch(cores: int, positions: Array, mask: Array) -> None:
        nl, nisa = language()
        kernel = named("attention.gen_mask_tkg.gen_mask_tkg")

        def body(positions: Any, mask: Any) -> None:
            held = nl.ndarray(positions.shape, dtype=positions.dtype, buffer=nl.sbuf)
            nisa.dma_copy(dst=held, src=positions)
            out = nl.ndarray((128, context // 128, batch, heads, active), dtype=nl.uint8, buffer=nl.sbuf)
            kernel(
                held, out, batch, heads, active, False, context, block_len=block,
                strided_mm1=not block, active_mask=mask,
            )  # fmt: skip

        jitted(body)[cores](positions, mask)

    form = f", blocks of {block}" if block else ""
    name = f"gen_mask_tkg{form}, b{batch} h{heads} s{active} context {context}"
    positions = np.full((128, batch * active), context // 2, np.float32)
    return Case(name, launch, [positions, np.ones((active, batch, heads, active), np.uint8)], 0, 0, (1,))


def indexed_flatten(rows: int, length: int, f_len: int) -> Case:
    size = rows * length + 1024

    def launch(cores: int, x: Array, offsets: Array) -> None:
        named("subkernels.indexed_flatten.indexed_flatten")[cores](x, f_len, size, offsets)

    offsets = np.arange(rows, dtype=np.int32) * (length // f_len)
    x = np.arange(rows * length, dtype=np.int32).reshape(rows, length)
    name = f"indexed_flatten, {rows} rows of {length} in blocks of {f_len}"
    return Case(name, launch, [x, offsets], size * 4, 0, (2,))


CASES = [
    rmsnorm_mx(128, 4, 3072),
    rmsnorm_mx(256, 1, 3072, residual=True),
    gen_mask(4, 2, 7, 2048),
    gen_mask(4, 2, 5, 4096, block=16),
    indexed_flatten(16, 10240, 128),
]
