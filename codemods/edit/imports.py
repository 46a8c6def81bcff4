"""Import statements with other modules and names, order, comments and layout kept."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass

from ..model import EditImport
from .refusal import EditRefused

Statement = ast.Import | ast.ImportFrom


@dataclass(frozen=True, slots=True)
class ImportChange:
    """EditImports of one statement resolved.

    Attributes:
        module: what to import from instead, or None.
        names: index of an imported name → what it becomes.
        removed: indexes of the names that go.
        also: statements to put behind this one, or in its place when nothing is left of it.
    """

    module: str | None
    names: dict[int, str]
    removed: frozenset[int]
    also: tuple[str, ...]

    def empties(self, statement: Statement) -> bool:
        """Whether nothing of the statement is left."""
        return len(self.removed) == len(statement.names)

    @property
    def changes_statement(self) -> bool:
        return bool(self.module is not None or self.names or self.removed)


def written(alias: ast.alias) -> str:
    """An imported name as EditImport writes it: ``name`` or ``name as alias``."""
    return f"{alias.name} as {alias.asname}" if alias.asname else alias.name


def dotted(statement: ast.ImportFrom) -> str:
    """The module of a from-import as it is written, dots of a relative one included."""
    return "." * statement.level + (statement.module or "")


def resolve(statement: Statement, edits: Sequence[EditImport]) -> ImportChange:
    """One change for all EditImports of a statement.

    Raises:
        EditRefused: the statement does not import what they name, or they contradict one another.
    """
    wanted: dict[str, str] = {}
    for edit in edits:
        for old, new in edit.names:
            if wanted.setdefault(old, new) != new:
                raise EditRefused(edit, f"the edits of one import contradict each other: {list(edits)}")
    names = [written(alias) for alias in statement.names]
    for old in wanted:
        if old not in names:
            raise EditRefused(_naming(edits, old), f"the statement does not import {old!r}")
    final = [wanted.get(name, name) for name in names]
    gone = {i for i, new in enumerate(final) if not new or (new != names[i] and _repeats(names, final, i))}
    return ImportChange(
        module=_module(statement, edits),
        names={i: new for i, new in enumerate(final) if i not in gone and new != names[i]},
        removed=frozenset(gone),
        also=tuple(dict.fromkeys(line for edit in edits for line in edit.also)),
    )


def _repeats(names: Sequence[str], final: Sequence[str], index: int) -> bool:
    """Whether an earlier name, or a later unchanged one, is what the name at ``index`` becomes."""
    later = (new for name, new in zip(names[index + 1 :], final[index + 1 :], strict=True) if name == new)
    return final[index] in (*final[:index], *later)


def _naming(edits: Sequence[EditImport], old: str) -> EditImport:
    return next(edit for edit in edits if old in dict(edit.names))


def _module(statement: Statement, edits: Sequence[EditImport]) -> str | None:
    new: str | None = None
    for edit in edits:
        if edit.module is None:
            continue
        if not isinstance(statement, ast.ImportFrom):
            raise EditRefused(edit, "the statement is no from-import")
        found = dotted(statement)
        if found != edit.module[0]:
            raise EditRefused(edit, f"the statement imports from {found!r}, not {edit.module[0]!r}")
        if new not in (None, edit.module[1]):
            raise EditRefused(edit, f"the edits of one import contradict each other: {list(edits)}")
        new = edit.module[1]
    return new
