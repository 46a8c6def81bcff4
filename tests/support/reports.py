"""Reports made by hand, with one finding of each kind, and with everything that a hostile tree could hold."""

from __future__ import annotations

from typing import Any

from nkimigrate.codemods.model import Finding, Outcome, Rename
from nkimigrate.report.model import Change, Problem, Report

EDIT = (Rename((0, 1), "a", "b"),)
HOSTILE = "a\x1b[31mb\r\n::error::%25,: ]]><&\"'\u202e\udcff\x00\ufffe\u2028c"


def finding(outcome: str = "rewritten", **values: Any) -> Finding:
    """A finding at ``model.py:3:5``; rewritten ones have an edit."""
    given: dict[str, Any] = {
        "code": "NKM201",
        "path": "model.py",
        "line": 3,
        "column": 5,
        "end_line": values.get("line", 3),
        "end_column": 9,
        "message": "`qkv` now takes `eps` by keyword",
        "step": "" if outcome == "rewritten" else "Pass it by keyword.",
        "edits": EDIT if outcome == "rewritten" else (),
        **values,
    }
    return Finding(outcome=Outcome(outcome), **given)


def report(
    findings: list[Finding] | None = None, problems: list[Problem] | None = None, **values: Any
) -> Report:
    """A report over ten files, with a change for each file that has edits."""
    made = Report("2.27", "2.28")
    made.findings = findings or []
    made.problems = problems or []
    changed = dict.fromkeys(f.path for f in made.findings if f.edits)
    made.changes = [Change(path, b"a\n", b"b\n") for path in changed]
    made.files, made.candidates = 10, 4
    for name, value in values.items():
        setattr(made, name, value)
    return made


def mixed() -> Report:
    """Two rewritten places, one with a note, one noted, two that need a person; a problem; two suppressed."""
    return report(
        [
            finding(),
            finding(line=7, code="NKM101", message="`a` is `b` now"),
            finding("noted", line=8, edits=EDIT, step="Numbers change."),
            finding("noted", line=9, code="NKM501", message="`eps` is honoured now"),
            finding("needs-you", line=12, step="Decide.\n    one = 1"),
            finding("needs-you", path="other.ipynb", cell=2),
        ],
        [Problem("NKM901", "broken.py", "does not parse: invalid syntax", 4, 2)],
        suppressed=2,
        seconds=1.25,
    )


def hostile() -> Report:
    """Whatever a file name, a message or a step could hold to break out of a format."""
    return report(
        [
            finding(outcome, path=HOSTILE + "/x", message=HOSTILE, step=HOSTILE, code="NKM201")
            for outcome in ("rewritten", "noted", "needs-you")
        ],
        [Problem("NKM902", HOSTILE, HOSTILE)],
    )
