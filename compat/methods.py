"""Methods that behaved otherwise in the old release, as they were while that is asked for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from .adapters import MethodAdapter

Call = Callable[..., Any]
How = Callable[[Call, tuple[Any, ...], dict[str, Any]], Any]


def _asserted(target: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """2.27 asserted that a slice ends inside its dimension."""
    given = inspect.signature(target).bind(*args, **kwargs).arguments
    dim, end = given["dim"], given["end"]
    size = target.__self__.shape[dim]  # type: ignore[attr-defined]
    assert end <= size, f"slice: end {end} is outside dimension {dim} of size {size}"
    return target(*args, **kwargs)


def _packed(target: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """2.27 did not align what it was not asked to align."""
    given = inspect.signature(target).bind(*args, **kwargs).arguments
    return target(**{"align": 1, **given})


# Method → the behaviour's id in the release table, and how a call went.
LEGACY_METHODS: Mapping[str, tuple[str, How]] = {
    "nkilib.core.utils.tensor_view.TensorView.slice": ("tensor-view-slice-clamps", _asserted),
    "nkilib.core.utils.allocator.SbufManager.alloc": ("sbuf-manager-addresses", _packed),
    "nkilib.core.utils.allocator.SbufManager.alloc_stack": ("sbuf-manager-addresses", _packed),
}


@dataclass(frozen=True)
class _Method:
    call: How


def set_legacy_methods(on: bool) -> None:
    """Put the methods in their classes for code outside of the library, or take them out again."""
    for qualified, (_, how) in LEGACY_METHODS.items():
        module, kind, method = qualified.rsplit(".", 2)
        owner = vars(import_module(module))[kind]
        held = vars(owner)[method]
        setattr(owner, method, MethodAdapter(_Method(how), held) if on else held.method)
