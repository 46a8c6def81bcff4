"""What reports are made of, beside the findings of the rules."""

from __future__ import annotations

from ..codemods.record import record
from .result import Report

__all__ = ["Change", "Problem", "Report"]


@record
class Problem:
    """A file that could not be handled: an ``NKM9xx`` code, where, and why. Lines and columns are 1-based."""

    code: str
    path: str
    message: str
    line: int = 1
    column: int = 1


@record
class Change:
    """A file's bytes before and after."""

    path: str
    old: bytes
    new: bytes
