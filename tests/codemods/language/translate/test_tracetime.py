"""Functions of a file that are carried out while it is migrated give what Python gives."""

from __future__ import annotations

import ast
from itertools import product

import pytest

from nkimigrate.codemods.analysis.context import FileContext
from nkimigrate.codemods.language.analysis.symbols import Sym
from nkimigrate.codemods.language.translate.names import Names
from nkimigrate.codemods.language.translate.tracetime import Trace, Unclear
from nkimigrate.codemods.source import Source
from nkimigrate.releases import load_language

TURNS = """
import functools
from functools import reduce
from operator import mul

BANKS = {(0, 0): 1, (0, 1): 3, (1, 0): 5, (1, 1): 7, (2, 0): 1, (2, 1): 2}
MOST = 3


def size(shape):
    return reduce(mul, shape, 1)


def number(shape, index):
    return sum(i * size(shape[dim + 1 :]) for dim, i in enumerate(index))


def turns(base, counts, scale=1):
    def place(index):
        own = counts or (1,) * len(index)
        return number(own, tuple(i % n for i, n in zip(index, own))) * scale + base

    return place


def modulo(base, *, counts=()):
    def place(idx, pdim_size, fdim_size):
        return turns(0, ())(idx) - 0, turns(base, counts, fdim_size)(idx)

    return place


def mapped(banks, idx, pdim_size, fdim_size):
    return banks[idx], 0, 0


def looped(idx, pdim_size, fdim_size):
    first, *_ = idx + idx if False else (idx[0], 0)
    return first


def counted(idx, rows, size):
    byte = 0
    for i in range(1, 4):
        if i == MOST or not (i > 1 and i <= 2):
            byte += i * size
    group, tile = idx
    assert rows > 0
    return (-byte + 100, byte if group is not None else 0, tile // 2 * 2 + [5, 6][-1], group == 1)
"""


def traced(expression: str, text: str = TURNS, **known: object) -> object:
    step = load_language("2.27", "2.28")
    assert step is not None
    text = f"{text}\n\nasked = {expression}\n"
    tree = ast.parse(text)
    ctx = FileContext("app.py", Source.decode(text.encode()), tree, step.resolution, "app")
    last = tree.body[-1]
    assert isinstance(last, ast.Assign)
    return Trace(ctx, Names(ctx)).value(last.value, known)


def plain(value: object) -> object:
    """With numbers as Python's."""
    if isinstance(value, tuple):
        return tuple(plain(each) for each in value)
    return value.value if isinstance(value, Sym) else value


INDEXES = [*product(range(3), range(2))]


@pytest.mark.parametrize("index", INDEXES)
@pytest.mark.parametrize(
    "function",
    [
        "modulo(64, counts=(2, 2))({}, 128, 2048)",
        "modulo(base=64)(idx={}, pdim_size=128, fdim_size=2048)",
        "functools.partial(mapped, banks=BANKS)(idx={}, pdim_size=128, fdim_size=2048)",
        "functools.partial(mapped, BANKS)({}, 128, 2048)",
        "counted({}, 128, 2048)",
        "(lambda idx, scale=4: (idx[0] * scale, idx[-1] - 1, len(idx[:1])))({})",
    ],
)
def test_it_gives_what_python_gives(function, index):
    expression = function.format(index)
    space: dict[str, object] = {}
    exec(TURNS, space)
    expected = eval(expression, space)
    assert plain(traced(expression)) == expected


def test_unknown_numbers_stay_in_what_it_gives():
    i, n = Sym.atom("i"), Sym.atom("n")
    found = traced("modulo(64, counts=(2, 3))((i, j), 128, n * 4)", i=i, j=Sym.constant(4), n=n)
    assert found == (Sym.constant(0), 64 + (i % 2 * 3 + 1) * (n * 4))


@pytest.mark.parametrize(
    "expression",
    [
        "mapped(BANKS, (i, 0), 128, 4)",  # which one is not known
        "mapped(BANKS, (9, 9), 128, 4)",  # there is none
        "turns(0, ())((1, 2), 3)",
        "turns(0)",
        "turns(0, (), scala=2)",
        "turns(0, counts=(), base=1)",
        "number((1, 2), zip((1, 2), (3, 4)))",  # an iterator, which may be asked twice
        "looped((1, 2), 1, 1)",
        "5 // 0",
        "5 / 2",
        "i < 3",
        "1 if i else 2",
        "open('x')",
        "print(1)",
        "again(1)",
        "endless(1)",
        "changed(1)",
        "stale(1)",
        "late((1, 2))",
        "unknown",
    ],
)
def test_what_is_not_followed_is_unclear(expression):
    text = f"""{TURNS}

def again(n):
    return again(n)


def endless(n):
    return sum(n for i in range(1000) for j in range(1000))


def changed(n):
    rows = [n]
    more = rows
    rows += [n]
    return len(more)


def stale(n):
    found = enumerate((n, n))
    return tuple(found)


def late(index):
    return [lambda: i for i in index][0]()


unknown = 1
unknown = 2
"""
    with pytest.raises(Unclear):
        traced(expression, text, i=Sym.atom("i"))
