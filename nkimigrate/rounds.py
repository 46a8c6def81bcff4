"""What further rounds over a file's own result make, told in terms of the text that the run was given."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from .codemods.embedded import opened
from .codemods.model import Finding, Outcome
from .codemods.record import replace
from .codemods.source import split_lines

Place = tuple["int | None", int]
"""A line, counted from 1, and the cell of a notebook that it is in."""


def together(first: Sequence[Finding], later: Sequence[Finding], places: Places) -> tuple[Finding, ...]:
    """The findings of a file after one more round: what the round did counts, at its place in the first text,
    and not what a person had to do there before.
    """
    found = list(first)
    for finding in map(places.former, later):
        left = (f for f in found if f.outcome is Outcome.NEEDS_YOU and _same_place(f, finding))
        done = next(left, None)
        if done is not None:
            found.remove(done)
        found.append(finding)
    return tuple(sorted(found, key=_order))


def with_left(first: Sequence[Finding], last: Sequence[Finding], places: Places) -> tuple[Finding, ...]:
    """The findings of a file with what a person must see to in its last text alone, told at its place in the
    first one.
    """
    left = [f for f in last if f.outcome is Outcome.NEEDS_YOU]
    known = [f for f in first if f.outcome is Outcome.NEEDS_YOU]
    if not left:
        return tuple(first)
    new = [f for f in map(places.former, left) if not any(_same_place(f, other) for other in known)]
    return tuple(sorted((*first, *new), key=_order)) if new else tuple(first)


def _order(finding: Finding) -> tuple[int, int, int, str]:
    return finding.cell or 0, finding.line, finding.column, finding.code


def _same_place(one: Finding, other: Finding) -> bool:
    alike = one.code == other.code and one.cell == other.cell
    return alike and one.line <= other.end_line and other.line <= one.end_line


class Places:
    """Where the lines of a file's new text stood in its old one.

    Lines that both have are where they were; new ones are where the lines were that they replace.
    """

    def __init__(self, old: bytes, new: bytes, path: str, kind: str) -> None:
        self._old, self._before = _lines(old, path, kind)
        self._new, after = _lines(new, path, kind)
        self._numbers = {place: number for number, place in enumerate(after)}
        matcher = difflib.SequenceMatcher(None, self._old, self._new, autojunk=False)
        self._blocks = matcher.get_opcodes()

    def former(self, finding: Finding) -> Finding:
        """A finding in the new text, at its place in the old one."""
        if not self._old:
            return finding
        (first, _), (last, end) = (self._range(finding, line) for line in (finding.line, finding.end_line))
        last = max(last, end - 1)
        column, end_column = finding.column, finding.end_column
        if self._text(finding, finding.line) != self._old[first]:
            column = 1
        if self._text(finding, finding.end_line) != self._old[last]:
            end_column = len(self._old[last]) + 1
        (cell, line), (_, end_line) = self._before[first], self._before[last]
        return replace(
            finding, cell=cell, line=line, column=column, end_line=max(line, end_line), end_column=end_column
        )

    def _text(self, finding: Finding, line: int) -> str:
        return self._new[self._number(finding, line)]

    def _number(self, finding: Finding, line: int) -> int:
        return min(self._numbers.get((finding.cell, line), len(self._new) - 1), len(self._new) - 1)

    def _range(self, finding: Finding, line: int) -> tuple[int, int]:
        """The first of the old lines that a new one comes from, and the one behind the last."""
        number = self._number(finding, line)
        tag, begin, end, start, _ = next(block for block in self._blocks if block[3] <= number < block[4])
        if tag == "equal":
            begin += number - start
            end = begin + 1
        begin = min(begin, len(self._old) - 1)
        return begin, max(end, begin + 1)


def _lines(data: bytes, path: str, kind: str) -> tuple[list[str], list[Place]]:
    """The lines of a file's code, or of all of a document, and their places."""
    if kind != "notebook":
        lines = split_lines(data.decode("utf-8", "replace"))
        return lines, [(None, number) for number in range(1, len(lines) + 1)]
    notebook = opened(data, path, kind, ("",))
    lines = split_lines(notebook.joined.text)
    at = Finding("", path, 1, 1, 1, 1, Outcome.NOTED, "")
    found = [notebook.placed(replace(at, line=n, end_line=n)) for n in range(1, len(lines) + 1)]
    return lines, [(finding.cell, finding.line) for finding in found]
