"""Physical lines around statements."""

from __future__ import annotations

from ..model import Span
from ..patterns import pattern

_BLANK = b" \t\f"
_LINE_END = pattern(rb"[\r\n]|\Z")
_NEWLINE = pattern(rb"\r\n?|\n|\Z")
_TAIL = pattern(rb"(?P<blank>[ \t\f]*(?:;[ \t\f]*)?)(?P<comment>#[^\r\n]*)?(?=[\r\n]|\Z)")
_CONTINUED = pattern(rb"\\(?:\r\n?|\n)\Z")


def line_start(data: bytes, offset: int) -> int:
    """First byte of the line that ``offset`` is on."""
    return max(data.rfind(b"\n", 0, offset), data.rfind(b"\r", 0, offset)) + 1


def line_end(data: bytes, offset: int) -> int:
    """The offset of the newline (or the end of the file) at or after ``offset``."""
    match = _LINE_END.search(data, offset)
    assert match is not None
    return match.start()


def next_line(data: bytes, offset: int) -> int:
    """First byte of the line after the one that ``offset`` is on, or the file's end."""
    match = _NEWLINE.search(data, offset)
    assert match is not None
    return match.end()


def newline(data: bytes) -> bytes:
    """The file's first newline; LF in a file without."""
    match = _NEWLINE.search(data)
    return (match[0] if match else b"") or b"\n"


def indentation(data: bytes, offset: int) -> bytes:
    """The white space before a statement that starts its line; what precedes a form feed does not indent."""
    return data[line_start(data, offset) : offset].rpartition(b"\f")[2]


def starts_line(data: bytes, offset: int) -> bool:
    """Whether nothing but white space precedes on the same logical line."""
    start = line_start(data, offset)
    return not data[start:offset].strip(_BLANK) and not _CONTINUED.search(data, max(0, start - 3), start)


def tail(data: bytes, offset: int) -> tuple[int, bool] | None:
    """What follows a statement that ends its line: where blanks and ``;`` end, and whether a comment follows.

    None when other code follows on the same logical line.
    """
    match = _TAIL.match(data, offset)
    return (match.end("blank"), match["comment"] is not None) if match else None


def owns_lines(data: bytes, span: Span) -> bool:
    """Whether the statement shares none of its lines with other statements."""
    return starts_line(data, span[0]) and tail(data, span[1]) is not None
