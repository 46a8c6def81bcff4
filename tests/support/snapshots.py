"""Signatures of the library's releases as they stand in its sources, to compare release tables with.

A parameter list is a list of strings as in source: ``"x"``, ``"eps=1e-06"``, ``"*"`` before keyword-only
ones; methods and constructors come without ``self``.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

DATA = Path(__file__).resolve().parent.parent / "data"
DIALECTS: Mapping[str, Any] = json.loads((DATA / "signatures-2.27-dialects.json").read_text(encoding="utf-8"))


class Snapshot:
    """One release: its modules with functions, classes, constants and imports."""

    def __init__(self, release: str) -> None:
        text = (DATA / f"signatures-{release}.json").read_text(encoding="utf-8")
        self.modules: Mapping[str, Any] = json.loads(text)["modules"]
        self.callables = dict(_callables(self.modules))
        self.defined = {f"{m}.{n}" for m, content in self.modules.items() for n in _defined(content)}
        self.imports = {
            f"{m}.{n}": target
            for m, content in self.modules.items()
            for n, target in content.get("imports", {}).items()
        }

    def origin(self, name: str) -> str:
        """Where a name is defined that may be reached through other modules."""
        for _ in range(len(self.modules)):
            if name in self.defined or name not in self.imports:
                return name
            name = self.imports[name]
        raise AssertionError(f"{name} is imported in a circle")

    def has(self, name: str) -> bool:
        """Whether a module, a name of one or a class's method exists, imported or defined."""
        return name in self.modules or self.origin(name) in self.defined or name in self.callables

    def signature(self, name: str) -> list[str] | None:
        """The parameters of a function, constructor or method, by any path; None when there is none."""
        owner, _, last = name.rpartition(".")
        found = self.callables.get(self.origin(name))
        return self.callables.get(f"{self.origin(owner)}.{last}") if found is None else found

    def star(self, module: str) -> set[str]:
        """What ``from module import *`` brings when the module has no ``__all__``."""
        content = self.modules[module]
        return {n for n in (*_defined(content), *content.get("imports", ())) if not n.startswith("_")}


def _callables(modules: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    for module, content in modules.items():
        for name, listed in content.get("functions", {}).items():
            yield f"{module}.{name}", listed
        for name, entry in content.get("classes", {}).items():
            if "init" in entry:
                yield f"{module}.{name}", entry["init"]
            for method, listed in entry.get("methods", {}).items():
                yield f"{module}.{name}.{method}", listed


def _defined(content: Mapping[str, Any]) -> Iterator[str]:
    for kind in ("functions", "classes", "constants"):
        yield from content.get(kind, ())


def parameters(signature: str) -> list[str]:
    """A signature's text as a parameter list, by the interpreter's own grammar."""
    tree = ast.parse(f"def f{signature}: pass").body[0]
    assert isinstance(tree, ast.FunctionDef)
    args = tree.args
    assert [args.posonlyargs, args.vararg, args.kwarg] == [[], None, None]
    defaults = [None] * (len(args.args) - len(args.defaults)) + list(args.defaults)
    listed = [_spelled(a, d) for a, d in zip(args.args, defaults, strict=True)]
    keyword_only = [_spelled(a, d) for a, d in zip(args.kwonlyargs, args.kw_defaults, strict=True)]
    return [*listed, "*", *keyword_only] if keyword_only else listed


def _spelled(argument: ast.arg, default: ast.expr | None) -> str:
    return argument.arg if default is None else f"{argument.arg}={ast.unparse(default)}"


def normal(listed: Iterable[str]) -> list[str]:
    """A parameter list with its defaults spelled as :mod:`ast` spells them."""
    return parameters(f"({', '.join(listed)})")


def names(listed: Iterable[str]) -> list[str]:
    """The names in a parameter list."""
    return [p.partition("=")[0] for p in listed if p != "*"]


def positional(listed: list[str]) -> list[str]:
    """The names that can be passed by position."""
    return names(listed[: listed.index("*")] if "*" in listed else listed)


def required(listed: Iterable[str]) -> list[str]:
    """The names without a default."""
    return [p for p in listed if p != "*" and "=" not in p]


def public(name: str) -> bool:
    """Whether no part of a dotted name begins with an underscore."""
    return not any(part.startswith("_") for part in name.split("."))
