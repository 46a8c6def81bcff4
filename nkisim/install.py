"""Serving ``import nki`` from this package.

A real ``nki`` always wins unless ``NKI_SIMULATOR=1`` (or ``install(always=True)``) says otherwise. The
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
SERVED = {f"nki{name}": f"{_OWN}.{target}" for name, target in _TARGETS.items()}
"""Module name → the module of this package that it gives."""

_displaced: dict[str, ModuleType] = {}


class InstallError(ImportError):
    """``nki`` cannot be served: a real one is imported already."""


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds ``nki`` and all below it; a name that is not served is not found, wherever else it might be."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] != "nki":
            return None
        if fullname not in SERVED:
            raise ModuleNotFoundError(f"nkisim has no module {fullname!r}", name=fullname)
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(SERVED[spec.name])
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """The module ran under its own name; it keeps the spec of that."""
        spec = module.__spec__
        if spec is not None and spec.loader is self:
            module.__spec__ = spec.loader_state


_FINDER = _Finder()


def installed() -> bool:
    """Whether ``import nki`` gives the simulator."""
    return _FINDER in sys.meta_path


def install(always: bool | None = None) -> bool:
    """Serve ``nki`` from here on, if there is no real one. Returns whether it is served.

    Args:
        always: before a real one too; None means ``NKI_SIMULATOR=1``.

    Raises InstallError when ``always`` and a real ``nki`` is imported already.
    """
    if installed():
        return True
    if always is None:
        always = os.environ.get("NKI_SIMULATOR", "") == "1"
    present = sys.modules.get("nki")
    if present is not None and _is_real(present):
        if not always:
            return False
        raise InstallError(
            f"nki is imported already, from {getattr(present, '__file__', None)}: modules that have taken "
            "names from it would keep them. Call nkisim.install() before anything imports nki, or run the "
            "script with python -m nkisim."
        )
    if not always and real_nki() is not None:
        return False
    _displace()
    sys.meta_path.insert(0, _FINDER)
    _add_builtin()
    return True


def uninstall() -> None:
    """Stop serving ``nki``; what ``install`` displaced is back. Names already taken keep working."""
    if not installed():
        return
    sys.meta_path.remove(_FINDER)
    for name in _modules():
        del sys.modules[name]
    sys.modules.update(_displaced)
    _displaced.clear()
    if getattr(getattr(builtins, "builtin", None), "nkisim", False):
        del builtins.builtin  # type: ignore[attr-defined]


def real_nki() -> ModuleSpec | None:
    """The spec of a real ``nki``, one that has ``nki.language``; None when there is none."""
    for finder in sys.meta_path:
        find = getattr(finder, "find_spec", None)
        if finder is _FINDER or find is None:
            continue
        spec: ModuleSpec | None = find("nki", None)
        if spec is not None:
            places = spec.submodule_search_locations
            return spec if places is not None and _has_language(places) else None
    return None


def _has_language(places: Any) -> bool:
    for finder in sys.meta_path:
        find = getattr(finder, "find_spec", None)
        if finder is not _FINDER and find is not None and find("nki.language", list(places)) is not None:
            return True
    return False


def _is_real(module: ModuleType) -> bool:
    if module.__name__.partition(".")[0] == _OWN:
        return False
    return hasattr(module, "language") or _has_language(getattr(module, "__path__", ()))


def _modules() -> list[str]:
    return [name for name in sys.modules if name.partition(".")[0] == "nki"]


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
