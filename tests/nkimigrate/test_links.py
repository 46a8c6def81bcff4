"""Files that launch each other's kernels: looked at again only where something of what they launch has changed."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from nkimigrate import engine
from nkimigrate.config import Options
from nkimigrate.links import Links
from nkimigrate.project import _Project

HEAD = """\
import neuronxcc.nki as nki
import neuronxcc.nki.language as nl
"""
KERNEL = """

def step(tile):
    return {step}


@nki.jit
def kernel(x):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    tile = step(nl.load(x))
{body}    nl.store(out, value=tile)
    return out


def run(x):
    return {launch}(x)
"""


def module(number: int, others: list[int], rng: random.Random) -> str:
    """A file that imports the functions of some others; few have something that the new language lacks."""
    imports = "".join(f"from m{n} import kernel as kernel_{n}, step as step_{n}\n" for n in others)
    used = rng.choice(others) if others else None
    step = rng.choice([f"step_{used}(tile)", "nl.rsqrt(tile)"]) if others else "nl.rsqrt(tile)"
    body = rng.choice(
        ["", "", "    tile = nl.gather_flattened(tile, tile)\n", "    tile = nl.multiply(tile, 2)\n"]
    )
    return (
        HEAD + imports + KERNEL.format(step=step, body=body, launch=f"kernel_{used}" if others else "kernel")
    )


def outcome(folder: Path) -> tuple[list[object], list[object]]:
    """What is found in the files of a folder, and what becomes of them."""
    report = engine.run(Options(paths=(str(folder),), mode="diff", jobs=1, cache=False))
    changes = [(change.path, change.new) for change in report.changes]
    return list(map(str, report.findings)), changes


@pytest.mark.parametrize("seed", range(12))
def test_it_makes_no_difference_what_is_not_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Rings, hubs and chains: as if every file were looked at after each analysis."""
    rng, count = random.Random(seed), 10
    for number in range(count):
        others = rng.sample([n for n in range(count) if n != number], rng.choice([0, 1, 1, 2]))
        (tmp_path / f"m{number}.py").write_text(module(number, others, rng))
    findings, changes = outcome(tmp_path)
    assert changes
    monkeypatch.setattr(Links, "take", lambda *_: False)
    assert outcome(tmp_path) == (findings, changes)


@pytest.mark.parametrize("count", [4, 24])
def test_a_chain_of_files_is_not_looked_at_as_a_whole_for_each_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    looked_at = []
    original = _Project._all_outdated
    monkeypatch.setattr(_Project, "_all_outdated", lambda self: looked_at.append(1) or original(self))
    for number in range(count):
        imports = f"from m{number - 1} import step as other\n" if number else ""
        step = "other(tile)" if number else "nl.rsqrt(tile)"
        text = HEAD + imports + KERNEL.format(step=step, body="", launch="kernel")
        (tmp_path / f"m{number}.py").write_text(text)
    findings, changes = outcome(tmp_path)
    assert len(findings) > count
    assert changes
    assert len(looked_at) <= 3
