"""Random projects of several files: one run does everything, a check says it, and nothing else decides it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping

import projects
import pytest
from helpers import check_sound, migrate

from nkimigrate.codemods.model import Finding, Outcome
from nkimigrate.testing import Result

Said = Counter[tuple[object, ...]]


def said(findings: Iterable[Finding]) -> Said:
    """Everything that findings say."""
    return Counter((f.path, f.line, f.column, f.code, f.outcome, f.message, f.step) for f in findings)


def untouched(result: Result, of: Result) -> Said:
    """What needs a person in the files that a run left alone."""
    return said(f for f in result.findings if f.outcome is Outcome.NEEDS_YOU and f.path not in of.changed)


def wrong(files: Mapping[str, str], **options: object) -> str:
    """What is wrong with how a project is migrated; nothing: an empty string."""
    first = migrate(files, **options)
    if first.problems:
        return f"{first.problems[0]}"
    try:
        check_sound(first)
    except AssertionError as error:
        return f"{error}"
    if untouched(migrate(first.after, **options), first) != untouched(first, first):
        return "a second run says something else of a file that nobody touched"
    checked = migrate(files, mode="check", **options)
    if said(checked.findings) != said(first.findings):
        return f"a check says {said(checked.findings)}, not {said(first.findings)}"
    return ""


def test_projects_are_what_they_should_be() -> None:
    """Most have something to do, in more than one file, and hand it on in all the ways there are."""
    drawn = [projects.project(number) for number in range(60)]
    text = "\n".join("\n".join(files.values()) for files in drawn)
    for part in (
        "import *",
        " as pkg_m",
        "partial(",
        "[nl.nc(2)]",
        "_target_",
        "from ..",
        "global ",
        "except",
    ):
        assert part in text, part
    changed = [len(migrate(files).changed) for files in drawn[:20]]
    assert sum(count > 1 for count in changed) > 10


@pytest.mark.parametrize("number", range(40))
def test_one_run_is_enough(number: int) -> None:
    assert not (story := wrong(projects.project(number))), story


@pytest.mark.parametrize("number", range(10))
def test_neither_order_nor_processes_decide(number: int) -> None:
    files = projects.project(number)
    names = [*files]
    random.Random(number).shuffle(names)
    usual, other = migrate(files), migrate({name: files[name] for name in names}, jobs=2)
    assert other.after == usual.after
    assert said(other.findings) == said(usual.findings)


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, 1000, 50))
def test_one_run_is_enough_for_many(start: int) -> None:
    numbers = range(start, start + 50)
    stories = {number: story for number in numbers if (story := wrong(projects.project(number)))}
    assert not stories
