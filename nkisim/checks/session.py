"""Strict mode around one launch."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

from ..core.context import Core, state
from ..core.errors import SimulationError
from . import StrictWarning
from .language import check_class, check_function
from .memory import Memory
from .operands import check_operands
from .ranges import check_range
from .source import Reached

_checked: WeakKeyDictionary[Any, tuple[list[str], list[str]]] = WeakKeyDictionary()


@contextmanager
def watch(function: Callable[..., Any], cores: list[Core]) -> Iterator[None]:
    """Check a kernel's source, and what it does while it runs. Raises SimulationError."""
    check_source(function)
    memory = Memory()
    told = [check_operands, check_range, memory.heard]
    state.listeners.extend(told)
    state.allocations.append(memory.allocated)
    state.strict = True
    try:
        yield
    finally:
        state.strict = False
        for listener in told:
            state.listeners.remove(listener)
        state.allocations.remove(memory.allocated)


def check_source(function: Callable[..., Any]) -> None:
    """Check a kernel and what it calls; raises SimulationError with all breaches, warns of doubtful ones."""
    key = getattr(function, "__func__", function)
    if key not in _checked:
        _checked[key] = breaches(key)
    errors, doubts = _checked[key]
    for doubt in doubts:
        warnings.warn(doubt, StrictWarning, stacklevel=2)
    if errors:
        raise SimulationError(
            f"{getattr(function, '__qualname__', function)} is not in the NKI language:\n  "
            + "\n  ".join(errors)
        )


def breaches(function: Callable[..., Any]) -> tuple[list[str], list[str]]:
    """What breaks the rules of the language, and what may; each is ``file:line: text [rule]``."""
    reached = Reached(function)
    errors: list[str] = []
    doubts = [f"{name} is not checked: its source is not there" for name in reached.unknown]
    for definition in reached.definitions:
        tree, module, file, _ = definition
        check = check_class(tree, module) if isinstance(tree, ast.ClassDef) else check_function(tree, module)
        for breach in check:
            text = f"{file}:{breach.line}: {breach.text} [{breach.code}]"
            (errors if breach.is_error else doubts).append(text)
    return errors, doubts
