"""Running a kernel: as usual, or as it ran before (:mod:`.replay`, :mod:`.repeated`)."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

from . import repeated, replay
from .arguments import Arguments
from .context import Core, state
from .launch import ALONE, inside, merged, run_on, surroundings
from .recording import Plan, Recorder
from .watcher import Watcher


def run(
    function: Callable[..., Any], grid: tuple[int, ...], args: Any, kwargs: Any, platform: str = ""
) -> Any:
    """Run a kernel and return its results as the caller's kind of arrays.

    A call from inside a running kernel runs inline, on the same core. Launches of other threads wait.
    """
    if inside():
        return function(*args, **kwargs)
    launch = _Launch(function, grid, args, kwargs, platform)
    way = {"as usual": launch.as_usual, "recorded": launch.recorded, "repeated": launch.repeated}
    with ALONE:
        return way[replay.way()]()


class _Launch:
    """A kernel, and what it is launched with."""

    def __init__(
        self, function: Callable[..., Any], grid: tuple[int, ...], args: Any, kwargs: Any, platform: str
    ) -> None:
        self._function, self._grid, self._platform = function, grid, platform
        self._args, self._kwargs = args, kwargs

    def as_usual(self) -> Any:
        return self._on(self._cores())

    def recorded(self) -> Any:
        """Replay the launch if it was recorded, record it if it can be."""
        try:
            key, arrays = self._key()
        except replay.Unknown:
            return self.as_usual()
        plan = replay.plan_of(key)
        if plan is not None:
            return self._again(plan, arrays, lambda: replay.keep(key, None))
        if replay.known(key):
            return self.as_usual()
        return self._recording(arrays, lambda plan: replay.keep(key, plan))

    def repeated(self) -> Any:
        """Replay the launch if it is known that the kernel would do the same, find that out otherwise."""
        try:
            key, arrays = self._key()
        except replay.Unknown:
            return self.as_usual()
        habit = repeated.habit_of(key)
        plan = habit.plan_that_holds()
        if plan is not None:
            return self._again(plan, arrays, habit.give_up)
        step = habit.next_step()
        if step == "run":
            return self.as_usual()
        if step == "record":
            return self._recording(arrays, habit.recorded)
        watcher = Watcher()
        given = self._function, self._args, self._kwargs
        with watcher.watching():
            if step == "watch":
                result = self.as_usual()
            else:
                plans: list[Plan | None] = []
                result = self._recording(arrays, plans.append)
        if step == "watch":
            habit.watched(watcher, given)
        else:
            habit.confirmed(watcher, plans[0])
        return result

    def _key(self) -> Any:
        return replay.key_of(self._function, self._grid, self._args, self._kwargs, self._platform)

    def _cores(self) -> list[Core]:
        count = prod(self._grid)
        return [Core(index, count, self._grid) for index in range(count)]

    def _on(self, cores: list[Core], **options: Any) -> Any:
        return run_on(cores, self._function, self._args, self._kwargs, self._platform, **options)

    def _again(self, plan: Plan, arrays: list[Any], failed: Callable[[], None]) -> Any:
        """Replay; when that fails the kernel itself tells what is wrong, and where, or what to do then."""
        try:
            with surroundings(self._platform):
                return Arguments().finish(merged(plan.run(arrays)))
        except Exception:
            failed()
        finally:
            plan.rest()
        return self.as_usual()

    def _recording(self, arrays: list[Any], keep: Callable[[Plan | None], None]) -> Any:
        recorder = state.recorder = Recorder(sum(array.nbytes for array in arrays))
        state.listeners.append(recorder.heard)
        state.allocations.append(recorder.allocated)
        cores = self._cores()
        found: list[Plan] = []

        def ended(arguments: Arguments, results: list[Any]) -> None:
            inputs = [arguments.storage_of(array) for array in arrays]
            plan = recorder.plan(cores, inputs, results)
            found.extend([plan] if plan is not None else [])
            keep(plan)

        try:
            return self._on(cores, ended=ended)
        finally:
            state.listeners.remove(recorder.heard)
            state.allocations.remove(recorder.allocated)
            state.recorder = None
            for plan in found:
                plan.rest()
