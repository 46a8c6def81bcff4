"""GitLab's code quality report."""

from __future__ import annotations

import json
from typing import Any

import pytest
from reports import hostile, mixed, report

from nkimigrate.report.gitlab import render
from nkimigrate.report.model import Report
from nkimigrate.report.view import View


def entries(made: Report) -> list[dict[str, Any]]:
    return list(json.loads("\n".join(render(View(made, "check")))))


@pytest.mark.parametrize("made", [report(), mixed(), hostile()])
def test_every_entry_has_what_gitlab_requires(made: Report) -> None:
    found = entries(made)
    assert len(found) == len(made.findings) + len(made.problems)
    for entry in found:
        assert entry.keys() == {"description", "check_name", "fingerprint", "severity", "location"}
        assert entry["severity"] in {"info", "minor", "major", "critical", "blocker"}
        assert entry["location"]["lines"]["begin"] >= 1
        assert not entry["location"]["path"].startswith(("./", "/"))
        assert entry["description"].isprintable()
    assert len({entry["fingerprint"] for entry in found}) == len(found)


def test_severity_says_who_has_to_act() -> None:
    severities = [entry["severity"] for entry in entries(mixed())]
    assert severities == ["major", "major", "minor", "info", "critical", "critical", "blocker"]


def test_a_cell_is_named_in_the_text() -> None:
    entry = next(entry for entry in entries(mixed()) if entry["location"]["path"] == "other.ipynb")
    assert "cell 2:3:5" in entry["description"]
    assert entry["location"]["lines"]["begin"] == 1
