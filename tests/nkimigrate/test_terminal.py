"""What may be written to a terminal."""

from __future__ import annotations

import io

import pytest

from nkimigrate.terminal import clean, clean_line, wants_colour


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ä 漢字 😀 text", "plain ä 漢字 😀 text"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("two\r\nlines\x85three\u2028", "two\\r\\nlines\\x85three\\u2028"),
        ("\u202ereversed\u2066", "\\u202ereversed\\u2066"),
        ("\x9b31m", "\\x9b31m"),
        ("\udcff\x00\ufffe", "\\udcff\\x00\\ufffe"),
    ],
)
def test_what_is_not_printable_is_escaped(text: str, shown: str) -> None:
    assert clean(text) == shown


def test_code_keeps_its_tabs() -> None:
    assert clean_line("\tx\x1b\t") == "\tx\\x1b\t"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environment", "terminal", "piped"),
    [
        ({}, True, False),
        ({"TERM": "dumb"}, False, False),
        ({"NO_COLOR": "1"}, False, False),
        ({"NO_COLOR": ""}, True, False),
        ({"FORCE_COLOR": "1"}, True, True),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False, False),
    ],
)
def test_colour_follows_the_conventions(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], terminal: bool, piped: bool
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert wants_colour(Terminal()) is terminal
    assert wants_colour(io.StringIO()) is piped
