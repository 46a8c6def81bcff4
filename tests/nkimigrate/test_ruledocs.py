"""The documentation of rules and problems."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nkimigrate import ruledocs
from nkimigrate.codemods.language.lowering.messages import MESSAGES
from nkimigrate.codemods.rules import all_rules
from nkimigrate.problems import ProblemKind, all_problems

DOC = """One ``sentence``.

More about it.

What it does
    Text that
    goes on.

        if wanted:

            code()

        more()

After
        code()

When it stays silent
    In ``conf.yaml``:

        key: value
"""
ITEM = ProblemKind("NKM999", "an-example", "One ``sentence``.", DOC)


def test_sections_are_told_apart_by_their_headings() -> None:
    assert list(ruledocs.sections(DOC)) == [
        ("", "One ``sentence``.\n\nMore about it."),
        ("What it does", "Text that\ngoes on.\n\n    if wanted:\n\n        code()\n\n    more()"),
        ("After", "    code()"),
        ("When it stays silent", "In ``conf.yaml``:\n\n    key: value"),
    ]


def test_a_documentation_in_a_terminal() -> None:
    assert "\n".join(ruledocs.explanation(ITEM, False)) == (
        "NKM999 an-example\n\nOne `sentence`.\n\nMore about it.\n\n"
        "What it does\n    Text that\n    goes on.\n\n"
        "        if wanted:\n\n            code()\n\n        more()\n\n"
        "After\n        code()\n\n"
        "When it stays silent\n    In `conf.yaml`:\n\n        key: value"
    )
    assert "\x1b[1mWhat it does\x1b[0m" in list(ruledocs.explanation(ITEM, True))


def test_a_documentation_in_markdown() -> None:
    assert ruledocs.as_markdown(ITEM, 3) == (
        "One ``sentence``.\n\nMore about it.\n\n"
        "### What it does\n\nText that\ngoes on.\n\n"
        "```python\nif wanted:\n\n    code()\n\nmore()\n```\n\n"
        "### After\n\n```python\ncode()\n```\n\n"
        "### When it stays silent\n\nIn ``conf.yaml``:\n\n```yaml\nkey: value\n```\n"
    )


@pytest.mark.parametrize("item", ruledocs.everything(), ids=lambda item: item.code)
def test_every_documentation_has_its_sections(item: ruledocs.Documented) -> None:
    headings = [heading for heading, _ in ruledocs.sections(item.doc)]
    rule = ["", "What it does", "Why", "Before", "After", "When it stays silent"]
    assert headings == (["", "What it means", "What to do"] if item in all_problems() else rule)
    assert all(body for _, body in ruledocs.sections(item.doc))
    assert item.summary == item.doc.partition("\n")[0]
    assert item.summary.endswith(".")
    assert re.fullmatch("[a-z]+(-[a-z]+)*", item.name)


def test_codes_and_names_are_unique() -> None:
    items = ruledocs.everything()
    assert len({item.code for item in items}) == len({item.name for item in items}) == len(items)


def test_every_code_in_the_program_is_documented(repository: Path) -> None:
    sources = [*(repository / "nkimigrate").rglob("*.py"), *(repository / "codemods").rglob("*.py")]
    used = {
        code for path in sources for code in re.findall(r'"(NKM\d{3})"', path.read_text(encoding="utf-8"))
    }
    assert used == {item.code for item in ruledocs.everything() if item.code.startswith("NKM")}


def test_every_message_that_is_used_is_documented(repository: Path) -> None:
    folder = repository / "codemods" / "language"
    texts = [path.read_text(encoding="utf-8") for path in folder.rglob("*.py") if path.name != "messages.py"]
    used = {message.code for key, message in MESSAGES.items() if any(f'"{key}"' in text for text in texts)}
    codes = {item.code for item in ruledocs.everything() if item.code.startswith("NKL")}
    only_changes = {"NKL111", "NKL200"}
    assert used | only_changes == {code for code in codes if code < "NKL600"}


@pytest.mark.parametrize(
    ("wanted", "code"), [("nkm201", "NKM201"), ("Moved_Module", "NKM102"), ("given-up", "NKM904")]
)
def test_found_by_code_and_by_name(wanted: str, code: str) -> None:
    assert ruledocs.find(wanted).code == code


@pytest.mark.parametrize(
    ("wanted", "close"),
    [
        ("NKM2", "NKM201 or NKM202"),
        ("NKM299", "NKM201 or NKM202"),
        ("NKN201", "NKM201"),
        ("renamed-symbols", "renamed-symbol (NKM103)"),
    ],
)
def test_close_codes_are_suggested(wanted: str, close: str) -> None:
    with pytest.raises(ruledocs.UnknownCode, match=f"did you mean {re.escape(close)}"):
        ruledocs.find(wanted)


def test_a_prefix_that_problems_alone_have_is_no_selection() -> None:
    for problem in all_problems():
        with pytest.raises(ruledocs.UnknownCode, match="not a rule"):
            ruledocs.prefix(problem.code)
    assert {ruledocs.prefix(rule.code) for rule in all_rules()} == {rule.code for rule in all_rules()}


def test_an_explanation_says_how_to_silence_the_rule() -> None:
    lines = list(ruledocs.explanation(ruledocs.find("NKM201"), colour=False))
    at = lines.index(ruledocs.SILENCE)
    assert "skip[NKM201]" in lines[at + 1]
    assert "--ignore NKM201" in lines[at + 2]
    assert ruledocs.SILENCE not in list(ruledocs.explanation(ruledocs.find("NKM901"), colour=False))
