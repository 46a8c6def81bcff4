"""What is said of kernels that stay: the true reason, at its line, in words that lead on."""

from __future__ import annotations

import pytest
from helpers import check_reported
from migrated import HEAD

KERNEL = (
    HEAD
    + """\
def table(n):
    rows = np.zeros((n, n), dtype=np.float32)
    rows[0, 1] = 1.0
    return rows


def named(n):
    names = {{}}
    names[0, n] = 1
    return names


@nki.jit
def k(x, y, sizes):
    n, m = x.shape
    out = nl.ndarray((n, m), dtype=x.dtype, buffer=nl.shared_hbm)
    tile = nl.load(x)
    square = nl.ndarray((n, m, m), dtype=x.dtype, buffer=nl.sbuf)
    result = tile
    {statement}
    nl.store(out, result)
    return out
"""
)
CASES = {
    "an argument too many": (
        "result = nisa.dma_transpose(result, tile, axes=(1, 0))",
        "NKL209",
        "nisa.dma_transpose takes `src` by position, and is called with `tile` besides",
    ),
    "a method that tensors never had": (
        "result = tile.transpose(1, 0)",
        "NKL105",
        "Tensors of Beta 1 have no documented method `transpose`",
    ),
    "a method without arguments that tensors never had": (
        "result = tile.as_tile()",
        "NKL105",
        "Tensors of Beta 1 have no documented method `as_tile`",
    ),
    "arguments from a sequence": (
        "result = nl.load(*sizes)",
        "NKL402",
        "arguments from a sequence or a mapping",
    ),
    "arguments from a mapping": (
        "result = nl.load(x, **sizes)",
        "NKL402",
        "arguments from a sequence or a mapping",
    ),
    "a product of what nothing tells the kind of": (
        "sizes = sizes @ sizes",
        "NKL402",
        "the operator `@`",
    ),
    "an index tile as data": (
        "result = nl.where(nl.arange(128)[:, None] > nl.arange(m)[None, :], tile, 0.0)",
        "NKL301",
        "is not an affine slice: an index tile is used outside of an index",
    ),
    "an index of what may be anything": (
        "result = sizes.part[nl.arange(128)[:, None], nl.arange(m)[None, :]]",
        "NKL301",
        "`sizes.part[nl.arange(128)[:, None], nl.arange(m)[None, :]]` is not an affine slice: nothing tells "
        "that sizes.part is a tensor",
    ),
    "a mask of another shape": (
        "result = nl.exp(tile, mask=nl.arange(2 * n)[:, None] < n)",
        "NKL302",
        "mask=nl.arange(2 * n)[:, None] < n is not a bound on an index tile: the mask has the shape (2 * n, 1), the tile (x.shape[0], x.shape[1])",
    ),
    "ranks that differ": (
        "result = nl.add(square, tile)",
        "NKL210",
        "square, tile have different numbers of dimensions",
    ),
}


def line_of(text: str, part: str) -> int:
    return text.count("\n", 0, text.index(part)) + 1


@pytest.mark.parametrize(("statement", "code", "words"), CASES.values(), ids=CASES)
def test_reasons(statement, code, words):
    text = KERNEL.format(statement=statement)
    check_reported(text, code, line_of(text, statement), words)


def test_an_array_that_a_function_fills_is_no_dictionary():
    text = KERNEL.format(statement="nl.store(out, nl.load(nl.shared_constant(table(n))))")
    check_reported(text, "NKL203", line_of(text, "rows[0, 1]"), "Pass it as a kernel input")


def test_a_dictionary_with_pairs_as_keys():
    text = KERNEL.format(statement="nl.store(out, nl.multiply(tile, named(n)[0, n]))")
    check_reported(text, "NKL402", line_of(text, "names[0, n]"), "a dictionary with keys that are no strings")
