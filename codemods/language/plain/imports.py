"""Imports inside of functions move to the top of the file."""

from __future__ import annotations

import ast

from . import scopes
from .lines import Text

_HARMLESS = ("math", "numpy", "neuronxcc")


def moved_up(text: Text, outer: ast.FunctionDef) -> Text | None:
    """The file with one import of a function behind those at its top; None when there is none that can go.

    Only modules go that kernels need anyway: importing another one earlier could fail, or do something.
    """
    for node in scopes.own(outer):
        if not isinstance(node, ast.Import | ast.ImportFrom) or node.lineno != node.end_lineno:
            continue
        module = (node.module or "") if isinstance(node, ast.ImportFrom) else node.names[0].name
        level = getattr(node, "level", 0)
        line = text.line(node.lineno).encode()
        alone = not line[: node.col_offset].strip() and not line[node.end_col_offset :].strip()
        if level or module.partition(".")[0] not in _HARMLESS or len(node.names) != 1 or not alone:
            continue
        if _new(text, outer, node):
            return _written(text, node)
    return None


def _new(text: Text, outer: ast.FunctionDef, node: ast.Import | ast.ImportFrom) -> bool:
    """Whether the name means nothing else in the file, or the same."""
    name = (node.names[0].asname or node.names[0].name).partition(".")[0]
    same = ast.dump(node)
    known = any(ast.dump(other) == same for other in text.tree.body)
    inside = {id(n) for n in ast.walk(outer)}
    for other in ast.walk(text.tree):
        brings = isinstance(other, ast.Import | ast.ImportFrom) and ast.dump(other) != same
        if brings and name in {(a.asname or a.name).partition(".")[0] for a in other.names}:  # type: ignore[attr-defined]
            return False
        read = isinstance(other, ast.Name) and isinstance(other.ctx, ast.Load)
        if read and (known or id(other) in inside):
            continue
        names = {getattr(other, field, None) for field in ("id", "arg", "name")}
        bound = isinstance(other, ast.Name) or id(other) not in inside
        if bound and name in names and not isinstance(other, ast.alias):
            return False
    return len(outer.body) > 1


def _written(text: Text, node: ast.Import | ast.ImportFrom) -> Text:
    code = text.line(node.lineno).strip()
    last = [n for n in text.tree.body if isinstance(n, ast.Import | ast.ImportFrom)]
    known = any(text.segment(n) == code for n in last)
    after = node.lineno
    if after < len(text.lines) and not text.line(after + 1).strip():
        after += 1
    changed = text.replaced(node.lineno, after, text.stand_in(node))
    if known or not last:
        return changed if known else text
    place = (last[-1].end_lineno or 0) + 1
    return changed.replaced(place, place - 1, [(code, text.origin(node.lineno))])
