"""Which code runs while a kernel is launched, apart from the simulator's own."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import threading
import types
from collections.abc import Iterator
from typing import Any

Names = dict[str, Any]

HERE = os.path.dirname(os.path.dirname(__file__)) + os.sep
OWN = __name__.partition(".")[0]
PURE_MODULES = frozenset([
    "abc", "builtins", "collections", "copy", "copyreg", "dataclasses", "enum", "fractions", "functools",
    "itertools", "math", "ml_dtypes", "numbers", "numpy", "operator", "string", "typing", "types",
    "__future__", "_abc", "_collections_abc", "_operator", "_functools",
])  # fmt: skip
"""Modules outside of this package whose functions read nothing but their arguments."""
_LIBRARY = os.path.dirname(os.__file__) + os.sep
_TOOLS = frozenset({"ml_dtypes", "numpy", "threadpoolctl"})
"""Packages that this one uses."""


class Watcher:
    """A trace function that notes each function that is called, apart from the simulator's own.

    Attributes:
        ran: the code of these functions, and the globals that each had. printed: what they did with the
            standard output.
    """

    def __init__(self) -> None:
        self.ran: dict[tuple[int, int], tuple[types.CodeType, Names]] = {}
        self.printed: list[tuple[str, tuple[Any, ...]]] = []
        self._kinds: dict[int, tuple[types.CodeType, str]] = {}

    def __call__(self, frame: types.FrameType, event: str, arg: Any) -> None:
        code = frame.f_code
        known = self._kinds.get(id(code))
        if known is None:
            known = self._kinds[id(code)] = code, _kind(frame)
        kind = known[1]
        if kind == "own" or (kind == "library" and self._called_by_own(frame.f_back)):
            return
        self.ran.setdefault((id(code), id(frame.f_globals)), (code, frame.f_globals))

    def _called_by_own(self, frame: types.FrameType | None) -> bool:
        while frame is not None and _kind(frame) == "library":
            frame = frame.f_back
        return frame is None or _kind(frame) == "own"

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Watch this thread, and those that it starts, in the ``with`` block."""
        before, collects = threading.gettrace(), gc.isenabled()
        gc.disable()  # what it calls is not the kernel's doing
        with contextlib.redirect_stdout(_Heard(self)):
            threading.settrace(self)
            sys.settrace(self)
            try:
                yield
            finally:
                sys.settrace(None)
                threading.settrace(before)
                if collects:
                    gc.enable()


class _Heard:
    """Standard output, if there is one, that notes what it is told by those who are watched."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher, self._stream = watcher, sys.stdout

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> Any:
        return self._told("write", text)

    def flush(self) -> Any:
        return self._told("flush")

    def _told(self, method: str, *given: str) -> Any:
        if sys.gettrace() is self._watcher:
            self._watcher.printed.append((method, given))
        return None if self._stream is None else getattr(self._stream, method)(*given)


def _kind(frame: types.FrameType) -> str:
    """``own``: the simulator's, or a function of its arguments alone; ``library``: Python's; or ``user``."""
    filename = frame.f_code.co_filename
    module = root_of(frame.f_globals.get("__name__"))
    if filename.startswith(HERE) or module in _TOOLS:
        return "own"
    if filename == "<string>" and (module == OWN or module.startswith("namedtuple_")):
        return "library"  # what dataclasses and named tuples generate
    library = filename.startswith((_LIBRARY, "<frozen")) and "site-packages" not in filename
    if library and module in sys.stdlib_module_names:
        return "own" if module in PURE_MODULES else "library"
    return "user"


def watched_by_others() -> bool:
    """Whether a debugger, a profiler or a measurement of coverage looks at the Python that runs."""
    if sys.gettrace() is not None or sys.getprofile() is not None:
        return True
    monitoring = getattr(sys, "monitoring", None)
    return monitoring is not None and any(map(monitoring.get_tool, range(6)))


def root_of(module: Any) -> str:
    """The package that a module's name begins with."""
    return str(module).partition(".")[0]
