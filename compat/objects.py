"""Attributes and module values that are gone: sizes of views, children of loggers, the global log level."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

from .adapters import MethodAdapter
from .release import release
from .sites import report


@dataclass(frozen=True)
class ModuleValue:
    """A module's constant that users assign."""

    get: Callable[[], Any]
    set: Callable[[Any], None]


def _logging() -> dict[str, Any]:
    """What the module holds itself: no facade."""
    return vars(import_module("nkilib.core.utils.logging"))


def _global_level() -> Any:
    """The level of loggers that are made without one."""
    (level,) = _logging()["Logger"].__init__.__defaults__
    return level


def _set_global_level(level: Any) -> None:
    """For loggers that are made from now on without a level, and for the module's own."""
    held = _logging()
    held["Logger"].__init__.__defaults__ = (level,)
    held["get_logger"].__defaults__ = (level,)
    held["logger"].level = level


_PACKAGE = "nkilib.core.output_projection.output_projection_cte"


def _limit(name: str) -> ModuleValue:
    """A limit of the output projection, whose name is private now; assigned, it holds as it did."""

    def held() -> dict[str, Any]:
        return vars(import_module(f"{_PACKAGE}.output_projection_cte_parameters"))

    return ModuleValue(lambda: held()[f"_{name}"], lambda value: held().update({f"_{name}": value}))


_LIMITS = ("MAX_VALIDATED_B_TIMES_S_SIZE", "MAX_VALIDATED_H_SIZE", "MAX_VALIDATED_N_SIZE")
MODULE_VALUES: Mapping[str, ModuleValue] = {
    "nkilib.core.utils.logging.GLOBAL_LOG_LEVEL": ModuleValue(_global_level, _set_global_level),
    **{f"{_PACKAGE}.{name}": _limit(name) for name in _LIMITS},
}


def _create_child(self: Any, name: str, level: Any = None) -> Any:
    """A logger called after its parent, at the parent's level unless another is given."""
    qualified = "nkilib.core.utils.logging.Logger.create_child"
    report(f"Logger.create_child is gone. {release().removed[qualified]}", rewritten=False)
    return type(self)(f"{self.name}.{name}", self.level if level is None else level)


class Integers:
    """Gives a method's parameter as a Python integer, where the old release took NumPy's as well."""

    def __init__(self, method: str, parameter: str, position: int) -> None:
        self.method, self.parameter, self.position = method, parameter, position

    def call(self, target: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call the method."""
        place = self.position
        value = args[place] if place < len(args) else kwargs.get(self.parameter)
        if isinstance(value, int) or not isinstance(value, numbers.Integral):
            return target(*args, **kwargs)
        report(f"{self.method} takes {value!r} for an index that is known only when it runs; write int(…).")
        if place < len(args):
            return target(*args[:place], int(value), *args[place + 1 :], **kwargs)
        return target(*args, **{**kwargs, self.parameter: int(value)})


METHODS: Mapping[str, Callable[..., Any]] = {"nkilib.core.utils.logging.Logger.create_child": _create_child}


def add_objects(module: ModuleType) -> None:
    """Give the classes that a module defines their former attributes and methods."""
    for qualified, table in release().types.items():
        owner, _, name = qualified.rpartition(".")
        if owner != module.__name__ or name not in vars(module):
            continue
        kind = vars(module)[name]
        for old, new in table.get("attributes", {}).items():
            setattr(kind, old, _former(name, old, new, new in table.get("tuples", ())))
        for method, entry in table.get("integers", {}).items():
            integers = Integers(f"{name}.{method}", entry["parameter"], entry["position"])
            setattr(kind, method, MethodAdapter(integers, vars(kind)[method]))
        for method, function in METHODS.items():
            if method.rpartition(".")[0] == qualified:
                setattr(kind, method.rpartition(".")[2], function)


def _former(kind: str, old: str, new: str, was_list: bool) -> property:
    """An attribute by its old name; one that is a tuple now is given as a new list."""

    def get(self: Any) -> Any:
        report(f"{kind}.{old} is {new} in {release().root} {release().new}.")
        value = getattr(self, new)
        return list(value) if was_list else value

    return property(get, doc=f"``{new}`` by its old name.")
