"""Decode RMSNorm: layouts, division of tokens between cores, buffers, options and checks."""

from __future__ import annotations

from typing import Any

import nki.isa as nisa
import nki.language as nl
import numpy as np
import pytest
from blockcheck import BF16, FP16, FP32, drawn, per_core
from kernels import check_close, launch, rejected
from npref_attn import norm_layout, rmsnorm_tkg_ref

import nkisim
from nkilib.core.subkernels.norm_tkg_utils import load_gamma_to_sbuf
from nkilib.core.subkernels.rmsnorm_tkg import (
    SHARDING_THRESHOLD,
    process_rmsnorm_tile,
    rmsnorm_tkg,
    rmsnorm_tkg_llama_impl,
)
from nkilib.core.utils.allocator import SbufManager
from nkilib.core.utils.tensor_view import TensorView

RTOL, ATOL = 2e-2, 1e-5


def tokens_of(x: Any) -> int:
    return x.shape[0] * x.shape[1]


def spread_shape(x: Any) -> tuple[int, int, int]:
    return (128, tokens_of(x), x.shape[2] // 128)


def from_hbm(
    x: Any, gamma: Any, in_sbuf: bool = False, out_dtype: Any = None, views: bool = False, **options: Any
) -> Any:
    """The kernel on HBM inputs; with ``in_sbuf`` into SBUF, where each core's whole tile is returned."""
    out = nl.ndarray(
        spread_shape(x), dtype=out_dtype or x.dtype, buffer=nl.sbuf if in_sbuf else nl.shared_hbm
    )
    target = TensorView(out) if views else out
    if views:
        x, gamma = TensorView(x), TensorView(gamma)
    assert rmsnorm_tkg(x, gamma, target, **options) is target
    return per_core(out) if in_sbuf else out


def inputs(batch: int, sequence: int, hidden: int, dtype: Any = FP16) -> tuple[Any, Any]:
    return drawn((batch, sequence, hidden), dtype), drawn((1, hidden), dtype, 1)


CASES = [
    # lnc, B, S, H, hidden_actual, hidden_dim_tp
    (1, 1, 1, 1024, None, False),
    (1, 1, 8, 1024, None, False),
    (1, 1, 1, 512, 384, False),
    (1, 1, 4, 2048, 1920, False),
    (2, 1, 1, 256, None, False),
    (2, 1, 18, 512, None, False),
    (2, 1, 20, 512, None, False),
    (2, 3, 7, 512, None, False),
    (2, 4, 8, 1024, None, False),
    (2, 2, 8, 3072, 2880, False),
    (2, 2, 10, 256, 0, False),
    (1, 1, 1, 512, 384, True),
    (2, 1, 1, 640, None, True),
    (2, 32, 1, 384, None, True),
    (2, 2, 8, 384, 300, True),
    (1, 128, 5, 256, None, False),
    (2, 63, 32, 256, None, False),
]


@pytest.mark.parametrize("in_sbuf", [False, True])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_layout_and_values(case: tuple[Any, ...], in_sbuf: bool) -> None:
    lnc, batch, sequence, hidden, actual, tp = case
    x, gamma = inputs(batch, sequence, hidden)
    got = launch(from_hbm, x, gamma, in_sbuf=in_sbuf, hidden_actual=actual, hidden_dim_tp=tp, lnc=lnc)
    want = rmsnorm_tkg_ref(x, gamma, 1e-6, actual, lnc, tp)
    for core in got if in_sbuf else [got]:
        check_close(core, want, RTOL, ATOL)


@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    [
        (1, 1, 8, 8192, None, False),
        (2, 2, 8, 16384, None, False),
        (2, 128, 1, 8192, None, False),
        (2, 128, 1, 8192, None, True),
        (2, 256, 5, 3072, None, False),
        (2, 63, 32, 3072, None, False),
        (2, 640, 1, 8192, None, False),
        (2, 64, 2, 32768, None, False),
    ],
    ids=str,
)
def test_large(case: tuple[Any, ...]) -> None:
    lnc, batch, sequence, hidden, actual, tp = case
    x, gamma = inputs(batch, sequence, hidden)
    got = launch(from_hbm, x, gamma, hidden_actual=actual, hidden_dim_tp=tp, lnc=lnc)
    check_close(got, rmsnorm_tkg_ref(x, gamma, 1e-6, actual, lnc, tp), RTOL, ATOL)


