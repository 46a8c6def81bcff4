"""The JSON report: valid by its schema whatever it holds, and described key by key."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from reports import hostile, mixed, report

from nkimigrate import cli
from nkimigrate.report.json_ import SCHEMA_VERSION, render
from nkimigrate.report.model import Report
from nkimigrate.report.view import View

REPORTS = {"empty": report(), "mixed": mixed(), "hostile": hostile()}


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    text = files("nkimigrate.report").joinpath("nkimigrate-report.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    jsonschema.Draft202012Validator.check_schema(loaded)
    return loaded


def closed(schema: Any) -> Any:
    """The schema with nothing allowed that it does not describe."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: closed(value) for key, value in schema.items()}
    return {**inner, "additionalProperties": False} if "properties" in inner else inner


def document(made: Report, mode: str = "write") -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads("\n".join(render(View(made, mode))).encode("utf-8", "strict"))
    return loaded


@pytest.mark.parametrize("mode", ["write", "check", "diff"])
@pytest.mark.parametrize("name", REPORTS)
def test_reports_fit_the_schema_and_the_schema_fits_the_reports(schema: Any, name: str, mode: str) -> None:
    jsonschema.Draft202012Validator(closed(schema)).validate(document(REPORTS[name], mode))


def test_schema_describes_this_version_and_requires_every_key(schema: Any) -> None:
    assert schema["properties"]["schema_version"]["const"] == SCHEMA_VERSION
    assert set(schema["required"]) == set(document(mixed()))


@pytest.mark.parametrize("path", [("findings", 0, "line"), ("summary", "places"), ("exit_code",)])
def test_schema_rejects_what_is_wrong(schema: Any, path: tuple[Any, ...]) -> None:
    """The validation above can fail."""
    made = document(mixed())
    place: Any = made
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = -1
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(made, schema)


def test_counts_add_up_in_total_and_for_each_rule() -> None:
    made = document(mixed(), "check")
    total = made["summary"]
    assert (total["files"], total["parsed_files"], total["affected_files"]) == (10, 4, 2)
    assert (total["changed_files"], total["problem_files"], total["suppressed"]) == (1, 1, 2)
    for counts in (total, *made["rules"]):
        parts = ("rewritten", "rewritten_with_note", "noted", "needs_you")
        assert counts["places"] == sum(counts[part] for part in parts)
    assert total["places"] == len(made["findings"]) == sum(rule["places"] for rule in made["rules"]) == 6
    assert made["exit_code"] == 3


def test_a_finding_has_all_that_is_known_about_it() -> None:
    assert document(mixed())["findings"][5] == {
        "code": "NKM201",
        "outcome": "needs-you",
        "changed": False,
        "path": "other.ipynb",
        "cell": 2,
        "line": 3,
        "column": 5,
        "end_line": 3,
        "end_column": 9,
        "message": "`qkv` now takes `eps` by keyword",
        "step": "Pass it by keyword.",
    }


def test_the_example_in_the_documentation_is_what_is_printed(
    repository: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    schema: Any,
) -> None:
    page = (repository / "docs" / "json.md").read_text(encoding="utf-8")
    (source,) = re.findall(r"`model.py`:\n\n```python\n(.*?)```", page, re.DOTALL)
    (printed,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    (tmp_path / "model.py").write_text(source, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert cli.main(["--check", "--output-format", "json", "model.py"]) == json.loads(printed)["exit_code"]
    assert capsys.readouterr().out == printed
    jsonschema.validate(json.loads(printed), schema)


def test_reports_of_the_same_findings_are_the_same() -> None:
    slow = mixed()
    slow.seconds = 99.0
    assert list(render(View(slow))) == list(render(View(mixed())))
