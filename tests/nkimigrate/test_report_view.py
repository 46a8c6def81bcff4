"""What counts as what, and the exit code that follows."""

from __future__ import annotations

import pytest
from reports import EDIT, finding, report

from nkimigrate.codemods.model import Finding, Outcome
from nkimigrate.report.model import Problem
from nkimigrate.report.view import View, kind

REWRITTEN, NOTE = finding(), finding("noted")
REWRITTEN_NOTE, PERSON = finding("noted", edits=EDIT), finding("needs-you")
PROBLEM = Problem("NKM901", "a.py", "does not parse")


@pytest.mark.parametrize(
    ("findings", "write", "check"),
    [
        ([], 0, 0),
        ([NOTE], 0, 0),
        ([REWRITTEN], 0, 1),
        ([REWRITTEN_NOTE], 0, 1),
        ([PERSON], 1, 1),
        ([REWRITTEN, NOTE, PERSON], 1, 1),
    ],
)
def test_exit_codes(findings: list[Finding], write: int, check: int) -> None:
    made = report(findings)
    assert View(made).exit_code == write
    assert View(made, "check").exit_code == View(made, "diff").exit_code == check
    assert View(made, exit_zero=True).exit_code == View(made, "check", exit_zero=True).exit_code == 0


@pytest.mark.parametrize("mode", ["write", "check", "diff"])
def test_a_problem_wins_over_findings_and_over_exit_zero(mode: str) -> None:
    for findings in ([], [REWRITTEN], [PERSON]):
        assert View(report(findings, [PROBLEM]), mode).exit_code == 3
        assert View(report(findings, [PROBLEM]), mode, exit_zero=True).exit_code == 3


def test_what_could_not_be_written_needs_a_person() -> None:
    made = report(
        [finding(path="a.py"), finding("noted", path="a.py"), finding(path="b.py")],
        [Problem("NKM907", "a.py", "permission denied")],
    )
    shown = View(made).findings
    assert [kind(f) for f in shown] == ["needs you", "noted", "rewritten"]
    assert shown[0].outcome is Outcome.NEEDS_YOU
    assert "run nkimigrate again" in shown[0].step
    assert made.findings[0].outcome is Outcome.REWRITTEN, "the report itself stays"
