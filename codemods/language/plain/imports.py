"""Imports inside of functions move to the top of the file."""

from __future__ import annotations

import ast

from . import scopes
from .file import SPELLED, File, Part

_HARMLESS = ("math", "numpy", "neuronxcc", "functools", "operator")


def moved_up(file: File, index: int, outer: ast.FunctionDef) -> bool:
    """Move one import of a function behind those at the top of the file; False when there is none that can
    go.

    Only modules go that kernels need anyway: importing another one earlier could fail, or do something.
    """
    text = file.parts[index].text
    for node in scopes.own(outer):
        if not isinstance(node, ast.Import | ast.ImportFrom) or node.lineno != node.end_lineno:
            continue
        module = (node.module or "") if isinstance(node, ast.ImportFrom) else node.names[0].name
        level = getattr(node, "level", 0)
        line = text.line(node.lineno).encode()
        alone = not line[: node.col_offset].strip() and not line[node.end_col_offset :].strip()
        if level or module.partition(".")[0] not in _HARMLESS or len(node.names) != 1 or not alone:
            continue
        if _is_new(file, index, outer, node) and _moved(file, index, node):
            return True
    return False


def _is_new(file: File, index: int, outer: ast.FunctionDef, node: ast.Import | ast.ImportFrom) -> bool:
    """Whether the name means nothing else in the file, or the same."""
    name = (node.names[0].asname or node.names[0].name).partition(".")[0]
    same = ast.dump(node)
    known = any(ast.dump(other) == same for part in file.parts for other in _imports(part))
    return (
        file.imports_only(name, same)
        and not file.is_stored(name)
        and not file.is_outside(index, outer, name, *(("given",) if known else SPELLED))
        and len(outer.body) > 1
    )


def _moved(file: File, index: int, node: ast.Import | ast.ImportFrom) -> bool:
    text = file.parts[index].text
    code = text.line(node.lineno).strip()
    tops = [(i, n) for i, part in enumerate(file.parts) for n in _imports(part)]
    if not tops:
        return False
    known = any(file.parts[i].text.segment(n) == code for i, n in tops)
    after = node.lineno
    if after < len(text.lines) and not text.line(after + 1).strip():
        after += 1
    file.replace(index, text.replaced(node.lineno, after, text.stand_in(node)))
    if not known:
        place, last = tops[-1]
        above, line = file.parts[place].text, (last.end_lineno or 0) + 1
        file.replace(place, above.replaced(line, line - 1, [(code, text.origin(node.lineno))]), whole=True)
    return True


def _imports(part: Part) -> list[ast.Import | ast.ImportFrom]:
    """Those that are not inside of another statement."""
    if not part.names.imported:
        return []
    return [n for n in part.text.tree.body if isinstance(n, ast.Import | ast.ImportFrom)]
