"""Functions of several instructions, against the same calls in the legacy language."""

from __future__ import annotations

import itertools

import ml_dtypes
import numpy as np
import pytest
from lowered import Source, Tile, check_equal, launched, new_text, run_lowered, uniform

from nkimigrate.codemods.language.analysis.values import Scalar, Space, Token
from nkimigrate.codemods.language.lowering.emitter import Refused

FLOATS = [np.float32, np.float16, ml_dtypes.bfloat16]
FLAGS = (np.arange(64 * 32).reshape(64, 32) % 3 == 0).astype(np.float32)
CHOICE = {"condition": Tile(0), "x": Tile(1), "y": Tile(2)}


@pytest.mark.parametrize("flags", [np.float32, np.uint8, np.int32])
@pytest.mark.parametrize("first", FLOATS)
@pytest.mark.parametrize("second", FLOATS)
def test_where(flags, first, second):
    x, y = uniform((64, 32), first), uniform((64, 32), second, seed=1)
    check_equal("nl.where", CHOICE, FLAGS.astype(flags), x, y)


@pytest.mark.parametrize("dtype", FLOATS)
def test_where_with_numbers(dtype):
    x = uniform((64, 32), dtype)
    got = check_equal("nl.where", {"condition": Tile(0), "x": Tile(1), "y": -1.0}, FLAGS, x).got
    assert (got == np.where(FLAGS != 0, x, np.array(-1, dtype))).all()
    check_equal("nl.where", {"condition": Tile(0), "x": 2.0, "y": Tile(1)}, FLAGS, x)


SHAPES = [((64, 1), (64, 32), (64, 32)), ((64, 32), (64, 1), (64, 32)), ((64, 32), (64, 32), (1, 32))]


@pytest.mark.parametrize("shapes", SHAPES)
def test_where_broadcasts(shapes):
    arrays = [np.ascontiguousarray(FLAGS[: shapes[0][0], : shapes[0][1]])]
    arrays += [uniform(shape, np.float32, seed=i) for i, shape in enumerate(shapes[1:])]
    check_equal("nl.where", CHOICE, *arrays)


def test_where_into_one_of_its_operands():
    """The destination must not be overwritten before it is read."""
    x = uniform((64, 32), np.float32)
    for dtype in ("float32", "bfloat16"):
        check_equal("nl.where", CHOICE, FLAGS, x, -x, into=((64, 32), dtype, Space.SBUF))
    text = in_place("nl.where", {"condition": Tile(0), "x": Tile(1), "y": 0.0}, 1, FLAGS, x)
    assert (launched(text, FLAGS, x) == np.where(FLAGS != 0, x, 0)).all()


def in_place(name, arguments, index, *arrays):
    """``tile = f(…, tile, …)`` into the operand of this index."""
    import lowered

    target = lowered.value_of(Tile(index), arrays)
    out = lowered.PlainEmitter(target)
    values = {key: lowered.value_of(value, arrays) for key, value in arguments.items()}
    loads = [
        line for value in arguments.values() if isinstance(value, Tile) for line in lowered._loaded(value)
    ]
    found = lowered.lower(name, out, values)
    body = [*loads, *out.lines, *lowered._stored(found, None)]
    parameters = ", ".join(f"in{i}" for i in range(len(arrays)))
    return f"def kernel({parameters}):\n" + "".join(f"    {line}\n" for line in body)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("result", [None, "float32", "bfloat16"])
def test_softmax(dtype, result):
    """e^x / Σ becomes e^x · (1 / Σ): one more rounding to float32."""
    x = uniform((64, 100), dtype)
    for parameter in ("dtype", "compute_dtype"):
        said = {parameter: Token(f"nl.{result}")} if result else {}
        got = run_lowered("nl.softmax", {"x": Tile(0), "axis": [1], **said}, x)
        assert got.got.dtype == got.want.dtype
        eps = float(ml_dtypes.finfo(got.got.dtype).eps)
        np.testing.assert_allclose(got.got.astype(np.float64), got.want.astype(np.float64), rtol=1.5 * eps)
    exact = np.exp(x.astype(np.float64))
    np.testing.assert_allclose(
        got.got.astype(np.float64), exact / exact.sum(1, keepdims=True), rtol=3 * eps + 1e-6
    )


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("rows", [1, 64])
def test_rms_norm(dtype, rows):
    x, w = uniform((64, 100), dtype), uniform((rows, 100), dtype, seed=1)
    arguments = {"x": Tile(0), "w": Tile(1), "axis": 1, "n": 100}
    check_equal("nl.rms_norm", arguments, x, w)
    check_equal("nl.rms_norm", {**arguments, "epsilon": 1e-2, "dtype": Token("nl.float32")}, x, w)


def test_norms_of_more_dimensions_are_refused():
    x = uniform((8, 2, 8), np.float32)
    with pytest.raises(Refused, match="M-RED"):
        run_lowered("nl.softmax", {"x": Tile(0), "axis": 2}, x)


@pytest.mark.parametrize("dtype", [np.uint32, np.int32])
@pytest.mark.parametrize("space", [Space.SBUF, Space.PSUM])
def test_gather_flattened(dtype, space):
    x = uniform((64, 40), np.float32)
    index = np.random.default_rng(0).integers(0, 40, (64, 16)).astype(dtype)
    arguments = {"data": Tile(0, space), "indices": Tile(1)}
    got = check_equal("nl.gather_flattened", arguments, x, index).got
    assert (got == np.take_along_axis(x, index.astype(np.int64), axis=1)).all()
    check_equal("nl.gather_flattened", {**arguments, "dtype": Token("nl.bfloat16")}, x, index)


def test_atomic_rmw():
    x, y = uniform((32, 16), np.float32), uniform((32, 16), np.float32, seed=1)
    arguments = {"dst": Source(1), "value": Tile(0), "op": Token("nl.add")}
    text, _ = new_text("nl.atomic_rmw", arguments, [x, y])
    assert (launched(text + "    return in1\n", x, y) == x + y).all()
    with pytest.raises(Refused, match="M-OP"):
        run_lowered("nl.atomic_rmw", {**arguments, "op": Token("nl.maximum")}, x, y)


def test_dropout_with_a_rate_in_a_tile():
    x = uniform((32, 16), np.float32)
    for rate in (np.zeros((1, 1), np.float32), np.ones((32, 1), np.float32)):
        check_equal("nl.dropout", {"x": Tile(0), "rate": Tile(1)}, x, rate)


def test_device_print():
    arguments = {"prefix": Scalar("'x'"), "x": Tile(0)}
    text, _ = new_text("nl.device_print", arguments, [uniform((8, 8), np.float32)])
    assert "nl.device_print(print_prefix='x', tensor=tile0)" in text


def test_every_mixture_of_memories_in_where():
    x, y = uniform((64, 32), np.float32), uniform((64, 32), np.float32, seed=1)
    for spaces in itertools.product([Space.SBUF, Space.PSUM], repeat=3):
        arguments = {name: Tile(i, space) for i, (name, space) in enumerate(zip(CHOICE, spaces, strict=True))}
        check_equal("nl.where", arguments, FLAGS.astype(np.uint8), x, y)
