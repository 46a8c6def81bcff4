"""Kernels that functions of the host define."""

from __future__ import annotations

import pytest
from helpers import check_sound, migrate

HEAD = """\
import neuronxcc.nki as nki
import neuronxcc.nki.isa as nisa
import neuronxcc.nki.language as nl
import numpy as np

"""
DECORATED = """
def bench(size, rounds):
    rows = np.ones((size, size), dtype=np.float32)
    i_p = nl.arange(size)[:, None]
    assert any(n > 0 for n in rows.shape)

    {decorator}
    def kernel(x):
        out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
        nl.store(out, nl.load(x[i_p, nl.arange(size)[None, :]]))
        return out

    print(reference(rows), kernel(rows))


def reference(rows):
    return np.tril(rows)
"""
GIVEN = """
def test_add(run):
    def kernel(x):
        out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
        nl.store(out, nl.load(x))
        return out

    a = np.random.rand(128, 64)
    op = {given}
    assert np.allclose(op(a), a)
"""
CALLED = """
def copied(dst, src):
    def row(i):
        nl.store(dst[i], nl.load(src[i]))

    for i in range(4):
        row(i)


@nki.jit
def kernel(x):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    copied(out, x)
    return out
"""


def reported(text: str) -> list[tuple[int, str]]:
    """Line and message of all that is said of a file that stays as it is."""
    result = migrate({"app.py": HEAD + text})
    assert not result.changed
    return [(f.line, f.message) for f in result.findings]


def line_of(text: str, what: str) -> int:
    return (HEAD + text).splitlines().index(what) + 1


@pytest.mark.parametrize("decorator", ["@nki.jit", "@nki.benchmark(warmup=1, iters=2)", "@nki.trace"])
def test_only_the_kernel_is_reported_of_a_function_that_makes_one(decorator: str) -> None:
    text = DECORATED.format(decorator=decorator)
    [(line, message)] = reported(text)
    assert line == line_of(text, "    def kernel(x):")
    assert message == "`kernel` is a kernel that `bench` defines each time it is called"


def test_what_the_kernel_takes_from_around_it_is_named() -> None:
    result = migrate({"app.py": HEAD + DECORATED.format(decorator="@nki.jit")})
    assert "with `i_p`, `size` as arguments" in result.findings[0].step


@pytest.mark.parametrize("given", ["wrapped(kernel, [a])", "nki.jit(kernel)", "nki.baremetal(kernel)"])
def test_a_function_that_is_given_away_is_a_kernel(given: str) -> None:
    text = GIVEN.format(given=given)
    assert reported(text) == [
        (
            line_of(text, "    def kernel(x):"),
            "`kernel` is a kernel that `test_add` defines each time it is called",
        )
    ]


def test_a_kernel_beside_it_is_migrated() -> None:
    good = """
@nki.jit
def good(x):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    nl.store(out, nl.load(x))
    return out
"""
    result = migrate({"app.py": HEAD + good + "\n" + DECORATED.format(decorator="@nki.jit")})
    check_sound(result)
    assert "nisa.dma_copy(dst=tile, src=x)" in result.text("app.py")
    assert "@legacy_nki.jit\n    def kernel(x):" in result.text("app.py")
    assert [f.code for f in result.findings if f.outcome.value == "needs-you"] == ["NKL402"]


def test_functions_inside_that_are_only_called_come_out_of_a_kernel() -> None:
    result = migrate({"app.py": HEAD + CALLED})
    check_sound(result)
    assert not [f for f in result.findings if f.outcome.value == "needs-you"]
    assert "\ndef row(i, " in result.text("app.py")
