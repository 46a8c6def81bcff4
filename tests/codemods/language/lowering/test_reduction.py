"""Reductions, against the same calls in the legacy language."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from lowered import PlainEmitter, Tile, check_equal, launched, new_text, run_lowered, uniform

from nkimigrate.codemods.language.analysis.dtypes import named
from nkimigrate.codemods.language.analysis.symbols import Sym
from nkimigrate.codemods.language.analysis.values import Scalar, Space, Tensor, Token, Unknown
from nkimigrate.codemods.language.lowering.emitter import Refused
from nkimigrate.codemods.language.lowering.reduction import OPERATIONS
from nkimigrate.codemods.language.lowering.registry import lower

FLOATS = [np.float32, np.float16, ml_dtypes.bfloat16]
AXES = [
    ((64, 32), 1),
    ((64, 32), -1),
    ((64, 32), [1]),
    ((64, 32), (1,)),
    ((32, 4, 6), 2),
    ((32, 4, 6), 1),
    ((32, 4, 6), (1, 2)),
    ((32, 4, 6), [-1, -2]),
    ((32, 2, 3, 4), (1, 3)),
    ((32, 2, 3, 4), 1),
]


@pytest.mark.parametrize(("shape", "axis"), AXES)
@pytest.mark.parametrize("keepdims", [True, False])
@pytest.mark.parametrize("function", OPERATIONS)
def test_axes(function, shape, axis, keepdims):
    x = uniform(shape, np.float32, 0.5, 1.5)
    arguments = {"x": Tile(0), "axis": axis, "keepdims": keepdims}
    got = check_equal(f"nl.{function}", arguments, x).got
    axes = tuple(axis) if isinstance(axis, list) else axis
    expected = getattr(np, function)(x.astype(np.float64), axis=axes)
    np.testing.assert_allclose(got.reshape(expected.shape), expected, rtol=1e-6)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("known", [True, False])
def test_the_result_has_the_dtype_of_the_input(dtype, known):
    x = uniform((64, 32), dtype)
    for function in ("sum", "max", "mean", "var"):
        check_equal(f"nl.{function}", {"x": Tile(0, known=known), "axis": 1}, x)
        check_equal(f"nl.{function}", {"x": Tile(0, known=known), "axis": 1, "dtype": Token("nl.float32")}, x)


@pytest.mark.parametrize(("shape", "axis"), AXES)
@pytest.mark.parametrize("keepdims", [True, False])
def test_mean(shape, axis, keepdims):
    check_equal("nl.mean", {"x": Tile(0), "axis": axis, "keepdims": keepdims}, uniform(shape, np.float32))


def test_variance():
    x = uniform((64, 100), np.float32)
    got = check_equal("nl.var", {"x": Tile(0), "axis": [1]}, x).got
    np.testing.assert_allclose(got[:, 0], x.astype(np.float64).var(axis=1), rtol=1e-5)


def test_all_gives_truth_values():
    x = np.array([[1.0, 2.0, 0.0], [1.0, 2.0, 3.0]] * 8, np.float32)
    assert check_equal("nl.all", {"x": Tile(0), "axis": 1}, x).got[:, 0].tolist() == [0, 1] * 8


def test_from_psum_into_a_column_of_a_tile():
    into = ((64, 1), "float32", Space.SBUF)
    x = uniform((64, 32), np.float32)
    text = check_equal("nl.sum", {"x": Tile(0, Space.PSUM), "axis": 1}, x, into=into).text
    assert "nisa.tensor_reduce(dst=target, op=nl.add, data=tile0, axis=1)" in text


@pytest.mark.parametrize("op", ["add", "maximum", "minimum", "multiply"])
@pytest.mark.parametrize("negate", [True, False])
@pytest.mark.parametrize(("shape", "axis"), AXES)
def test_tensor_reduce(op, negate, shape, axis):
    arguments = {"op": Token(f"nl.{op}"), "data": Tile(0), "axis": axis, "negate": negate}
    check_equal("nisa.tensor_reduce", arguments, uniform(shape, np.float32, 0.5, 1.5))


@pytest.mark.parametrize("op", ["add", "maximum"])
@pytest.mark.parametrize("space", [Space.SBUF, Space.PSUM])
def test_over_partitions(op, space):
    arguments = {"op": Token(f"nl.{op}"), "data": Tile(0, space)}
    check_equal("nisa.tensor_partition_reduce", arguments, uniform((64, 32), np.float32))
    check_equal("nisa.tensor_partition_reduce", arguments, uniform((16, 4, 8), np.float32))


@pytest.mark.parametrize("axis", [0, (0, 1), 2, (1, 1)])
def test_the_partition_and_missing_axes_are_refused(axis):
    with pytest.raises(Refused, match="M-RED"):
        run_lowered("nl.sum", {"x": Tile(0), "axis": axis}, uniform((8, 8), np.float32))


def test_axes_and_flags_must_be_readable():
    x = uniform((8, 8), np.float32)
    with pytest.raises(Refused, match="M-ARGUMENT"):
        run_lowered("nl.sum", {"x": Tile(0), "axis": Unknown("axes")}, x)
    with pytest.raises(Refused, match="M-ARGUMENT"):
        run_lowered("nl.sum", {"x": Tile(0), "axis": 1, "keepdims": Unknown("kept")}, x)
    with pytest.raises(Refused, match="M-ARGUMENT"):
        run_lowered("nl.sum", {"x": Tile(0), "axis": Scalar("1.0")}, x)


def test_variance_of_more_dimensions_is_refused():
    with pytest.raises(Refused, match="M-RED"):
        run_lowered("nl.var", {"x": Tile(0), "axis": 2}, uniform((8, 2, 8), np.float32))


def test_several_axes_of_a_tile_become_one_of_it_reshaped():
    x = uniform((8, 2, 3, 4), np.float32)
    lines, _ = new_text("nl.sum", {"x": Tile(0), "axis": [2, 3]}, [x])
    assert "data=tile0.reshape((8, 2, 12)), axis=[4]" in lines
    check_equal("nl.sum", {"x": Tile(0), "axis": [2, 3]}, x, rtol=1e-5)
    check_equal("nl.mean", {"x": Tile(0), "axis": [1, 2, 3]}, x, rtol=1e-5)


def test_an_access_pattern_of_several_reduced_axes_has_all_that_the_instruction_counts():
    x = uniform((8, 2, 3, 4), np.float32)
    lines, _ = new_text("nl.max", {"x": Tile(0), "axis": [1, 3]}, [x])
    assert "pattern=[[24, 8], [1, 1], [4, 3], [12, 2], [1, 4]], offset=0), axis=[3, 4]" in lines
    check_equal("nl.max", {"x": Tile(0), "axis": [1, 3]}, x)


def test_axes_of_an_access_pattern_are_reordered_in_it():
    """No copy is needed where the pattern can name the reduced axes last."""
    x = uniform((32, 24), np.float32)
    text = "tile0.ap(pattern=[[24, 32], [1, 4], [4, 6]], offset=0)"
    shape = tuple(Sym.constant(n) for n in (32, 4, 6))
    viewed = Tensor(text, shape, named("float32"), Space.SBUF, whole=False)
    lines, _ = new_text("nl.sum", {"x": viewed, "axis": 1}, [x])
    assert "data=tile0.ap(pattern=[[24, 32], [4, 6], [1, 4]], offset=0), axis=[4]" in lines
    load = "tile0 = nl.ndarray(in0.shape, dtype=in0.dtype, buffer=nl.sbuf)\n    nisa.dma_copy(dst=tile0, src=in0)"
    got = launched(lines.replace("dst_1 = ", f"{load}\n    dst_1 = ", 1), x)
    np.testing.assert_allclose(got, x.reshape(32, 6, 4).sum(axis=2), rtol=1e-5)


def test_axes_of_a_slice_are_reordered_in_a_copy():
    out = PlainEmitter()
    shape = tuple(Sym.constant(n) for n in (32, 4, 6))
    sliced = Tensor("t[0:32, 0:4, 0:6]", shape, named("float32"), Space.SBUF, whole=False)
    lower("nl.sum", out, {"x": sliced, "axis": Scalar("1", Sym.constant(1))})
    assert "nisa.tensor_copy(dst=gathered_1, src=t[0:32, 0:4, 0:6])" in out.lines
