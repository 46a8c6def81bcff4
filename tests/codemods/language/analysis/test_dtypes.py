"""Promotion rules against those of the simulated legacy language, which has them from its API pages."""

from __future__ import annotations

import itertools

import pytest

import nkisim.beta1.dtypes as legacy
from nkimigrate.codemods.language.analysis.dtypes import (
    SIZES,
    certainly_same,
    dtype_of,
    is_integer,
    named,
    number_type,
    promoted,
    promoted_names,
)
from nkimigrate.codemods.language.analysis.symbols import Sym
from nkimigrate.codemods.language.analysis.values import Dtype, Scalar, Tensor, Token, Unknown
from nkisim.core.dtypes import dtype_of as simulated

NAMES = [name for name in SIZES if name != "bool"]
X, Y = Dtype("x.dtype", None, "x"), Dtype("y.dtype", None, "y")


@pytest.mark.parametrize(("first", "second"), [*itertools.product(NAMES, NAMES)])
def test_types_are_promoted_as_in_the_legacy_language(first, second):
    expected = legacy.promoted(simulated(first), simulated(second))
    assert simulated(promoted_names(first, second)) is expected


@pytest.mark.parametrize("name", NAMES)
def test_sizes_are_those_of_the_simulator(name):
    assert SIZES[name] == simulated(name).itemsize


def test_types_that_depend_on_inputs_are_equal_only_with_one_source():
    assert promoted(X, Dtype("tile.dtype", None, "x")) is X
    assert promoted(X, Y) is None
    assert promoted(X, named("bfloat16")) is None
    assert promoted(Dtype("a", None, None), Dtype("a", None, None)) is None
    assert not certainly_same(X, named("bfloat16"))
    assert not certainly_same(None, None)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_wider_than_float32(name):
    """So that the result is known whatever the other type is."""
    assert legacy.promoted(simulated(name), simulated("float32")) is simulated("float32")
    assert promoted(X, named("float32")) == promoted(named("float32"), X) == named("float32")


def test_an_unknown_operand_leaves_the_result_unknown():
    assert promoted(None, named("float32")) is None


@pytest.mark.parametrize(
    ("text", "number"),
    [("2", 2), ("1.5", 1.5), ("True", True), ("1e-5", 1e-5), ("-3", -3), ("-0.5", -0.5)],
)
def test_literals_count_as_the_legacy_language_counts_numbers(text, number):
    found = number_type(Scalar(text))
    assert found is not None
    assert simulated(found.known) is legacy.type_of(number)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.0 / n", "float32"),
        ("1 / n", "float32"),
        ("n * 0.5", "float32"),
        ("math.sqrt(d)", "float32"),
        ("float(n)", "float32"),
        ("math.pi", "float32"),
        ("2 * 3 + 1", "int32"),
        ("len(x.shape)", "int32"),
        ("2 ** k", None),
        ("scale", None),
        ("-scale", None),
        ("scale * 2", None),
        ("f(", None),
    ],
)
def test_expressions_of_numbers(text, expected):
    found = number_type(Scalar(text))
    assert (found.known if found else None) == expected


def test_parameters_that_are_meant_to_be_floats():
    assert number_type(Scalar("epsilon", real=True)) == named("float32")


def test_sizes_are_integers():
    assert number_type(Scalar("x.shape[0]", Sym.atom("x.shape[0]"))) == named("int32")


def test_what_an_argument_names():
    assert dtype_of(Token("nl.bfloat16")) == named("bfloat16")
    assert dtype_of(Token("nl.bool_")) == named("uint8")
    assert dtype_of(Unknown("bool")) == named("uint8")
    assert dtype_of(Unknown("'float32'")) == named("float32")
    assert dtype_of(Unknown("acc_dtype")) == Dtype("acc_dtype", None, "acc_dtype")
    assert dtype_of(X) is X
    assert dtype_of(Token("nl.add")) is None
    assert dtype_of(Tensor("x", None, None, None)) is None


def test_kinds():
    assert is_integer(named("uint16"))
    assert not is_integer(named("float16"))
    assert not is_integer(X)
