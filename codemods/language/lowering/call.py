"""One call of the former language, as its lowering reads it."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import NoReturn

from ...record import fresh, record
from ...trees import walk
from ..analysis.dtypes import FLOAT32, dtype_of, number_type
from ..analysis.symbols import Sym
from ..analysis.values import Dtype, Items, Scalar, Shape, Space, Tensor, Token, Unknown, Value
from .emitter import Emitter

Arguments = Mapping[str, Value]
"""Arguments by the names that the former signature gives them. Absent are those left at their defaults, None,
``mask`` (operands are sliced already) and options of the compiler."""


@record
class Call:
    """A call to be lowered.

    Attributes:
        out: where its lines go. name: the former function, ``nl.exp``. arguments: see :data:`Arguments`.
    """

    out: Emitter
    name: str
    arguments: Arguments = fresh(factory=dict)

    def __contains__(self, parameter: str) -> bool:
        return parameter in self.arguments

    def refuse(self, message: str, **fields: str) -> NoReturn:
        """Give the place to a person, see :meth:`.emitter.Emitter.refuse`."""
        self.out.refuse(message, **{"fn": self.name, **fields})

    def value(self, parameter: str) -> Value:
        """An argument that has no default."""
        if parameter not in self.arguments:
            self.refuse("M-ARGUMENT", parameter=parameter, value="nothing")
        return self.arguments[parameter]

    def unreadable(self, parameter: str) -> NoReturn:
        """Refuse because of what an argument is."""
        self.refuse("M-ARGUMENT", parameter=parameter, value=code(self.value(parameter)))

    def tensor(self, parameter: str) -> Tensor:
        """A tensor in any memory."""
        value = self.value(parameter)
        return value if isinstance(value, Tensor) else self.unreadable(parameter)

    def dtype(self, parameter: str = "dtype") -> Dtype | None:
        """The dtype an argument names; None when the call does not say."""
        if parameter not in self.arguments:
            return None
        return dtype_of(self.arguments[parameter]) or self.unreadable(parameter)

    def flag(self, parameter: str, default: bool = False) -> bool:
        """A truth value that stands in the call."""
        if parameter not in self.arguments:
            return default
        text = code(self.arguments[parameter])
        return text == "True" if text in ("True", "False") else self.unreadable(parameter)

    def member(self, parameter: str) -> str:
        """The name of what an argument certainly is, however the call spells it: ``nl.add``; else ""."""
        value = self.arguments.get(parameter)
        return value.name if isinstance(value, Token) else ""

    def space(self, default: Space | None = Space.SBUF) -> Space:
        """The memory that ``buffer=`` names."""
        if "buffer" not in self and default is not None:
            return default
        name = self.member("buffer").rpartition(".")[2]
        return Space(name) if name in Space._value2member_map_ else self.unreadable("buffer")

    def shape(self, parameter: str = "shape") -> Shape:
        """The sizes an argument lists; those that the algebra does not follow stand for themselves."""
        value = self.value(parameter)
        if isinstance(value, Items):
            known = all(isinstance(item, Scalar | Unknown) for item in value.items)
            return tuple(_size(item) for item in value.items) if known else self.unreadable(parameter)
        return (_size(value),) if isinstance(value, Scalar) else self.unreadable(parameter)

    def integers(self, parameter: str) -> tuple[int, ...]:
        """One or several integers that are known, such as axes."""
        value = self.value(parameter)
        numbers = [literal(item) for item in (value.items if isinstance(value, Items) else (value,))]
        found = tuple(number for number in numbers if type(number) is int)
        return found if len(found) == len(numbers) else self.unreadable(parameter)


def _size(value: Value) -> Sym:
    if isinstance(value, Scalar) and value.sym is not None:
        return value.sym
    text = _whole(code(value))
    return Sym.atom(operand_code(text), text)


def _whole(text: str) -> str:
    """``a // b`` for a size that is spelled ``a / b``: the former language took floats that are whole."""
    if "/" not in text or number_type(Scalar(text)) != FLOAT32:
        return text
    node = ast.parse(text, mode="eval").body
    divisions = [n for n in walk(node) if isinstance(n, ast.BinOp) and isinstance(n.op, ast.Div)]
    if divisions != [node] or "." in text or not text.isascii():
        return f"int({text})"
    place = text.index("/", divisions[0].left.end_col_offset)
    return f"{text[:place]}/{text[place:]}"


Lowering = Callable[[Call], Tensor | None]
"""Writes what a call becomes; the result, or None for a call that has none."""


def code(value: Value) -> str:
    """The new code for a value; "" for what has none by itself, such as an index tile."""
    return value.code if isinstance(value, Token) else getattr(value, "text", "")


def literal(value: Value) -> float | int | None:
    """The number that is written there, if it is one."""
    if not isinstance(value, Scalar):
        return None
    if value.sym is not None and value.sym.value is not None:
        return value.sym.value
    try:
        found = ast.literal_eval(value.text)
    except (SyntaxError, ValueError):
        return None
    return found if isinstance(found, int | float) else None


def is_number(value: Value) -> bool:
    """Whether it is a number, known when the kernel is traced."""
    return isinstance(value, Scalar)


def operand_code(text: str) -> str:
    """Code that can stand beside an operator."""
    simple = text.replace("_", "").replace(".", "").isalnum() or (
        text.endswith((")", "]")) and " " not in text
    )
    return text if simple else f"({text})"


def shape_code(shape: Shape) -> str:
    """A shape as a tuple."""
    return f"({', '.join(size.text for size in shape)}{',' if len(shape) == 1 else ''})"


def one() -> Sym:
    """The extent 1."""
    return Sym.constant(1)
