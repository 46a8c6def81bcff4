"""Syntax trees as lists of nodes.

Contexts (``ast.Load()``) and operators (``ast.Add()``) are left out: they say nothing that the nodes around
them do not say.
"""

from __future__ import annotations

import ast

_PLAIN = frozenset(("ctx", "op", "ops", "id", "attr", "asname", "module", "level", "kind", "type_comment"))
"""Fields without nodes, and those of contexts and operators."""
_FIELDS: dict[type, tuple[str, ...]] = {}


def walk(node: ast.AST) -> list[ast.AST]:
    """A node and all below it, in the order of :func:`ast.walk`, which takes twice as long."""
    found = [node]
    for each in found:
        fields = _FIELDS.get(each.__class__)
        for field in _fields(each.__class__) if fields is None else fields:
            value = getattr(each, field, None)
            if value.__class__ is list:
                found += [inner for inner in value if isinstance(inner, ast.AST)]
            elif isinstance(value, ast.AST):
                found.append(value)
    return found


def children(node: ast.AST) -> list[ast.AST]:
    """What stands in a node directly, in the order of :func:`ast.iter_child_nodes`."""
    found: list[ast.AST] = []
    fields = _FIELDS.get(node.__class__)
    for field in _fields(node.__class__) if fields is None else fields:
        value = getattr(node, field, None)
        if value.__class__ is list:
            found += [inner for inner in value if isinstance(inner, ast.AST)]
        elif isinstance(value, ast.AST):
            found.append(value)
    return found


def _fields(kind: type[ast.AST]) -> tuple[str, ...]:
    fields = _FIELDS[kind] = tuple(field for field in kind._fields if field not in _PLAIN)
    return fields
