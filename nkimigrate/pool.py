"""Spreads units of work over workers when that pays, and survives a worker that dies or hangs.

A unit is ``function(setting, item)``, pure and picklable; a result comes back for every item, in order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence

from .workers import Machine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from concurrent.futures import Future  # a run in one process does not need it
    from typing import Any, TypeVar

    from .workers import Workers

    Item = TypeVar("Item")
    Result = TypeVar("Result")
    Setting = TypeVar("Setting")

SECONDS_PER_FILE = 60.0
_BATCH = 8
_BATCH_BYTES = 1 << 20
# Batches under way at the same time, for each worker: enough that none waits, and no more are held.
_AHEAD = 8


def spread(
    function: Callable[[Setting, Item], Result],
    setting: Setting,
    items: Sequence[Item],
    count: int,
    lost: Callable[[Item, str], Result],
    workers: Workers | None = None,
    sizes: Sequence[int] = (),
) -> Iterator[Result]:
    """Results in the order of ``items``; ``lost`` makes that of an item whose worker crashed or hung.

    ``count`` is how many are at work (1: this process), ``sizes`` says how many bytes the items have. An item
    is asked for when its turn comes, and again when it is lost.
    """
    if count <= 1:
        for item in items:
            yield function(setting, item)
        return
    batches = list(_batches(len(items), sizes))
    results = _pooled(function, setting, items, batches, count, workers or Machine())
    for batch, done in zip(batches, results, strict=True):
        yield from _again(function, setting, items[batch], lost) if done is None else done


def _batches(length: int, sizes: Sequence[int]) -> Iterator[slice]:
    """Neighbours together: a few of them, and not too many bytes."""
    start = held = 0
    for index in range(length):
        size = sizes[index] if sizes else 0
        if index > start and (index - start == _BATCH or held + size > _BATCH_BYTES):
            yield slice(start, index)
            start, held = index, 0
        held += size
    if start < length:
        yield slice(start, length)


def run_batch(
    function: Callable[[Setting, Item], Result], setting: Setting, batch: Sequence[Item]
) -> list[Result]:
    """One task of the pool."""
    return [function(setting, item) for item in batch]


def _pooled(
    function: Callable[[Setting, Item], Result],
    setting: Setting,
    items: Sequence[Item],
    batches: Sequence[slice],
    count: int,
    workers: Workers,
) -> Iterator[list[Result] | None]:
    """The results of each batch; None for a batch that died or took too long."""
    from concurrent.futures import BrokenExecutor, TimeoutError

    failures: tuple[type[BaseException], ...] = (BrokenExecutor, TimeoutError, *workers.failures)
    done = 0
    while done < len(batches):  # a pool whose worker died takes nothing more: another one goes on
        with workers.executor(count) as pool:
            running: deque[Future[list[Result]]] = deque()
            open_ = True
            while done < len(batches) and (open_ or running):
                while open_ and len(running) < min(count * _AHEAD, len(batches) - done):
                    try:
                        batch = items[batches[done + len(running)]]
                        running.append(pool.submit(run_batch, function, setting, batch))
                    except failures:
                        open_ = False
                try:
                    yield running.popleft().result(timeout=SECONDS_PER_FILE * _BATCH) if running else None
                except failures:
                    yield None
                done += 1


def _again(
    function: Callable[[Setting, Item], Result],
    setting: Setting,
    batch: Sequence[Item],
    lost: Callable[[Item, str], Result],
) -> Iterator[Result]:
    """A lost batch in a process of its own on this machine. When that dies, too, every item gets one, which
    pins the crash on one file.
    """
    done = _alone(run_batch, (function, setting, batch), SECONDS_PER_FILE * len(batch))
    if not isinstance(done, str):
        yield from done
        return
    for item in batch:
        result = _alone(function, (setting, item), SECONDS_PER_FILE)
        yield lost(item, result) if isinstance(result, str) else result


def _alone(function: Callable[..., Result], arguments: tuple[Any, ...], seconds: float) -> Result | str:
    """What a function gives in a process of its own, or what happened to that."""
    from concurrent.futures import BrokenExecutor, TimeoutError

    with Machine().executor(1) as pool:
        try:
            return pool.submit(function, *arguments).result(timeout=seconds)
        except BrokenExecutor:
            return "the process that handled it died"
        except TimeoutError:
            return f"it took more than {seconds:.0f} s"
