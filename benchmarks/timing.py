"""Comparing ways to compute the same, fairly on a machine that does other things too."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any


def compared(calls: Sequence[Callable[[], Any]], seconds: float, rounds: int = 5) -> list[float]:
    """CPU seconds (of all threads) of each call: the least of several, which take turns.

    At least ``rounds`` of each, more while they have taken less than ``seconds`` of CPU altogether.
    """
    for call in calls:
        call()
    found: list[list[float]] = []
    start = time.process_time()
    while len(found) < rounds or (time.process_time() - start < seconds and len(found) < 50):
        found.append([_spent(call) for call in calls])
    return [min(times) for times in zip(*found, strict=True)]


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
