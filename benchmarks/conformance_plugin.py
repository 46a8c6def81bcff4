"""Pytest plugin that runs a sample of a test tree on nkisim, each case in a process of its own.

Tests are collected once; each case then runs in a fork with a limit of CPU time and of memory, so that none
can harm the others. Options come as JSON in ``CONFORMANCE_OPTIONS``; a line of JSON is written for each case.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import conformance_imports
import numpy as np
import pytest
from _pytest.runner import runtestprotocol
from conformance_cases import family, left_out, sample, short
from conformance_speed import hasten

OPTIONS = SimpleNamespace(**json.loads(os.environ["CONFORMANCE_OPTIONS"]))
LARGE = "Skipping slow simulation test"
"""Reason of the mark with which the tests leave out large shapes in simulation."""
GRACE = 20
"""More seconds of CPU time until a case that did not end at its signal is killed."""
WALL = 20
"""Seconds of wall time for one of CPU time until a case is killed."""
SPARE = 4
"""Cases that are at hand for each one that is to run, as tests skip many and others are too large."""
DIE_WITH_PARENT = 1
"""``PR_SET_PDEATHSIG`` of prctl(2)."""
TICKS = os.sysconf("SC_CLK_TCK")
NO_MEMORY = (
    "not enough memory",
    "can't allocate memory",
    "bad_alloc",
    "Unable to allocate",
    "Cannot allocate memory",
)
TARGETS = ("trn2", "trn3")
LONGEST = 600
UNUSED = ("skipped", "memory")
"""Outcomes that say nothing: another case is taken."""

conformance_imports.serve(Path(OPTIONS.checkout), OPTIONS.kernels)


class Late(BaseException):
    """A case that took longer than its time."""


@dataclass
class Running:
    """A case in its process."""

    item: pytest.Item
    process: int
    folder: Path
    started: float = field(default_factory=time.monotonic)
    warned: bool = False
    status: int = 0


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the sample, or the named cases, without those that are already done."""
    hasten()
    items[:] = [item for item in items if _open(item)]
    named = {item.nodeid: item for item in items}
    if OPTIONS.case:
        names = [name for name in named if name in OPTIONS.case or short(name) in OPTIONS.case]
    else:
        large = set() if OPTIONS.large else {name for name, item in named.items() if _marked_large(item)}
        names = sample(named, large, SPARE * OPTIONS.sample, OPTIONS.seed)
    items[:] = [named[name] for name in names if name not in OPTIONS.done]


def _marked_large(item: pytest.Item) -> bool:
    return any(_is_large(mark) for mark in item.iter_markers("skip"))


def _is_large(mark: pytest.Mark) -> bool:
    return str(mark.kwargs.get("reason", "")).startswith(LARGE)


def _open(item: pytest.Item) -> bool:
    """Whether the tests themselves would ever run it, and one device can."""
    return not left_out(family(item.nodeid)) and all(_is_large(mark) for mark in item.iter_markers("skip"))


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """A file that cannot be imported fails as one case."""
    if report.failed:
        lines = str(report.longrepr).strip().splitlines()
        _write(report.nodeid, {"outcome": "failed", "seconds": 0.0, "error": lines[-1] if lines else ""})
        _explain(report.nodeid, str(report.longrepr))


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool:
    """Run the cases, ``processes`` at a time."""
    gc.collect()
    gc.freeze()
    waiting = list(session.items)
    running: list[Running] = []
    taken = Counter(family(case) for case, outcome in OPTIONS.done.items() if outcome not in UNUSED)
    while True:
        while len(running) < OPTIONS.processes and (item := _next(waiting, taken)) is not None:
            running.append(_start(item))
        if not running:
            return True
        for case in [case for case in running if _ended(case)]:
            running.remove(case)
            result = _finish(case)
            taken[family(case.item.nodeid)] -= result["outcome"] in UNUSED
            print(result["outcome"], result["seconds"], case.item.nodeid, file=sys.stderr, flush=True)
        time.sleep(0.02)


def _next(waiting: list[pytest.Item], taken: Counter[str]) -> pytest.Item | None:
    """Take the first case whose family has not got its number; cases that say nothing are given back."""
    for index, item in enumerate(waiting):
        if OPTIONS.case or taken[family(item.nodeid)] < OPTIONS.sample:
            taken[family(item.nodeid)] += 1
            return waiting.pop(index)
    return None


def _start(item: pytest.Item) -> Running:
    folder = Path(tempfile.mkdtemp(dir=OPTIONS.scratch))
    process = os.fork()
    if process == 0:
        try:
            _child(item, folder)
        finally:
            os._exit(0)
    return Running(item, process, folder)


def _ended(case: Running) -> bool:
    ended, case.status = os.waitpid(case.process, os.WNOHANG)
    if ended:
        return True
    used = _cpu_seconds(case.process)
    if used > OPTIONS.seconds and not case.warned:
        # Not by a timer: that interrupts the thread that computes, not the one that waits for it.
        os.kill(case.process, signal.SIGUSR1)
        case.warned = True
    if used > OPTIONS.seconds + GRACE or time.monotonic() - case.started > WALL * OPTIONS.seconds + GRACE:
        os.kill(case.process, signal.SIGKILL)
        (case.folder / "result").write_text(
            json.dumps({"outcome": "late", "error": f"killed after {used:.0f} s"})
        )
    return False


