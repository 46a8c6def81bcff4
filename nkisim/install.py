"""Serving ``import nki``, and the legacy ``import neuronxcc.nki``, from this package.

A real one of either always wins unless ``NKI_SIMULATOR=1`` (or ``install(always=True)``) says otherwise. The
placeholder on PyPI, which has no ``nki.language``, does not count as real.
"""

from __future__ import annotations

import builtins
import importlib
import importlib.abc
import importlib.util
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace
from typing import Any

_OWN = __package__ or "nkisim"
_TARGETS = {
    "": "nki",
    ".language": "language",
    ".language.dtypes": "dtype",
    ".isa": "isa",
    ".isa.constants": "isa.constants",
    ".tensor": "tensor",
    ".typing": "typing",
    ".collectives": "collectives",
    ".compiler": "compiler",
    ".dtype": "dtype",
}
_LEGACY_TARGETS = {
    "": "beta1",
    ".language": "beta1.language",
    ".language.constants": "beta1.constants",
    ".isa": "beta1.isa",
    ".isa.constants": "beta1.isa.constants",
    ".typing": "beta1.typing",
    ".compiler": "beta1.compiler",
}
NEWER, LEGACY = "nki", "neuronxcc.nki"
_PARENT = "neuronxcc"
_TABLES = {NEWER: _TARGETS, LEGACY: _LEGACY_TARGETS}
SERVED = {
    f"{root}{name}": f"{_OWN}.{target}" for root, table in _TABLES.items() for name, target in table.items()
}
"""Module name → the module of this package that it gives."""

_displaced: dict[str, ModuleType] = {}


class InstallError(ImportError):
    """``nki`` cannot be served: a real one is imported already."""


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds what is served and all below it; a name that is not served is not found, wherever it might be.

    ``roots`` are the packages that are served. ``neuronxcc`` itself is made, empty, where there is none.
    """

    def __init__(self) -> None:
        self.roots: tuple[str, ...] = ()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == _PARENT and LEGACY in self.roots and _elsewhere(_PARENT) is None:
            return ModuleSpec(fullname, self, is_package=True)
        if not _below(fullname, self.roots):
            return None
        if fullname not in SERVED:
            raise ModuleNotFoundError(f"nkisim has no module {fullname!r}", name=fullname)
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        if spec.name == _PARENT:
            return None
        module = importlib.import_module(SERVED[spec.name])
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """The module ran under its own name; it keeps the spec of that."""
        spec = module.__spec__
        if spec is not None and spec.loader is self and spec.loader_state is not None:
            module.__spec__ = spec.loader_state


_FINDER = _Finder()


def installed() -> bool:
    """Whether ``import nki`` gives the simulator."""
    return _FINDER in sys.meta_path and NEWER in _FINDER.roots


def install(always: bool | None = None) -> bool:
    """Serve ``nki`` and ``neuronxcc.nki`` from here on, each if there is no real one.

    Args:
        always: before a real one too; None means ``NKI_SIMULATOR=1``.

    Returns whether ``nki`` is served. Raises InstallError when ``always`` and a real one is imported already.
    """
    if installed():
        return True
    if always is None:
        always = os.environ.get("NKI_SIMULATOR", "") == "1"
    roots = tuple(root for root in (NEWER, LEGACY) if _may_serve(root, always))
    if not roots:
        return False
    _FINDER.roots = roots
    _displace()
    if _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)
    if NEWER in roots:
        _add_builtin()
    return NEWER in roots


def _may_serve(root: str, always: bool) -> bool:
    present = sys.modules.get(root)
    if present is not None and _is_real(present, root):
        if not always:
            return False
        raise InstallError(
            f"{root} is imported already, from {getattr(present, '__file__', None)}: modules that have taken "
            "names from it would keep them. Call nkisim.install() before anything imports it, or run the "
            "script with python -m nkisim."
        )
    return always or (real_nki() if root == NEWER else real_legacy()) is None


def uninstall() -> None:
    """Stop serving; what ``install`` displaced is back. Names already taken keep working."""
    if _FINDER not in sys.meta_path:
        return
    sys.meta_path.remove(_FINDER)
    for name in _modules():
        del sys.modules[name]
    parent = sys.modules.get(_PARENT)
    if parent is not None:
        vars(parent).pop("nki", None)
        if getattr(parent.__spec__, "loader", None) is _FINDER:
            del sys.modules[_PARENT]
    _FINDER.roots = ()
    sys.modules.update(_displaced)
    _displaced.clear()
    if getattr(getattr(builtins, "builtin", None), "nkisim", False):
        del builtins.builtin  # type: ignore[attr-defined]


def real_nki() -> ModuleSpec | None:
    """The spec of a real ``nki``, one that has ``nki.language``; None when there is none."""
    return _real(NEWER, None)


def real_legacy() -> ModuleSpec | None:
    """The spec of a real ``neuronxcc.nki``; None when there is none."""
    parent = _elsewhere(_PARENT)
    places = None if parent is None else parent.submodule_search_locations
    return None if places is None else _real(LEGACY, list(places))


def _real(root: str, path: list[str] | None) -> ModuleSpec | None:
    spec = _elsewhere(root, path)
    places = None if spec is None else spec.submodule_search_locations
    return spec if places is not None and _has_language(root, places) else None


def _elsewhere(name: str, path: list[str] | None = None) -> ModuleSpec | None:
    """What the other finders find."""
    for finder in sys.meta_path:
        find = getattr(finder, "find_spec", None)
        if finder is not _FINDER and find is not None:
            spec: ModuleSpec | None = find(name, path)
            if spec is not None:
                return spec
    return None


def _has_language(root: str, places: Any) -> bool:
    return _elsewhere(f"{root}.language", list(places)) is not None


def _is_real(module: ModuleType, root: str) -> bool:
    if module.__name__.partition(".")[0] == _OWN:
        return False
    return hasattr(module, "language") or _has_language(root, getattr(module, "__path__", ()))


def _below(name: str, roots: tuple[str, ...]) -> bool:
    return any(name == root or name.startswith(f"{root}.") for root in roots)


def _modules() -> list[str]:
    return [name for name in sys.modules if _below(name, _FINDER.roots)]


def _displace() -> None:
    """Take a placeholder out of the way."""
    for name in _modules():
        _displaced[name] = sys.modules.pop(name)


def _add_builtin() -> None:
    """``builtin.lang.shared_constant``, which the compiler offers without an import."""
    if not hasattr(builtins, "builtin"):
        from .language import shared_constant

        lang = SimpleNamespace(shared_constant=shared_constant)
        builtins.builtin = SimpleNamespace(lang=lang, nkisim=True)  # type: ignore[attr-defined]
