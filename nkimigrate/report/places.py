"""How reports for other programs name a file."""

from __future__ import annotations

import os
from urllib.parse import quote


def uri(path: str, folder: str = ".") -> str:
    """A reference relative to ``folder`` for what lies below it, else a ``file:`` URI."""
    relative = path
    if os.path.isabs(path) or ".." in path.split(os.sep) or folder != ".":
        relative = os.path.relpath(path, folder)
    if relative.split(os.sep)[0] == os.pardir:
        return "file://" + quote(os.fsencode(os.path.abspath(path)))
    return quote(os.fsencode(os.path.normpath(relative)))
