"""Where legacy spellings are used: a warning once for each line, errors in strict mode, and who is asking."""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from types import FrameType

COMMAND = "nkimigrate"
_OWN = "nkilib"
_INSIDE = "nkilib."
_SELF = "nkilib.compat"
# Code between a use and this package that is not the user's.
_BETWEEN = frozenset({_OWN, "functools", "importlib", "nki", "nkisim", "pkgutil", "threading", "unittest"})

_seen: set[tuple[str, int, str]] = set()
_strict = False


class Switch:
    """A mode of the process that is on from the call on, or in a ``with`` statement."""

    def __init__(self) -> None:
        self._before = self.turn(True)

    def __enter__(self) -> None:
        return None

    def __exit__(self, *exception: object) -> None:
        self.turn(self._before)

    @staticmethod
    def turn(on: bool) -> bool:
        """Set the mode; returns what it was."""
        raise NotImplementedError


def turn_strict(on: bool) -> bool:
    global _strict
    before, _strict = _strict, on
    return before


def is_inside(frame: FrameType) -> bool:
    """Whether the code that runs in a frame, or makes importlib run in it, is the library's own."""
    name: str = frame.f_globals.get("__name__", "")
    if name.startswith("importlib."):
        name = _module(_past_importlib(frame))
    return name.startswith(_INSIDE) and not name.startswith(_SELF)


def _past_importlib(frame: FrameType) -> FrameType:
    while _module(frame).partition(".")[0] == "importlib" and frame.f_back is not None:
        frame = frame.f_back
    return frame


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def _site() -> FrameType:
    """The nearest frame of code that is neither ours, nor of a library between."""
    first = sys._getframe(1)
    users = (frame for frame in _frames(first) if _module(frame).partition(".")[0] not in _BETWEEN)
    return next(users, first)


def _frames(frame: FrameType | None) -> Iterator[FrameType]:
    """A frame and those that called it, then those of the thread that started a core's thread."""
    while frame is not None:
        yield frame
        frame = frame.f_back
    starter = getattr(threading.current_thread(), "started_by", None)
    frame = None if starter is None else sys._current_frames().get(starter)
    while frame is not None:
        yield frame
        frame = frame.f_back


def report(what: str | Callable[[], str], *, key: str = "", rewritten: bool = True) -> None:
    """Warn at the line of the user's code that runs now, once for each line and text; strict mode raises.

    Args:
        what: the text; a function makes it only when it is needed, and needs a ``key`` to know it by.
        rewritten: whether the command rewrites it, or only reports it.
    """
    frame = _site()
    file, line = frame.f_code.co_filename, frame.f_lineno
    known = (file, line, key or str(what))
    if known in _seen and not _strict:
        return
    text = what if isinstance(what, str) else what()
    text = f"{text} `{COMMAND} {file}` {'rewrites' if rewritten else 'reports'} it."
    if _strict:
        raise DeprecationWarning(f"{file}:{line}: {text}")
    registry = frame.f_globals.setdefault("__warningregistry__", {})
    warnings.warn_explicit(text, DeprecationWarning, file, line, _module(frame) or file, registry)
    _seen.add(known)
