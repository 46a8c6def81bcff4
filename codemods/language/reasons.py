"""Why a place cannot be rewritten, or what to know about one that is."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..model import Edit


@dataclass(frozen=True, slots=True)
class Reason:
    """A message at a place: ``message`` is the key of one in ``lowering/messages.py``, ``fields`` fill it in."""

    node: ast.AST
    message: str
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Work:
    """What one part of the language step wants to do to a file.

    Attributes:
        edits: carried out only when no part of the file has a reason against it.
        reasons: what a person must decide first.
        notes: what to know about places that are rewritten.
    """

    edits: tuple[Edit, ...] = ()
    reasons: tuple[Reason, ...] = ()
    notes: tuple[Reason, ...] = ()

    def __add__(self, other: Work) -> Work:
        return Work(self.edits + other.edits, self.reasons + other.reasons, self.notes + other.notes)
