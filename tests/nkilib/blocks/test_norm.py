"""Norms in both layouts, against float64."""

from __future__ import annotations

from typing import Any

import nki.language as nl
import numpy as np
import pytest
from blockcheck import BF16, FP16, FP32, drawn, in_hbm, in_sbuf, sbuf
from kernels import check_close, launch
from numpy_ref import layer_norm, rms_norm, to_sbuf_h

from nkilib.blocks import norm, tiles
from nkilib.blocks.memory import manager
from nkilib.core.utils.allocator import SbufManager
from nkilib.core.utils.tensor_view import TensorView


def f64(x: Any) -> Any:
    return np.asarray(x).astype(np.float64)


@pytest.mark.parametrize("columns", [1, 700, 4096, 9000])
def test_sums_of_squares(columns: int) -> None:
    def kernel(x: Any) -> Any:
        sums = sbuf((x.shape[0], 1))
        norm.row_sum_squares(sums, in_sbuf(x), manager())
        return in_hbm(sums)

    x = drawn((50, columns))
    check_close(launch(kernel, x), (f64(x) ** 2).sum(1, keepdims=True), rtol=1e-5)


@pytest.mark.parametrize("dtype", [BF16, FP16, FP32])
@pytest.mark.parametrize("with_gamma", [False, True])
@pytest.mark.parametrize("count", [None, 0, 500])
def test_rms_rows(dtype: Any, with_gamma: bool, count: int | None) -> None:
    def kernel(x: Any, gamma: Any) -> Any:
        into, weights = sbuf(x.shape), sbuf(x.shape)
        tiles.load_broadcast(weights, gamma)
        norm.rms_norm_rows(into, in_sbuf(x), 0.1, manager(), weights if with_gamma else None, count)
        return in_hbm(into)

    x, gamma = drawn((50, 700), dtype), drawn((1, 700), dtype, 1)
    want = rms_norm(f64(x), f64(gamma) if with_gamma else None, 0.1, count or None)
    check_close(launch(kernel, x, gamma), want, rtol=1e-5)


@pytest.mark.parametrize("columns", [16, 512, 1300])
def test_layer_rows(columns: int) -> None:
    def kernel(x: Any) -> Any:
        tile = in_sbuf(x, nl.float32)
        norm.layer_norm_rows(tile, tile, 0.1, manager())
        return in_hbm(tile)

    x = (drawn((50, columns), FP32) + 3).astype(BF16)
    check_close(launch(kernel, x), layer_norm(f64(x), eps=0.1), rtol=1e-5)


def test_mean_and_variance() -> None:
    def kernel(x: Any) -> Any:
        stats = sbuf((x.shape[0], 2))
        norm.row_mean_variance(stats, in_sbuf(x), manager())
        return in_hbm(stats)

    x = drawn((128, 1100), FP32) + 5
    check_close(launch(kernel, x)[:, 0], f64(x).mean(1), rtol=1e-5)
    check_close(launch(kernel, x)[:, 1], f64(x).var(1), rtol=1e-5)