def _cpu_seconds(process: int) -> float:
    """User and system time of a child, which exists until it is waited for."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _finish(case: Running) -> dict[str, Any]:
    file = case.folder / "result"
    result = json.loads(file.read_text()) if file.exists() else _death(case.status)
    result.setdefault("seconds", round(time.monotonic() - case.started, 2))
    detail = result.pop("detail", "")
    _write(case.item.nodeid, result)
    if result["outcome"] == "failed":
        _explain(case.item.nodeid, detail)
    shutil.rmtree(case.folder, ignore_errors=True)
    return result


def _death(status: int) -> dict[str, Any]:
    """Result of a process that left none. Nobody but a system without memory kills it like this."""
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return {"outcome": "memory", "error": "killed by the system, which had no memory left"}
    return {"outcome": "killed", "error": f"the process died: exit code {os.waitstatus_to_exitcode(status)}"}


def _write(case: str, result: dict[str, Any]) -> None:
    line = {"case": case, "short": short(case), "family": family(case), "seed": OPTIONS.seed, **result}
    with open(OPTIONS.results, "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def _explain(case: str, detail: str) -> None:
    with open(OPTIONS.failures, "a", encoding="utf-8") as file:
        file.write(f"{'=' * 100}\n{short(case)} {case}\n{detail}\n")


# From here on: in the process of one case.


def _child(item: pytest.Item, folder: Path) -> None:
    ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)
    Path("/proc/self/oom_score_adj").write_text("1000")  # rather this one than anything else
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    os.chdir(folder)
    item.config.option.output_directory = str(folder / "output")
    item.own_markers[:] = [mark for mark in item.own_markers if not _is_large(mark)]
    _limit_memory(int(OPTIONS.gigabytes * 2**30))
    signal.signal(signal.SIGUSR1, _late)
    result: dict[str, Any] = {}
    for target in [OPTIONS.target] if OPTIONS.target else TARGETS:
        result = _run(item, target)
        if result["outcome"] != "skipped":
            break
    (folder / "new").write_text(json.dumps(result))
    (folder / "new").rename(folder / "result")


def _limit_memory(more: int) -> None:
    """The address space may grow by this many bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + more
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _late(*_: Any) -> None:
    raise Late(f"longer than {OPTIONS.seconds} s of CPU time")


def _run(item: pytest.Item, target: str) -> dict[str, Any]:
    """The test's protocol, for one generation of the hardware, with random numbers that the seed repeats."""
    item.config.option.platform_target = os.environ["NEURON_PLATFORM_TARGET_OVERRIDE"] = target
    number = zlib.crc32(f"{OPTIONS.seed} {item.nodeid}".encode())
    random.seed(number)
    np.random.seed(number)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(number)
    if hasattr(item, "_initrequest"):
        item._initrequest()
    started = time.process_time()
    reports = runtestprotocol(item, log=False, nextitem=None)
    decisive = next((report for report in reports if not report.passed), reports[-1])
    return {
        **getattr(decisive, "conformance", {"outcome": decisive.outcome, "error": ""}),
        "target": target,
        "seconds": round(time.process_time() - started, 2),
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Iterator[None]:
    """Put on a report that did not pass how it ended and why."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if report.passed or call.excinfo is None:
        return
    error = call.excinfo.value
    text = f"{type(error).__name__}: {error}"
    if hasattr(report, "wasxfail"):
        text = f"expected to fail by the test itself ({report.wasxfail}): {text}"
    report.conformance = {"outcome": _ending(report, call.excinfo), "error": text[:LONGEST]}
    if isinstance(error, Late):
        report.conformance["error"] += f", in {_place(call.excinfo)}"
    if report.conformance["outcome"] == "failed":
        logs = [file.read_text(errors="replace")[-6000:] for file in Path.cwd().rglob("log-validate.txt")]
        report.conformance["detail"] = "\n".join([str(report.longrepr)[-20000:], *logs])


def _ending(report: pytest.TestReport, excinfo: pytest.ExceptionInfo[BaseException]) -> str:
    error: BaseException | None = excinfo.value
    if report.skipped:
        return "skipped"
    while error is not None:
        if isinstance(error, Late):
            return "late"
        if isinstance(error, MemoryError) or any(words in str(error) for words in NO_MEMORY):
            return "memory"
        error = error.__cause__ or error.__context__
    return "failed"


def _place(excinfo: pytest.ExceptionInfo[BaseException]) -> str:
    """Whose time ran out: the simulated kernel's, or that of the test around it."""
    inside = any("/nkisim/" in str(entry.path) for entry in excinfo.traceback)
    return "the simulated kernel" if inside else "the test's own inputs or golden"
