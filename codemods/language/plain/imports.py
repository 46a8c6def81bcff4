"""Imports inside of functions move to the top of the file."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence, Set

from ...trees import walk
from . import scopes
from .file import SPELLED, File, Part
from .lines import Edit, Line, Text

_HARMLESS = ("math", "numpy", "neuronxcc", "functools", "operator")


def moved_up(file: File, index: int, outer: ast.FunctionDef) -> bool:
    """Move imports of a function behind those at the top of the file; False when there is none that can go.

    Only modules go that kernels need anyway: importing another one earlier could fail, or do something.
    """
    text = file.parts[index].text
    inside = [
        n for n in scopes.own(outer) if isinstance(n, ast.Import | ast.ImportFrom) and _is_plain(text, n)
    ]
    tops = [(i, n) for i, part in enumerate(file.parts) for n in _imports(part)] if inside else []
    if not tops:
        return False
    known = {ast.dump(node) for _, node in tops}
    found = [node for node in inside if _is_new(file, index, outer, node, known)]
    if {*map(id, outer.body)} <= {*map(id, found)}:
        found = found[:-1]  # the function is not left without a statement
    if found:
        file.replace(index, text.edited(_without(text, found)))
        _added(file, tops, [(text.line(node.lineno).strip(), text.origin(node.lineno)) for node in found])
    return bool(found)


def _is_plain(text: Text, node: ast.Import | ast.ImportFrom) -> bool:
    """Whether an import is of one such module, and has a line for itself."""
    module = (node.module or "") if isinstance(node, ast.ImportFrom) else node.names[0].name
    line = text.line(node.lineno).encode()
    alone = not line[: node.col_offset].strip() and not line[node.end_col_offset :].strip()
    harmless = not getattr(node, "level", 0) and module.partition(".")[0] in _HARMLESS
    return node.lineno == node.end_lineno and harmless and len(node.names) == 1 and alone


def _is_new(
    file: File, index: int, outer: ast.FunctionDef, node: ast.Import | ast.ImportFrom, known: Set[str]
) -> bool:
    """Whether the name means nothing else in the file, or the same; ``known``: imports at its top."""
    (name,) = scopes.given(node.names[0])
    same = ast.dump(node)
    return (
        file.imports_only(name, same)
        and not file.is_stored(name)
        and not file.is_outside(index, outer, name, *(("given",) if same in known else SPELLED))
    )


def _without(text: Text, nodes: Sequence[ast.stmt]) -> Iterator[Edit]:
    """A part of the file without statements, each with a line for itself and a blank one below it."""
    gone = {*map(id, nodes)}
    alone = {
        id(block[0])
        for owner in walk(text.tree)
        for block in scopes.blocks(owner)
        if gone.issuperset(map(id, block))
    }
    for node in nodes:
        last = node.lineno
        if last < len(text.lines) and not text.line(last + 1).strip():
            last += 1
        stand_in = [(f"{text.indentation(node)}pass", text.origin(node.lineno))]
        yield node.lineno, last, stand_in if id(node) in alone else []


def _added(file: File, tops: Sequence[tuple[int, ast.stmt]], lines: Sequence[Line]) -> None:
    """Imports come behind the last one at the top of the file, but for those that are there."""
    there = {file.parts[i].text.segment(node) for i, node in tops}
    new: dict[str, int] = {}
    for code, origin in lines:
        if code not in there:
            new.setdefault(code, origin)
    place, last = tops[-1]
    text, line = file.parts[place].text, (last.end_lineno or 0) + 1
    if new:
        file.replace(place, text.replaced(line, line - 1, [*new.items()]), whole=True)


def _imports(part: Part) -> list[ast.Import | ast.ImportFrom]:
    """Those that are not inside of another statement."""
    if not part.names.imported:
        return []
    return [n for n in part.text.tree.body if isinstance(n, ast.Import | ast.ImportFrom)]
