"""Regions of memory as the language guide describes them, and what tensors refuse."""

from __future__ import annotations

import operator

import numpy as np
import pytest

import nkisim.isa as nisa
import nkisim.language as nl
from nkisim.core.errors import SimulationError
from nkisim.core.memory import SBUF_BYTES
from nkisim.core.tensor import Tensor


def test_a_view_of_a_region_is_a_tensor():
    region = nl.sbuf.ptr(size=(128, 64))
    t = region.view(nl.float16, (128, 32))
    assert (t.shape, t.dtype, t.buffer) == ((128, 32), nl.float16, nl.sbuf)
    assert np.isnan(np.asarray(t.read())).all()
    nisa.memset(dst=t, value=1.5)
    again = region.view(nl.float16, (128, 2, 16))
    assert (np.asarray(again.read()) == 1.5).all()


def test_ndarray_takes_a_region():
    region = nl.sbuf.ptr(size=(128, 64))
    nisa.memset(dst=nl.ndarray((128, 32), nl.float16, buffer=region), value=2.0)
    assert (np.asarray(region.view(nl.float16, (64, 8)).read()) == 2).all()


def test_parts_of_a_region_lie_where_they_are_put():
    region = nl.sbuf.ptr(size=(128, 128))
    first = region.ptr(size=(128, 64), offset=(0, 0)).view(nl.float16, (128, 32))
    second = region.ptr(size=(64, 64), offset=(32, 64)).view(nl.float16, (64, 32))
    nisa.memset(dst=first, value=1.0)
    nisa.memset(dst=region.ptr(size=(128, 64), offset=(0, 64)).view(nl.float16, (128, 32)), value=0.0)
    nisa.memset(dst=second, value=2.0)
    whole = np.asarray(region.view(nl.float16, (128, 64)).read())
    expected = np.zeros((128, 64))
    expected[:, :32], expected[32:96, 32:] = 1, 2
    assert np.array_equal(whole, expected)


def test_an_offset_is_an_address(core):
    placed = nl.sbuf.ptr(size=(128, 64), offset=(0, 128)).view(nl.float16, (128, 32))
    nisa.memset(dst=placed, value=3.0)
    same = nl.ndarray((128, 32), nl.float16, buffer=nl.sbuf, address=(0, 128))
    assert (np.asarray(same.read()) == 3).all()


def test_psum_has_regions():
    t = nl.psum.ptr(size=(128, 2048), offset=(0, 4096)).view(nl.float32, (128, 512))
    assert (t.buffer, t.shape) == (nl.psum, (128, 512))


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: nl.sbuf.ptr(size=(128, 64)).view(nl.float16, (128, 33)),
            "does not fit into a region of 128 × 64",
        ),
        (lambda: nl.sbuf.ptr(size=(64, 64)).view(nl.float16, (65, 1)), "does not fit"),
        (lambda: nl.sbuf.ptr(size=(129, 64)), "129 partitions"),
        (lambda: nl.sbuf.ptr(size=(128, 64)).ptr(size=(128, 8), offset=(0, 60)), "out of bounds"),
        (lambda: nl.sbuf.ptr(size=(128, 64), offset=(0, SBUF_BYTES[3] - 32)), "past the end"),
    ],
)
def test_what_does_not_fit(make, text):
    with pytest.raises(SimulationError, match=text):
        make()


OPERATORS = [
    "add",
    "sub",
    "mul",
    "truediv",
    "floordiv",
    "mod",
    "pow",
    "matmul",
    "and_",
    "or_",
    "xor",
    "lshift",
    "rshift",
    "lt",
    "le",
    "gt",
    "ge",
]


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_say_what_to_call(name):
    tensor = Tensor((4, 4), "float32")
    for operands in ((tensor, tensor), (tensor, 2), (2, tensor)):
        with pytest.raises(SimulationError, match="operators on tensors are not supported"):
            getattr(operator, name)(*operands)


@pytest.mark.parametrize("apply", [operator.neg, operator.invert, abs])
def test_unary_operators_too(apply):
    with pytest.raises(SimulationError, match="not supported"):
        apply(Tensor((4, 4), "float32"))


def test_assignment_says_what_to_call():
    tensor = Tensor((4, 4), "float32")
    with pytest.raises(SimulationError, match="cannot be assigned to"):
        tensor[0:2] = tensor[2:4]


def test_identity_is_what_equality_means():
    tensor = Tensor((4, 4), "float32")
    assert tensor == tensor
    assert tensor != Tensor((4, 4), "float32")
    assert tensor != None  # noqa: E711
