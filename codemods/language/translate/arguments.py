"""The arguments of a call of the former language, by the names of its parameters."""

from __future__ import annotations

import ast

from ..analysis import values as v
from ..analysis.refusal import Refused
from . import blocks, operations
from .names import BETA1
from .values import Absent, Axes, Blocks, Value
from .walker import Walker, known

_IGNORED = frozenset(("mask", "lazy_initialization", "precise_schedule", "dtype_hint"))
"""Options of the former compiler, and what the walker itself sees to."""
SPREAD = "arguments from a sequence or a mapping (`*args`, `**kwargs`)"


def named(w: Walker, node: ast.Call, name: str, skipped: int = 0) -> dict[str, ast.expr]:
    """The arguments by parameter, in their order; ``skipped`` parameters are filled otherwise."""
    found: dict[str, ast.expr] = {}
    names = iter(_parameters(w, name)[skipped:])
    for argument in node.args:
        if isinstance(argument, ast.Starred):
            raise Refused("M-PY", x=SPREAD)
        parameter = next(names, None)
        if parameter is None:
            raise _surplus(w, name, skipped, argument)
        found[parameter] = argument
    for keyword in node.keywords:
        if keyword.arg is None:
            raise Refused("M-PY", x=SPREAD)
        if keyword.arg not in _IGNORED:
            found[keyword.arg] = keyword.value
    return found


def _surplus(w: Walker, name: str, skipped: int, argument: ast.expr) -> Refused:
    """What to say of an argument that has no parameter, as the function may not have."""
    parameters = [f"`{each}`" for each in _parameters(w, name)[skipped:]]
    if not parameters:
        return operations.missing(name)
    return Refused("M-CALL", fn=name, parameters=", ".join(parameters), value=w.segment(argument))


def bound(w: Walker, node: ast.Call, name: str, receiver: Value | None = None) -> dict[str, Value]:
    """Values by parameter, evaluated from left to right; ``None`` is left out, as is what the walker sees to.

    ``name`` is the short one; ``receiver`` the tensor whose method is called.
    """
    found: dict[str, Value] = {} if receiver is None else {"self": receiver}
    for parameter, argument in named(w, node, name).items():
        value = known(operations.nested(w, argument, apart=True))
        found[parameter] = _of_tiles(w, value)
    return {key: value for key, value in found.items() if not _is_none(value)}


def _of_tiles(w: Walker, value: Value) -> Value:
    """What families of functions see of a value that is the walker's own."""
    if isinstance(value, Blocks):
        return blocks.view(w, value, (), value.text)
    return v.Unknown(value.text) if isinstance(value, Axes) else value


def _is_none(value: Value) -> bool:
    return isinstance(value, Absent)


_MODULES = {"nl": "language", "nisa": "isa", "ncc": "compiler", "nt": "typing"}


def _parameters(w: Walker, name: str) -> tuple[str, ...]:
    head, _, rest = name.partition(".")
    path = f"{_MODULES[head]}.{rest}" if head in _MODULES else rest
    entry = w.module.step.entry(f"{BETA1}.{path}")
    return entry.signature.positional if entry is not None and entry.signature is not None else ()
