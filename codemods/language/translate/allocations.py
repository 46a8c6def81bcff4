"""``nl.ndarray``: tiles and tensors that a kernel allocates."""

from __future__ import annotations

import ast

from ..analysis import values as v
from ..analysis.dtypes import dtype_of
from ..analysis.refusal import Refused
from . import arguments, operations
from .values import Axes, Value
from .walker import Walker, integer, known, text

_SPACES = {f"nl.{space.value}": space for space in v.Space}


def ndarray(w: Walker, node: ast.Call) -> Value:
    """An allocation; one that is written in the new language already stays as it stands."""
    goal = w.writer.innermost
    given = arguments.named(w, node, "nl.ndarray")
    values = {name: known(operations.nested(w, argument)) for name, argument in given.items()}
    space = _space(values.get("buffer"))
    dtype = dtype_of(values.get("dtype"))
    if "shape" not in values or dtype is None:
        raise Refused("M-ARGUMENT", fn="nl.ndarray", parameter="shape", value=w.segment(node))
    shape = _shape(w, node, values["shape"])
    return v.Tensor(_spelled(w, node, given, values, space), shape, dtype, space, whole=goal.exact)


def _space(buffer: Value | None) -> v.Space:
    if buffer is None or text(buffer) == "None":
        return v.Space.SBUF
    found = _SPACES.get(text(buffer))
    if found is None:
        raise Refused("M-ALLOC")
    return found


def _shape(w: Walker, node: ast.Call, value: Value) -> v.Shape | None:
    if isinstance(value, Axes):
        return None
    items = value.items if isinstance(value, v.Items) else (value,)
    sizes = [integer(w, item) for item in items]
    known_sizes = tuple(size for size in sizes if size is not None)
    if len(known_sizes) != len(items):
        raise Refused("M-ARGUMENT", fn="nl.ndarray", parameter="shape", value=text(value))
    return known_sizes


_KEPT = ("shape", "dtype", "buffer", "name")


def _spelled(
    w: Walker, node: ast.Call, given: dict[str, ast.expr], values: dict[str, Value], space: v.Space
) -> str:
    """The call as it stands, where every argument stays and the memory is named; else written anew."""
    if set(given) <= set(_KEPT) and "buffer" in given:
        return w.respelled(node, [(given[name], text(value)) for name, value in values.items()])
    parts = [text(values["shape"]), f"dtype={text(values['dtype'])}", f"buffer=nl.{space.value}"]
    parts += [f"name={text(values['name'])}"] if "name" in values else []
    return f"{w.segment(node.func)}({', '.join(parts)})"
