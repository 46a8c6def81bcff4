"""Index tiles and the arithmetic on them, against NumPy arrays."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nkimigrate.codemods.language.analysis.facts import Facts
from nkimigrate.codemods.language.analysis.index import Index, Window, broadcast, mgrid
from nkimigrate.codemods.language.analysis.refusal import Refused
from nkimigrate.codemods.language.analysis.symbols import Sym

FACTS = Facts()
K = Sym.atom("k")
VALUES = {"k": 5}


def number(value):
    return value if isinstance(value, Sym) else Sym.constant(value)


def array(index):
    """The integers of an index tile, from its base, shape and steps."""
    found = np.full([eval(size.text) for size in index.shape], eval(index.base.text, {}, VALUES))
    for axis, (size, step) in enumerate(zip(index.shape, index.steps, strict=True)):
        along = np.arange(eval(size.text)) * eval(step.text, {}, VALUES)
        found = found + along.reshape((-1,) + (1,) * (len(index.shape) - axis - 1))
    return found


def test_arange():
    assert array(Index.arange(number(7))).tolist() == list(range(7))
    assert array(Index.arange(number(3), number(9))).tolist() == list(range(3, 9))
    assert array(Index.arange(number(3), number(10), number(3))).tolist() == list(range(3, 10, 3))
    assert Index.arange(K).shape == (K,)


def test_new_axes():
    lanes = Index.arange(number(4))
    assert lanes.placed([":", None]).shape == (number(4), number(1))
    assert lanes.placed([None, ":"]).shape == (number(1), number(4))
    assert lanes.placed([None, "...", None]).shape == (number(1), number(4), number(1))
    assert lanes.placed([None]).shape == (number(1), number(4))
    assert lanes.placed([":", None]).placed([":", None, ":"]).moving == (0,)
    with pytest.raises(Refused):
        lanes.placed([":", ":"])


def test_mgrid():
    rows, columns = mgrid([Window(number(2), number(5)), Window(None, number(8), number(2))])
    want = np.mgrid[2:5, 0:8:2]
    assert np.broadcast_to(array(rows), (3, 4)).tolist() == want[0].tolist()
    assert np.broadcast_to(array(columns), (3, 4)).tolist() == want[1].tolist()
    with pytest.raises(Refused, match="M-IDX"):
        mgrid([Window(number(0))])


def test_a_single_element_does_not_move():
    assert Index.arange(number(3), number(4)).placed([":", None]).scalar == number(3)
    assert Index.arange(number(4)).scalar is None


def test_axes_must_fit():
    n = Sym.atom("n")
    with pytest.raises(Refused) as refusal:
        broadcast([(n, number(1)), (K, number(4))], FACTS)
    assert refusal.value.fields["reason"] == "index tiles of n and k along one axis"
    facts = Facts()
    facts.equal(n, K)
    assert facts.same(broadcast([(n, number(1)), (K, number(4))], facts)[0], K)


TILES = st.recursive(
    st.builds(
        lambda count, axis: Index.arange(number(count)).placed([":" if a == axis else None for a in (0, 1)]),
        st.sampled_from([4]),
        st.integers(0, 1),
    ),
    lambda inner: st.one_of(
        st.tuples(st.sampled_from(["+", "-", "*"]), inner, inner | st.integers(-3, 3) | st.just(K)),
        st.tuples(st.sampled_from(["//", "%"]), inner, st.integers(1, 5)),
        st.tuples(st.just("r*"), inner, st.integers(-3, 3)),
    ),
    max_leaves=5,
)


def built(tree):
    if not isinstance(tree, tuple):
        return tree
    op, left, right = tree[0], built(tree[1]), built(tree[2])
    right = number(right) if isinstance(right, int) else right
    if op in "+-":
        return left.plus(right, FACTS, 1 if op == "+" else -1)
    if op in ("*", "r*"):
        return left.times(right, FACTS, reverse=op == "r*")
    return left.floor_divided(right, FACTS) if op == "//" else left.remainder(right, FACTS)


def computed(tree):
    if isinstance(tree, tuple):
        left, right = computed(tree[1]), computed(tree[2])
        operations = {"+": np.add, "-": np.subtract, "//": np.floor_divide, "%": np.remainder}
        return operations.get(tree[0], np.multiply)(left, right)
    if isinstance(tree, Index):
        return array(tree)
    return VALUES["k"] if tree is K else tree


@given(TILES)
def test_arithmetic_is_exact_or_refused(tree):
    try:
        index = built(tree)
    except Refused:
        assume(False)
    found, want = np.broadcast_arrays(array(index), computed(tree))
    assert found.tolist() == want.tolist()


def test_quotients_and_remainders_that_are_affine():
    lanes = Index.arange(number(8)).placed([":", None])
    wide = lanes.times(4, FACTS).plus(K * 16 + 3, FACTS)
    assert array(wide.floor_divided(number(4), FACTS)).ravel().tolist() == [20 + i for i in range(8)]
    assert array(wide.remainder(number(4), FACTS)).ravel().tolist() == [3] * 8
    assert lanes.remainder(number(8), FACTS) == lanes
    assert lanes.floor_divided(number(8), FACTS).scalar == number(0)
    for divisor in (number(3), K):
        with pytest.raises(Refused):
            lanes.floor_divided(divisor, FACTS)
        with pytest.raises(Refused):
            lanes.remainder(divisor, FACTS)
