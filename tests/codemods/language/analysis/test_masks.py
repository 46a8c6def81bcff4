"""Masks as ranges of axes, against the flags that NumPy's comparisons give."""

import operator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from subscripted import Array, evaluated, numbered

from nkimigrate.codemods.language.analysis.access import subscript
from nkimigrate.codemods.language.analysis.facts import Facts
from nkimigrate.codemods.language.analysis.index import Index
from nkimigrate.codemods.language.analysis.masks import Comparison, Condition, Mask, for_operand, solved
from nkimigrate.codemods.language.analysis.refusal import Refused
from nkimigrate.codemods.language.analysis.symbols import Sym, ceil_div
from nkimigrate.codemods.language.analysis.values import Space, Tensor

FACTS = Facts()
K, ROWS, COLUMNS = Sym.atom("k"), Sym.atom("rows"), Sym.atom("columns")
OPERATIONS = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
}


def number(value):
    return value if isinstance(value, Sym) else Sym.constant(value)


def lanes(count, axis, rank=2):
    return Index.arange(number(count)).placed([":" if at == axis else None for at in range(rank)])


P, F = lanes(128, 0), lanes(512, 1)
ROW_OF_TILE = P.plus(K * 128, FACTS)


def mask(*parts):
    return Mask(tuple(Comparison.of(*part) for part in parts))


def bounds(region):
    return [(bound.axis, bound.low.text, bound.high.text, bound.guard) for bound in region.bounds]


def test_the_last_tile():
    region = solved(mask((ROW_OF_TILE, "<", ROWS)), FACTS)
    assert bounds(region) == [(-2, "0", "min(128, rows - k * 128)", "min(128, rows - k * 128) > 0")]
    assert bounds(renamed(region, "n")) == [(-2, "0", "n", "n > 0")]


def renamed(region, name):
    (bound,) = region.bounds
    return type(region)(region.shape, (bound.named(high=name),))


def test_no_guard_where_the_loop_stops_in_time():
    facts = Facts()
    facts.at_least(ROWS, 1)
    facts.loop(K, 0, ceil_div(ROWS, number(128)))
    assert bounds(solved(mask((ROW_OF_TILE, "<", ROWS)), facts)) == [
        (-2, "0", "min(128, rows - k * 128)", None)
    ]


