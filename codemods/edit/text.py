"""Edits of files that are not Python."""

from __future__ import annotations

from collections.abc import Iterable

from ..model import Edit, ReplaceText
from ..source import Source
from .refusal import EditRefused
from .splices import Splice, ordered, splice


def apply_text(source: Source, edits: Iterable[Edit]) -> str:
    """The text with all :class:`ReplaceText` carried out.

    Raises:
        EditRefused: an edit of another kind, two that overlap, or one whose ``old`` is not what stands there.
    """
    changes = ordered(_checked(source, edit) for edit in dict.fromkeys(edits))
    return splice(source.utf8, (0, len(source.utf8)), changes).decode("utf-8")


def _checked(source: Source, edit: Edit) -> Splice:
    if not isinstance(edit, ReplaceText):
        raise EditRefused(edit, "the file is not Python")
    start, end = edit.span
    found = source.utf8[start:end]
    if found != edit.old.encode("utf-8"):
        raise EditRefused(edit, f"the text there is {found.decode('utf-8', 'replace')!r}, not {edit.old!r}")
    return Splice(edit.span, edit.new.encode("utf-8"), edit)
