"""How an integer expression is written: a small tree that keeps the author's names and grouping."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from ...record import record
from .refusal import Refused

LOOSE, SUM, PRODUCT, UNARY, PRIMARY = range(5)
"""How tightly an expression binds; ``LOOSE`` stands for everything that is parenthesised as an operand."""

LEVELS = {"+": SUM, "-": SUM, "*": PRODUCT, "//": PRODUCT, "%": PRODUCT}
CLOSING_MATTERS = {"-", "*", "//", "%"}
"""Operators whose right operand needs parentheses when it binds only as tightly as they do."""


@record
class Leaf:
    """Code that is taken as it stands: a name, an attribute, a number; "" for what has none.

    ``key`` identifies its value.
    """

    text: str
    key: object = None

    @property
    def number(self) -> int | None:
        """The number that is written here, if it is one."""
        digits = self.text.removeprefix("-")
        return int(self.text) if digits.isdecimal() else None


@record
class Binary:
    """``left op right``."""

    op: str
    left: Form
    right: Form


@record
class Call:
    """``name(arguments)``."""

    name: str
    arguments: tuple[Form, ...]


Form = Leaf | Binary | Call


@lru_cache(maxsize=1024, typed=True)
def number(value: int) -> Leaf:
    """A literal."""
    return Leaf(str(value))


def level(form: Form) -> int:
    """How tightly it binds."""
    if isinstance(form, Binary):
        return LEVELS[form.op]
    return PRIMARY if isinstance(form, Call) else text_level(form.text)


@lru_cache(maxsize=4096)
def text_level(text: str) -> int:
    """How tightly a piece of code binds: ``PRIMARY`` when nothing but brackets hold operators or spaces."""
    if text.startswith("-") and text_level(text[1:]) == PRIMARY:
        return UNARY
    depth = 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        if depth == 0 and not (character.isalnum() or character in "_.\"')]}"):
            return LOOSE
    return PRIMARY


def render(form: Form) -> str:
    """The code."""
    if isinstance(form, Leaf):
        if not form.text:
            raise Refused("M-UNCUT")
        return form.text
    if isinstance(form, Call):
        return f"{form.name}({', '.join(render(each) for each in form.arguments)})"
    own = LEVELS[form.op]
    right = operand(form.right, own + (form.op in CLOSING_MATTERS))
    return f"{operand(form.left, own)} {form.op} {right}"


def operand(form: Form, least: int = SUM) -> str:
    """The code as a part of other code, in parentheses unless it binds at least so tightly."""
    text = render(form)
    return text if level(form) >= least else f"({text})"


def leaves(form: Form) -> Iterator[Leaf]:
    """All names and numbers in it."""
    if isinstance(form, Leaf):
        yield form
        return
    for part in (form.left, form.right) if isinstance(form, Binary) else form.arguments:
        yield from leaves(part)


def respelled(form: Form, names: Mapping[Any, str]) -> Form:
    """With names, by the keys of what they stand for, in place of code that is no name."""
    if isinstance(form, Leaf):
        name = None if form.text.isidentifier() else names.get(form.key)
        return form if name is None else Leaf(name, form.key)
    if isinstance(form, Call):
        return Call(form.name, tuple(respelled(each, names) for each in form.arguments))
    left, right = respelled(form.left, names), respelled(form.right, names)
    return form if left is form.left and right is form.right else Binary(form.op, left, right)


def plus(left: Form, right: Form) -> Form:
    """``left + right`` as one would write it: without zeros, with neighbouring numbers added up."""
    a, b = number_of(left), number_of(right)
    if a is not None and b is not None:
        return number(a + b)
    if b is not None:
        return _raised(left, b)
    if a is not None and a < 0:
        return minus(right, number(-a))
    if isinstance(right, Binary) and right.op == "-" and right.right == left:
        return right.left
    return right if a == 0 else Binary("+", left, right)


def minus(left: Form, right: Form) -> Form:
    """``left - right`` as one would write it."""
    a, b = number_of(left), number_of(right)
    if a is not None and b is not None:
        return number(a - b)
    if b is not None:
        return _raised(left, -b)
    if a == 0:
        return negated(right)
    return Binary("-", left, right)


def _raised(form: Form, by: int) -> Form:
    """``form + by``, added to the number at its end when there is one."""
    if by == 0:
        return form
    if isinstance(form, Binary) and form.op in "+-":
        last = number_of(form.right)
        if last is not None:
            return _raised(form.left, by + (last if form.op == "+" else -last))
    return Binary("+", form, number(by)) if by > 0 else Binary("-", form, number(-by))


def negated(form: Form) -> Form:
    """``-form``."""
    if isinstance(form, Leaf) and form.number is not None:
        return number(-form.number)
    if isinstance(form, Binary) and form.op == "-":
        return Binary("-", form.right, form.left)
    return Leaf(f"-{operand(form, PRIMARY)}")


def times(left: Form, right: Form) -> Form:
    """``left * right`` as one would write it."""
    a, b = number_of(left), number_of(right)
    if a is not None and b is not None:
        return number(a * b)
    if 0 in (a, b):
        return number(0)
    if a == 1 or b == 1:
        return right if a == 1 else left
    if b is not None and isinstance(left, Binary) and left.op == "*":
        last = number_of(left.right)
        if last is not None:
            return times(left.left, number(last * b))
    return Binary("*", left, right)


def number_of(form: Form) -> int | None:
    """The number, when the form is a literal."""
    return form.number if isinstance(form, Leaf) else None
