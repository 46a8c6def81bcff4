"""Arguments from a sequence or a mapping, ``f(*pair, **options)``, written out where that is spelled."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ...trees import children, walk
from ..translate.layout import flat
from . import scopes
from .comprehensions import statements
from .lines import Text

ODD = (ast.Starred,)
_PLAIN = (ast.Name, ast.Attribute, ast.Constant, ast.UnaryOp, ast.USub, ast.Load)


def has_mapping(node: ast.AST) -> bool:
    """Whether a call gets arguments from a mapping."""
    return isinstance(node, ast.keyword) and node.arg is None


def written_out(text: Text, outer: ast.FunctionDef) -> Text | None:
    """A part of the file with one such argument of a function written out; None when none can be."""
    if ast.Starred not in scopes.kinds(outer) and not any(map(has_mapping, scopes.within(outer))):
        return None
    for statement in statements(outer):
        for call in _calls(statement):
            given: list[ast.expr | ast.keyword] = [*call.args, *call.keywords]
            for argument in given:
                new = _elements(text, outer, argument)
                if new:
                    return _replaced(text, argument, ", ".join(new))
    return None


def _calls(statement: ast.stmt) -> Iterator[ast.Call]:
    """Those of a statement's own expressions."""
    own = (node for node in children(statement) if not isinstance(node, ast.stmt))
    return (inner for node in own for inner in walk(node) if isinstance(inner, ast.Call))


def _elements(text: Text, outer: ast.FunctionDef, argument: ast.expr | ast.keyword) -> list[str]:
    """What an argument comes to; nothing where it is not one of these, or not known."""
    if isinstance(argument, ast.Starred):
        return _of_sequence(text, outer, argument.value)
    return (
        _of_mapping(text, outer, argument.value)
        if isinstance(argument, ast.keyword) and has_mapping(argument)
        else []
    )


def _of_sequence(text: Text, outer: ast.FunctionDef, node: ast.expr) -> list[str]:
    if isinstance(node, ast.Tuple | ast.List):
        return [] if _unpacks(node) else [flat(text.segment(item)) for item in node.elts]
    value = _sole(outer, node)
    if not isinstance(node, ast.Name) or not isinstance(value, ast.Tuple) or _unpacks(value):
        return []
    return [f"{node.id}[{index}]" for index in range(len(value.elts))]


def _unpacks(node: ast.Tuple | ast.List) -> bool:
    return any(isinstance(item, ast.Starred) for item in node.elts)


def _of_mapping(text: Text, outer: ast.FunctionDef, node: ast.expr) -> list[str]:
    """The items of a dictionary that is only there for its items."""
    named = isinstance(node, ast.Name)
    value = _sole(outer, node) if named else node
    if not isinstance(value, ast.Dict) or (isinstance(node, ast.Name) and not _only_unpacked(outer, node.id)):
        return []
    keys = [key.value for key in value.keys if isinstance(key, ast.Constant) and isinstance(key.value, str)]
    if len(keys) < len(value.values) or not all(key.isidentifier() for key in keys):
        return []
    if named and not all(_stays(outer, item) for item in value.values):
        return []
    return [f"{key}={flat(text.segment(item))}" for key, item in zip(keys, value.values, strict=True)]


def _sole(outer: ast.FunctionDef, node: ast.expr) -> ast.expr | None:
    """What a name of the function is bound to, at one place that stands above and in no branch or loop."""
    if not isinstance(node, ast.Name) or _times_bound(outer, node.id) != 1:
        return None
    for statement in outer.body:
        if statement.lineno < node.lineno and isinstance(statement, ast.Assign):
            (target, *others) = statement.targets
            if not others and isinstance(target, ast.Name) and target.id == node.id:
                return statement.value
    return None


def _times_bound(outer: ast.FunctionDef, name: str) -> int:
    stored = (n for n in walk(outer) if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load))
    given = [a.arg for a in walk(outer.args) if isinstance(a, ast.arg)]
    return sum(n.id == name for n in stored) + given.count(name)


def _only_unpacked(outer: ast.FunctionDef, name: str) -> bool:
    """Whether nothing else is done to a dictionary, which may change it."""
    unpacked = {id(n.value) for n in walk(outer) if isinstance(n, ast.keyword) and n.arg is None}
    uses = (n for n in walk(outer) if isinstance(n, ast.Name) and n.id == name)
    return all(id(use) in unpacked for use in uses if isinstance(use.ctx, ast.Load))


def _stays(outer: ast.FunctionDef, node: ast.expr) -> bool:
    """Whether an expression means the same further down."""
    names = [n.id for n in walk(node) if isinstance(n, ast.Name)]
    return all(isinstance(n, _PLAIN) for n in walk(node)) and all(_times_bound(outer, n) <= 1 for n in names)


def _replaced(text: Text, node: ast.expr | ast.keyword, new: str) -> Text:
    first, last = node.lineno, node.end_lineno or node.lineno
    head = text.line(first).encode()[: node.col_offset].decode()
    tail = text.line(last).encode()[node.end_col_offset :].decode()
    return text.replaced(first, last, [(head + new + tail, text.origin(first))])
