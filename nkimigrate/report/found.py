"""What a run found and changed, file by file out of the spool: only one file is in memory at a time."""

from __future__ import annotations

from array import array
from collections.abc import Container, Iterator, Mapping, Sequence

from ..codemods.model import Finding
from .model import Change

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar, overload

    from ..candidates import Candidates

    Item = TypeVar("Item")


class _Read(Sequence["Item"]):
    """A sequence that is read anew each time; an index costs as much as reading up to there."""

    def __len__(self) -> int:
        return sum(1 for _ in self)

    if TYPE_CHECKING:

        @overload
        def __getitem__(self, index: int) -> Item: ...
        @overload
        def __getitem__(self, index: slice) -> list[Item]: ...

    def __getitem__(self, index: int | slice) -> Item | list[Item]:
        return list(self)[index]

    def __bool__(self) -> bool:
        return next(iter(self), None) is not None


class Found(_Read[Finding]):
    """The findings of all files, sorted by path and position."""

    def __init__(self, files: Candidates) -> None:
        self._files = files

    def __iter__(self) -> Iterator[Finding]:
        for number in self._files.paths.in_order():
            steps = (step[number] for step in self._files.findings)
            yield from sorted((finding for found in steps for finding in found), key=_position)


def _position(finding: Finding) -> tuple[object, ...]:
    """What the findings of a file are sorted by."""
    return finding.cell or 0, finding.line, finding.column, finding.code


class Changes(_Read[Change]):
    """The files that changed, sorted by path.

    Args:
        numbers: of those files.
    """

    def __init__(self, files: Candidates, numbers: array[int]) -> None:
        self._files = files
        self._numbers = numbers

    @classmethod
    def of(cls, files: Candidates) -> Changes:
        """Those of a whole run."""
        in_order = files.paths.in_order()
        new = (number for number in in_order if number in files.new)
        return cls(files, array("L", (n for n in new if files.new[n] != files.texts[n])))

    def __iter__(self) -> Iterator[Change]:
        return map(self._change, self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)

    def paths(self) -> Iterator[str]:
        """The paths alone."""
        return (self._files.paths[number] for number in self._numbers)

    def without(self, paths: Container[str]) -> Changes:
        """All but those of some paths."""
        left = (number for number in self._numbers if self._files.paths[number] not in paths)
        return Changes(self._files, array("L", left))

    def _change(self, number: int) -> Change:
        return Change(self._files.paths[number], self._files.texts[number], self._files.text(number))


def without(changes: Sequence[Change], paths: Container[str]) -> Sequence[Change]:
    """All changes but those of some paths."""
    if isinstance(changes, Changes):
        return changes.without(paths)
    return [change for change in changes if change.path not in paths]


def changed(changes: Sequence[Change]) -> Iterator[str]:
    """The paths of changes."""
    return changes.paths() if isinstance(changes, Changes) else (change.path for change in changes)


class Texts(Mapping[str, bytes]):
    """The former bytes of all files by path."""

    def __init__(self, files: Candidates) -> None:
        self._files = files
        self._numbers = {path: number for number, path in enumerate(files.paths)}

    def __getitem__(self, path: str) -> bytes:
        return self._files.texts[self._numbers[path]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)
