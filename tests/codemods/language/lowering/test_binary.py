"""Functions of two operands, against the same calls in the legacy language."""

from __future__ import annotations

import itertools

import ml_dtypes
import numpy as np
import pytest
from lowered import PlainEmitter, Tile, check_equal, run_lowered, uniform, value_of

from nkimigrate.codemods.language.analysis.values import Dtype, Scalar, Space, Token
from nkimigrate.codemods.language.lowering.binary import ARITHMETIC, BITWISE, COMPARISONS
from nkimigrate.codemods.language.lowering.emitter import Refused
from nkimigrate.codemods.language.lowering.registry import lower

FLOATS = [np.float32, np.float16, ml_dtypes.bfloat16]
TILES = {"x": Tile(0), "y": Tile(1)}
UNKNOWN = {"x": Tile(0, known=False), "y": Tile(1, known=False)}
SHAPES = [
    ((64, 32), (64, 32)),
    ((64, 32), (64, 1)),
    ((64, 1), (64, 32)),
    ((64, 32), (1, 32)),
    ((1, 32), (64, 32)),
    ((64, 32), (1, 1)),
    ((64, 1), (1, 32)),
    ((1, 32), (64, 1)),
    ((64, 1), (64, 1)),
    ((64, 4, 6), (64, 1, 6)),
    ((64, 4, 1), (64, 1, 6)),
    ((64, 4, 6), (64, 1, 1)),
    ((64, 4, 6), (1, 4, 6)),
    ((40, 4, 6), (1, 1, 6)),
]


@pytest.mark.parametrize(("left", "right"), SHAPES)
@pytest.mark.parametrize("function", ["add", "subtract", "less"])
def test_shapes_that_broadcast(function, left, right):
    x, y = uniform(left, np.float32), uniform(right, np.float32, seed=1)
    expected = {"add": x + y, "subtract": x - y, "less": x < y}[function]
    got = check_equal(f"nl.{function}", TILES, x, y).got
    assert (got.reshape(expected.shape) == expected).all()


@pytest.mark.parametrize("function", [*ARITHMETIC, *COMPARISONS])
@pytest.mark.parametrize(("first", "second"), [*itertools.product(FLOATS, FLOATS)])
def test_dtypes_are_promoted(function, first, second):
    x, y = uniform((64, 32), first), uniform((64, 32), second, seed=1)
    check_equal(f"nl.{function}", TILES, x, y)
    check_equal(f"nl.{function}", UNKNOWN, x, y)


@pytest.mark.parametrize("function", [*ARITHMETIC, *COMPARISONS])
@pytest.mark.parametrize("dtype", [*FLOATS, np.int32, np.int8, np.uint8])
@pytest.mark.parametrize("number", [2, 1.5, 0])
def test_numbers(function, dtype, number):
    x = uniform((64, 32), dtype, 0, 20)
    for known in (True, False):
        check_equal(f"nl.{function}", {"x": Tile(0, known=known), "y": number}, x)
        check_equal(f"nl.{function}", {"x": number, "y": Tile(0, known=known)}, x)


@pytest.mark.parametrize("dtype", FLOATS)
def test_numbers_whose_kind_is_not_seen(dtype):
    """A parameter is a float or an integer: the dtype is chosen when the kernel is traced."""
    for text, number in (("max(3, 2)", 3), ("max(3.0, 2.0)", 3.0)):
        x = uniform((64, 32), dtype)
        check_equal("nl.multiply", {"x": Tile(0), "y": Scalar(text)}, x, former={"y": number})


@pytest.mark.parametrize("spaces", [*itertools.product([Space.SBUF, Space.PSUM], [Space.SBUF, Space.PSUM])])
@pytest.mark.parametrize("function", ["add", "power"])
def test_operands_in_psum(function, spaces):
    x, y = uniform((64, 32), np.float32, 0.5, 2.0), uniform((64, 32), np.float32, 0.5, 2.0, seed=1)
    check_equal(f"nl.{function}", {"x": Tile(0, spaces[0]), "y": Tile(1, spaces[1])}, x, y)


def test_columns_are_float32():
    x, y = uniform((64, 32), ml_dtypes.bfloat16), uniform((64, 1), ml_dtypes.bfloat16, seed=1)
    text = check_equal("nl.multiply", TILES, x, y).text
    assert "factor_1 = nl.ndarray((64, 1,), dtype=nl.float32" in text
    assert "operand0=factor_1" in text


def test_a_float32_column_is_used_as_it_is():
    x, y = uniform((64, 32), ml_dtypes.bfloat16), uniform((64, 1), np.float32, seed=1)
    assert "operand0=tile1)" in check_equal("nl.multiply", TILES, x, y).text


@pytest.mark.parametrize("dtype", FLOATS)
def test_division_differs_in_the_last_bit_at_most(dtype):
    """1 / y is rounded to float32 before the product: two roundings of 2^-24 instead of one."""
    x, y = uniform((64, 32), dtype), uniform((64, 32), dtype, 0.5, 2.0, seed=1)
    eps = float(ml_dtypes.finfo(dtype).eps)
    ran = check_equal("nl.divide", TILES, x, y, rtol=1.5 * eps)
    assert ran.notes == ("M-DIVIDE",)
    check_equal("nl.divide", TILES, x, y[:, :1].copy(), rtol=1.5 * eps)
    check_equal("nl.divide", {"x": Tile(0), "y": 3.0}, x, rtol=1.5 * 2.0**-23)
    check_equal("nl.divide", {"x": 3.0, "y": Tile(0)}, y, rtol=1.5 * 2.0**-23)
    check_equal("nl.divide", {"x": Tile(0), "y": 4}, x)


