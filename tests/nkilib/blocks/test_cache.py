"""Caches in SBUF: where tokens lie, flat and listed blocks, new rows in their places."""

from __future__ import annotations

from typing import Any

import nki.isa as nisa
import nki.language as nl
import numpy as np
import pytest
from blockcheck import drawn, in_hbm, sbuf
from kernels import cast, launch, on_chip
from npref_attn import tile_tokens

import nkisim
from nkilib.blocks import cache
from nkilib.blocks.cache import TokenOrder
from nkilib.blocks.memory import manager
from nkilib.blocks.tiles import as_view

ORDERS = [
    TokenOrder(tiles=4), TokenOrder(tiles=4, strided=False), TokenOrder(tiles=4, piece=1),
    TokenOrder(tiles=4, piece=2), TokenOrder(tiles=4, piece=4), TokenOrder(tiles=1),
]  # fmt: skip
NAMES = ["strided", "tiles", "pieces of 1", "pieces of 2", "pieces of 4", "one tile"]
ORDER = pytest.mark.parametrize("order", ORDERS, ids=NAMES)
FLAT = pytest.mark.parametrize("order", ORDERS[:2], ids=NAMES[:2])


def tokens(order: TokenOrder) -> Any:
    """``[128, n]``, the token at each position."""
    return tile_tokens(order.tiles, order.strided, order.piece)


@ORDER
def test_places_and_numbers(order: TokenOrder) -> None:
    want = tokens(order)
    for token in range(0, 128 * order.tiles, 3):
        assert want[cache.place(order, token)] == token
    got = on_chip(lambda dst: cache.token_numbers(dst, order, 1000), [], ((128, order.tiles), "float32"))
    assert np.array_equal(got, want + 1000)


@ORDER
@pytest.mark.parametrize("count", [1, 3, 8])
def test_runs_cover_the_tokens_once(order: TokenOrder, count: int) -> None:
    want = tokens(order)
    for start in (0, 5, 125, 128 * order.tiles - count):
        found = []
        if start + count > 128 * order.tiles:
            continue
        for run in cache.runs(order, start, count):
            assert run.first == len(found)
            for step in range(run.count):
                p, f = (step, 0) if run.across else (0, step)
                found.append(want[run.partition + p, run.tile + f])
        assert found == list(range(start, start + count))


def test_as_few_runs_as_possible() -> None:
    assert [len(cache.runs(order, 128 * order.tiles - 3, 3)) for order in ORDERS] == [1, 1, 3, 2, 1, 3]


# -- flat caches ----------------------------------------------------------------------------------------


@FLAT
def test_values(order: TokenOrder) -> None:
    rows = drawn((3, 512, 20))

    def kernel(rows):
        dst = sbuf((128, 3, 4, 20), rows.dtype)
        cache.load_values(dst, rows, order)
        return in_hbm(dst)

    assert np.array_equal(launch(kernel, rows), rows[:, tokens(order)].swapaxes(0, 1))


@FLAT
@pytest.mark.parametrize(
    ("dtype", "held"), [("bfloat16", "bfloat16"), ("float32", "float32"), ("float8_e4m3", "bfloat16")]
)
@pytest.mark.parametrize("by_depth", [True, False])
def test_keys(order: TokenOrder, dtype: str, held: str, by_depth: bool) -> None:
    """Columns ``[d, B, n, 128]``, whichever way they lie in HBM."""
    rows = drawn((2, 512, 48), dtype)
    source = rows.swapaxes(1, 2).copy() if by_depth else rows
    held = dtype if by_depth else held

    def kernel(source):
        dst = sbuf((48, 2, 512), getattr(nl, held))
        if by_depth:
            keys = cache.load_key_columns(dst, source, order)
        else:
            keys = cache.load_key_rows(dst, source, order, manager())
        copied = sbuf((48, 2, 4, 128), getattr(nl, held))
        nisa.tensor_copy(dst=copied, src=keys.get_view())
        return in_hbm(copied)

    want = cast(rows, held)[:, tokens(order).T].transpose(3, 0, 1, 2)
    assert np.array_equal(launch(kernel, source), want)


