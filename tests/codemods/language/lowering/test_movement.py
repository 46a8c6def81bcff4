"""Loads, stores, copies and transposes, against the same calls in the legacy language."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from lowered import Source, Tile, check_equal, check_language, launched, new_text, run_lowered, uniform

from nkimigrate.codemods.language.analysis.values import Space, Token
from nkimigrate.codemods.language.lowering.emitter import Refused

FLOATS = [np.float32, np.float16, ml_dtypes.bfloat16]
MIXED = [*FLOATS, np.int32, np.int8]


@pytest.mark.parametrize("dtype", MIXED)
@pytest.mark.parametrize("known", [True, False])
def test_load(dtype, known):
    x = uniform((64, 32), dtype, -50, 50)
    text = check_equal("nl.load", {"src": Source(0, known)}, x).text
    assert text.count("nisa.") == 2  # the load, and the store of the result
    check_equal("nl.load", {"src": Source(0, known), "dtype": Token("nl.float32")}, x)


def test_load_into_tiles_that_exist():
    x = uniform((64, 32), ml_dtypes.bfloat16)
    for space, instructions in ((Space.SBUF, 2), (Space.PSUM, 4)):  # by way of SBUF, for the store too
        into = ((64, 32), "float32", space)
        assert check_equal("nl.load", {"src": Source(0)}, x, into=into).text.count("nisa.") == instructions


@pytest.mark.parametrize("space", [Space.SBUF, Space.PSUM])
@pytest.mark.parametrize("dtype", FLOATS)
def test_store(space, dtype):
    x = uniform((64, 32), dtype)
    ran = run_stored(x, np.zeros((64, 32), np.float32), space)
    assert (ran == x.astype(np.float32)).all()


def run_stored(value, out, space):
    """What ``nl.store`` leaves in its destination."""
    text, _ = new_text("nl.store", {"dst": Source(1), "value": Tile(0, space)}, [value, out], modified=None)
    text = text.rstrip("\n") + "\n    return in1\n"
    check_language(text)
    return launched(text, value, out)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", [(64, 32), (128, 128), (200, 48), (300, 128), (1, 7)])
def test_load_transpose2d(dtype, shape):
    x = uniform(shape, dtype)
    got = check_equal("nl.load_transpose2d", {"src": Source(0)}, x).got
    assert (got == x.T).all()


def test_load_transpose2d_converts():
    x = uniform((64, 32), ml_dtypes.bfloat16)
    check_equal("nl.load_transpose2d", {"src": Source(0), "dtype": Token("nl.float32")}, x)
    check_equal("nl.load_transpose2d", {"src": Source(0, known=False)}, uniform((200, 32), np.float32))


@pytest.mark.parametrize("space", [Space.SBUF, Space.PSUM])
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", [(64, 32), (128, 128), (16, 32)])
def test_transposes(space, dtype, shape):
    x = uniform(shape, dtype)
    assert (check_equal("nl.transpose", {"x": Tile(0, space)}, x).got == x.T).all()
    check_equal("nl.transpose", {"x": Tile(0, space), "dtype": Token("nl.float32")}, x)
    if space == Space.SBUF or max(shape) <= 32:
        check_equal("nisa.nc_transpose", {"data": Tile(0, space)}, x)
        check_equal("nisa.nc_transpose", {"data": Tile(0, space), "dtype": Token("nl.float32")}, x)


def test_transposes_of_more_dimensions():
    check_equal("nisa.nc_transpose", {"data": Tile(0)}, uniform((64, 4, 8), np.float32))


def test_transpose_on_vector_engine():
    x = uniform((32, 32), np.float32)
    arguments = {"data": Tile(0), "engine": Token("nisa.vector_engine")}
    assert "engine=nisa.vector_engine" in check_equal("nisa.nc_transpose", arguments, x).text


def test_transpose_into_tiles_of_another_dtype_and_memory():
    x = uniform((64, 32), ml_dtypes.bfloat16)
    for space in (Space.SBUF, Space.PSUM):
        for dtype in ("float32", "bfloat16"):
            check_equal("nisa.nc_transpose", {"data": Tile(0)}, x, into=((32, 64), dtype, space))


@pytest.mark.parametrize("space", [Space.SBUF, Space.PSUM])
@pytest.mark.parametrize("dtype", MIXED)
def test_copies(space, dtype):
    x = uniform((64, 32), dtype, -50, 50)
    for name, parameter in (("nl.copy", "src"), ("nisa.tensor_copy", "src"), ("nki.tensor.astype", "self")):
        arguments = {parameter: Tile(0, space), "dtype": Token("nl.float32")}
        check_equal(name, arguments, x)
        if parameter == "src":
            check_equal(name, {parameter: Tile(0, space)}, x)


def test_copies_on_an_engine():
    x = uniform((64, 32), np.float32)
    arguments = {"src": Tile(0), "engine": Token("nisa.gpsimd_engine")}
    assert "engine=nisa.gpsimd_engine" in check_equal("nisa.tensor_copy", arguments, x).text


def test_a_tile_in_hbm_is_no_operand():
    with pytest.raises(Refused, match="M-ARGUMENT"):
        run_lowered("nl.copy", {"src": Source(0)}, uniform((64, 32), np.float32))
