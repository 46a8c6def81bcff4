"""The examples in the rules' documentation are run: Before becomes After, and the rule says so.

An example is the code block of the section: the file ``app.py``, unless the line before it names another.
An After without a code block starts with "Unchanged": nothing is written there, and the place is reported.
"""

from __future__ import annotations

import re
import textwrap

import pytest
from helpers import check_sound, migrate

from nkimigrate.codemods.rule import Rule
from nkimigrate.codemods.rules import all_rules
from nkimigrate.ruledocs import sections

_BLOCK = re.compile(r"(?:``(?P<path>\S+)``:\n\n)?(?P<code>^ {4}.*(?:\n+ {4}.*)*)", re.MULTILINE)


def example(text: str) -> tuple[str, str] | None:
    """The path and the content of a section's code block."""
    blocks = list(_BLOCK.finditer(text))
    assert len(blocks) <= 1, "one code block for a section"
    return (blocks[0]["path"] or "app.py", textwrap.dedent(blocks[0]["code"]) + "\n") if blocks else None


@pytest.mark.parametrize("rule", all_rules(), ids=lambda rule: rule.name)
def test_before_becomes_after(rule: Rule) -> None:
    text = dict(sections(rule.doc))
    given, wanted = example(text["Before"]), example(text["After"])
    assert given is not None, "Before has no code block"
    assert wanted is not None or text["After"].startswith("Unchanged")
    path, before = given
    result = migrate({path: before})
    assert (path, result.text(path)) == (wanted or given)
    findings = [f for f in result.at(path) if f.code == rule.code]
    assert findings, result.findings
    assert any(f.edits or f.outcome.value == "noted" for f in findings) or wanted is None
    check_sound(result)
