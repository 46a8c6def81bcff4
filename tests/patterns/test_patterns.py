"""The call-site patterns that a migration from 2.27 to 2.28 must handle, as small trees before and after.

The cases are in ``cases/``, one file for a pattern; ``tests/support/diffcases.py`` says how they are written.
"""

from __future__ import annotations

from pathlib import Path

import diffcases
import pytest
from diffcases import Case, CaseFile, Expected
from helpers import Result, check_sound, migrate

CASES = [
    case for path in sorted((Path(__file__).parent / "cases").glob("*.diff")) for case in diffcases.read(path)
]


@pytest.mark.parametrize("number", range(1, 63))
def test_every_pattern_has_cases(number: int) -> None:
    assert any(case.pattern.startswith(f"{number:02}_") for case in CASES)


def test_case_names_are_unique() -> None:
    names = [case.name for case in CASES]
    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_pattern(case: Case) -> None:
    result = migrate({file.path: file.old for file in case.files})
    for file in case.files:
        assert result.text(file.path) == file.new
    for file in case.files:
        for expected in file.expected:
            assert _reported(result, file, expected), f"{file.path}: {expected}, got {_shown(result, file)}"
        assert not _stray(result, file), f"{file.path}: findings nobody expects"
    check_sound(result)


def _reported(result: Result, file: CaseFile, expected: Expected) -> bool:
    entries = [(p.code, p.line, "problem", p.message) for p in result.problems if p.path == file.path]
    entries += [(f.code, f.line, f.outcome.value, f"{f.message}\n{f.step}") for f in result.at(file.path)]
    return any(
        code.startswith(expected.codes)
        and outcome in expected.outcomes
        and expected.line in (0, line)
        and all(text.lower() in said.lower() for text in expected.texts)
        for code, line, outcome, said in entries
    )


def _stray(result: Result, file: CaseFile) -> list[str]:
    """Findings at unchanged lines, or that need a person, which the case does not name; notes are free."""
    strays = []
    for finding in result.at(file.path):
        named = any(
            finding.code.startswith(e.codes)
            and finding.outcome.value in e.outcomes
            and e.line in (0, finding.line)
            for e in file.expected
        )
        free = finding.code.startswith("NKM5") and finding.outcome.value == "noted"
        touched = any(finding.line <= line <= finding.end_line for line in file.touched)
        if not (named or free or (touched and finding.edits)):
            strays.append(str(finding))
    return strays


def _shown(result: Result, file: CaseFile) -> str:
    return "".join(
        f"\n  {f.line}: {f.code} {f.outcome.value} {f.message} / {f.step}" for f in result.at(file.path)
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_case_itself_is_sound(case: Case) -> None:
    """Both sides of a case are Python, unless a problem is expected, and changes come with findings."""
    for file in case.files:
        if file.path.endswith(".py") and not any("problem" in e.outcomes for e in file.expected):
            compile(file.old, f"{case.name} before", "exec", dont_inherit=True)
            compile(file.new, f"{case.name} after", "exec", dont_inherit=True)
        asked = {e.line for e in file.expected}
        rewritten = any(e.outcomes & {"rewritten", "noted"} for e in file.expected)
        assert not file.touched or asked & {*file.touched, 0} or rewritten, (
            "a change without an expected finding"
        )
