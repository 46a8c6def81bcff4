"""``nki.compiler``: decorators that steer the compiler. None of them changes what a kernel computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def _unchanged(name: str) -> Callable[..., Any]:
    def decorate(func: Any = None, *_: Any, **__: Any) -> Any:
        return func if callable(func) else lambda decorated: decorated

    decorate.__name__ = decorate.__qualname__ = name
    decorate.__doc__ = "Returns the function unchanged; as ``@name`` and as ``@name(options)``."
    return decorate


enable_stack_allocator = _unchanged("enable_stack_allocator")
skip_middle_end_transformations = _unchanged("skip_middle_end_transformations")
force_auto_alloc = _unchanged("force_auto_alloc")
