"""Command-line options of a harness: ``argparse`` gives the defaults, as nobody types anything."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from .values import UNKNOWN, Arguments

PARSER = "argparse.ArgumentParser"
_METHODS = ("add_argument", "parse_args", "add_argument_group")


@dataclass(frozen=True)
class Options:
    """A parser, a group of one, or what it parsed: the defaults by name.

    Attributes:
        method: the parser's method that is about to be called, "" for none.
    """

    values: dict[str, Any] = field(default_factory=dict)
    method: str = ""

    def attribute(self, name: str) -> Any:
        """A method, or the value of an option."""
        return replace(self, method=name) if name in _METHODS else self.values.get(name, UNKNOWN)

    def called(self, given: Arguments) -> Any:
        """What the method gives: ``add_argument`` only notes a default, or the first choice without one."""
        if self.method != "add_argument":
            return replace(self, method="")
        flags = [flag for flag in given.positional if isinstance(flag, str)]
        if flags:
            name = given.named.get("dest", flags[-1].lstrip("-").replace("-", "_"))
            self.values[name] = _default(given.named)
        return UNKNOWN


def _default(named: dict[str, Any]) -> Any:
    if "default" in named:
        return named["default"]
    if named.get("action") == "store_true":
        return False
    choices = named.get("choices")
    return choices[0] if isinstance(choices, list | tuple) and choices else UNKNOWN
