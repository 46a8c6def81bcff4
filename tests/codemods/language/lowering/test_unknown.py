"""Operands of which neither shape nor dtype is known: parameters of a kernel, loaded whole, and of functions."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from lowered import Source, Tile, check_equal, launched, new_text, run_lowered, uniform

from nkimigrate.codemods.language.analysis.symbols import Sym
from nkimigrate.codemods.language.analysis.values import Items, Scalar, Space, Token, Unknown
from nkimigrate.codemods.language.lowering.emitter import Refused

X = uniform((64, 32), ml_dtypes.bfloat16)
Y = uniform((64, 32), ml_dtypes.bfloat16, seed=1)
W = uniform((32, 48), ml_dtypes.bfloat16, seed=2)
FIRST, SECOND = Tile(0, known=False, ranked=False), Tile(1, known=False, ranked=False)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("nl.exp", {"x": FIRST}),
        ("nl.negative", {"x": FIRST}),
        ("nl.copy", {"src": FIRST}),
        ("nl.multiply", {"x": FIRST, "y": 1.5}),
        ("nl.add", {"x": FIRST, "y": FIRST}),
        ("nl.sum", {"x": FIRST, "axis": 1}),
        ("nl.max", {"x": FIRST, "axis": [-1]}),
        ("nl.mean", {"x": FIRST, "axis": (1,)}),
        ("nl.var", {"x": FIRST, "axis": 1}),
        ("nl.transpose", {"x": FIRST}),
        ("nisa.nc_transpose", {"data": FIRST}),
        ("nl.load", {"src": Source(0, known=False, ranked=False)}),
        ("nl.load_transpose2d", {"src": Source(0, known=False, ranked=False)}),
        ("nl.zeros_like", {"a": FIRST}),
        ("nisa.dma_transpose", {"src": Source(0, known=False, ranked=False)}),
        ("nisa.bn_stats", {"data": FIRST}),
        ("nisa.tensor_scalar", {"data": FIRST, "op0": Token("nl.add"), "operand0": 2.0}),
        ("nisa.tensor_reduce", {"data": FIRST, "op": Token("nl.add"), "axis": [1]}),
        ("nisa.activation", {"data": FIRST, "op": Token("nl.exp"), "bias": 0.5}),
    ],
)
def test_one_operand(name, arguments):
    check_equal(name, arguments, X)


def test_two_tiles_are_taken_to_be_alike():
    assert check_equal("nl.add", {"x": FIRST, "y": SECOND}, X, Y).notes == ("M-SAME",)
    assert check_equal("nl.add", {"x": FIRST, "y": FIRST}, X).notes == ()


def test_where_takes_its_operands_to_be_alike():
    flags = (np.arange(64 * 32).reshape(64, 32) % 3 == 0).astype(np.uint8)
    condition, x, y = (Tile(i, known=False, ranked=False) for i in range(3))
    ran = check_equal("nl.where", {"condition": condition, "x": x, "y": y}, flags, X, Y)
    assert ran.notes == ("M-SAME",)
    numbers = {"condition": condition, "x": x, "y": 0.5}
    check_equal("nl.where", numbers, flags, X)
    beside = {"condition": condition, "x": x, "y": Tile(2)}
    assert check_equal("nl.where", beside, flags, X, Y).notes == ("M-SAME",)


def test_a_tile_of_unknown_rank_is_taken_to_be_like_another():
    assert check_equal("nl.add", {"x": FIRST, "y": Tile(1)}, X, Y).notes == ("M-SAME",)
    assert check_equal("nl.add", {"x": Tile(1), "y": FIRST}, Y, X).notes == ("M-SAME",)


def test_a_column_is_repeated_beside_whatever_tile():
    column = Y[:, :1].copy()
    assert check_equal("nl.subtract", {"x": FIRST, "y": Tile(1)}, X, column).notes == ()
    assert check_equal("nl.subtract", {"x": Tile(1), "y": FIRST}, X, column).notes == ()


def test_a_row_beside_a_tile_of_unknown_rank_is_refused():
    with pytest.raises(Refused, match="M-SHAPE"):
        run_lowered("nl.add", {"x": FIRST, "y": Tile(1)}, X, Y[:1].copy())


def test_what_may_be_a_tile_or_a_number_is_refused():
    with pytest.raises(Refused, match="M-ARGUMENT"):
        run_lowered("nl.add", {"x": FIRST, "y": Unknown("other")}, X)


def test_division_by_an_integer_keeps_the_dtype():
    for arguments in ({"x": FIRST, "y": 4}, {"x": 1, "y": FIRST}):
        assert "promoted_dtype" not in check_equal("nl.divide", arguments, X).text


def test_products():
    check_equal("nl.matmul", {"x": FIRST, "y": SECOND}, X, W)
    turned = {"x": FIRST, "y": SECOND, "transpose_x": True}
    check_equal("nl.matmul", turned, np.ascontiguousarray(X.T), W)
    check_equal("nisa.nc_matmul", {"stationary": FIRST, "moving": SECOND}, W, W)


def test_axes_that_need_the_rank_are_refused():
    for axis in (2, (1, 2)):
        with pytest.raises(Refused, match="M-SHAPE"):
            run_lowered("nl.sum", {"x": FIRST, "axis": axis}, X)


def test_a_parameter_of_which_nothing_is_known():
    """Where only a tile can stand, it is one."""
    text, _ = new_text("nl.exp", {"x": Unknown("other")}, [X])
    assert "dst_1 = nl.ndarray(other.shape, dtype=other.dtype, buffer=nl.sbuf)" in text
    assert "nisa.activation(dst=dst_1, op=nl.exp, data=other)" in text
    with pytest.raises(Refused, match="M-ARGUMENT"):
        run_lowered("nl.exp", {"x": Unknown("others[0]")}, X)


def test_a_shape_of_sizes_that_are_not_followed():
    sizes = Items("(len(in0.shape) * 8, 4)", (Unknown("len(in0.shape) * 8"), Scalar("4")))
    arguments = {"shape": sizes, "dtype": Token("nl.float32")}
    check_equal("nl.zeros", arguments, X, former={"shape": (16, 4)})


def test_the_shape_of_a_tensor_of_unknown_rank():
    arguments = {"shape": Unknown("in0.shape"), "dtype": Token("nl.float32")}
    text = check_equal("nl.zeros", arguments, X, former={"shape": X.shape}).text
    assert "dst_1 = nl.ndarray(in0.shape, dtype=nl.float32" in text


def test_a_number_that_is_not_followed_fills_a_tile():
    arguments = {"shape": (8, 8), "dtype": Token("nl.float32"), "fill_value": Unknown("max(2.0, 1.0)")}
    check_equal("nl.full", arguments, X, former={"fill_value": 2.0})
    with pytest.raises(Refused, match="M-ARGUMENT"):
        run_lowered("nl.full", {**arguments, "fill_value": Unknown("np.inf")}, X)


def test_gathers():
    x = uniform((32, 64), np.float32)
    index = np.random.default_rng(0).integers(0, 60, (32, 3)).astype(np.uint16)
    arguments = {"src_buffer": Tile(0, ranked=False), "index": Tile(1, ranked=False)}
    text, _ = new_text("nisa.local_gather", arguments, [x, index])
    assert launched(text, x, index).shape == (32, 48)


def test_a_parameter_that_was_taken_to_lie_in_hbm():
    text, _ = new_text("nl.copy", {"src": Source(0, known=False, ranked=False)}, [X])
    assert "nisa.tensor_copy(dst=dst_1, src=in0)" in text


def test_a_reshape_to_a_shape_that_is_not_known():
    text, _ = new_text("nki.tensor.reshape", {"self": Tile(0), "shape": Unknown("sizes")}, [X])
    assert "whole = tile0.reshape(sizes)" in text


def test_a_number_assigned_to_a_tile():
    into = ((64, 32), "bfloat16", Space.SBUF)
    for value in (3, 0.5, Unknown("max(0.5, 0.25)")):
        text, _ = new_text("nl.full", {"fill_value": value}, [X], into)
        expected = 3 if value == 3 else 0.5
        assert (launched(text, X) == np.full((64, 32), expected, ml_dtypes.bfloat16)).all()


def test_axes_by_their_value():
    axis = Scalar("LAST", Sym.constant(1, "LAST"))
    check_equal("nl.sum", {"x": Tile(0), "axis": axis}, X, former={"axis": 1})
