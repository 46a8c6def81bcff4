"""Decode LayerNorm: layouts, division of tokens between cores, buffers, options and checks."""

from __future__ import annotations

from typing import Any

import nki.isa as nisa
import nki.language as nl
import numpy as np
import pytest
from blockcheck import BF16, FP16, FP32, drawn, per_core
from kernels import check_close, launch, rejected
from npref_attn import layernorm_tkg_ref, norm_layout

import nkisim
from nkilib.core.subkernels.layernorm_tkg import SHARDING_THRESHOLD, layernorm_tkg
from nkilib.core.utils.allocator import SbufManager
from nkilib.core.utils.tensor_view import TensorView

RTOL, ATOL = 2e-2, 1e-5


def from_hbm(
    x: Any, gamma: Any, beta: Any = None, in_sbuf: bool = False, views: bool = False, **options: Any
) -> Any:
    """The kernel on HBM inputs; with ``in_sbuf`` into SBUF, where each core's whole tile is returned."""
    shape = (128, x.shape[0] * x.shape[1], x.shape[2] // 128)
    out = nl.ndarray(shape, dtype=x.dtype, buffer=nl.sbuf if in_sbuf else nl.shared_hbm)
    if views:
        x, gamma, out = TensorView(x), TensorView(gamma), TensorView(out)
    assert layernorm_tkg(x, gamma, out, beta, **options) is out
    tensor = out.base_tensor if views else out
    return per_core(tensor) if in_sbuf else tensor


def inputs(batch: int, sequence: int, hidden: int, dtype: Any = FP16) -> tuple[Any, Any, Any]:
    return drawn((batch, sequence, hidden), dtype), drawn((1, hidden), dtype, 1), drawn((1, hidden), dtype, 2)


@pytest.mark.parametrize("in_sbuf", [False, True])
@pytest.mark.parametrize("with_beta", [False, True])
@pytest.mark.parametrize(
    "case",
    [
        (1, 1, 1, 1024), (1, 1, 8, 1024), (2, 1, 1, 256), (2, 1, 10, 512), (2, 1, 12, 512),
        (2, 1, 13, 512), (2, 4, 8, 1024), (1, 64, 2, 128), (2, 640, 1, 256),
    ],
    ids=str,
)  # fmt: skip
def test_layout_and_values(case: tuple[int, int, int, int], with_beta: bool, in_sbuf: bool) -> None:
    lnc, *sizes = case
    x, gamma, beta = inputs(*sizes)
    beta = beta if with_beta else None
    got = launch(from_hbm, x, gamma, beta, in_sbuf=in_sbuf, lnc=lnc)
    for core in got if in_sbuf else [got]:
        check_close(core, layernorm_tkg_ref(x, gamma, beta, lnc=lnc), RTOL, ATOL)


@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    [
        (1, 1, 8, 8192),
        (2, 2, 8, 8192),
        (2, 128, 1, 8192),
        (2, 2, 5, 16384),
        (2, 640, 1, 8192),
        (2, 64, 2, 32768),
    ],
    ids=str,
)
def test_large(case: tuple[int, int, int, int]) -> None:
    lnc, *sizes = case
    x, gamma, beta = inputs(*sizes)
    got = launch(from_hbm, x, gamma, beta, lnc=lnc)
    check_close(got, layernorm_tkg_ref(x, gamma, beta, lnc=lnc), RTOL, ATOL)


def test_threshold() -> None:
    assert SHARDING_THRESHOLD == 10


@pytest.mark.parametrize("dtype", [BF16, FP16, FP32])
@pytest.mark.parametrize("lnc", [1, 2])
def test_types(dtype: Any, lnc: int) -> None:
    x, gamma, beta = inputs(2, 7, 512, dtype)
    want = layernorm_tkg_ref(x, gamma, beta, lnc=lnc)
    check_close(launch(from_hbm, x, gamma, beta, lnc=lnc), want, 1e-5 if dtype == FP32 else 2**-8, ATOL)


@pytest.mark.parametrize("eps", [0.0, 1e-6, 2.0])
def test_eps(eps: float) -> None:
    x, gamma, beta = inputs(1, 2, 256, FP32)
    check_close(launch(from_hbm, x, gamma, beta, eps=eps), layernorm_tkg_ref(x, gamma, beta, eps), 1e-5)


@pytest.mark.parametrize("out_in_sbuf", [False, True])
@pytest.mark.parametrize("lnc", [1, 2])
@pytest.mark.parametrize("tokens", [4, 12])
def test_input_in_sbuf_is_read_only(lnc: int, tokens: int, out_in_sbuf: bool) -> None:
    def kernel(spread: Any, gamma: Any, beta: Any) -> Any:
        tile = nl.ndarray(spread.shape, dtype=spread.dtype, buffer=nl.sbuf)
        nisa.dma_copy(dst=tile, src=spread)
        out = nl.ndarray(spread.shape, dtype=spread.dtype, buffer=nl.sbuf if out_in_sbuf else nl.shared_hbm)
        layernorm_tkg(tile, gamma, out, beta)
        return per_core(out) if out_in_sbuf else out, per_core(tile)

    x, gamma, beta = inputs(1, tokens, 512)
    spread = norm_layout(x[0], lnc)
    got, left = launch(kernel, spread, gamma, beta, lnc=lnc)
    for core in got if out_in_sbuf else [got]:
        check_close(core, layernorm_tkg_ref(x, gamma, beta, lnc=lnc), RTOL, ATOL)
    assert np.array_equal(left, np.stack([spread] * lnc))


