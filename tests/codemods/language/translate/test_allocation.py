"""Tiles that kernels place in memory themselves, and loops that keep the order of their instructions."""

from __future__ import annotations

import textwrap

import numpy as np
import pytest
from migrated import HEAD, check_same, migrated

RNG = np.random.default_rng(11)
IMPORT = "import neuronxcc.nki.compiler as ncc\n"


def rows(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def check(before: str, after: str, *arguments: object) -> None:
    """A kernel ``k`` becomes ``after`` and gives the same."""
    before, after = textwrap.dedent(before).lstrip("\n"), textwrap.dedent(after).lstrip("\n")
    text = check_same(IMPORT + before, "k", *arguments)
    assert text[text.index("@nki.jit") :] == after


ORDERED = """
    @nki.jit
    def k(a):
        out = nl.ndarray(a.shape, dtype=a.dtype, buffer=nl.shared_hbm)
        for i in nl.sequential_range({range}):  # in this order
            # one block of rows
            t = nl.load(a[i])
            nl.store(out[i], t)
        return out
    """


def test_a_loop_that_keeps_its_order_stands_in_a_scope_that_does():
    check(
        ORDERED.format(range="3, directives=ncc.no_reorder()"),
        """
        @nki.jit
        def k(a):
            out = nl.ndarray(a.shape, dtype=a.dtype, buffer=nl.shared_hbm)
            with nl.no_reorder():
                for i in nl.sequential_range(3):  # in this order
                    # one block of rows
                    t = nl.ndarray(a[i].shape, dtype=a.dtype, buffer=nl.sbuf)
                    nisa.dma_copy(dst=t, src=a[i])
                    nisa.dma_copy(dst=out[i], src=t)
            return out
        """,
        rows(3, 128, 32),
    )


@pytest.mark.parametrize(
    ("directives", "reasons"),
    [
        ("ncc.multi_buffer(2)", ["M-MULTIBUF"]),
        ("[ncc.no_reorder(), ncc.multi_buffer(2)]", ["M-MULTIBUF"]),
        ("None", []),
    ],
)
def test_other_directives_wait_for_a_person(directives, reasons):
    text = textwrap.dedent(ORDERED.format(range=f"3, directives={directives}"))
    after, found = migrated(HEAD + IMPORT + text)
    assert found == reasons
    assert ("with nl.no_reorder" in after) is False
