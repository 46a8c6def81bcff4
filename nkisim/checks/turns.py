"""Cores that take turns at random: what a kernel computes must not depend on who is faster.

    with nkisim.interleave(seed=1):
        kernel[2](x)

Normally a core runs until it waits for the other one. Here a seeded generator decides before each instruction
which core goes on, so that a missing barrier shows as another result. ``NKISIM_INTERLEAVE=1`` (a seed, not 0)
does the same for all launches.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ..core.context import Core, state


@contextmanager
def watch(function: Callable[..., Any], cores: list[Core]) -> Iterator[None]:
    """Let the cores of a launch take turns."""
    seed = state.modes.get("interleave") or (os.environ.get("NKISIM_INTERLEAVE", ""),)
    choices = random.Random(str(seed[0]))

    def turn(_: Callable[..., Any], __: Any, ___: dict[str, Any]) -> None:
        if state.launch is not None and choices.random() < 0.5:
            state.launch.hand_over(state.core)

    state.listeners.append(turn)
    try:
        yield
    finally:
        state.listeners.remove(turn)
