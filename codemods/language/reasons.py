"""What is to be done to a place, why it cannot be rewritten, or what to know about it."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import SupportsIndex

from ..elsewhere import Kernel
from ..model import Edit
from ..record import fresh, record


@record
class Reason:
    """A message at a place: ``message`` is its key in ``lowering/messages.py``, ``fields`` fill it in."""

    node: ast.AST
    message: str
    fields: Mapping[str, str] = fresh(factory=dict)


class Once(list[Reason]):
    """Reasons in the order in which they came up; :meth:`add` takes each once."""

    def __init__(self) -> None:
        super().__init__()
        self._known: set[tuple[object, ...]] = set()

    def add(self, reason: Reason) -> None:
        """Keep a reason, unless it is there."""
        key = _key(reason)
        if key not in self._known:
            self._known.add(key)
            self.append(reason)

    def __delitem__(self, where: SupportsIndex | slice) -> None:
        gone = self[where]
        self._known.difference_update(_key(reason) for reason in (gone if isinstance(gone, list) else [gone]))
        super().__delitem__(where)


def _key(reason: Reason) -> tuple[object, ...]:
    return (reason.node, reason.message, *sorted(reason.fields.items()))


@record
class Change:
    """A place that is rewritten: the finding that a report has of it.

    Attributes:
        node: the place, which covers every line that the edits change.
        code: the code of the rule that describes this kind of change.
        text: what the place becomes, or what is gone.
        edits: carried out only when no part of the file has a reason against it.
    """

    node: ast.AST
    code: str
    text: str
    edits: tuple[Edit, ...]


@record
class Work:
    """What one part of the language step wants to do to a file.

    Attributes:
        changes: carried out together or not at all.
        reasons: what a person must decide first.
        notes: what to know about places that are rewritten.
        left: what a person must do after the file is rewritten; it stands in the way of nothing.
        staying: functions that stay in the old language, while the rest of the file is rewritten.
        kernels: what other files have to know of those that do not.
    """

    changes: tuple[Change, ...] = ()
    reasons: tuple[Reason, ...] = ()
    notes: tuple[Reason, ...] = ()
    left: tuple[Reason, ...] = ()
    staying: frozenset[str] = frozenset()
    kernels: Mapping[str, Kernel] = fresh(factory=dict)

    def __add__(self, other: Work) -> Work:
        return Work(
            self.changes + other.changes,
            self.reasons + other.reasons,
            self.notes + other.notes,
            self.left + other.left,
            self.staying | other.staying,
            {**self.kernels, **other.kernels},
        )
