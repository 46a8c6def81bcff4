"""Iterations of which it is said that they mean different elements do, by trying all of them."""

from __future__ import annotations

import random
from itertools import product

import pytest

from nkimigrate.codemods.language.analysis.access import Access
from nkimigrate.codemods.language.analysis.facts import Facts
from nkimigrate.codemods.language.analysis.iterations import Counter, distinct
from nkimigrate.codemods.language.analysis.symbols import ONE, ZERO, Sym
from nkimigrate.codemods.language.analysis.values import Dtype, Space, Tensor

OUTER, INNER, N = Sym.atom("i"), Sym.atom("j"), Sym.atom("n")
TILE = Tensor("p", (Sym.constant(512),) * 2, Dtype("nl.float32", "float32"), Space.PSUM)


def access(bases: list[Sym], sizes: list[Sym]) -> Access:
    """Slices that start at ``bases``, one for each dimension."""
    steps = tuple(tuple(ONE if a == d else ZERO for a in range(len(sizes))) for d in range(len(sizes)))
    facts = Facts()
    return Access(TILE, TILE.shape or (), tuple(bases), steps, tuple(sizes), facts, (None,) * len(sizes))


def said(bases: list[Sym], sizes: list[Sym], *loops: tuple[Sym, Sym, Sym, Sym]) -> bool:
    facts = Facts()
    for variable, start, stop, step in loops:
        facts.loop(variable, start, stop, step)
    return distinct(access(bases, sizes), [Counter(*loop) for loop in loops], facts)


def loop(variable: Sym, stop: Sym | int, start: int = 0, step: int = 1) -> tuple[Sym, Sym, Sym, Sym]:
    end = stop if isinstance(stop, Sym) else Sym.constant(stop)
    return variable, Sym.constant(start), end, Sym.constant(step)


@pytest.mark.parametrize(
    ("bases", "sizes"),
    [
        ([OUTER, INNER], [ONE, ONE]),
        ([OUTER * 4 + INNER, ZERO], [ONE, Sym.constant(64)]),
        ([INNER, OUTER * 64], [ONE, Sym.constant(64)]),
        ([3 - OUTER, INNER * N], [ONE, N]),
        ([OUTER + 2, 7 - INNER * 2], [ONE, Sym.constant(2)]),
    ],
)
def test_what_is_certainly_different(bases, sizes):
    assert said(bases, sizes, loop(OUTER, N), loop(INNER, 4))


@pytest.mark.parametrize(
    ("bases", "sizes"),
    [
        ([OUTER % 2, INNER], [ONE, ONE]),
        ([OUTER // 2, INNER], [ONE, ONE]),
        ([OUTER * 3 + INNER, ZERO], [ONE, ONE]),
        ([INNER, OUTER * 64], [ONE, Sym.constant(65)]),
        ([OUTER, ZERO], [ONE, ONE]),
        ([OUTER * OUTER, INNER], [ONE, ONE]),
        ([OUTER * Sym.atom("m"), INNER], [ONE, ONE]),  # m may be 0
    ],
)
def test_what_may_be_the_same(bases, sizes):
    assert not said(bases, sizes, loop(OUTER, N), loop(INNER, 4))


def test_steps_of_loops_count():
    two = [OUTER, ZERO], [Sym.constant(2), ONE]
    assert said(*two, loop(OUTER, 8, step=2))
    assert not said(*two, loop(OUTER, 8))


def value(sym: Sym, numbers: dict[str, int]) -> int:
    found = eval(sym.text, {}, numbers)
    assert isinstance(found, int)
    return found


def test_what_is_said_to_be_different_is():
    """Random indexes, with all of their iterations."""
    random.seed(5)
    certain = 0
    for _ in range(1200):
        parts = [OUTER, INNER, OUTER % 2, INNER // 2, OUTER * INNER, Sym.constant(1)]
        bases = [
            sum((random.choice((-2, -1, 0, 1, 2, 3)) * part for part in random.sample(parts, 2)), ZERO)
            for _ in range(2)
        ]
        sizes = [random.choice((1, 1, 2, 3)) for _ in range(2)]
        counts = random.choice((2, 3, 4)), random.choice((1, 2, 3))
        step = random.choice((1, 1, 2))
        loops = loop(OUTER, counts[0] * step, step=step), loop(INNER, counts[1])
        if not said(bases, [Sym.constant(size) for size in sizes], *loops):
            continue
        certain += 1
        seen: set[tuple[int, ...]] = set()
        for i, j in product(range(0, counts[0] * step, step), range(counts[1])):
            starts = [value(base, {"i": i, "j": j}) for base in bases]
            own = set(product(*(range(s, s + n) for s, n in zip(starts, sizes, strict=True))))
            assert not own & seen, (bases, sizes, counts, step)
            seen |= own
    assert certain > 30
