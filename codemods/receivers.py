"""What is known about the object that an attribute is looked up on."""

from __future__ import annotations

import ast
import sys
from enum import Enum

from .analysis import values as v
from .analysis.classes import bases, changed_type
from .analysis.context import FileContext


class Receiver(Enum):
    """What is known about the object in front of an attribute's dot."""

    SURE = "of the type"
    MAYBE = "of the type, or something else"
    UNKNOWN = "unknown"
    OTHER = "something else"


def receiver(ctx: FileContext, owner: v.Value, type_name: str) -> Receiver:
    """What is known about an object, with regard to one type."""
    verdicts = {_single(ctx, option, type_name) for option in v.options(owner)}
    if verdicts == {Receiver.SURE}:
        return Receiver.SURE
    if Receiver.SURE in verdicts:
        return Receiver.MAYBE
    return Receiver.UNKNOWN if Receiver.UNKNOWN in verdicts else Receiver.OTHER


def _single(ctx: FileContext, value: v.Value, type_name: str) -> Receiver:
    if isinstance(value, v.Instance):
        return _of_class(ctx, value.of, type_name)
    if isinstance(value, v.Method):
        known = value.owner in ctx.release.types or _elsewhere(value.owner)
        return Receiver.OTHER if known else Receiver.UNKNOWN
    return Receiver.UNKNOWN if value is None else Receiver.OTHER


def _of_class(ctx: FileContext, of: str, type_name: str) -> Receiver:
    kind = changed_type(ctx.evaluator, of)
    if kind is None:
        return Receiver.UNKNOWN
    return Receiver.SURE if kind == type_name or _inherits(ctx, of, type_name) else Receiver.OTHER


def has_of_its_own(ctx: FileContext, owner: v.Value, name: str) -> bool:
    """Whether an object is of a class of the file that defines the attribute in its body, or inherits it."""
    todo = [option.of for option in v.options(owner) if isinstance(option, v.Instance)]
    seen: set[str] = set()
    while todo:
        node = ctx.evaluator.classes.get(of := todo.pop())
        if node is None or of in seen:
            continue
        seen.add(of)
        bound = ctx.module.scope_of[node].bindings.get(name, ())
        if any(not isinstance(b.node, ast.AnnAssign) or b.value is not None for b in bound):
            return True
        todo += bases(ctx.evaluator, node)
    return False


def _inherits(ctx: FileContext, of: str, type_name: str) -> bool:
    """Whether another module of the project defines the class with the type's attributes."""
    changed = ctx.release.types[type_name].attributes
    return any(isinstance(ctx.evaluator.exported(f"{of}.{name}"), v.FormerList) for name in changed)


def _elsewhere(name: str) -> bool:
    """Whether a class comes with Python, so that nothing of it can hold an object of the library."""
    return name.partition(".")[0] in sys.stdlib_module_names
