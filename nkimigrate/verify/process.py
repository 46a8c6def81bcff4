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
from typing import IO, Any

from .child import RESULT, STAGE

PRINTED = 20_000
"""Bytes of what the user's code printed last that are kept."""
_PATIENCE = 5.0
"""Seconds for the rest of the output after the end of a process; one that it let go may hold the pipe."""
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
        json.dump({**request, "parent": os.getpid()}, file)
    process = subprocess.Popen(
        [sys.executable, "-c", _START.format(path)],
        bufsize=0,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        env=_environment(),
    )
    _RUNNING.add(process)
    heard = _Heard(process)
    late = _wait(process, timeout)
    text = heard.last()
    if late:
        return Ran(folder, f"{_stage(folder)}: not done after {timeout:g} s (--timeout)", printed=text)
    try:
        with open(os.path.join(folder, RESULT), encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError):
        return Ran(folder, _ended(folder, process.returncode, text), printed=text)
    return Ran(folder, found["reason"], found, text)


class _Heard:
    """Listens to a process; however much it prints, only the last of it is kept."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._kept = b""
        self._thread = threading.Thread(target=self._listen, args=[process.stdout], daemon=True)
        self._thread.start()

    def _listen(self, pipe: IO[bytes]) -> None:
        with pipe:
            while piece := pipe.read(1 << 16):
                self._kept = (self._kept + piece)[-PRINTED:]

    def last(self) -> str:
        """What was printed last, when the process has ended."""
        self._thread.join(_PATIENCE)
        return self._kept.decode("utf-8", "replace")


def _environment() -> dict[str, str]:
    """One thread: two processes run at once, and sums come out the same on every machine."""
    once = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {**os.environ, **once, "PYTHONDONTWRITEBYTECODE": "1"}


def _wait(process: subprocess.Popen[bytes], timeout: float) -> bool:
    """Wait for the end; whether it had to be brought about. What the process started ends with it."""
    late = False
    try:
        if not _ENDING.is_set():  # else end_all() may not have seen it
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
