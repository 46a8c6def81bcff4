"""Unified diffs that ``patch`` and ``git apply`` take: byte for byte when piped, coloured in a terminal."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from ..terminal import clean_line, painter
from .model import Change

_NO_NEWLINE = "\n\\ No newline at end of file\n"
_COLOURS = (("--- ", "bold"), ("+++ ", "bold"), ("@@", "cyan"), ("-", "red"), ("+", "green"))
_QUOTED = {ord('"'): '\\"', ord("\\"): "\\\\", ord("\t"): "\\t", ord("\n"): "\\n", ord("\r"): "\\r"}


def unified(change: Change) -> bytes:
    """The diff of one file. Lines end at LF, as ``patch`` has it; everything else is kept as it is."""
    return b"".join(line.encode("utf-8", "surrogateescape") for line in _lines(change))


def coloured(change: Change) -> Iterator[str]:
    """The diff of one file for a terminal, which nothing in it controls; lines without newlines."""
    paint = painter(True)
    for text in "".join(_lines(change)).split("\n")[:-1]:
        line = clean_line(text.rstrip("\r"))
        style = next((style for start, style in _COLOURS if line.startswith(start)), "")
        yield paint(style, line) if style else line


def _lines(change: Change) -> Iterator[str]:
    old, new = _split(change.old), _split(change.new)
    start, end = _same(old, new)
    # Nearly all lines are the same, and lining up lines is quadratic: compare only from the first to the
    # last one that differs, with its surroundings.
    before, after = max(start - 3, 0), max(end - 3, 0)
    found = difflib.unified_diff(
        old[before : len(old) - after],
        new[before : len(new) - after],
        _header("a", change.path),
        _header("b", change.path),
    )
    for line in found:
        shifted = _shift(line, before) if line.startswith("@@") else line
        yield shifted if shifted.endswith("\n") else shifted + _NO_NEWLINE


def _split(data: bytes) -> list[str]:
    """The lines with their LF. Undecodable bytes survive as halves of surrogate pairs."""
    lines = data.decode("utf-8", "surrogateescape").split("\n")
    last = lines.pop()
    return [line + "\n" for line in lines] + ([last] if last else [])


def _same(old: list[str], new: list[str]) -> tuple[int, int]:
    """How many lines are equal at the start, and at the end of what is left."""
    most = min(len(old), len(new))
    start = next((i for i in range(most) if old[i] != new[i]), most)
    left = most - start
    return start, next((i for i in range(left) if old[-1 - i] != new[-1 - i]), left)


def _shift(line: str, offset: int) -> str:
    """A hunk's header, as if ``offset`` more lines stood before it."""
    _, old, new, rest = line.split(" ", 3)
    return f"@@ {_moved(old, offset)} {_moved(new, offset)} {rest}"


def _moved(range_: str, offset: int) -> str:
    start, comma, length = range_[1:].partition(",")
    return f"{range_[0]}{int(start) + offset}{comma}{length}"


def _header(side: str, path: str) -> str:
    """The name as git writes it: in quotes if it holds special characters, followed by a tab after spaces."""
    name = f"{side}/{path.removeprefix('./').lstrip('/')}"
    special = any(char in name for char in '"\\') or any(ord(char) < 32 or ord(char) == 127 for char in name)
    if special:
        return '"' + "".join(_escaped(char) for char in name) + '"'
    return f"{name}\t" if " " in name else name


def _escaped(char: str) -> str:
    code = ord(char)
    return f"\\{code:03o}" if (code < 32 and code not in _QUOTED) or code == 127 else char.translate(_QUOTED)
