"""Tiles that are made, against the same calls in the legacy language."""

from __future__ import annotations

import numpy as np
import pytest
from lowered import Source, Tile, check_equal, new_text, run_lowered, uniform

from nkimigrate.codemods.language.analysis.values import Scalar, Space, Token, Unknown
from nkimigrate.codemods.language.lowering.emitter import Refused

X = uniform((8, 8), np.float32)
DTYPES = ["float32", "bfloat16", "float16", "int32", "int8", "uint8"]
SPACES = [Space.SBUF, Space.PSUM]


def buffers(space):
    return {"buffer": Token(f"nl.{space.value}")}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("space", SPACES)
def test_filled_tiles(dtype, space):
    shared = {"shape": (64, 32), "dtype": Token(f"nl.{dtype}"), **buffers(space)}
    check_equal("nl.zeros", shared, X)
    check_equal("nl.ones", shared, X)
    for value in (7, 2.0):
        check_equal("nl.full", {**shared, "fill_value": value}, X)
        memset = {"shape": (64, 4, 8), "value": value, "dtype": Token(f"nl.{dtype}")}
        check_equal("nisa.memset", memset, X)


def test_numbers_are_written_in_the_kind_of_the_dtype():
    floats = {"shape": (8, 8), "dtype": Token("nl.float32")}
    assert "value=0.0)" in check_equal("nl.zeros", floats, X).text
    assert (
        "value=3)"
        in check_equal("nl.full", {"shape": (8, 8), "dtype": Token("nl.int32"), "fill_value": 3.0}, X).text
    )
    named = {**floats, "fill_value": Scalar("max(2, 1)")}
    assert "value=max(2, 1))" in check_equal("nl.full", named, X, former={"fill_value": 2}).text


def test_filled_into_a_tile_that_exists():
    into = ((64, 32), "bfloat16", Space.SBUF)
    arguments = {"shape": (64, 32), "dtype": Token("nl.float32"), "fill_value": 0.1}
    assert "tensor_copy" not in check_equal("nl.full", arguments, X, into=into).text


@pytest.mark.parametrize("known", [True, False])
def test_like_others(known):
    check_equal("nl.zeros_like", {"a": Tile(0, known=known)}, X)
    check_equal("nl.zeros_like", {"a": Tile(0, known=known), "dtype": Token("nl.int32")}, X)
    text = run_text("nl.empty_like", {"a": Tile(0, known=known)})
    assert "dst_1 = nl.ndarray((8, 8,)" in text
    assert "buffer=nl.sbuf" in text


def run_text(name, arguments):
    return new_text(name, arguments, [X])[0]


def test_allocation():
    text = run_text("nl.ndarray", {"shape": (64, 32), "dtype": Token("nl.float32"), **buffers(Space.PSUM)})
    assert "dst_1 = nl.ndarray((64, 32,), dtype=nl.float32, buffer=nl.psum)" in text


@pytest.mark.parametrize("rows", [64, 300])
def test_filled_tensors_in_hbm(rows):
    arguments = {"shape": (rows, 32), "dtype": Token("nl.float32"), **buffers(Space.SHARED_HBM)}
    assert (check_equal("nl.full", {**arguments, "fill_value": 2.5}, X).got == 2.5).all()


def test_what_cannot_be_read():
    with pytest.raises(Refused, match="M-ARGUMENT"):
        run_lowered("nl.zeros", {"shape": Unknown("shape"), "dtype": Token("nl.float32")}, X)
    with pytest.raises(Refused, match="M-ARGUMENT"):
        run_lowered("nl.zeros", {"shape": (8, 8), "dtype": Token("nl.float32"), "buffer": Unknown("b")}, X)


CONSTANTS = {
    "np.identity(16)": np.identity(16),
    "np.identity(16, dtype=np.int8)": np.identity(16, np.int8),
    "np.identity(n=16, dtype=np.float32)": np.identity(16, np.float32),
    "np.eye(16)": np.eye(16),
    "np.zeros((8, 4))": np.zeros((8, 4)),
    "np.zeros(shape=(8, 4), dtype=np.int32)": np.zeros((8, 4), np.int32),
    "numpy.eye(N=5)": np.eye(5),
}


@pytest.mark.parametrize("text", CONSTANTS)
@pytest.mark.parametrize("dtype", [None, "bfloat16", "float32"])
def test_constants(text, dtype):
    arguments = {"constant": Unknown(text)} | ({"dtype": Token(f"nl.{dtype}")} if dtype else {})
    former = {"constant": CONSTANTS[text]}
    check_equal("nl.shared_constant", arguments, X, former=former)


def test_a_range_as_a_constant():
    former = {"constant": np.arange(12)}
    check_equal("nl.shared_constant", {"constant": Unknown("np.arange(12)")}, X, former=former)


def test_identity_matrix():
    check_equal("nl.shared_identity_matrix", {"n": 16}, X)
    check_equal("nl.shared_identity_matrix", {"n": 16, "dtype": Token("nl.bfloat16")}, X)


@pytest.mark.parametrize(
    "text", ["table", "np.eye(4, 5)", "np.eye(4, k=1)", "np.tril(x)", "np.arange(1, 5)", "f("]
)
def test_other_constants_are_refused(text):
    with pytest.raises(Refused, match="M-CONST"):
        run_lowered("nl.shared_constant", {"constant": Unknown(text)}, X)


def test_a_source_is_a_tensor_in_hbm():
    """What the other tests rely on: a Source is refused where a tile is needed."""
    with pytest.raises(Refused, match="M-ARGUMENT"):
        run_lowered("nl.exp", {"x": Source(0)}, X)