@pytest.mark.parametrize("in_sbuf", [False, True])
def test_tensor_views(in_sbuf: bool) -> None:
    x, gamma, beta = inputs(2, 6, 512)
    got = launch(from_hbm, x, gamma, beta, in_sbuf=in_sbuf, views=True, lnc=2)
    for core in got if in_sbuf else [got]:
        check_close(core, layernorm_tkg_ref(x, gamma, beta, lnc=2), RTOL, ATOL)


def test_constant_tokens_become_beta() -> None:
    _, gamma, beta = inputs(1, 2, 256)
    got = launch(from_hbm, np.full((1, 3, 256), 3.3, FP16), gamma, beta)
    check_close(got, norm_layout(np.repeat(beta, 3, 0)), 2**-9)


def test_mean_far_from_zero() -> None:
    x, gamma, beta = inputs(1, 4, 1024)
    x = (x.astype(FP32) + 8).astype(FP16)
    check_close(launch(from_hbm, x, gamma, beta), layernorm_tkg_ref(x, gamma, beta), 2**-9)


@pytest.mark.parametrize("use_heap_memory", [False, True])
def test_scratch_comes_from_the_callers_manager(use_heap_memory: bool) -> None:
    def kernel(x: Any, gamma: Any, beta: Any) -> Any:
        sbm = SbufManager(0, 96 << 10)
        sbm.open_scope()
        out = sbm.alloc_stack((128, x.shape[1], x.shape[2] // 128), x.dtype)
        before = sbm.get_stack_curr_addr()
        layernorm_tkg(x, gamma, out, beta, use_heap_memory=use_heap_memory, sbm=sbm)
        usage.append((sbm.max_stack_usage > before, sbm.max_heap_usage > 0))
        assert (sbm.get_stack_curr_addr(), sbm.get_heap_curr_addr()) == (before, 96 << 10)
        sbm.close_scope()
        return per_core(out)

    usage: list[Any] = []
    x, gamma, beta = inputs(1, 12, 512)
    for core in launch(kernel, x, gamma, beta, lnc=2):
        check_close(core, layernorm_tkg_ref(x, gamma, beta, lnc=2), RTOL, ATOL)
    assert usage == [(not use_heap_memory, use_heap_memory)] * 2


@pytest.mark.parametrize(
    ("shape", "gamma", "beta", "out", "lnc", "words"),
    [
        ((1, 2, 130), (1, 130), (1, 130), (128, 2, 1), 1, "H must be a multiple of 128"),
        ((1, 0, 256), (1, 256), (1, 256), (128, 0, 2), 1, "empty"),
        ((1, 2, 256), (256,), (1, 256), (128, 2, 2), 1, "gamma"),
        ((1, 2, 256), (1, 256), (256,), (128, 2, 2), 1, "beta"),
        ((1, 2, 256), (1, 256), (1, 256), (128, 3, 2), 1, "output"),
        ((1, 2, 128), (1, 128), (1, 128), (128, 2, 1), 2, "2 cores"),
    ],
)
def test_shapes_are_checked(shape: Any, gamma: Any, beta: Any, out: Any, lnc: int, words: str) -> None:
    def kernel(x: Any, gamma: Any, beta: Any) -> Any:
        return layernorm_tkg(x, gamma, nl.ndarray(out, dtype=x.dtype, buffer=nl.shared_hbm), beta)

    with rejected(words):
        launch(kernel, drawn(shape), drawn(gamma), drawn(beta), lnc=lnc)


@pytest.mark.parametrize("heap", [False, True])
def test_the_language_and_memory_are_checked(heap: bool) -> None:
    def kernel(x: Any, gamma: Any, beta: Any) -> Any:
        out = nl.ndarray((128, 12, 4), dtype=x.dtype, buffer=nl.shared_hbm)
        return layernorm_tkg(x, gamma, out, beta, use_heap_memory=heap)

    with nkisim.strict():
        got = launch(kernel, *inputs(2, 6, 512), lnc=2)
    check_close(got, layernorm_tkg_ref(*inputs(2, 6, 512), lnc=2), RTOL, ATOL)


def test_input_and_output_move_once() -> None:
    x, gamma, beta = inputs(2, 6, 512)
    with nkisim.trace() as trace:
        launch(from_hbm, x, gamma, beta, lnc=2)
    assert trace.hbm_read == x.nbytes + 2 * (gamma.nbytes + beta.nbytes)
    assert trace.hbm_written == x.nbytes


def test_runs_agree_bit_by_bit() -> None:
    arguments = inputs(4, 8, 1024)
    first, second = (launch(from_hbm, *arguments, lnc=2).tobytes() for _ in range(2))
    assert first == second
