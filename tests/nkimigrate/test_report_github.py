"""GitHub annotations, read back by the rules of the runner (actions/toolkit: escapeData, escapeProperty)."""

from __future__ import annotations

import re

from reports import HOSTILE, finding, hostile, mixed, report

from nkimigrate.report.github import render
from nkimigrate.report.view import View
from nkimigrate.terminal import clean

COMMAND = re.compile(r"::(error|warning|notice) ([^:]*)::(.*)")
_UNESCAPE = {"%25": "%", "%0D": "\r", "%0A": "\n", "%3A": ":", "%2C": ","}


def unescaped(text: str) -> str:
    return re.sub("|".join(_UNESCAPE), lambda found: _UNESCAPE[found[0]], text)


def read(line: str) -> tuple[str, dict[str, str], str]:
    found = COMMAND.fullmatch(line)
    assert found, line
    properties = (pair.partition("=") for pair in found[2].split(","))
    return found[1], {key: unescaped(value) for key, _, value in properties}, unescaped(found[3])


def test_one_annotation_for_each_finding_and_problem() -> None:
    lines = [read(line) for line in render(View(mixed(), "check"))]
    assert [level for level, _, _ in lines] == [
        "warning",
        "warning",
        "notice",
        "notice",
        "error",
        "error",
        "error",
    ]
    level, properties, text = lines[0]
    assert (level, text) == ("warning", "model.py:3:5 NKM201 `qkv` now takes `eps` by keyword")
    assert properties == {
        "file": "model.py",
        "line": "3",
        "endLine": "3",
        "col": "5",
        "endColumn": "9",
        "title": "nkimigrate (NKM201)",
    }
    assert lines[4][2].endswith("\nnext: Decide.\n    one = 1")
    assert lines[6][1]["line"] == "4"


def test_a_notebook_cell_is_named_in_the_text_only() -> None:
    _, properties, text = read(list(render(View(mixed())))[5])
    assert properties["line"] == "1"
    assert text.startswith("other.ipynb:cell 2:3:5 ")


def test_columns_are_left_out_when_lines_differ() -> None:
    _, properties, _ = read(next(render(View(report([finding(end_line=5)])))))
    assert "col" not in properties
    assert properties["endLine"] == "5"


def test_nothing_breaks_out_of_an_annotation() -> None:
    lines = list(render(View(hostile(), "check")))
    assert len(lines) == 4
    for line in lines:
        assert line.isprintable()
        _, properties, text = read(line)
        assert properties["file"].startswith(clean(HOSTILE))
        assert clean(HOSTILE) in text
