"""Functions, kernels and methods that also take old arguments, for code outside of the library."""

from __future__ import annotations

import ast
import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from types import MethodType
from typing import Any, Protocol

from .adaptation import Adaptation
from .release import Callee, Parameters
from .sites import is_inside


class Adapter:
    """A function or kernel by one of its names; its launches and attributes are those of ``__wrapped__``."""

    def __init__(self, adaptation: Adaptation, target: Callable[..., Any]) -> None:
        functools.update_wrapper(self, target)
        self._adaptation = adaptation
        if adaptation.is_old_name:
            self.__name__ = self.__qualname__ = adaptation.name.rpartition(".")[2]

    @property
    def __signature__(self) -> inspect.Signature:
        if not self._adaptation.is_old_name:
            raise AttributeError("__signature__")  # that of what is wrapped
        return _signature(self._adaptation.callee, self.__wrapped__)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._adaptation.call(self.__wrapped__, args, kwargs)

    def __getitem__(self, grid: Any) -> Adapter:
        return Adapter(self._adaptation, self.__wrapped__[grid])

    def __getattr__(self, name: str) -> Any:
        if name == "__wrapped__":  # of one that is being copied
            raise AttributeError(name)
        return getattr(self.__wrapped__, name)

    def __reduce__(self) -> str:
        return self.__name__

    def __repr__(self) -> str:
        return f"<{self._adaptation.name} for {self.__wrapped__!r}>"


def _signature(callee: Callee | None, target: Callable[..., Any]) -> inspect.Signature:
    """The old parameters, with the defaults of the new ones."""
    new = inspect.signature(target)
    if callee is None:
        return new
    form = callee.forms[0]
    made = [_parameter(form.parameters, name, form.renamed, new) for name in form.parameters.names]
    return inspect.Signature(made)


def _parameter(
    old: Parameters, name: str, renamed: Mapping[str, str], new: inspect.Signature
) -> inspect.Parameter:
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    now = new.parameters.get(renamed.get(name, name))
    if now is not None and (name in old.defaults) == (now.default is not now.empty):
        return now.replace(name=name, kind=kind)
    default = ast.literal_eval(old.defaults[name]) if name in old.defaults else inspect.Parameter.empty
    return inspect.Parameter(name, kind, default=default)


class Calling(Protocol):
    """How a call is made: the target, its positional arguments, its keywords."""

    def call(self, target: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any: ...


class MethodAdapter:
    """A method of a class that also takes old arguments; no function, so that it is not read as a kernel."""

    def __init__(self, adaptation: Calling, method: Any) -> None:
        self._adaptation = adaptation
        self.method = method
        self._bind = method.__get__
        self.__wrapped__ = getattr(method, "__func__", method)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        bound = self._bind(instance, owner)
        if is_inside(sys._getframe(1)):
            return bound
        unbound = instance is None and not isinstance(self.method, staticmethod)
        return _Bound(self._adaptation, bound, unbound)


class _Bound:
    """What a method adapter gives: the call without the object."""

    def __init__(self, adaptation: Calling, target: Any, unbound: bool) -> None:
        self._adaptation, self.__wrapped__, self._unbound = adaptation, target, unbound

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not self._unbound:
            return self._adaptation.call(self.__wrapped__, args, kwargs)
        return self._adaptation.call(MethodType(self.__wrapped__, args[0]), args[1:], kwargs)
