"""Kernels that functions of the host define."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import check_sound, migrate
from migrated import check_same_strictly

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


RETURNED = """
def make(size):
    {decorator}
    def kernel(x):
        out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
        nl.store(out, nl.load(x[nl.arange(size)[:, None], nl.arange(64)[None, :]]))
        return out

    return kernel
"""


@pytest.mark.parametrize("decorator", ["@nki.jit", "@nki.benchmark(warmup=1, iters=2)"])
def test_a_kernel_that_is_given_away_with_what_it_takes_is_reported(decorator: str) -> None:
    text = RETURNED.format(decorator=decorator)
    [(line, message)] = reported(text)
    assert line == line_of(text, "    def kernel(x):")
    assert message == "`kernel` is a kernel that `make` defines each time it is called"


def test_what_the_kernel_takes_from_around_it_is_named() -> None:
    result = migrate({"app.py": HEAD + RETURNED.format(decorator="@nki.jit")})
    assert "with `size` as arguments" in result.findings[0].step


def test_a_function_that_is_given_away_is_a_kernel() -> None:
    text = GIVEN.format(given="wrapped(kernel, [a])")
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
    result = migrate({"app.py": HEAD + good + "\n" + RETURNED.format(decorator="@nki.jit")})
    check_sound(result)
    assert "nisa.dma_copy(dst=tile, src=x)" in result.text("app.py")
    assert "@legacy_nki.jit\n    def kernel(x):" in result.text("app.py")
    assert [f.code for f in result.findings if f.outcome.value == "needs-you"] == ["NKL402"]


CHANGED = """
def bench(size, rounds):
    rows = np.ones((size, size), dtype=np.float32)
    assert any(n > 0 for n in rows.shape)

    @nki.jit
    def kernel(x, size):
        out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
        tile = nl.ndarray((size, size), dtype=x.dtype, buffer=nl.sbuf)
        nisa.dma_copy(dst=tile, src=x[0:size, 0:size])
        nisa.dma_copy(dst=out, src=tile)
        return out

    print(reference(rows), kernel(rows, size=size))
"""


@pytest.mark.parametrize("decorator", ["@nki.jit", "@nki.benchmark(warmup=1, iters=2)", "@nki.trace"])
def test_calls_hand_over_what_a_kernel_takes_and_index_tiles_are_made_in_it(decorator: str) -> None:
    result = migrate({"app.py": HEAD + DECORATED.format(decorator=decorator)})
    check_sound(result)
    assert CHANGED in result.text("app.py")
    assert not [f for f in result.findings if f.outcome.value == "needs-you"]


@pytest.mark.parametrize("given", ["nki.jit(kernel)", "nki.baremetal(kernel)"])
def test_a_kernel_that_takes_nothing_is_migrated_where_it_is(given: str) -> None:
    result = migrate({"app.py": HEAD + GIVEN.format(given=given)})
    check_sound(result)
    assert "        nisa.dma_copy(dst=tile, src=x)\n" in result.text("app.py")
    assert "    op = nki.jit(kernel)\n" in result.text("app.py")


STAYING = {
    "a tensor": ("    w = np.ones((128, 64))", "nl.load(w)"),
    "an object": ("    w = config()", "nl.load(x[0:w.n, 0:64])"),
    "a function": ("    def w(t):\n        return t", "w(nl.load(x))"),
    "a list": ("    w = [1]\n    w.append(2)", "nl.load(x[0:w.pop(), 0:64])"),
}
"""What a kernel takes → the code that makes it, and what is stored."""


@pytest.mark.parametrize("kind", STAYING)
def test_what_a_kernel_cannot_be_handed_keeps_it_where_it_is(kind: str) -> None:
    made, value = STAYING[kind]
    text = f"""
def outer(x):
{made}

    @nki.jit
    def kernel(x):
        out = nl.ndarray((128, 64), dtype=x.dtype, buffer=nl.shared_hbm)
        nl.store(out, {value})
        return out

    return kernel(x)
"""
    assert [line for line, _ in reported(text)] == [line_of(text, "    def kernel(x):")]


OTHERWISE = {
    "another value later": "    for n in range(2):\n        tile = nl.arange(n)[:, None]",
    "the host uses it too": "    tile = nl.arange(128)[:, None]\n    print(tile)",
    "a size that changes": "    n = 128\n    tile = nl.arange(n)[:, None]\n    n = 64",
    "in a branch": "    if x.sum() > 0:\n        tile = nl.arange(128)[:, None]",
}


@pytest.mark.parametrize("kind", OTHERWISE)
def test_an_index_tile_that_may_be_another_one_in_the_kernel_stays(kind: str) -> None:
    text = f"""
def outer(x):
{OTHERWISE[kind]}

    @nki.jit
    def kernel(x):
        out = nl.ndarray((128, 64), dtype=x.dtype, buffer=nl.shared_hbm)
        nl.store(out, nl.load(x[tile, nl.arange(64)[None, :]]))
        return out

    return kernel(x)
