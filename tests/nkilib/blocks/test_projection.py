"""Products with streamed weights, in both arrangements, and the way out of PSUM."""

from __future__ import annotations

from typing import Any

import nki.isa as nisa
import nki.language as nl
import numpy as np
import pytest
from blockcheck import BF16, FP8, FP32, drawn, in_hbm, sbuf
from kernels import check_close, launch, on_chip, rejected

from nkilib.blocks import projection
from nkilib.blocks.memory import manager, scratch
from nkilib.blocks.projection import (
    accumulate,
    add_products,
    affine,
    bank_planes,
    columns_at_once,
    plane_sums,
    row_sums,
    spread_columns,
)
from nkilib.blocks.tiles import load_rows, load_rows_by_partition, tiles_of


def turned(x: Any, by_partition: bool) -> Any:
    """HBM ``[K, T]`` as an operand."""
    tile = sbuf((128, tiles_of(x.shape[0]), x.shape[1]), x.dtype)
    (load_rows_by_partition if by_partition else load_rows)(tile, x)
    return tile


def rows_kernel(x: Any, weight: Any, by_partition: bool, resident: bool) -> Any:
    operand = turned(x, by_partition)
    sums = row_sums(x.shape[1], weight.shape[1])
    if resident:
        add_products(sums, operand, turned(weight, by_partition), weight.shape[0])
    else:
        accumulate(sums, operand, weight, manager(), by_partition)
    out = nl.ndarray((x.shape[1], weight.shape[1]), dtype=nl.float32, buffer=nl.shared_hbm)
    for piece in sums.pieces:
        tile = sbuf(piece.product.shape)
        nisa.tensor_copy(dst=tile, src=piece.product)
        first, count = piece.tokens
        nisa.dma_copy(dst=out[first : first + count, piece.columns[0] : piece.columns[1]], src=tile)
    return out


def planes_kernel(x: Any, weight: Any, strided: bool) -> Any:
    sums = plane_sums(x.shape[1], weight.shape[1], strided)
    accumulate(sums, turned(x, False), weight, manager())
    banks = [in_hbm(bank) for bank in sums.banks]
    return [banks, [bank_planes(sums, bank) for bank in range(len(banks))]]


@pytest.fixture(params=[2, 32 * 1024])
def weight_bytes(request: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of one tile of rows, and of all."""
    monkeypatch.setattr(projection, "WEIGHT_BYTES", request.param)


@pytest.mark.usefixtures("weight_bytes")
@pytest.mark.parametrize("dtype", [BF16, FP8])
@pytest.mark.parametrize(("rows", "tokens", "columns"), [(384, 4, 700), (300, 130, 600), (77, 1, 1)])
def test_rows(rows: int, tokens: int, columns: int, dtype: Any) -> None:
    x, weight = drawn((rows, tokens), dtype), drawn((rows, columns), dtype, 1)
    want = x.astype(FP32).T @ weight.astype(FP32)
    for by_partition in {False, rows % 128 == 0}:
        for resident in (False, True):
            check_close(launch(rows_kernel, x, weight, by_partition, resident), want, 1e-5)


def test_rows_of_two_dtypes() -> None:
    x, weight = drawn((256, 4)), drawn((256, 100), FP8, 1)
    check_close(launch(rows_kernel, x, weight, True, False), x.astype(FP32).T @ weight.astype(FP32), 1e-5)


@pytest.mark.usefixtures("weight_bytes")
@pytest.mark.parametrize(("tokens", "columns"), [(96, 1280), (4, 512), (3, 128)])
@pytest.mark.parametrize("strided", [False, True])
def test_planes(strided: bool, tokens: int, columns: int) -> None:
    x, weight = drawn((300, tokens)), drawn((300, columns), seed=1)
    banks, planes = launch(planes_kernel, x, weight, strided)
    assert sum(count for _, count in planes) == columns // 128
    product = (x.astype(FP32).T @ weight.astype(FP32)).T
    shape = (128, columns // 128, tokens) if strided else (columns // 128, 128, tokens)
    want = product.reshape(shape)
    if not strided:
        want = want.transpose(1, 0, 2)
    for bank, (first, count) in zip(banks, planes, strict=True):
        check_close(bank, want[:, first : first + count], 1e-5)


def test_planes_need_their_banks() -> None:
    with rejected("need 9 banks"):
        launch(planes_kernel, drawn((128, 96)), drawn((128, 41 * 128)), False)


@pytest.mark.parametrize(("tokens", "columns"), [(1, 2048), (128, 2048), (129, 1024), (300, 512), (512, 512)])
def test_columns_at_once_fill_four_banks(tokens: int, columns: int) -> None:
    assert columns_at_once(tokens) == columns
    assert -(-tokens // 128) * columns <= 2048


@pytest.mark.parametrize("scaled", ["", "number", "column"])
@pytest.mark.parametrize("multiplied", [False, True])
@pytest.mark.parametrize("shifted", [False, True])
def test_affine(shifted: bool, multiplied: bool, scaled: str) -> None:
    x, factors, shift = (drawn((100, 70), FP32, seed) for seed in range(3))
    column = drawn((100, 1), FP32, 4)

    def body(dst: Any, data: Any, by: Any, plus: Any, each: Any) -> None:
        scale = {"": None, "number": 0.5, "column": each}[scaled]
        affine(dst, data, manager(), scale, by if multiplied else None, plus if shifted else None)

    got = on_chip(body, [x, factors, shift, column], ((100, 70), BF16))
    want = x.astype(np.float64)
    if scaled:
        want = want * (0.5 if scaled == "number" else column)
    want = (want * factors if multiplied else want) + (shift if shifted else 0)
    assert np.array_equal(got.astype(FP32), want.astype(FP32).astype(BF16).astype(FP32))


def spread_kernel(row: Any) -> Any:
    work = scratch(manager())
    tile = spread_columns(row, 7, 100, 800, work, work.sbm)
    assert spread_columns(None, 7, 100, 800, work, work.sbm) is None
    out = in_hbm(tile)
    work.close()
    return out


@pytest.mark.parametrize("dtype", [BF16, FP32])
def test_spread_columns(dtype: Any) -> None:
    row = drawn((1, 900), dtype)
    got = launch(spread_kernel, row)
    assert np.array_equal(got, np.repeat(row[:, 100:800], 7, 0))


@pytest.mark.parametrize("adding", [False, True])
@pytest.mark.parametrize("form", ["none", "column", "whole"])
def test_weigh(form: str, adding: bool) -> None:
    x, held = drawn((16, 3, 5), FP32), drawn((16, 3, 5), FP32, 1)
    weight = {"none": None, "column": drawn((16, 1), FP32, 2), "whole": drawn((16, 3, 5), FP32, 3)}[form]

    def body(dst: Any, data: Any, start: Any, *given: Any) -> None:
        nisa.tensor_copy(dst=dst, src=start)
        projection.weigh(dst, data, given[0] if given else None, adding, manager())

    inputs = [x, held] if weight is None else [x, held, weight]
    product = x if weight is None else x * weight.reshape(16, *weight.shape[1:], *([1] * (3 - weight.ndim)))
    want = product + held if adding else product
    check_close(on_chip(body, inputs, ((16, 3, 5), FP32)), want, rtol=1e-6)
