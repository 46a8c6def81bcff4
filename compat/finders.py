"""Imports: legacy roots and modules that are gone lead to the modules of today; new modules become views."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

from nkilib import insides
from nkilib.insides import refuse

from .release import release
from .sites import report
from .views import view, view_loaded

_OWN = "nkilib"
_roots: dict[str, str] = {}
_aliases: set[str] = set()


class _Alias(Loader):
    """Puts a module that has another name in the place of the one that is imported."""

    def __init__(self, name: str) -> None:
        self.name = name

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        spec = module.__spec__
        assert spec is not None
        self.put(spec.name, importlib.import_module(self.name))
        for name in self._also(spec.name):
            self.put(name, importlib.import_module(release().module(_canonical(name))))

    @staticmethod
    def put(name: str, module: ModuleType) -> None:
        sys.modules[name] = module
        _aliases.add(name)

    def _also(self, name: str) -> Iterator[str]:
        """Modules below, by the alias, that are there already, or are gone: importlib cannot import either.

        It would bind the former to their package a second time, over a name that stands in their place, and
        not look below a module that is no package.
        """
        for loaded in [m for m in sys.modules if m.startswith(f"{self.name}.")]:
            yield name + loaded[len(self.name) :]
        canonical = _canonical(name)
        if canonical != self.name:
            for gone in release().gone_below(canonical):
                yield name + gone[len(canonical) :]


class _Viewing(Loader):
    """Loads a module as its own loader does, and makes it a view."""

    def __init__(self, loader: Loader) -> None:
        self.loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__ is not None
        module.__spec__.loader = module.__loader__ = self.loader
        self.loader.exec_module(module)
        view(module)


class _Former(Loader):
    """Makes a module that this library has none of, and through which old code imports names of others."""

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        vars(module)["__getattr__"] = insides.named(module.__name__)
        view(module)


def _former(name: str) -> bool:
    """Whether a module is an inside from which code of 2.27 imports names that are elsewhere now."""
    table = release()
    moved = any(not table.is_through(name, held) for held in table.named(name))
    return moved and insides.said(name) is not None


def _canonical(name: str) -> str:
    """A module's name under the library's own root."""
    for alias, root in _roots.items():
        if name == alias or name.startswith(f"{alias}."):
            return root + name[len(alias) :]
    return name


class _Roots(MetaPathFinder):
    """Comes first: under a legacy root, the other finders would load every module a second time."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        canonical = _canonical(fullname)
        if canonical != fullname:
            return _alias_spec(fullname, release().module(canonical))
        return self._viewed(fullname, path, target) if fullname.startswith(f"{_OWN}.") else None

    def _viewed(self, name: str, path: Sequence[str] | None, target: ModuleType | None) -> ModuleSpec | None:
        for finder in sys.meta_path:
            if isinstance(finder, _Roots | _Gone | insides.Finder):
                continue
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                if spec.loader is not None and hasattr(spec.loader, "exec_module"):
                    spec.loader = _Viewing(spec.loader)
                return spec
        return ModuleSpec(name, _Former()) if _former(name) else None


class _Gone(MetaPathFinder):
    """Comes last: modules that nobody finds may have moved."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(f"{_OWN}."):
            return None
        now = release().module(fullname)
        return None if now == fullname else _alias_spec(fullname, now)


def _alias_spec(alias: str, name: str) -> ModuleSpec | None:
    spec = importlib.util.find_spec(name)
    if spec is None:
        refuse(name, alias)
        return None
    root = next((root for root in _roots if alias == root or alias.startswith(f"{root}.")), "")
    old, new = (root, _roots[root]) if root else (alias, name)
    report(f"{old} is {new} in {release().root} {release().new}.")
    return ModuleSpec(alias, _Alias(name), is_package=spec.submodule_search_locations is not None)


def alias_root(alias: str) -> None:
    """Make a legacy root lead to the library."""
    _roots[alias] = _OWN


def forget_aliases() -> None:
    """Let the next import of each module by a legacy name be found anew."""
    for name in _aliases:
        sys.modules.pop(name, None)
    _aliases.clear()


def install() -> None:
    """Put the finders in place, once; what is imported already becomes a view."""
    if not any(isinstance(finder, _Roots) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Roots())
        sys.meta_path.append(_Gone())
        view_loaded()
