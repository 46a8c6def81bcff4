"""The one error of the simulator, which says where in the kernel it happened."""

from __future__ import annotations

import os
import sys

_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


class SimulationError(AssertionError):
    """Something the hardware or the language would not allow.

    An AssertionError, as the compiler's own checks raise: kernels and tests that expect one keep working.
    """


def location() -> tuple[str, int]:
    """File and line of the innermost frame outside this package: the kernel's line."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith((_HERE, "<")):
        frame = frame.f_back  # type: ignore[assignment]
    return (frame.f_code.co_filename, frame.f_lineno) if frame is not None else ("<unknown>", 0)


def fail(what: str) -> SimulationError:
    """An error to raise, its text led by the kernel's file and line."""
    file, line = location()
    return SimulationError(f"{file}:{line}: {what}")
