"""The one error of this package."""

from __future__ import annotations

from ..model import Edit


class EditRefused(Exception):
    """An edit that cannot be carried out exactly; nothing of the file has been changed.

    Attributes:
        edit: the edit that was refused.
        reason: why, as the middle of a sentence for a report.
    """

    def __init__(self, edit: Edit, reason: str) -> None:
        super().__init__(edit, reason)
        self.edit = edit
        self.reason = reason

    def __str__(self) -> str:
        return f"{type(self.edit).__name__} at bytes {getattr(self.edit, 'span', None)}: {self.reason}"
