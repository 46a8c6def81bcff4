"""Every public name of release 2.28 that is here has the release's signature; the others are listed.

See ``tests/support/missing.py`` for the list. A name that comes to be must leave it.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import json
from collections.abc import Iterator, Mapping
from enum import Enum
from types import ModuleType
from typing import Any

import nki.language as nl
import pytest
from missing import FILE, RELEASE, exists, missing, names_of, public

from nkisim.core.objects import fields_of

MISSING = json.loads(FILE.read_text(encoding="utf-8"))
EMPTY = inspect.Parameter.empty
PRESENT = [name for name in RELEASE.modules if name not in MISSING["modules"]]
DEFINED = [
    (module, name)
    for module in PRESENT
    for name in sorted(names_of(RELEASE.modules[module]) - set(MISSING["names"].get(module, ())))
]


def test_the_list_is_what_is_missing() -> None:
    assert missing() == MISSING, "python tests/support/missing.py writes the list anew"


@pytest.mark.parametrize(("module", "name"), DEFINED)
def test_public_names(module, name) -> None:
    content = RELEASE.modules[module]
    home = importlib.import_module(module)
    made = getattr(home, name)
    if name in content.get("functions", {}):
        compare(home, signature(made), content["functions"][name])
    elif name in content.get("classes", {}):
        check_class(home, made, content["classes"][name])


def check_class(home: ModuleType, made: type, content: Mapping[str, Any]) -> None:
    if "members" in content:
        assert issubclass(made, Enum)
        assert [member.name for member in made] == content["members"]
    if "init" in content:
        compare(home, constructor(made), content["init"])
    for method in public(content.get("methods", {})):
        found = inspect.getattr_static(made, method)
        if not isinstance(found, property):
            skipped = 0 if isinstance(found, staticmethod) else 1
            compare(home, signature(getattr(made, method))[skipped:], content["methods"][method])


def constructor(made: type) -> list[inspect.Parameter]:
    """Parameters of a class; classes of NKI without an ``__init__`` take their fields."""
    if "__init__" in vars(made) or not issubclass(made, nl.NKIObject):
        return signature(made.__init__)[1:]
    kind, missing = inspect.Parameter.POSITIONAL_OR_KEYWORD, dataclasses.MISSING
    return [
        inspect.Parameter(name, kind, default=EMPTY if default is missing else default)
        for name, default in fields_of(made).items()
    ]


def signature(function: Any) -> list[inspect.Parameter]:
    return list(inspect.signature(function).parameters.values())


def compare(home: ModuleType, own: list[inspect.Parameter], wanted: list[str]) -> None:
    """Names, order, kinds and defaults; annotations are ours."""
    if any("=torch." in text for text in wanted):
        pytest.importorskip("torch")
    assert [spelled(each) for each in own] == [spelled(each) for each in parameters(home, wanted)]


def spelled(parameter: inspect.Parameter) -> tuple[str, str, Any]:
    default = parameter.default
    if isinstance(default, nl.NKIObject):  # which need not compare equal
        default = (type(default), vars(default))
    return parameter.name, parameter.kind.name, default


def parameters(home: ModuleType, wanted: list[str]) -> Iterator[inspect.Parameter]:
    """Parameters as the release writes them; what defaults name is looked up in our module."""
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    for text in wanted:
        if text.endswith("=field(init=False)"):
            continue  # set by __post_init__
        if text == "*":
            kind = inspect.Parameter.KEYWORD_ONLY
        elif text.startswith("**"):
            yield inspect.Parameter(text[2:], inspect.Parameter.VAR_KEYWORD)
        elif text.startswith("*"):
            yield inspect.Parameter(text[1:], inspect.Parameter.VAR_POSITIONAL)
        else:
            name, equals, default = text.partition("=")
            yield inspect.Parameter(name, kind, default=eval(default, scope(home)) if equals else EMPTY)


def scope(home: ModuleType) -> dict[str, Any]:
    """The module's own names before those that the release imports there."""
    imported = RELEASE.modules[home.__name__].get("imports", {})
    return {
        **{name: found for name, target in imported.items() if (found := resolved(target)) is not None},
        **vars(home),
    }


def resolved(target: str) -> Any:
    """The module or member that a dotted name stands for; None when that is not here."""
    if exists(target):
        return importlib.import_module(target)
    module, _, name = target.rpartition(".")
    return getattr(importlib.import_module(module), name, None) if module and exists(module) else None
