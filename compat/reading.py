"""How the arguments of a call are meant: for the new signature, or for an old one; and what they are now.

A call that binds to the new signature is meant for it, unless an argument stands at a position that changed
and is what an old signature takes there. What a parameter takes is seen from its default in the table.
"""

from __future__ import annotations

import ast
import numbers
import sys
from collections.abc import Mapping
from enum import Enum
from functools import cache
from importlib import import_module
from typing import Any

from .release import Callee, Form, Parameters, release

Arguments = tuple[tuple[Any, ...], dict[str, Any]]
TENSOR_RANK = 3  # of a norm's output; its weights have one or two dimensions


def old_form(callee: Callee, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Form | None:
    """The form that the arguments are meant for; None for the new signature, or when they fit nothing."""
    forms = sorted(callee.forms, key=_unlikely)
    if callee.new.bind(args, kwargs) is None:
        fitting = [form for form in forms if form.parameters.bind(args, kwargs) is not None]
        return next((form for form in fitting if _plausible(form, args)), next(iter(fitting), None))
    return next((form for form in forms if _speaks_old(form, args, kwargs)), None)


def _unlikely(form: Form) -> bool:
    """Whether the form's dialect is spelled with other import roots than those in use."""
    table = release()
    tied = [root for root, dialects in table.root_dialects.items() if form.dialect in dialects]
    roots = [root for root in table.legacy_roots if root in sys.modules] or [*table.root_dialects][:1]
    return bool(tied) and not set(roots) & set(tied)


def _speaks_old(form: Form, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Whether arguments that the new signature takes as well are meant for the old one."""
    given = form.parameters.bind(args, kwargs)
    if given is None or form.rewrite == "human":
        return False
    if any(name in given and _is_literal(given[name], text) for name, text in form.dropped.items()):
        return True
    return len(args) > form.first_break and _plausible(form, args)


def _is_literal(value: Any, text: str) -> bool:
    literal = ast.literal_eval(text)
    return type(value) is type(literal) and bool(value == literal)


def _plausible(form: Form, args: tuple[Any, ...]) -> bool:
    """Whether positional arguments, from the first break on, are what the old parameters take."""
    start = form.first_break
    if len(args) <= start:
        return True
    if _is_only_new(form, args[start]):
        return False
    names = form.parameters.positional[start : len(args)]
    return all(_takes(form.parameters, name, value) for name, value in zip(names, args[start:], strict=False))


def _is_only_new(form: Form, value: Any) -> bool:
    """Whether a value at the first break is what the new parameter takes, and the old one says nothing."""
    start = form.first_break
    if form.template == "norm-output":
        return len(getattr(value, "shape", ())) == TENSOR_RANK
    if start >= len(form.new.positional):
        return False
    name = form.new.positional[start]
    default = form.new.defaults.get(name, form.added.get(name, "None"))
    unknown = form.parameters.defaults.get(form.parameters.positional[start], "None") == "None"
    return unknown and default != "None" and _fits(value, default)


def _takes(parameters: Parameters, name: str, value: Any) -> bool:
    return _fits(value, parameters.defaults.get(name, "None"))


def _fits(value: Any, default: str) -> bool:
    """Whether a value is of the default's kind; without a default, or with None, anything is."""
    kind, enum = _kind(default)
    if kind is bool:
        return type(value).__name__ in ("bool", "bool_")
    if kind is Enum:
        return type(value).__name__ == enum
    if kind is type:
        return not isinstance(value, bool | float | Enum)
    return kind is object or (isinstance(value, kind) and not isinstance(value, bool))


@cache
def _kind(default: str) -> tuple[type, str]:
    """What a default's source says of values, and of which enumeration; ``type`` stands for element types."""
    node = ast.parse(default, mode="eval").body
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        name = node.value.id
        return (Enum, name) if name[:1].isupper() else (type, "")
    if not isinstance(node, ast.Constant) or node.value is None:
        return object, ""
    number = isinstance(node.value, int | float) and not isinstance(node.value, bool)
    return (numbers.Real if number else type(node.value)), ""


def translated(form: Form, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Arguments:
    """The call's arguments for the new signature: as many by position as stay, the others by keyword.

    Raises TypeError where a value cannot be dropped, or where a form has no mechanical rule.
    """
    given = form.parameters.bind(args, kwargs)
    assert given is not None
    if form.rewrite == "human":
        raise TypeError(f"{form.name}: this call is in the form of {form.dialect}. {form.step}")
    kept = args[: form.first_keyword]
    rest = {
        name: value for name, value in given.items() if name not in form.parameters.positional[: len(kept)]
    }
    for name, text in form.dropped.items():
        _drop(form, rest, name, text)
    for name, flag in form.flags.items():
        if name in rest:
            rest[flag["parameter"]] = member(flag["true" if rest.pop(name) else "false"])
    new = {form.renamed.get(name, name): value for name, value in rest.items()}
    for name, text in form.added.items():
        new.setdefault(name, _evaluated(text, given))
    return kept, new


def _drop(form: Form, rest: dict[str, Any], name: str, text: str) -> None:
    if name in rest and _is_literal(rest[name], text):
        del rest[name]
    elif name in rest and name not in form.new.names:
        raise TypeError(f"{form.name}: {name}={rest[name]!r} has no meaning any more. {form.step}")


def _evaluated(text: str, given: Mapping[str, Any]) -> Any:
    """The value of a table's source text, in which ``{name}`` is an argument."""
    return eval(text.replace("{", "").replace("}", ""), {"__builtins__": {}}, dict(given))


def member(qualified: str) -> Any:
    """An enumeration's member by its qualified name."""
    module, kind, name = qualified.rsplit(".", 2)
    return getattr(import_module(module), kind)[name]


def as_member(enum: str, value: Any) -> Any:
    """The member that a string names, in whatever case, or a number is the value of; None for all else."""
    for name, number in release().enums[enum].items():
        same = isinstance(value, str) and value.lower() == name.lower()
        if same or (type(value) is type(number) and value == number):
            return member(f"{enum}.{name}")
    return None
