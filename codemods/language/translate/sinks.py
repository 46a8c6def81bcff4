"""Where a value ends: whether a name is only stored to HBM, and as which dtype."""

from __future__ import annotations

import ast

from ..analysis import values as v
from ..analysis.dtypes import certainly_same
from .walker import Walker


def of_name(w: Walker, name: str) -> v.Dtype | None:
    """The dtype of the tensors in HBM that a name is stored to, when that is all that is done with it."""
    if name not in w.destinations:
        w.destinations[name] = _destinations(w, name)
    found = [_dtype(w, destination) for destination in w.destinations[name]]
    first = found[0] if found else None
    return first if all(certainly_same(first, other) for other in found) else None


def _destinations(w: Walker, name: str) -> tuple[str, ...]:
    """The tensors that a name is stored to, each once; none when something else is done with it."""
    found: dict[str, None] = {}
    for use in w.function.nodes.loads.get(name, ()):
        destination = _destination(w, use)
        if destination is None:
            return ()
        found[destination] = None
    return tuple(found)


def _destination(w: Walker, use: ast.Name) -> str | None:
    """The tensor that the use is the value of a store to."""
    parents = w.function.nodes.parents
    parent = parents[use]
    call = parents[parent] if isinstance(parent, ast.keyword) else parent
    if not isinstance(call, ast.Call) or w.names.short(call.func) != "nl.store":
        return None
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    given.update(zip(("dst", "value"), call.args, strict=False))
    if given.get("value") is not use:
        return None
    target = given.get("dst")
    while isinstance(target, ast.Subscript):
        target = target.value
    return target.id if isinstance(target, ast.Name) else None


def _dtype(w: Walker, name: str) -> v.Dtype | None:
    """The dtype of a tensor in HBM."""
    value = w.env.values.get(name)
    if value is None:
        return _made_later(w, name)
    return value.dtype if isinstance(value, v.Tensor) and value.space not in _ON_CHIP else None


def _made_later(w: Walker, name: str) -> v.Dtype | None:
    """The dtype of a tensor that is allocated once, further down, with another tensor's."""
    made = w.function.nodes.assignments.get(name, [])
    call = made[0] if len(made) == 1 else None
    if not isinstance(call, ast.Call) or w.names.short(call.func) != "nl.ndarray":
        return None
    given = next((keyword.value for keyword in call.keywords if keyword.arg == "dtype"), None)
    if not isinstance(given, ast.Attribute) or given.attr != "dtype" or not isinstance(given.value, ast.Name):
        return None
    owner = w.env.values.get(given.value.id)
    return owner.dtype if isinstance(owner, v.Tensor) else None


_ON_CHIP = (v.Space.SBUF, v.Space.PSUM)