def test_threshold() -> None:
    assert SHARDING_THRESHOLD == 18


@pytest.mark.parametrize("dtype", [BF16, FP16, FP32])
@pytest.mark.parametrize("lnc", [1, 2])
def test_types(dtype: Any, lnc: int) -> None:
    x, gamma = inputs(2, 11, 512, dtype)
    want = rmsnorm_tkg_ref(x, gamma, lnc=lnc)
    check_close(launch(from_hbm, x, gamma, lnc=lnc), want, 1e-5 if dtype == FP32 else 2**-8, ATOL)


def test_input_is_converted_to_the_type_of_an_sbuf_output() -> None:
    x, gamma = inputs(1, 2, 256, FP32)
    got = launch(from_hbm, x, gamma, in_sbuf=True, out_dtype=nl.bfloat16)[0]
    check_close(got, rmsnorm_tkg_ref(x.astype(BF16), gamma), 2**-8)
    assert got.dtype == BF16


@pytest.mark.parametrize("eps", [0.0, 1e-6, 2.0])
def test_eps(eps: float) -> None:
    x, gamma = inputs(1, 2, 256, FP32)
    check_close(launch(from_hbm, x, gamma, eps=eps), rmsnorm_tkg_ref(x, gamma, eps), 1e-5)


@pytest.mark.parametrize("tokens", [4, 20])
def test_single_core_forced(tokens: int) -> None:
    x, gamma = inputs(1, tokens, 512)
    got = launch(from_hbm, x, gamma, in_sbuf=True, single_core_forced=True, lnc=2)
    for core in got:
        check_close(core, rmsnorm_tkg_ref(x, gamma, lnc=2, single_core_forced=True), RTOL, ATOL)


def test_tensor_views() -> None:
    x, gamma = inputs(2, 12, 512)
    want = rmsnorm_tkg_ref(x, gamma, lnc=2)
    check_close(launch(from_hbm, x, gamma, views=True, lnc=2), want, RTOL, ATOL)
    for core in launch(from_hbm, x, gamma, in_sbuf=True, views=True, lnc=2):
        check_close(core, want, RTOL, ATOL)


@pytest.mark.parametrize("out_in_sbuf", [False, True])
@pytest.mark.parametrize("lnc", [1, 2])
@pytest.mark.parametrize("tokens", [4, 20])
def test_input_in_sbuf(lnc: int, tokens: int, out_in_sbuf: bool) -> None:
    def kernel(spread: Any, gamma: Any) -> Any:
        tile = nl.ndarray(spread.shape, dtype=spread.dtype, buffer=nl.sbuf)
        nisa.dma_copy(dst=tile, src=spread)
        out = nl.ndarray(spread.shape, dtype=spread.dtype, buffer=nl.sbuf if out_in_sbuf else nl.shared_hbm)
        rmsnorm_tkg(tile, gamma, out)
        return per_core(out) if out_in_sbuf else out

    x, gamma = inputs(1, tokens, 512)
    got = launch(kernel, norm_layout(x[0], lnc), gamma, lnc=lnc)
    for core in got if out_in_sbuf else [got]:
        check_close(core, rmsnorm_tkg_ref(x, gamma, lnc=lnc), RTOL, ATOL)


def test_part_of_an_input_in_sbuf() -> None:
    def kernel(spread: Any, gamma: Any) -> Any:
        tile = nl.ndarray(spread.shape, dtype=spread.dtype, buffer=nl.sbuf)
        nisa.dma_copy(dst=tile, src=spread)
        out = nl.ndarray((128, 3, 4), dtype=spread.dtype, buffer=nl.sbuf)
        rmsnorm_tkg(TensorView(tile).slice(1, 2, 5), gamma, out)
        return per_core(out)

    x, gamma = inputs(1, 8, 512)
    check_close(launch(kernel, norm_layout(x[0]), gamma)[0], rmsnorm_tkg_ref(x[:, 2:5], gamma), RTOL, ATOL)


