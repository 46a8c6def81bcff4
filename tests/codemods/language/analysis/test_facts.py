"""What follows from assertions and loops: examples, and against values that satisfy the facts."""

from hypothesis import given
from hypothesis import strategies as st

from nkimigrate.codemods.language.analysis.facts import Facts
from nkimigrate.codemods.language.analysis.symbols import Sym, ceil_div, maximum, minimum

K = Sym.atom("k")
N = Sym.atom("n")
M = Sym.atom("m")
TILE = Sym.constant(128, "TILE")


def sizes():
    facts = Facts()
    facts.at_least(N, 1)
    facts.at_least(M, 1)
    return facts


def test_divisible():
    facts = sizes()
    assert facts.same(N // TILE * TILE, N) is None
    facts.divisible(N, 128)
    assert facts.same(N // TILE * TILE, N) is True
    assert facts.same(ceil_div(N, TILE), N // TILE) is True
    assert facts.divides(64, N)
    assert not facts.divides(256, N)
    facts.divisible(N, 96)
    assert facts.divides(384, N)
    assert not facts.divides(256, N)


def test_divisible_of_an_expression():
    facts = sizes()
    facts.divisible(N // 2, 64)
    assert facts.divides(64, N // 2)
    assert not facts.divides(128, N // 2)
    facts.divisible(M * 6, 4)
    assert facts.divides(2, M)


def test_equal():
    facts = sizes()
    facts.equal(M, N * 2)
    assert facts.same(M // 2, N) is True
    assert facts.same(M, N) is False
    assert facts.divides(2, M)
    facts.divisible(N, 128)
    assert facts.divides(256, M)


def test_copies_do_not_change_the_original():
    facts = sizes()
    inner = facts.copy()
    inner.equal(M, N)
    assert inner.same(M, N) is True
    assert facts.same(M, N) is None


def test_tiles_of_a_loop_stay_inside_when_the_size_is_divisible():
    facts = sizes()
    facts.divisible(N, 128)
    facts.loop(K, 0, N // TILE)
    assert facts.holds_at_most(K * TILE + TILE, N)
    assert facts.least(TILE, N - K * TILE).text == "TILE"


def test_the_last_tile_of_a_loop_over_the_quotient_rounded_up_is_short_but_not_empty():
    facts = sizes()
    facts.loop(K, 0, ceil_div(N, TILE))
    short = facts.least(TILE, N - K * TILE)
    assert short.text == "min(TILE, n - k * TILE)"
    assert facts.holds_at_most(1, short)
    assert facts.holds_at_most(K * TILE + short, N)
    assert not facts.holds_at_most(K * TILE + TILE, N)


def test_loops_with_a_step():
    facts = sizes()
    facts.loop(K, 0, N, 128)
    assert facts.holds_below(K, N)
    assert not facts.holds_at_most(K + 128, N)
    assert facts.divides(128, K)
    facts.divisible(N, 128)
    assert facts.holds_at_most(K + 128, N)


def test_bounds_of_minima_and_maxima():
    facts = sizes()
    assert facts.holds_at_most(minimum(N, M), N)
    assert facts.holds_at_most(N, maximum(N, M))
    assert not facts.holds_at_most(N, minimum(N, M))
    assert facts.holds_at_most(1, minimum(N, M))
    assert facts.greatest(Sym.constant(0), N).text == "n"


def test_nothing_is_known_of_a_name():
    assert Facts().same(N, 0) is None
    assert not Facts().holds_at_most(0, N)
    assert not Facts().holds_at_most(0, N * N)


EXPRESSIONS = st.recursive(
    st.sampled_from([K, N, M]) | st.integers(-3, 9).map(Sym.constant),
    lambda inner: st.one_of(
        st.builds(lambda a, b: a + b, inner, inner),
        st.builds(lambda a, b: a - b, inner, inner),
        st.builds(lambda a, b: a * b, inner, inner),
        st.builds(lambda a, b: a // b, inner, st.integers(1, 5)),
        st.builds(minimum, inner, inner),
        st.builds(maximum, inner, inner),
    ),
    max_leaves=6,
)


@given(
    EXPRESSIONS,
    EXPRESSIONS,
    st.integers(1, 5),
    st.integers(1, 12),
    st.integers(1, 4),
    st.sampled_from(["divisible", "equal", "bound"]),
    st.data(),
)
def test_claims_hold_for_values_that_satisfy_the_facts(left, right, tile, n, m, kind, data):
    facts = sizes()
    if kind == "divisible":
        n *= tile
        facts.divisible(N, tile) if tile > 1 else None
    elif kind == "equal":
        n = 2 * m + tile
        facts.equal(N, M * 2 + tile)
    else:
        m = max(m, n - tile)
        facts.at_least(M, N - tile)
    step = data.draw(st.sampled_from([1, tile]))
    facts.loop(K, 0, N, step)
    values = {"n": n, "m": m, "k": data.draw(st.sampled_from(range(0, n, step)))}

    def value(sym):
        return eval(sym.text, {}, values)

    same = facts.same(left, right)
    assert same is None or same == (value(left) == value(right))
    assert not facts.holds_at_most(left, right) or value(left) <= value(right)
    assert value(facts.least(left, right)) == min(value(left), value(right))
    assert value(facts.greatest(left, right)) == max(value(left), value(right))
    assert not facts.divides(tile, left) or value(left) % tile == 0
