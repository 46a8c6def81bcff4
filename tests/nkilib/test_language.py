"""Functions and classes of nkilib are in the NKI language, but for what only the host runs."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

import nkilib
from nkisim.checks.session import breaches

HOST = {
    "nkilib.core.topk.rotational_topk.topk": "launches the kernels",
    "nkilib.core.topk.subscripted": "wraps what launches them",
    "nkilib.insides": "answers imports",
    "nkilib.core.utils.lnc_subscriptable": "for reference functions",
    "nkilib.core.utils.logging._levels_of_environment": "runs when the module is imported",
}
"""Modules and functions that no kernel runs, and why."""


def modules() -> Iterator[ModuleType]:
    for found in pkgutil.walk_packages(nkilib.__path__, "nkilib."):
        if not found.name.startswith("nkilib.compat") and not found.name.endswith("_torch"):
            yield importlib.import_module(found.name)


def defined(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """Functions, classes and methods that stand in a module, by their full names."""
    for name, value in vars(module).items():
        if getattr(value, "__module__", None) != module.__name__:
            continue
        plain = getattr(value, "__wrapped__", value)
        if inspect.isfunction(plain) or inspect.isclass(plain):
            yield f"{module.__name__}.{name}", plain
        if inspect.isclass(plain):
            yield from ((f"{module.__name__}.{name}.{key}", method) for key, method in methods(plain))


def methods(cls: type) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Those that are written down, not made by a decorator."""
    for name, value in vars(cls).items():
        method = getattr(value, "__func__", value)
        if inspect.isfunction(method) and method.__code__.co_filename == inspect.getfile(cls):
            yield name, method


FOUND = dict(pair for module in modules() for pair in defined(module) if module.__name__ not in HOST)


@pytest.mark.parametrize("name", sorted(set(FOUND) - set(HOST)))
def test_in_the_language(name: str) -> None:
    errors, doubts = breaches(FOUND[name])
    assert not errors + doubts


def test_the_hosts_functions_are_there_and_need_to_be_listed() -> None:
    for name in HOST:
        if name in FOUND:
            errors, _ = breaches(FOUND[name])
            assert errors
        else:
            importlib.import_module(name)
