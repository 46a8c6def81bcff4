"""``nl.NKIObject``: user classes as the NKI compiler makes them.

Every class-level name is a field, annotated or not; constructor arguments that are missing are None; mutable
defaults are copied for each object; ``__post_init__`` is called. All of this holds under ``@dataclass`` too.
A class's own ``__init__`` is respected.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import inspect
from typing import Any


class _Meta(type):
    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if _has_own_init(cls):
            return super().__call__(*args, **kwargs)
        made: Any = cls.__new__(cls)  # type: ignore[call-overload]
        for name, value in _bound(cls, args, kwargs).items():
            object.__setattr__(made, name, value)
        after = getattr(made, "__post_init__", None)
        if after is not None:
            after()
        return made

    def __setattr__(cls, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        _forget()

    def __delattr__(cls, name: str) -> None:
        super().__delattr__(name)
        _forget()


class NKIObject(metaclass=_Meta):
    """Base of classes that kernels make objects of. Two of one class with equal fields are equal."""

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    __hash__ = object.__hash__


@functools.cache
def fields_of(cls: type) -> dict[str, Any]:
    """Field → default, base classes first; a field without a default has ``dataclasses.MISSING``."""
    found: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        if not _is_user(base):
            continue
        own = base.__dict__
        declared = own.get("__dataclass_fields__", {})
        for name in (*inspect.get_annotations(base), *(n for n, v in own.items() if _is_field(n, v))):
            default = own.get(name, found.get(name, dataclasses.MISSING))
            found[name] = declared.get(name, default)
    return found


def _is_user(base: type) -> bool:
    return isinstance(base, _Meta) and base is not NKIObject


@functools.cache
def _has_own_init(cls: type) -> bool:
    """Whether the class, or a base, wrote an ``__init__``; one made by ``@dataclass`` does not count."""
    inits = (base.__dict__.get("__init__") for base in cls.__mro__ if _is_user(base))
    return any(init is not None and _written(init) for init in inits)


def _forget() -> None:
    """A class has changed: what is known of it, and of those derived from it, no longer holds."""
    fields_of.cache_clear()
    _has_own_init.cache_clear()


def _written(init: Any) -> bool:
    code = getattr(init, "__code__", None)
    return code is None or code.co_filename != "<string>"


def _is_field(name: str, value: Any) -> bool:
    plain = not callable(value) and not isinstance(value, staticmethod | classmethod | property)
    return plain and not name.startswith("__")


def _bound(cls: type, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    defaults = fields_of(cls)
    if len(args) > len(defaults):
        raise TypeError(f"{cls.__name__}() takes {len(defaults)} arguments, {len(args)} were given")
    given = dict(zip(defaults, args, strict=False))
    for name, value in kwargs.items():
        if name not in defaults:
            raise TypeError(f"{cls.__name__}() has no field {name!r}")
        if name in given:
            raise TypeError(f"{cls.__name__}() got {name!r} twice")
        given[name] = value
    return {name: given[name] if name in given else _default(default) for name, default in defaults.items()}


def _default(value: Any) -> Any:
    if isinstance(value, dataclasses.Field):
        if value.default_factory is not dataclasses.MISSING:
            return value.default_factory()
        value = value.default
    if value is dataclasses.MISSING:
        return None
    return copy.copy(value) if isinstance(value, list | dict | set) else value
