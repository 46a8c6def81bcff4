"""Modes that watch launches: on in a context manager, or for all launches by an environment variable."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

from .context import state

MODES = {
    "strict": ("NKISIM_STRICT", "nkisim.checks.session"),
    "races": ("NKISIM_RACES", "nkisim.checks.sharing"),
    "interleave": ("NKISIM_INTERLEAVE", "nkisim.checks.turns"),
}
"""Mode → its environment variable, and the module whose ``watch(function, cores)`` surrounds a launch."""
OFF = ("", "0")


@contextmanager
def mode(name: str, options: Any = True) -> Iterator[None]:
    """Turn a mode on in the ``with`` block."""
    before = state.modes.get(name)
    state.modes[name] = options
    try:
        yield
    finally:
        state.modes[name] = before


def active(name: str) -> bool:
    """Whether a mode is on."""
    return bool(state.modes.get(name)) or os.environ.get(MODES[name][0], "") not in OFF


def watched(function: Callable[..., Any], cores: list[Any]) -> AbstractContextManager[Any]:
    """What surrounds a launch of ``function``; nothing when no mode is on."""
    names = [name for name in MODES if active(name)]
    if not names:
        return nullcontext()
    stack = ExitStack()
    for name in names:
        stack.enter_context(importlib.import_module(MODES[name][1]).watch(function, cores))
    return stack
