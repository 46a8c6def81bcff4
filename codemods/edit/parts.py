"""Strings of several parts: implicit concatenation and f-strings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

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
    bodies = {leaf: body for (leaf, _), body in zip(leaves, new, strict=True) if body != _body(leaf)}
    result = tree.visit(_Leaves(bodies, edit))
    assert isinstance(result, cst.BaseExpression)
    return code(result, text)[1:-1]


class _Leaves(cst.CSTTransformer):
    """Gives some constant parts another body."""

    def __init__(self, bodies: Mapping[Leaf, str], edit: ReplaceString) -> None:
        super().__init__()
        self.bodies = bodies
        self.edit = edit

    def leave_SimpleString(
        self, original_node: cst.SimpleString, updated_node: cst.SimpleString
    ) -> cst.BaseExpression:
        if original_node not in self.bodies:
            return updated_node
        found = literal(original_node.value)
        assert found is not None
        value = delimited(found[0], self.bodies[original_node], found[3], self.edit)
        return updated_node.with_changes(value=value)

    def leave_FormattedStringText(
        self, original_node: cst.FormattedStringText, updated_node: cst.FormattedStringText
    ) -> cst.BaseFormattedStringContent:
        return updated_node.with_changes(value=self.bodies.get(original_node, updated_node.value))


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
