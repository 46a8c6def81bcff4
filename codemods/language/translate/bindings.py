"""What names stand for at one place, with what has changed about that, and how values are spelled."""

from __future__ import annotations

import re
from collections.abc import Mapping

from .freed import spelling
from .values import Choice, Value

_WORD = re.compile(r"(?<![\w.])[^\W\d]\w*(?![\w@])")


class Spellings:
    """Which values are spelled with which variables: shared by all places of a function."""

    def __init__(self) -> None:
        self._words: dict[int, tuple[Value, frozenset[str]]] = {}  # holds values, so that ids stay theirs
        self._names: dict[str, dict[str, None]] = {}
        self._new: list[tuple[str, Value]] = []

    def bound(self, name: str, value: Value) -> None:
        """A name stands for a value somewhere."""
        self._new.append((name, value))

    def spelled_with(self, variable: str) -> tuple[str, ...]:
        """Names that stood, somewhere, for a value that was spelled with a variable."""
        for name, value in self._new:
            for word in self.words(value):
                self._names.setdefault(word, {})[name] = None
        self._new.clear()
        return tuple(self._names.get(variable, ()))

    def words(self, value: Value) -> frozenset[str]:
        """The variables that a value is spelled with."""
        known = self._words.get(id(value))
        if known is None:
            known = self._words[id(value)] = (value, frozenset(_WORD.findall(spelling(value))))
        return known[1]


class Values(dict[str, Value]):
    """Names → values.

    Attributes:
        changed: names that got another value, or may stand for something else, since this was copied.
        choices: whether one has depended on a condition.
        spellings: see :class:`Spellings`.
    """

    __slots__ = ("changed", "choices", "spellings")

    def __init__(
        self,
        values: Mapping[str, Value] | None = None,
        spellings: Spellings | None = None,
        choices: bool = False,
    ) -> None:
        super().__init__(values or {})
        self.changed: dict[str, None] = {}
        self.choices = choices
        self.spellings = spellings or Spellings()

    def copy(self) -> Values:
        return Values(self, self.spellings, self.choices)

    def __setitem__(self, name: str, value: Value) -> None:
        super().__setitem__(name, value)
        self.changed[name] = None
        self.choices = self.choices or isinstance(value, Choice)
        self.spellings.bound(name, value)