def test_zeros_stay_zeros() -> None:
    _, gamma = inputs(1, 2, 256)
    assert (launch(from_hbm, np.zeros((1, 2, 256), FP16), gamma) == 0).all()


def test_squares_do_not_overflow() -> None:
    x, gamma = drawn((1, 2, 256), FP16, scale=10000), drawn((1, 256), FP16, 1)
    assert (np.abs(x.astype(FP32)) > 256).any()
    check_close(launch(from_hbm, x, gamma), rmsnorm_tkg_ref(x, gamma), 2**-9)


@pytest.mark.parametrize("use_heap_memory", [False, True])
def test_scratch_comes_from_the_callers_manager(use_heap_memory: bool) -> None:
    def kernel(x: Any, gamma: Any) -> Any:
        sbm = SbufManager(0, 96 << 10)
        sbm.open_scope()
        out = sbm.alloc_stack(spread_shape(x), x.dtype)
        before = sbm.get_stack_curr_addr()
        rmsnorm_tkg(x, gamma, out, use_heap_memory=use_heap_memory, sbm=sbm)
        usage.append((sbm.max_stack_usage > before, sbm.max_heap_usage > 0))
        assert (sbm.get_stack_curr_addr(), sbm.get_heap_curr_addr()) == (before, 96 << 10)
        sbm.close_scope()
        return per_core(out)

    usage: list[Any] = []
    x, gamma = inputs(1, 20, 512)
    for core in launch(kernel, x, gamma, lnc=2):
        check_close(core, rmsnorm_tkg_ref(x, gamma, lnc=2), RTOL, ATOL)
    assert usage == [(not use_heap_memory, use_heap_memory)] * 2


