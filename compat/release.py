"""The release table that the codemods read, as this package needs it: legacy names, and how they were called.

``docs/releases.md`` says what the tables mean. Nothing here names a kernel, a parameter or a position.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

from nkilib.insides import table


@dataclass(frozen=True)
class Parameters:
    """A parameter list as source, e.g. ``(a, b=None, *, c=1)``."""

    text: str

    @cached_property
    def _arguments(self) -> ast.arguments:
        tree = ast.parse(f"lambda {self.text.strip()[1:-1]}: 0", mode="eval")
        assert isinstance(tree.body, ast.Lambda)
        return tree.body.args

    @cached_property
    def positional(self) -> tuple[str, ...]:
        return tuple(a.arg for a in self._arguments.args)

    @cached_property
    def names(self) -> tuple[str, ...]:
        return (*self.positional, *(a.arg for a in self._arguments.kwonlyargs))

    @cached_property
    def defaults(self) -> Mapping[str, str]:
        """Parameters with a default → its source."""
        args = self._arguments
        first = len(self.positional) - len(args.defaults)
        pairs = [*zip(self.positional[first:], args.defaults, strict=True)]
        pairs += [(a.arg, d) for a, d in zip(args.kwonlyargs, args.kw_defaults, strict=True) if d is not None]
        return {name: ast.unparse(default) for name, default in pairs}

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any] | None:
        """Parameter → its argument; None when the call does not fit."""
        given = dict(zip(self.positional, args, strict=False))
        unfit = len(args) > len(self.positional) or not kwargs.keys() <= set(self.names) - given.keys()
        given.update(kwargs)
        missing = [n for n in self.names if n not in given and n not in self.defaults]
        return None if unfit or missing else given


@dataclass(frozen=True)
class Form:
    """How a callable was declared in one dialect of the old release; see ``[[calls.old]]``."""

    dialect: str
    name: str
    parameters: Parameters
    new: Parameters
    renamed: Mapping[str, str] = field(default_factory=dict)
    added: Mapping[str, str] = field(default_factory=dict)
    dropped: Mapping[str, str] = field(default_factory=dict)
    flags: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    rewrite: str = "keywords"
    template: str = ""
    step: str = ""

    @classmethod
    def of(cls, call: Mapping[str, Any], old: Mapping[str, Any]) -> Form:
        rest = {key: value for key, value in old.items() if key not in ("name", "signature")}
        name = old.get("name", call["name"])
        return cls(
            name=name, parameters=Parameters(old["signature"]), new=Parameters(call["signature"]), **rest
        )

    @cached_property
    def first_break(self) -> int:
        """The first position that means something else now; the number of positions when there is none."""
        old, new = self.parameters.positional, self.new.positional
        for index, name in enumerate(old):
            if index >= len(new) or new[index] != self.renamed.get(name, name):
                return index
        return len(old)

    @cached_property
    def first_keyword(self) -> int:
        """The first position whose argument goes, changes, or needs its keyword."""
        moved = self.dropped.keys() | self.flags.keys()
        places = [index for index, name in enumerate(self.parameters.positional) if name in moved]
        return min([self.first_break, *places])

    @property
    def changes(self) -> bool:
        """Whether any call of it has to be changed."""
        breaks = self.first_break < len(self.parameters.positional)
        return breaks or bool(self.renamed or self.added or self.dropped or self.flags or self.template)


@dataclass(frozen=True)
class Callee:
    """A callable and the old forms of it that may be meant by one name."""

    name: str
    new: Parameters
    forms: tuple[Form, ...]


class Release:
    """The table, ready to be looked up by qualified names in the release's own spelling."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        head = data["release"]
        self.old: str = head["from"]
        self.new: str = head["to"]
        self.root: str = head["root"]
        self.legacy_roots: tuple[str, ...] = tuple(head["legacy_roots"])
        self.root_dialects: Mapping[str, list[str]] = head["root_dialects"]
        self.symbols: Mapping[str, str] = data["symbols"]
        self.throughs: Mapping[str, str] = data["throughs"]
        self.removed: Mapping[str, str] = data["removed"]
        self.stars: Mapping[str, list[str]] = data["stars"]
        self.enums: Mapping[str, Mapping[str, Any]] = data["enums"]
        self.types: Mapping[str, Mapping[str, Any]] = data["types"]
        self.behaviours: tuple[Mapping[str, Any], ...] = tuple(data["behaviours"])
        self._moves = {**data["modules"], **data["wrong_modules"]}
        self._calls = {call["name"]: call for call in data["calls"]}

    # -- modules ------------------------------------------------------------------------------------

    def module(self, name: str) -> str:
        """Where a module, or what is below it, is now; the name itself when it did not move."""
        for old, new in self._moves.items():
            if name == old or name.startswith(f"{old}."):
                return new + name[len(old) :]
        return name

    def gone_below(self, name: str) -> Iterator[str]:
        """Modules below one that are gone, and known under other names."""
        return (old for old in self._moves if old.startswith(f"{name}."))

    # -- names --------------------------------------------------------------------------------------

    @cached_property
    def _names(self) -> Mapping[str, Mapping[str, str]]:
        """Module → name that it had → what that is called now."""
        old_calls = {f.name: c for c in self._calls for f in self._forms(c) if f.name != c}
        found: dict[str, dict[str, str]] = {}
        for old, new in {**self.throughs, **self.symbols, **old_calls}.items():
            module, _, name = old.rpartition(".")
            found.setdefault(self.module(module), {}).setdefault(name, new)
        for old in self._moves:
            outer, _, name = old.rpartition(".")
            if outer in self._moves:
                found.setdefault(self.module(outer), {}).setdefault(name, self.module(old))
        return found

    def named(self, module: str) -> Mapping[str, str]:
        """Names that a module had, or has through another one → where each is defined now."""
        return self._names.get(module, {})

    def is_through(self, module: str, name: str) -> bool:
        """Whether the new release has the name at this place, too."""
        target = self.throughs.get(f"{module}.{name}")
        return target is not None and target not in self.symbols

    def defining(self, name: str) -> str:
        """The new qualified name of the thing that a qualified name stands for."""
        module, _, last = name.rpartition(".")
        found = self.named(module).get(last)
        return name if found in (None, name) else self.defining(str(found))

    # -- calls --------------------------------------------------------------------------------------

    def _forms(self, new: str) -> tuple[Form, ...]:
        return tuple(Form.of(self._calls[new], old) for old in self._calls[new]["old"])

    def callee(self, name: str) -> Callee | None:
        """What is known of a callable by one of its names; None unless calls of it have to change."""
        new = self.defining(name)
        if new not in self._calls:
            return None
        forms = tuple(f for f in self._forms(new) if f.changes and self._same(f.name, name))
        return Callee(new, Parameters(self._calls[new]["signature"]), forms) if forms else None

    def enums_of(self, new: str) -> Mapping[str, str]:
        """Parameters that insist on members of an enumeration now → its qualified name."""
        enums: Mapping[str, str] = self._calls.get(new, {}).get("enums", {})
        return enums

    def _same(self, one: str, other: str) -> bool:
        """Whether two names were the same one: the last part of a through is that of its definition."""
        return one.rpartition(".")[2] == other.rpartition(".")[2]

    def callables_of(self, module: str) -> Iterator[str]:
        """Last parts of the names of changed callables, methods with their class, that a module defines."""
        prefix = f"{module}."
        return (name[len(prefix) :] for name in self._calls if name.startswith(prefix))

    @cached_property
    def call_behaviours(self) -> Mapping[str, list[Mapping[str, Any]]]:
        """New name of a callable → what changed about calls of it."""
        found: dict[str, list[Mapping[str, Any]]] = {}
        for behaviour in self.behaviours:
            if behaviour["kind"] == "call":
                for name in {self.defining(symbol) for symbol in behaviour["symbols"]}:
                    found.setdefault(name, []).append(behaviour)
        return found


@cache
def release() -> Release:
    """The table, read when first asked for."""
    return Release(table())
