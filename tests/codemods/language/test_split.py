"""Files of which some kernels can be migrated and others cannot."""

from __future__ import annotations

import signal

import numpy as np
import pytest
import soundness
from helpers import check_sound, migrate
from migrated import module

HEAD = """\
import neuronxcc.nki as nki
import neuronxcc.nki.isa as nisa
import neuronxcc.nki.language as nl
"""
GOOD = """

@nki.jit
def good(x):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    nl.store(out, nl.exp(nl.load(x)))
    return out
"""
BAD = """

@nki.jit
def bad(x):
    \"\"\"nl.floor, as nl has it.\"\"\"
    nl_name = "nl"  # nl
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    nl.store(out, value=nl.floor(nl.load(x)))
    return out
"""
NEW_HEAD = """\
import nki
import nki.isa as nisa
import nki.language as nl
import neuronxcc.nki as legacy_nki
import neuronxcc.nki.language as legacy_nl
"""
NEW_GOOD = """

@nki.jit
def good(x):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    tile = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.sbuf)
    nisa.dma_copy(dst=tile, src=x)
    exp = nl.ndarray(tile.shape, dtype=x.dtype, buffer=nl.sbuf)
    nisa.activation(dst=exp, op=nl.exp, data=tile)
    nisa.dma_copy(dst=out, src=exp)
    return out
"""
NEW_BAD = """

@legacy_nki.jit
def bad(x):
    \"\"\"nl.floor, as nl has it.\"\"\"
    nl_name = "nl"  # nl
    out = legacy_nl.ndarray(x.shape, dtype=x.dtype, buffer=legacy_nl.shared_hbm)
    legacy_nl.store(out, value=legacy_nl.floor(legacy_nl.load(x)))
    return out
"""
X = np.random.default_rng(3).normal(size=(64, 32)).astype(np.float32) * 3


def check(before: str, after: str) -> list[tuple[str, int]]:
    """A file becomes another one, and is left alone then; code and line of what is left to do."""
    result = migrate({"app.py": before})
    assert result.text("app.py") == after
    check_sound(result)
    return [(f.code, f.line) for f in result.findings if f.outcome.value == "needs-you"]


def waits(before: str) -> None:
    """Nothing of a file changes, for whose kernels there are reasons."""
    result = migrate({"app.py": before})
    assert not result.changed
    assert any(f.outcome.value == "needs-you" for f in result.findings)
    check_sound(result)


def test_what_can_be_migrated_is_and_the_rest_stays() -> None:
    assert check(HEAD + GOOD + BAD, NEW_HEAD + NEW_GOOD + NEW_BAD) == [("NKL201", 18)]


def test_both_languages_run_in_one_file() -> None:
    text = migrate({"app.py": HEAD + GOOD + BAD}).text("app.py")
    before, after = module(HEAD + GOOD + BAD), module(text)
    np.testing.assert_array_equal(after.good(X), before.good(X))
    np.testing.assert_allclose(after.good(X), np.exp(X), rtol=1e-5)
    np.testing.assert_array_equal(after.bad(X), np.floor(X))


def test_findings_say_what_became_of_each_kernel() -> None:
    result = migrate({"app.py": HEAD + GOOD + BAD})
    rewritten = {(f.code, f.line) for f in result.findings if f.edits}
    assert {("NKL200", 7), ("NKL110", 13)} <= rewritten
    (note,) = [f for f in result.findings if f.code == "NKL110" and not f.edits]
    assert (note.outcome.value, note.line) == ("noted", 3)
    assert "`bad`" in note.message


HELPER = """

def scaled(tile):
    return nl.multiply(tile, 2.0)
"""


def test_a_helper_in_the_language_joins_those_that_call_it() -> None:
    waits(
        HEAD
        + HELPER
        + GOOD.replace("nl.load(x)", "scaled(nl.load(x))")
        + BAD.replace("nl.load(x)", "scaled(nl.load(x))")
    )


def test_a_helper_of_one_side_goes_with_it() -> None:
    before = HEAD + HELPER + GOOD + BAD.replace("nl.load(x)", "scaled(nl.load(x))")
    helper = HELPER.replace("nl.", "legacy_nl.")
    bad = NEW_BAD.replace("legacy_nl.load(x)", "scaled(legacy_nl.load(x))")
    check(before, NEW_HEAD + helper + NEW_GOOD + bad)


