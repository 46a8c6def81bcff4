"""Strings of several parts: implicit concatenation and f-strings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import libcst as cst

from ..model import ReplaceString
from .refusal import EditRefused
from .segments import code, parse_expression
from .strings import Piece, Style, changed, delimited, literal, pieces

Leaf = cst.SimpleString | cst.FormattedStringText


def replace_part(text: str, edit: ReplaceString) -> str:
    """The string expression with one of its parts changed.

    Raises:
        EditRefused: the change does not sit in one part.
    """
    tree = parse_expression(edit, f"({text})")
    leaves = list(_leaves(tree))
    if any(style.formatted for _, style in leaves):
        leaves = [_only(leaves, edit)]
    new = changed([_pieces(leaf, style) for leaf, style in leaves], [style for _, style in leaves], edit)
    replaced = {
        leaf: _with_body(leaf, body, edit) for (leaf, _), body in zip(leaves, new, strict=True) if body != _body(leaf)
    }
    return code(_replace(tree, replaced), text)[1:-1]


def _leaves(node: cst.BaseExpression) -> Iterator[tuple[Leaf, Style]]:
    """The constant parts with their styles, in order."""
    if isinstance(node, cst.ConcatenatedString):
        yield from _leaves(node.left)
        yield from _leaves(node.right)
    elif isinstance(node, cst.SimpleString):
        yield node, Style(node.quote, "r" in node.prefix)
    elif isinstance(node, cst.FormattedString):
        style = Style(node.quote, "r" in node.prefix.lower(), formatted=True)
        yield from ((part, style) for part in node.parts if isinstance(part, cst.FormattedStringText))


def _only(leaves: Sequence[tuple[Leaf, Style]], edit: ReplaceString) -> tuple[Leaf, Style]:
    """The one constant part of an f-string that has the old value."""
    fitting = [entry for entry in leaves if "".join(p.value for p in _pieces(*entry)) == edit.old]
    if len(fitting) != 1:
        raise EditRefused(edit, f"{len(fitting)} parts of the f-string there are {edit.old!r}")
    return fitting[0]


def _pieces(leaf: Leaf, style: Style) -> list[Piece]:
    return pieces(_body(leaf), style)


def _body(leaf: Leaf) -> str:
    return leaf.raw_value if isinstance(leaf, cst.SimpleString) else leaf.value


def _with_body(leaf: Leaf, body: str, edit: ReplaceString) -> Leaf:
    if isinstance(leaf, cst.FormattedStringText):
        return leaf.with_changes(value=body)
    found = literal(leaf.value)
    assert found is not None
    return leaf.with_changes(value=delimited(found[0], body, found[3], edit))


def _replace(tree: cst.BaseExpression, replaced: dict[Leaf, Leaf]) -> cst.CSTNode:
    for old, new in replaced.items():
        tree = tree.deep_replace(old, new)  # type: ignore[assignment]
    return tree
