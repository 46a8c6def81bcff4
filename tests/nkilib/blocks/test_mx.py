"""MX operands: where scales and lanes lie, quantisation and products against the formats' definition."""

from __future__ import annotations

from typing import Any

import nki.isa as nisa
import nki.language as nl
import numpy as np
import pytest
from blockcheck import BF16, FP32, drawn, in_hbm, in_sbuf
from kernels import check_close, launch, rejected
from mxs import packed
from numpy_ref import mx_dequant, mx_quantize

from nkilib.blocks import mx
from nkilib.blocks.memory import manager, psum_tile, scratch
from nkilib.blocks.projection import row_sums

PLACES = [32 * (row // 4) + row % 4 for row in range(16)]
UNUSED = 77


def weights(hidden: int, columns: int, seed: int = 1) -> tuple[Any, Any, Any]:
    """Element values ``[hidden/4, 4·columns]`` and their scales, and the matrix ``[hidden, columns]``."""
    raw = np.random.default_rng(seed).normal(size=(hidden // 4, 4 * columns)).astype(FP32)
    values, scales = mx_quantize(raw)
    dense = mx_dequant(values, scales).reshape(hidden // 4, columns, 4)
    return values, scales, dense.transpose(0, 2, 1).reshape(hidden, columns)


def spread_scales(scales: Any) -> Any:
    tile = nl.ndarray((128, scales.shape[0] // 16, scales.shape[1]), dtype=nl.uint8, buffer=nl.sbuf)
    nisa.memset(dst=tile, value=UNUSED)
    mx.load_scales(tile, scales)
    return in_hbm(tile)


@pytest.mark.parametrize("tiles", [1, 3])
def test_scales_lie_where_products_look_for_them(tiles: int) -> None:
    scales = np.random.default_rng(0).integers(0, 255, (16 * tiles, 6)).astype(np.uint8)
    want = np.full((128, tiles, 6), UNUSED)
    for row in range(16 * tiles):
        want[PLACES[row % 16], row // 16] = scales[row]
    assert np.array_equal(launch(spread_scales, scales), want)


def test_scales_come_in_whole_tiles() -> None:
    with rejected("a tile has 16 rows of scales, there are 8"):
        launch(spread_scales, np.zeros((8, 4), np.uint8))


def laid_out(x: Any, lanes: Any, tiles: int, gamma: Any, beta: Any, first: int = 0) -> Any:
    dst = nl.ndarray((128, tiles, x.shape[0], 4), dtype=x.dtype, buffer=nl.sbuf)
    factors = [_lane_row(row, first, tiles) for row in (gamma, beta)]
    mx.arrange(dst, in_sbuf(x), lanes, manager(), *factors, first)
    return in_hbm(dst)


def _lane_row(row: Any, first: int, tiles: int) -> Any:
    if row is None:
        return None
    tile = nl.ndarray((128, row.shape[1] // 512, 4), dtype=nl.float32, buffer=nl.sbuf)
    mx.load_lane_rows(tile, row)
    return tile[:, first : first + tiles, :]


@pytest.mark.parametrize("tokens", [3, 128])
@pytest.mark.parametrize("swizzled", [False, True])
def test_lanes(tokens: int, swizzled: bool) -> None:
    """Neighbours, or quarters of 1536 columns: (tile, lane, partition) by the definition of each."""
    x = drawn((tokens, 1536))
    lanes = mx.quarters(1536) if swizzled else mx.neighbours()
    got = launch(laid_out, x, lanes, 3, None, None)
    for tile, lane in ((0, 0), (1, 3), (2, 1)):
        if swizzled:
            columns = lane * 384 + tile * 128 + np.arange(128)
        else:
            columns = 512 * tile + 4 * np.arange(128) + lane
        assert np.array_equal(got[:, tile, :, lane], x[:, columns].T)


@pytest.mark.parametrize("shifted", [False, True])
def test_lanes_are_scaled_and_shifted(shifted: bool) -> None:
    x, gamma, beta = drawn((5, 1024)), drawn((1, 1024), FP32, 1), drawn((1, 1024), FP32, 2)
    got = launch(laid_out, x, mx.neighbours(), 1, gamma, beta if shifted else None, 1)
    want = x.astype(np.float64) * gamma + (beta if shifted else 0)
    check_close(got[:, 0], want[:, 512:].reshape(5, 128, 4).swapaxes(0, 1), 4e-3)


def multiplied(x: Any, values: Any, scales: Any, at_once: int) -> Any:
    """``[M, H]`` times MX weights ``[H/4, N]``, quantised on chip; ``at_once`` 0 loads all weights first."""
    sbm = manager()
    work = scratch(sbm)
    tiles = values.shape[0] // 128
    operand = mx.mx_operand(tiles, x.shape[0], nl.float8_e4m3fn_x4, work)
    laid = work.tile((128, tiles, x.shape[0], 4), x.dtype)
    mx.arrange(laid, in_sbuf(x), mx.neighbours(), sbm)
    mx.quantize(operand, laid)
    if at_once == 0:
        loaded = mx.mx_operand(tiles, values.shape[1], values.dtype, work)
        mx.load_mx(loaded, values, scales)
        product = psum_tile((x.shape[0], values.shape[1]))
        mx.contract_mx(product, operand, loaded)
        return in_hbm(product)
    sums = row_sums(x.shape[0], values.shape[1])
    mx.accumulate_mx(sums, operand, values, scales, at_once, sbm)
    out = nl.ndarray((x.shape[0], values.shape[1]), dtype=nl.float32, buffer=nl.shared_hbm)
    for piece in sums.pieces:
        part = nl.ndarray(piece.product.shape, dtype=nl.float32, buffer=nl.sbuf)
        nisa.tensor_copy(dst=part, src=piece.product)
        nisa.dma_copy(dst=out[:, piece.columns[0] : piece.columns[1]], src=part)
    work.close()
    return out


@pytest.mark.parametrize(("columns", "at_once"), [(96, 0), (700, 1), (700, 2), (700, 5)])
def test_products(columns: int, at_once: int) -> None:
    x = drawn((6, 1536))
    values, scales, dense = weights(1536, columns)
    rounded = x.astype(FP32).T.reshape(384, 4, 6).transpose(0, 2, 1).reshape(384, 24)
    activations = mx_dequant(*mx_quantize(rounded)).reshape(384, 6, 4).transpose(1, 0, 2).reshape(6, 1536)
    got = launch(multiplied, x, packed(values), scales, at_once, target="trn3")
    check_close(got, activations @ dense, 1e-5)


def test_zeros_stay_zeros() -> None:
    values, scales, _ = weights(512, 32)
    got = launch(multiplied, np.zeros((2, 512), BF16), packed(values), scales, 0, target="trn3")
    assert (got == 0).all()


def quantised_spread(spread: Any) -> Any:
    work = scratch(manager())
    hidden = spread.shape[2] * 128
    operand = mx.mx_operand(hidden // 512, spread.shape[1], nl.float8_e4m3fn_x4, work)
    mx.quantize_spread(operand, in_sbuf(spread), manager())
    return in_hbm(operand.values)


def quantised_rows(x: Any) -> Any:
    work = scratch(manager())
    tiles = x.shape[1] // 512
    lanes = nl.ndarray((128, tiles, x.shape[0], 4), dtype=x.dtype, buffer=nl.sbuf)
    mx.arrange(lanes, in_sbuf(x), mx.quarters(x.shape[1]), manager())
    operand = mx.mx_operand(tiles, x.shape[0], nl.float8_e4m3fn_x4, work)
    mx.quantize(operand, lanes)
    return in_hbm(operand.values)


@pytest.mark.parametrize("tokens", [1, 5])
def test_spread_activations_quantise_as_rows_do(tokens: int) -> None:
    x = drawn((tokens, 1024), BF16)
    spread = np.ascontiguousarray(x.reshape(tokens, 8, 128).transpose(2, 0, 1))
    got, want = launch(quantised_spread, spread, target="trn3"), launch(quantised_rows, x, target="trn3")
    assert np.array_equal(got.view(np.uint8), want.view(np.uint8))
