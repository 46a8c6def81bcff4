"""The helper functions by themselves; the lowerings that call them are compared with the legacy language."""

from __future__ import annotations

import itertools

import ml_dtypes
import numpy as np
import pytest
from lowered import function, helper_sources, launched, uniform

import nkisim.beta1.dtypes as legacy
import nkisim.language as nl
from nkimigrate.codemods.language.analysis.dtypes import SIZES
from nkisim.core.dtypes import dtype_of as simulated

FLOATS = ("float32", "tfloat32", "bfloat16", "float16", "float8_e4m3", "float8_e5m2")
INTEGERS = ("int8", "int16", "int32", "uint8", "uint16", "uint32")


def helper(name):
    return function(helper_sources({name}), name, {"nl": nl})


@pytest.mark.parametrize(
    ("first", "second"),
    [*itertools.product(FLOATS, FLOATS + INTEGERS), *itertools.product(INTEGERS, FLOATS)],
)
def test_promoted_dtypes_are_those_of_the_legacy_language(first, second):
    types = simulated(first), simulated(second)
    assert helper("promoted_dtype")(*types) is legacy.promoted(*types)


@pytest.mark.parametrize(("first", "second"), [*itertools.product(INTEGERS, INTEGERS)])
def test_promoted_integers_are_those_of_the_legacy_language_or_refused(first, second):
    """A number counts as int32; tiles of other integers are seldom combined."""
    types = simulated(first), simulated(second)
    expected = legacy.promoted(*types)
    if first == second or (expected is simulated("int32") and "int32" in (first, second)):
        assert helper("promoted_dtype")(*types) is expected
    else:
        with pytest.raises(AssertionError, match="integers of different dtypes"):
            helper("promoted_dtype")(*types)


@pytest.mark.parametrize("number", [1, 1.0, -3, 0.5])
@pytest.mark.parametrize("name", FLOATS)
def test_what_a_number_counts_as(number, name):
    expected = legacy.promoted(simulated(name), legacy.type_of(number))
    assert helper("promoted_dtype")(simulated(name), number) is expected


@pytest.mark.parametrize("name", [name for name in SIZES if not name.startswith(("bool", "float8_e4m3fn"))])
def test_bytes_of_an_element(name):
    assert helper("itemsize")(simulated(name)) == simulated(name).itemsize


@pytest.mark.parametrize("name", FLOATS)
def test_limits_of_floats(name):
    kind = legacy.dtype_of(simulated(name)) if hasattr(legacy, "dtype_of") else simulated(name)
    info = ml_dtypes.finfo(np.dtype(kind.numpy))
    assert np.array(helper("largest_number")(simulated(name))).astype(kind.numpy) == info.max
    assert helper("step_above_one")(simulated(name)) == pytest.approx(float(info.eps))


@pytest.mark.parametrize("name", ["largest_number", "step_above_one"])
def test_integers_have_no_such_limits(name):
    with pytest.raises(AssertionError, match="a dtype without"):
        helper(name)(nl.int32)


LOAD = """
    tile = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.sbuf)
    nisa.dma_copy(dst=tile, src=x)
"""
STORE = """
    output = nl.ndarray(result.shape, dtype=result.dtype, buffer=nl.shared_hbm)
    nisa.dma_copy(dst=output, src=result)
    return output
"""


def kernel(name, shape, call, loads=True):
    result = f"    result = nl.ndarray({shape}, dtype=x.dtype, buffer=nl.sbuf)\n    {call}"
    return f"{helper_sources({name})}\n\ndef kernel(x):\n{LOAD if loads else ''}\n{result}\n{STORE}"


@pytest.mark.parametrize("rows", [1, 31, 32, 33, 100, 128])
def test_a_partition_is_copied_to_all(rows):
    x = uniform((1, 24), ml_dtypes.bfloat16)
    text = kernel("broadcast_partitions", f"({rows}, 24)", "broadcast_partitions(dst=result, src=tile)")
    assert (launched(text, x) == np.repeat(x, rows, axis=0)).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 24), (40, 1), (40, 24)])
def test_dimensions_of_one_element_are_repeated(shape):
    x = uniform(shape, np.float32)
    text = kernel("broadcast", "(40, 24)", "broadcast(dst=result, src=tile)")
    assert (launched(text, x) == np.broadcast_to(x, (40, 24))).all()


@pytest.mark.parametrize("shape", [(1, 5), (128, 128), (129, 3), (400, 128)])
def test_a_transpose_is_loaded(shape):
    x = uniform(shape, np.float32)
    call = "load_transposed(dst=result, src=x)"
    text = kernel("load_transposed", str(shape[::-1]), call, loads=False)
    assert (launched(text, x) == x.T).all()


@pytest.mark.parametrize("rows", [1, 128, 129, 400])
def test_hbm_is_filled(rows):
    text = (
        f"{helper_sources({'fill_hbm'})}\n\ndef kernel(x):\n"
        f"    output = nl.ndarray(({rows}, 6), dtype=x.dtype, buffer=nl.shared_hbm)\n"
        "    fill_hbm(dst=output, value=1.5)\n    return output\n"
    )
    assert (launched(text, uniform((2, 2), np.float32)) == np.full((rows, 6), 1.5)).all()


def test_softmax_of_large_numbers():
    x = uniform((64, 40), np.float32, -300, 300)
    text = kernel("softmax", "tile.shape", "softmax(dst=result, data=tile)")
    exact = np.exp(x.astype(np.float64) - x.max(1, keepdims=True))
    np.testing.assert_allclose(launched(text, x), exact / exact.sum(1, keepdims=True), rtol=1e-5, atol=1e-30)


def test_variance_of_numbers_far_from_zero():
    """A difference of squares would lose every digit."""
    x = uniform((64, 40), np.float32, 1000, 1001)
    text = kernel("variance", "(64, 1)", "variance(dst=result, data=tile)")
    np.testing.assert_allclose(launched(text, x)[:, 0], x.astype(np.float64).var(axis=1), rtol=1e-3)


def test_rms_norm_against_float64():
    x = uniform((64, 40), np.float32)
    call = "rms_norm(dst=result, data=tile, weight=tile, n=40, epsilon=1e-5)"
    exact = x.astype(np.float64)
    exact = exact / np.sqrt((exact**2).mean(1, keepdims=True) + 1e-5) * exact
    np.testing.assert_allclose(launched(kernel("rms_norm", "tile.shape", call), x), exact, rtol=1e-5)
