"""CPU seconds and peak memory of a command, its children included."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """What one command took: user and system seconds, and the largest resident set in MB."""

    seconds: float
    megabytes: float
    exit_code: int


def cost(
    command: Sequence[str], cwd: str | None = None, runs: int = 3, before: Callable[[], object] | None = None
) -> Cost:
    """The median of several runs, each after a call of ``before``; output is discarded."""
    taken = []
    for _ in range(runs):
        if before is not None:
            before()
        taken.append(_once(command, cwd))
    return Cost(
        statistics.median(c.seconds for c in taken), max(c.megabytes for c in taken), taken[-1].exit_code
    )


# A process counts the memory of the one that started it, so a small one has to stand between.
_LAUNCHER = """
import os, subprocess, sys
null = subprocess.DEVNULL
process = subprocess.Popen(sys.argv[1:], stdin=null, stdout=null, stderr=null)
_, status, usage = os.wait4(process.pid, 0)
process.returncode = os.waitstatus_to_exitcode(status)
print(usage.ru_utime + usage.ru_stime, usage.ru_maxrss, process.returncode)
"""


def _once(command: Sequence[str], cwd: str | None) -> Cost:
    launched = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _LAUNCHER, *command],
        cwd=cwd, stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    seconds, memory, code = launched.stdout.split()
    unit = 1024 * 1024 if sys.platform == "darwin" else 1024
    return Cost(float(seconds), int(memory) / unit, int(code))


def tool(name: str) -> str:
    """The path of a command installed beside this interpreter."""
    return os.path.join(os.path.dirname(sys.executable), name)


def machine() -> str:
    """What the numbers depend on, in one line: cores and versions."""
    ruff = subprocess.run([tool("ruff"), "--version"], capture_output=True, text=True, check=True).stdout
    return f"{os.cpu_count()} cores, Python {platform.python_version()}, {ruff.strip()}"


def require_regular_install() -> None:
    """Stop when nkimigrate is installed editable: its import finder adds to every start."""
    import nkimigrate

    if "site-packages" not in str(nkimigrate.__file__):
        sys.exit("nkimigrate is installed editable; measure a regular installation (`make bench` makes one)")
