"""What is kept for later comes back as it was, from memory and from the disk, and costs no memory there."""

from __future__ import annotations

import gc
import os
import random
import tracemalloc
from pathlib import Path

import pytest

from nkimigrate import engine, garbage, spool
from nkimigrate.config import Options
from nkimigrate.names import Names
from nkimigrate.report import gitlab, json_, junit, sarif, text
from nkimigrate.report.result import Report
from nkimigrate.report.view import View
from nkimigrate.spool import Column, Spool

HIT = """\
from nkilib.core.mlp.mlp import mlp_kernel


def f{number}(x, gate, up, down):
    return mlp_kernel(x, gate, up, down)
"""


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files of which some use what others export, and one is broken."""
    for number in range(40):
        (tmp_path / f"hit_{number}.py").write_text(HIT.format(number=number), encoding="utf-8")
    (tmp_path / "shared.py").write_text("from hit_3 import mlp_kernel as own\n", encoding="utf-8")
    (tmp_path / "user.py").write_text("from shared import own\n\nown(1, 2, 3, 4, 5)\n", encoding="utf-8")
    (tmp_path / "broken.py").write_text("import nkilib\n(\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def shown(report: Report, mode: str) -> list[str]:
    return list(text.render(View(report, mode, statistics=True)))


def spilling(monkeypatch: pytest.MonkeyPatch) -> list[Spool]:
    """From now on every spool uses the disk for everything; the spools that are made."""
    made: list[Spool] = []

    class Always(Spool):
        def __init__(self) -> None:
            super().__init__(limit=0)
            made.append(self)

    monkeypatch.setattr(spool, "Spool", Always)
    return made


@pytest.mark.parametrize("limit", [0, 30, 1 << 20])
def test_what_is_kept_comes_back(limit: int) -> None:
    values: list[object] = [b"a" * 20, "text", (1, 2), b"", b"b" * 100]
    own = Spool(limit)
    kept: Column[object] = Column(own, None)
    for number, value in reversed(list(enumerate(values, start=3))):
        kept.put(number, value, 20)
    assert [kept[number] for number in range(10)] == [None] * 3 + values + [None] * 2
    assert [number in kept for number in range(10)] == [False] * 3 + [True] * 5 + [False] * 2
    assert own.spilled == (limit < 100)


@pytest.mark.parametrize("limits", [(0, 0), (1 << 20, 0), (0, 1 << 20)])
def test_the_last_value_counts_wherever_it_lies(limits: tuple[int, int]) -> None:
    own = Spool(limits[0])
    kept: Column[str] = Column(own, "nothing")
    kept.put(5, "first", 5)
    own._free = limits[1]
    kept.put(5, "second", 6)
    assert kept[5] == "second"
    kept.drop(5)
    assert (kept[5], 5 in kept) == ("nothing", False)
    kept.drop(99)


def test_a_full_disk_means_that_memory_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: Column[bytes] = Column(Spool(0), b"")
    kept.put(0, b"before", 6)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", full)
        kept.put(1, b"during", 6)
    kept.put(2, b"after", 5)
    assert [kept[number] for number in range(3)] == [b"before", b"during", b"after"]


def test_a_write_that_stops_midway_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: whole(fd, data[:7], at))
    kept: Column[bytes] = Column(Spool(0), b"")
    for number in range(3):
        kept.put(number, bytes([number]) * 50, 50)
    assert [kept[number] for number in range(3)] == [bytes([number]) * 50 for number in range(3)]


@pytest.mark.parametrize("count", [0, 1, 1023, 1024, 1025, 3000])
def test_names_come_back(count: int) -> None:
    names = [f"folder \udcff/é{number}" for number in range(count)]
    own = Names()
    for name in names:
        own.append(name)
    assert len(own) == count
    assert list(own) == names == [own[number] for number in range(count)]
    for start, stop in ((0, 0), (0, count), (count // 3, count // 2), (1024, count)):
        assert list(own.between(start, stop)) == names[start:stop]


@pytest.mark.parametrize("seed", range(6))
def test_names_can_be_read_in_order(seed: int) -> None:
    """A few runs that rise, as walks give them; equal names stay in their order."""
    choose = random.Random(seed)
    own, names = Names(), []
    for length in [choose.choice([0, 1, 5, 1500]) for _ in range(seed)]:
        names += sorted(f"{choose.randrange(3000)}.py" for _ in range(length))
    for name in names:
        own.append(name)
    assert list(own.in_order()) == sorted(range(len(names)), key=lambda number: names[number])


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("mode", ["check", "diff", "write"])
def test_a_run_is_the_same_with_everything_on_the_disk(
    mode: str, jobs: int, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run() -> Report:
        return engine.run(Options(paths=(".",), mode=mode, jobs=jobs, cache=False))

    sources = {path: path.read_bytes() for path in tree.iterdir()}
    in_memory = run()
    written = {path: path.read_bytes() for path in tree.iterdir()}
    for path, data in sources.items():
        path.write_bytes(data)
    made = spilling(monkeypatch)
    on_disk = run()
    assert [each.spilled for each in made] == [True]
    assert {path: path.read_bytes() for path in tree.iterdir()} == written
    assert (written != sources) == (mode == "write")
    assert list(on_disk.findings) == in_memory.findings
    assert list(on_disk.changes) == in_memory.changes
    assert on_disk.problems == in_memory.problems
    assert len(on_disk.problems) == 1
    assert shown(on_disk, mode) == shown(in_memory, mode)


def test_texts_and_findings_are_not_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one more file adds to the most that a check holds: its text (100 kB) and findings, or little."""
    calls = "".join(f"    mlp_kernel(x, {number}, up, down)\n" for number in range(20))
    for number in range(40):
        body = f"{HIT.format(number=number)}\n\ndef g(x, up, down):\n{calls}# {'x' * 100_000}\n"
        for folder in ("few", "many")[number >= 10 :]:
            (tmp_path / folder).mkdir(exist_ok=True)
            (tmp_path / folder / f"hit_{number}.py").write_text(body, encoding="utf-8")

    def held(folder: str) -> int:
        gc.collect()
        tracemalloc.start()
        try:
            report = engine.run(Options(paths=(folder,), mode="check", jobs=1, cache=False))
            assert sum(1 for _ in report.findings) >= 20 * report.files
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    def added() -> float:
        held("few")  # makes what is made once
        return (held("many") - held("few")) / 30

    monkeypatch.chdir(tmp_path)
    in_memory = added()
    spilling(monkeypatch)
    on_disk = added()
    assert in_memory > 100_000
    assert on_disk < 20_000


@pytest.mark.slow
def test_a_small_file_adds_next_to_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one more file adds to the most that a check and its reports hold: little but its path.

    What waits to be collected or packed would blur the figure, so less of it may wait.
    """
    for number in range(500):
        place = tmp_path / ("few", "many")[number >= 100] / f"p{number % 10}" / f"hit_{number}.py"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(HIT.format(number=number), encoding="utf-8")

    def held(folder: str) -> int:
        gc.collect()
        tracemalloc.start()
        try:
            report = engine.run(Options(paths=(folder,), mode="check", jobs=1, cache=False))
            view = View(report, "check", statistics=True)
            for render in (text.render, json_.render, sarif.render, gitlab.render, junit.render):
                assert sum(1 for _ in render(view)) > report.files
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(garbage, "COLLECT_AFTER_BYTES", 1 << 16)
    monkeypatch.setattr(Names, "_TOGETHER", 16)
    spilling(monkeypatch)
    # The least of three: what is made once, or by others meanwhile, does not count.
    few, many = (min(held(folder) for _ in range(3)) for folder in ("few", "many"))
    assert (many - few) / 300 < 400
