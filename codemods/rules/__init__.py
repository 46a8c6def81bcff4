"""The rules, one module for one kind of change.

A module with ``CODE`` and ``check`` in this folder is a rule; ``LIBRARY = False`` says that it is also about
files that do not name the library.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from ..rule import Rule


@cache
def all_rules() -> tuple[Rule, ...]:
    """Every rule, sorted by code."""
    modules = (importlib.import_module(f"{__name__}.{info.name}") for info in pkgutil.iter_modules(__path__))
    rules = [
        Rule(
            module.CODE,
            module.__name__.rpartition(".")[2].replace("_", "-"),
            (module.__doc__ or "").strip().partition("\n")[0],
            (module.__doc__ or "").strip(),
            module.check,
            getattr(module, "LIBRARY", True),
        )
        for module in modules
        if hasattr(module, "CODE")
    ]
    return tuple(sorted(rules, key=lambda rule: rule.code))
