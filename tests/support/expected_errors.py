"""The errors that tests expect, and from where in nkilib they come: of every ``pytest.raises`` of this process.

``tests/nkilib/conftest.py`` says which test runs. What was seen is what ``tests/support/constraints/`` says of tests
that violate a demand, and by what ``make kernel-checks`` knows the checks that no test has seen to fail.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

import nkilib

PACKAGE = Path(nkilib.__file__).parent


@dataclass(frozen=True)
class Seen:
    """An expected error.

    Attributes:
        words: its text. entry: the function of nkilib that the test called, ``module.function``; "" if none.
        lines: file and line of each frame in nkilib, outermost first.
    """

    words: str
    entry: str
    lines: tuple[tuple[str, int], ...]


SEEN: dict[str, list[Seen]] = defaultdict(list)
"""Test → the errors that it expected; tests that have begun are here, with or without errors."""
_RUNNING = [""]


def function_of(test: str) -> str:
    """``file::function`` under ``tests/nkilib`` of a test's id."""
    return test.partition("tests/nkilib/")[2].partition("[")[0]


def begin(test: str) -> None:
    """What is seen from now on is of this test."""
    _RUNNING[0] = test
    SEEN[test].clear()


def _listen() -> None:
    raises = type(pytest.raises(ZeroDivisionError))
    leave = raises.__exit__

    def left(context: Any, kind: Any, error: Any, trace: TracebackType | None) -> bool:
        if error is not None:
            SEEN[_RUNNING[0]].append(_seen(error, trace))
        return leave(context, kind, error, trace)

    raises.__exit__ = left


def _seen(error: BaseException, trace: TracebackType | None) -> Seen:
    frames = list(_frames(trace))
    entry = f"{frames[0][0]}.{frames[0][1]}" if frames else ""
    return Seen(f"{type(error).__name__}: {error}", entry, tuple(frame[2:] for frame in frames))


def _frames(trace: TracebackType | None) -> Iterator[tuple[str, str, str, int]]:
    """Module, function, file and line of the frames in nkilib."""
    while trace is not None:
        frame = trace.tb_frame
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(PACKAGE):
            file = path.relative_to(PACKAGE).as_posix()
            yield frame.f_globals["__name__"], frame.f_code.co_name, file, trace.tb_lineno
        trace = trace.tb_next


_listen()
