"""Comma-separated lists in brackets with fewer or more items, comments and lines kept."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import libcst as cst

Space = cst.BaseParenthesizableWhitespace
_Item = TypeVar("_Item")

NOTHING = cst.SimpleWhitespace("")
BLANK = cst.SimpleWhitespace(" ")


class CommentInTheWay(Exception):
    """A comment would be lost."""


@dataclass(frozen=True, slots=True)
class Entry(Generic[_Item]):
    """One item and what follows it.

    Attributes:
        before_comma: white space between the item and its comma; nothing without a comma.
        after: white space up to the next item or the closing bracket.
    """

    item: _Item
    before_comma: Space
    comma: bool
    after: Space


@dataclass(frozen=True, slots=True)
class Layout(Generic[_Item]):
    """A bracket's contents: ``first`` is the white space after the opening bracket."""

    first: Space
    entries: tuple[Entry[_Item], ...]


def remove(layout: Layout[_Item], index: int) -> Layout[_Item]:
    """The layout without one item and its comma; a comment behind it gets a line of its own.

    Raises:
        CommentInTheWay: a comment stands between an item and a comma that has to go.
    """
    *before, gone = layout.entries[: index + 1]
    after = layout.entries[index + 1 :]
    space = _merged(before[-1].after if before else layout.first, gone.after, bool(before), bool(after))
    _no_comment(gone.before_comma if gone.comma else NOTHING)
    if not before:
        return Layout(space, after)
    last = replace(before[-1], after=space)
    if not after and not gone.comma:
        _no_comment(last.before_comma)
        last = replace(last, before_comma=NOTHING, comma=False)
    return Layout(layout.first, (*before[:-1], last, *after))


def _merged(before: Space, after: Space, follows: bool, precedes: bool) -> Space:
    """The white space that takes the place of an item and the white space on both sides."""
    if isinstance(before, cst.ParenthesizedWhitespace) and isinstance(after, cst.ParenthesizedWhitespace):
        return _joined(before, after) if precedes or _comments(before) or _comments(after) else after
    if _comments(before) or _comments(after):
        return before if _comments(before) else after
    if not precedes or (follows and _breaks(after) and not _breaks(before)):
        return after
    return before


def _joined(before: cst.ParenthesizedWhitespace, after: cst.ParenthesizedWhitespace) -> Space:
    lines = list(before.empty_lines)
    if after.first_line.comment is not None:
        lines.append(
            cst.EmptyLine(before.indent, before.last_line, after.first_line.comment, after.first_line.newline)
        )
    return after.with_changes(first_line=before.first_line, empty_lines=(*lines, *after.empty_lines))


def append(layout: Layout[_Item], item: _Item) -> Layout[_Item]:
    """The layout with one more item, which is laid out like the last: on its line, with a trailing comma."""
    if not layout.entries:
        return _only(layout.first, item)
    *others, last = layout.entries
    lead = others[-1].after if others else layout.first
    between, closing = _opened(lead, last.after)
    new = Entry(item, NOTHING, last.comma, closing)
    previous = replace(last, comma=True, after=between)
    return Layout(layout.first, (*others, previous, new))


def _only(first: Space, item: _Item) -> Layout[_Item]:
    if not isinstance(first, cst.ParenthesizedWhitespace):
        return Layout(first, (Entry(item, NOTHING, False, NOTHING),))
    outer = first.last_line.value
    inner = first.with_changes(last_line=cst.SimpleWhitespace(outer + ("\t" if "\t" in outer else "    ")))
    return Layout(inner, (Entry(item, NOTHING, False, _bare(first)),))


def _opened(lead: Space, closing: Space) -> tuple[Space, Space]:
    """White space before and after a new last item, given that before and after the old one."""
    if not isinstance(lead, cst.ParenthesizedWhitespace):
        return BLANK, closing
    if not isinstance(closing, cst.ParenthesizedWhitespace):
        return _bare(lead), closing
    between = closing.with_changes(indent=lead.indent, last_line=lead.last_line)
    return between, _bare(closing)


def _bare(space: cst.ParenthesizedWhitespace) -> cst.ParenthesizedWhitespace:
    """The line break and the indentation alone."""
    newline = cst.TrailingWhitespace(NOTHING, None, space.first_line.newline)
    return space.with_changes(first_line=newline, empty_lines=())


def _comments(space: Space) -> bool:
    return isinstance(space, cst.ParenthesizedWhitespace) and (
        space.first_line.comment is not None or any(line.comment is not None for line in space.empty_lines)
    )


def _breaks(space: Space) -> bool:
    """Whether it contains a line break, be it behind a backslash."""
    return isinstance(space, cst.ParenthesizedWhitespace) or (not space.empty and "\\" in _value(space))


def _value(space: Space) -> str:
    return space.value if isinstance(space, cst.SimpleWhitespace) else ""


def _no_comment(space: Space) -> None:
    if _comments(space):
        raise CommentInTheWay


def without(layout: Layout[_Item], indexes: Iterable[int]) -> Layout[_Item]:
    """The layout without the items at ``indexes``."""
    for index in sorted(indexes, reverse=True):
        layout = remove(layout, index)
    return layout
