"""Functions inside of kernels, which become functions of the file."""

from __future__ import annotations

import ast

import numpy as np
import pytest
from migrated import HEAD, check_same, migrated, module

from nkimigrate.codemods.analysis.context import FileContext
from nkimigrate.codemods.language.migrate import migrated as work_of
from nkimigrate.codemods.language.plain.rewrite import plainer
from nkimigrate.codemods.language.translate.module import language_module
from nkimigrate.codemods.source import Source
from nkimigrate.releases import load_language

RNG = np.random.default_rng(3)


def array(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


CAPTURES = """\
@nki.jit
def kernel(a, factor):
    out = nl.ndarray(a.shape, dtype=a.dtype, buffer=nl.shared_hbm)
    rows = 128
    total = nl.ndarray((rows, a.shape[1]), dtype=nl.float32, buffer=nl.sbuf)

    # Adds one tile.
    def add(i, tile):
        \"\"\"Keep the sum
        in a tile.
        \"\"\"
        if i == 0:
            total[...] = nl.copy(tile)
        else:
            total[...] = nl.add(total, tile)

    for i in nl.static_range(a.shape[0] // rows):
        x = nl.load(a[i * rows : (i + 1) * rows, :])
        add(i, nl.multiply(x, factor))
        nl.store(out[i * rows : (i + 1) * rows, :], total)
    return out
"""


def test_what_it_takes_from_around_it_is_handed_over():
    new = check_same(CAPTURES, "kernel", array(256, 64), 1.5)
    head, _, kernel = new.partition("@nki.jit")
    assert "# Adds one tile.\ndef add(i, tile, total):\n" in head
    assert '    """Keep the sum\n    in a tile.\n    """\n    if i == 0:\n' in head
    assert "total=total)" in kernel
    assert "def add" not in kernel


def test_a_function_that_nothing_calls_is_left_out():
    new = check_same(
        """\
@nki.jit
def kernel(a):
    out = nl.ndarray(a.shape, dtype=a.dtype, buffer=nl.shared_hbm)
    x = nl.load(a)

    def store(tile):
        nl.store(out, tile)

    # Not used any more.
    def scaled(tile):
        store(nl.multiply(tile, x))

    store(x)
    return out
""",
        "kernel",
        array(128, 64),
    )
    assert "scaled" not in new
    assert "Not used" not in new
    assert "nisa.dma_copy(dst=x, src=a)\n\n    store(x, out=out)\n" in new


def test_functions_that_call_each_other_hand_on_what_the_others_take():
    new = check_same(
        """\
@nki.jit
def kernel(a):
    out = nl.ndarray(a.shape, dtype=a.dtype, buffer=nl.shared_hbm)
    scale = 0.5
    shift = 2.0

    def scaled(x):
        return nl.multiply(x, scale)

    def both(x):
        return nl.add(scaled(x), shift)

    nl.store(out, both(nl.load(a)))
    return out
""",
        "kernel",
        array(128, 32),
    )
    assert "def scaled(x, scale):" in new
    assert "def both(x, scale, shift):" in new or "def both(x, shift, scale):" in new
    assert "scaled(x, scale=scale)" in new


def in_plainer_python(text: str) -> ast.Module:
    """The file as the translation sees it."""
    source, step = Source.decode(text.encode()), load_language("2.27", "2.28")
    assert step is not None
    ctx = FileContext("app.py", source, ast.parse(text), step.resolution, "app")
    found = plainer(language_module(ctx, step))
    assert found is not None
    return ast.parse(found.code)


@pytest.mark.parametrize("order", [1, -1], ids=["called ones above", "called ones below"])
def test_many_functions_that_call_each_other(order):
    """Those that are called come first in the file; what one takes, all take that lead to it."""
    functions = ["    def step_0(x):\n        return nl.multiply(x, scale)\n\n"]
    call = "    def step_{0}(x):\n        return nl.add(step_{1}(x), {0}.0)\n\n"
    functions += [call.format(number, number - 1) for number in range(1, 60)]
    inner = "".join(functions[::order])
    tree = in_plainer_python(
        f"{HEAD}@nki.jit\ndef kernel(a):\n    scale = 2.0\n\n{inner}    return step_59(nl.load(a))\n"
    )
    found = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert [node.name for node in found] == [*(f"step_{number}" for number in range(60)), "kernel"]
    assert {ast.unparse(node.args) for node in found[:-1]} == {"x, scale"}
    assert ast.unparse(found[-1].body[-1]) == "return step_59(nl.load(a), scale=scale)"


def test_a_function_in_a_function_with_a_name_of_the_kernel():
    """Outside, it has another one, as the kernel hands the function its own."""
    new = check_same(
        """\
@nki.jit
def kernel(a):
    out = nl.ndarray(a.shape, dtype=a.dtype, buffer=nl.shared_hbm)
    scale = 3.0

    def outer(x):
        def scale(y):
            return nl.multiply(y, 2.0)

        return scale(x)

    nl.store(out, nl.multiply(outer(nl.load(a)), scale))
    return out
""",
        "kernel",
        array(128, 32),
    )
    assert "def kernel_scale(y):" in new


def test_functions_in_functions_in_functions():
    new = check_same(
        """\
@nki.jit
def kernel(a):
    out = nl.ndarray(a.shape, dtype=a.dtype, buffer=nl.shared_hbm)
    one = 1.0

    def outer(x):
        two = 2.0

        def inner(y):
            return nl.multiply(nl.add(y, one), two)

        return inner(x)

    nl.store(out, outer(nl.load(a)))
    return out
""",
        "kernel",
        array(128, 32),
    )
    assert "def inner(y, one, two):" in new
    assert "def outer(x, one):" in new


def test_a_variable_of_a_loop_is_what_it_is_at_the_call():
    check_same(
        """\
@nki.jit
def kernel(a):
    out = nl.ndarray(a.shape, dtype=a.dtype, buffer=nl.shared_hbm)
    for i in nl.static_range(2):
        weight = 1.0 + i

        def weighted(x):
            return nl.multiply(x, weight)

        part = nl.load(a[i * 128 : (i + 1) * 128, :])
        weight = weight * 3.0
        nl.store(out[i * 128 : (i + 1) * 128, :], weighted(part))
    return out
""",
        "kernel",
        array(256, 16),
    )


def test_index_tiles_are_made_again_where_they_are_used():
    new = check_same(
        """\
@nki.jit
def kernel(a):
    out = nl.ndarray(a.shape, dtype=a.dtype, buffer=nl.shared_hbm)
    width = a.shape[1]
    rows = nl.arange(128)[:, None]
    columns = nl.arange(width)[None, :]

    def moved(i):
        tile = nl.load(a[i * 128 + rows, columns])
        nl.store(out[i * 128 + rows, columns], nl.exp(tile))

    for i in nl.affine_range(a.shape[0] // 128):
        moved(i)
    return out
""",
        "kernel",
        array(256, 48),
    )
    assert "def moved(i, a, out, width):" in new


def test_new_parameters_come_before_those_with_defaults():
    new = check_same(
        """\
@nki.jit
def kernel(a):
    out = nl.ndarray(a.shape, dtype=a.dtype, buffer=nl.shared_hbm)
    bias = 1.0

    def affine(x, factor=2.0):
        return nl.add(nl.multiply(x, factor), bias)

    nl.store(out, nl.add(affine(nl.load(a)), affine(nl.load(a), 3.0)))
    return out
""",
        "kernel",
        array(128, 16),
    )
    assert "def affine(x, bias, factor=2.0):" in new
    assert "factor=3.0, bias=bias)" in new


def test_a_name_that_the_file_has_already_is_not_taken():
    new = check_same(
        """\
def twice(x):
    return nl.multiply(x, 2.0)


@nki.jit
def other(a):
    out = nl.ndarray(a.shape, dtype=a.dtype, buffer=nl.shared_hbm)
    nl.store(out, twice(nl.load(a)))
    return out


@nki.jit
def kernel(a):
    out = nl.ndarray(a.shape, dtype=a.dtype, buffer=nl.shared_hbm)

    def twice(x):
        return nl.multiply(x, 4.0)

    nl.store(out, twice(nl.load(a)))
    return out
""",
        "kernel",
        array(128, 16),
    )
    assert "def kernel_twice(x):" in new
    assert "kernel_twice(" in new.partition("def kernel(a)")[2]


def test_long_calls_are_broken_and_comments_stay():
    new = check_same(
        """\
@nki.jit
def kernel(a):
    out = nl.ndarray(a.shape, dtype=a.dtype, buffer=nl.shared_hbm)
    the_factor_of_the_first = 1.5
    the_factor_of_the_second = 2.5

    def blend(first_operand, second_operand):
        return nl.add(
            nl.multiply(first_operand, the_factor_of_the_first),
            nl.multiply(second_operand, the_factor_of_the_second),
        )

    x = nl.load(a)
    blend(x, x)  # twice
    nl.store(out, blend(x, x))
    return out
""",
        "kernel",
        array(128, 16),
    )
    assert (
        """\
    # twice
    blend(
        x,
        x,
        the_factor_of_the_first=the_factor_of_the_first,
        the_factor_of_the_second=the_factor_of_the_second,
    )
"""
        in new
    )


def test_functions_of_a_class_and_of_one_statement():
    check_same(
        """\
class Kernels:
    def one(a):
        out = nl.ndarray(a.shape, dtype=a.dtype, buffer=nl.shared_hbm)

        def twice(x):
            return nl.multiply(x, 2.0)

        nl.store(out, twice(nl.load(a)))
        return out

    def two(a):
        out = nl.ndarray(a.shape, dtype=a.dtype, buffer=nl.shared_hbm)

        def thrice(x):
            return nl.multiply(x, 3.0)

        nl.store(out, thrice(nl.load(a)))
        return out


kernel = nki.jit(Kernels.two)
""",
        "kernel",
        array(128, 16),
    )


def test_functions_that_only_an_undecorated_one_uses_are_of_the_language():
    """It is launched from another file."""
    new, reasons = migrated(
        HEAD
        + """\
def kernel(a):
    out = nl.ndarray(a.shape, dtype=a.dtype, buffer=nl.shared_hbm)

    def both(x, fast):
        if fast:
            return twice(x)
        return thrice(x)

    def twice(x):
        return nl.multiply(x, 2.0)

    def thrice(x):
        return nl.multiply(x, 3.0)

    nl.store(out, both(nl.load(a), True))
    return out
"""
    )
    assert reasons == []
    assert "def both(x, fast):\n    if fast:\n        return twice(x)" in new


def test_tiles_that_are_made_with_index_tiles_are_handed_over():
    """They are not made again: they may have changed since."""
    new = check_same(
        """\
@nki.jit
def kernel(a):
    out = nl.ndarray(a.shape, dtype=a.dtype, buffer=nl.shared_hbm)
    tile = nl.load(a[nl.arange(128)[:, None], nl.arange(16)[None, :]])

    def stored(factor):
        nl.store(out, nl.multiply(tile, factor))

    tile = nl.exp(tile)
    stored(2.0)
    return out
""",
        "kernel",
        array(128, 16),
    )
    assert "def stored(factor, out, tile):" in new


REFUSED = {
    "a default that is not there yet": "def later(x, factor=LATER):\n"
    "        return nl.multiply(x, factor)\n\n    nl.store(out, later(nl.load(a)))",
    "an index tile of a size that changes": "size = 128\n    rows = nl.arange(size)[:, None]\n\n"
    "    def put(x):\n        nl.store(out[rows, nl.arange(16)[None, :]], x)\n\n"
    "    size = 64\n    put(nl.load(a))",
    "handed on": "use = twice\n    nl.store(out, use(nl.load(a)))",
    "not certain to be bound": "if flag:\n        scale = 2.0\n    nl.store(out, scaled(nl.load(a)))",
    "arguments by stars": "pair = [nl.load(a)]\n    nl.store(out, twice(*pair))",
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED)
def test_what_stays_and_is_reported(body):
    text = f"""\
@nki.jit
def kernel(a, flag):
    out = nl.ndarray(a.shape, dtype=a.dtype, buffer=nl.shared_hbm)

    def twice(x):
        return nl.multiply(x, 2.0)

    def scaled(x):
        return nl.multiply(x, scale)

    {body}
    return out


LATER = 2.0
"""
    assert "M-PY" in migrated(HEAD + text)[1]


def test_a_second_run_changes_nothing():
    new, _ = migrated(HEAD + CAPTURES)
    assert migrated(new) == (new, [])


def test_functions_that_give_different_numbers():
    """Each call has its own, not what the first return statement says."""
    check_same(
        """\
def columns(wide):
    if wide:
        return 64
    return 32


@nki.jit
def kernel(a, wide):
    n = columns(wide)
    out = nl.ndarray((a.shape[0], n), dtype=a.dtype, buffer=nl.shared_hbm)
    tile = nl.load(a[:, 0:n])
    total = nl.sum(tile, axis=1, keepdims=True)
    nl.store(out, nl.multiply(tile, total))
    return out
""",
        "kernel",
        array(128, 96),
        False,
    )


WHY = {
    "def inner(*tiles):\n        return tiles[0]\n\n    nl.store(out, inner(x))": "variable number of arguments",
    "def inner(y):\n        return nl.exp(y)\n\n    use = inner\n    nl.store(out, use(x))": "not only called",
    "def inner(y):\n        return sorted(y, key=lambda z: z)\n\n    nl.store(out, inner(x))": "it has a lambda",
    "if flag:\n        scale = 2.0\n\n    def inner(y):\n        return nl.multiply(y, scale)\n\n"
    "    nl.store(out, inner(x))": "`scale` may not be bound when it is called",
}


@pytest.mark.parametrize(("body", "why"), WHY.items())
def test_why_a_function_stays(body, why):
    head = (
        "@nki.jit\ndef kernel(a, flag):\n    out = nl.ndarray(a.shape, dtype=a.dtype, buffer=nl.shared_hbm)\n"
    )
    text = f"{HEAD}{head}    x = nl.load(a)\n    {body}\n    return out\n"
    source, step = Source.decode(text.encode()), load_language("2.27", "2.28")
    assert step is not None
    ctx = FileContext("app.py", source, ast.parse(text), step.resolution, "app")
    said = [reason.fields.get("x", "") for reason in work_of(ctx, step).reasons]
    assert any(why in each for each in said), said


def test_a_file_of_which_a_part_stays():
    """The imports, which code of both languages uses, are edited besides the kernels."""
    text = (
        f"import numpy as np\n{HEAD.strip()}\nfrom neuronxcc.nki.language import par_dim\n\n\n"
        + CAPTURES.replace("(rows, a.shape[1])", "(par_dim(rows), a.shape[1])")
        + """\


@nki.jit
def staying(a):
    out = nl.ndarray(a.shape, dtype=a.dtype, buffer=nl.shared_hbm)
    try:
        nl.store(out, nl.load(a))
    except ValueError:
        pass
    return out
"""
    )
    new, reasons = migrated(text)
    assert reasons == []
    assert "def add(i, tile, total):" in new
    a = array(256, 64)
    was, now = (module(code).kernel(a.copy(), 1.5) for code in (text, new))
    np.testing.assert_array_equal(np.asarray(now), np.asarray(was))
