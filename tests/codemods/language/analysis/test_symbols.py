"""Integer expressions: their arithmetic against Python's own, and their spelling."""

import operator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nkimigrate.codemods.language.analysis.symbols import (
    ONE,
    Sym,
    ceil_div,
    exactly,
    maximum,
    minimum,
    product,
)

K = Sym.atom("k")
M = Sym.atom("m")
TILE = Sym.constant(128, "TILE")
ROWS = Sym.atom("x.shape[0]", "rows")

OPERATORS = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "min": min,
    "max": max,
    "//": operator.floordiv,
    "%": operator.mod,
}
SYMBOLIC = OPERATORS | {"min": minimum, "max": maximum}
VALUES = st.fixed_dictionaries({name: st.integers(-9, 9) for name in ("k", "m")})
LITERALS = st.integers(-6, 6)
DIVISORS = st.integers(1, 6)


def _extended(inner):
    plain = st.tuples(st.sampled_from(["+", "-", "*", "min", "max"]), inner, inner)
    return plain | st.tuples(st.sampled_from(["//", "%"]), inner, DIVISORS)


TREES = st.recursive(st.sampled_from(["k", "m"]) | LITERALS, _extended, max_leaves=8)


def built(tree):
    """The expression as a Sym."""
    if isinstance(tree, tuple):
        return SYMBOLIC[tree[0]](built(tree[1]), built(tree[2]))
    return Sym.atom(tree) if isinstance(tree, str) else Sym.constant(tree)


def evaluated(tree, values):
    """The expression by Python's integers."""
    if isinstance(tree, tuple):
        return OPERATORS[tree[0]](evaluated(tree[1], values), evaluated(tree[2], values))
    return values.get(tree, tree)


@given(TREES, VALUES)
def test_terms_and_spelling_have_the_value_of_the_expression(tree, values):
    sym = built(tree)
    want = evaluated(tree, values)
    assert eval(sym.text, {}, values) == want
    assert eval(exactly(sym.terms).text, {}, values) == want
    assert sym.value is None or sym.value == want


@given(TREES, TREES, VALUES)
def test_equal_expressions_have_equal_values(left, right, values):
    if built(left) == built(right):
        assert evaluated(left, values) == evaluated(right, values)


@given(TREES)
def test_what_is_canonical_stays_so(tree):
    sym = built(tree)
    assert sym - sym == Sym.constant(0)
    assert sym + sym == sym * 2
    assert (sym * 12) // 12 == sym
    assert sym // 4 * 4 + sym % 4 == sym


@pytest.mark.parametrize(
    ("sym", "text"),
    [
        (K * TILE, "k * TILE"),
        ((K + 1) * TILE, "(k + 1) * TILE"),
        (K * TILE + TILE, "k * TILE + TILE"),
        ((K + 1) * TILE - K * TILE, "TILE"),
        (K * 128 + 8 + 64, "k * 128 + 72"),
        (K - 1 + 1, "k"),
        (K + 1 - 3, "k - 2"),
        (2 - K, "2 - k"),
        (-K + 2, "-k + 2"),
        (M - (K - 1), "m - (k - 1)"),
        (M - (K * 2), "m - k * 2"),
        (M * (K - M), "m * (k - m)"),
        (M // (K // 2), "m // (k // 2)"),
        (K * 1, "k"),
        (K + 0, "k"),
        (0 * K, "0"),
        (Sym.constant(6) * 7, "42"),
        (K * 2 * 3, "k * 6"),
        (K * TILE // TILE, "k"),
        (ROWS // TILE, "rows // TILE"),
        (ROWS % TILE, "rows % TILE"),
        (ceil_div(ROWS, TILE), "(rows + TILE - 1) // TILE"),
        (ceil_div(ROWS, TILE, "tiles"), "tiles"),
        (minimum(TILE, ROWS - K * TILE), "min(TILE, rows - k * TILE)"),
        (minimum(K, K + 3), "k"),
        (maximum(K, K + 3), "k + 3"),
        (minimum(4, 9), "4"),
        (product([K, M, ONE]), "k * m"),
        (Sym.atom("n", "a if c else b") * 2, "(a if c else b) * 2"),
        (Sym.atom("n", "sizes[i + 1]") * 2, "sizes[i + 1] * 2"),
        ((K * TILE).named("start") + 4, "start + 4"),
    ],
)
def test_the_spelling_is_what_one_would_write(sym, text):
    assert sym.text == text


def test_what_no_name_stands_for_is_spelled_as_before():
    chosen = Sym.atom("tile@2", "tile")
    stop = (K * TILE + chosen).named("stop")
    assert stop - K * TILE == chosen
    assert (stop - K * TILE).text == "stop - k * TILE"
    assert ((K * TILE + chosen) - K * TILE).text == "tile"


def test_names_are_not_part_of_the_value():
    assert Sym.constant(128) == TILE
    assert Sym.atom("x.shape[0]", "n_rows") == ROWS
    assert Sym.atom("rows") != ROWS


def test_quotients():
    assert (K * 256 + 5) // TILE == K * 2
    assert (K // 2) // 4 == K // 8
    assert (K * 6 + 4) // 4 == (K * 3 + 2) // 2
    assert (ROWS * M) // M == ROWS
    assert Sym.constant(0) == (ROWS * M) % M
    assert K // M != K


def test_the_kernel_has_names_for_sizes():
    rows = Sym.atom("x.shape[0]")
    names = {rows.terms: "rows", (rows // 2).terms: "half", TILE.terms: "P"}
    assert (minimum(rows - K * TILE, TILE) + rows * 3).respelled(names).text == (
        "min(rows - k * TILE, TILE) + rows * 3"
    )
    assert (rows // 2).named("x.shape[0] // 2").respelled(names).text == "half"
    assert Sym.atom("x.shape[0]", "n").respelled(names).text == "n"
