"""Comparing two ways to compute the same, fairly on a machine that does other things too."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def compared(
    ours: Callable[[], Any], theirs: Callable[[], Any], seconds: float, rounds: int = 3
) -> tuple[float, float]:
    """CPU seconds (of all threads) of a call of each: the least of several, which take turns.

    At least ``rounds`` of each, more while they have taken less than ``seconds`` altogether.
    """
    ours(), theirs()
    found: list[tuple[float, float]] = []
    start = time.perf_counter()
    while len(found) < rounds or (time.perf_counter() - start < seconds and len(found) < 50):
        found.append((_spent(ours), _spent(theirs)))
    return min(mine for mine, _ in found), min(other for _, other in found)


def _spent(call: Callable[[], Any]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def wall(call: Callable[[], Any], rounds: int = 3) -> float:
    """Seconds of a call, the least of several."""
    found = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        found.append(time.perf_counter() - start)
    return min(found)
