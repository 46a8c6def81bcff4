"""String literals with another value: prefix, quotes and every unchanged character as they were."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..model import ReplaceString
from .locate import parse
from .refusal import EditRefused

_LITERAL = re.compile(
    r"""(?P<prefix>[a-zA-Z]{0,2})(?P<quote>'''|\"""|'|")(?P<body>(?:\\(?:\r\n|.)|(?!(?P=quote))[^\\])*)(?P=quote)\Z""",
    re.DOTALL,
)
_PIECE = re.compile(
    r"\\(?:\r\n|[0-7]{1,3}|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|N\{[^}]*\}|.)|\r\n|.", re.DOTALL
)
_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


@dataclass(frozen=True, slots=True)
class Style:
    """How a literal writes its characters."""

    quote: str
    raw: bool = False
    formatted: bool = False


@dataclass(frozen=True, slots=True)
class Piece:
    """The smallest part of a literal's body that stands for something: a character or an escape sequence."""

    text: str
    value: str


def replaced(text: str, edits: Sequence[ReplaceString]) -> str:
    """The literal, implicit concatenation or f-string ``text`` after the edits.

    Raises:
        EditRefused: the change does not sit in one part, or the literal cannot express it.
    """
    for edit in edits:
        text = _replaced(text, edit)
    return text


def _replaced(text: str, edit: ReplaceString) -> str:
    found = literal(text)
    if found is None:
        return _with_part(text, edit)
    opening, style, body, closing = found
    body = changed([pieces(body, style)], [style], edit)[0]
    return delimited(opening, body, closing, edit)


def _with_part(text: str, edit: ReplaceString) -> str:
    from .parts import replace_part

    try:
        return replace_part(text, edit)
    except RecursionError as error:
        raise EditRefused(edit, "the string has too many parts") from error


def literal(text: str) -> tuple[str, Style, str, str] | None:
    """Opening, style, body and closing of a single literal that is no f-string."""
    match = _LITERAL.match(text)
    if match is None or "f" in match["prefix"].lower():
        return None
    style = Style(match["quote"], "r" in match["prefix"].lower())
    return text[: match.start("body")], style, match["body"], match["quote"]


def delimited(opening: str, body: str, closing: str, edit: ReplaceString) -> str:
    """The literal, provided that it ends at ``closing`` and not before."""
    found = literal(opening + body + closing)
    if found is None or found[2] != body or not _parses(opening + body + closing):
        raise EditRefused(edit, f"{edit.new!r} cannot be written in a literal of this kind")
    return opening + body + closing


def _parses(text: str) -> bool:
    try:
        parse(text)
    except SyntaxError:
        return False
    return True


def pieces(body: str, style: Style) -> list[Piece]:
    """The body of a literal taken apart."""
    if style.raw or ("\\" not in body and not style.formatted):
        return [Piece(text, "\n" if text[0] == "\r" else text) for text in re.findall(r"(?s)\r\n|.", body)]
    return list(_cooked(body, style))


def _cooked(body: str, style: Style) -> Iterator[Piece]:
    texts = iter(_PIECE.findall(body))
    for text in texts:
        if style.formatted and text in "{}":
            yield Piece(text + next(texts, ""), text)
        elif text[0] == "\\":
            yield Piece(text, _escape(text))
        else:
            yield Piece(text, "\n" if text[0] == "\r" else text)


def _escape(text: str) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        value = ast.literal_eval(f"'{text}'")
    assert isinstance(value, str)
    return value


def changed(parts: Sequence[Sequence[Piece]], styles: Sequence[Style], edit: ReplaceString) -> list[str]:
    """The bodies of the parts that together make up the value; only one of them changes, where it must.

    Raises:
        EditRefused: the parts do not make ``edit.old``, or the change touches several or cannot be written.
    """
    flat = [(number, piece) for number, part in enumerate(parts) for piece in part]
    start, stop, middle = _difference([piece.value for _, piece in flat], edit)
    touched = {number for number, _ in flat[start:stop] or flat[start - 1 : start] or flat[:1]} or {0}
    if len(touched) > 1:
        raise EditRefused(edit, "the change spans several parts of an implicitly concatenated string")
    number = touched.pop()
    before = [piece for index, piece in flat[:start] if index == number]
    after = [piece for index, piece in flat[stop:] if index == number]
    text = _text(before) + _escaped(middle, styles[number]) + _text(after)
    if _value(pieces(text, styles[number])) != _value(before) + middle + _value(after):
        raise EditRefused(edit, f"{edit.new!r} cannot be written in a literal of this kind")
    return [text if index == number else _text(part) for index, part in enumerate(parts)]


def _difference(values: Sequence[str], edit: ReplaceString) -> tuple[int, int, str]:
    """Which of the pieces' values ``[start:stop]`` have to go, and what comes in their place."""
    if "".join(values) != edit.old:
        raise EditRefused(edit, f"the string there is {''.join(values)!r}, not {edit.old!r}")
    start = _common(values, edit.new)
    rest = edit.new[len("".join(values[:start])) :]
    stop = len(values) - _common([value[::-1] for value in reversed(values[start:])], rest[::-1])
    return start, stop, rest[: len(rest) - len("".join(values[stop:]))]


def _common(values: Sequence[str], text: str) -> int:
    """How many of the values ``text`` starts with."""
    position = 0
    for count, value in enumerate(values):
        if not text.startswith(value, position):
            return count
        position += len(value)
    return len(values)


def _escaped(text: str, style: Style) -> str:
    """``text`` as a literal of this style writes it, if it can."""
    if not style.raw:
        text = "".join(_ESCAPES.get(character) or _visible(character) for character in text)
        text = text.replace(style.quote[0], "\\" + style.quote[0])
    return text.replace("{", "{{").replace("}", "}}") if style.formatted else text


def _visible(character: str) -> str:
    return character if character.isprintable() else repr(character)[1:-1]


def _text(parts: Sequence[Piece]) -> str:
    return "".join(piece.text for piece in parts)


def _value(parts: Sequence[Piece]) -> str:
    return "".join(piece.value for piece in parts)
