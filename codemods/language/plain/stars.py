"""Arguments from a sequence or a mapping, ``f(*pair, **options)``, written out where that is spelled."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Set
from functools import lru_cache

from ...trees import children, walk
from ..translate.layout import flat
from . import scopes
from .comprehensions import statements
from .file import File
from .lines import Edit, Text

ODD = (ast.Starred,)
_PLAIN = (ast.Name, ast.Attribute, ast.Constant, ast.UnaryOp, ast.USub, ast.Load)


def has_mapping(node: ast.AST) -> bool:
    """Whether a call gets arguments from a mapping."""
    return isinstance(node, ast.keyword) and node.arg is None


def written_out(_: File, text: Text, outer: ast.FunctionDef) -> Iterator[Edit]:
    """A part of the file with such arguments of a function written out where that can be."""
    if ast.Starred not in scopes.kinds(outer) and not any(map(has_mapping, scopes.within(outer))):
        return
    for statement in statements(outer):
        codes = _codes(text, outer, statement)
        if codes:
            first, last = min(n.lineno for n in codes), max(n.end_lineno or 0 for n in codes)
            yield first, last, text.with_code(first, last, codes)


def _codes(text: Text, outer: ast.FunctionDef, statement: ast.stmt) -> Mapping[ast.expr | ast.keyword, str]:
    """Such arguments of a statement, and what is written for them; none that is in another one."""
    found: dict[ast.expr | ast.keyword, str] = {}
    inside: set[int] = set()
    for call in _calls(statement):
        given: list[ast.expr | ast.keyword] = [*call.args, *call.keywords]
        for argument in given if id(call) not in inside else ():
            new = _elements(text, outer, argument)
            if new:
                found[argument] = ", ".join(new)
                inside.update(map(id, walk(argument)))
    return found


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
    if not isinstance(value, ast.Dict) or (isinstance(node, ast.Name) and node.id in _used_otherwise(outer)):
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
    statement = _assignments(outer).get(node.id)
    return statement.value if statement is not None and statement.lineno < node.lineno else None


@lru_cache(maxsize=64)
def _assignments(outer: ast.FunctionDef) -> Mapping[str, ast.Assign]:
    """The assignments to a name alone that are in no branch or loop."""
    found: dict[str, ast.Assign] = {}
    for statement in outer.body:
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            (target,) = statement.targets
            if isinstance(target, ast.Name):
                found.setdefault(target.id, statement)
    return found


def _times_bound(outer: ast.FunctionDef, name: str) -> int:
    return scopes.stores(outer)[name] + (name in scopes.parameters(outer))


@lru_cache(maxsize=64)
def _used_otherwise(outer: ast.FunctionDef) -> Set[str]:
    """Names that are read other than for arguments from a mapping."""
    nodes = scopes.within(outer)
    unpacked = {id(n.value) for n in nodes if isinstance(n, ast.keyword) and n.arg is None}
    uses = (n for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load))
    return {use.id for use in uses if id(use) not in unpacked}


def _stays(outer: ast.FunctionDef, node: ast.expr) -> bool:
    """Whether an expression means the same further down."""
    names = [n.id for n in walk(node) if isinstance(n, ast.Name)]
    return all(isinstance(n, _PLAIN) for n in walk(node)) and all(_times_bound(outer, n) <= 1 for n in names)
