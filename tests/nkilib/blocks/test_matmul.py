"""Products and transposes against float64, over ragged tiles, views and column ranges."""

from __future__ import annotations

from typing import Any

import nki.isa as nisa
import nki.language as nl
import numpy as np
import pytest
from blockcheck import BF16, FP8, FP16, FP32, drawn, in_hbm, in_sbuf, sbuf
from kernels import check_close, launch, on_chip, rejected

import nkisim
from nkilib.blocks import matmul, tiles
from nkilib.blocks.memory import manager, psum_tile, scratch
from nkilib.core.utils.tensor_view import TensorView


def f64(x: Any) -> Any:
    return np.asarray(x).astype(np.float64)


def product(a: Any, b: Any, **options: Any) -> Any:
    """``aᵀ b`` of ``a[K, M]`` and ``b[K, N]``."""

    def kernel(a: Any, b: Any) -> Any:
        count = tiles.tiles_of(a.shape[0])
        left = sbuf((128, count, a.shape[1]), a.dtype)
        right = sbuf((128, count, b.shape[1]), b.dtype)
        tiles.load_rows(left, a)
        tiles.load_rows(right, b)
        total = psum_tile((a.shape[1], b.shape[1]))
        matmul.contract(total, left, right, a.shape[0], **options)
        return in_hbm(total)

    return launch(kernel, a, b)


@pytest.mark.parametrize("rows", [1, 128, 130, 384, 500])
def test_contract_sums_over_all_rows(rows: int) -> None:
    a, b = drawn((rows, 128)), drawn((rows, 512), seed=1)
    check_close(product(a, b), f64(a).T @ f64(b), rtol=1e-6)


@pytest.mark.parametrize(("first", "second"), [(FP16, BF16), (FP8, BF16), (FP32, FP32), (FP8, FP8)])
def test_contract_types(first: Any, second: Any) -> None:
    a, b = drawn((200, 3), first), drawn((200, 7), second, seed=1)
    check_close(product(a, b), f64(a).T @ f64(b), rtol=1e-6)


@pytest.mark.parametrize(("rows", "matmuls"), [(128, 1), (256, 1), (300, 2), (384, 2), (640, 3), (700, 4)])
def test_double_row_takes_two_tiles_at_a_time(rows: int, matmuls: int) -> None:
    a, b = drawn((rows, 16), FP8), drawn((rows, 32), FP8, seed=1)
    with nkisim.trace() as trace:
        got = product(a, b, double_row=True)
    check_close(got, f64(a).T @ f64(b), rtol=1e-6)
    assert trace.instructions()["tensor"] == {"nc_matmul": matmuls}


@pytest.mark.parametrize("as_views", [False, True])
def test_contract_of_columns(as_views: bool) -> None:
    def kernel(a: Any, b: Any) -> Any:
        left, right = sbuf((128, 2, 40), a.dtype), sbuf((128, 2, 60), b.dtype)
        tiles.load_rows(left, a)
        tiles.load_rows(right, b)
        total = psum_tile((8, 20))
        if as_views:
            left, right = TensorView(left).slice(2, 3, 40), TensorView(right).slice(2, 2, 60)
            matmul.contract(total, left, right, 200, (2, 8), (5, 20))
        else:
            matmul.contract(total, left, right, 200, (5, 8), (7, 20))
        return in_hbm(total)

    a, b = drawn((200, 40)), drawn((200, 60), seed=1)
    check_close(launch(kernel, a, b), f64(a[:, 5:13]).T @ f64(b[:, 7:27]), rtol=1e-6)


@pytest.mark.parametrize(
    ("rows", "columns"),
    [(200, (33, 8)), (300, (0, 8)), (140, (0, 8))],
    ids=["columns", "tiles", "partitions"],
)
def test_a_product_outside_a_view_is_refused(rows: int, columns: tuple[int, int]) -> None:
    def kernel(a: Any) -> None:
        held = sbuf((128, 2, 40), a.dtype)
        tiles.load_rows(held, a)
        part = TensorView(held).slice(0, 0, 100) if rows == 140 else TensorView(held)
        matmul.contract(psum_tile((8, 40)), part, held, rows, columns)

    with rejected("the product is outside its operand"):
        launch(kernel, drawn((256, 40)))


