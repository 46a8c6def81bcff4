"""Launches that come again are replayed without being asked, where nobody can see a difference.

After some launches with the same arguments, one is recorded to see whether that is possible. The next is
watched: which code ran (:mod:`.watcher`), and what that code reads besides its arguments (:mod:`.following`).
If all of that is still the same, the one after it is watched and recorded. If the same code ran, and it
changed nothing of what it reads, then later launches would run the same instructions as long as everything is
what it was. So these are run again, and the kernel's Python is not. Whenever something differs, the launch
runs as usual, and finding out begins anew, a few times.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from .following import Refused, reads_of
from .reads import Reads
from .recording import Plan
from .watcher import Watcher

MOST_LAUNCHES = 128
"""Combinations of kernel and arguments that are remembered."""
MOST_BYTES = 128 << 20
"""On-chip memory that all of their recordings keep."""
_USUAL = 3
"""Launches before anything is tried: watching takes time, which only many launches get back."""
_MOST_CHANGES = 3

_HABITS: OrderedDict[Any, Habit] = OrderedDict()


class Habit:
    """What is known of a kernel with certain arguments.

    Attributes:
        why_not: why it is never replayed, or "".
    """

    def __init__(self) -> None:
        self.why_not = ""
        self.plan: Plan | None = None
        self._launches = 0
        self._changes = 0
        self._recordable = False
        self._ran: dict[Any, Any] = {}
        self._printed: list[Any] = []
        self._reads: Reads | None = None

    def plan_that_holds(self) -> Plan | None:
        """The recording, if the kernel would do the same as then."""
        if self.plan is not None and not self.known():
            self.plan = None
        return self.plan

    def next_step(self) -> str:
        """What to do with a launch: ``run`` it as usual, ``record``, ``watch``, or both."""
        self._launches += 1
        if self.why_not or self._launches <= _USUAL:
            return "run"
        if not self._recordable:
            return "record"
        return "watch and record" if self.known() else "watch"

    def known(self) -> bool:
        """Whether it is known what the kernel reads, and all of that is what it was."""
        if self._reads is not None and not self._reads.hold():
            self._change()
        return self._reads is not None

    def recorded(self, plan: Plan | None) -> None:
        """A launch was recorded, if that is possible."""
        self._recordable = plan is not None
        if plan is None:
            self.give_up("it cannot be recorded")

    def watched(self, watcher: Watcher, given: Any) -> None:
        """A launch was watched; ``given``: the function and its arguments."""
        self._ran, self._printed = watcher.ran, watcher.printed
        try:
            self._reads = reads_of(watcher, given)
        except Refused as refused:
            self.give_up(str(refused))

    def confirmed(self, watcher: Watcher, plan: Plan | None) -> None:
        """A launch was watched and recorded, after which nothing may have changed."""
        same = watcher.printed == self._printed and watcher.ran.keys() == self._ran.keys()
        if plan is not None and same and self.known():
            self.plan = plan
            plan.printed = watcher.printed
            _make_room(self)
        elif self._reads is not None:
            self._change()

    def evict(self) -> None:
        """Forget the recording; what takes turns too often is not recorded again."""
        self.plan = None
        self._change()

    def _change(self) -> None:
        self._reads = None
        self._changes += 1
        if self._changes >= _MOST_CHANGES:
            self.give_up("what it reads changes")

    def give_up(self, why: str = "replaying it failed") -> None:
        """Run it as usual from now on."""
        self.why_not, self.plan, self._reads, self._ran = why, None, None, {}


def habit_of(key: Any) -> Habit:
    """What is known of a launch; the one that was used least recently is forgotten."""
    habit = _HABITS.get(key)
    if habit is None:
        habit = _HABITS[key] = Habit()
        if len(_HABITS) > MOST_LAUNCHES:
            _HABITS.popitem(last=False)
    else:
        _HABITS.move_to_end(key)
    return habit


def forget() -> None:
    """Forget all launches."""
    _HABITS.clear()


def _make_room(latest: Habit) -> None:
    held = [habit for habit in _HABITS.values() if habit.plan is not None]
    kept = sum(habit.plan.nbytes for habit in held if habit.plan is not None)
    for habit in held:
        if kept <= MOST_BYTES:
            return
        if habit is not latest and habit.plan is not None:
            kept -= habit.plan.nbytes
            habit.evict()
