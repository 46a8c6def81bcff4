"""Runs the cases: each side in a process of its own, two at a time."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from . import compare, process
from .model import CURRENT, DIFFERENT, LEGACY, NOT_RUN, Case, Output, Place, Result, worst
from .process import Ran

Progress = Callable[[str, int, int], None]


def run_all(
    cases: list[Case], spec_folder: str, *, trace: bool, jobs: int, progress: Progress
) -> list[Result]:
    """Run every case on each of its numbers of cores, in order of the cases.

    Args:
        spec_folder: where files that a spec file names are. trace: whether to collect what kernels do.
        jobs: processes at a time; 0: two, or one on a single processor.
    """
    runs = [(case, lnc) for case in cases for lnc in case.lnc]
    found: list[Result] = []
    jobs = jobs or min(2, os.cpu_count() or 1)
    with tempfile.TemporaryDirectory(prefix="nkimigrate-verify-") as folder, ThreadPoolExecutor(jobs) as pool:
        try:
            started = [_start(pool, folder, case, lnc, spec_folder, trace) for case, lnc in runs]
            for (case, lnc), sides in zip(runs, started, strict=True):
                found.append(_result(case, lnc, {side: future.result() for side, future in sides.items()}))
                _remove([future.result().folder for future in sides.values()])
                progress("Running kernels", len(found), len(runs))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            process.end_all()
            raise
    return found


def _start(
    pool: ThreadPoolExecutor, folder: str, case: Case, lnc: int, spec_folder: str, trace: bool
) -> dict[str, Future[Ran]]:
    if case.why_not:
        return {}
    sides = {}
    for side, place in (("old", case.old), ("new", case.new)):
        own = tempfile.mkdtemp(dir=folder)
        request = _request(case, place, side, lnc, spec_folder, trace, own)
        sides[side] = pool.submit(process.run, request, case.timeout)
    return sides


def _remove(folders: list[str]) -> None:
    """What is compared takes no more space."""
    import shutil

    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def _request(
    case: Case, place: Place, side: str, lnc: int, spec_folder: str, trace: bool, folder: str
) -> dict[str, Any]:
    """What :mod:`.child` reads."""
    return {
        "side": side,
        "root": place.root,
        "file": place.file,
        "name": place.name,
        "language": place.language,
        "jit": place.jit,
        "inputs": case.inputs,
        "grid": list(case.grid),
        "lnc": lnc,
        "seed": case.seed,
        "target": case.target,
        "paths": list(case.paths),
        "spec_folder": spec_folder,
        "trace": trace,
        "compat": side == "old",
        "folder": folder,
    }


def _result(case: Case, lnc: int, sides: dict[str, Ran]) -> Result:
    if case.why_not:
        return Result(case, lnc, NOT_RUN, case.why_not)
    old, new = sides["old"], sides["new"]
    about: dict[str, Any] = {
        "printed": {side: ran.printed for side, ran in sides.items() if ran.printed},
        "seconds": {side: ran.found.get("seconds", 0.0) for side, ran in sides.items()},
        "traces": {side: ran.found["trace"] for side, ran in sides.items() if "trace" in ran.found},
        "notes": _notes(sides),
        "weak": old.found.get("weak", ""),
    }
    failed = {side: ran.reason for side, ran in sides.items() if ran.reason}
    if failed:
        reason = "\n".join(_said_once([(side, [reason]) for side, reason in failed.items()]))
        return Result(case, lnc, NOT_RUN, reason, " and ".join(failed), **about)
    differing = _inputs_differ(old, new)
    if differing:
        reason = f"the inputs are not the same on both sides: {', '.join(differing)}"
        return Result(case, lnc, NOT_RUN, reason, **about)
    outputs = _compared(case, old, new)
    if not outputs:
        reason = "neither side returns or writes anything: there is nothing to compare"
        return Result(case, lnc, NOT_RUN, reason, **about)
    if all(output.blank for output in outputs):
        return Result(
            case, lnc, NOT_RUN, "all outputs are NaN on both sides", outputs=tuple(outputs), **about
        )
    return Result(case, lnc, worst([o.verdict for o in outputs]), outputs=tuple(outputs), **about)


def _compared(case: Case, old: Ran, new: Ran) -> list[Output]:
    legacy = case.old.language == LEGACY and case.new.language == CURRENT and not case.new.inner
    one, other = ({**ran.found, "folder": ran.folder} for ran in (old, new))
    found = compare.outputs(one, other, case.tolerance, legacy)
    lost = [name for name in new.found.get("dropped", ()) if name not in old.found["written"]]
    return found + [
        Output(
            name, DIFFERENT, reason="the new kernel has no such parameter, and the old one does not write it"
        )
        for name in lost
    ]


def _inputs_differ(old: Ran, new: Ran) -> list[str]:
    one, other = (ran.found.get("digests", {}) for ran in (old, new))
    return [name for name in one if one[name] != other.get(name)]


def _notes(sides: dict[str, Ran]) -> tuple[str, ...]:
    return tuple(_said_once([(side, ran.found.get("notes", [])) for side, ran in sides.items()]))


def _said_once(said: list[tuple[str, list[str]]]) -> list[str]:
    """What is said of each side; what is said of all, once."""
    texts = dict.fromkeys(text for _, found in said for text in found)
    sides = {text: [side for side, found in said if text in found] for text in texts}
    return [f"{'both' if len(found) > 1 else found[0]}: {text}" for text, found in sides.items()]
