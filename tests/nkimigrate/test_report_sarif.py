"""SARIF, held against the parts of the standard that are used.

The official schema is not distributed here. Where it is at hand (`NKIMIGRATE_SARIF_SCHEMA=path`), the logs
are validated against it as well.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

import jsonschema
import pytest
from reports import HOSTILE, finding, hostile, mixed, report

from nkimigrate.codemods.rules import all_rules
from nkimigrate.problems import all_problems
from nkimigrate.report.model import Problem, Report
from nkimigrate.report.places import uri
from nkimigrate.report.sarif import FINGERPRINT, render
from nkimigrate.report.view import View

REPORTS = {"empty": report(), "mixed": mixed(), "hostile": hostile()}
OFFICIAL = os.environ.get("NKIMIGRATE_SARIF_SCHEMA", "")


def log(made: Report, mode: str = "check") -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads("\n".join(render(View(made, mode))).encode("utf-8", "strict"))
    return loaded


def only_run(made: Report, mode: str = "check") -> dict[str, Any]:
    (run,) = log(made, mode)["runs"]
    loaded: dict[str, Any] = run
    return loaded


def validate(instance: Any, schema: Any) -> None:
    jsonschema.validate(instance, schema, format_checker=jsonschema.FormatChecker())


@pytest.fixture(scope="module")
def used(repository: Path) -> Any:
    path = repository / "tests" / "data" / "sarif-2.1.0-used.schema.json"
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("mode", ["write", "check", "diff"])
@pytest.mark.parametrize("name", REPORTS)
def test_logs_fit_the_standard(used: Any, name: str, mode: str) -> None:
    validate(log(REPORTS[name], mode), used)


@pytest.mark.skipif(not OFFICIAL, reason="NKIMIGRATE_SARIF_SCHEMA names no copy of the official schema")
@pytest.mark.parametrize("name", REPORTS)
def test_logs_fit_the_official_schema(name: str) -> None:
    validate(log(REPORTS[name]), json.loads(Path(OFFICIAL).read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("version",), "2.0"),
        (("runs", 0, "results", 0, "level"), "fatal"),
        (("runs", 0, "results", 0, "message"), "text"),
        (("runs", 0, "results", 0, "rule"), "NKM201"),
        (("runs", 0, "results", 0, "locations", 0, "physicalLocation", "region", "startLine"), 0),
    ],
)
def test_what_does_not_fit_is_noticed(used: Any, path: tuple[Any, ...], value: Any) -> None:
    made = log(mixed())
    place: Any = made
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        validate(made, used)


def test_levels_follow_outcomes() -> None:
    assert [(r["level"], r["properties"]) for r in only_run(mixed())["results"]] == [
        ("warning", {"outcome": "rewritten", "changed": True}),
        ("warning", {"outcome": "rewritten", "changed": True}),
        ("note", {"outcome": "noted", "changed": True}),
        ("note", {"outcome": "noted", "changed": False}),
        ("error", {"outcome": "needs-you", "changed": False}),
        ("error", {"outcome": "needs-you", "changed": False}),
    ]


def test_a_result_says_where_what_and_what_next() -> None:
    run = only_run(mixed())
    result = run["results"][4]
    assert result["message"]["text"] == "`qkv` now takes `eps` by keyword\nNext: Decide.\n    one = 1"
    assert result["locations"] == [
        {
            "physicalLocation": {
                "artifactLocation": {"uri": "model.py"},
                "region": {"startLine": 12, "startColumn": 5, "endLine": 12, "endColumn": 9},
            }
        }
    ]
    assert run["columnKind"] == "unicodeCodePoints"


def test_calls_of_launches_are_no_links() -> None:
    """Plain messages may hold links, and ``[2](x)`` looks like one."""
    message = "`kernel[2](x)` and [here](javascript:alert(1))"
    shown = only_run(report([finding(message=message)]))["results"][0]["message"]["text"]
    assert "](" not in shown


def test_a_place_in_a_notebook_is_named_in_the_text() -> None:
    result = only_run(mixed())["results"][5]
    assert result["message"]["text"].startswith("cell 2:3:5 `qkv`")
    assert result["locations"][0]["physicalLocation"]["region"] == {"startLine": 1}


def test_rules_are_documented_and_found_by_index() -> None:
    run = only_run(mixed())
    driver = run["tool"]["driver"]
    assert [rule["id"] for rule in driver["rules"]] == [rule.code for rule in all_rules()]
    assert [kind["id"] for kind in driver["notifications"]] == [problem.code for problem in all_problems()]
    for result in run["results"]:
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
    help_ = next(rule["help"] for rule in driver["rules"] if rule["id"] == "NKM201")
    assert "## What it does\n\n" in help_["markdown"]
    assert "What it does\n    " in help_["text"]


def test_an_unknown_rule_has_no_index() -> None:
    (result,) = only_run(report([finding(code="NKM999")]))["results"]
    assert "ruleIndex" not in result


def test_problems_are_notifications_of_a_run_that_failed() -> None:
    (invocation,) = only_run(mixed())["invocations"]
    assert (invocation["executionSuccessful"], invocation["exitCode"]) == (False, 3)
    (notification,) = invocation["toolExecutionNotifications"]
    assert notification["descriptor"]["id"] == "NKM901"
    assert notification["locations"][0]["physicalLocation"]["region"] == {"startLine": 4, "startColumn": 2}
    assert only_run(report())["invocations"] == [
        {"executionSuccessful": True, "exitCode": 0, "toolExecutionNotifications": []}
    ]


def fingerprints(made: Report) -> list[str]:
    return [result["partialFingerprints"][FINGERPRINT] for result in only_run(made)["results"]]


def test_fingerprints_survive_moved_lines_and_tell_findings_apart() -> None:
    places = [finding(line=n, end_line=n) for n in (3, 9)]
    others = [finding(path="b.py"), finding(code="NKM202"), finding(message="another")]
    before = fingerprints(report([*places, *others]))
    assert len(set(before)) == 5
    moved = [replace(f, line=f.line + 40, end_line=f.end_line + 40, column=1) for f in places]
    assert fingerprints(report([*moved, *others])) == before
    assert fingerprints(report([finding(path="./model.py")])) == before[:1]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("model.py", "model.py"),
        ("./a/../model.py", "model.py"),
        ("a b/ä,:%.py", "a%20b/%C3%A4%2C%3A%25.py"),
        ("HERE/model.py", "model.py"),
        ("../model.py", "file://PARENT/model.py"),
        ("/etc/model.py", "file:///etc/model.py"),
    ],
)
def test_paths_are_relative_below_the_current_folder_and_absolute_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, expected: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert uri(path.replace("HERE", str(tmp_path))) == expected.replace("PARENT", str(tmp_path.parent))


def test_hostile_paths_come_back_from_their_uri() -> None:
    path = HOSTILE.replace("\0", "") + ".py"
    made = report([finding(path=path)], [Problem("NKM902", path, "no")])
    result = only_run(made)["results"][0]
    found = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert unquote_to_bytes(urlsplit(found).path) == os.fsencode(path)
