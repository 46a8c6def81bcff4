"""From a span to the syntax around it, without walking the rest of the file."""

from __future__ import annotations

import ast
import warnings
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from ..model import Span
from ..source import Source

_Found = tuple[ast.AST, list[ast.stmt] | None]


@dataclass(frozen=True, slots=True)
class Place:
    """The nodes that contain a span, outermost first, each statement with the block that it stands in."""

    path: tuple[ast.AST, ...]
    blocks: tuple[list[ast.stmt] | None, ...]

    @property
    def node(self) -> ast.AST:
        return self.path[-1]

    @property
    def expressions(self) -> Iterator[ast.expr]:
        """The expressions around the span within its statement, outermost first."""
        return (node for node in self.path if isinstance(node, ast.expr))

    @property
    def formatted(self) -> ast.JoinedStr | None:
        """The outermost f-string around the span, if any."""
        return next((node for node in self.path if isinstance(node, ast.JoinedStr)), None)


def parse(text: str) -> ast.Module:
    """``ast.parse`` without the warnings it would print about the user's code.

    Raises:
        SyntaxError: also for null bytes and for code that is too deeply nested.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(text)
        except (ValueError, RecursionError, MemoryError) as error:
            raise SyntaxError(str(error) or type(error).__name__) from error


def first_offset(source: Source, node: ast.AST) -> int:
    """Where a node starts; a decorated definition starts at its first ``@``."""
    decorators = getattr(node, "decorator_list", ())
    if decorators:
        return source.utf8.rfind(b"@", 0, source.span(decorators[0])[0])
    return source.offset(node.lineno, node.col_offset)  # type: ignore[attr-defined]


def locate(source: Source, tree: ast.Module, span: Span) -> Place:
    """The nodes around ``span``; none when it lies between statements."""
    path: list[ast.AST] = []
    blocks: list[list[ast.stmt] | None] = []
    found = _child(source, tree, span)
    while found is not None:
        path.append(found[0])
        blocks.append(found[1])
        found = _child(source, found[0], span)
    return Place(tuple(path), tuple(blocks))


def _child(source: Source, node: ast.AST, span: Span) -> _Found | None:
    if isinstance(node, ast.JoinedStr):
        return _in_string(source, node, span)
    for name in node._fields:
        value = getattr(node, name, None)
        if isinstance(value, ast.AST):
            found = _inside(source, value, span)
        elif isinstance(value, list) and value:
            found = _in_list(source, value, span)
        else:
            continue
        if found is not None:
            return found
    return None


def _in_string(source: Source, string: ast.JoinedStr, span: Span) -> _Found | None:
    """Only the expressions: before Python 3.12 all other parts claim the whole string's position."""
    for part in string.values:
        if isinstance(part, ast.FormattedValue):
            found = _inside(source, part.value, span)
            if found is None and isinstance(part.format_spec, ast.JoinedStr):
                found = _in_string(source, part.format_spec, span)
            if found is not None:
                return found
    return None


def _in_list(source: Source, nodes: list[ast.AST], span: Span) -> _Found | None:
    if isinstance(nodes[0], ast.stmt):
        return _in_block(source, nodes, span)  # type: ignore[arg-type]
    for node in nodes:
        if isinstance(node, ast.AST) and (found := _inside(source, node, span)):
            return found
    return None


def _in_block(source: Source, block: list[ast.stmt], span: Span) -> _Found | None:
    index = bisect_right(block, span[0], key=lambda statement: first_offset(source, statement)) - 1
    if index >= 0 and span[1] <= source.span(block[index])[1]:
        return block[index], block
    return None


def _inside(source: Source, node: ast.AST, span: Span) -> _Found | None:
    """``node`` if it contains the span; its child if the grammar gives ``node`` itself no position."""
    if not hasattr(node, "lineno"):
        return _child(source, node, span)
    if first_offset(source, node) <= span[0] and span[1] <= source.span(node)[1]:
        return node, None
    return None
