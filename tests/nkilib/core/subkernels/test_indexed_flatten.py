"""Rows scattered into a flat buffer, exactly: offsets, ranges, overlaps, two cores, and checks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kernels import check_close, launch, rejected
from npref_attn import indexed_flatten_ref

import nkisim
from nkilib.core.subkernels.indexed_flatten import indexed_flatten
from nkilib.core.subkernels.indexed_flatten_torch import indexed_flatten_torch_ref

I32 = np.int32


def counted(rows: int, length: int, dtype: Any = I32) -> Any:
    return np.arange(rows * length).reshape(rows, length).astype(dtype)


def padded_length(elements: int) -> int:
    return -(-(elements + 1024) // 128) * 128


def following(rows: int, length: int, f_len: int) -> Any:
    """Offsets of rows that stand one after the other."""
    return (np.arange(rows) * (length // f_len)).astype(I32)


def check(
    x: Any, f_len: int, output_len: int, offsets: Any, start: int | None = None, lnc: int = 2, **options: Any
) -> None:
    begin = None if start is None else np.array([start], I32)
    got = launch(indexed_flatten, x, f_len, output_len, offsets, begin, lnc=lnc, **options)
    want = indexed_flatten_ref(x, f_len, output_len, offsets, start or 0, cores=lnc, **options)
    assert got.dtype == x.dtype
    check_close(got, want, 0, 0)
    assert np.array_equal(got, want)  # to the last bit of integers that float32 does not have


@pytest.mark.parametrize("lnc", [1, 2])
@pytest.mark.parametrize(
    ("length", "rows", "f_len"),
    [(4096, 1, 128), (4096, 2, 256), (4096, 3, 128), (2048, 17, 128), (2048, 2, 128), (20480, 2, 128)],
)
def test_rows_one_after_the_other(length: int, rows: int, f_len: int, lnc: int) -> None:
    check(counted(rows, length), f_len, padded_length(rows * length), following(rows, length, f_len), lnc=lnc)


@pytest.mark.slow
@pytest.mark.parametrize(("length", "rows", "f_len"), [(10240, 17, 128), (65536, 4, 256), (4096, 256, 128)])
def test_many_blocks(length: int, rows: int, f_len: int) -> None:
    check(counted(rows, length), f_len, padded_length(rows * length), following(rows, length, f_len))


@pytest.mark.parametrize(
    ("length", "rows", "count", "start"), [(4096, 2, 4, 2), (4096, 3, 5, 1), (2048, 4, 8, 4), (2048, 2, 2, 0)]
)
def test_offsets_from_a_start(length: int, rows: int, count: int, start: int) -> None:
    check(counted(rows, length), 128, padded_length(count * length), following(count, length, 128), start)


def test_any_order_and_gaps() -> None:
    check(counted(4, 2048), 128, 2048 * 8, np.array([64, 3, 100, 32], I32))


def test_padding() -> None:
    for padding in (0, 7):
        check(counted(2, 2048) + 8, 128, 2048 * 3, np.array([20, 3], I32), padding_val=padding)


@pytest.mark.parametrize("offset", [-20, -5, 24, 30, 31, 32, 1000, 2**31 - 1, -(2**31)])
def test_blocks_out_of_range_are_left_out(offset: int) -> None:
    check(counted(2, 2048), 128, 32 * 128, np.array([0, offset], np.int64).astype(I32))


def test_overlaps() -> None:
    x = np.random.default_rng(0).integers(0, 1000, (4, 2048)).astype(I32)
    check(x, 128, 2048 * 4, np.array([0, 8, 30, 38], I32))
    check(x, 128, 2048 * 4, np.array([0, 30, 8, 38], I32))


def test_values_smaller_than_the_padding_are_lost_to_the_other_core() -> None:
    check(-counted(2, 2048) - 2, 128, 2048 * 3, np.array([0, 20], I32))


def test_large_numbers_are_exact() -> None:
    check(counted(2, 2048) + (1 << 30), 128, 2048 * 3, np.array([0, 20], I32))


def test_floats() -> None:
    x = np.random.default_rng(0).random((3, 2048)).astype(np.float32)
    check(x, 128, 2048 * 4, np.array([0, 20, 40], I32))


def test_the_language_and_memory_are_checked() -> None:
    with nkisim.strict():
        check(counted(3, 2048), 128, 2048 * 6, following(4, 2048, 128), 1)
        check(counted(1, 20480), 128, 20480 + 1024, np.array([4], I32))


def test_runs_agree_bit_by_bit() -> None:
    x, offsets = counted(3, 2048), np.array([0, 20, 8], I32)
    first, second = (launch(indexed_flatten, x, 128, 2048 * 4, offsets, lnc=2).tobytes() for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("shape", "f_len", "output_len", "count", "start", "words"),
    [
        ((2, 2048), 128, 100, 2, None, "multiple of 128"),
        ((2, 2560), 160, 3840 + 128, 2, None, "multiple of f_len"),
        ((2, 2100), 128, 4096, 2, None, "T = 2100"),
        ((2, 1024), 128, 4096, 2, None, "multiple of 16, it is 8"),
        ((2, 2048), 128, 4096, 3, None, "one entry for each of 2 rows"),
        ((2, 2048), 128, 4096, 1, 0, "at least 2 entries"),
        ((2, 2, 2048), 128, 4096, 2, None, "[E, T]"),
        ((2, 2048), 0, 4096, 2, None, "f_len must be positive"),
    ],
)
def test_checks(shape: Any, f_len: int, output_len: int, count: int, start: int | None, words: str) -> None:
    begin = None if start is None else np.array([start], I32)
    with rejected(words):
        launch(indexed_flatten, np.zeros(shape, I32), f_len, output_len, np.zeros(count, I32), begin, lnc=2)


class Stand(np.ndarray):
    """An array with the methods of a torch tensor that the reference uses."""

    def new_full(self, shape: Any, value: Any) -> Any:
        return np.full(shape, value, self.dtype).view(Stand)


def test_torch_reference() -> None:
    x, offsets = counted(3, 2048), np.array([0, 20, -5], I32)
    got = indexed_flatten_torch_ref(x.view(Stand), 128, 2048 * 4, offsets.view(Stand), padding_val=7)
    assert np.array_equal(got, indexed_flatten_ref(x, 128, 2048 * 4, offsets, padding_val=7, cores=1))
