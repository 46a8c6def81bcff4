"""Unified diffs that ``patch`` and ``git apply`` take: byte for byte when piped, coloured in a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from ..terminal import clean_line, painter
from .lines import Change as Lines
from .lines import changes, hunks
from .model import Change

_CONTEXT = 3
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
    yield f"--- {_header('a', change.path)}\n"
    yield f"+++ {_header('b', change.path)}\n"
    for hunk in hunks(changes(old, new), _CONTEXT):
        yield from _hunk(old, new, hunk)


def _split(data: bytes) -> list[str]:
    """The lines with their LF. Undecodable bytes survive as halves of surrogate pairs."""
    lines = data.decode("utf-8", "surrogateescape").split("\n")
    last = lines.pop()
    return [line + "\n" for line in lines] + ([last] if last else [])


def _hunk(old: list[str], new: list[str], hunk: list[Lines]) -> Iterator[str]:
    before = min(hunk[0][0], _CONTEXT)
    after = min(len(old) - hunk[-1][1], _CONTEXT)
    start, end = hunk[0][0] - before, hunk[-1][1] + after
    yield f"@@ -{_range(start, end)} +{_range(hunk[0][2] - before, hunk[-1][3] + after)} @@\n"
    for old_start, old_end, new_start, new_end in hunk:
        yield from _marked(" ", old[start:old_start])
        yield from _marked("-", old[old_start:old_end])
        yield from _marked("+", new[new_start:new_end])
        start = old_end
    yield from _marked(" ", old[start:end])


def _range(start: int, end: int) -> str:
    """Lines are counted from 1; an empty range stands behind its line."""
    length = end - start
    return f"{start + (length > 0)}" + ("" if length == 1 else f",{length}")


def _marked(mark: str, lines: list[str]) -> Iterator[str]:
    for line in lines:
        yield f"{mark}{line}" if line.endswith("\n") else f"{mark}{line}{_NO_NEWLINE}"


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
