"""What may be written to a terminal: nothing that controls it, and colour only where it is wanted."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO

UNENCODABLE = "nkimigrate"
"""The name of :func:`spelled_out` as an error handler of codecs."""
_PLAINER = {"→": "->", "…": "...", "×": "x", "≤": "<=", "±": "+-"}
"""How to write what a terminal without UTF-8 may not have."""
_COLOURS = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "cyan": "36",
    "heading": "1;4",
}


def clean(text: str) -> str:
    """``text`` in one line, with whatever is not printable written as an escape such as ``\\x1b``.

    That takes care of what steers a terminal, makes a line read as another one (line separators,
    bidirectional overrides), cannot be encoded (halves of surrogate pairs), or has no place in XML.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def clean_line(text: str) -> str:
    """As :func:`clean`, but tabs stay: for lines of code."""
    return "\t".join(map(clean, text.split("\t")))


def spelled_out(error: UnicodeError) -> tuple[str, int]:
    """What stands for characters that a stream's encoding does not have: other ones, else an escape."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lost = error.object[error.start : error.end]
    return "".join(_PLAINER.get(char, ascii(char)[1:-1]) for char in lost), error.end


def wants_colour(stream: IO[str]) -> bool:
    """Whether output to ``stream`` is coloured: ``NO_COLOR`` and ``FORCE_COLOR`` decide, else a terminal."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def painter(colour: bool) -> Callable[[str, str], str]:
    """A function ``paint(style, text)``; it returns the text as it is when ``colour`` is off."""
    return _paint if colour else _plain


def _paint(style: str, text: str) -> str:
    return f"\x1b[{_COLOURS[style]}m{text}\x1b[0m"


def _plain(_style: str, text: str) -> str:
    return text
