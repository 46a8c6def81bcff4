"""What a file costs at each stage, and from that, on paper, what many files cost; `make bench-scale`.

TREE holds files without a hit (`make no-harm` leaves one), KERNELS files with one. Times are CPU seconds of
one process, except that of writing, which waits for the disk.
"""

from __future__ import annotations

import argparse
import pickle
import resource
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from nkimigrate import discovery, engine, reading, tasks, writer
from nkimigrate.codemods.analyse import Analysis, Place

WRITES = 300


@dataclass(frozen=True)
class Costs:
    """Seconds for a file: found, searched, analysed, edited, packed for a worker and unpacked, written."""

    found: float
    read: float
    analysed: float
    edited: float
    packed: float
    written: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tree", type=Path)
    parser.add_argument("kernels", type=Path, nargs="+")
    parser.add_argument("--files", type=int, default=10_000_000)
    parser.add_argument("--hits", type=float, default=0.01, help="the share of files that have something")
    asked = parser.parse_args()
    costs = measured(asked.tree, asked.kernels)
    for name, seconds in costs.__dict__.items():
        print(f"{name:10} {seconds * 1e3:8.3f} ms")
    for workers in (1, 8, 64, 512):
        print(f"{workers:4} workers: {modelled(costs, asked.files, asked.hits, workers) / 60:8.0f} min")


def modelled(costs: Costs, files: int, hits: float, workers: int) -> float:
    """Seconds: what one process does for all files (they are read twice, as what is passed on is looked for
    in all of them again), what it does for the hits (packing each for analysis and for editing, writing), and
    the workers' share.
    """
    alone = files * (costs.found + 2 * costs.read)
    feeding = files * hits * 2 * costs.packed
    shared = files * hits * (costs.analysed + costs.edited) / workers
    return alone + max(feeding, shared) + files * hits * costs.written


def measured(tree: Path, kernels: Iterable[Path]) -> Costs:
    files: list[discovery.Found] = []
    options = {"respect_gitignore": False, "exclude": ("nothing/",)}
    found = _cpu(lambda: files.extend(discovery.discover([tree], **options)))  # type: ignore[arg-type]
    read = _cpu(lambda: [_searched(file) for file in files])
    print(f"{len(files)} files without a hit, {sum(f.size for f in files) / len(files) / 1000:.1f} kB each")
    data = [path.read_bytes() for folder in kernels for path in sorted(folder.rglob("*.py"))]
    hits = [text for text in data if reading.has_marker(text, engine.MARKERS)]
    print(f"{len(hits)} files with a hit, {sum(map(len, hits)) / len(hits) / 1000:.1f} kB each")
    setting = tasks.Setting(("2.27", "2.28"))
    tasks.prepare(setting)
    given = [tasks.Task(text, Place(f"m{i}.py", f"m{i}")) for i, text in enumerate(hits)]
    results: list[object] = [tasks.analyse_task(setting, given[0])]
    results.clear()
    analysed = _cpu(lambda: results.extend(tasks.analyse_task(setting, task) for task in given))
    jobs = [tasks.Job(t, r.findings) for t, r in zip(given, results, strict=True) if isinstance(r, Analysis)]
    edited = _cpu(lambda: [tasks.edit_task(setting, job) for job in jobs])
    packed = _cpu(lambda: [pickle.loads(pickle.dumps(job)) for job in jobs])
    of, n = len(files), len(hits)
    return Costs(found / of, read / of, analysed / n, edited / n, packed / n, _writing())


def _searched(file: discovery.Found) -> None:
    try:
        reading.read_marked(file.path, engine.MARKERS, reading.LIMITS[file.kind], file.size)
    except reading.Unreadable:
        return


def _writing() -> float:
    """Seconds that a file's replacement takes, with waiting for the disk."""
    old, new = b"x = 1\n" * 1000, b"y = 1\n" * 1000
    with tempfile.TemporaryDirectory(dir=".") as folder:
        paths = [Path(folder) / f"{i}.py" for i in range(WRITES)]
        for path in paths:
            path.write_bytes(old)
        started = time.perf_counter()
        for path in paths:
            writer.write(str(path), old, new)
        return (time.perf_counter() - started) / WRITES


def _cpu(function: Callable[[], object]) -> float:
    before = resource.getrusage(resource.RUSAGE_SELF)
    function()
    after = resource.getrusage(resource.RUSAGE_SELF)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
