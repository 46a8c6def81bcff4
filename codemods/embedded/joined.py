"""Several pieces of Python as one module, and back."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence

_SEPARATOR = "# nkimigrate piece {} of {}"


def spelling(names: Sequence[str]) -> re.Pattern[str]:
    """Finds any of these names where it stands alone."""
    return re.compile(rf"(?<![\w.])(?:{'|'.join(map(re.escape, names))})(?![\w-])")


def parted(data: bytes) -> tuple[str, str]:
    """The byte order mark that a text may begin with, and the text without it. Raises UnicodeDecodeError."""
    text = data.decode("utf-8")
    bare = text.removeprefix("\ufeff")
    return text[: len(text) - len(bare)], bare


class Torn(Exception):
    """A module that cannot be taken apart again: an edit went across a border."""


class Joined:
    """A module made of pieces, with a comment before each.

    Attributes:
        text: the module.
    """

    def __init__(self, pieces: Sequence[str]) -> None:
        self._marks = [_SEPARATOR.format(n, len(pieces)) for n in range(1, len(pieces) + 1)]
        self.text = "".join(f"{mark}\n{piece}\n" for mark, piece in zip(self._marks, pieces, strict=True))
        self._starts: list[int] = []
        line = 1
        for piece in pieces:
            self._starts.append(line)
            line += len(re.findall(r"\r\n?|\n", piece)) + 2

    def place(self, line: int) -> tuple[int, int]:
        """The piece, from 0, that holds a line of the module, and the line in it, from 1."""
        index = max(bisect_right(self._starts, line) - 1, 0)
        return index, max(line - self._starts[index], 1)

    def split(self, text: str) -> list[str]:
        """The pieces of the module after it was edited.

        Raises Torn unless each border is still there, once and in its order.
        """
        pieces: list[str] = []
        at = 0
        for mark in self._marks:
            start = text.find(f"{mark}\n", at)
            if start < 0 or text.count(f"{mark}\n") != 1:
                raise Torn
            pieces.append(text[at:start].removesuffix("\n") if pieces else text[at:start])
            at = start + len(mark) + 1
        pieces.append(text[at:].removesuffix("\n"))
        before, first, *rest = pieces if self._marks else ("", "")
        return [before + first, *rest] if self._marks else []
