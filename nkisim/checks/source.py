"""The functions and classes that a kernel reaches, with their syntax trees."""

from __future__ import annotations

import ast
import functools
import inspect
import linecache
import sys
from collections.abc import Iterator, Mapping
from functools import lru_cache
from types import FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple

from .language import Function, Module, nodes

FOREIGN = frozenset({"nki", "nkisim", "numpy", "ml_dtypes", *sys.stdlib_module_names})
"""Packages whose functions the compiler does not read, or knows."""


class Definition(NamedTuple):
    """A function or class, where it stands."""

    tree: Function | ast.ClassDef
    module: Module
    file: str
    names: Mapping[str, Any]


class Reached:
    """What a kernel reaches; ``unknown`` holds the names of functions without a source."""

    def __init__(self, kernel: Any) -> None:
        self.definitions: list[Definition] = []
        self.unknown: list[str] = []
        self._seen: set[int] = set()
        self._classes: list[type] = []
        self._methods: set[str] = set()
        self._follow([kernel])

    def _follow(self, pending: list[Any]) -> None:
        while pending or (pending := list(self._called_methods())):
            found = self._add(_plain(pending.pop()))
            if found is not None and not isinstance(found.tree, ast.ClassDef):
                pending.extend(self._used(found.tree, found.names))

    def _add(self, thing: Any) -> Definition | None:
        if id(thing) in self._seen or not isinstance(thing, FunctionType | type) or not _is_own(thing):
            return None
        self._seen.add(id(thing))
        found = _definition(thing)
        if found is None:
            self.unknown.append(thing.__qualname__)
            return None
        self.definitions.append(found)
        if isinstance(thing, type):
            self._classes.append(thing)
        return found

    def _used(self, function: Function, names: Mapping[str, Any]) -> Iterator[Any]:
        """Functions that a function names, and classes that it makes objects of."""
        for node in nodes(function):
            if isinstance(node, ast.Name | ast.Attribute):
                value = _plain(_resolved(node, names))
                if isinstance(value, FunctionType):
                    yield value
            if isinstance(node, ast.Call):
                made = _resolved(node.func, names)
                if isinstance(made, type):
                    yield made
                elif isinstance(node.func, ast.Attribute):
                    self._methods.add(node.func.attr)

    def _called_methods(self) -> Iterator[Any]:
        """Methods of the classes found so far whose names are called somewhere."""
        for cls in self._classes:
            for name, value in vars(cls).items():
                method = _plain(value)
                called = name in self._methods or name in {"__init__", "__post_init__"}
                if (
                    called
                    and isinstance(method, FunctionType)
                    and id(method) not in self._seen
                    and _written(method)
                ):
                    yield method


def _written(method: FunctionType) -> bool:
    """Whether it stands in a file: what ``@dataclass`` makes does not."""
    return not method.__code__.co_filename.startswith("<")


def _plain(thing: Any) -> Any:
    """The function in a kernel, method or partial; anything else as it is."""
    if isinstance(thing, functools.partial):
        return _plain(thing.func)
    if isinstance(thing, MethodType | staticmethod | classmethod):
        return _plain(thing.__func__)
    if isinstance(thing, FunctionType | type):
        return thing
    inner = getattr(thing, "__dict__", {}).get("__wrapped__")
    return thing if inner is None else _plain(inner)


def _is_own(thing: Any) -> bool:
    return str(getattr(thing, "__module__", "")).partition(".")[0] not in FOREIGN


def _resolved(node: ast.AST, names: Mapping[str, Any]) -> Any:
    """What a name, or an attribute of a module or class, is; None when it is not known before running."""
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute):
        owner = _resolved(node.value, names)
        if isinstance(owner, ModuleType | type):
            return inspect.getattr_static(owner, node.attr, None)
    return None


def _definition(thing: Any) -> Definition | None:
    names = _names(thing)
    file = str(names.get("__file__", "")) if isinstance(thing, type) else thing.__code__.co_filename
    module = _parsed(file)
    if module is None:
        return None
    tree = _class(module, thing) if isinstance(thing, type) else _function(module, thing)
    return None if tree is None else Definition(tree, module, file, names)


def _names(thing: FunctionType | type) -> Mapping[str, Any]:
    """What a function sees outside itself, or the names of a class's module."""
    if isinstance(thing, type):
        return vars(sys.modules[thing.__module__]) if thing.__module__ in sys.modules else {}
    function = thing
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    return {**function.__globals__, **{name: _contents(cell) for name, cell in cells}}


def _contents(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return None  # not assigned yet


@lru_cache(maxsize=256)
def _parsed(file: str) -> Module | None:
    text = "".join(linecache.getlines(file))
    try:
        return Module(ast.parse(text)) if text else None
    except SyntaxError:
        return None


def _function(module: Module, function: FunctionType) -> Function | None:
    """The definition that starts (with its decorators) where the function's code does."""
    first = function.__code__.co_firstlineno
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == function.__name__:
            lines = (node.lineno, *(decorator.lineno for decorator in node.decorator_list))
            if min(lines) == first:
                return node
    return None


def _class(module: Module, cls: type) -> ast.ClassDef | None:
    found = (n for n in ast.walk(module.tree) if isinstance(n, ast.ClassDef) and n.name == cls.__name__)
    return next(found, None)
