"""How calls of one callable are adapted: those meant for the new signature go on, others are translated."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from .behaviour import legacy_of, notes
from .modes import is_legacy
from .reading import Arguments, as_member, old_form, translated
from .release import Callee, Form, release
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
        self.enums = release().enums_of(self.new)
        self.quick, self.names, self.required = _limits(self.callee, self.enums)
        if self.is_old_name:
            self.quick = -1  # every call may have notes

    @property
    def is_needed(self) -> bool:
        return self.callee is not None or self.legacy is not None

    def is_quick(self, positional: int) -> bool:
        """Whether a call with this many arguments, all by position, is surely meant for the new signature."""
        return self.required <= positional <= self.quick and (self.legacy is None or not is_legacy())

    def call(self, target: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call ``target`` with arguments of either release."""
        if self.is_quick(len(args)) and self.names.issuperset(kwargs):
            return target(*args, **kwargs)
        args, kwargs = self._with_members(args, kwargs)
        form = old_form(self.callee, args, kwargs) if self.callee else None
        if is_legacy() and self.legacy is not None:
            target = functools.partial(self._as_before, target)
        if form is None:
            self._note(args, kwargs)
            return target(*args, **kwargs)
        return self._called_as(form, target, args, kwargs)

    def _with_members(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
        """Members of enumerations in place of their names and values, which the old release took as well."""
        for name, enum in self.enums.items():
            assert self.callee is not None
            place = self.callee.new.positional.index(name)
            value = args[place] if place < len(args) else kwargs.get(name)
            member = as_member(enum, value)
            if member is None:
                continue
            report(f"{name}={value!r} is {_shown(member)} in {release().new}, which takes only members.")
            if place < len(args):
                args = (*args[:place], member, *args[place + 1 :])
            else:
                kwargs = {**kwargs, name: member}
        return args, kwargs

    def _called_as(
        self, form: Form, target: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        given = form.parameters.bind(args, kwargs) or {}
        template = TEMPLATES.get(form.template)
        if template is not None:
            self._report(form, lambda: self._said(form, given, form.step))
            return template(target, form, given)
        kept, new = translated(form, args, kwargs)
        self._report(form, lambda: self._said(form, given, _spelled(len(kept), new)))
        return target(*kept, **new)

    def _report(self, form: Form, said: Callable[[], str], rewritten: bool = True) -> None:
        report(said, key=f"{self.name} {form.dialect}", rewritten=rewritten)

    def _said(self, form: Form, given: Mapping[str, Any], now: str) -> str:
        last = self.new.rpartition(".")[2]
        said = f"This call of {last} is in the form of {form.dialect}. In {release().new}: {now}"
        return " ".join([said, *notes(self.new, given)])

    def _note(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Say what changed about a call by the old name whose arguments stay."""
        if not self.is_old_name or self.callee is None:
            return
        for form in self.callee.forms:
            given = form.parameters.bind(args, kwargs)
            said = " ".join(notes(self.new, given)) if given is not None else ""
            if said:
                report(said, rewritten=False)
                return

    def _as_before(self, target: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """The call with the old release's behaviour, in the new release's arguments."""
        assert self.legacy is not None
        if self.callee is not None:
            given = self.callee.new.bind(args, kwargs)
        else:
            given = dict(inspect.signature(target).bind(*args, **kwargs).arguments)
        return target(*args, **kwargs) if given is None else self.legacy(target, given)


def _limits(callee: Callee | None, enums: Mapping[str, str]) -> tuple[int, frozenset[str], int]:
    """For calls that need no look: most positional arguments, the names of others, how many are required."""
    if callee is None:
        return 1 << 30, frozenset(), 0
    new = callee.new
    required = len([name for name in new.positional if name not in new.defaults])
    looked_at = {*enums, *(name for form in callee.forms for name in form.dropped)}
    places = [new.positional.index(name) for name in enums]
    places += [f.first_keyword for f in callee.forms if f.first_keyword < len(f.parameters.positional)]
    most = min(places, default=len(new.positional))
    return most, frozenset(new.names) - looked_at, required


def _spelled(positional: int, keywords: Mapping[str, Any]) -> str:
    """How a person writes the new call."""
    first = f"the first {positional} by position, then " if positional else ""
    rest = ", ".join(f"{name}={_shown(value)}" for name, value in keywords.items())
    return f"{first}{rest or 'nothing else'}."


def _shown(value: Any) -> str:
    """A value as one may write it; tensors and other objects are left out."""
    if isinstance(value, Enum):
        return f"{type(value).__name__}.{value.name}"
    return repr(value) if isinstance(value, bool | int | float | str | None) else "…"
