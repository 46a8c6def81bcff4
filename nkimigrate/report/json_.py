"""The report for programs: a JSON document, as ``nkimigrate-report.schema.json`` beside this file says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .. import __version__
from ..codemods.model import Finding
from .documents import Each, lines
from .found import changed
from .model import Problem
from .view import NEEDS_YOU, NOTED, REWRITTEN, REWRITTEN_NOTED, View, by_code, by_path, counts

SCHEMA_VERSION = 1


def render(view: View) -> Iterator[str]:
    """The document, line by line without newlines."""
    return lines(document(view))


def document(view: View) -> dict[str, Any]:
    """The report as JSON values and :class:`Each`; everything in it is deterministic."""
    report = view.report
    return {
        "schema_version": SCHEMA_VERSION,
        "version": __version__,
        "releases": {"from": report.release_from, "to": report.release_to},
        "mode": view.mode,
        "exit_code": view.exit_code,
        "summary": {
            "files": report.files,
            "parsed_files": report.candidates,
            "affected_files": _number(by_path(view.findings)),
            "changed_files": _number(_changed(view)),
            "problem_files": len({problem.path for problem in report.problems}),
            **_counts(counts(view.findings)),
            "suppressed": report.suppressed,
            "known": report.known,
        },
        "rules": [{"code": code, **_counts(found)} for code, found in by_code(view.findings).items()],
        "findings": Each(lambda: map(_finding, view.findings)),
        "changed_files": Each(lambda: map(_text, _changed(view))),
        "problems": [_problem(problem) for problem in report.problems],
    }


def _changed(view: View) -> Iterator[str]:
    """The files that changed, or would: in a check those with something to rewrite."""
    if view.mode == "check":
        return (path for path, _ in by_path(finding for finding in view.findings if finding.edits))
    return changed(view.report.changes)


def _number(items: Iterable[object]) -> int:
    return sum(1 for _ in items)


def _counts(found: Mapping[str, int]) -> dict[str, int]:
    return {
        "places": sum(found.values()),
        "rewritten": found[REWRITTEN],
        "rewritten_with_note": found[REWRITTEN_NOTED],
        "noted": found[NOTED],
        "needs_you": found[NEEDS_YOU],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "code": finding.code,
        "outcome": finding.outcome.value,
        "changed": bool(finding.edits),
        "path": _text(finding.path),
        "cell": finding.cell,
        "line": finding.line,
        "column": finding.column,
        "end_line": finding.end_line,
        "end_column": finding.end_column,
        "message": _text(finding.message),
        "step": _text(finding.step),
    }


def _problem(problem: Problem) -> dict[str, Any]:
    return {
        "code": problem.code,
        "path": _text(problem.path),
        "line": problem.line,
        "column": problem.column,
        "message": _text(problem.message),
    }


def _text(text: str) -> str:
    """``text`` with halves of surrogate pairs escaped: names may hold some, strict parsers reject them."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
