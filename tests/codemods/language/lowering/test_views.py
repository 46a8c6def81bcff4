"""Methods of tensors, against the legacy language's."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from lowered import PlainEmitter, Source, Tile, check_equal, new_text, uniform

from nkimigrate.codemods.language.analysis.dtypes import named
from nkimigrate.codemods.language.analysis.symbols import Sym
from nkimigrate.codemods.language.analysis.values import Dtype, Items, Scalar, Space, Tensor, Token
from nkimigrate.codemods.language.lowering.emitter import Refused
from nkimigrate.codemods.language.lowering.registry import lower
from nkimigrate.codemods.language.lowering.views import itemsize, limit
from nkisim.core.dtypes import dtype_of as simulated

X = uniform((32, 4, 6), np.float32)


@pytest.mark.parametrize("shape", [(32, 24), (32, 2, 2, 6), (32, 4, 6, 1)])
def test_reshape(shape):
    check_equal("nki.tensor.reshape", {"self": Tile(0), "shape": shape}, X)


@pytest.mark.parametrize("axis", [1, -1, (1, 3)])
def test_expand_dims(axis):
    got = check_equal("nki.tensor.expand_dims", {"self": Tile(0), "axis": axis}, X)
    assert got.got.shape == np.expand_dims(X, axis).shape
    check_equal("nl.expand_dims", {"data": Tile(0), "axis": axis}, X)


@pytest.mark.parametrize("dtype", ["int32", "uint8", "bfloat16", "float16"])
def test_view(dtype):
    got = check_equal("nki.tensor.view", {"self": Tile(0), "dtype": Token(f"nl.{dtype}")}, X).got
    assert got.shape == X.view(simulated(dtype).native).shape


BROADCASTS = [
    ((64, 1), (64, 32)),
    ((1, 32), (64, 32)),
    ((1, 1), (64, 32)),
    ((64, 4, 1), (64, 4, 8)),
    ((64, 1, 8), (64, 4, 8)),
    ((1, 4, 8), (100, 4, 8)),
    ((64, 32), (64, 32)),
]


@pytest.mark.parametrize(("before", "after"), BROADCASTS)
@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16])
@pytest.mark.parametrize("space", [Space.SBUF, Space.PSUM])
def test_broadcast_to(before, after, dtype, space):
    x = uniform(before, dtype)
    for name, parameter in (("nki.tensor.broadcast_to", "self"), ("nl.broadcast_to", "src")):
        ran = check_equal(name, {parameter: Tile(0, space), "shape": after}, x)
        assert (ran.got.reshape(after) == np.broadcast_to(x, after)).all()


def test_broadcast_into_a_tile_of_another_dtype():
    x = uniform((1, 32), ml_dtypes.bfloat16)
    arguments = {"self": Tile(0), "shape": (64, 32)}
    check_equal("nki.tensor.broadcast_to", arguments, x, into=((64, 32), "float32", Space.SBUF))


def sliced(text="x[3:4, 0:8]", space=Space.SBUF):
    return Tensor(text, (Sym.constant(1), Sym.constant(8)), named("float32"), space, whole=False)


def shape(*sizes):
    return Items(str(sizes), tuple(Scalar(str(n), Sym.constant(n)) for n in sizes))


def test_a_partition_in_the_middle_is_moved_to_where_it_can_be_read():
    out = PlainEmitter()
    lower("nki.tensor.broadcast_to", out, {"self": sliced(), "shape": shape(64, 8)})
    assert "nisa.dma_copy(dst=source_1, src=x[3:4, 0:8])" in out.lines
    out = PlainEmitter()
    lower("nki.tensor.broadcast_to", out, {"self": sliced("x[0:1, 0:8]"), "shape": shape(64, 8)})
    assert "broadcast_partitions(dst=dst_1, src=x[0:1, 0:8])" in out.lines


def test_views_of_slices_are_refused():
    for name, arguments in (
        ("reshape", {"shape": shape(1, 2, 4)}),
        ("expand_dims", {"axis": Scalar("1", Sym.constant(1))}),
        ("view", {"dtype": Token("nl.int32")}),
    ):
        with pytest.raises(Refused, match="M-VIEW"):
            lower(f"nki.tensor.{name}", PlainEmitter(), {"self": sliced(), **arguments})


@pytest.mark.parametrize("dtype", ["int32", "uint8", "bfloat16"])
def test_a_view_of_a_dtype_that_is_not_known(dtype):
    for x in (X, X.astype(np.float16)):
        check_equal("nki.tensor.view", {"self": Tile(0, known=False), "dtype": Token(f"nl.{dtype}")}, x)


def test_assert_shape():
    text, _ = new_text("nki.tensor.assert_shape", {"self": Source(0), "shape": (32, 4, 6)}, [X])
    assert "assert in0.shape == (32, 4, 6)" in text


def test_bytes_of_an_element():
    assert itemsize(named("bfloat16"), PlainEmitter()) == Scalar("2", Sym.constant(2))
    out = PlainEmitter()
    assert itemsize(Dtype("x.dtype"), out).text == "itemsize(x.dtype)"
    assert out.helpers == {"itemsize"}


@pytest.mark.parametrize("name", ["float32", "bfloat16", "float16", "float8_e4m3", "float8_e5m2"])
@pytest.mark.parametrize("member", ["min", "max", "eps"])
def test_limits_of_floats(name, member):
    found = limit(named(name), member, PlainEmitter())
    native = simulated(name).native
    expected = getattr(ml_dtypes.finfo(native), member)
    assert np.array(float(found.text), np.float32).astype(native) == expected
    assert float(found.text) == pytest.approx(float(expected), rel=1e-7)


def test_limits_of_integers():
    assert limit(named("int32"), "min", PlainEmitter()) is None


def test_limits_that_are_known_when_the_kernel_is_traced():
    out = PlainEmitter()
    assert limit(Dtype("x.dtype"), "min", out) == Scalar("-largest_number(x.dtype)", real=True)
    assert limit(Dtype("x.dtype"), "eps", out) == Scalar("step_above_one(x.dtype)", real=True)
    assert out.helpers == {"largest_number", "step_above_one"}
