"""Names and what they refer to, to see whether code that reads them would find the same again."""

from __future__ import annotations

import types
from abc import get_cache_token
from collections.abc import Callable
from itertools import chain
from operator import attrgetter, eq, is_, itemgetter
from typing import Any

import numpy as np

from .watcher import Names


class _Parts:
    """Objects and what each of them consists of."""

    def __init__(self, parts: Callable[[Any], tuple[Any, ...]]) -> None:
        self._parts = parts
        self._owners: list[Any] = []
        self._expected: list[Any] = []

    def note(self, owner: Any) -> None:
        self._owners.append(owner)
        self._expected.extend(self._parts(owner))

    def same(self) -> bool:
        return all(map(is_, chain.from_iterable(map(self._parts, self._owners)), self._expected))


class Reads:
    """Names and what they refer to, in the places where code looks for them."""

    def __init__(self) -> None:
        self._places: dict[int, tuple[Any, Names]] = {}
        self._absent: list[tuple[Names, set[str]]] = []
        self._whole: list[Any] = []
        self._sizes: list[int] = []
        self._items: list[tuple[Callable[[], tuple[Any, ...]], tuple[Any, ...]]] = []
        self._objects = _Parts(lambda value: (type(value), attributes_of(value)))
        self._classes = _Parts(attrgetter("__mro__", "__name__", "__qualname__"))
        self._functions = _Parts(
            attrgetter("__code__", "__defaults__", "__kwdefaults__", "__name__", "__qualname__", "__dict__")
        )
        self._kept: list[types.FunctionType] = []
        self._dictionaries: list[Names] = []
        self._checks: list[tuple[Any, Callable[[Any], Any], tuple[Any, ...]]] = []
        self._settings = _settings()

    def name(self, place: Any, name: str, value: Any) -> bool:
        """Note a name; whether it is new."""
        names = self._places.setdefault(id(place), (place, {}))[1]
        new = name not in names
        names[name] = value
        return new

    def absent(self, place: Names, names: set[str]) -> None:
        """Note that a place has none of these names."""
        self._absent.append((place, names))

    def whole(self, place: Any) -> None:
        """Note that a place has as many names as it has."""
        self._whole.append(place)
        self._sizes.append(len(place))

    def kept(self, function: types.FunctionType) -> None:
        """Note where a function that is not called keeps its attributes."""
        self._kept.append(function)
        self._dictionaries.append(function.__dict__)

    def made_of(self, value: Any) -> None:
        """Note an object's class and ``__dict__``; of a class its names, and where it looks for others;
        of a function also what it runs."""
        kind = type(value)
        of_its_kind = self._classes if issubclass(kind, type) else self._objects
        (self._functions if kind is types.FunctionType else of_its_kind).note(value)

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
                and all(map(eq, map(len, self._whole), self._sizes))
                and all(place.keys().isdisjoint(names) for place, names in self._absent)
                and all(map(is_, map(_DICTIONARY, self._kept), self._dictionaries))
                and all(parts.same() for parts in (self._functions, self._classes, self._objects))
                and all(_alike(find(), expected) for find, expected in self._items)
                and _settings() == self._settings
            )
        except (KeyError, ValueError):
            return False


_DICTIONARY = attrgetter("__dict__")


def attributes_of(value: Any) -> Any:
    """An object's ``__dict__``, without any code of its class; None when it has none."""
    try:
        return object.__getattribute__(value, "__dict__")
    except AttributeError:
        return None


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