def spread(block: Any, x: Any, rows: tuple[Any, ...], dtype: Any = nl.float32) -> Any:
    """A norm of ``x[T, H]`` in the spread layout; ``rows`` are ``[1, H]`` or None. Returns ``[128, T, H1]``."""

    def kernel(x: Any, rows: Any) -> Any:
        shape = (128, x.shape[0], x.shape[1] // 128)
        tile, into, held = sbuf(shape, x.dtype), sbuf(shape, dtype), []
        tiles.load_hidden(tile, x)
        for row in rows:
            held.append(None if row is None else sbuf((128, shape[2]), row.dtype))
            if row is not None:
                tiles.load_hidden_row(held[-1], row)
        block(into, tile, held)
        return in_hbm(into)

    return launch(kernel, x, rows)


@pytest.mark.parametrize("dtype", [BF16, FP16, FP32])
@pytest.mark.parametrize("tokens", [1, 7, 600])
@pytest.mark.parametrize("with_gamma", [False, True])
def test_rms_spread(dtype: Any, tokens: int, with_gamma: bool) -> None:
    x, gamma = drawn((tokens, 384), dtype), drawn((1, 384), dtype, 1) if with_gamma else None
    got = spread(
        lambda into, tile, held: norm.rms_norm_spread(into, tile, held[0], 0.1, 300, manager()), x, (gamma,)
    )
    want = rms_norm(f64(x), None if gamma is None else f64(gamma), 0.1, 300)
    check_close(got, to_sbuf_h(want), rtol=1e-5)


def test_rms_spread_with_gamma_for_each_token() -> None:
    def kernel(x: Any, gammas: Any) -> Any:
        shape = (128, *x.shape[:1], x.shape[1] // 128)
        tile, weights, into = sbuf(shape, x.dtype), sbuf(shape, x.dtype), sbuf(shape)
        tiles.load_hidden(tile, x)
        tiles.load_hidden(weights, gammas)
        norm.rms_norm_spread(into, tile, weights, 0.1, 256, manager())
        return in_hbm(into)

    x, gammas = drawn((5, 256)), drawn((5, 256), seed=1)
    check_close(launch(kernel, x, gammas), to_sbuf_h(rms_norm(f64(x), None, 0.1) * f64(gammas)), rtol=1e-5)


@pytest.mark.parametrize("chunk", [1, 3 * 4, 8192])
def test_spread_norms_in_chunks_of_tokens(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(norm, "SPREAD_ELEMENTS", chunk)
    x, gamma, beta = drawn((10, 512)), drawn((1, 512), seed=1), drawn((1, 512), seed=2)
    got = spread(
        lambda into, tile, held: norm.rms_norm_spread(into, tile, held[0], 0.1, 512, manager()), x, (gamma,)
    )
    check_close(got, to_sbuf_h(rms_norm(f64(x), f64(gamma), 0.1)), rtol=1e-5)
    got = spread(
        lambda into, tile, held: norm.layer_norm_spread(into, tile, *held, 0.1, manager()), x, (gamma, beta)
    )
    check_close(got, to_sbuf_h(layer_norm(f64(x), f64(gamma), f64(beta), 0.1)), rtol=1e-5)


@pytest.mark.parametrize("weights", ["neither", "gamma", "both"])
@pytest.mark.parametrize("tokens", [1, 600])
def test_layer_spread(weights: str, tokens: int) -> None:
    x = drawn((tokens, 384)) + np.asarray(1, BF16)
    gamma = None if weights == "neither" else drawn((1, 384), seed=1)
    beta = drawn((1, 384), seed=2) if weights == "both" else None
    got = spread(
        lambda into, tile, held: norm.layer_norm_spread(into, tile, *held, 0.1, manager()), x, (gamma, beta)
    )
    want = layer_norm(f64(x), None if gamma is None else f64(gamma), None if beta is None else f64(beta), 0.1)
    check_close(got, to_sbuf_h(want), rtol=1e-5)


def test_constant_tokens_have_no_variance() -> None:
    x = np.full((3, 256), 100.25, FP32)
    beta = drawn((1, 256), FP32, 2)
    got = spread(
        lambda into, tile, held: norm.layer_norm_spread(into, tile, *held, 1e-6, manager()),
        x,
        (np.ones((1, 256), FP32), beta),
    )
    check_close(got, to_sbuf_h(np.repeat(f64(beta), 3, 0)), rtol=1e-5)


@pytest.mark.parametrize("kind", ["rms", "layer"])
def test_spread_norms_work_in_place_and_on_the_heap(kind: str) -> None:
    def kernel(x: Any, gamma: Any) -> Any:
        sbm = SbufManager(0, 64 << 10)
        sbm.open_scope()
        tile = sbm.alloc_stack((128, 6, 2), nl.bfloat16)
        weights = sbm.alloc_stack((128, 2), nl.bfloat16)
        tiles.load_hidden(tile, x)
        tiles.load_hidden_row(weights, gamma)
        before = sbm.get_stack_curr_addr()
        part = TensorView(tile).slice(1, 2, 5)
        if kind == "rms":
            norm.rms_norm_spread(part, part, weights, 0.1, 256, sbm, on_heap=True)
        else:
            norm.layer_norm_spread(part, part, weights, None, 0.1, sbm, on_heap=True)
        assert sbm.get_stack_curr_addr() == before
        assert sbm.get_heap_curr_addr() == 64 << 10
        assert sbm.max_heap_usage > 0
        sbm.close_scope()
        return in_hbm(tile)

    x, gamma = drawn((6, 256)), drawn((1, 256), seed=1)
    want = f64(x)
    function = rms_norm if kind == "rms" else layer_norm
    want[2:5] = function(f64(x[2:5]), f64(gamma), eps=0.1)
    check_close(launch(kernel, x, gamma), to_sbuf_h(want), rtol=2**-8)