@pytest.mark.parametrize("one", [1, 1.0])
def test_one_over_a_tile_is_its_reciprocal(one):
    ran = check_equal("nl.divide", {"x": one, "y": Tile(0)}, uniform((64, 32), np.float32, 0.5, 2.0))
    assert ran.text.count("nisa.reciprocal") == 1
    assert "tensor_scalar" not in ran.text


def test_division_of_integers_is_refused():
    x = np.ones((8, 8), np.int32)
    with pytest.raises(Refused, match="M-MATH"):
        run_lowered("nl.divide", {"x": Tile(0), "y": 2}, x)


@pytest.mark.parametrize("dtype", FLOATS)
def test_power(dtype):
    x = uniform((64, 32), dtype, 0.5, 2.0)
    for exponent in (3, 0.5, -1.0):
        check_equal("nl.power", {"x": Tile(0), "y": exponent}, x)
    check_equal("nl.power", {"x": 2.0, "y": Tile(0)}, x)
    assert "nl.square" in check_equal("nl.power", {"x": Tile(0), "y": 2}, x).text


INTEGERS = [np.int8, np.int16, np.int32, np.uint8, np.uint16, np.uint32]


@pytest.mark.parametrize("function", BITWISE)
@pytest.mark.parametrize("dtype", INTEGERS)
def test_bits_of_tiles(function, dtype):
    x = uniform((8, 32), dtype, 0, 100)
    y = uniform((8, 32), dtype, 0, 7, seed=1)
    check_equal(f"nl.{function}", TILES, x, y)
    check_equal(f"nl.{function}", {"x": Tile(0, known=False), "y": Tile(0, known=False)}, x)
    check_equal(f"nl.{function}", TILES, x, y[:, :1].copy())


@pytest.mark.parametrize("function", BITWISE)
@pytest.mark.parametrize("dtype", INTEGERS[:-1])  # the legacy rules make float32 of uint32 and a number
def test_bits_with_a_number(function, dtype):
    x = uniform((8, 32), dtype, 0, 100)
    check_equal(f"nl.{function}", {"x": Tile(0), "y": 3}, x)
    if "shift" not in function:
        check_equal(f"nl.{function}", {"x": 3, "y": Tile(0)}, x)


def test_bits_of_different_integers():
    check_equal("nl.bitwise_and", TILES, uniform((8, 32), np.uint8, 0, 99), uniform((8, 32), np.int32, 0, 99))


def test_bits_of_an_unknown_dtype_are_refused():
    with pytest.raises(Refused, match="M-DTYPE"):
        run_lowered("nl.bitwise_and", {"x": Tile(0, known=False), "y": 3}, np.ones((8, 8), np.int32))


def test_wide_integers_are_exact_below_2_to_24_only():
    x, y = uniform((8, 32), np.int32, 0, 4000), uniform((8, 32), np.int32, 0, 4000, seed=1)
    assert check_equal("nl.multiply", TILES, x, y).notes == ("M-INTEGER",)
    assert check_equal("nl.add", {"x": Tile(0), "y": 5}, x).notes == ("M-INTEGER",)


def test_into_a_tile_decides_the_dtype():
    into = ((64, 32), "float32", Space.SBUF)
    x, y = uniform((64, 32), np.float32), uniform((64, 32), ml_dtypes.bfloat16, seed=1)
    text = check_equal("nl.add", UNKNOWN, x, y, into=into).text
    assert "promoted_dtype" not in text


def test_the_dtype_of_the_call():
    x, y = uniform((64, 32), np.float32), uniform((64, 32), np.float32, seed=1)
    check_equal("nl.add", {**TILES, "dtype": Token("nl.bfloat16")}, x, y)
    check_equal("nl.greater", {**TILES, "dtype": Token("nl.float32")}, x, y)


def test_two_numbers_are_no_operation_on_tiles():
    with pytest.raises(Refused, match="M-ARGUMENT"):
        run_lowered("nl.add", {"x": 1, "y": 2})


@pytest.mark.parametrize("first", FLOATS)
@pytest.mark.parametrize("second", FLOATS)
def test_a_result_that_is_only_stored_has_the_dtype_it_is_stored_as(first, second):
    """Through the promoted dtype, as the legacy language goes, it comes to the same bits."""
    x, y = uniform((64, 32), first), uniform((64, 32), second, seed=1)
    for index, kind in enumerate((first, second)):
        out = PlainEmitter(stored=Dtype(f"in{index}.dtype", None, f"in{index}"))
        values = {name: value_of(tile, (x, y)) for name, tile in UNKNOWN.items()}
        found = lower("nl.add", out, values)
        assert found.dtype.text == f"in{index}.dtype"
        assert not out.helpers
        through = run_lowered("nl.add", TILES, x, y).got.astype(kind)
        direct = check_equal("nl.add", {**TILES, "dtype": Token(f"nl.{np.dtype(kind)}")}, x, y).got
        assert direct.tobytes() == through.tobytes()


def test_a_result_that_is_stored_as_something_else_is_promoted():
    out = PlainEmitter(stored=Dtype("other.dtype", None, "other"))
    lower("nl.add", out, {name: value_of(tile, [np.zeros((8, 8))] * 2) for name, tile in UNKNOWN.items()})
    assert out.helpers == {"promoted_dtype"}
