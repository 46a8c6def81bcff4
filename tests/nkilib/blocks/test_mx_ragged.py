"""MX operands with a ragged last tile: what is loaded and where, quantisation, products."""

from __future__ import annotations

from typing import Any

import nki.isa as nisa
import nki.language as nl
import numpy as np
import pytest
from blockcheck import BF16, in_hbm, in_sbuf
from kernels import cast, check_close, launch
from mxs import E2M1, E4M3, E5M2, Operand, decoded, drawn_mx, scales_in_sbuf
from numpy_ref import mx_dequant, mx_quantize

from nkilib.blocks import mx_ragged
from nkilib.blocks.memory import manager, psum_tile
from nkilib.blocks.mx import MxOperand

LENGTHS = [32, 96, 128, 160, 512, 544, 1024, 1312]
ROWS = [32 * (row // 4) + row % 4 for row in range(16)]


@pytest.mark.parametrize(
    ("length", "tiles", "rest", "padded"),
    [(32, 1, 8, 32), (512, 1, 0, 0), (544, 2, 8, 32), (704, 2, 48, 64), (992, 2, 120, 128)],
)
def test_sizes(length: int, tiles: int, rest: int, padded: int) -> None:
    assert mx_ragged.mx_tiles_of(length) == tiles
    assert mx_ragged.rest(length) == rest
    assert mx_ragged.padded(rest) == padded


def operand(length: int, columns: int, dtype: str = E2M1, seed: int = 0, rows: int = 0) -> Operand:
    """As HBM has it, with ``rows`` partitions: 128, or the only tile's."""
    return drawn_mx(rows or min(128, length // 4), -(-length // 512), columns, dtype, seed)


def used(values: Any, length: int) -> Any:
    """``values[p, tile, …]`` with zeros behind ``length``."""
    result = values.copy()
    if length % 512:
        result[length % 512 // 4 :, -1] = 0
    return result


def in_tiles(raw: Any, scales: Any, filled: bool = False) -> MxOperand:
    """Room in SBUF; ``filled`` with values and scales that are not zero."""
    shape = (128, *raw.shape[1:])
    made = MxOperand(
        values=nl.ndarray(shape, dtype=raw.dtype, buffer=nl.sbuf),
        scales=nl.ndarray(shape, dtype=nl.uint8, buffer=nl.sbuf),
    )
    if filled:
        nisa.memset(dst=made.values, value=1)
        nisa.memset(dst=made.scales, value=99)
    return made


@pytest.mark.parametrize("rows", [0, 128], ids=["as many as needed", "128 partitions"])
@pytest.mark.parametrize("length", LENGTHS)
def test_load(length: int, rows: int) -> None:
    x = operand(length, 6, rows=rows)

    def kernel(raw: Any, scales: Any) -> Any:
        dst = in_tiles(raw, scales, filled=True)
        mx_ragged.load_mx_tiles(dst, raw, scales, length)
        return in_hbm(dst.values), in_hbm(dst.scales)

    raw, scales = launch(kernel, x.raw, x.scales, target="trn3")
    words, rest = raw.view(np.uint16), length % 512 // 4
    needed = [min(128, max(0, length // 4 - 128 * tile)) for tile in range(x.raw.shape[1])]
    for tile, count in enumerate(needed):
        assert np.array_equal(words[:count, tile], x.raw.view(np.uint16)[:count, tile])
        assert np.array_equal(scales[ROWS[: count // 8], tile], x.scales[: count // 8, tile])
    if rest:
        padding = slice(rest, -(-rest // 32) * 32)
        assert not words[padding, -1].any()


@pytest.mark.parametrize("length", LENGTHS)
def test_quantize(length: int) -> None:
    """What lies behind ``length`` is NaN; padding quantises to zero."""
    tiles, rows = -(-length // 512), -(-(length % 512 or 512) // 128) * 32
    x = cast(np.random.default_rng(0).normal(size=(128, tiles, 3, 4)), BF16)
    if length % 512:
        x[length % 512 // 4 :, -1] = np.nan

    def kernel(source: Any) -> Any:
        dst = MxOperand(
            values=nl.ndarray((128, tiles, 3), dtype=nl.float8_e4m3fn_x4, buffer=nl.sbuf),
            scales=nl.ndarray((128, tiles, 3), dtype=nl.uint8, buffer=nl.sbuf),
        )
        mx_ragged.quantize_tiles(dst, in_sbuf(source), length, manager())
        return in_hbm(dst.values), in_hbm(dst.scales)

    raw, scales = launch(kernel, x, target="trn3")
    codes = raw.view(np.uint8)
    for tile in range(tiles):
        count = rows if tile == tiles - 1 else 128
        here = used(x, length)[:count, tile].astype(np.float32).reshape(count, -1)
        values, wanted = mx_quantize(here)
        got = codes.reshape(128, tiles, 12)[:count, tile]
        filled = (count if tile < tiles - 1 or length % 512 == 0 else length % 512 // 4) // 8
        assert np.array_equal(decoded(got), values)
        assert np.array_equal(scales[ROWS[:filled], tile], wanted[:filled])


@pytest.mark.parametrize("types", [(E5M2, E2M1), (E4M3, E4M3)], ids=str)
@pytest.mark.parametrize("length", LENGTHS)
def test_products(length: int, types: tuple[str, str]) -> None:
    left, right = operand(length, 6, types[0]), operand(length, 20, types[1], 1)

    def kernel(a: Any, a_scales: Any, b: Any, b_scales: Any) -> Any:
        operands = []
        for raw, scales in ((a, a_scales), (b, b_scales)):
            operands.append(in_tiles(raw, scales))
            mx_ragged.load_mx_tiles(operands[-1], raw, scales, length)
        product = psum_tile((6, 20))
        mx_ragged.contract_mx_tiles(product, *operands, length)
        return in_hbm(product)

    got = launch(kernel, left.raw, left.scales, right.raw, right.scales, target="trn3")
    want = np.einsum("pkal,pkbl->ab", used(left.values, length), used(right.values, length))
    check_close(got, want, 1e-6)


def test_the_operands_of_these_tests_are_what_they_say() -> None:
    """Packed elements and scales in SBUF, multiplied by the instruction, give the values."""
    x, one = drawn_mx(32, 1, 6, E2M1), drawn_mx(32, 1, 2, E5M2, 1)

    def kernel(*inputs: Any) -> Any:
        product = psum_tile((6, 2))
        a, a_scales, b, b_scales = inputs
        nisa.nc_matmul_mx(
            dst=product,
            stationary=in_sbuf(a)[:, 0],
            moving=in_sbuf(b)[:, 0],
            stationary_scale=scales_in_sbuf(a_scales)[0:32, 0],
            moving_scale=scales_in_sbuf(b_scales)[0:32, 0],
        )
        return in_hbm(product)

    got = launch(kernel, x.raw, x.scales, one.raw, one.scales, target="trn3")
    check_close(got, np.einsum("pkal,pkbl->ab", x.values, one.values), 1e-6)
    assert mx_dequant(np.ones((8, 4)), np.array([[128]])).tolist() == [[2.0] * 4] * 8
