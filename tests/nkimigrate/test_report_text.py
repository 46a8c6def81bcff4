"""The report for people, as they see it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from reports import HOSTILE, finding, hostile, mixed, report

from nkimigrate.codemods.rules import all_rules
from nkimigrate.report.model import Problem, Report
from nkimigrate.report.text import render
from nkimigrate.report.view import View

ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


def shown(made: Report, mode: str = "write", **how: Any) -> str:
    return "".join(f"{line}\n" for line in render(View(made, mode, **how)))


def test_write_tells_files_then_notes_then_what_needs_a_person() -> None:
    assert shown(mixed()) == (
        "Rewritten\n"
        "model.py: 2 places (NKM101, NKM201)\n"
        "\n"
        "Notes\n"
        "model.py:8:5 NKM201 `qkv` now takes `eps` by keyword\n"
        "    note: Numbers change.\n"
        "model.py:9:5 NKM501 `eps` is honoured now\n"
        "    note: Pass it by keyword.\n"
        "\n"
        "Needs you\n"
        "model.py:12:5 NKM201 `qkv` now takes `eps` by keyword\n"
        "    next: Decide.\n"
        "              one = 1\n"
        "other.ipynb:cell 2:3:5 NKM201 `qkv` now takes `eps` by keyword\n"
        "    next: Pass it by keyword.\n"
        "\n"
        "Could not be handled\n"
        "broken.py:4:2 NKM901 does not parse: invalid syntax\n"
        "\n"
        "6 places affected in 2 files: "
        "2 rewritten, 1 rewritten with a note, 1 noted, 2 need you (2 suppressed)\n"
        "1 file could not be handled\n"
        "More about a rule: nkimigrate --explain NKM201\n"
    )


def test_a_note_is_said_once_and_a_next_step_at_each_place() -> None:
    text = shown(
        report([finding("noted", line=n) for n in (1, 2)] + [finding("needs-you", line=n) for n in (3, 4)])
    )
    assert [line.strip()[:4] for line in text.splitlines() if line.startswith("    ")] == [
        "note",
        "next",
        "next",
    ]
    assert len(re.findall(r"^model\.py:[1-4]:5 ", text, re.MULTILINE)) == 4


def test_check_names_each_place_that_would_change() -> None:
    text = shown(mixed(), "check")
    assert text.startswith(
        "To rewrite\n"
        "model.py:3:5 NKM201 `qkv` now takes `eps` by keyword\n"
        "model.py:7:5 NKM101 `a` is `b` now\n\nNotes\n"
    )
    assert "2 to rewrite, 1 to rewrite with a note, 1 noted, 2 need you" in text
    assert text.endswith(
        "Run without --check to rewrite, or with --diff to see the changes.\n"
        "More about a rule: nkimigrate --explain NKM201\n"
    )


def test_diff_leaves_rewritten_places_to_the_diff() -> None:
    text = shown(mixed(), "diff")
    assert "model.py:3:5" not in text
    assert text.startswith("Notes\n")
    assert "2 to rewrite" in text
    assert "Run without" not in text


def test_verbose_names_each_rewritten_place_and_the_run() -> None:
    text = shown(mixed(), verbose=True)
    assert "model.py:7:5 NKM101 `a` is `b` now\n" in text
    assert text.endswith("2.27 to 2.28: 10 files looked at, 4 parsed, 1.25 s\n")


@pytest.mark.parametrize(("mode", "lines"), [("write", 2), ("diff", 3), ("check", 5)])
def test_quiet_shows_what_fails_and_nothing_else(mode: str, lines: int) -> None:
    text = shown(mixed(), mode, quiet=True)
    assert len(re.findall(r"^[^ ].* NKM[1-5]", text, re.MULTILINE)) == lines
    assert "NKM901" in text
    assert "affected" not in text
    assert "\n\n" not in text
    assert "honoured" not in text


def test_quiet_is_silent_when_nothing_fails() -> None:
    assert shown(report([finding(), finding("noted")]), quiet=True) == ""


def test_statistics_add_up_to_the_summary() -> None:
    text = shown(mixed(), statistics=True)
    names = {rule.code: rule.name for rule in all_rules()}
    rows = re.findall(r"^ +(\d+)  (NKM\d+)  (\S+) *  (.*)$", text, re.MULTILINE)
    assert [(row[1], row[0]) for row in rows] == [("NKM101", "1"), ("NKM201", "4"), ("NKM501", "1")]
    assert all(names[row[1]] == row[2] for row in rows)
    assert rows[1][3] == "1 rewritten, 1 rewritten with a note, 2 need you"
    assert sum(int(row[0]) for row in rows) == len(mixed().findings)


@pytest.mark.parametrize("mode", ["write", "check", "diff"])
def test_the_numbers_of_the_summary_add_up(mode: str) -> None:
    found = re.search(r"(\d+) places affected in (\d+) files: (.*) \(", shown(mixed(), mode))
    assert found
    assert sum(map(int, re.findall(r"\d+", found[3]))) == int(found[1]) == len(mixed().findings)


def test_one_of_each_is_singular() -> None:
    text = shown(report([finding("needs-you")]))
    assert "\n1 place affected in 1 file: 1 needs you\n" in text


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (report(), "Nothing to migrate in 10 files.\n"),
        (report(suppressed=3), "Nothing to migrate in 10 files (3 suppressed).\n"),
        (
            report(files=0),
            "No files to look at: nothing matches, or all of it is excluded or ignored by git.\n",
        ),
    ],
)
def test_nothing_to_do_is_said(made: Report, said: str) -> None:
    assert shown(made) == said


def test_a_file_with_two_problems_counts_once() -> None:
    made = report(problems=[Problem("NKM906", "a.py", "one"), Problem("NKM907", "a.py", "two")])
    assert shown(made).endswith("\n1 file could not be handled\n")


@pytest.mark.parametrize("mode", ["write", "check", "diff"])
@pytest.mark.parametrize("colour", [True, False])
def test_nothing_in_names_and_messages_controls_the_terminal(mode: str, colour: bool) -> None:
    text = shown(hostile(), mode, colour=colour, statistics=True, verbose=True)
    plain = ESCAPE.sub("", text) if colour else text
    assert all(line.isprintable() for line in plain.split("\n"))
    assert HOSTILE not in plain
    assert "\\x1b[31mb" in plain
    assert all(not line.startswith("::") for line in plain.split("\n"))


def test_colour_only_adds_colour() -> None:
    coloured, plain = shown(mixed(), "check", colour=True), shown(mixed(), "check")
    assert coloured != plain
    assert ESCAPE.sub("", coloured) == plain
