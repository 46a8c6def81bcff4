"""New statements laid out as black would: in the file's own indentation, 88 columns wide."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tokenize

WIDTH = 88
_OPENING, _CLOSING = "([{", ")]}"
_MARKS = re.compile(r"""("{3}|'{3}|"|')(?:\\.|(?!\1).)*(?:\1|\Z)|[()\[\]{},]""", re.DOTALL)
"""A string, or a bracket or comma."""


def call(callee: str, arguments: Mapping[str, str]) -> str:
    """A call with keyword arguments, on one line."""
    return f"{callee}({', '.join(f'{name}={value}' for name, value in arguments.items())})"


def nested(code: str, indent: str, unit: str) -> list[str]:
    """A line that may be indented itself, by four spaces a level, laid out at ``indent``."""
    bare = code.lstrip(" ")
    return laid_out(bare, indent + unit * ((len(code) - len(bare)) // 4), unit)


def laid_out(code: str, indent: str, unit: str) -> list[str]:
    """The lines of a logical line at ``indent``: broken at its last brackets where it is too long."""
    return list(_laid_out(code, indent, unit))


@lru_cache(maxsize=4096)
def _laid_out(code: str, indent: str, unit: str) -> Sequence[str]:
    if "\n" in code or len(indent) + len(code) <= WIDTH:
        return [indent + line if line else line for line in code.split("\n")]
    split = _last_brackets(code)
    if split is None:
        return [indent + code]
    head, body, tail = split
    inner = indent + unit
    lines = [indent + head]
    if len(inner) + len(body) <= WIDTH and not _magic(code):
        lines.append(inner + body)
    else:
        parts = items(body)
        several = len(parts) > 1 or code[: len(code) - len(tail)].rstrip().endswith(",")
        for item in parts:
            *first, last = laid_out(item, inner, unit)
            comma = several and not (item.startswith("*") and "(" not in head)
            lines += [*first, last + ("," if comma else "")]
    return [*lines, indent + tail]


def _magic(code: str) -> bool:
    return code.rstrip(_CLOSING).endswith(",")


def _last_brackets(code: str) -> tuple[str, str, str] | None:
    """``head(``, the contents, and ``)tail`` of the last bracket pair at the outermost level that has any."""
    found = None
    depth, start = 0, 0
    for position, character in _marks(code):
        if character in _OPENING:
            if depth == 0:
                start = position
            depth += 1
        elif character in _CLOSING:
            depth -= 1
            if depth == 0 and position > start + 1:
                found = (start, position)
    if found is None:
        return None
    start, end = found
    return code[: start + 1], code[start + 1 : end].strip().rstrip(","), code[end:]


def items(body: str) -> list[str]:
    """The parts of a comma-separated list."""
    found, depth, start = [], 0, 0
    for position, character in _marks(body):
        if character in _OPENING:
            depth += 1
        elif character in _CLOSING:
            depth -= 1
        elif character == "," and depth == 0:
            found.append(body[start:position].strip())
            start = position + 1
    found.append(body[start:].strip())
    return [item for item in found if item]


def _marks(code: str) -> Iterator[tuple[int, str]]:
    """Brackets and commas that are not in a string, and their positions."""
    return ((found.start(), found[0]) for found in _MARKS.finditer(code) if found[1] is None)


def flat(segment: str) -> str:
    """An expression's text on one line, without the comments inside."""
    if "\n" not in segment and "\r" not in segment:
        return segment
    return _flattened(segment)


@lru_cache(maxsize=4096)
def _flattened(segment: str) -> str:
    import tokenize

    pieces: list[str] = []
    previous: tokenize.TokenInfo | None = None
    for token in _tokens(f"({segment}\n)"):  # a comment at the end must not take the bracket along
        if token.type in (tokenize.NL, tokenize.NEWLINE, tokenize.COMMENT, tokenize.ENDMARKER):
            continue
        if previous is not None and _apart(previous, token):
            pieces.append(" ")
        pieces.append(token.string)
        previous = token
    return "".join(pieces)[1:-1].strip()


def _tokens(code: str) -> Iterator[tokenize.TokenInfo]:
    """The tokens; an f-string is one, as it was before Python 3.12."""
    import io
    import tokenize

    lines = io.StringIO(code, newline=None).readlines()
    start: tokenize.TokenInfo | None = None
    depth = 0
    for token in tokenize.generate_tokens(io.StringIO(code, newline=None).readline):
        kind = tokenize.tok_name[token.type]
        depth += (kind == "FSTRING_START") - (kind == "FSTRING_END")
        if kind == "FSTRING_START" and depth == 1:
            start = token
        elif kind == "FSTRING_END" and depth == 0 and start is not None:
            text = _between(lines, start.start, token.end)
            yield tokenize.TokenInfo(tokenize.STRING, text, start.start, token.end, start.line)
            start = None
        elif start is None:
            yield token


def _between(lines: Sequence[str], start: tuple[int, int], end: tuple[int, int]) -> str:
    if start[0] == end[0]:
        return lines[start[0] - 1][start[1] : end[1]]
    middle = "".join(lines[start[0] : end[0] - 1])
    return lines[start[0] - 1][start[1] :] + middle + lines[end[0] - 1][: end[1]]


def _apart(previous: object, token: object) -> bool:
    """Whether two tokens need a blank between them: those that had one, and those on different lines."""
    before, after = previous, token
    if before.end[0] == after.start[0]:  # type: ignore[attr-defined]
        return bool(before.end[1] < after.start[1])  # type: ignore[attr-defined]
    return before.string not in ("(", "[", "{") and after.string not in (")", "]", "}", ",", ".")  # type: ignore[attr-defined]
