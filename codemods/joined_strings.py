"""Paths that are put together from constants: f-strings and sums of strings."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from . import dotted
from .analysis import values as v
from .analysis.context import FileContext
from .analysis.scopes import Text
from .model import ReplaceString, Span
from .record import record


@record
class Piece:
    """One part of a joined string.

    Attributes:
        value: what it is in the old release; None when that is not known.
        then: what it will be once every constant that is a path by itself has been rewritten.
        span: where it can be edited in this place, if it can.
    """

    value: str | None
    then: str
    span: Span | None = None


@record
class Joined:
    """A joined string that names something of the library; ``known`` when all its pieces are."""

    node: ast.expr
    pieces: tuple[Piece, ...]

    @property
    def known(self) -> bool:
        return all(piece.value is not None for piece in self.pieces)

    @property
    def value(self) -> str:
        """The whole string, up to the first piece that is not known."""
        text = ""
        for piece in self.pieces:
            if piece.value is None:
                break
            text += piece.value
        return text


def joined_strings(ctx: FileContext, tops: tuple[str, ...]) -> Iterator[Joined]:
    """Every f-string and sum of strings that starts with one of the given packages."""
    if not any(text.value.startswith(tops) for text in ctx.module.texts):
        return
    for node, text in _tops(ctx).items():
        if not _may_start(node, tops):
            continue
        found = Joined(node, tuple(_pieces(ctx, node, text)))
        start = f"{found.value}."
        if " " not in start and any(start.startswith(f"{top}.") for top in tops):
            yield found


def _may_start(node: ast.expr, tops: tuple[str, ...]) -> bool:
    """Whether the first piece is not evidently something else: a cheap look before anything is evaluated."""
    while isinstance(node, ast.BinOp):
        node = node.left
    if isinstance(node, ast.JoinedStr) and node.values:
        node = node.values[0]
    return not isinstance(node, ast.Constant) or str(node.value).startswith(tops)


def _tops(ctx: FileContext) -> dict[ast.expr, Text]:
    """The outermost joining expressions, each with a text that stands in it."""
    found: dict[ast.expr, Text] = {}
    for text in ctx.module.texts:
        node = text.inside
        if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add)):
            while isinstance(outer := ctx.parent(node), ast.BinOp) and isinstance(outer.op, ast.Add):
                node = outer
            found.setdefault(node, text)
    return found


def _pieces(ctx: FileContext, node: ast.expr, text: Text) -> Iterator[Piece]:
    if isinstance(node, ast.JoinedStr):
        for part in node.values:
            if isinstance(part, ast.Constant):
                yield Piece(str(part.value), str(part.value), ctx.source.span(node))
            elif isinstance(part, ast.FormattedValue) and part.format_spec is None:
                yield _elsewhere(ctx, part.value, text)
            else:
                yield Piece(None, "")
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        yield from _pieces(ctx, node.left, text)
        yield from _pieces(ctx, node.right, text)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        then = _rewritten(ctx, node.value)
        yield Piece(node.value, then, ctx.source.span(node) if then == node.value else None)
    else:
        yield _elsewhere(ctx, node, text)


def _elsewhere(ctx: FileContext, node: ast.expr, text: Text) -> Piece:
    """A piece whose constant stands somewhere else."""
    value = ctx.evaluator.expression_in(node, text.scope, text.stmt)
    if not isinstance(value, v.Constant) or not isinstance(value.value, str):
        return Piece(None, "")
    return Piece(value.value, _rewritten(ctx, value.value))


def _rewritten(ctx: FileContext, value: str) -> str:
    """What a constant by itself becomes; a top-level package alone stays as it is."""
    found = dotted.resolve(ctx.release, value) if value not in ctx.release.legacy_tops else None
    return found.new if found and found.new else value


def settled(joined: Joined, new: str) -> bool:
    """Whether the whole becomes ``new`` by what is rewritten elsewhere."""
    return "".join(piece.then for piece in joined.pieces) == new


def edit(joined: Joined, new: str) -> ReplaceString | None:
    """The edit of one piece that makes the whole ``new``; None when there is none."""
    then = [piece.then for piece in joined.pieces]
    for index in reversed(range(len(then))):
        before, after = "".join(then[:index]), "".join(then[index + 1 :])
        piece = joined.pieces[index]
        fits = new.startswith(before) and new.endswith(after) and len(new) >= len(before) + len(after)
        if piece.span is not None and piece.value and fits:
            return ReplaceString(piece.span, piece.value, new[len(before) : len(new) - len(after)])
    return None
