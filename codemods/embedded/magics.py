"""IPython's own syntax in a cell: hidden from the parser behind names, and put back."""

from __future__ import annotations

import io
import re
import tokenize
from dataclasses import dataclass

from ..source import split_lines

_PYTHON_CELLS = frozenset({"capture", "memit", "mprun", "prun", "time", "timeit"})
"""Cell magics whose cell is Python."""
_BEFORE_PYTHON = re.compile(
    r"[ \t\f]*%(?:time|timeit|prun|memit)(?:[ \t]+-\w+(?:[ \t]+\d+)?)*[ \t]+(?=[^\s%!-])"
)
"""Line magics before a Python statement, with their options."""
_LINE = re.compile(r"[ \t\f]*(?:[%!?]|[\w.]+\?\??[ \t]*$)")
_ASSIGNED = re.compile(r"([\w, \t]+=[ \t]*)[%!]")
_NAME = "_nkimigrate_hidden_{}_"


@dataclass(frozen=True)
class Hidden:
    """A cell without magics.

    Attributes:
        text: Python, line for line where the cell has Python.
        originals: ``(stand-in, text)``: what stands for what.
        opaque: the whole cell is in another language, or a magic's argument.
    """

    text: str
    originals: tuple[tuple[str, str], ...] = ()
    opaque: bool = False

    def reveal(self, text: str) -> str | None:
        """``text`` with everything hidden back in it; None if something is there not once."""
        for stand_in, original in self.originals:
            if text.count(stand_in) != 1:
                return None
            text = text.replace(stand_in, original)
        return text


def hide(cell: str) -> Hidden:
    """The Python of a cell."""
    magic = re.match(r"%%(\w+)", cell.lstrip())
    if magic and magic[1] not in _PYTHON_CELLS:
        return Hidden("", (), True)
    lines = split_lines(cell, keepends=True)
    originals: list[tuple[str, str]] = []
    at = 0
    while at < len(lines):
        if _starts_statement(lines, at):
            end = _continued(lines, at)
            _hide_line(lines, at, end, originals)
            at = end
        at += 1
    return Hidden("".join(lines), tuple(originals))


def _hide_line(lines: list[str], at: int, end: int, originals: list[tuple[str, str]]) -> None:
    """Replace the magic that starts at this line, if one does, by a name, and comments on its other lines."""
    text = "".join(lines[at : end + 1])
    body = text.rstrip("\r\n")
    name = _NAME.format(len(originals))
    start = len(body) - len(body.lstrip())
    assigned = _ASSIGNED.match(body)
    if assigned and (before := _BEFORE_PYTHON.match(body, assigned.end(1))):
        originals.append((f"{name} or ", before[0]))
        lines[at : end + 1] = [f"{assigned[1]}{name} or {text[before.end() :]}", *[""] * (end - at)]
        return
    if before := _BEFORE_PYTHON.match(body):
        originals.append((f"{name};", before[0][start:]))
        lines[at : end + 1] = [f"{body[:start]}{name};{text[before.end() :]}", *[""] * (end - at)]
        return
    if assigned:
        start = assigned.end(1)
    elif not (_LINE.match(body) or (at == 0 and body.startswith("%%", start))):
        return
    stand_in = f"{name}" + f"\n#{name}" * (end - at)
    originals.append((stand_in, body[start:]))
    lines[at : end + 1] = [f"{body[:start]}{stand_in}{text[len(body) :]}", *[""] * (end - at)]


def _continued(lines: list[str], at: int) -> int:
    """The last line of a magic that starts here: a backslash continues it."""
    first = lines[at].lstrip()
    if not (first.startswith(("%", "!")) or _ASSIGNED.match(lines[at])):
        return at
    while at + 1 < len(lines) and lines[at].rstrip("\r\n").endswith("\\"):
        at += 1
    return at


def _starts_statement(lines: list[str], at: int) -> bool:
    """Whether a line begins a statement: no bracket, string or continuation is open before it."""
    if not re.search(r"[%!?]", lines[at]):
        return False
    before = "".join(lines[:at])
    if before.rstrip("\r\n").endswith("\\"):
        return False
    try:
        for _ in tokenize.generate_tokens(io.StringIO(before, newline=None).readline):
            pass
    except tokenize.TokenError:
        return False
    except (IndentationError, SyntaxError):
        return True
    return True
