"""What is kept for later comes back as it was, from memory and from the disk, and costs no memory there."""

from __future__ import annotations

import gc
import os
import tracemalloc
from pathlib import Path

import pytest

from nkimigrate import engine, spool
from nkimigrate.config import Options
from nkimigrate.report import text
from nkimigrate.report.result import Report
from nkimigrate.report.view import View
from nkimigrate.spool import Joined, Kept, Spool

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
    kept: list[Kept[object]] = [own.keep(value, 20) for value in values]
    assert [each.get() for each in kept] == values
    assert [each.get() for each in reversed(kept)] == values[::-1]
    assert own.spilled == (limit < 100)


def test_a_full_disk_means_that_memory_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    own = Spool(0)
    before = own.keep(b"before", 6)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", full)
        during = own.keep(b"during", 6)
    after = own.keep(b"after", 5)
    assert (before.get(), during.get(), after.get()) == (b"before", b"during", b"after")


def test_a_write_that_stops_midway_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: whole(fd, data[:7], at))
    own = Spool(0)
    kept = [own.keep(bytes([number]) * 50, 50) for number in range(3)]
    assert [each.get() for each in kept] == [bytes([number]) * 50 for number in range(3)]


def test_joined_is_the_sorted_items_of_each_file() -> None:
    own = Spool(0)
    files: list[list[Kept[tuple[int, ...]]]] = [
        [own.keep((3, 1), 8), own.keep((2,), 4)],
        [],
        [own.keep((0,), 4)],
    ]
    joined = Joined(files, lambda item: item)
    assert list(joined) == [1, 2, 3, 0] == list(joined)
    assert (len(joined), joined[1], joined[1:], bool(joined)) == (4, 2, [2, 3, 0], True)
    assert not Joined([[own.keep((), 0)]], lambda item: item)


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
    assert (on_disk.changes, on_disk.problems) == (in_memory.changes, in_memory.problems)
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
