"""JUnit XML: one test suite for each file; what makes the exit code differ from 0 is a failure."""

from __future__ import annotations

from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

from ..codemods.model import Finding
from ..terminal import clean
from .model import Problem
from .text import position
from .view import View, files, kind, label


def render(view: View) -> Iterator[str]:
    """The document, line by line without newlines."""
    failures = sum(map(view.fails, view.findings))
    errors = len(view.report.problems)
    total = len(view.findings) + errors
    yield '<?xml version="1.0" encoding="utf-8"?>'
    yield f"<testsuites {_attributes(name='nkimigrate', **_totals(total or 1, failures, errors))}>"
    for path, findings, problems in files(view):
        yield from _suite(view, path, findings, problems)
    if not total:  # readers of such files take one without any test for a broken run
        yield from _clean_suite(view)
    yield "</testsuites>"


def _suite(view: View, path: str, findings: list[Finding], problems: list[Problem]) -> Iterator[str]:
    failures = sum(map(view.fails, findings))
    totals = _totals(len(findings) + len(problems), failures, len(problems))
    yield f"  <testsuite {_attributes(name=path, **totals)}>"
    for finding in findings:
        yield from _finding(view, finding)
    for problem in problems:
        place = f"{problem.line}:{problem.column}"
        yield f"    <testcase {_attributes(classname=path, name=f'{problem.code} {place}', time='0')}>"
        yield f"      <error {_attributes(type=problem.code, message=problem.message)}/>"
        yield "    </testcase>"
    yield "  </testsuite>"


def _finding(view: View, finding: Finding) -> Iterator[str]:
    name = f"{finding.code} {position(finding)}"
    case = _attributes(classname=finding.path, name=name, file=finding.path, line=finding.line, time="0")
    yield f"    <testcase {case}>"
    text = f"{label(kind(finding), view.mode)}: {finding.message}"
    if view.fails(finding):
        yield f"      <failure {_attributes(type=finding.code, message=text)}>{_text(finding.step)}</failure>"
    else:
        yield f"      <system-out>{_text(text + chr(10) + finding.step)}</system-out>"
    yield "    </testcase>"


def _clean_suite(view: View) -> Iterator[str]:
    totals = _totals(1, 0, 0)
    yield f"  <testsuite {_attributes(name='nkimigrate', **totals)}>"
    name = f"nothing to migrate in {view.report.files} files"
    yield f"    <testcase {_attributes(classname='nkimigrate', name=name, time='0')}/>"
    yield "  </testsuite>"


def _totals(tests: int, failures: int, errors: int) -> dict[str, object]:
    return {"tests": tests, "failures": failures, "errors": errors}


def _attributes(**values: object) -> str:
    return " ".join(f"{key}={quoteattr(clean(str(value)))}" for key, value in values.items())


def _text(text: str) -> str:
    return "\n".join(escape(clean(line)) for line in text.splitlines())