# -- blocks ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "folds", "factor"), [(0, 2, 4), (256, 2, 4), (128, 1, 3), (0, 20, 1), (1280, 19, 2)]
)
def test_piece_numbers(first: int, folds: int, factor: int) -> None:
    """More folds than are made at once, and starts within a block."""
    count = -(-(first + folds * 128) // factor)
    table = np.random.default_rng(0).integers(0, 900, (3, count)).astype(np.uint32)
    table[1, -1], table[2, 0] = 900, 2**32 - 1

    def kernel(table):
        dst = sbuf((128, folds, 3), nl.uint32)
        cache.piece_numbers(dst, table, first, factor, 900, manager())
        return in_hbm(dst)

    pieces = (table.astype(np.int64)[:, :, None] * factor + np.arange(factor)).reshape(3, -1)
    want = pieces[:, first : first + folds * 128].reshape(3, folds, 128).transpose(2, 1, 0)
    got = launch(kernel, table).astype(np.int64)
    inside = want < 900 * factor
    assert not inside.all() or first
    assert np.array_equal(got[inside], want[inside])
    assert (got[~inside] >= 900 * factor).all()


def gathered(rows: Any, table: Any, length: int) -> Any:
    """``[128, B, n, d]``; zeros for blocks that are not there."""
    there = np.where((table < len(rows))[:, :, None, None], rows[np.minimum(table, len(rows) - 1)], 0)
    flat = there.reshape(len(table), -1, rows.shape[-1])
    n = flat.shape[1] // 128
    return flat[:, tile_tokens(n, False, length)].swapaxes(0, 1)


@pytest.mark.parametrize("length", [1, 4])
@pytest.mark.parametrize(
    ("dtype", "held", "depth"),
    [("bfloat16", "bfloat16", 128), ("bfloat16", "bfloat16", 48), ("float32", "float32", 128), ("float8_e4m3", "bfloat16", 64)],
)  # fmt: skip
def test_gathering(dtype: str, held: str, depth: int, length: int) -> None:
    rows = drawn((70, 4, depth), dtype)
    table = np.random.default_rng(0).permutation(70)[:64].reshape(1, 64).repeat(2, 0)
    table[1] = table[1, ::-1]
    table[0, 5], table[1, 63] = 70, 4000
    table = np.concatenate([table, table[::-1]], 1)
    folds, n = 512 // length // 128, 4

    def gather(rows, table):
        numbers = sbuf((128, folds, 2), nl.uint32)
        cache.piece_numbers(numbers, table, 0, 4 // length, 70, manager())
        blocks = cache.blocks_of(rows, length)
        values = sbuf((128, 2, n, depth), rows.dtype)
        cache.gather_values(values, blocks, as_view(numbers), 0)
        keys = sbuf((depth, 1, 512), getattr(nl, held))
        columns = cache.gather_keys(keys, blocks, as_view(numbers), 1, manager())
        copied = sbuf((depth, 1, n, 128), getattr(nl, held))
        nisa.tensor_copy(dst=copied, src=columns.get_view())
        return in_hbm(values), in_hbm(copied)

    values, keys = launch(gather, rows, table.astype(np.uint32))
    want = gathered(rows, table, length)
    assert np.array_equal(values, want)
    assert np.array_equal(keys[:, 0], cast(want, held)[:, 1].transpose(2, 1, 0))


# -- new tokens -----------------------------------------------------------------------------------------


@ORDER
@pytest.mark.parametrize("count", [1, 5])
def test_new_tokens(order: TokenOrder, count: int) -> None:
    """Rows and columns, put over the last tokens, converted."""
    rows, n = drawn((3, count, 32), "float32"), order.tiles
    places = cache.runs(order, 128 * n - count, count)

    def kernel(rows):
        values, keys = sbuf((128, 3, n, 32), nl.bfloat16), sbuf((32, 3, n, 128), nl.bfloat16)
        nisa.memset(dst=values, value=0.0)
        nisa.memset(dst=keys, value=0.0)
        cache.put_rows(as_view(values).permute((0, 2, 1, 3)), as_view(rows).permute((1, 0, 2)), places)
        new = sbuf((32, 3, count))
        nisa.dma_copy(dst=new, src=as_view(rows).permute((2, 0, 1)).get_view())
        cache.put_key_columns(as_view(keys), as_view(new), places)
        return in_hbm(values), in_hbm(keys)

    values, keys = launch(kernel, rows)
    flat = np.concatenate([np.zeros((3, 128 * n - count, 32)), rows], 1)
    want = cast(flat, "bfloat16")[:, tokens(order)]
    assert np.array_equal(values, want.swapaxes(0, 1))
    assert np.array_equal(keys, want.transpose(3, 0, 2, 1))


# -- cost -----------------------------------------------------------------------------------------------


def test_a_load_is_one_instruction() -> None:
    """Values, and keys of 16 bits in any layout."""
    rows, order = drawn((3, 512, 64)), TokenOrder(tiles=4)

    def kernel(rows, columns):
        cache.load_values(sbuf((128, 3, 4, 64), nl.bfloat16), rows, order)
        cache.load_key_rows(sbuf((64, 3, 512), nl.bfloat16), rows, order, manager())
        cache.load_key_columns(sbuf((64, 3, 512), nl.bfloat16), columns, order)

    with nkisim.trace() as trace:
        launch(kernel, rows, rows.swapaxes(1, 2).copy())
    assert len(trace.events) == 3
