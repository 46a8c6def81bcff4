"""Which lines differ between two texts."""

from __future__ import annotations

import difflib
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence

from ..model import ReplaceLines
from ..source import Source


def changed(source: Source, old: Sequence[str], new: Sequence[str], first: int) -> Iterator[ReplaceLines]:
    """What makes the new lines of the old ones, which are those of the file from number ``first`` on.

    Texts are compared between the lines that both have once, so that time grows with their number.
    """
    starts, end = source.line_starts, len(source.utf8)
    above, begin = 0, 0
    for below, stop in (*_anchors(old, new), (len(old), len(new))):
        matcher = difflib.SequenceMatcher(None, old[above:below], new[begin:stop], autojunk=False)
        for tag, i, j, k, m in matcher.get_opcodes():
            if tag != "equal":
                lines = (first - 1 + above + i, first - 1 + above + j)
                span = tuple(starts[n] if n < len(starts) else end for n in lines)
                code = "".join(f"{line}\n" for line in new[begin + k : begin + m])
                yield ReplaceLines((span[0], span[1]), code)
        above, begin = below, stop


def _anchors(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int]]:
    """Where the lines are that both texts have once, as many as keep their order."""
    mine, theirs = Counter(old), Counter(new)
    there = {line: number for number, line in enumerate(new) if theirs[line] == 1}
    pairs = [(i, there[line]) for i, line in enumerate(old) if mine[line] == 1 and line in there]
    ends: list[int] = []  # the least place in the new text that so many pairs in order can end at
    before: dict[int, int] = {}
    where: list[int] = []
    for number, (_, place) in enumerate(pairs):
        length = bisect_left(ends, place)
        ends[length : length + 1] = [place]
        where[length : length + 1] = [number]
        before[number] = where[length - 1] if length else -1
    found = []
    number = where[-1] if where else -1
    while number >= 0:
        found.append(pairs[number])
        number = before[number]
    return found[::-1]
