"""The processes that run kernels: started, watched, ended, and what is left of them read."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from typing import Any

from .child import RESULT, STAGE

PRINTED = 20_000
"""Characters of what the user's code printed that are kept."""
_START = """
import sys
sys.path[:] = [place for place in sys.path if place]  # not the current folder: it may shadow anything
from nkimigrate.verify import child
child.main({!r})
"""


_RUNNING: set[subprocess.Popen[bytes]] = set()
_ENDING = threading.Event()


@dataclass(frozen=True)
class Ran:
    """What came of a run.

    Attributes:
        reason: why there is no result; "" when there is one.
        found: the result file's content. folder: where the arrays of it are.
        printed: what the code printed.
    """

    folder: str
    reason: str = ""
    found: dict[str, Any] = field(default_factory=dict)
    printed: str = ""


def run(request: dict[str, Any], timeout: float) -> Ran:
    """Run one kernel once. ``request``: see :mod:`.child`; its ``folder`` exists and is empty."""
    folder = request["folder"]
    if _ENDING.is_set():
        return Ran(folder, "interrupted")
    path = os.path.join(folder, "request.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(request, file)
    output = os.path.join(folder, "printed")
    with open(output, "wb") as printed:
        process = subprocess.Popen(
            [sys.executable, "-c", _START.format(path)],
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=printed,
            start_new_session=True,
            env=_environment(),
        )
        _RUNNING.add(process)
        late = _wait(process, timeout)
    text = _printed(output)
    if late:
        return Ran(folder, f"{_stage(folder)}: not done after {timeout:g} s (--timeout)", printed=text)
    try:
        with open(os.path.join(folder, RESULT), encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError):
        return Ran(folder, _ended(folder, process.returncode, text), printed=text)
    return Ran(folder, found["reason"], found, text)


def _environment() -> dict[str, str]:
    """One thread: two processes run at once, and sums come out the same on every machine."""
    once = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {**os.environ, **once, "PYTHONDONTWRITEBYTECODE": "1"}


def _wait(process: subprocess.Popen[bytes], timeout: float) -> bool:
    """Wait for the end; whether it had to be brought about. What the process started ends with it."""
    late = False
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        late = True
    finally:
        _end(process)
        _RUNNING.discard(process)
    return late


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def end_all() -> None:
    """End every run that is under way; no other one starts."""
    _ENDING.set()
    for process in tuple(_RUNNING):
        _end(process)


def _stage(folder: str) -> str:
    try:
        with open(os.path.join(folder, STAGE), encoding="utf-8") as file:
            return file.read() or "starting"
    except OSError:
        return "starting"


def _ended(folder: str, code: int, printed: str) -> str:
    """Why a process that left no result has ended."""
    if code < 0:
        try:
            how = f"was ended by {signal.Signals(-code).name}"
        except ValueError:
            how = f"was ended by signal {-code}"
    else:
        how = f"ended itself with exit code {code}"
    last = printed.strip().splitlines()[-1:] if code else []
    return f"{_stage(folder)}: the process {how}" + (f"; its last words: {last[0]}" if last else "")


def _printed(path: str) -> str:
    with open(path, "rb") as file:
        return file.read(PRINTED).decode("utf-8", "replace")
