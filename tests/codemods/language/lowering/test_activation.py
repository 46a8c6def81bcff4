"""Functions of one tile, against the same calls in the legacy language."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from lowered import Tile, check_equal, run_lowered, uniform

from nkimigrate.codemods.language.analysis.values import Space, Token
from nkimigrate.codemods.language.lowering.activation import FUNCTIONS
from nkimigrate.codemods.language.lowering.emitter import Refused

FLOATS = [np.float32, np.float16, ml_dtypes.bfloat16]
POSITIVE = ("log", "rsqrt", "sqrt")


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_activations_are_the_same_bits(function, dtype):
    low = 0.1 if function in POSITIVE else -1.5
    ran = check_equal(f"nl.{function}", {"x": Tile(0)}, uniform((64, 32), dtype, low, 1.5))
    assert f"op=nl.{function}" in ran.text


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("space", [Space.SBUF, Space.PSUM])
def test_an_input_of_any_dtype_and_memory(known, space):
    check_equal("nl.exp", {"x": Tile(0, space, known)}, uniform((128, 16), np.float32))


@pytest.mark.parametrize("dtype", FLOATS)
def test_the_dtype_of_the_call_is_the_results(dtype):
    x = uniform((64, 32), dtype)
    check_equal("nl.exp", {"x": Tile(0), "dtype": Token("nl.bfloat16")}, x)
    check_equal("nl.tanh", {"x": Tile(0), "dtype": Token("nl.float32")}, x)


def test_more_dimensions():
    check_equal("nl.sigmoid", {"x": Tile(0)}, uniform((32, 4, 6), np.float32))


def test_into_a_tile_that_exists():
    into = ((64, 32), "float32", Space.SBUF)
    ran = check_equal("nl.square", {"x": Tile(0)}, uniform((64, 32), np.float32), into=into)
    assert "nisa.activation(dst=target" in ran.text
    assert "tensor_copy" not in ran.text


def test_a_column_assigned_to_a_row_is_repeated():
    into = ((64, 32), "float32", Space.SBUF)
    check_equal("nl.square", {"x": Tile(0)}, uniform((64, 1), np.float32), into=into)


@pytest.mark.parametrize("dtype", FLOATS)
def test_cosine_within_the_rounding_of_the_shifted_argument(dtype):
    """The argument plus π/2 is rounded to float32: an error of 2^-22 at most in the sine's argument."""
    x = uniform((64, 32), dtype, -3.0, 1.5)
    ran = run_lowered("nl.cos", {"x": Tile(0)}, x)
    exact = np.cos(x.astype(np.float64))
    step = 2.0**-21 if dtype is np.float32 else float(ml_dtypes.finfo(dtype).eps)
    np.testing.assert_allclose(ran.got.astype(np.float64), exact, rtol=0, atol=step)
    assert ran.notes == ("M-RANGE",)


@pytest.mark.parametrize("dtype", FLOATS)
def test_reciprocal(dtype):
    x = uniform((64, 32), dtype, 0.5, 2.0)
    check_equal("nl.reciprocal", {"x": Tile(0)}, x)
    check_equal("nisa.reciprocal", {"data": Tile(0), "dtype": Token("nl.float32")}, x)


@pytest.mark.parametrize("dtype", [*FLOATS, np.int32, np.int8])
def test_negative(dtype):
    x = uniform((64, 32), dtype, -100, 100)
    check_equal("nl.negative", {"x": Tile(0)}, x)


@pytest.mark.parametrize("known", [True, False])
def test_logical_not(known):
    x = np.array([[0.0, 1.0, -2.0, 0.0]] * 8, np.float32)
    assert check_equal("nl.logical_not", {"x": Tile(0, known=known)}, x).got.tolist() == [[1, 0, 0, 1]] * 8


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.uint8, np.uint16, np.uint32])
def test_invert(dtype):
    info = np.iinfo(dtype)
    x = np.array([[0, 1, info.max, info.min, info.max // 3]] * 8, dtype)
    assert (check_equal("nl.invert", {"x": Tile(0)}, x).got == ~x).all()


def test_invert_needs_a_known_dtype():
    with pytest.raises(Refused, match="M-DTYPE"):
        run_lowered("nl.invert", {"x": Tile(0, known=False)}, np.ones((8, 8), np.int32))
