"""The rules, one module for one kind of change.

A rule is a module in this folder with ``CODE`` and ``check``, and its line in the table here; other packages
bring rules, too (:mod:`.own`). The table says what a run has to know before it asks a rule: most files are
nothing for most rules, and the module of a rule is imported with the first file that may be something for it.
Those of the language step, in ``language/rules/``, only describe: that step changes a file as a whole.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module

from .. import sight
from ..analysis.context import FileContext
from ..rule import Rule
from .own import own_modules


def _rule(
    code: str, module: str, sight: Callable[[FileContext], bool] | None = None, library: bool = True
) -> Rule:
    return Rule(code, f"{__name__}.{module}", sight, library)


_CHECKS = (
    _rule("NKM101", "legacy_import_root", sight.imports_near_legacy),
    _rule("NKM102", "moved_module", sight.imports_moved_modules),
    _rule("NKM103", "renamed_symbol"),
    _rule("NKM104", "moved_symbol"),
    _rule("NKM105", "removed_symbol"),
    _rule("NKM106", "star_import", sight.imports_stars),
    _rule("NKM107", "import_ladder", library=False),  # enumerations of private packages collapse too
    _rule("NKM108", "wrong_module", sight.imports_wrong_modules),
    _rule("NKM109", "string_path", sight.spells_paths),
    _rule("NKM111", "mixed_roots", sight.imports_near_legacy),
    _rule("NKM112", "vendored_copy"),
    _rule("NKM113", "docstring_example", sight.holds_examples),
    _rule("NKM201", "positional_arguments", sight.calls_for_changes),
    _rule("NKM202", "renamed_keyword"),
    _rule("NKM203", "required_argument", sight.calls_for_changes),
    _rule("NKM204", "dropped_argument", sight.calls_for_changes),
    _rule("NKM205", "norm_output", sight.calls_by_template),
    _rule("NKM206", "replaced_parameter", sight.calls_by_template),
    _rule("NKM207", "lost_signature"),
    _rule("NKM208", "rejitted_kernel", sight.names_jitted_kernels),
    _rule("NKM209", "literal_for_enum"),
    _rule("NKM210", "changed_signature", sight.calls_for_changes),
    _rule("NKM301", "renamed_attribute", sight.uses_changed_types),
    _rule("NKM302", "view_constructor", sight.calls_by_template),
    _rule("NKM303", "list_became_tuple", sight.uses_changed_types),
    _rule("NKM304", "select_index", sight.uses_changed_types),
    _rule("NKM305", "logging_api", sight.spells_lost_methods),
    _rule("NKM306", "changed_base"),
    _rule("NKM401", "legacy_private_kernel", sight.leads_to_private_kernels, library=False),
    _rule("NKM501", "behaviour_change"),
)


def _no_file(_: FileContext) -> bool:
    """A rule that only describes looks at none."""
    return False


# What these say of files that are not Python is found by what reads those.
_DESCRIBED = (_rule("NKM110", "config_path", _no_file), _rule("NKM905", "notebook", _no_file))


@cache
def all_rules() -> tuple[Rule, ...]:
    """Every rule, sorted by code."""
    language = __name__.rpartition(".")[0] + ".language.rules"
    described = [Rule(import_module(name).CODE, name, _no_file) for name in _inside(language)]
    return tuple(sorted((*checks(), *_DESCRIBED, *described), key=lambda rule: rule.code))


@cache
def checks() -> tuple[Rule, ...]:
    """The rules that look at Python files, sorted by code."""
    modules = own_modules(rule.code for rule in (*_CHECKS, *_DESCRIBED))
    own = [Rule(m.CODE, m.__name__, library=getattr(m, "LIBRARY", True)) for m in modules]
    return tuple(sorted((*_CHECKS, *own), key=lambda rule: rule.code))


def _inside(package: str) -> Iterator[str]:
    """The full names of the modules in a package."""
    entries = sorted(os.listdir(import_module(package).__path__[0]))
    names = (entry.removesuffix(".py") for entry in entries if entry.endswith(".py"))
    return (f"{package}.{name}" for name in names if name != "__init__")
