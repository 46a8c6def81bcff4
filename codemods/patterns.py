"""Regular expressions that are compiled when they are first used.

A check imports some thirty of them, which takes a twentieth of its start, and uses a third.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False  # typing stays unloaded where few files are checked
if TYPE_CHECKING:
    from typing import Any, AnyStr


class _Pattern:
    """Gets each method of the compiled expression when that is asked for."""

    def __init__(self, text: str | bytes, flags: int) -> None:
        self._given = text, flags

    def __getattr__(self, name: str) -> Any:
        text, flags = self._given
        found = getattr(re.compile(text, flags), name)
        setattr(self, name, found)
        return found


def pattern(text: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """What ``re.compile`` gives, later."""
    return _Pattern(text, flags)  # type: ignore[return-value]
