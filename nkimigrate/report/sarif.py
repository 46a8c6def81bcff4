"""SARIF 2.1.0, for code scanning services and editors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .. import __version__
from ..codemods.model import Finding
from ..codemods.rules import all_rules
from ..fingerprints import marked
from ..problems import all_problems
from ..ruledocs import Documented, as_markdown, explanation
from ..terminal import clean
from .documents import Each, lines
from .model import Problem
from .places import uri
from .text import position
from .view import NEEDS_YOU, NOTED, REWRITTEN, REWRITTEN_NOTED, View, kind

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
FINGERPRINT = "nkimigrateFinding/v1"
_LEVELS = {REWRITTEN: "warning", REWRITTEN_NOTED: "note", NOTED: "note", NEEDS_YOU: "error"}


def render(view: View) -> Iterator[str]:
    """The log, line by line without newlines."""
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [_run(view)]}
    return lines(log)


def _run(view: View) -> dict[str, Any]:
    rules = {rule.code: index for index, rule in enumerate(all_rules())}
    return {
        "tool": {"driver": _driver()},
        "columnKind": "unicodeCodePoints",
        "invocations": [_invocation(view)],
        "results": Each(lambda: (_result(finding, rules, mark) for mark, finding in marked(view.findings))),
    }


def _driver() -> dict[str, Any]:
    return {
        "name": "nkimigrate",
        "version": __version__,
        "semanticVersion": __version__,
        "rules": [_descriptor(rule, "warning") for rule in all_rules()],
        "notifications": [_descriptor(problem, "error") for problem in all_problems()],
    }


def _descriptor(item: Documented, level: str) -> dict[str, Any]:
    return {
        "id": item.code,
        "name": item.name.title().replace("-", ""),
        "shortDescription": {"text": item.summary.replace("``", "`")},
        "help": {"text": "\n".join(explanation(item, False)), "markdown": as_markdown(item)},
        "defaultConfiguration": {"level": level},
    }


def _invocation(view: View) -> dict[str, Any]:
    return {
        "executionSuccessful": not view.report.problems,
        "exitCode": view.exit_code,
        "toolExecutionNotifications": [_notification(problem) for problem in view.report.problems],
    }


def _notification(problem: Problem) -> dict[str, Any]:
    region = {"startLine": problem.line, "startColumn": problem.column}
    return {
        "descriptor": {"id": problem.code},
        "level": "error",
        "message": {"text": clean(problem.message)},
        "locations": [_location(problem.path, region)],
    }


def _result(finding: Finding, rules: dict[str, int], fingerprint: str) -> dict[str, Any]:
    result = {
        "ruleId": finding.code,
        "level": _LEVELS[kind(finding)],
        "message": {"text": _message(finding)},
        "locations": [_location(finding.path, _region(finding))],
        "partialFingerprints": {FINGERPRINT: fingerprint},
        "properties": {"outcome": finding.outcome.value, "changed": bool(finding.edits)},
    }
    return {**result, "ruleIndex": rules[finding.code]} if finding.code in rules else result


def _message(finding: Finding) -> str:
    lines = [finding.message if finding.cell is None else f"{position(finding)} {finding.message}"]
    if finding.step:
        label = "Next" if kind(finding) == NEEDS_YOU else "Note"
        lines += f"{label}: {finding.step}".splitlines()
    # A viewer takes `[2](x)` for a link, and code is full of that.
    return "\n".join(map(clean, lines)).replace("](", "] (")


def _region(finding: Finding) -> dict[str, int]:
    if finding.cell is not None:  # lines of a cell are not lines of the file
        return {"startLine": 1}
    return {
        "startLine": finding.line,
        "startColumn": finding.column,
        "endLine": finding.end_line,
        "endColumn": finding.end_column,
    }


def _location(path: str, region: dict[str, int]) -> dict[str, Any]:
    return {"physicalLocation": {"artifactLocation": {"uri": uri(path)}, "region": region}}
