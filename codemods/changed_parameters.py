"""What changed about the parameters of a callable, for places that show no call of it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .analysis import values as v
from .analysis.context import FileContext
from .record import record
from .release import CallChange, OldForm, Release


@record
class Changed:
    """A callable whose parameters changed.

    Attributes:
        start: the first position that means something else now, None when all keep their meaning.
        lost: old parameter names that are gone.
    """

    change: CallChange
    form: OldForm
    start: int | None
    lost: frozenset[str]

    @property
    def name(self) -> str:
        return self.change.name.rpartition(".")[2]

    @property
    def summary(self) -> str:
        """What to look for, as the end of a sentence."""
        parts = []
        if self.start is not None:
            names = ", ".join(f"`{n}`" for n in self.form.signature.positional[self.start :][:3])
            parts.append(f"positions from {self.start} on ({names}, …) mean something else")
        if self.lost:
            parts.append(f"{', '.join(f'`{n}`' for n in sorted(self.lost))} is gone or has another name")
        return " and ".join(parts)

    def concerns(self, positional: int | None, keywords: set[str | None]) -> bool:
        """Whether a call is affected: None stands for an unknown number of arguments, or unknown keywords."""
        reaches = self.start is not None and (positional is None or positional > self.start)
        named = bool(self.lost & keywords) or (bool(self.lost) and None in keywords)
        return reaches or named


def changed(ctx: FileContext, name: str) -> Changed | None:
    """What changed about a callable, under its old or its new name; None when no call can be affected."""
    return ctx.release.once(_table).get(name)


def _table(release: Release) -> dict[str, Changed]:
    table: dict[str, Changed] = {}
    for key, entry in _entries(release):
        table.setdefault(key, entry)
    return table


def _entries(release: Release) -> Iterator[tuple[str, Changed]]:
    for change in release.calls:
        for old in change.old:
            start = old.first_break(change.signature)
            lost = frozenset({*old.renamed, *old.dropped, *old.signature.names} - {*change.signature.names})
            if start is not None or lost:
                entry = Changed(change, old, start, lost)
                yield from ((old.name, entry), (change.name, entry))


def changed_value(ctx: FileContext, value: v.Value) -> Changed | None:
    """What changed about the callable that a value is, directly or through a launch or ``nki.jit``."""
    for option in v.options(value):
        for callee in v.callees(option) or ():
            found = changed(ctx, callee.name)
            if found is not None and not callee.first and not callee.frozen:
                return found
    return None


def shape(arguments: list[ast.expr], keywords: list[ast.keyword]) -> tuple[int | None, set[str | None]]:
    """How many positional arguments (None when a star hides that) and which keywords a call has."""
    starred = any(isinstance(argument, ast.Starred) for argument in arguments)
    return None if starred else len(arguments), {keyword.arg for keyword in keywords}
