"""Pieces of 2.27 code beyond plain calls: the same through compat and migrated."""

from __future__ import annotations

import importlib

import oldcode
import pytest
from equality import check_equal
from helpers import migrate
from missing import exists
from oldcalls import HOST
from oldtexts import TEXTS

from nkimigrate.codemods.model import Outcome
from nkimigrate.releases import load

RELEASE = load("2.27", "2.28")


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_old_code_and_migrated_code_agree(text: str) -> None:
    for root in ("nkilib_standalone.nkilib", "nkilib"):
        source = f"{HOST}{text}".replace("{root}", root)
        old = oldcode.run(source)
        assert old.error == ""
        result = migrate({"old.py": source})
        migrated = result.text("old.py")
        assert not [f for f in result.findings if f.outcome is Outcome.NEEDS_YOU], migrated
        new = oldcode.run(migrated, "nkilib")
        assert (new.error, new.warnings) == ("", []), migrated
        check_equal(old.result, new.result)


NAMES = """
def shown(thing):
    thing = getattr(thing, "__wrapped__", thing)
    named = hasattr(thing, "__qualname__")
    return (thing.__module__, thing.__qualname__) if named else (type(thing).__name__, repr(thing).split(" at ")[0])
"""


def test_every_moved_or_renamed_name_agrees() -> None:
    """All that one import statement can bring: the same thing through compat and after the migration."""
    old_names = [name for name in RELEASE.new_symbol if importable(name)]
    assert len(old_names) >= 56
    for root in ("nkilib_standalone.nkilib", "nkilib"):
        imports = "".join(
            f"from {module.replace('nkilib', root, 1)} import {last} as name_{number}\n"
            for number, (module, _, last) in enumerate(name.rpartition(".") for name in old_names)
        )
        source = (
            f"{imports}{NAMES}result = [{', '.join(f'shown(name_{i})' for i in range(len(old_names)))}]\n"
        )
        old, result = oldcode.run(source), migrate({"old.py": source})
        assert not [f for f in result.findings if f.outcome is Outcome.NEEDS_YOU]
        new = oldcode.run(result.text("old.py"), "nkilib")
        assert (old.error, new.error, new.warnings) == ("", "", [])
        assert dict(zip(old_names, old.result, strict=True)) == dict(zip(old_names, new.result, strict=True))


def importable(name: str) -> bool:
    """Whether nkilib has what an old name stands for, where a statement can import it."""
    owner, _, last = RELEASE.moved(RELEASE.new_symbol[name]).rpartition(".")
    of_a_module = not name.split(".")[-2][:1].isupper()
    return of_a_module and exists(owner) and hasattr(importlib.import_module(owner), last)
