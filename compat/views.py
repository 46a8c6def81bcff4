"""Modules of the library as code outside of it sees them: with the names they had, and with adapters.

The modules stay the same objects, and what they hold stays as it is: who looks decides. The library's own
code never meets an adapter.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType
from typing import Any

from nkilib import insides

from .adaptation import Adaptation
from .adapters import Adapter, MethodAdapter
from .classes import facade_of, make_facade
from .objects import MODULE_VALUES, add_objects
from .release import release
from .sites import is_inside, report

_OWN = "nkilib."
_NOT_VIEWED = ("nkilib.compat", "nkilib.blocks")


class View(ModuleType):
    """A module of the library that answers code outside with legacy names and adapters, too."""

    def __getattribute__(self, name: str) -> Any:
        special = name.startswith("__") and name != "__all__"
        if special or is_inside(sys._getframe(1)):
            return super().__getattribute__(name)
        _prepare_loaded()
        if name == "__all__" and "__all__" not in vars(self):
            return _star(self)
        return _seen(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        known = MODULE_VALUES.get(f"{self.__name__}.{name}")
        if known is None:
            super().__setattr__(name, value)
        else:
            _report_removed(f"{self.__name__}.{name}")
            known.set(value)


def view(module: ModuleType) -> None:
    """Make a module of the library a view."""
    if module.__name__.startswith(_OWN) and not module.__name__.startswith(_NOT_VIEWED):
        module.__class__ = View
        if _prepared:
            _prepare(module)


def view_loaded() -> None:
    """The same for all modules that are imported already."""
    for name, module in list(sys.modules.items()):
        if name.startswith(_OWN) and isinstance(module, ModuleType) and module.__name__ == name:
            view(module)


# -- names ------------------------------------------------------------------------------------------------

_adapters: dict[str, Any] = {}


def _seen(module: ModuleType, name: str) -> Any:
    qualified = f"{module.__name__}.{name}"
    if name in vars(module):
        return _adapted(qualified, vars(module)[name])
    if qualified in MODULE_VALUES:
        _report_removed(qualified)
        return MODULE_VALUES[qualified].get()
    new = release().named(module.__name__).get(name)
    return _missing(module, name) if new is None else _elsewhere(module.__name__, name)


def _missing(module: ModuleType, name: str) -> Any:
    qualified = f"{module.__name__}.{name}"
    step, inside = release().removed.get(qualified), insides.said(qualified)
    if step is None and inside is None:
        return ModuleType.__getattribute__(module, name)
    if step is not None:
        _report_removed(qualified)
    raise insides.absent(name, module.__name__, inside or f"{qualified} is gone. {step}")


def _report_removed(qualified: str) -> None:
    report(
        f"{qualified} is gone in {release().root} {release().new}. {release().removed[qualified]}",
        rewritten=False,
    )


def _elsewhere(module: str, name: str) -> Any:
    """A name that has moved, or that the new release has here only because it imports it."""
    table, qualified = release(), f"{module}.{name}"
    new = table.defining(qualified)
    if not table.is_through(module, name):
        report(f"{qualified} is {new} in {table.root} {table.new}.")
    try:
        return _adapted(qualified, _resolved(new))
    except ImportError as error:
        text = insides.said(qualified) or f"{qualified} is {new} now, which cannot be imported: {error}"
        raise insides.absent(qualified.rpartition(".")[2], module, text) from error


def _resolved(qualified: str) -> Any:
    """What a qualified name stands for: something that a module holds, or a module."""
    module, _, name = qualified.rpartition(".")
    held = import_module(module)
    return vars(held)[name] if name in vars(held) else import_module(qualified)


def _adapted(qualified: str, value: Any) -> Any:
    """The adapter of one of the library's own functions or kernels; anything else as it is."""
    if isinstance(value, type):
        return facade_of(value)
    if isinstance(value, ModuleType | Adapter) or not callable(value):
        return value
    if not str(getattr(value, "__module__", "")).startswith(_OWN):
        return value
    known = _adapters.get(qualified)
    if known is not None and getattr(known, "__wrapped__", known) is value:
        return known
    adaptation = Adaptation(qualified)
    made = Adapter(adaptation, value) if adaptation.is_needed else value
    _adapters[qualified] = made
    return made


def _star(module: ModuleType) -> list[str]:
    """What ``from module import *`` brings: what the module holds, and what it brought before."""
    held = [name for name in vars(module) if not name.startswith("_")]
    before = release().stars.get(module.__name__, ())
    return [*held, *(name for name in before if name not in held and _is_known(module, name))]


def _is_known(module: ModuleType, name: str) -> bool:
    if name not in release().named(module.__name__):
        return f"{module.__name__}.{name}" in MODULE_VALUES
    try:
        _resolved(release().defining(f"{module.__name__}.{name}"))
    except ImportError:
        return False
    return True


# -- classes ----------------------------------------------------------------------------------------------

_prepared = False


def _prepare_loaded() -> None:
    """Adapt the classes of all views, once code outside has looked at any of them."""
    global _prepared
    if not _prepared:
        _prepared = True
        for module in [m for m in sys.modules.values() if isinstance(m, View)]:
            _prepare(module)


def _prepare(module: ModuleType) -> None:
    for kind, method, adaptation in _adaptations(module):
        if not method:
            make_facade(kind, adaptation)
    for kind, method, adaptation in _adaptations(module):
        if method:
            held = vars(kind)[method]
            # a static one is reached through the class: the library's own may stay as it is
            owner = facade_of(kind) if isinstance(held, staticmethod) else kind
            setattr(owner, method, MethodAdapter(adaptation, held))
    add_objects(module)


def _adaptations(module: ModuleType) -> Iterator[tuple[type, str, Adaptation]]:
    """Classes that the module defines, with their methods, whose parameters changed."""
    for name in release().callables_of(module.__name__):
        owner, _, method = name.partition(".")
        kind = vars(module).get(owner)
        adaptation = Adaptation(f"{module.__name__}.{name}")
        if isinstance(kind, type) and adaptation.is_needed and (not method or method in vars(kind)):
            yield kind, method, adaptation
