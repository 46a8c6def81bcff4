"""AddImport: names that a module has to import, put where its imports are."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from itertools import takewhile

from ..model import AddImport
from ..source import Source
from .imports import Statement, dotted, written
from .lines import line_end, line_start, newline, tail
from .locate import first_offset
from .refusal import EditRefused
from .splices import Splice

_WIDTH = 100
"""Columns up to which an import on one line grows."""


def additions(source: Source, tree: ast.Module, edits: Sequence[AddImport]) -> list[Splice]:
    """Splices that make the module import what the edits ask for; none for what it imports already."""
    by_module: dict[tuple[str, bool], list[AddImport]] = {}
    for edit in edits:
        if not any(edit.name in _names(statement, edit) for statement in tree.body):
            by_module.setdefault((edit.module, edit.whole), []).append(edit)
    return [_grown(source, tree, wanted) or _new_line(source, tree, wanted) for wanted in by_module.values()]


def _names(statement: ast.stmt, edit: AddImport) -> set[str]:
    """What the statement imports, as far as it can be what the edit asks for."""
    if isinstance(statement, ast.ImportFrom) and not edit.whole and dotted(statement) == edit.module:
        return {written(alias) for alias in statement.names}
    if isinstance(statement, ast.Import) and edit.whole:
        return {alias.asname or alias.name for alias in statement.names if alias.name == edit.module}
    return set()


def _grown(source: Source, tree: ast.Module, wanted: Sequence[AddImport]) -> Splice | None:
    """More names in the first import from the same module, unless that makes too long a line of it."""
    statement = next((node for node in tree.body if _names(node, wanted[0]) - {"*"}), None)
    if statement is None or wanted[0].whole:
        return None
    from .names import add_names

    span = source.span(statement)
    old = source.utf8[slice(*span)].decode("utf-8")
    try:
        new = add_names(old, [edit.name for edit in wanted], wanted[0])
    except EditRefused:
        return None
    too_long = "(" not in old and statement.col_offset + len(new) > _WIDTH
    return None if too_long else Splice(span, new.encode("utf-8"), wanted[0])


def _new_line(source: Source, tree: ast.Module, wanted: Sequence[AddImport]) -> Splice:
    code, line_break = _code(wanted).encode("utf-8"), newline(source.utf8)
    anchor = _anchor(tree, wanted[0])
    if anchor is not None:
        at = line_end(source.utf8, _logical_end(source, tree.body, tree.body.index(anchor)))
        gap = line_break if isinstance(anchor, ast.Expr) else b""
        return Splice((at, at), gap + line_break + code, wanted[0])
    if tree.body:
        at = line_start(source.utf8, first_offset(source, tree.body[0]))
        return Splice((at, at), code + line_break * 2, wanted[0])
    at = len(source.utf8)
    before = b"" if source.utf8[-1:] in (b"", b"\n", b"\r") else line_break
    return Splice((at, at), before + code + line_break, wanted[0])


def _code(wanted: Sequence[AddImport]) -> str:
    module, names = wanted[0].module, ", ".join(edit.name for edit in wanted)
    if not wanted[0].whole:
        return f"from {module} import {names}"
    return "import " + ", ".join(
        module if edit.name == module else f"{module} as {edit.name}" for edit in wanted
    )


def _anchor(tree: ast.Module, edit: AddImport) -> ast.stmt | None:
    """The top-level statement to put a new import behind: a related import, else the first imports' last.

    Related ones come first because code before them may prepare what they need (``sys.path``).
    """
    has_docstring = ast.get_docstring(tree, clean=False) is not None
    leading = list(takewhile(lambda node: isinstance(node, Statement), tree.body[has_docstring:]))
    related = [node for node in leading if _related(node, edit)][-1:]
    elsewhere = [node for node in tree.body if _related(node, edit)][:1]
    found = related or elsewhere or leading[-1:] or tree.body[:has_docstring]
    return found[0] if found else None


def _related(statement: ast.stmt, edit: AddImport) -> bool:
    root = edit.module.split(".")[0]
    if isinstance(statement, ast.ImportFrom):
        return root != "" and dotted(statement).split(".")[0] == root
    return isinstance(statement, ast.Import) and any(a.name.split(".")[0] == root for a in statement.names)


def _logical_end(source: Source, body: Sequence[ast.stmt], index: int) -> int:
    """Where the last statement ends that shares its line with the one at ``index``."""
    ends = (source.span(statement)[1] for statement in body[index:])
    return next(end for end in ends if tail(source.utf8, end) is not None)
