"""KeepBody: a ``try`` statement that leaves only its body, one level further out."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

from ..model import KeepBody
from ..source import Source
from .lines import indentation, line_end, line_start, starts_line
from .locate import Place, parse
from .refusal import EditRefused
from .splices import Splice, ordered, splice

_HEAD = re.compile(rb"try[ \t\f]*:[ \t\f]*(?P<comment>#[^\r\n]*)?(?P<end>\r\n?|\n)?")
_LINES = re.compile(r"[^\r\n]*(?:\r\n?|\n)|[^\r\n]+")


def kept(source: Source, place: Place, edit: KeepBody) -> ast.Try:
    """The ``try`` statement whose body is to be kept.

    Raises:
        EditRefused: it is no ``try`` with nothing but ``except`` arms, or not the first on its line.
    """
    node = next((n for n in place.path if isinstance(n, ast.Try) and source.span(n) == edit.span), None)
    if node is None:
        raise EditRefused(edit, "there is no try statement at this place")
    if node.orelse or node.finalbody:
        raise EditRefused(edit, "the try statement has an else or a finally")
    if not starts_line(source.utf8, edit.span[0]) or _HEAD.match(source.utf8, edit.span[0]) is None:
        raise EditRefused(edit, "the statement shares its line with another")
    return node


def in_dropped_arm(place: Place, tries: Sequence[ast.Try]) -> bool:
    """Whether a place is in an ``except`` arm of one of the ``tries``, and is removed with it."""
    return any(
        isinstance(node, ast.ExceptHandler) and node in t.handlers for node in place.path for t in tries
    )


def collapsed(
    source: Source, splices: Sequence[Splice], edits: Sequence[tuple[KeepBody, ast.Try]]
) -> list[Splice]:
    """The splices, where one for each ``try`` statement takes the place of those inside of it."""
    result = list(splices)
    for edit, node in sorted(edits, key=lambda entry: entry[0].span[1] - entry[0].span[0]):
        start, end = edit.span
        inside = [change for change in result if start < change.span[0] and change.span[1] <= end]
        new = _body(source, node, ordered(inside), edit)
        result = [change for change in result if change not in inside]
        result.append(Splice((start, line_end(source.utf8, end)), new, edit))
    return result


def _body(source: Source, node: ast.Try, inside: Sequence[Splice], edit: KeepBody) -> bytes:
    """The edited body with the indentation of the ``try``; comments before the first ``except`` stay."""
    data, (start, _) = source.utf8, edit.span
    head = _HEAD.match(data, start)
    assert head is not None
    end = line_start(data, source.span(node.handlers[0])[0])
    text = splice(data, (head.end(), end), inside).decode("utf-8").rstrip()
    if head["end"] is None:
        return text.encode("utf-8")
    outer = indentation(data, start).decode("utf-8")
    inner = indentation(data, source.span(node.body[0])[0]).decode("utf-8")
    code = _dedented(text, inner, outer, edit).encode("utf-8")
    comment = head["comment"]
    return code if comment is None else comment + head["end"] + outer.encode("utf-8") + code


def _dedented(text: str, inner: str, outer: str, edit: KeepBody) -> str:
    """Lines that start a statement or a comment, or continue one outside of a string, moved outwards."""
    lines = _LINES.findall(text)
    fixed = _string_lines(text, edit)
    moved = [
        outer + line[len(inner) :] if number not in fixed and line.startswith(inner) else line
        for number, line in enumerate(lines)
    ]
    return "".join(moved).removeprefix(outer)


def _string_lines(text: str, edit: KeepBody) -> set[int]:
    """The 0-based lines that start inside of a string literal."""
    try:
        tree = parse("if _:\n" + text)
    except SyntaxError as error:
        raise EditRefused(edit, f"the statement's body does not parse alone: {error}") from error
    strings = (n for n in ast.walk(tree) if isinstance(n, ast.Constant | ast.JoinedStr) and n.end_lineno)
    return {number - 1 for node in strings for number in range(node.lineno, node.end_lineno or 0)}
