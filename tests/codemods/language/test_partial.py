"""``--partial``: as far as possible, with comments where a person goes on."""

from __future__ import annotations

import ast

import pytest

from nkimigrate.testing import migrate

HEAD = "import neuronxcc.nki as nki\nimport neuronxcc.nki.language as nl\n\n\n"
BLOCKED = HEAD + (
    "@nki.jit\n"
    "def noisy(x, flag):\n"
    '    """Adds noise."""\n'
    "    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)\n"
    "    tile = nl.load(x)\n"
    "    # where it comes from\n"
    "    noise = nl.rand(tile.shape)\n"
    "    if flag:\n"
    "        low = nl.floor(tile)\n"
    "    nl.store(out, nl.add(tile, noise))\n"
    "    return out\n"
)


def test_without_the_option_nothing_of_the_kernel_changes() -> None:
    result = migrate({"a.py": BLOCKED})
    assert result.text("a.py") == BLOCKED
    assert {f.code for f in result.findings} == {"NKL201", "NKL202"}


def test_what_can_be_is_migrated_and_each_other_place_is_marked() -> None:
    result = migrate({"a.py": BLOCKED}, partial=True)
    lines = result.text("a.py").splitlines()
    ast.parse(result.text("a.py"))
    assert "    nisa.dma_copy(dst=tile, src=x)" in lines
    at = lines.index("    noise = nl.rand(tile.shape)")
    marks = [n for n in range(at) if lines[n].startswith("    # nkimigrate: NKL202 ")]
    assert marks == [lines.index("    # where it comes from") + 1]
    assert all(line.startswith("    #") for line in lines[marks[0] : at])
    assert lines[lines.index("        low = nl.floor(tile)") - 1].startswith("        # nkimigrate: NKL201 ")
    assert lines[lines.index("    nl.store(out, nl.add(tile, noise))") - 1].startswith(
        "    # nkimigrate: NKL200 "
    )
    assert all(len(line) <= 88 for line in lines)


def test_the_places_are_still_reported_as_for_a_person() -> None:
    found = migrate({"a.py": BLOCKED}, partial=True).findings
    assert {f.code for f in found if f.outcome == "needs-you"} == {"NKL201", "NKL202"}
    assert all(not f.edits for f in found if f.outcome == "needs-you")


@pytest.mark.parametrize("partial", [True, False])
def test_a_kernel_that_can_be_migrated_whole_is_the_same_either_way(partial: bool) -> None:
    whole = BLOCKED.replace("    noise = nl.rand(tile.shape)\n", "    noise = nl.exp(tile)\n").replace(
        "floor", "sqrt"
    )
    result = migrate({"a.py": whole}, partial=partial)
    assert "nkimigrate:" not in result.text("a.py")
    assert result.text("a.py") == migrate({"a.py": whole}).text("a.py")
    assert "neuronxcc" not in result.text("a.py")


CALLED = HEAD + (
    "def noise_of(tile):\n"
    "    noise = nl.rand(tile.shape)\n"
    "    return noise\n"
    "\n"
    "\n"
    "def written(out, tile):\n"
    "    low = nl.floor(tile)\n"
    "    nl.store(out, low)\n"
    "\n"
    "\n"
    "@nki.jit\n"
    "def noisy(x):\n"
    "    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)\n"
    "    tile = nl.load(x)\n"
    "    written(out, nl.add(tile, noise_of(tile)))\n"
    "    return out\n"
)


def test_places_in_functions_that_kernels_call_are_marked() -> None:
    result = migrate({"a.py": CALLED}, partial=True)
    lines = result.text("a.py").splitlines()
    ast.parse(result.text("a.py"))
    for place, code in (
        ("    noise = nl.rand(tile.shape)", "NKL202"),
        ("    low = nl.floor(tile)", "NKL201"),
    ):
        above = lines[lines.index(place) - 1]
        while above.startswith("    #     "):
            above = lines[lines.index(above) - 1]
        assert above.startswith(f"    # nkimigrate: {code} ")


def test_a_second_run_leaves_the_marks_alone() -> None:
    once = migrate({"a.py": BLOCKED}, partial=True).text("a.py")
    assert migrate({"a.py": once}, partial=True).text("a.py") == once


def test_kernels_of_a_marked_file_wait_until_the_marks_are_gone() -> None:
    """What needs a person in the old language may look migrated once the rest of its file is."""
    text = "from neuronxcc.nki.language import par_dim\n" + BLOCKED.replace("(tile.shape)", "(par_dim(128))")
    once = migrate({"a.py": text}, partial=True).text("a.py")
    assert "import par_dim" in once
    again = migrate({"a.py": once}, partial=True)
    assert again.text("a.py") == once
    assert {f.outcome for f in again.findings} == {"needs-you"}
    unmarked = "".join(line for line in once.splitlines(keepends=True) if not line.lstrip().startswith("#"))
    assert "neuronxcc" not in migrate({"a.py": unmarked}, partial=True).text("a.py")


SIMULATED = HEAD + (
    "@nki.jit\n"
    "def copied(x):\n"
    "    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)\n"
    "    nl.store(out, nl.load(x))\n"
    "    return out\n"
    "\n\n"
    "def test(a, b):\n"
    "    if a is b:\n"
    "        return nki.simulate_kernel(copied, a)\n"
    "    elif nki.simulate_kernel(copied, b):\n"
    "        b = 2; a = nki.simulate_kernel(copied, a)\n"
    "    if b: nki.simulate_kernel(copied, b)\n"
)
NO_SIMULATOR = "# nkimigrate: NKL102 nki.simulate_kernel is unavailable in NKI 0.2 (raises)"


def test_each_call_of_the_simulator_is_marked_where_a_comment_can_stand() -> None:
    result = migrate({"a.py": SIMULATED}, partial=True)
    assert result.text("a.py").partition("def test(a, b):\n")[2] == (
        f"    {NO_SIMULATOR}\n"
        "    if a is b:\n"
        f"        {NO_SIMULATOR}\n"
        "        return nki.simulate_kernel(copied, a)\n"
        "    elif nki.simulate_kernel(copied, b):\n"
        "        b = 2; a = nki.simulate_kernel(copied, a)\n"
        f"    {NO_SIMULATOR}\n"
        "    if b: nki.simulate_kernel(copied, b)\n"
    )
    assert "nisa.dma_copy(dst=tile, src=x)" in result.text("a.py")
    left = [f.line for f in result.findings if f.code == "NKL102" and f.outcome == "needs-you"]
    assert left == [14, 15, 16, 17]
    assert migrate({"a.py": result.text("a.py")}, partial=True).text("a.py") == result.text("a.py")


def test_without_the_option_a_call_of_the_simulator_is_noted() -> None:
    result = migrate({"a.py": SIMULATED})
    assert "# nkimigrate" not in result.text("a.py")
    noted = [f.line for f in result.findings if f.code == "NKL102" and f.outcome == "noted"]
    assert noted == [14, 15, 16, 17]