"""
    assert line_of(text, "    def kernel(x):") in [line for line, _ in reported(text)]


SHADOWED = """
def outer(x, n):
    @nki.jit
    def kernel(x):
        out = nl.ndarray((n, 64), dtype=x.dtype, buffer=nl.shared_hbm)
        nl.store(out, nl.load(x[0:n, 0:64]))
        return out

    def run(n):
        return kernel(x)

    return run
"""


def test_a_call_where_the_name_is_another_variable_cannot_hand_it_over() -> None:
    assert [line for line, _ in reported(SHADOWED)] == [line_of(SHADOWED, "    def kernel(x):")]


NUMBERS = """
BLOCK = 999


def run(x, bias, BLOCK, rounds=2):
    \"\"\"Runs.\"\"\"
    TILE = 32  # rows of a tile
    i_p = nl.arange(TILE)[:, None]
    i_f = nl.arange(BLOCK)[None, :]
    heads = x.shape[0]

    @nki.jit
    def kernel(x, factor=0.5):
        \"\"\"One program for each head.\"\"\"
        out = nl.ndarray((heads, TILE, BLOCK), dtype=x.dtype, buffer=nl.shared_hbm)
        b = nl.program_id(0)
        factors = [factor * k for k in range(rounds + 1)]
        t = nl.load(x[b, i_p, i_f])
        nl.store(out[b, i_p, i_f], nl.add(nl.multiply(t, factors[1]), bias))
        return out

    def launched(a):
        return kernel[heads](a)

    assert TILE == x.shape[1]
    return launched(x)
"""


def test_it_gives_the_same_numbers() -> None:
    x = np.random.default_rng(3).normal(size=(3, 32, 48)).astype(np.float32)
    new = check_same_strictly(HEAD + NUMBERS, x, 1.5, 48, name="run")
    assert "        TILE = 32  # rows of a tile\n" in new
    assert "    TILE = 32  # rows of a tile\n    heads = x.shape[0]\n" in new
    assert "    def kernel(x, BLOCK, heads, rounds, bias, factor=0.5):\n" in new
    assert "return kernel(a, BLOCK=BLOCK, heads=heads, rounds=rounds, bias=bias)" in new


def test_kernels_of_one_name_are_told_apart() -> None:
    text = """
def one(x):
    @nki.jit
    def kernel(x):
        out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
        nl.store(out, nl.exp(nl.load(x)))
        return out

    return kernel(x)


class Two:
    def run(self, x):
        scale = 3.0

        @nki.jit
        def kernel(x):
            out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
            nl.store(out, nl.multiply(nl.load(x), scale))
            return out

        return kernel(x)


def all_of(x):
    return one(x), Two().run(x)
"""
    x = np.random.default_rng(4).normal(size=(16, 24)).astype(np.float32)
    new = check_same_strictly(HEAD + text, x, name="all_of")
    assert "            scale = 3.0\n" in new


def test_some_places_of_it_are_left_with_comments() -> None:
    text = GIVEN.format(given="nki.jit(kernel)").replace("nl.load(x)", "nl.tan(nl.load(x))")
    result = migrate({"app.py": HEAD + text}, partial=True)
    assert migrate(result.after, partial=True).after == result.after
    assert "# nkimigrate: NKL" in result.text("app.py")
    assert "import nki.language as nl\n" in result.text("app.py")


def test_functions_inside_that_are_only_called_come_out_of_a_kernel() -> None:
    result = migrate({"app.py": HEAD + CALLED})
    check_sound(result)
    assert not [f for f in result.findings if f.outcome.value == "needs-you"]
    assert "\ndef row(i, " in result.text("app.py")


@pytest.mark.parametrize("count", [1, 50])
def test_as_much_as_a_kernel_takes_from_around_it(count: int) -> None:
    """Each took a round of its own, of which there are 40."""
    values = "".join(f"    c{number} = {number}.5\n" for number in range(count))
    uses = "".join(f"        tile = nl.multiply(tile, c{number})\n" for number in range(count))
    result = migrate({"app.py": INSIDE.format(values=values, uses=uses)})
    new = result.text("app.py")
    assert "import nki.language as nl\n" in new
    assert new.index("def inner") < new.index("c0 = 0.5") < new.index("return inner(x)")
    assert new.count(".5\n") == count
    check_sound(result)


INSIDE = """\
import neuronxcc.nki as nki
import neuronxcc.nki.language as nl


def host(x):
{values}
    @nki.jit
    def inner(x):
        out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
        tile = nl.load(x)
{uses}        nl.store(out, value=tile)
        return out

    return inner(x)
"""


def test_as_many_kernels_as_take_something_from_around_them() -> None:
    kernel = INSIDE[INSIDE.index("    @nki.jit") : INSIDE.index("    return inner(x)")]
    inner = [
        kernel.replace("inner", f"inner{n}").format(uses="        tile = nl.multiply(tile, size)\n")
        for n in range(45)
    ]
    calls = ", ".join(f"inner{n}(x)" for n in range(45))
    head = INSIDE[: INSIDE.index("{values}")]
    result = migrate(
        {"app.py": f"{head}    size = x.shape[0] * 1.0\n\n{''.join(inner)}    return [{calls}]\n"}
    )
    assert "import nki.language as nl\n" in result.text("app.py")
    assert "inner44(x, size=size)" in result.text("app.py")
    check_sound(result)
