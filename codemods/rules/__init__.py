"""The rules, one module for one kind of change.

Those of the language step, in ``language/rules/``, only describe: that step changes a file as a whole.

A module with ``CODE`` and ``check`` in this folder is a rule; ``LIBRARY = False`` says that it is also about
files that do not name the library. Other packages bring rules, too (:mod:`.own`).
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from functools import cache
from types import ModuleType

from ..analysis.context import FileContext
from ..model import Finding
from ..rule import Rule
from .own import own_modules


@cache
def all_rules() -> tuple[Rule, ...]:
    """Every rule, sorted by code."""
    described = [_rule(module) for module in _inside("..language.rules")]
    return tuple(sorted((*checks(), *described), key=lambda rule: rule.code))


@cache
def checks() -> tuple[Rule, ...]:
    """The rules that look at files, sorted by code: those of the language step only describe."""
    rules = [_rule(module) for module in _inside(".") if hasattr(module, "CODE")]
    rules += [_rule(module) for module in own_modules(rule.code for rule in rules)]
    return tuple(sorted(rules, key=lambda rule: rule.code))


def _inside(name: str) -> Iterator[ModuleType]:
    """The modules in a package that is named from here."""
    package = importlib.import_module(name, __name__)
    names = sorted(e.removesuffix(".py") for e in os.listdir(package.__path__[0]) if e.endswith(".py"))
    return (importlib.import_module(f"{package.__name__}.{n}") for n in names if n != "__init__")


def _rule(module: ModuleType) -> Rule:
    doc = (module.__doc__ or "").strip()
    name = module.__name__.rpartition(".")[2].replace("_", "-")
    check = getattr(module, "check", _described)
    return Rule(module.CODE, name, doc.partition("\n")[0], doc, check, getattr(module, "LIBRARY", True))


def _described(_: FileContext) -> Iterator[Finding]:
    """What a rule finds that only describes."""
    return iter(())
