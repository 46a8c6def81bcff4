"""Callables that also take the old release's arguments, in place of the library's for code outside of it.

A call that is meant for the new signature goes on unchanged. :mod:`.reading` decides.
"""

from __future__ import annotations

import ast
import functools
import inspect
from collections.abc import Callable, Mapping
from enum import Enum
from types import MethodType
from typing import Any

from .behaviour import legacy_of, notes
from .modes import is_legacy
from .reading import old_form, translated
from .release import Callee, Form, Parameters, release
from .sites import report
from .templates import TEMPLATES


class Adaptation:
    """How calls of one callable are adapted.

    Attributes:
        name: by which the callable is known here. callee: its forms; None when only its behaviour changed.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.new = release().defining(name)
        self.callee = release().callee(name)
        self.is_old_name = self.new.rpartition(".")[2] != name.rpartition(".")[2]
        self.legacy = legacy_of(self.new)
        self.quick, self.names, self.required = _limits(self.callee)
        if self.is_old_name:
            self.quick = -1  # every call may have notes

    @property
    def is_needed(self) -> bool:
        return self.callee is not None or self.legacy is not None

    def call(self, target: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call ``target`` with arguments of either release."""
        quick = len(args) <= self.quick and self.names.issuperset(kwargs)
        if quick and len(args) >= self.required and not is_legacy():
            return target(*args, **kwargs)
        form = old_form(self.callee, args, kwargs) if self.callee else None
        if is_legacy() and self.legacy is not None:
            target = functools.partial(self._as_before, target)
        if form is None:
            self._note(args, kwargs)
            return target(*args, **kwargs)
        return self._called_as(form, target, args, kwargs)

    def _called_as(
        self, form: Form, target: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        given = form.parameters.bind(args, kwargs) or {}
        template = TEMPLATES.get(form.template)
        if template is not None:
            self._report(form, given, form.step, rewritten=True)
            return template(target, form, given)
        kept, new = translated(form, args, kwargs)
        keywords = ", ".join(f"{key}={_shown(value)}" for key, value in new.items())
        self._report(form, given, f"{_counted(len(kept))}{keywords or 'nothing else'}.")
        return target(*kept, **new)

    def _report(self, form: Form, given: Mapping[str, Any], now: str, rewritten: bool = True) -> None:
        last = self.new.rpartition(".")[2]
        said = [f"This call of {last} is in the form of {form.dialect}. In {release().new}: {now}"]
        report(" ".join([*said, *self._notes(given)]), rewritten=rewritten)

    def _note(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Say what changed about a call by the old name whose arguments stay."""
        if not self.is_old_name or self.callee is None:
            return
        for form in self.callee.forms:
            given = form.parameters.bind(args, kwargs)
            said = self._notes(given) if given is not None else []
            if said:
                report(" ".join(said), rewritten=False)
                return

    def _as_before(self, target: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """The call with the old release's behaviour, in the new release's arguments."""
        assert self.legacy is not None
        if self.callee is not None:
            given = self.callee.new.bind(args, kwargs)
        else:
            given = dict(inspect.signature(target).bind(*args, **kwargs).arguments)
        return target(*args, **kwargs) if given is None else self.legacy(target, given)

    def _notes(self, given: Mapping[str, Any]) -> list[str]:
        return [] if is_legacy() and self.legacy is not None else list(notes(self.new, given))


def _limits(callee: Callee | None) -> tuple[int, frozenset[str], int]:
    """Most positional arguments that mean the same in all forms, new names, and how many are required."""
    if callee is None:
        return 1 << 30, frozenset(), 0
    new = callee.new
    required = len([name for name in new.positional if name not in new.defaults])
    dropped = {name for form in callee.forms for name in form.dropped}
    most = min(form.first_keyword for form in callee.forms)
    return most, frozenset(new.names) - dropped, required


def _counted(positional: int) -> str:
    return f"the first {positional} by position, then " if positional else "by keyword "


def _shown(value: Any) -> str:
    """A value as one may write it; tensors and other objects are left out."""
    if isinstance(value, Enum):
        return f"{type(value).__name__}.{value.name}"
    return repr(value) if isinstance(value, bool | int | float | str | None) else "…"


class Adapter:
    """A function or kernel by one of its names; its launches and attributes are those of ``__wrapped__``."""

    def __init__(self, adaptation: Adaptation, target: Callable[..., Any]) -> None:
        functools.update_wrapper(self, target)
        self._adaptation = adaptation
        if adaptation.is_old_name:
            self.__name__ = self.__qualname__ = adaptation.name.rpartition(".")[2]
            self.__signature__ = _signature(adaptation.callee, target)

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


class MethodAdapter:
    """A method of a class that also takes old arguments; no function, so that it is not read as a kernel."""

    def __init__(self, adaptation: Adaptation, method: Any) -> None:
        self._adaptation = adaptation
        self.method = method
        self.__wrapped__ = getattr(method, "__func__", method)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        bound = self.method.__get__(instance, owner)
        if instance is None or isinstance(self.method, staticmethod):
            return _Bound(self._adaptation, bound, unbound=not isinstance(self.method, staticmethod))
        return _Bound(self._adaptation, bound)


class _Bound:
    """What a method adapter gives: the call without the object."""

    def __init__(self, adaptation: Adaptation, target: Any, unbound: bool = False) -> None:
        self._adaptation, self.__wrapped__, self._unbound = adaptation, target, unbound

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not self._unbound:
            return self._adaptation.call(self.__wrapped__, args, kwargs)
        return self._adaptation.call(MethodType(self.__wrapped__, args[0]), args[1:], kwargs)


_CONSTRUCTORS: dict[type, Adaptation] = {}


def adapt_class(kind: type, adaptation: Adaptation) -> None:
    """Let a class be called with old arguments, too; it stays the same class, as do those derived from it."""
    _CONSTRUCTORS[kind] = adaptation
    if type(kind) is type:
        _adapt_init(kind, adaptation)
    else:
        kind.__class__ = _calling(type(kind))


@functools.cache
def _calling(meta: type) -> type:
    """A metaclass like ``meta`` whose classes adapt the arguments that they are called with."""

    def call(cls: type, *args: Any, **kwargs: Any) -> Any:
        target = functools.partial(meta.__call__, cls)
        base = next((base for base in cls.__mro__ if base in _CONSTRUCTORS), None)
        if base is None or cls.__init__ is not base.__init__:  # type: ignore[misc]
            return target(*args, **kwargs)
        return _CONSTRUCTORS[base].call(target, args, kwargs)

    return type(meta.__name__, (meta,), {"__call__": call, "__doc__": meta.__doc__})


def _adapt_init(kind: type, adaptation: Adaptation) -> None:
    """The same for a class whose metaclass cannot be replaced: by its ``__init__``."""
    init = kind.__init__  # type: ignore[misc]

    def make(instance: Any, *args: Any, **kwargs: Any) -> Any:
        init(instance, *args, **kwargs)
        return instance

    @functools.wraps(init)
    def adapted(self: Any, *args: Any, **kwargs: Any) -> None:
        made = adaptation.call(functools.partial(make, self), args, kwargs)
        if made is not self:
            vars(self).update(vars(made))

    kind.__init__ = adapted  # type: ignore[misc]