def test_no_bound_where_tiles_are_whole():
    facts = Facts()
    facts.at_least(ROWS, 1)
    facts.divisible(ROWS, 128)
    facts.loop(K, 0, ROWS // 128)
    region = solved(mask((ROW_OF_TILE, "<", ROWS)), facts)
    assert region.bounds == ()
    assert not region.never


@pytest.mark.parametrize(
    ("part", "low", "high"),
    [
        ((P, "<", 64), "0", "64"),
        ((P, "<=", 63), "0", "64"),
        ((64, ">", P), "0", "64"),
        ((P, ">=", 64), "64", "128"),
        ((P, ">", 63), "64", "128"),
        ((P, "==", 5), "5", "6"),
        ((P.times(2, FACTS), "<", 65), "0", "33"),
        ((P.times(-1, FACTS), ">", -65), "0", "65"),
        ((P.plus(K - 2, FACTS), ">=", 0), "max(0, 2 - k)", "128"),
        ((P.times(4, FACTS), "<", COLUMNS), "0", "min(128, (columns + 3) // 4)"),
    ],
)
def test_comparisons(part, low, high):
    (bound,) = solved(mask(part), FACTS).bounds
    assert (bound.low.text, bound.high.text) == (low, high)


def test_conditions_on_loop_variables():
    region = solved(mask((K * 128, "<", ROWS), (F, "<", COLUMNS)), FACTS)
    assert region.conditions == ("k * 128 < rows",)
    assert [bound.axis for bound in region.bounds] == [-1]
    assert region.guards == ("k * 128 < rows", "min(512, columns) > 0")
    assert solved(Mask((Condition("causal"),)), FACTS).guards == ("causal",)


def test_conditions_that_always_or_never_hold():
    facts = Facts()
    facts.loop(K, 0, 4)
    assert solved(mask((K, "<", 4)), facts).guards == ()
    assert solved(mask((K, ">=", 4)), facts).never
    assert solved(mask((P, "<", 0)), facts).never
    assert solved(mask((K, "==", 9)), facts).never
    assert not solved(mask((K, "<", 3)), facts).never


def test_the_same_bound_twice():
    once = mask((P, "<", ROWS))
    assert once.both(once) == once
    assert bounds(solved(once.both(mask((P, "<", 100))), FACTS)) == [
        (-2, "0", "min(rows, 100)", "min(rows, 100) > 0")
    ]


@pytest.mark.parametrize(
    "part",
    [
        (P, ">=", F),
        (P.plus(F, FACTS), "<", ROWS),
        (P, "!=", 4),
        (P.times(2, FACTS), "==", ROWS),
        (P.times(K, FACTS), "<", ROWS),
        (lanes(4, 0), "<", lanes(8, 0)),
    ],
)
def test_what_is_no_range(part):
    with pytest.raises(Refused, match="M-MASK") as refusal:
        solved(mask(part), FACTS)
    assert refusal.value.fields["reason"]


def test_on_a_tile_of_more_axes_a_column_bounds_the_partitions():
    region = solved(mask((P, "<", 100)), FACTS)
    n = (number(0), number(100))
    assert region.on((number(128), number(512)), FACTS) == {-2: n}
    assert region.on((number(128), number(4), number(64)), FACTS) == {-3: n}
    with pytest.raises(Refused, match="M-MASK"):
        region.on((number(64), number(512)), FACTS)


def test_operands_of_an_instruction():
    shape = (number(128), number(4), number(64))
    rows, last = (number(0), number(100)), (number(0), number(3))
    ranges = {-3: rows, -1: last}
    assert for_operand(ranges, shape, shape, FACTS) == ranges
    assert for_operand(ranges, shape, (number(128), number(1)), FACTS) == {-2: rows}
    assert for_operand(ranges, shape, (number(1), number(1)), FACTS) == {}
    assert for_operand(ranges, shape, (number(1), number(4), number(64)), FACTS) == {-1: last}
    with pytest.raises(Refused):
        for_operand(ranges, shape, (number(128), number(4), ROWS), FACTS)


def test_a_result_that_reduces_an_axis_has_all_of_it():
    shape, last = (number(128), number(512)), (number(0), number(100))
    assert for_operand({-1: last}, shape, (number(128), number(6)), FACTS, reduced=True) == {}
    for reduced, size in (False, number(6)), (True, ROWS):
        with pytest.raises(Refused):
            for_operand({-1: last}, shape, (number(128), size), FACTS, reduced)


@st.composite
def conjunctions(draw):
    """Comparisons of affine index tiles of one axis each, as a mask and as NumPy computes it."""
    counts = (draw(st.integers(1, 6)), draw(st.integers(1, 6)))
    parts, flags = [], np.ones(counts, bool)
    for _ in range(draw(st.integers(1, 3))):
        axis = draw(st.integers(0, 1))
        step, start, shift = (draw(st.integers(*ends)) for ends in ((-3, 3), (-8, 8), (-8, 8)))
        op = draw(st.sampled_from(["<", "<=", ">", ">="]))
        index = lanes(counts[axis], axis).times(step, FACTS).plus(K * 2 + start, FACTS)
        here = np.indices(counts)[axis] * step + 2 * 3 + start
        bound = ROWS + shift
        sides = (index, bound) if draw(st.booleans()) else (bound, index)
        parts.append((sides[0], op, sides[1]))
        compared = (here, 4 + shift) if sides[0] is index else (4 + shift, here)
        flags &= OPERATIONS[op](*compared)
    return counts, mask(*parts), flags


@given(conjunctions())
def test_ranges_are_the_flags(case):
    counts, conjunction, flags = case
    region = solved(conjunction, FACTS)
    values = {"k": 3, "rows": 4, "min": min, "max": max}
    runs = not region.never and all(eval(guard, {}, values) for guard in region.guards)
    assert runs == flags.any()
    if not runs:
        return
    x = subscript(
        Tensor("x", tuple(map(number, counts)), None, Space.HBM),
        [lanes(counts[0], 0), lanes(counts[1], 1)],
        FACTS,
    )
    shape = tuple(map(number, counts))
    part = x.narrowed(region.on(shape, FACTS))
    got = evaluated(part.code(), x=Array(numbered(*counts)), k=3, rows=4)
    assert got.values.ravel().tolist() == numbered(*counts)[flags].tolist()
