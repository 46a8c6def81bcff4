"""How often a statement is walked: once, as far as what it works on is the same."""

from __future__ import annotations

import ast
from collections import Counter

import numpy as np
import pytest
from helpers import migrate
from migrated import check_same

from nkimigrate.codemods.language.translate import iterations, statements
from nkimigrate.codemods.language.translate.walker import Walker

HEAD = """\
import neuronxcc.nki as nki
import neuronxcc.nki.language as nl


"""


@pytest.fixture
def walks(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each statement without a body has been walked, by its code."""
    counted: Counter[str] = Counter()
    simple = statements.simple

    def counting(w: Walker, node: ast.stmt, indent: str) -> list[str] | None:
        counted[ast.unparse(node)] += 1
        return simple(w, node, indent)

    monkeypatch.setattr(statements, "simple", counting)
    return counted


def nested(depth: int, body: str, before: str = "") -> str:
    """A kernel with a statement in so many loops."""
    lines = ["@nki.jit", "def kernel(x):"]
    lines += ["    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)"]
    lines += [f"    {before}"] if before else []
    lines += [f"{'    ' * (n + 1)}for i{n} in nl.static_range(2):" for n in range(depth)]
    lines += [f"{'    ' * (depth + 1)}{body}", "    nl.store(out, nl.load(x))", "    return out"]
    return HEAD + "\n".join(lines) + "\n"


@pytest.mark.parametrize("depth", [1, 3, 6])
def test_a_statement_in_loops_that_leave_things_as_they_are_once(walks: Counter[str], depth: int) -> None:
    assert migrate({"a.py": nested(depth, "tile = nl.load(x)")}).changed
    assert walks["tile = nl.load(x)"] == 1


@pytest.mark.parametrize("depth", [1, 3, 6])
def test_a_statement_that_changes_what_its_loops_start_with(walks: Counter[str], depth: int) -> None:
    """One walk more for each loop, not twice as many."""
    code = nested(depth, "tile = nl.load(x[0:64, 0:64])", before="tile = nl.load(x)")
    assert migrate({"a.py": code}).changed
    assert walks["tile = nl.load(x[0:64, 0:64])"] <= depth + 1


CHANGING = {
    "tile = nl.multiply(tile, 2.0)": "tile = nl.load(x)",
    "kind = nl.multiply(nl.load(x), 2).dtype": "kind = x.dtype",
    "tile = nl.add(nl.load(x, dtype=kind), tile)": "tile = nl.load(x); kind = tile.dtype",
}
"""What changes something of unknown dtype → what is in front of the loops."""


@pytest.mark.parametrize("body", CHANGING)
@pytest.mark.parametrize("depth", [1, 4, 9, 18])
def test_a_statement_that_gives_its_loops_another_unknown_dtype(
    walks: Counter[str], body: str, depth: int
) -> None:
    """Not twice as many walks for each loop, although a dtype is another one in each of them."""
    assert migrate({"a.py": nested(depth, body, CHANGING[body])}).changed
    assert walks[body] == depth + 1


def test_a_loop_whose_walks_do_not_end_is_given_up(
    walks: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(iterations, "_WALKS", 1)
    body = "tile = nl.multiply(tile, 2.0)"
    found = migrate({"a.py": nested(6, body, "tile = nl.load(x)")})
    assert not found.changed
    assert [f.line for f in found.findings if "too often to be followed" in f.message]
    assert walks[body] == 1


BLOCKS = """\
@nki.jit
def kernel(x):
    out = nl.ndarray((512, 64), dtype=nl.float32, buffer=nl.shared_hbm)
    count = 512 // 128
    {made}
    total = nl.zeros((128, 64), dtype=nl.float32)
    for i in nl.affine_range(count):
        {before}
        rows = nl.arange(128)[:, None]
        tiles[{index}, rows, nl.arange(64)[None, :]] = nl.load(x[i * 128 + rows, nl.arange(64)[None, :]])
    for j in nl.affine_range(count):
        doubled = nl.multiply(tiles[j], 2.0)
        nl.store(out[nl.ds(j * 128, 128), :], doubled)
    return out
"""
MADE = "tiles = nl.ndarray((count, nl.par_dim(128), 64), dtype=nl.float32)"
LATER = "shape = (2, nl.par_dim(128), 64); shape = (count, nl.par_dim(128), 64); tiles = nl.ndarray(shape, dtype=nl.float32)"
FORESEEN = {
    "a list that grows": ("i", "pass", MADE, 1),
    "an index with another name": ("k", "k = i", MADE, 1),
    "an index that is computed": ("count - 1 - i", "pass", MADE, 1),
    "the whole tile in a slice": ("i, ...", "pass", MADE, 1),
    "an index with a name of several values": ("k", "k = 0; k = i", MADE, 2),
    "a shape with a name of several values": ("i", "pass", LATER, 2),
}
"""How a tile with a block dimension is made and written, and how often a function with it is walked."""


@pytest.mark.parametrize("what", FORESEEN)
def test_a_function_once_where_the_text_tells_where_tiles_with_block_dimensions_belong(
    walks: Counter[str], what: str
) -> None:
    index, before, made, times = FORESEEN[what]
    text = HEAD + BLOCKS.format(made=made, before=before, index=index)
    if what == "the whole tile in a slice":
        text = text.replace(", rows, nl.arange(64)[None, :]] =", "] =")
    check_same(text, "kernel", np.random.default_rng(5).standard_normal((512, 64)).astype(np.float32))
    assert walks["doubled = nl.multiply(tiles[j], 2.0)"] == times


CALLS = """\
def halved(tile):
    half = nl.multiply(tile, 0.5)
    return half


def stored(out, tile):
    double = nl.multiply(tile, 2)
    nl.store(out, double)


@nki.jit
def kernel(x):
    out = nl.ndarray((128, 64), dtype=nl.float32, buffer=nl.shared_hbm)
    tile = nl.load(x[0:128, 0:64])
    stored(out, halved(tile))
    return out
"""


def test_a_function_that_is_called_in_one_way_once(walks: Counter[str]) -> None:
    assert migrate({"a.py": HEAD + CALLS}).changed
    assert walks["half = nl.multiply(tile, 0.5)"] == 1
    assert walks["double = nl.multiply(tile, 2)"] == 1


def test_a_function_without_a_result_once_for_all_its_calls(walks: Counter[str]) -> None:
    other = "    stored(out, halved(nl.load(x[0:64, 0:32])))\n    return out\n"
    assert migrate({"a.py": HEAD + CALLS.replace("    return out\n", other)}).changed
    assert walks["double = nl.multiply(tile, 2)"] == 1
    assert walks["half = nl.multiply(tile, 0.5)"] == 3  # each call's result, and what holds for both


@pytest.mark.parametrize("size", [5, 7, 40])
def test_functions_that_call_each_other_however_deep_once(walks: Counter[str], size: int) -> None:
    """What the last one gives is known to the first: the number of columns, which it divides by."""
    step = "def step_{0}(tile):\n    root = step_{1}(tile)\n    return nl.multiply(root, {0}.5 / root.shape[1])\n\n\n"
    last = f"def step_{size}(tile):\n    return nl.add(tile, 1.0)\n\n\n"
    kernel = """\
@nki.jit
def kernel(x):
    out = nl.ndarray((128, 32), dtype=nl.float32, buffer=nl.shared_hbm)
    nl.store(out, step_0(nl.load(x)))
    return out
"""
    text = last + "".join(step.format(n, n + 1) for n in reversed(range(size))) + kernel
    check_same(text, "kernel", np.random.default_rng(4).standard_normal((128, 32)).astype(np.float32))
    assert {walks[f"root = step_{n + 1}(tile)"] for n in range(size)} == {1}


def test_functions_that_call_each_other_without_an_end(walks: Counter[str]) -> None:
    """They are walked through as far as they are new."""
    text = "def one(tile):\n    return two(tile)\n\n\ndef two(tile):\n    return one(tile)\n\n\n"
    found = migrate({"a.py": HEAD + text + CALLS.replace("halved(tile))", "one(tile))")})
    assert [each for each in found.findings if each.line]
    assert walks["return two(tile)"] == 2


@pytest.mark.parametrize("size", [4, 8, 16])
def test_functions_that_call_each_other_in_ever_more_ways(walks: Counter[str], size: int) -> None:
    """Each calls the next with two other numbers; not all of the 2 ** size calls are followed."""
    step = "def step_{0}(tile, n):\n    half = {1}(tile, 2 * n)\n    return {1}(half, 2 * n + 1)\n\n\n"
    steps = [step.format(n, f"step_{n + 1}") for n in range(size)]
    last = f"def step_{size}(tile, n):\n    return nl.multiply(tile, n)\n\n\n"
    kernel = "@nki.jit\ndef kernel(x):\n    tile = nl.load(x)\n    return step_0(tile, 1)\n"
    migrate({"a.py": HEAD + last + "".join(steps[::-1]) + kernel})
    assert 2 <= max(walks.values()) <= 64
