"""Which lines differ between two texts."""

from __future__ import annotations

import difflib
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence

from ..model import ReplaceLines
from ..source import Source

_LARGE = 200
"""Lines up to which a text is compared as a whole: that time grows with the square of their number."""


def changed(source: Source, old: Sequence[str], new: Sequence[str], first: int) -> Iterator[ReplaceLines]:
    """What makes the new lines of the old ones, which are those of the file from number ``first`` on.

    Texts are compared between the functions, and in long ones between the lines, that both have as often, so
    that time grows with their number.
    """
    starts, end = source.line_starts, len(source.utf8)
    for a, b, c, d in _between(old, new, (0, len(old), 0, len(new)), "def "):
        for above, below, begin, stop in _between(old, new, (a, b, c, d), "" if b - a > _LARGE else None):
            matcher = difflib.SequenceMatcher(None, old[above:below], new[begin:stop], autojunk=False)
            for tag, i, j, k, m in matcher.get_opcodes():
                if tag != "equal":
                    lines = (first - 1 + above + i, first - 1 + above + j)
                    span = tuple(starts[n] if n < len(starts) else end for n in lines)
                    code = "".join(f"{line}\n" for line in new[begin + k : begin + m])
                    yield ReplaceLines((span[0], span[1]), code)


Part = tuple[int, int, int, int]
"""Lines of an old text, from where to where, and the same of a new one."""


def _between(old: Sequence[str], new: Sequence[str], part: Part, start: str | None) -> Iterator[Part]:
    """A part, cut in front of the lines that start so and that both texts have as often; whole for None."""
    above, below, begin, stop = part
    anchors = [] if start is None else _anchors(old[above:below], new[begin:stop], start)
    here = (above, begin)
    for i, j in anchors:
        yield here[0], above + i, here[1], begin + j
        here = above + i, begin + j
    yield here[0], below, here[1], stop


def _anchors(old: Sequence[str], new: Sequence[str], start: str) -> list[tuple[int, int]]:
    """Where the lines are that start so and that both texts have as often, as many as keep their order."""
    mine, theirs = Counter(old), Counter(new)
    there: dict[str, list[int]] = {}
    for number in range(len(new) - 1, -1, -1):
        line = new[number]
        if line.startswith(start) and mine[line] == theirs[line]:
            there.setdefault(line, []).append(number)
    pairs = [(i, there[line].pop()) for i, line in enumerate(old) if line in there]
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
