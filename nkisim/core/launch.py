"""Running a kernel on one or several cores, deterministically.

Exactly one core runs at a time: a baton passes on where a core waits (``core_barrier``, ``sendrecv``), where
it returns, and after every few copies into HBM, so that the cores progress side by side as the chip's do:
kernels leave out a barrier where no core can be that far behind. When no core can run, the launch is
deadlocked, and the error names where each of them waits.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np

from .arguments import Arguments
from .blas import OneThread
from .context import Core, state, target_generation
from .errors import SimulationError, location
from .precision import precision
from .scratch import scratch
from .tensor import Tensor
from .watch import watched

ALONE = threading.RLock()
"""Held by the thread that launches: launches of other threads wait until it is done."""
COPIES = 32
"""Copies into HBM that a core makes until the next one has its turn."""


class _Stopped(BaseException):
    """Unwinds a core when another one has failed."""


class Launch:
    """The cores of one launch, who has the baton, and the mail between them."""

    def __init__(self, cores: list[Core]) -> None:
        self.cores = cores
        self.turn = 0
        self.error: BaseException | None = None
        self.mail: dict[Any, list[Any]] = {}
        self._baton = threading.Condition()

    def wait(self, core: Core, ready: Callable[[], bool], what: str) -> None:
        """Let other cores run until ``ready``; raises SimulationError when none can."""
        core.waits_at = f"{what} at {':'.join(map(str, location()))}"
        while not ready():
            follower = self._next(core)
            if follower is None:
                raise SimulationError(f"deadlock: {self._waiting(core)}")
            core.waits_for = ready
            self._pass_to(follower, core)
            core.waits_for = None
        core.waits_at = ""

    def copies(self, core: Core) -> None:
        """The core is about to copy into HBM, where others see it."""
        if self.error is not None:
            raise _Stopped
        core.copies += 1
        if core.copies % COPIES == 0:
            self.hand_over(core)

    def hand_over(self, core: Core) -> None:
        """Let another core go on, if one can; comes back when it is this one's turn again."""
        follower = self._next(core)
        if follower is not None:
            self._pass_to(follower, core)

    def _next(self, core: Core) -> Core | None:
        count = len(self.cores)
        others = (self.cores[(core.index + step) % count] for step in range(1, count))
        return next((c for c in others if not c.done and (c.waits_for is None or c.waits_for())), None)

    def _waiting(self, core: Core) -> str:
        states = (
            f"core {c.index} {'has returned' if c.done else f'waits for {c.waits_at}'}" for c in self.cores
        )
        return "; ".join(states)

    def _pass_to(self, follower: Core, core: Core) -> None:
        """Only instructions without anything in scratch memory wait."""
        scratch.top = -1
        with self._baton:
            self.turn = follower.index
            self._baton.notify_all()
            while self.turn != core.index and self.error is None:
                self._baton.wait()
        if self.error is not None:
            raise _Stopped
        state.core = core
        scratch.top = 0

    def begin(self, core: Core) -> bool:
        """Wait for the first turn; False when the launch has failed meanwhile."""
        with self._baton:
            while self.turn != core.index and self.error is None:
                self._baton.wait()
        state.core = core
        return self.error is None

    def stop(self, error: BaseException) -> None:
        """Let no core go on; for when the thread that waits for them was interrupted."""
        with self._baton:
            self.error = error
            self._baton.notify_all()

    def end(self, core: Core, error: BaseException | None) -> None:
        """A core is done, or has failed with an error: give its turn to another one that can go on."""
        core.done = True
        with self._baton:
            if error is not None and self.error is None:
                self.error = error
            follower = self._next(core)
            if follower is not None:
                self.turn = follower.index
            elif self.error is None and not all(c.done for c in self.cores):
                self.error = SimulationError(f"deadlock: {self._waiting(core)}")
            self._baton.notify_all()


def inside() -> bool:
    """Whether the code that asks runs in a kernel."""
    if state.core is None:
        return False
    return state.thread == threading.get_ident() or isinstance(threading.current_thread(), _CoreThread)


def run_on(
    cores: list[Core],
    function: Callable[..., Any],
    args: Any,
    kwargs: Any,
    platform: str = "",
    *,
    modes: bool = True,
    ended: Callable[[Arguments, list[Any]], None] | None = None,
) -> Any:
    """Run a kernel on cores that the caller made, and return its results as the caller's kind of arrays.

    ``modes``: whether modes that are on (see :mod:`.watch`) watch the launch.
    ``ended`` hears of the cores' results.
    """
    arguments = Arguments()
    with ALONE, surroundings(platform), watched(function, cores) if modes else nullcontext():
        results = _run_cores(function, cores, arguments, args, kwargs)
        if ended is not None:
            ended(arguments, results)
        return arguments.finish(merged(results))


@contextmanager
def surroundings(platform: str) -> Iterator[None]:
    """What a launch needs around it."""
    before, state.generation = state.generation, target_generation(platform)
    state.thread = threading.get_ident()
    state.shared = {}
    try:
        with OneThread(), np.errstate(all="ignore"), precision():
            yield
    finally:
        state.core = state.launch = None
        state.shared, state.generation = {}, before


def _run_cores(
    function: Callable[..., Any], cores: list[Core], arguments: Arguments, args: Any, kwargs: Any
) -> list[Any]:
    if len(cores) == 1:
        state.core = cores[0]
        own, named = arguments.call(args, kwargs)
        return [function(*own, **named)]
    launch = state.launch = Launch(cores)
    results: list[Any] = [None] * len(cores)

    def body(core: Core) -> None:
        error: BaseException | None = None
        try:
            if launch.begin(core):
                with np.errstate(all="ignore"):
                    own, named = arguments.call(args, kwargs)
                    results[core.index] = function(*own, **named)
        except _Stopped:
            pass
        except BaseException as caught:
            error = caught
        finally:
            launch.end(core, error)

    threads = [_CoreThread(target=body, args=(core,), daemon=True) for core in cores]
    try:
        for thread in threads:
            thread.start()
        _join(threads)
    except BaseException as interrupt:
        launch.stop(interrupt)
        _join(threads)
        raise
    if launch.error is not None:
        raise launch.error
    return results


def _join(threads: list[_CoreThread]) -> None:
    for thread in threads:
        if thread.ident is not None:
            thread.join()


class _CoreThread(threading.Thread):
    """A core's thread; ``started_by`` is the one that waits for it, with the launch on its stack."""

    def start(self) -> None:
        self.started_by = threading.get_ident()
        super().start()


def merged(results: list[Any]) -> Any:
    """One result of all cores': HBM that each core allocated for itself holds the parts that core wrote."""
    first = results[0]
    for other in results[1:]:
        for mine, theirs in zip(_tensors(first), _tensors(other), strict=False):
            if mine.storage is not theirs.storage and mine.storage.raw is not theirs.storage.raw:
                untouched = mine.storage.raw == 0
                mine.storage.raw[untouched] = theirs.storage.raw[untouched]
    return first


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [t for item in value for t in _tensors(item)] if isinstance(value, list | tuple) else []