def test_contract_in_the_spread_hidden_layout() -> None:
    def kernel(x: Any, w: Any) -> Any:
        spread, weights = sbuf((128, 6, 3), x.dtype), sbuf((128, 3, 50), w.dtype)
        tiles.load_hidden(spread, x)
        tiles.load_rows_by_partition(weights, w)
        total = psum_tile((6, 50))
        matmul.contract(total, TensorView(spread).permute((0, 2, 1)), weights, 384)
        return in_hbm(total)

    x, w = drawn((6, 384)), drawn((384, 50), seed=1)
    check_close(launch(kernel, x, w), f64(x) @ f64(w), rtol=1e-6)


@pytest.mark.parametrize("double_row", [False, True])
def test_shallow_tiles_and_sums_over_several_calls(double_row: bool) -> None:
    def kernel(a: Any, b: Any) -> Any:
        left, right = sbuf((48, 5, 9), a.dtype), sbuf((48, 5, 11), b.dtype)
        for i in range(5):
            nisa.dma_copy(dst=left[:, i, :], src=a[i * 48 : i * 48 + 48])
            nisa.dma_copy(dst=right[:, i, :], src=b[i * 48 : i * 48 + 48])
        total = psum_tile((9, 11))
        matmul.contract(total, left, right, 5 * 48, depth=48, double_row=double_row)
        matmul.contract(total, left, right, 48, depth=48)
        return in_hbm(total)

    a, b = drawn((240, 9), FP8), drawn((240, 11), FP8, seed=1)
    check_close(launch(kernel, a, b), f64(a).T @ f64(b) + f64(a[:48]).T @ f64(b[:48]), rtol=1e-6)


def transposed(x: Any, scale: Any = None, shift: Any = None, dtype: Any = None) -> Any:
    """``x[P, F]`` transposed, as ``[F, P]``."""

    def kernel(x: Any, scale: Any, shift: Any) -> Any:
        rows, columns = x.shape
        count = tiles.tiles_of(columns)
        flipped = sbuf((128, count, rows), dtype or x.dtype)
        held = []
        for values in (scale, shift):
            held.append(None if values is None else sbuf((128, count)))
            if values is not None:
                tiles.load_column(held[-1], values)
        matmul.transpose(flipped, in_sbuf(x), *held)
        out = nl.ndarray((columns, rows), dtype=flipped.dtype, buffer=nl.shared_hbm)
        tiles.store_rows(out, flipped)
        return out

    return launch(kernel, x, scale, shift)


@pytest.mark.parametrize("rows", [1, 40, 128])
@pytest.mark.parametrize("columns", [5, 128, 1000, 1280])
def test_transpose(rows: int, columns: int) -> None:
    x = drawn((rows, columns))
    assert np.array_equal(transposed(x), x.T)


def test_transpose_fp32_and_cast() -> None:
    x = drawn((100, 700), FP32)
    assert np.array_equal(transposed(x), x.T)
    assert np.array_equal(transposed(x, dtype=nl.bfloat16), x.T.astype(BF16))


@pytest.mark.parametrize(("scaled", "shifted"), [(True, False), (False, True), (True, True)])
def test_transpose_scales_columns(scaled: bool, shifted: bool) -> None:
    x = drawn((100, 300))
    scale, shift = drawn((1, 300), FP32, 1), drawn((1, 300), FP32, 2)
    want = f64(x.T) * (f64(scale.T) if scaled else 1) + (f64(shift.T) if shifted else 0)
    got = transposed(x, scale if scaled else None, shift if shifted else None, nl.float32)
    check_close(got, want, rtol=1e-6)


def test_transpose_evacuates_a_bank_at_a_time() -> None:
    with nkisim.trace() as trace:
        transposed(drawn((128, 2048)))
    counts = trace.instructions()
    copies = sum(engine.get("tensor_copy", 0) for engine in counts.values())
    assert copies == 2
    assert counts["tensor"] == {"nc_transpose": 16}


@pytest.mark.parametrize("columns", [1, 512, 700])
@pytest.mark.parametrize("on_heap", [False, True])
def test_sum_over_partitions(columns: int, on_heap: bool) -> None:
    def kernel(x: Any, bias: Any) -> Any:
        total = sbuf((128, columns))
        matmul.sum_over_partitions(total, in_sbuf(x), manager(), nl.square, 0.5, in_sbuf(bias), on_heap)
        return in_hbm(total)

    x, bias = drawn((128, columns), FP32), drawn((128, 1), FP32, 1)
    want = (0.5 * f64(x).sum(0, keepdims=True) + f64(bias)) ** 2
    check_close(launch(kernel, x, bias), want, rtol=1e-5)


