"""Places of what is not 0, exactly: chunks, ranges of columns, two cores, types, and checks."""

from __future__ import annotations

from typing import Any

import nki.language as nl
import numpy as np
import pytest
from kernels import check_close, launch, rejected
from npref_attn import find_nonzero_ref

import nkisim
from nkilib.experimental.benchmark.find_nonzero_indices import find_nonzero_indices_with_count
from nkilib.experimental.subkernels.find_nonzero_indices import find_nonzero_indices


def sparse(tokens: int, columns: int, dtype: str = "int32", share: float = 0.06) -> Any:
    random = np.random.default_rng(tokens)
    chosen = random.random((tokens, columns)) < share
    return (chosen * np.where(random.random(chosen.shape) < 0.5, -3, 1)).astype(dtype)


def check(x: Any, start: int | None = None, count: int | None = None, lnc: int = 2, **options: Any) -> Any:
    begin = None if start is None else np.array([start], np.int32)
    indices, counts = launch(find_nonzero_indices, x, begin, count, lnc=lnc, **options)
    want = find_nonzero_ref(x, start or 0, count)
    check_close(indices, want[0], 0, 0)
    assert np.array_equal(indices, want[0])
    assert np.array_equal(counts, want[1])
    assert counts.dtype == np.int32
    return indices


@pytest.mark.parametrize("lnc", [0, 1, 2])
@pytest.mark.parametrize("dtype", ["int32", "float32"])
@pytest.mark.parametrize(
    ("tokens", "columns"), [(128, 2), (128, 4), (256, 20), (300, 5), (100, 1), (128, 130)]
)
def test_sizes(tokens: int, columns: int, dtype: str, lnc: int) -> None:
    check(sparse(tokens, columns, dtype), lnc=lnc)


@pytest.mark.parametrize("chunk", [None, 4096, 1024])
def test_many_columns(chunk: int | None) -> None:
    check(sparse(4096, 128), chunk_size=chunk)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tokens", "start", "count", "chunk"), [(65536, 32, 16, 16384), (20480, 120, 8, None)]
)
def test_many_tokens(tokens: int, start: int, count: int, chunk: int | None) -> None:
    check(sparse(tokens, 128, share=0.03), start, count, chunk_size=chunk)


@pytest.mark.parametrize("lnc", [1, 2])
@pytest.mark.parametrize(("start", "count"), [(0, 4), (16, 16), (120, 8), (127, 1), (3, 125)])
def test_ranges_of_columns(start: int, count: int, lnc: int) -> None:
    x = sparse(256, 128)
    for chunk in (None, 128):
        got = check(x, start, count, lnc, chunk_size=chunk)
    assert np.array_equal(got, check(x)[start : start + count])


def test_the_number_of_columns_is_for_a_range() -> None:
    check(sparse(128, 6), lnc=1)
    indices, _ = launch(find_nonzero_indices, sparse(128, 6), None, 2, lnc=1)
    assert indices.shape == (6, 128)


@pytest.mark.parametrize("chunk", [128, 256, 384, 512, 100])
def test_chunks_of_full_and_empty_tokens(chunk: int) -> None:
    x = np.zeros((512, 4), np.int32)
    x[:128, 0] = x[384:, 1] = x[:, 2] = 1
    check(x, chunk_size=chunk)
    check(x, lnc=1, chunk_size=chunk)


def test_chunks_are_searched_one_by_one() -> None:
    searches = {}
    for chunk in (512, 128):
        with nkisim.trace() as trace:
            check(sparse(512, 16), lnc=1, chunk_size=chunk)
        searches[chunk] = trace.instructions()["gpsimd"]["nonzero_with_count"]
    assert searches == {512: 2, 128: 8}


def test_ends() -> None:
    x = np.zeros((256, 4), np.float32)
    x[0, 0] = x[255, 1] = 1
    x[7, 2], x[9, 3] = 1e-30, -0.0
    x[30, 3] = -1e-38
    check(x)
    check(x, chunk_size=128)


@pytest.mark.parametrize("dtype", ["int32", "float32"])
def test_types_of_indices(dtype: str) -> None:
    indices = check(sparse(256, 4), index_dtype=getattr(nl, dtype))
    assert indices.dtype == dtype


def test_cores_share_columns() -> None:
    with nkisim.races():
        check(sparse(256, 10), chunk_size=128)


@pytest.mark.parametrize(
    ("x", "options", "words"),
    [
        (np.zeros((2, 3, 4), np.int32), {}, "must be [T, E]"),
        (np.zeros((128, 4), np.int16), {}, "must have 4 bytes"),
        (np.zeros((128, 4), np.int32), {"row_start_id": np.zeros(1, np.int32)}, "needs n_rows"),
        (
            np.zeros((128, 4), np.int32),
            {"row_start_id": np.zeros(1, np.int32), "n_rows": 5},
            "must be 1 to E = 4",
        ),
        (np.zeros((128, 4), np.int32), {"chunk_size": 0}, "chunk_size must be positive"),
    ],
)
def test_checks(x: Any, options: dict[str, Any], words: str) -> None:
    with rejected(words):
        launch(find_nonzero_indices, x, **options)


@pytest.mark.parametrize("dtype", ["int32", "float32"])
@pytest.mark.parametrize("share", [0, 0.1, 1])
def test_one_row_with_its_count(dtype: str, share: float) -> None:
    x = sparse(1000, 1, dtype, share).reshape(1, -1)
    got = launch(find_nonzero_indices_with_count, x)
    indices, counts = find_nonzero_ref(x.T)
    check_close(got, np.concatenate([indices, counts[None]], 1), 0, 0)
    assert got.dtype == np.int32


def test_checks_of_one_row() -> None:
    with rejected("must be [1, T]"):
        launch(find_nonzero_indices_with_count, np.zeros((2, 8), np.int32))
    with rejected("must be float32 or int32"):
        launch(find_nonzero_indices_with_count, np.zeros((1, 8), np.int16))