def test_a_helper_in_plain_python_and_a_size_serve_both() -> None:
    plain = "\nROWS = nl.tile_size.pmax\n\n\ndef half(n):\n    return n // 2\n"
    before = (
        HEAD
        + plain
        + GOOD.replace("nl.load(x)", "nl.load(x[0:half(64), 0:32])").replace(
            "out, nl.exp", "out[0:32, 0:32], nl.exp"
        )
    )
    result = migrate(
        {
            "app.py": before
            + BAD.replace("nl.load(x)", "nl.load(x[0:half(ROWS), 0:32])").replace(
                "out, value", "out[0:64, 0:32], value"
            )
        }
    )
    text = result.text("app.py")
    assert plain in text
    assert "legacy_nl.load(x[0:half(ROWS), 0:32])" in text
    check_sound(result)
    after = module(text)
    np.testing.assert_allclose(after.good(X)[:32], np.exp(X[:32]), rtol=1e-5)
    np.testing.assert_array_equal(after.bad(X), np.floor(X))


def test_a_constant_of_the_language_joins_those_that_use_it() -> None:
    shared = "\nKIND = nl.float32\n"
    good, bad = (text.replace("dtype=x.dtype", "dtype=KIND") for text in (GOOD, BAD))
    waits(HEAD + shared + good + bad)
    check(
        HEAD + shared + GOOD + bad,
        NEW_HEAD
        + shared.replace("nl", "legacy_nl")
        + NEW_GOOD
        + NEW_BAD.replace("dtype=x.dtype", "dtype=KIND"),
    )


MAIN = """

def main(x):
    return good[nl.nc(2)](x), bad[nl.nc(2)](x)
"""


def test_a_host_that_launches_both_has_both_names() -> None:
    check(
        HEAD + GOOD + BAD + MAIN,
        NEW_HEAD
        + NEW_GOOD
        + NEW_BAD
        + MAIN.replace("good[nl.nc(2)]", "good[2]").replace("bad[nl", "bad[legacy_nl"),
    )


@pytest.mark.parametrize(
    "host",
    [
        "\n\ndef main(x, first):\n    k = good if first else bad\n    return k[nl.nc(2)](x)\n",
        "\n\ndef main(x):\n    for k in (good, bad):\n        k[2](x)\n",
        "\n\ndef run(k, x):\n    return k[nl.nc(2)](x)\n\n\ndef main(x):\n    run(good, x)\n    run(bad, x)\n",
        "\n\ndef main(x):\n    kind = nl.bfloat16\n    return good(x.astype(kind)), bad(x.astype(kind))\n",
        "\n\nKERNELS = {'good': good, 'bad': bad}\n\n\ndef main(x, name):\n    return KERNELS[name][nl.nc(2)](x)\n",
    ],
    ids=["either", "loop", "passed on", "a type for both", "table"],
)
def test_a_host_that_treats_them_alike_joins_them(host: str) -> None:
    waits(HEAD + GOOD + BAD + host)


@pytest.mark.parametrize(
    "head",
    [
        "try:\n    import neuronxcc.nki as nki\n    import neuronxcc.nki.language as nl\nexcept ImportError:\n    nki = nl = None\n",
        "from neuronxcc import nki\nfrom neuronxcc.nki.language import *\nimport neuronxcc.nki.language as nl\n",
        HEAD + "import neuronxcc.nki.language as nl\n",
        HEAD + "legacy_nl = 3\n",
    ],
    ids=["ladder", "star", "twice", "name taken"],
)
def test_a_file_waits_where_names_are_not_clear(head: str) -> None:
    waits(head + GOOD + BAD)


def test_names_that_only_one_side_uses_stay() -> None:
    head = HEAD + "from neuronxcc.nki.language import par_dim, shared_hbm\n"
    bad = BAD.replace("nl.shared_hbm", "shared_hbm") + "    t = nl.zeros((par_dim(2), 2), dtype=nl.float32)\n"
    before = head + GOOD.replace("nl.shared_hbm", "shared_hbm") + bad
    text = migrate({"app.py": before}).text("app.py")
    assert "from neuronxcc.nki.language import par_dim\n" in text
    assert "from nki.language import shared_hbm\n" not in text  # the part that goes spells nl.shared_hbm
    assert "from neuronxcc.nki.language import shared_hbm as legacy_shared_hbm\n" in text
    assert "buffer=legacy_shared_hbm)" in text
    assert "(par_dim(2), 2)" in text


