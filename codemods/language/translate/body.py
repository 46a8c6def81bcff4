"""Blocks of statements as lines: what is not affected stays as it is written, comments stay with theirs."""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator, Sequence

from ...record import cached_property, record
from ...source import split_lines

_MARK = re.compile(r"\b(BEGIN|END|region|endregion|noqa|type:|pylint|fmt:|TODO|FIXME)\b")


_WANTED = frozenset(("COMMENT", "STRING", "FSTRING_START", "FSTRING_END"))
_LITERAL = re.compile(
    r"""
    \#[^\n]*
    | \"{3} (?: [^\\] | \\. )*? \"{3} | \'{3} (?: [^\\] | \\. )*? \'{3}
    | \" (?: [^\\"\n] | \\. )* \" | \' (?: [^\\'\n] | \\. )* \'
    """,
    re.VERBOSE | re.DOTALL,
)
"""A comment or a string, where strings do not nest: before Python 3.12."""

Literal = tuple[str, int, int]
"""A comment, or "" for a string, and the numbers of its first and its last line."""


def literals(text: str) -> Iterator[Literal]:
    """Comments and strings of Python's code."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _tokenized(text) if sys.version_info >= (3, 12) else _searched(text)


def _searched(text: str) -> Iterator[Literal]:
    """Found ten times as fast as by the tokenizer of those versions, which is written in Python."""
    line, before = 1, 0
    for found in _LITERAL.finditer(text):
        first = line + text.count("\n", before, found.start())
        line, before = first + found[0].count("\n"), found.end()
        yield found[0] if found[0].startswith("#") else "", first, line


def _tokenized(text: str) -> Iterator[Literal]:
    begun: list[int] = []  # f-strings are tokens of their own
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        kind = tokenize.tok_name[token.type]
        if kind == "FSTRING_START":
            begun.append(token.start[0])
        elif kind in _WANTED:
            first = begun.pop() if kind == "FSTRING_END" else token.start[0]
            yield token.string if kind == "COMMENT" else "", first, token.end[0]


class Lines:
    """The physical lines of a file, with the comments in them."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.lines = split_lines(text)

    def between(self, first: int, last: int) -> list[str]:
        """The lines from number ``first`` to ``last``."""
        return self.lines[first - 1 : last]

    @cached_property
    def comments(self) -> dict[int, str]:
        """Comments by the number of their line."""
        return {first: comment for comment, first, _ in self._literals if comment}

    @cached_property
    def in_strings(self) -> frozenset[int]:
        """Numbers of the lines that start inside a string."""
        strings = ((first, last) for comment, first, last in self._literals if not comment)
        return frozenset(number for first, last in strings for number in range(first + 1, last + 1))

    @cached_property
    def _literals(self) -> list[Literal]:
        return list(literals(self._text))

    def indentation(self, node: ast.stmt) -> str:
        line = self.lines[node.lineno - 1]
        return line[: len(line) - len(line.lstrip())]

    def kept(self, first: int, last: int, old: str, new: str) -> list[str]:
        """Lines as they are, moved from one indentation to another."""
        found = self.between(first, last)
        if old == new:
            return found
        numbers = range(first, last + 1)
        return [
            new + line.removeprefix(old) if line.strip() and number not in self.in_strings else line
            for number, line in zip(numbers, found, strict=True)
        ]


@record(frozen=False)
class Piece:
    """A statement on its way out.

    Attributes:
        lead: blank lines and comments above it. lines: what it becomes. gone: nothing is left of it.
        guard: the line `if …:` that new code of it stands under.
    """

    lead: list[str]
    lines: list[str]
    gone: bool = False
    guard: str = ""


def joined(pieces: Sequence[Piece], indent: str) -> list[str]:
    """The lines of a block; comments about statements that are gone go with them."""
    found: list[str] = []
    index = 0
    while index < len(pieces):
        piece = pieces[index]
        if not piece.gone:
            under = index > 0 and _continues(pieces[index - 1], piece)
            found += _without_double_blank(found, piece.lead) + piece.lines[under:]
            index += 1
            continue
        end = next((i for i in range(index, len(pieces)) if not pieces[i].gone), len(pieces))
        follows = pieces[end].lead if end < len(pieces) else [""]
        about_group = bool(follows) and (not follows[0].strip() or follows[0].strip().startswith("#"))
        for gone in pieces[index:end]:
            found += _without_double_blank(found, _surviving(gone.lead, about_group or gone is not piece))
        index = end
    while pieces and pieces[0].gone and found and not found[0].strip():
        del found[0]
    if not any(line.strip() and not line.strip().startswith("#") for line in found):
        found.append(f"{indent}pass")
    return found


def _continues(before: Piece, piece: Piece) -> bool:
    """Whether a statement stands under the same condition of new code as the one directly above it."""
    if not piece.guard or piece.lead or (before.guard, piece.lines[:1]) != (piece.guard, [piece.guard]):
        return False
    inner = " " * (len(piece.guard) - len(piece.guard.lstrip()) + 1)
    return [line for line in before.lines if not line.startswith(inner)][-1:] == [piece.guard]


def _surviving(lead: list[str], about_group: bool) -> list[str]:
    """What stays of the comments above a statement that is gone."""
    if not about_group:
        return lead
    kept = list(lead)
    while kept and kept[-1].strip().startswith("#") and not _MARK.search(kept[-1]):
        kept.pop()
    return kept


def _without_double_blank(before: list[str], lead: list[str]) -> list[str]:
    if before and not before[-1].strip():
        while lead and not lead[0].strip():
            lead = lead[1:]
    return lead


def with_comments(lines: list[str], comments: Sequence[str], last: str, indent: str) -> list[str]:
    """New lines with the comments that stood inside the old statement, and the one behind it."""
    above = [indent + comment for comment in comments]
    if last and len(lines) == 1 and len(lines[0]) + 2 + len(last) <= 88:
        return [*above, f"{lines[0]}  {last}"]
    return [*above, *([indent + last] if last else []), *lines]
