"""A Python file as bytes, text and coordinates, so that what is not edited comes back byte for byte.

Spans are byte offsets into the text encoded as UTF-8 without a byte-order mark: what :mod:`ast` counts in.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate

from .patterns import pattern
from .record import cached_property, record

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ast

    from .model import Span

BOM = b"\xef\xbb\xbf"
_LINES = pattern(r"[^\r\n]*(?:\r\n?|\n)?")
_FIRST_LINES = pattern(rb"[^\r\n]*(?:\r\n?|\n)?[^\r\n]*")


def split_lines(text: str, keepends: bool = False) -> list[str]:
    """The lines of a text as the interpreter counts them: form feeds and Unicode's separators end none."""
    lines = [piece for match in _LINES.finditer(text) if (piece := match[0])]
    return lines if keepends else [line.rstrip("\r\n") for line in lines]


@record
class Source:
    """A decoded file; made by :meth:`decode`.

    Attributes:
        data: the file as it is on disk.
        text: decoded, without byte-order mark, newlines as they are.
        encoding: the codec named by the file's PEP 263 cookie, ``utf-8`` without one.
        bom: whether the file starts with UTF-8's byte-order mark.
        utf8: ``text`` in UTF-8, the coordinates of spans.
    """

    data: bytes
    text: str
    encoding: str
    bom: bool
    utf8: bytes

    @classmethod
    def decode(cls, data: bytes) -> Source:
        """Decode as Python does.

        Raises:
            SyntaxError: unknown or unusable coding cookie.
            UnicodeDecodeError: bytes that the encoding does not have.
        """
        bom = data.startswith(BOM)
        body = data[len(BOM) :] if bom else data
        encoding = _cookie(data)
        if encoding == "utf-8":
            return cls(data, body.decode("utf-8"), encoding, bom, body)
        text = _decode(body, encoding)
        return cls(data, text, encoding, bom, text.encode("utf-8"))

    def encode(self, text: str) -> bytes:
        """``text`` as bytes of this file: same encoding, byte-order mark kept.

        Raises:
            UnicodeEncodeError: a character that the file's encoding does not have.
        """
        return (BOM if self.bom else b"") + text.encode(self.encoding)

    @cached_property
    def line_starts(self) -> tuple[int, ...]:
        """Byte offset of each line's first byte; lines end with CR LF, LF or CR, as for the interpreter."""
        lines = self.utf8.splitlines(keepends=True)
        last = lines and not lines[-1].endswith((b"\r", b"\n"))
        return (0, *accumulate(map(len, lines[:-1] if last else lines)))

    @cached_property
    def lines(self) -> tuple[str, ...]:
        """The lines without their ends; ``line_starts`` says where each begins."""
        return tuple(split_lines(self.text))

    def offset(self, line: int, col: int) -> int:
        """Byte offset of an :mod:`ast` position: 1-based line, column in UTF-8 bytes."""
        return self.line_starts[line - 1] + col

    def position(self, offset: int) -> tuple[int, int]:
        """1-based line and 1-based column in characters of a byte offset."""
        line = bisect_right(self.line_starts, offset)
        start = self.line_starts[line - 1]
        return line, len(self.utf8[start:offset].decode("utf-8", "replace")) + 1

    def span(self, node: ast.AST) -> Span:
        """Where a node stands; one without a position, such as a module, at the start."""
        if not hasattr(node, "lineno"):
            return 0, 0
        return (
            self.offset(node.lineno, node.col_offset),  # type: ignore[attr-defined]
            self.offset(node.end_lineno, node.end_col_offset),  # type: ignore[attr-defined]
        )


def _cookie(data: bytes) -> str:
    """The encoding that the first two lines name; ``utf-8`` is the rule and costs no import."""
    if b"coding" not in data:
        return "utf-8"
    match = _FIRST_LINES.match(data)
    assert match is not None
    if b"coding" not in match[0]:
        return "utf-8"
    from tokenize import detect_encoding

    lines = iter(match[0].splitlines(keepends=True))
    name, _ = detect_encoding(lambda: next(lines, b""))
    return "utf-8" if name == "utf-8-sig" else name


def _decode(body: bytes, encoding: str) -> str:
    """Decode another encoding than UTF-8, provided that encoding the text again gives the same bytes."""
    try:
        text = body.decode(encoding)
        reversible = text.encode(encoding) == body
        text.encode("utf-8")
    except UnicodeDecodeError:
        raise
    except (LookupError, UnicodeError) as error:
        raise SyntaxError(f"unusable source encoding {encoding}: {error}") from error
    if not reversible:
        raise SyntaxError(f"text in encoding {encoding} cannot be written back byte for byte")
    return text
