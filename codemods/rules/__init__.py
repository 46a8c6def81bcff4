"""The rules, one module for one kind of change.

Those of the language step, in ``language/rules/``, only describe: that step changes a file as a whole.

A module with ``CODE`` and ``check`` in this folder is a rule; ``LIBRARY = False`` says that it is also about
files that do not name the library. Other packages bring rules, too (:mod:`.own`).
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from functools import cache
from types import ModuleType

from ..analysis.context import FileContext
from ..language import rules as language
from ..model import Finding
from ..rule import Rule
from .own import own_modules


@cache
def all_rules() -> tuple[Rule, ...]:
    """Every rule, sorted by code."""
    modules = [module for package in (__name__, language.__name__) for module in _inside(package)]
    rules = [_rule(module) for module in modules if hasattr(module, "CODE")]
    rules += [_rule(module) for module in own_modules(rule.code for rule in rules)]
    return tuple(sorted(rules, key=lambda rule: rule.code))


def _inside(package: str) -> Iterator[ModuleType]:
    path = importlib.import_module(package).__path__
    return (importlib.import_module(f"{package}.{info.name}") for info in pkgutil.iter_modules(path))


def _rule(module: ModuleType) -> Rule:
    doc = (module.__doc__ or "").strip()
    name = module.__name__.rpartition(".")[2].replace("_", "-")
    check = getattr(module, "check", _described)
    return Rule(module.CODE, name, doc.partition("\n")[0], doc, check, getattr(module, "LIBRARY", True))


def _described(_: FileContext) -> Iterator[Finding]:
    """What a rule finds that only describes."""
    return iter(())