def test_body_with_an_explicit_number_of_shards() -> None:
    def kernel(x: Any, gamma: Any) -> Any:
        out = nl.ndarray((128, x.shape[0], x.shape[1] // 128), dtype=x.dtype, buffer=nl.sbuf)
        rmsnorm_tkg_llama_impl(TensorView(x), TensorView(gamma), TensorView(out), 2, 500, 0.5)
        return per_core(out)

    x, gamma = inputs(1, 5, 512)
    check_close(launch(kernel, x[0], gamma)[0], rmsnorm_tkg_ref(x, gamma, 0.5, 500, lnc=2), RTOL, ATOL)


def test_one_chunk_with_the_callers_constants() -> None:
    def kernel(spread: Any, gamma: Any) -> Any:
        shape = tuple(spread.shape)
        tile, row, out, ones, eps = (
            nl.ndarray(s, dtype=d, buffer=nl.sbuf)
            for s, d in (
                (shape, spread.dtype),
                ((128, shape[2]), gamma.dtype),
                (shape, spread.dtype),
                ((128, 128), nl.float32),
                ((128, 1), nl.float32),
            )
        )
        nisa.dma_copy(dst=tile, src=spread)
        nisa.memset(dst=ones, value=1.0)
        nisa.memset(dst=eps, value=0.5)
        weights = (
            load_gamma_to_sbuf(TensorView(gamma), TensorView(row), 1).expand_dim(1).broadcast(1, shape[1])
        )
        process_rmsnorm_tile(
            TensorView(tile), weights, TensorView(out), TensorView(eps), TensorView(ones), (0, shape[1]), 200
        )
        return per_core(out)

    x, gamma = inputs(1, 5, 256)
    check_close(launch(kernel, norm_layout(x[0]), gamma)[0], rmsnorm_tkg_ref(x, gamma, 0.5, 200), RTOL, ATOL)


@pytest.mark.parametrize(
    ("tokens", "out_tokens", "words"), [(4, 5, "output tile"), (513, 513, "at most 512")]
)
def test_a_chunk_is_checked(tokens: int, out_tokens: int, words: str) -> None:
    def kernel(x: Any) -> Any:
        tile, out = (
            TensorView(nl.ndarray((128, t, 2), dtype=x.dtype, buffer=nl.sbuf)) for t in (tokens, out_tokens)
        )
        process_rmsnorm_tile(tile, tile, out, tile, tile, (0, tokens), 256)

    with rejected(words):
        launch(kernel, inputs(1, 1, 256)[0])


@pytest.mark.parametrize(
    ("shape", "gamma", "out", "lnc", "words"),
    [
        ((1, 2, 100), (1, 100), (128, 2, 1), 1, "H must be a multiple of 128"),
        ((1, 0, 256), (1, 256), (128, 0, 2), 1, "empty"),
        ((1, 2, 256), (256,), (128, 2, 2), 1, "gamma"),
        ((1, 2, 256), (1, 128), (128, 2, 2), 1, "gamma"),
        ((1, 2, 256), (1, 256), (128, 3, 2), 1, "output"),
        ((1, 2, 256), (1, 256), (128, 2, 4), 1, "output"),
        ((2, 256), (1, 256), (128, 2, 2), 1, "3 dimensions"),
        ((1, 2, 128), (1, 128), (128, 2, 1), 2, "2 cores"),
    ],
)
def test_shapes_are_checked(shape: Any, gamma: Any, out: Any, lnc: int, words: str) -> None:
    def kernel(x: Any, gamma: Any) -> Any:
        return rmsnorm_tkg(x, gamma, nl.ndarray(out, dtype=x.dtype, buffer=nl.shared_hbm))

    with rejected(words):
        launch(kernel, drawn(shape), drawn(gamma), lnc=lnc)


def test_input_in_sbuf_has_all_partitions() -> None:
    def kernel(x: Any, gamma: Any) -> Any:
        tile = nl.ndarray((64, 2, 2), dtype=x.dtype, buffer=nl.sbuf)
        return rmsnorm_tkg(tile, gamma, nl.ndarray((128, 2, 2), dtype=x.dtype, buffer=nl.sbuf))

    with rejected("128 partitions"):
        launch(kernel, *inputs(1, 2, 256))


def test_transposed_layout_has_one_shard() -> None:
    def kernel(x: Any, gamma: Any) -> Any:
        out = nl.ndarray((128, 2, 2), dtype=x.dtype, buffer=nl.sbuf)
        rmsnorm_tkg_llama_impl(
            TensorView(x), TensorView(gamma), TensorView(out), 2, None, 1e-6, hidden_dim_tp=True
        )

    with rejected("one shard"):
        launch(kernel, drawn((2, 256)), drawn((1, 256)))


@pytest.mark.parametrize("heap", [False, True])
@pytest.mark.parametrize("tp", [False, True])
def test_the_language_and_memory_are_checked(tp: bool, heap: bool) -> None:
    def kernel(x: Any, gamma: Any) -> Any:
        out = nl.ndarray((128, 20, 4), dtype=x.dtype, buffer=nl.shared_hbm)
        return rmsnorm_tkg(x, gamma, out, hidden_dim_tp=tp, use_heap_memory=heap)

    with nkisim.strict():
        got = launch(kernel, *inputs(2, 10, 512), lnc=2)
    check_close(got, rmsnorm_tkg_ref(*inputs(2, 10, 512), lnc=2, hidden_dim_tp=tp), RTOL, ATOL)


def test_input_and_output_move_once() -> None:
    x, gamma = inputs(2, 10, 512)
    with nkisim.trace() as trace:
        launch(from_hbm, x, gamma, lnc=2)
    assert trace.hbm_read == x.nbytes + 2 * gamma.nbytes
    assert trace.hbm_written == x.nbytes


def test_runs_agree_bit_by_bit() -> None:
    x, gamma = inputs(4, 8, 1024)
    first, second = (launch(from_hbm, x, gamma, lnc=2).tobytes() for _ in range(2))
    assert first == second
