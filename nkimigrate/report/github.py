"""Annotations of GitHub Actions: one workflow command for each finding and problem."""

from __future__ import annotations

from collections.abc import Iterator

from ..codemods.model import Finding
from ..terminal import clean
from .model import Problem
from .text import position
from .view import NEEDS_YOU, NOTED, REWRITTEN, REWRITTEN_NOTED, View, kind

_LEVELS = {REWRITTEN: "warning", REWRITTEN_NOTED: "notice", NOTED: "notice", NEEDS_YOU: "error"}
_DATA = {ord("%"): "%25", ord("\r"): "%0D", ord("\n"): "%0A"}
_PROPERTY = {**_DATA, ord(":"): "%3A", ord(","): "%2C"}


def render(view: View) -> Iterator[str]:
    """The annotations, line by line without newlines."""
    yield from map(_finding, view.findings)
    yield from map(_problem, view.report.problems)


def _finding(finding: Finding) -> str:
    place = {"line": finding.line, "endLine": finding.end_line}
    if finding.line == finding.end_line:  # GitHub ignores columns of what spans lines
        place |= {"col": finding.column, "endColumn": finding.end_column}
    if finding.cell is not None:  # lines of a cell are not lines of the file
        place = {"line": 1}
    text = [f"{finding.path}:{position(finding)} {finding.code} {finding.message}", *_step(finding)]
    return _command(_LEVELS[kind(finding)], finding.path, place, finding.code, text)


def _step(finding: Finding) -> list[str]:
    label = "next" if kind(finding) == NEEDS_YOU else "note"
    return f"{label}: {finding.step}".splitlines() if finding.step else []


def _problem(problem: Problem) -> str:
    place = {"line": problem.line, "col": problem.column}
    text = f"{problem.path}:{problem.line}:{problem.column} {problem.code} {problem.message}"
    return _command("error", problem.path, place, problem.code, [text])


def _command(level: str, path: str, place: dict[str, int], code: str, lines: list[str]) -> str:
    properties = {"file": path, **place, "title": f"nkimigrate ({code})"}
    written = ",".join(f"{key}={clean(str(value)).translate(_PROPERTY)}" for key, value in properties.items())
    return f"::{level} {written}::{_data(lines)}"


def _data(lines: list[str]) -> str:
    return "\n".join(map(clean, lines)).translate(_DATA)
