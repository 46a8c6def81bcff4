"""Conversions against ml_dtypes: every 16-bit pattern, random float32, all 8-bit tables, integers."""

from __future__ import annotations

import math
import pickle

import ml_dtypes
import numpy as np
import pytest

from nkisim.core import dtypes

FLOATS = [
    (dtypes.bfloat16, ml_dtypes.bfloat16),
    (dtypes.float16, np.float16),
    (dtypes.float8_e4m3, ml_dtypes.float8_e4m3),
    (dtypes.float8_e5m2, ml_dtypes.float8_e5m2),
    (dtypes.float8_e4m3fn, ml_dtypes.float8_e4m3fn),
    (dtypes.float8_e8m0fnu, ml_dtypes.float8_e8m0fnu),
]
INTEGERS = [dtypes.int8, dtypes.int16, dtypes.int32, dtypes.uint8, dtypes.uint16, dtypes.uint32]


def same(one, other):
    """Equal bits, any NaN equal to any other."""
    nan = np.isnan(one.astype(np.float32)) & np.isnan(other.astype(np.float32))
    bits = np.dtype(f"u{one.itemsize}")
    return bool(np.all(nan | (one.view(bits) == other.view(bits))))


def stored(values, dtype):
    into = np.zeros(values.shape, dtype.numpy)
    with np.errstate(all="ignore"):
        dtypes.store(into, values, dtype)
    return into


def samples():
    """Random float32 bit patterns, and values between all 16-bit patterns' neighbours."""
    random = np.random.default_rng(7)
    bits = random.integers(0, 1 << 32, 200_000, dtype=np.uint32).view(np.float32)
    scaled = (random.standard_normal(100_000) * 2.0 ** random.integers(-20, 18, 100_000)).astype(np.float32)
    edges = np.array(
        [0.0, -0.0, np.inf, -np.inf, np.nan, 240, 248, 448, 464, 57344, 61440, 65504, 65520], np.float32
    )
    return np.concatenate([bits, scaled, edges, -edges])


@pytest.mark.parametrize(("dtype", "numpy"), FLOATS[:2], ids=str)
def test_every_16_bit_pattern_reads_as_its_value(dtype, numpy):
    patterns = np.arange(65536, dtype=np.uint16).view(numpy)
    assert same(dtypes.up(patterns, dtype), patterns.astype(np.float32))
    assert same(stored(dtypes.up(patterns, dtype), dtype), patterns)


@pytest.mark.parametrize(("dtype", "numpy"), FLOATS[2:], ids=str)
def test_every_8_bit_pattern_reads_as_its_value(dtype, numpy):
    patterns = np.arange(256, dtype=np.uint8).view(numpy)
    assert same(dtypes.up(patterns, dtype), patterns.astype(np.float32))
    assert same(dtypes.up(patterns[::3], dtype), patterns[::3].astype(np.float32))


@pytest.mark.parametrize(("dtype", "numpy"), FLOATS, ids=str)
def test_float32_is_rounded_as_ml_dtypes_rounds(dtype, numpy):
    values = samples()
    with np.errstate(all="ignore"):
        expected = values.astype(numpy)
    assert same(stored(values, dtype), expected)


@pytest.mark.parametrize(("dtype", "numpy"), FLOATS[2:5], ids=str)
def test_8_bit_ties_go_to_even(dtype, numpy):
    finite = np.arange(256, dtype=np.uint8).view(numpy).astype(np.float32)
    finite = np.unique(finite[np.isfinite(finite)])
    middles = ((finite[1:].astype(np.float64) + finite[:-1]) / 2).astype(np.float32)
    around = np.concatenate([middles, np.nextafter(middles, np.inf), np.nextafter(middles, -np.inf)])
    assert same(stored(around, dtype), around.astype(numpy))


def test_8_bit_overflow():
    values = np.array([1e6, -1e6], np.float32)
    assert np.isinf(stored(values, dtypes.float8_e4m3).astype(np.float32)).all()
    assert np.isinf(stored(values, dtypes.float8_e5m2).astype(np.float32)).all()
    assert np.isnan(stored(values, dtypes.float8_e4m3fn).astype(np.float32)).all()


def exact(value, low, high):
    """Python's own rounding (to even) of one float, saturated."""
    if math.isnan(value):
        return 0
    if math.isinf(value):
        return high if value > 0 else low
    return min(max(round(value), low), high)


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_float_to_integer_rounds_to_even_and_saturates(dtype):
    info = np.iinfo(dtype.numpy)
    near = [
        float(info.min),
        float(info.max),
        info.max + 0.5,
        info.min - 0.5,
        info.max * 2.0,
        info.min * 2.0 - 9,
    ]
    halves = [n + 0.5 for n in range(-6, 7)]
    values = np.array([*near, *halves, 2.49, -2.51, math.inf, -math.inf, math.nan, 0.0], np.float32)
    expected = [exact(float(v), info.min, info.max) for v in values]
    assert stored(values, dtype).tolist() == expected


