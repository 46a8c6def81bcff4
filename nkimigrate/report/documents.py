"""JSON documents line by line, spelled as ``json.dumps(value, indent=2)`` would, without holding them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator

_STEP = "  "


class Each:
    """An array whose items are made one by one when it is written; ``make`` starts anew each time."""

    def __init__(self, make: Callable[[], Iterable[object]]) -> None:
        self._make = make

    def __iter__(self) -> Iterator[object]:
        return iter(self._make())


def lines(value: object, indent: str = "", start: str = "", end: str = "") -> Iterator[str]:
    """The lines of a value without newlines; ``start`` and ``end`` stand around it, once indented."""
    if isinstance(value, dict):
        yield from _several("{}", value.items(), indent, start, end)
    elif isinstance(value, list | Each):
        yield from _several("[]", ((None, item) for item in value), indent, start, end)
    else:
        yield f"{indent}{start}{json.dumps(value)}{end}"


def _several(
    brackets: str, items: Iterable[tuple[str | None, object]], indent: str, start: str, end: str
) -> Iterator[str]:
    empty, pending = True, iter(items)
    item = next(pending, None)
    while item is not None:
        if empty:
            yield f"{indent}{start}{brackets[0]}"
        empty = False
        (key, value), item = item, next(pending, None)
        named = "" if key is None else f"{json.dumps(key)}: "
        yield from lines(value, indent + _STEP, named, "" if item is None else ",")
    yield f"{indent}{start}{brackets}{end}" if empty else f"{indent}{brackets[1]}{end}"
