"""Names and what they refer to, to see whether code that reads them would find the same again."""

from __future__ import annotations

import types
from abc import get_cache_token
from collections.abc import Callable
from operator import attrgetter, is_, itemgetter
from typing import Any

import numpy as np

from .watcher import Names


class Reads:
    """Names and what they refer to, in the places where code looks for them."""

    def __init__(self) -> None:
        self._places: dict[int, tuple[Any, Names]] = {}
        self._absent: list[tuple[Names, set[str]]] = []
        self._whole: list[tuple[Any, int]] = []
        self._items: list[tuple[Callable[[], tuple[Any, ...]], tuple[Any, ...]]] = []
        self._kinds: list[tuple[Any, type]] = []
        self._classes: list[tuple[type, Any, str, str]] = []
        self._dictionaries: list[tuple[Any, Any]] = []
        self._functions: list[tuple[types.FunctionType, tuple[Any, ...]]] = []
        self._checks: list[tuple[Any, Callable[[Any], Any], tuple[Any, ...]]] = []
        self._settings = _settings()

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
        """Note an object's class, and of a class what it is called and where it looks for names."""
        if issubclass(type(value), type):
            self._classes.append((value, value.__mro__, value.__name__, value.__qualname__))
        else:
            self._kinds.append((value, type(value)))

    def dictionary(self, owner: Any, place: Any) -> None:
        """Note that all of an object's attributes are in a place."""
        self._dictionaries.append((owner, place))
        self.whole(place)

    def function(self, function: types.FunctionType) -> None:
        """Note what a function is made of."""
        self._functions.append((function, _parts(function)))

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
                and all(type(value) is kind for value, kind in self._kinds)
                and all(_OF(owner, "__dict__") is place for owner, place in self._dictionaries)
                and all(
                    c.__mro__ is order and c.__name__ is name and c.__qualname__ is whole
                    for c, order, name, whole in self._classes
                )
                and all(all(map(is_, _parts(function), parts)) for function, parts in self._functions)
                and all(_alike(find(), expected) for find, expected in self._items)
                and _settings() == self._settings
            )
        except (AttributeError, KeyError, ValueError):
            return False


_parts = attrgetter("__code__", "__defaults__", "__kwdefaults__", "__name__", "__qualname__")
_OF = object.__getattribute__


def _settings() -> Any:
    """Which classes count as others', and how NumPy prints."""
    return get_cache_token(), np.get_printoptions()


def _check(place: Any, names: Names) -> tuple[Any, Callable[[Any], Any], tuple[Any, ...]]:
    if len(names) == 1:
        ((name, value),) = names.items()
        return place, lambda found: (found[name],), (value,)
    return place, itemgetter(*names), tuple(names.values())


def _alike(found: tuple[Any, ...], expected: tuple[Any, ...]) -> bool:
    return len(found) == len(expected) and all(map(is_, found, expected))
