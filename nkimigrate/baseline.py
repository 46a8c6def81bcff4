"""Findings a project already knows of, kept in a file: a check then fails only on new ones."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from typing import Any

from .codemods.model import Finding
from .errors import UsageError
from .fingerprints import marked
from .reading import Unreadable, read, reason
from .writer import put

_VERSION = 1
_LIMIT = 256 << 20


def without_known(findings: Sequence[Finding], path: str) -> tuple[list[Finding], int, int]:
    """The findings that the file does not list; how many it lists; how many of those are gone.

    Raises UsageError for a file that is missing or no baseline.
    """
    known = _read(path)
    new, met = [], set()
    for mark, finding in marked(findings, _folder(path)):
        if mark in known:
            met.add(mark)
        else:
            new.append(finding)
    return new, len(met), len(known - met)


def write(findings: Iterable[Finding], path: str) -> None:
    """Make the file list these findings, one line each so that changes are read easily.

    Raises UsageError if it cannot be written.
    """
    listed = [(f.path, f.code, f.message, mark) for mark, f in marked(findings, _folder(path))]
    rows = [json.dumps(_entry(*row, folder=_folder(path)), ensure_ascii=True) for row in sorted(listed)]
    text = "\n".join([f'{{"version": {_VERSION}, "findings": [', ",\n".join(rows), "]}", ""])
    try:
        put(path, text.encode())
    except OSError as error:
        raise UsageError(f"--baseline {path}: {reason(error)}") from None


def _entry(path: str, code: str, message: str, mark: str, folder: str) -> dict[str, str]:
    from .report.places import uri

    return {"path": uri(path, folder), "code": code, "message": message, "fingerprint": mark}


def _folder(path: str) -> str:
    """Paths are relative to the file, so that it can be used from every folder."""
    return os.path.dirname(path) or "."


def _read(path: str) -> set[str]:
    try:
        content: Any = json.loads(read(path, _LIMIT))
    except Unreadable as error:
        made = "" if os.path.lexists(path) else "; --write-baseline makes it from today's findings"
        raise UsageError(f"--baseline {path}: {error.message}{made}") from None
    except (ValueError, RecursionError):
        raise UsageError(f"--baseline {path}: not JSON; --write-baseline writes it anew") from None
    try:
        if content["version"] != _VERSION:
            raise UsageError(
                f"--baseline {path}: made by another nkimigrate; write it anew with --write-baseline"
            )
        return {str(entry["fingerprint"]) for entry in content["findings"]}
    except (KeyError, TypeError):
        raise UsageError(f"--baseline {path}: not a baseline; --write-baseline writes it anew") from None