def test_a_file_waits_where_both_sides_spell_whole_paths() -> None:
    head = "import neuronxcc.nki\nimport neuronxcc.nki.language\n"
    path = "neuronxcc.nki.language."
    waits(
        head
        + (GOOD + BAD)
        .replace("nki.jit", "neuronxcc.nki.jit")
        .replace("nl.", path)
        .replace('""' + path, '""nl.')
    )


def test_whole_paths_of_what_stays_stay() -> None:
    bad = BAD.replace("nl.floor(nl.load(x))", "neuronxcc.nki.language.floor(nl.load(x))")
    text = migrate({"app.py": HEAD + "import neuronxcc.nki.language\n" + GOOD + bad}).text("app.py")
    assert "import neuronxcc.nki.language\n" in text
    assert "value=neuronxcc.nki.language.floor(legacy_nl.load(x))" in text
    np.testing.assert_array_equal(module(text).bad(X), np.floor(X))


def test_launches_in_other_files_follow_each_kernel() -> None:
    run = (
        "import neuronxcc.nki.language as nl\nfrom app.kernels import bad, good\n\n\n"
        "def run(x):\n    return good[nl.nc(2)](x)\n\n\ndef wait(x):\n    return bad[nl.nc(2)](x)\n"
    )
    result = migrate({"app/__init__.py": "", "app/kernels.py": HEAD + GOOD + BAD, "app/run.py": run})
    assert "good[2](x)" in result.text("app/run.py")
    assert "bad[legacy_nl.nc(2)](x)" in result.text("app/run.py")
    assert "import neuronxcc.nki.language as legacy_nl\n" in result.text("app/run.py")
    check_sound(result)


def test_what_stayed_gets_clean_names_once_it_can_be_migrated() -> None:
    """A person does what was reported, and runs the tool again."""
    first = migrate({"app.py": HEAD + GOOD + BAD + MAIN}).text("app.py")
    mended = first.replace("legacy_nl.floor", "legacy_nl.square")
    result = migrate({"app.py": mended})
    text = result.text("app.py")
    assert "legacy" not in text
    assert "neuronxcc" not in text
    assert NEW_HEAD.partition("import neuronxcc")[0] in text
    assert "return good[2](x), bad[2](x)" in text
    check_sound(result)
    np.testing.assert_allclose(module(text).bad(X), np.square(X), rtol=1e-6)


LAUNCHED_UNDER_ANOTHER_NAME = """\
import neuronxcc.nki as nki
import neuronxcc.nki.isa as nisa
import neuronxcc.nki.language as nl

simulate = nki.simulate_kernel


@nki.jit(mode="simulation")
def kept(x):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    mask = (await x)
    nl.store(out, nl.exp(nl.load(x)))
    ...


@nki.jit(mode="simulation")
def moved(x):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    nl.store(out, nl.exp(nl.load(x)))
    return out


def test(x):
    return simulate(kept, x), simulate(moved, x)
"""


def test_splitting_ends_when_nothing_more_stays_behind() -> None:
    """What stayed behind remained a reason against the rest, for ever."""
    signal.alarm(60)
    try:
        soundness.check(LAUNCHED_UNDER_ANOTHER_NAME)
    finally:
        signal.alarm(0)


def test_a_file_of_which_a_part_went_still_says_what_stays_beside_private_kernels() -> None:
    before = """\
import neuronxcc.nki.language as nl
from neuronxcc.nki._private_kernels.mlp import mlp_isa_kernel


def step(tile):
    return nl.exp(tile)


def run(x):
    return unknown[nl.nc(2)](x)
"""
    result = migrate({"app.py": before})
    assert "legacy_nl.nc(2)" in result.text("app.py")
    assert {f.code for f in result.findings if f.outcome.value == "needs-you"} == {"NKL106", "NKM401"}
    check_sound(result)
