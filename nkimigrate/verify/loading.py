"""Imports the user's module, in the process that is made for it.

A file in a package is imported as a part of it, any other file as a script's folder would have it. What the
file imports of its own tree is found there. A third-party module that is not installed is replaced by
a placeholder, which may be named but not used when the kernel runs: harness code beside a kernel often wants
a framework that the kernel does not need.
"""

from __future__ import annotations

import ast
import importlib
import importlib.abc
import importlib.util
import logging
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

MOST_PLACEHOLDERS = 20
OWN = ("nki", "neuronxcc", "nkilib", "nkilib_standalone", "nkilib_src", "nkisim", "numpy", "ml_dtypes")
"""Packages that are never replaced: what is missing in them is what the user must hear of."""
PRIVATE = "neuronxcc."
"""But what lies below this, such as private kernels and APIs of the compiler, is."""


class NotInstalled(Exception):
    """A placeholder was used while a kernel ran."""


class Placeholder:
    """Something of a module that is not installed; it can be named, called, subclassed and decorate."""

    sealed = False
    """Set while a kernel runs: use is an error from then on."""

    def __init__(self, path: str) -> None:
        self.__dict__["_path"] = path

    def _use(self) -> Placeholder:
        if Placeholder.sealed:
            top = self._path.partition(".")[0]
            lack = "it is not in the simulator" if top in OWN else f"{top} is not installed here"
            raise NotInstalled(f"uses {self._path}, and {lack}")
        return Placeholder(self._path)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        self._use()
        return Placeholder(f"{self._path}.{name}")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self._use()
        if self._path.endswith("nki_jit"):  # the framework's decorator of kernels
            from nkisim.beta1 import jit

            return jit(*args) if args else jit
        return self

    def __getitem__(self, key: Any) -> Any:
        return self._use()

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        return (object,)

    def __or__(self, other: Any) -> Any:  # in annotations
        return self

    __ror__ = __or__


class _Module(ModuleType):
    """A module that is not installed."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Placeholder(f"{self.__name__}.{name}")


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Makes placeholders for modules that are known to be missing, and all below them."""

    def __init__(self) -> None:
        self.missing: list[str] = []

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not any(fullname == name or fullname.startswith(f"{name}.") for name in self.missing):
            return None
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Module(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """There is nothing to run."""


def load(root: str, file: str, paths: Sequence[str]) -> tuple[ModuleType, list[str]]:
    """The module of a file, and the packages that placeholders stand for.

    Args:
        root: folder of the tree. file: relative to it. paths: more folders to import from, relative to it.

    Raises whatever the module raises, and ModuleNotFoundError for a module that no placeholder may replace.
    """
    path = os.path.join(root, file)
    name, above = _dotted(root, file)
    vars(logging).setdefault("OFF", logging.CRITICAL)  # the compiler's packages define it for harnesses
    sys.path[:0] = [above, *(os.path.join(root, extra) for extra in paths)]
    sys.path.extend(folder for folder in _ancestors(root, file) if folder not in sys.path)
    finder = _Finder()
    sys.meta_path.insert(0, finder)
    while True:
        loaded = set(sys.modules)
        try:
            return _imported(name, path), finder.missing
        except ModuleNotFoundError as error:
            missing = _replaceable(error.name or "")
            if missing in ("", *finder.missing) or len(finder.missing) >= MOST_PLACEHOLDERS:
                raise
            finder.missing.append(missing)
            for half in set(sys.modules) - loaded:
                if half.partition(".")[0] not in OWN:
                    del sys.modules[half]


def _replaceable(module: str) -> str:
    """What a placeholder may stand for so that a module is found; "" for nothing."""
    if module.startswith(PRIVATE):
        return module
    top = module.partition(".")[0]
    return "" if top in ("", *OWN) or _is_installed(top) else top


def _is_installed(top: str) -> bool:
    try:
        return importlib.util.find_spec(top) is not None
    except (ImportError, ValueError):
        return False


def _imported(name: str, path: str) -> ModuleType:
    if "." in name:
        return importlib.import_module(name)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _dotted(root: str, file: str) -> tuple[str, str]:
    """The module's name and the folder it is imported from.

    Packages are folders with ``__init__.py``, and those that the file's own imports name or count up to.
    """
    parts = file.removesuffix(".py").split("/")
    named, levels = _wanted(os.path.join(root, file))
    top = len(parts) - 1
    while top and (
        _is_package(os.path.join(root, *parts[:top]))
        or parts[top - 1] in named
        or len(parts) - 1 - top < levels
    ):
        top -= 1
    if any(not part.isidentifier() for part in parts[top:]):
        top = len(parts) - 1
    name = ".".join(parts[top:])
    return (name.removesuffix(".__init__") or name), os.path.join(root, *parts[:top])


def _is_package(folder: str) -> bool:
    return os.path.exists(os.path.join(folder, "__init__.py"))


def _wanted(path: str) -> tuple[frozenset[str], int]:
    """The top-level packages that a file imports, and the most dots of its relative imports."""
    try:
        with open(path, "rb") as opened:
            tree = ast.parse(opened.read())
    except (OSError, SyntaxError, ValueError):
        return frozenset(), 0
    nodes = list(ast.walk(tree))
    froms = [node for node in nodes if isinstance(node, ast.ImportFrom)]
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in froms if node.module and not node.level]
    return frozenset(name.partition(".")[0] for name in names), max((n.level for n in froms), default=0)


def _ancestors(root: str, file: str) -> list[str]:
    """The folders from the file's own up to the tree's."""
    parts = file.split("/")[:-1]
    return [os.path.join(root, *parts[:depth]) for depth in range(len(parts), -1, -1)]
