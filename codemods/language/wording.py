"""What a reason says to people."""

from __future__ import annotations

import textwrap
from collections import defaultdict
from typing import TYPE_CHECKING

from .lowering.messages import MESSAGES

if TYPE_CHECKING:
    from .reasons import Reason

BY_HAND = "Write this place for the new language by hand; nkimigrate then migrates the rest of the file."
_WIDTH = 88
MARK = "# nkimigrate:"
"""How a comment begins at a place that a partial migration leaves."""


def worded(reason: Reason, here: str) -> tuple[str, str, str]:
    """Code, what is the matter, and the next step; a field that is not given is the place, ``here``.

    The field ``reason`` says more of what is the matter than the message does.
    """
    message = MESSAGES[reason.message]
    fields = defaultdict(lambda: " ".join(here.split()), reason.fields)
    said, _, step = message.text.format_map(fields).partition(". ")
    why = [reason.fields["reason"]] if "reason" in reason.fields else []
    return message.code, ": ".join([said.rstrip("."), *why]), step or BY_HAND


def mark(reason: Reason, here: str, indent: str = "") -> list[str]:
    """The comment for a place that stays as it is while the rest of its kernel is migrated."""
    code, said, _ = worded(reason, here)
    return _comment(f"{code} {said}", indent)


def has_marks(text: str) -> bool:
    """Whether a partial migration left marks in a file that still stand."""
    return any(line.lstrip().startswith(f"{MARK} NKL") for line in text.splitlines())


def waiting(indent: str) -> list[str]:
    """The comment for a place that uses what such a place would make."""
    return _comment("NKL200 uses what stands at a mark above", indent)


def _comment(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        f"{MARK} {text}",
        max(_WIDTH, len(indent) + 40),
        initial_indent=indent,
        subsequent_indent=f"{indent}#     ",
        break_long_words=False,
        break_on_hyphens=False,
    )
