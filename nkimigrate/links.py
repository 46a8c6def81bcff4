"""Which files launch each other's kernels: found once while nothing but what becomes of kernels changes."""

from __future__ import annotations

from collections.abc import Mapping

from .codemods.analyse import Analysis
from .codemods.elsewhere import Kernel
from .report.model import Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

Owned: TypeAlias = "tuple[int, str]"
"""A name of a file: the file's number, and the qualified name."""
Launched: TypeAlias = "Mapping[int, Mapping[str, Owned]]"
"""For each file the kernels of others that it imports, by the names that its imports give."""


class Links:
    """``count``: of the files there are. ``kernels``: what became of those that others import."""

    def __init__(self, count: int, launched: Launched, kernels: dict[Owned, Kernel]) -> None:
        self.count = count
        self._launched = launched
        self._kernels = kernels
        self._launching: dict[int, list[int]] = {}
        for number in launched:
            for owner in self.owners(number):
                self._launching.setdefault(owner, []).append(number)
        self._taken: list[int] = []

    def take(self, number: int, before: Analysis | None, result: Analysis | Problem) -> bool:
        """What a file tells the others from now on; whether that changes nothing but its kernels."""
        if before is None or isinstance(result, Problem) or _told(result) != _told(before):
            return False
        own = {(number, name): kernel for name, kernel in result.kernels.items()}
        self._kernels.update((owned, kernel) for owned, kernel in own.items() if owned in self._kernels)
        self._taken.append(number)
        return True

    def seen(self, number: int) -> dict[str, Kernel]:
        """What becomes of the kernels that a file launches."""
        return {spelled: self._kernels[owned] for spelled, owned in self._launched.get(number, {}).items()}

    def owners(self, number: int) -> set[int]:
        """The files whose kernels a file launches."""
        return {owner for owner, _ in self._launched.get(number, {}).values()}

    def launching(self) -> list[int]:
        """Those that launch kernels of the files taken since this was asked for last, in order."""
        taken, self._taken = self._taken, []
        return sorted({number for owner in taken for number in self._launching.get(owner, ())})


def _told(facts: Analysis) -> tuple[object, ...]:
    """What a file tells the others, other than what becomes of its kernels."""
    return facts.imports, facts.exports, facts.pins, facts.launches, facts.kernels.keys()
