"""The page for people, read by an HTML parser; `test_report_browser.py` opens it in a browser."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from reports import HOSTILE, hostile, mixed, report

from nkimigrate import cli
from nkimigrate.report.model import Change, Report
from nkimigrate.report.page import File, _files, render
from nkimigrate.report.view import View

VOID = {"meta", "link", "input", "br", "img"}


class Page(HTMLParser):
    """Tags balance; keeps texts by the class of what they stand in, and every address in the page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts.append((self.open[-1][1].get("class") or self.open[-1][0], data))

    def of(self, name: str) -> list[str]:
        return [text for place, text in self.texts if place == name]


def page(made: Report, mode: str = "write") -> Page:
    return Page("\n".join(render(View(made, mode))))


def files_of(made: Report, mode: str = "write") -> list[File]:
    return list(_files(View(made, mode)))


@pytest.mark.parametrize("made", [report(), mixed(), hostile()])
@pytest.mark.parametrize("mode", ["write", "check", "diff"])
def test_every_finding_and_problem_stands_on_the_page_once(made: Report, mode: str) -> None:
    files = files_of(made, mode)
    shown = [f for file in files for block in file.blocks for f in block.findings]
    assert sorted(map(repr, shown)) == sorted(map(repr, View(made, mode).findings))
    assert sum(len(file.problems) for file in files) == len(made.problems)
    page(made, mode)


def lines(*numbers: int) -> bytes:
    return "".join(f"line {n}\n" for n in numbers).encode()


def side_by_side(old: bytes, new: bytes) -> list[tuple[int | None, str, int | None, str, str]]:
    made = Report("2.27", "2.28")
    made.changes = [Change("a.py", old, new)]
    made.findings = [replace(mixed().findings[0], path="a.py")]
    (file,) = files_of(made)
    return [
        (row.old_number, row.old, row.new_number, row.new, row.mark)
        for block in file.blocks
        for row in block.rows
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (lines(1, 2, 3), lines(1, 9, 3)),
        (lines(*range(40)), lines(0, 77, *range(1, 20), *range(25, 39), 88, 89)),
        (lines(*range(30)), lines(*range(5), *range(8, 30))),
        (b"", lines(1)),
    ],
)
def test_both_sides_show_the_lines_of_both_versions_at_their_numbers(old: bytes, new: bytes) -> None:
    before, after = old.decode().splitlines(), new.decode().splitlines()
    rows = side_by_side(old, new)
    assert all(number is None or before[number - 1] == text for number, text, *_ in rows)
    assert all(number is None or after[number - 1] == text for *_, number, text, _ in rows)
    # Leaving out the shown lines of both versions leaves the same text: nothing that differs is hidden.
    hidden_before = [t for n, t in enumerate(before, 1) if n not in {row[0] for row in rows}]
    hidden_after = [t for n, t in enumerate(after, 1) if n not in {row[2] for row in rows}]
    assert hidden_before == hidden_after
    assert any(mark for *_, mark in rows)


def test_what_needs_a_person_is_shown_with_its_lines_and_the_next_step(tmp_path: Path, capsys: Any) -> None:
    code = "from nkilib.core.qkv.qkv import qkv\n\n\ndef f(x, w, rest):\n    return qkv(x, w, *rest)\n"
    (tmp_path / "model.py").write_text(code)
    out = tmp_path / "out.html"
    assert cli.main(["--check", str(tmp_path / "model.py"), "--report", str(out), "--isolated"]) == 1
    capsys.readouterr()
    made = Page(out.read_text("utf-8"))
    assert "    return qkv(x, w, *rest)" in made.of("l old")
    assert any("Next" in text for text in made.of("b"))
    assert (tmp_path / "model.py").read_text() == code


def test_lines_are_counted_as_python_counts_them(tmp_path: Path, capsys: Any) -> None:
    """Not at form feeds and the like: the page showed another line than the one that needs a person."""
    code = "from nkilib.core.qkv.qkv import qkv\n\x0c\n# \x85 \u2028\r\ndef f(x, w, rest):\n    return qkv(x, w, *rest)\n"
    (tmp_path / "model.py").write_bytes(code.encode())
    out = tmp_path / "out.html"
    assert cli.main(["--check", str(tmp_path / "model.py"), "--report", str(out), "--isolated"]) == 1
    assert "model.py:5:12 NKM201" in capsys.readouterr().out
    here = out.read_text("utf-8").partition('<tr class="here">')[2].partition("</tr>")[0]
    assert '<td class="n">5</td>' in here
    assert "return qkv(x, w, *rest)" in here


def test_a_check_shows_the_change_it_does_not_make(tmp_path: Path, capsys: Any) -> None:
    code = "from nkilib.core.mlp.mlp import mlp_kernel\n"
    (tmp_path / "model.py").write_text(code)
    out = tmp_path / "out.html"
    assert cli.main(["--check", str(tmp_path), "--report", str(out), "--isolated"]) == 1
    capsys.readouterr()
    made = Page(out.read_text("utf-8"))
    assert "from nkilib.core.mlp.mlp import mlp_kernel" in made.of("l old")
    assert "from nkilib.core.mlp.mlp import mlp" in made.of("l new")
    assert (tmp_path / "model.py").read_text() == code


def test_code_in_prose_and_ready_code_are_set_as_code() -> None:
    made = mixed()
    step = "Use `a<b>` or ``c``.\nAnd d.\n\nimport d\n\nd(1 < 2)\n"
    made.findings = [replace(made.findings[0], message="`f` is `g` now", step=step, code="NKL105")]
    read = page(made)
    assert [text for text in read.of("code") if "." not in text] == ["f", "g", "a<b>", "c"]
    assert "import d\n\nd(1 < 2)\n" in "".join(read.of("step"))
    assert not any("`" in text for text in (*read.of("td"), *read.of("step")))


def test_the_page_loads_nothing_and_every_link_has_a_target() -> None:
    made = page(mixed())
    targets = {attrs.get("id") for _, attrs in made.tags}
    for tag, attrs in made.tags:
        assert "src" not in attrs
        address = attrs.get("href")
        assert address is None or address == "data:," or address[1:] in targets, (tag, address)
    assert not re.search(r"(?:https?:)?//[a-z]", "\n".join(render(View(mixed()))).replace("://", ""))


def test_nothing_in_the_code_becomes_part_of_the_page() -> None:
    made = hostile()
    tags = [tag for tag, _ in page(made).tags]
    assert tags.count("script") == 1
    assert tags.count("img") == 0
    text = "\n".join(render(View(made)))
    assert HOSTILE not in text
    assert text.isprintable() or all(char.isprintable() or char in "\n\t" for char in text)


def test_a_page_that_cannot_be_written_is_said_before_anything_is_done(tmp_path: Path, capsys: Any) -> None:
    code = "from nkilib.core.mlp.mlp import mlp_kernel\n"
    (tmp_path / "model.py").write_text(code)
    assert cli.main([str(tmp_path), "--report", str(tmp_path / "no" / "out.html")]) == 2
    assert "--report" in capsys.readouterr().err
    assert (tmp_path / "model.py").read_text() == code
