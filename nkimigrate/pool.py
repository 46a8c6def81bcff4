"""Spreads units of work over the cores when that pays, and survives a worker that dies or hangs.

A unit is ``function(setting, item)``, pure and picklable; a result comes back for every item, in order.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
Setting = TypeVar("Setting")

# About a second of work. A pool costs 0.15 s of processor time, and saves little below a third of this.
WORTHWHILE_BYTES = 2_500_000
SECONDS_PER_FILE = 60.0
_BATCH = 8


def worth_it(sizes: Sequence[int], jobs: int) -> int:
    """How many processes to use for inputs of these sizes (in bytes); ``jobs`` 0 means: decide."""
    if len(sizes) < 2 or jobs == 1 or (jobs == 0 and sum(sizes) < WORTHWHILE_BYTES):
        return 1
    return min(jobs or _cores(), len(sizes))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def spread(
    function: Callable[[Setting, Item], Result],
    setting: Setting,
    items: Sequence[Item],
    processes: int,
    lost: Callable[[Item, str], Result],
) -> Iterator[Result]:
    """Results in the order of ``items``; ``lost`` makes that of an item whose worker crashed or hung."""
    if processes <= 1:
        for item in items:
            yield function(setting, item)
        return
    batches = [items[i : i + _BATCH] for i in range(0, len(items), _BATCH)]
    for batch, done in zip(batches, _pooled(function, setting, batches, processes), strict=True):
        yield from _one_by_one(function, setting, batch, lost) if done is None else done


def run_batch(
    function: Callable[[Setting, Item], Result], setting: Setting, batch: Sequence[Item]
) -> list[Result]:
    """One task of the pool."""
    return [function(setting, item) for item in batch]


def _pooled(
    function: Callable[[Setting, Item], Result],
    setting: Setting,
    batches: Sequence[Sequence[Item]],
    processes: int,
) -> Iterator[list[Result] | None]:
    """The results of each batch; None for a batch that died or took too long."""
    from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, TimeoutError

    pool = ProcessPoolExecutor(processes)
    try:
        futures = [pool.submit(run_batch, function, setting, batch) for batch in batches]
        for future in futures:
            try:
                yield future.result(timeout=SECONDS_PER_FILE * _BATCH)
            except (BrokenExecutor, TimeoutError):
                yield None
    finally:
        _stop(pool)


def _one_by_one(
    function: Callable[[Setting, Item], Result],
    setting: Setting,
    batch: Sequence[Item],
    lost: Callable[[Item, str], Result],
) -> Iterator[Result]:
    """Pin a crash on one file: every item of a lost batch gets a process of its own."""
    from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, TimeoutError

    for item in batch:
        pool = ProcessPoolExecutor(1)
        try:
            yield pool.submit(function, setting, item).result(timeout=SECONDS_PER_FILE)
        except BrokenExecutor:
            yield lost(item, "the process that handled it died")
        except TimeoutError:
            yield lost(item, f"it took more than {SECONDS_PER_FILE:.0f} s")
        finally:
            _stop(pool)


def _stop(pool: object) -> None:
    """End a pool at once, hanging workers included (only processes this pool started)."""
    workers = list((getattr(pool, "_processes", None) or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)  # type: ignore[attr-defined]
    for worker in workers:
        worker.terminate()