@pytest.mark.parametrize("dtype", [BF16, FP32])
@pytest.mark.parametrize("columns", [1, 512, 700])
def test_a_row_on_all_partitions(dtype: Any, columns: int) -> None:
    def kernel(row: Any) -> Any:
        spread = sbuf((100, columns), row.dtype)
        matmul.broadcast_row(spread, in_sbuf(row), manager())
        return in_hbm(spread)

    row = drawn((1, columns), dtype)
    assert np.array_equal(launch(kernel, row), np.repeat(row, 100, 0))


@pytest.mark.parametrize("rows", [1, 128, 200, 1024, 1100])
@pytest.mark.parametrize("dtype", [BF16, FP32])
def test_transpose_tiles(rows: int, dtype: Any) -> None:
    """Exact; one instruction leaves PSUM for each bank of tiles."""

    def kernel(x: Any) -> Any:
        held = sbuf((128, tiles.tiles_of(rows), 48), x.dtype)
        tiles.load_rows(held, x)
        columns = sbuf((48, rows), x.dtype)
        matmul.transpose_tiles(columns, held, rows)
        return in_hbm(columns)

    x = drawn((rows, 48), dtype)
    with nkisim.trace() as trace:
        assert np.array_equal(launch(kernel, x), x.T)
    bank = 2048 // x.dtype.itemsize
    assert trace.instructions()["vector"] == {"tensor_copy": -(-rows // bank)}


@pytest.mark.parametrize(("rows", "loads"), [(100, 1), (2048, 1), (2100, 2)])
@pytest.mark.parametrize("dtype", [FP32, FP16, BF16])
def test_load_transposed(dtype: Any, rows: int, loads: int) -> None:
    """A part of a tensor, converted to bfloat16; what has that type already is loaded at once."""

    def kernel(x: Any) -> Any:
        columns = sbuf((32, rows), BF16)
        source = TensorView(x).select(0, 1).slice(0, 3, 3 + rows)
        matmul.load_transposed(columns, source, manager())
        return in_hbm(columns)

    x = drawn((2, rows + 5, 32), dtype)
    with nkisim.trace() as trace:
        got = launch(kernel, x)
    assert np.array_equal(got, x[1, 3 : 3 + rows].T.astype(BF16))
    assert sum(event.cost.source == "hbm" for event in trace.events) == (1 if dtype == BF16 else loads)


@pytest.mark.parametrize("dtype", [BF16, FP32, FP8])
@pytest.mark.parametrize(("planes", "tokens"), [(1, 4), (9, 128), (20, 1)])
def test_rows_of_spread(planes: int, tokens: int, dtype: Any) -> None:
    rows = drawn((tokens, 128 * planes), dtype)

    def body(dst: Any, spread: Any) -> None:
        work = scratch(manager())
        nisa.tensor_copy(dst=dst, src=matmul.rows_of_spread(spread, work))
        work.close()

    spread = rows.reshape(tokens, 128, planes).transpose(1, 2, 0)
    got = on_chip(body, [np.ascontiguousarray(spread)], (rows.shape, dtype))
    assert np.array_equal(got.astype(FP32), rows.astype(FP32))


@pytest.mark.parametrize("on_scalar", [False, True])
def test_who_empties_psum(on_scalar: bool) -> None:
    """The values are the same; the engine is the one asked for."""
    x = drawn((100, 300), FP32)

    def body(dst: Any, rows: Any) -> None:
        matmul.transpose(dst, rows, on_scalar=on_scalar)

    with nkisim.trace() as trace:
        got = on_chip(body, [x], ((128, 3, 100), FP32))
    assert np.array_equal(got.transpose(2, 1, 0).reshape(100, -1)[:, :300], x)
    assert ("scalar" in {str(engine) for engine in trace.busy()}) == on_scalar


@pytest.mark.parametrize("dtype", [BF16, FP32])
def test_a_row_is_added_in_psum(dtype: Any) -> None:
    left, right, row = drawn((128, 1, 20), dtype), drawn((128, 1, 70), dtype, 1), drawn((1, 70), dtype, 2)

    def body(dst: Any, left: Any, right: Any, row: Any) -> None:
        ones = sbuf((1, 20), dtype)
        nisa.memset(dst=ones, value=1.0)
        product = psum_tile((20, 70))
        matmul.contract(product, left, right, 128)
        matmul.add_row(product, row, ones)
        nisa.tensor_copy(dst=dst, src=product)

    want = left[:, 0].astype(np.float64).T @ right[:, 0].astype(np.float64) + row.astype(np.float64)
    check_close(on_chip(body, [left, right, row], ((20, 70), FP32)), want, rtol=1e-5)
