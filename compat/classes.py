"""Classes that are also called with old arguments, for code outside of the library.

Such code gets a facade: a class that makes, and recognises, objects of the library's own class. That one
stays as it is, and so does what it costs the library to make objects of it.
"""

from __future__ import annotations

import copyreg
import functools
from importlib import import_module
from typing import Any

from .adaptation import Adaptation

_FACADE_OF = "__nkilib_facade_of__"
_ADAPTATION = "__nkilib_adaptation__"
_facades: dict[type, type] = {}


def real(kind: Any) -> Any:
    """The library's class that a facade stands for; anything else itself."""
    return vars(kind).get(_FACADE_OF, kind) if isinstance(kind, type) else kind


def facade_of(kind: type) -> type:
    """What code outside gets for a class: its facade, if it has one."""
    return _facades.get(kind, kind)


def make_facade(kind: type, adaptation: Adaptation) -> None:
    """Give code outside a facade for a class whose constructor changed."""
    content = {name: getattr(kind, name) for name in ("__doc__", "__module__", "__qualname__")}
    content |= {_FACADE_OF: kind, _ADAPTATION: adaptation, "__init__": _init(kind, adaptation)}
    _facades[kind] = _facade_meta(type(kind))(kind.__name__, (kind,), content)
    copyreg.pickle(type(kind), _reduced)


def _init(kind: Any, adaptation: Adaptation) -> Any:
    """What a subclass calls as ``super().__init__``."""

    @functools.wraps(kind.__init__)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        def make(*args: Any, **kwargs: Any) -> Any:
            kind.__init__(self, *args, **kwargs)
            return self

        made = adaptation.call(make, args, kwargs)
        if made is not self:
            vars(self).update(vars(made))

    return init


def _reduced(kind: type) -> Any:
    """How a class is pickled: by its name, which leads code outside to the facade."""
    return (_found, (kind.__module__, kind.__qualname__)) if kind in _facades else kind.__qualname__


def _found(module: str, name: str) -> Any:
    return vars(import_module(module))[name]


@functools.cache
def _facade_meta(meta: type) -> type:
    """The metaclass of facades of classes with the metaclass ``meta``, and of what derives from them."""

    def call(cls: type, *args: Any, **kwargs: Any) -> Any:
        if real(cls) is cls:
            return meta.__call__(cls, *args, **kwargs)
        return vars(cls)[_ADAPTATION].call(real(cls), args, kwargs)

    def instancecheck(cls: type, instance: Any) -> bool:
        same = real(cls) is cls
        return type.__instancecheck__(cls, instance) if same else isinstance(instance, real(cls))

    def subclasscheck(cls: type, other: type) -> bool:
        same = real(cls) is cls
        return type.__subclasscheck__(cls, other) if same else issubclass(real(other), real(cls))

    content = {
        "__call__": call,
        "__instancecheck__": instancecheck,
        "__subclasscheck__": subclasscheck,
        "__eq__": lambda cls, other: real(cls) is real(other),
        "__hash__": lambda cls: type.__hash__(real(cls)),
    }
    return type(meta.__name__, (meta,), content)
