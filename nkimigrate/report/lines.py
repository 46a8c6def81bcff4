"""Which lines differ between two versions of a file, in time that grows with the file's length.

The standard library's matcher takes quadratic time for files with many equal lines, or, when it ignores
frequent lines, calls whole files different. Here lines that occur once in both versions are matched first
(the "patience" method), and the matcher only sees the few lines between them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence

from ..codemods.source import split_lines

Change = tuple[int, int, int, int]
"""``old[a:b]`` became ``new[c:d]``, as (a, b, c, d)."""

_SMALL = 40_000
"""Product of lengths up to which lines are lined up by the standard library's matcher."""


def split(data: bytes) -> list[str]:
    """The lines of a text as findings count them."""
    return split_lines(data.decode("utf-8", "replace").removeprefix("\ufeff"))


def changes(old: Sequence[str], new: Sequence[str]) -> list[Change]:
    """What differs, in order; adjacent changes are not merged."""
    found: list[Change] = []
    at_old = at_new = 0
    for next_old, next_new in [*_anchors(old, new), (len(old), len(new))]:
        found += _between(old, new, (at_old, next_old, at_new, next_new))
        at_old, at_new = next_old + 1, next_new + 1
    return found


def hunks(found: Sequence[Change], context: int) -> Iterator[list[Change]]:
    """Changes whose contexts of so many lines touch or overlap are shown together."""
    hunk: list[Change] = []
    for change in found:
        if hunk and change[0] - hunk[-1][1] > 2 * context:
            yield hunk
            hunk = []
        hunk.append(change)
    if hunk:
        yield hunk


def _anchors(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int]]:
    """Positions of lines that are unique in both, as many as stand in the same order."""
    once_old, once_new = _once(old), _once(new)
    pairs = [(at, once_new[line]) for line, at in once_old.items() if line in once_new]
    return _longest_rise(pairs)


def _once(lines: Sequence[str]) -> dict[str, int]:
    counts = Counter(lines)
    return {line: at for at, line in enumerate(lines) if counts[line] == 1}


def _longest_rise(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest subsequence whose second numbers rise; the first ones do."""
    ends: list[int] = []
    last: list[int] = []
    before: list[int] = []
    for index, (_, value) in enumerate(pairs):
        length = bisect_left(ends, value)
        before.append(last[length - 1] if length else -1)
        ends[length : length + 1] = [value]
        last[length : length + 1] = [index]
    chosen = []
    index = last[-1] if last else -1
    while index >= 0:
        chosen.append(pairs[index])
        index = before[index]
    return chosen[::-1]


def _between(old: Sequence[str], new: Sequence[str], gap: Change) -> Iterator[Change]:
    """The changes within a gap between two anchors."""
    a, b, c, d = gap
    while a < b and c < d and old[a] == new[c]:
        a, c = a + 1, c + 1
    while a < b and c < d and old[b - 1] == new[d - 1]:
        b, d = b - 1, d - 1
    if (b - a) * (d - c) > _SMALL:
        yield from _line_by_line(old, new, (a, b, c, d))
    elif a < b and c < d:
        from difflib import SequenceMatcher

        for tag, i, j, k, m in SequenceMatcher(None, old[a:b], new[c:d], autojunk=False).get_opcodes():
            if tag != "equal":
                yield a + i, a + j, c + k, c + m
    elif a < b or c < d:
        yield a, b, c, d


def _line_by_line(old: Sequence[str], new: Sequence[str], gap: Change) -> Iterator[Change]:
    """As if no line had moved, if that can be; else all of it changed."""
    a, b, c, d = gap
    if b - a != d - c:
        yield gap
        return
    for i, k in zip(range(a, b), range(c, d), strict=True):
        if old[i] != new[k]:
            yield i, i + 1, k, k + 1
