"""The table of rules says what their modules say, and keeps no rule from a file in which it finds something."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import diffcases
import pytest

from nkimigrate.codemods import rules
from nkimigrate.codemods.analyse import parse
from nkimigrate.codemods.analysis.context import FileContext
from nkimigrate.codemods.rule import Rule
from nkimigrate.codemods.rules import all_rules, checks
from nkimigrate.codemods.source import Source
from nkimigrate.releases import load

CASES = Path(__file__).parents[2] / "patterns" / "cases"
FOLDER = Path(str(rules.__file__)).parent


def test_every_module_that_is_a_rule_is_listed() -> None:
    names = {path.stem for path in FOLDER.glob("*.py")} - {"__init__", "own"}
    modules = {f"{rules.__name__}.{name}" for name in names}
    assert {rule.path for rule in all_rules() if rule.code.startswith("NKM")} == modules
    looking = {module for module in modules if hasattr(import_module(module), "check")}
    assert {rule.path for rule in checks()} == looking
    assert all(rule.code == rule.module.CODE for rule in all_rules())


def contexts() -> list[FileContext]:
    release = load("2.27", "2.28")
    texts = [
        file.old
        for path in sorted(CASES.glob("*.diff"))
        for case in diffcases.read(path)
        for file in case.files
        if file.path.endswith(".py")
    ]
    found = []
    for text in texts:
        source = Source.decode(text.encode())
        try:
            found.append(FileContext("app.py", source, parse(source), release, "app"))
        except SyntaxError:
            continue
    return found


@pytest.mark.parametrize("rule", [rule for rule in checks() if rule.sight], ids=lambda rule: rule.name)
def test_a_rule_is_asked_wherever_it_finds_something(rule: Rule) -> None:
    assert rule.sight is not None
    finding = asked = 0
    files = contexts()
    for ctx in files:
        found, seen = any(rule.module.check(ctx)), rule.sight(ctx)
        assert seen or not found, ctx.source.text
        finding += found
        asked += seen
    assert 0 < finding <= asked < len(files)
