"""Two readers of command lines, one of them quick: they agree wherever the quick one has an answer."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nkimigrate.arguments import ARGUMENTS, GROUPS, plain
from nkimigrate.command import parse

FLAGS = [flag for argument in ARGUMENTS for flag in (*argument.flags, argument.negative) if flag]
WORDS = [
    *FLAGS,
    "model.py",
    "-",
    "a b",
    "",
    "3",
    "0",
    "-3",
    "json",
    "xml",
    "NKM1,NKM2",
    "--",
    "--select=NKM1",
]
WORDS += ["--jobs=2", "--jobs=", "--check=yes", "-qv", "--nothing", "-x", "--output=a=b", "²"]


def with_click(words: list[str]) -> dict[str, Any] | None:
    try:
        return parse(words)
    except click.UsageError:
        return None


@given(st.lists(st.sampled_from(WORDS), max_size=5))
def test_quick_and_thorough_reader_agree(words: list[str]) -> None:
    values = plain(words)
    if values is not None:
        assert values == with_click(words)


@pytest.mark.parametrize(
    ("words", "values"),
    [
        ([], {"paths": ()}),
        (["a", "--check", "b"], {"paths": ("a", "b"), "check": True}),
        (["-q", "--jobs", "2", "."], {"paths": (".",), "quiet": True, "jobs": 2}),
        (["--select", "NKM1", "--select=NKM2,NKM3"], {"paths": (), "select": ("NKM1", "NKM2,NKM3")}),
        (["--cache", "--no-gitignore"], {"paths": (), "no_cache": False, "no_gitignore": True}),
        (["--output-format=json", "-"], {"paths": ("-",), "output_format": "json"}),
        (["--output-format", "xml"], None),
        (["--jobs", "two"], None),
        (["--jobs"], None),
        (["--check=1"], None),
        (["--help"], None),
        (["-qv"], None),
        (["--chek"], None),
        (["--", "--check"], None),
    ],
)
def test_quick_reader(words: list[str], values: dict[str, Any] | None) -> None:
    assert plain(words) == values


def test_click_reads_the_rest() -> None:
    assert parse(["-qv", "--", "--check"]) == {"paths": ("--check",), "quiet": True, "verbose": True}


@pytest.mark.parametrize("argument", ARGUMENTS, ids=lambda argument: argument.name)
def test_each_option_does_what_its_kind_says(argument: Any) -> None:
    value = argument.choices[0] if argument.choices else "3"
    expected = {"flag": True, "text": value, "number": 3, "list": (value,)}
    for flag in argument.flags:
        words = [flag] if argument.kind in ("flag", "action") else [flag, value]
        if argument.kind == "action":
            assert plain(words) is None
        else:
            assert parse(words) == plain(words) == {"paths": (), argument.key: expected[argument.kind]}


@pytest.mark.parametrize("flag", [*FLAGS, *(a.name for a in ARGUMENTS if a.in_file)])
def test_the_reference_names_every_option_and_key(repository: Path, flag: str) -> None:
    page = (repository / "docs" / "command.md").read_text(encoding="utf-8")
    assert re.search(rf"`{flag}( [A-Z]+)?`", page)


def test_help_shows_every_option_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert parse(["--help"]) is None
    lines = capsys.readouterr().out.split("\n")
    for argument in ARGUMENTS:
        shown = [
            line
            for line in lines
            if re.match(rf" +(-\w, )?{argument.flags[-1]} .* {argument.help[:9]}", line)
        ]
        assert len(shown) == 1, argument.name
    for title in (*GROUPS, "Examples", "Exit codes"):
        assert f"{title}:" in lines
    assert max(map(len, lines)) <= 80
