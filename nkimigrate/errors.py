"""What is said to a user whose command cannot be carried out."""

from __future__ import annotations


class UsageError(Exception):
    """Wrong usage or configuration; the text says what is wrong, and how it would be right."""


class FileError(Exception):
    """Something cannot be done with a file: ``path``, and a ``message`` that says why."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(path, message)
        self.path = path
        self.message = message

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"
