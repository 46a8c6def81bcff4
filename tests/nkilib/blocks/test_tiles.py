"""Loads and stores: every element lands where the layout says, and nothing else is touched."""

from __future__ import annotations

from typing import Any

import nki.isa as nisa
import nki.language as nl
import numpy as np
import pytest
from blockcheck import BF16, FP32, drawn
from kernels import launch, rejected
from numpy_ref import to_sbuf_h

from nkilib.blocks import tiles
from nkilib.core.utils.tensor_view import TensorView

UNTOUCHED = -7.0


def _tile(shape: tuple[int, ...], dtype: Any) -> Any:
    tile = nl.ndarray(shape, dtype=dtype, buffer=nl.sbuf)
    nisa.memset(dst=tile, value=UNTOUCHED)
    return tile


def _stored(tile: Any) -> Any:
    out = nl.ndarray(tile.shape, dtype=tile.dtype, buffer=nl.shared_hbm)
    nisa.dma_copy(dst=out, src=tile)
    return out


def loaded(load: Any, x: Any, shape: tuple[int, ...], dtype: Any = None, **options: Any) -> Any:
    """What a load puts into a tile of this shape."""

    def kernel(x: Any) -> Any:
        tile = _tile(shape, dtype or x.dtype)
        load(tile, x, **options)
        return _stored(tile)

    return launch(kernel, x)