def test_bfloat16_to_integer_rounds_too():
    values = np.array([2.5, 3.5, -2.5, 300.0], ml_dtypes.bfloat16)
    assert stored(values, dtypes.int8).tolist() == [2, 4, -2, 127]


def test_equal_types_are_copied_bit_by_bit():
    patterns = np.arange(65536, dtype=np.uint16).view(ml_dtypes.bfloat16)
    assert np.array_equal(stored(patterns, dtypes.bfloat16).view(np.uint16), patterns.view(np.uint16))


def test_storing_into_strided_memory_leaves_the_rest():
    base = np.full((4, 6), 7, np.int8)
    dtypes.store(base[:, ::2], np.full((4, 3), 1.5, np.float32), dtypes.int8)
    assert base.tolist() == [[2, 7, 2, 7, 2, 7]] * 4


@pytest.mark.parametrize("dtype", dtypes.ALL, ids=str)
def test_names_and_objects(dtype):
    assert dtypes.dtype_of(dtype.name) is dtype
    assert dtype == dtype.name
    assert str(dtype) == dtype.name
    assert pickle.loads(pickle.dumps(dtype)) is dtype
    assert {dtype: 1}[dtypes.dtype_of(dtype.name)] == 1


def test_types_equal_their_numpy_counterparts():
    assert dtypes.float32 == np.float32
    assert dtypes.bfloat16 == ml_dtypes.bfloat16
    assert dtypes.int8 == np.dtype("int8")
    assert dtypes.float32 != np.float64
    assert dtypes.float32 != dtypes.tfloat32
    assert dtypes.float32 is not None
    assert dtypes.float32 != "bfloat16"
    assert dtypes.float32 != 4


def test_no_element_type():
    with pytest.raises(TypeError, match="complex64"):
        dtypes.dtype_of(np.complex64)


def test_sizes():
    sizes = {"float32": 4, "bfloat16": 2, "float8_e4m3": 1, "float8_e4m3fn_x4": 4, "float4_e2m1fn_x4": 2}
    assert {name: dtypes.dtype_of(name).itemsize for name in sizes} == sizes


@pytest.mark.parametrize(("dtype", "numpy"), FLOATS, ids=str)
def test_numpy_takes_element_types(dtype, numpy):
    assert np.ones(3, np.float64).astype(dtype).dtype == np.dtype(numpy)
    assert np.zeros(2, dtype=dtype).dtype == np.dtype(numpy)
    assert np.dtype(dtype) == np.dtype(numpy)
    assert issubclass(dtype.type, np.generic)


@pytest.mark.parametrize(("dtype", "numpy"), FLOATS, ids=str)
def test_fill_is_numpys_assignment(dtype, numpy):
    shape = (30, 1000)  # large enough to be filled by its bits
    expected = np.zeros(shape, numpy)
    expected[:, 1:501] = 1.5
    found = np.zeros(shape, dtype.numpy)
    dtypes.fill(found[:, 1:501], np.asarray(1.5).astype(numpy))
    assert same(found, expected)
    dtypes.fill(found, np.nan)
    assert np.isnan(found.astype(np.float32)).all()


@pytest.mark.parametrize("dtype", [dtypes.float32, dtypes.int8, dtypes.uint32], ids=str)
def test_fill_with_numpys_own_types(dtype):
    found = np.zeros((2, 3), dtype.numpy)
    dtypes.fill(found[:, ::2], 7)
    assert found.tolist() == [[7, 0, 7], [7, 0, 7]]


@pytest.mark.parametrize("step", [2, -1])
@pytest.mark.parametrize("numpy", [ml_dtypes.bfloat16, np.float16])
def test_scattered_elements_are_converted_as_neighbours_are(numpy, step):
    values = np.random.default_rng(1).standard_normal((16, 128), dtype=np.float32)
    dtype = dtypes.dtype_of(numpy)
    apart = np.zeros((16, 128 * abs(step)), numpy)
    narrow = apart[:, ::step]
    dtypes.store(narrow, values[:, ::-1], dtype)
    assert narrow.tobytes() == np.ascontiguousarray(values[:, ::-1]).astype(numpy).tobytes()
    assert not apart[:, 1::2].any() or step == -1
    assert dtypes.up(narrow, dtype).tobytes() == np.ascontiguousarray(narrow).astype(np.float32).tobytes()
