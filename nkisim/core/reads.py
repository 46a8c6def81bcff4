"""Names and what they refer to, to see whether code that reads them would find the same again."""

from __future__ import annotations

import types
from collections.abc import Callable
from operator import is_, itemgetter
from typing import Any

from .watcher import Names


class Reads:
    """Names and what they refer to, in the places where code looks for them."""

    def __init__(self) -> None:
        self._places: dict[int, tuple[Any, Names]] = {}
        self._absent: list[tuple[Names, set[str]]] = []
        self._whole: list[tuple[Any, int]] = []
        self._items: list[tuple[Callable[[], tuple[Any, ...]], tuple[Any, ...]]] = []
        self._kinds: list[tuple[Any, type, Any]] = []
        self._functions: list[tuple[types.FunctionType, Any, Any, Any]] = []
        self._checks: list[tuple[Any, Callable[[Any], Any], tuple[Any, ...]]] = []

    def name(self, place: Any, name: str, value: Any) -> bool:
        """Note a name; whether it is new."""
        names = self._places.setdefault(id(place), (place, {}))[1]
        new = name not in names
        names[name] = value
        return new

    def absent(self, place: Names, names: set[str]) -> None:
        self._absent.append((place, names))

    def whole(self, place: Any) -> None:
        """Note that a place has as many names as it has."""
        self._whole.append((place, len(place)))

    def kind(self, value: Any) -> None:
        """Note an object's class, and of a class where it looks for names."""
        self._kinds.append((value, type(value), value.__mro__ if isinstance(value, type) else None))

    def function(self, function: types.FunctionType) -> None:
        """Note what a function is made of."""
        parts = function.__code__, function.__defaults__, function.__kwdefaults__
        self._functions.append((function, *parts))

    def items(self, find: Callable[[], tuple[Any, ...]]) -> None:
        """Note what a function gives."""
        self._items.append((find, find()))

    def hold(self) -> bool:
        """Whether everything is what it was."""
        if not self._checks:
            self._checks = [_check(place, names) for place, names in self._places.values() if names]
        try:
            return (
                all(all(map(is_, get(place), expected)) for place, get, expected in self._checks)
                and all(len(place) == size for place, size in self._whole)
                and all(place.keys().isdisjoint(names) for place, names in self._absent)
                and all(type(value) is kind for value, kind, _ in self._kinds)
                and all(value.__mro__ is order for value, _, order in self._kinds if order is not None)
                and all(
                    f.__code__ is code and f.__defaults__ is defaults and f.__kwdefaults__ is named
                    for f, code, defaults, named in self._functions
                )
                and all(_alike(find(), expected) for find, expected in self._items)
            )
        except (KeyError, ValueError):
            return False


def _check(place: Any, names: Names) -> tuple[Any, Callable[[Any], Any], tuple[Any, ...]]:
    if len(names) == 1:
        ((name, value),) = names.items()
        return place, lambda found: (found[name],), (value,)
    return place, itemgetter(*names), tuple(names.values())


def _alike(found: tuple[Any, ...], expected: tuple[Any, ...]) -> bool:
    return len(found) == len(expected) and all(map(is_, found, expected))
