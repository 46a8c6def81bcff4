"""Result types: the promotion rules of the legacy API pages, pair by pair."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

import nkisim.beta1 as nki
import nkisim.beta1.language as nl
from nkisim.beta1.dtypes import promoted, result_type
from nkisim.core.dtypes import dtype_of

PAIRS = [
    # the examples of the page
    ("int32", "float16", "float16"),
    ("uint16", "tfloat32", "tfloat32"),
    ("float32", "tfloat32", "float32"),
    ("float32", "bfloat16", "float32"),
    ("float16", "bfloat16", "float32"),
    ("float8_e4m3", "float16", "float16"),
    ("float8_e4m3", "bfloat16", "bfloat16"),
    ("float8_e4m3", "float8_e5m2", "bfloat16"),
    ("int16", "int32", "int32"),
    ("uint8", "uint16", "uint16"),
    ("uint16", "int32", "int32"),
    ("int8", "uint8", "int16"),
    ("int8", "uint16", "int32"),
    ("int32", "uint32", "float32"),
    # the rest of the rules
    ("float8_e5m2", "tfloat32", "tfloat32"),
    ("bfloat16", "tfloat32", "tfloat32"),
    ("int16", "uint32", "float32"),
    ("int16", "uint16", "int32"),
    ("bool", "int8", "int8"),
    ("bool", "bool", "bool"),
    ("float8_e4m3", "int32", "float8_e4m3"),
]


@pytest.mark.parametrize(("first", "second", "expected"), PAIRS)
def test_pairs(first, second, expected):
    one, other = dtype_of(first), dtype_of(second)
    assert promoted(one, other) is dtype_of(expected)
    assert promoted(other, one) is dtype_of(expected)


@pytest.mark.parametrize("name", ["float32", "bfloat16", "float8_e5m2", "int8", "uint32"])
def test_equal_types_stay(name):
    assert promoted(dtype_of(name), dtype_of(name)) is dtype_of(name)


@pytest.mark.parametrize(
    ("tile", "scalar", "expected"),
    [
        ("int8", 2, "int32"),
        ("float16", 1.2, "float32"),
        ("bfloat16", 1.2, "float32"),
        ("float16", 2, "float16"),
        ("uint8", True, "uint8"),
        ("int8", True, "int16"),
        ("float16", np.float16(2), "float16"),
        ("int8", np.int8(2), "int8"),
        ("float32", np.float64(2), "float32"),
        ("int16", np.int64(2), "int32"),
    ],
)
def test_numbers_count_as_the_widest_type(tile, scalar, expected):
    @nki.jit
    def kernel():
        data = nl.zeros((2, 3), dtype=tile)
        results.append(result_type(None, data, scalar))
        results.append((data + scalar).dtype)
        results.append((scalar + data).dtype)

    results = []
    kernel()
    assert results == [dtype_of(expected)] * 3


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (lambda a, b: a + b, "float32"),
        (lambda a, b: nl.add(a, b, dtype=nl.bfloat16), "bfloat16"),
        (lambda a, b: a > b, "bool"),
        (lambda a, b: nl.greater(a, b, dtype=nl.uint8), "uint8"),
        (lambda a, b: nl.exp(a), "float16"),
        (lambda a, b: nl.exp(a, dtype=nl.float32), "float32"),
        (lambda a, b: nl.sum(a, axis=1), "float16"),
        (lambda a, b: nl.max(b, axis=[1], dtype=nl.float32), "float32"),
        (lambda a, b: nl.all(a, axis=1), "bool"),
        (lambda a, b: nl.where(a > b, a, b), "float32"),
        (lambda a, b: nl.softmax(b, axis=1), "bfloat16"),
        (lambda a, b: -a, "float16"),
        (lambda a, b: a * 1.5, "float32"),
        (lambda a, b: nl.copy(a, dtype=nl.int8), "int8"),
        (lambda a, b: a.astype(nl.bfloat16), "bfloat16"),
        (lambda a, b: nl.matmul(b, b, transpose_x=True), "float32"),
        (lambda a, b: nl.transpose(a), "float16"),
    ],
)
def test_result_types(body, expected):
    @nki.jit
    def kernel():
        found.append(body(nl.zeros((4, 4), nl.float16), nl.zeros((4, 4), nl.bfloat16)).dtype)

    found = []
    kernel()
    assert found == [dtype_of(expected)]


def test_intermediate_results_are_rounded_to_their_type(run, rng):
    x = rng.standard_normal((8, 16)).astype(ml_dtypes.bfloat16)
    found = run(lambda t: nl.exp(t) * t, x)
    rounded = np.exp(x.astype(np.float32)).astype(ml_dtypes.bfloat16).astype(np.float32)
    np.testing.assert_array_equal(found, (rounded * x.astype(np.float32)).astype(ml_dtypes.bfloat16))


def test_sums_and_products_of_32_bit_integers_are_exact(run):
    big = np.array([[2**24 + 1, 2**30 + 7], [-(2**31) + 3, 12345679]], np.int32)
    small = np.array([[3, 5], [11, 101]], np.int32)
    np.testing.assert_array_equal(run(lambda a, b: a + b, big, small), big + small)
    np.testing.assert_array_equal(run(lambda a: a + 2, big), big + np.int32(2))
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(run(lambda a, b: a * b, big, small), big * small)


def test_limits():
    assert nl.fp32.min == float(np.finfo(np.float32).min)
    assert nl.bfp16.min == float(ml_dtypes.finfo(ml_dtypes.bfloat16).min)
    assert float(nl.finfo(nl.float16).max) == 65504.0
    assert nl.float32 == np.float32
    assert nl.static_cast(np.array([1.5, 2.25]), nl.bfloat16).dtype == ml_dtypes.bfloat16
    assert nl.static_cast(2.5, nl.float16) == np.float16(2.5)


def test_storage_in_float32(run, rng, monkeypatch):
    monkeypatch.setenv("NKI_PRECISE_FP", "0")
    x = rng.standard_normal((2, 8, 16)).astype(np.float32)

    @nki.jit
    def kernel(t):
        tiles = nl.ndarray((2, nl.par_dim(8), 16), dtype=nl.bfloat16)
        out = nl.ndarray(t.shape, dtype=nl.float32, buffer=nl.shared_hbm)
        i, j = nl.mgrid[0:8, 0:16]
        for block in nl.affine_range(2):
            tiles[block, i, j] = nl.load(t[block])
            nl.store(out[block], nl.copy(tiles[block], dtype=nl.float32))
        return out

    np.testing.assert_array_equal(kernel(x), x)
