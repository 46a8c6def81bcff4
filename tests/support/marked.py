"""Code with marked places, and edits of these places, in every kind of file.

``«`` and ``»`` mark a span; spans are counted by their opening marks: ``«f(«a»)»`` marks the call and ``a``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from nkimigrate.codemods.edit.apply import apply
from nkimigrate.codemods.model import Edit, Span
from nkimigrate.codemods.source import Source

Edits = Callable[..., Iterable[Edit]]
"""Given the marked spans, the edits."""

KINDS: dict[str, Callable[[str], bytes]] = {
    "lf": lambda text: text.encode(),
    "crlf": lambda text: text.replace("\n", "\r\n").encode(),
    "cr": lambda text: text.replace("\n", "\r").encode(),
    "bom": lambda text: b"\xef\xbb\xbf" + text.encode(),
    "no final newline": lambda text: text.removesuffix("\n").encode(),
    "latin-1": lambda text: f"# coding: latin-1\n# ÄÖÜ\n{text}# ß".encode("latin-1"),
    "wide": lambda text: f"'''日本\x0c\u2028'''; naïve = 'é'\n\x0c\n{text}".encode(),
    "tabs": lambda text: text.replace("    ", "\t").encode(),
}
"""Ways to write one file; each is tried on the code before and after an edit."""


def unmarked(text: str) -> tuple[str, list[Span]]:
    """The text without marks, and the marked spans in bytes."""
    plain, opened, spans = "", [], []
    for character in text:
        if character == "«":
            opened.append(len(spans))
            spans.append((len(plain.encode()), 0))
        elif character == "»":
            index = opened.pop()
            spans[index] = (spans[index][0], len(plain.encode()))
        else:
            plain += character
    return plain, spans


def edited(text: str, edits: Edits, kind: str = "lf") -> bytes:
    """The file written as ``kind``, with marks carried out as ``edits``."""
    marked = KINDS[kind](text.replace("«", "\x02").replace("»", "\x03"))
    source = Source.decode(marked)
    plain, spans = unmarked(source.text.replace("\x02", "«").replace("\x03", "»"))
    clean = Source.decode(source.encode(plain))
    return clean.encode(apply(clean, edits(*spans)))