def in_tiles(x: Any) -> Any:
    """``[R, F]`` as ``[128, ⌈R/128⌉, F]``, unfilled rows as the tests' tiles hold them."""
    count = -(-len(x) // 128)
    padded = np.full((count * 128, *x.shape[1:]), UNTOUCHED, x.dtype)
    padded[: len(x)] = x
    return padded.reshape(count, 128, *x.shape[1:]).swapaxes(0, 1)


@pytest.mark.parametrize("rows", [1, 127, 128, 129, 256, 300])
def test_rows_fill_tiles_with_a_ragged_end(rows: int) -> None:
    x = drawn((rows, 5))
    assert np.array_equal(loaded(tiles.load_rows, x, (128, -(-rows // 128), 5)), in_tiles(x))


@pytest.mark.parametrize("rows", [1, 128, 300])
def test_store_rows_is_the_inverse(rows: int) -> None:
    def kernel(x: Any) -> Any:
        tile = _tile((128, tiles.tiles_of(rows), 5), x.dtype)
        out = nl.ndarray((rows, 5), dtype=x.dtype, buffer=nl.shared_hbm)
        tiles.load_rows(tile, x)
        tiles.store_rows(out, tile)
        return out

    x = drawn((rows, 5))
    assert np.array_equal(launch(kernel, x), x)


def test_views_choose_rows_and_columns() -> None:
    def kernel(x: Any) -> Any:
        tile = _tile((128, 2, 8), x.dtype)
        part = TensorView(x).slice(0, 10, 140).slice(1, 3, 6)
        tiles.load_rows(TensorView(tile).slice(2, 4, 7), part)
        return _stored(tile)

    x = drawn((150, 9))
    want = np.full((128, 2, 8), UNTOUCHED, np.float32)
    want[:, :, 4:7] = in_tiles(x[10:140, 3:6])
    assert np.array_equal(launch(kernel, x).astype(np.float32), want)


def test_loads_convert() -> None:
    x = drawn((130, 4), FP32)
    got = loaded(tiles.load_rows, x, (128, 2, 4), nl.bfloat16)
    assert np.array_equal(got, in_tiles(x.astype(BF16)))


def test_neighbouring_rows_on_a_partition() -> None:
    x = drawn((384, 5))
    assert np.array_equal(loaded(tiles.load_rows_by_partition, x, (128, 3, 5)), x.reshape(128, 3, 5))


def test_rows_by_partition_must_divide() -> None:
    with rejected("129"):
        loaded(tiles.load_rows_by_partition, drawn((129, 5)), (128, 2, 5))


@pytest.mark.parametrize("shards", [1, 2])
@pytest.mark.parametrize("tokens", [1, 3])
def test_hidden_spread_over_partitions(shards: int, tokens: int) -> None:
    x = drawn((tokens, 512))
    got = loaded(tiles.load_hidden, x, (128, tokens, 4), shards=shards)
    assert np.array_equal(got, to_sbuf_h(x, shards))


@pytest.mark.parametrize("dtype", [BF16, FP32])
def test_transposed_hidden(dtype: Any) -> None:
    x = drawn((3, 512), dtype)
    got = loaded(tiles.load_hidden, x, (128, 3, 4), transposed=True)
    assert np.array_equal(got, x.reshape(3, 4, 128).transpose(2, 0, 1))


def test_hidden_must_divide() -> None:
    with rejected("H = 384"):
        loaded(tiles.load_hidden, drawn((1, 384)), (128, 1, 3), shards=2)
    with rejected("one shard"):
        loaded(tiles.load_hidden, drawn((1, 512)), (128, 1, 4), shards=2, transposed=True)


@pytest.mark.parametrize("shards", [1, 2])
def test_store_hidden_is_the_inverse(shards: int) -> None:
    def kernel(x: Any) -> Any:
        tile = _tile((128, 3, 4), x.dtype)
        out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
        tiles.load_hidden(tile, x, shards)
        tiles.store_hidden(out, tile, shards)
        return out

    x = drawn((3, 512))
    assert np.array_equal(launch(kernel, x), x)


@pytest.mark.parametrize("shards", [1, 2])
def test_hidden_row(shards: int) -> None:
    row = drawn((1, 512))
    assert np.array_equal(
        loaded(tiles.load_hidden_row, row, (128, 4), shards=shards), to_sbuf_h(row, shards)[:, 0]
    )


def test_transposed_hidden_row() -> None:
    row = drawn((1, 512))
    got = loaded(tiles.load_hidden_row, row, (128, 4), transposed=True)
    assert np.array_equal(got, row.reshape(4, 128).T)


def test_broadcast_puts_a_row_on_all_partitions() -> None:
    row = drawn((1, 40))
    assert np.array_equal(loaded(tiles.load_broadcast, row, (100, 40)), np.repeat(row, 100, 0))


@pytest.mark.parametrize("length", [1, 128, 200])
def test_column_runs_down_the_partitions(length: int) -> None:
    row = drawn((1, length))
    got = loaded(tiles.load_column, row, (128, -(-length // 128)))
    assert np.array_equal(got, in_tiles(row[0]))


@pytest.mark.parametrize("start", [0, 3, 10])
def test_from_runtime_start(start: int) -> None:
    """Rows, and columns, from an index that only the run knows."""
    x = drawn((2, 20, 15), FP32)

    def kernel(x: Any, at: Any) -> Any:
        index = nl.ndarray((1, 1), dtype=nl.int32, buffer=nl.sbuf)
        nisa.dma_copy(dst=index, src=at)
        rows = _tile((8, 1, 15), FP32)
        part = TensorView(x).select(0, 1).slice(0, 0, 8)
        tiles.load_rows(rows, tiles.from_runtime_start(part, 1, index))
        columns = _tile((20, 5), FP32)
        part = TensorView(x).select(0, 1).slice(1, 0, 5)
        nisa.dma_copy(dst=columns, src=tiles.from_runtime_start(part, 2, index).get_view())
        return _stored(rows), _stored(columns)

    rows, columns = launch(kernel, x, np.array([[start]], np.int32))
    assert np.array_equal(rows[:, 0], x[1, start : start + 8])
    assert np.array_equal(columns, x[1, :, start : start + 5])


@pytest.mark.parametrize("shape", [(128, 512), (70, 300), (1, 128), (50, 60)])
@pytest.mark.parametrize("dtype", [BF16, FP32])
def test_transpose_by_dma(shape: tuple[int, int], dtype: Any) -> None:
    """Exact, and nothing else is touched."""
    rows, columns = shape
    x = drawn(shape, dtype)

    def kernel(x: Any) -> Any:
        held = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.sbuf)
        nisa.dma_copy(dst=held, src=x)
        flipped = _tile((128, -(-columns // 128), rows), x.dtype)
        tiles.transpose_by_dma(flipped, held)
        return _stored(flipped)

    assert np.array_equal(launch(kernel, x), in_tiles(x.T))


@pytest.mark.parametrize("shards", [1, 2])
def test_sums_with_the_hidden_dimension_spread(shards: int) -> None:
    """Added in float32: 256 + 1 + 1 is 258, which bfloat16 loses step by step."""
    parts = [np.full((3, 512), value, BF16) for value in (256.0, 1.0, 1.0)]
    parts[0][1, 300] = 7.0
    got = loaded(lambda tile, x: tiles.load_hidden_sum(tile, x, shards), parts, (128, 3, 4), BF16)
    total = sum(np.asarray(part, np.float64) for part in parts)
    assert np.array_equal(got, to_sbuf_h(total, shards))


def test_sums_of_rows() -> None:
    parts = [np.full((3, 5), value, BF16) for value in (256.0, 1.0, 1.0)]
    got = loaded(tiles.load_sum, parts, (3, 5), BF16)
    assert np.array_equal(got, np.full((3, 5), 258.0))


@pytest.mark.parametrize("columns", [128, 300])
def test_tokens_of_hbm_are_transposed(columns: int) -> None:
    x = drawn((70, columns))
    got = loaded(tiles.transpose_by_dma, x, (128, -(-columns // 128), 70))
    for tile in range(-(-columns // 128)):
        part = x[:, 128 * tile : 128 * (tile + 1)].T
        assert np.array_equal(got[: len(part), tile], part)
