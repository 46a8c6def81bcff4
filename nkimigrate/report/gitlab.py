"""GitLab's code quality report: a JSON array with one entry for each finding and problem."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from ..codemods.model import Finding
from ..fingerprints import marked
from ..terminal import clean
from .documents import Each, lines
from .model import Problem
from .places import uri
from .text import position
from .view import NEEDS_YOU, NOTED, REWRITTEN, REWRITTEN_NOTED, View, kind

_SEVERITIES = {REWRITTEN: "major", REWRITTEN_NOTED: "minor", NOTED: "info", NEEDS_YOU: "critical"}


def render(view: View) -> Iterator[str]:
    """The array, line by line without newlines."""
    return lines(Each(lambda: _entries(view)))


def _entries(view: View) -> Iterator[dict[str, Any]]:
    for mark, finding in marked(view.findings):
        yield _finding(finding, mark)
    yield from map(_problem, view.report.problems)


def _finding(finding: Finding, fingerprint: str) -> dict[str, Any]:
    cell = "" if finding.cell is None else f"{position(finding)} "
    step = f" {finding.step.splitlines()[0]}" if finding.step.strip() else ""
    line = finding.line if finding.cell is None else 1  # lines of a cell are not lines of the file
    text = clean(f"{finding.code} {cell}{finding.message}{step}")
    return _entry(finding.code, text, finding.path, line, _SEVERITIES[kind(finding)], fingerprint)


def _problem(problem: Problem) -> dict[str, Any]:
    text = clean(f"{problem.code} {problem.message}")
    mark = hashlib.sha256(f"{problem.code}\0{uri(problem.path)}".encode("utf-8", "backslashreplace"))
    return _entry(problem.code, text, problem.path, problem.line, "blocker", mark.hexdigest()[:32])


def _entry(code: str, text: str, path: str, line: int, severity: str, fingerprint: str) -> dict[str, Any]:
    return {
        "description": text,
        "check_name": code,
        "fingerprint": fingerprint,
        "severity": severity,
        "location": {"path": uri(path), "lines": {"begin": line}},
    }
