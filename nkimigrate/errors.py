"""What is said to a user whose command cannot be carried out."""

from __future__ import annotations


class UsageError(Exception):
    """Wrong usage or configuration; the text says what is wrong, and how it would be right."""
