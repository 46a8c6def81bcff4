"""Affine predicates and values as instruction arguments, against NumPy's comparisons of index tiles."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nkimigrate.codemods.language.analysis.facts import Facts
from nkimigrate.codemods.language.analysis.index import Index
from nkimigrate.codemods.language.analysis.masks import Comparison, Condition, Mask
from nkimigrate.codemods.language.analysis.predicates import affine_value, predicate
from nkimigrate.codemods.language.analysis.refusal import Refused
from nkimigrate.codemods.language.analysis.symbols import Sym

FACTS = Facts()
Q, K = Sym.atom("q"), Sym.atom("k")
COMPARED = {
    "nl.less": np.less,
    "nl.less_equal": np.less_equal,
    "nl.greater": np.greater,
    "nl.greater_equal": np.greater_equal,
    "nl.equal": np.equal,
    "nl.not_equal": np.not_equal,
}
WRITTEN = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
    "!=": np.not_equal,
}


def number(value):
    return value if isinstance(value, Sym) else Sym.constant(value)


def lanes(count, axis, rank=2):
    return Index.arange(number(count)).placed([":" if at == axis else None for at in range(rank)])


def shape(*sizes):
    return tuple(map(number, sizes))


def test_a_causal_predicate():
    rows, columns = lanes(128, 0).plus(Q * 128, FACTS), lanes(512, 1).plus(K * 512, FACTS)
    found = predicate(Mask((Comparison(rows, ">=", columns),)), shape(128, 512), FACTS)
    assert found.arguments() == {
        "pattern": "[[-1, 512]]",
        "offset": "q * 128 - k * 512",
        "channel_multiplier": "1",
        "cmp_op": "nl.greater_equal",
    }


def test_values():
    index = lanes(128, 0).times(-2, FACTS).plus(5, FACTS)
    assert affine_value(index, shape(128, 1), FACTS).arguments() == {
        "pattern": "[[0, 1]]",
        "offset": "5",
        "channel_multiplier": "-2",
    }


@pytest.mark.parametrize(
    ("mask", "sizes"),
    [
        (Mask((Comparison.of(lanes(64, 0), ">=", 0),)), (128, 512)),
        (Mask((Comparison.of(lanes(64, 0), ">=", lanes(32, 0)),)), (64, 512)),
        (Mask((Comparison.of(lanes(64, 0), ">=", 0),)), (64,)),
        (Mask((Condition("causal"),)), (64, 4)),
        (Mask((Comparison.of(lanes(64, 0), ">=", 0), Comparison.of(lanes(4, 1), "<", 3))), (64, 4)),
    ],
)
def test_what_is_not_affine_in_the_tile(mask, sizes):
    with pytest.raises(Refused, match="M-PRED") as refusal:
        predicate(mask, shape(*sizes), FACTS)
    assert refusal.value.fields["reason"]


def test_on_a_part_of_the_tile():
    index = lanes(128, 0).times(2, FACTS).plus(lanes(512, 1), FACTS, -1).plus(Q, FACTS)
    whole = affine_value(index, shape(128, 512), FACTS)
    assert whole.narrowed({-2: shape(3, 10), -1: (Sym.constant(4), K)}).arguments() == {
        "pattern": "[[-1, k - 4]]",
        "offset": "q + 2",
        "channel_multiplier": "2",
    }
    assert whole.narrowed({}) == whole
    assert {sym.text for sym in whole.symbols} == {"q", "2", "-1", "512"}


def evaluated(arguments, sizes, values):
    """The value that the instruction computes for each element, by its definition."""
    pattern = eval(arguments["pattern"], {}, values)
    assert [count for _, count in pattern] == list(sizes[1:])
    found = np.full(sizes, eval(arguments["offset"], {}, values))
    steps = [eval(arguments["channel_multiplier"], {}, values)] + [step for step, _ in pattern]
    for axis, step in enumerate(steps):
        found = found + np.indices(sizes)[axis] * step
    return found


@given(st.data())
def test_predicates_are_the_flags(data):
    sizes = tuple(data.draw(st.lists(st.integers(1, 4), min_size=2, max_size=3)))
    values = {"q": 3, "k": 2}

    def side():
        index, array = Index(Sym.constant(0)), np.zeros(sizes, int)
        for axis, size in enumerate(sizes):
            step = data.draw(st.integers(-3, 3))
            index = index.plus(lanes(size, axis, len(sizes)).times(step, FACTS), FACTS)
            array = array + np.indices(sizes)[axis] * step
        base = data.draw(st.sampled_from([Q, K * 2, number(4)])) * data.draw(st.integers(-2, 2))
        return index.plus(base, FACTS), array + eval(base.text, {}, values)

    (left, a), (right, b) = side(), side()
    op = data.draw(st.sampled_from(list(WRITTEN)))
    arguments = predicate(Mask((Comparison(left, op, right),)), shape(*sizes), FACTS).arguments()
    got = COMPARED[arguments["cmp_op"]](evaluated(arguments, sizes, values), 0)
    assert got.tolist() == WRITTEN[op](a, b).tolist()
