"""Notebooks: found and counted, not rewritten."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from .model import Finding, Outcome
from .release import Release

CODE = "NKM905"


def analyse_notebook(data: bytes, path: str, release: Release) -> Iterator[Finding]:
    """One finding for a notebook whose code cells mention the library, or that is no notebook."""
    try:
        cells = code_cells(json.loads(data))
    except ValueError as error:
        yield _finding(path, f"is not a notebook: {error}", "Repair the file, then run nkimigrate again.")
        return
    names = re.compile(rf"(?<![\w.])(?:{'|'.join(map(re.escape, _mentions(release)))})(?![\w-])")
    count = sum(bool(names.search(cell)) for cell in cells)
    if count:
        plural = "cell mentions" if count == 1 else "cells mention"
        yield _finding(
            path,
            f"{count} code {plural} {release.product}; notebooks are not rewritten",
            "Change these cells by hand, or save them as a script, migrate that, and copy the result back.",
        )


def code_cells(notebook: Any) -> list[str]:
    """The sources of a notebook's code cells, of formats 3 and 4; raises ValueError for anything else."""
    if not isinstance(notebook, dict):
        raise ValueError("it is no JSON object")
    sheets = notebook.get("worksheets") or [notebook]
    try:
        cells = [cell for sheet in sheets for cell in sheet["cells"] if cell.get("cell_type") == "code"]
        return [_joined(cell.get("source", cell.get("input", ""))) for cell in cells]
    except (AttributeError, KeyError, TypeError):
        raise ValueError("it has no list of cells") from None


def _joined(source: str | list[str]) -> str:
    return source if isinstance(source, str) else "".join(source)


def _mentions(release: Release) -> list[str]:
    """What code that concerns this release has to spell."""
    private = {name.rpartition(".")[0] for kernel in release.private for name in kernel.old}
    return sorted({release.root, *release.legacy_tops, *private}, key=len, reverse=True)


def _finding(path: str, message: str, step: str) -> Finding:
    return Finding(CODE, path, 1, 1, 1, 1, Outcome.NEEDS_YOU, message, step)
