"""Calls of the file's own functions, which are walked through with what they are called with."""

from __future__ import annotations

import ast
from collections.abc import Callable
from functools import lru_cache, partial
from typing import TypeVar

from ...record import replace
from ...trees import walk
from ..analysis import values as v
from ..analysis.refusal import Refused
from ..analysis.symbols import Sym
from . import blocks, crossing, inlined, operations
from .parameters import arguments, defaults
from .values import VIRTUAL, Absent, Blocks, Lost, UserFunction, Value
from .walker import Walker, known, text

_Walk = TypeVar("_Walk")
_DEEP = 6
"""How many calls inside each other are walked through on one stack of Python's."""
_DEEPEST = 100 * _DEEP
_WAYS = 8
"""Calls deeper than ``_DEEP`` are walked through as far as there are not more of a function that differ: each
could have several deeper ones. None is deeper than ``_DEEPEST``.
"""


def call(w: Walker, node: ast.Call, function: UserFunction) -> Value:
    """A call of a function that is written in the language."""
    goal = w.writer.innermost
    given, places = _given(w, node, function.node)
    instead = inlined.value(w, node, function.node, {**_left_out(function.node, given), **given})
    if instead is not None:
        return instead
    pairs = [(argument, _spelled(function.node, given[name])) for name, argument in places]
    spelled = w.respelled(node, pairs)
    entrance = crossing.entered({**_left_out(function.node, given), **given})
    w.calls.append((function.node.name, entrance.inside))
    returned = known(_returned(w, function, entrance))
    name = goal.hint if goal.exact else spelled
    if goal.apart and isinstance(returned, v.Tensor | v.Items):
        name = spelled = w.writer.bind(_noun(returned), spelled)
    return crossing.left(entrance, returned, spelled, name, goal.names)


def _noun(returned: v.Tensor | v.Items) -> str:
    """What the result of a call is called: as in the function."""
    return returned.text if isinstance(returned, v.Tensor) and returned.text.isidentifier() else "result"


def _given(
    w: Walker, node: ast.Call, function: ast.FunctionDef
) -> tuple[dict[str, Value], list[tuple[str, ast.expr]]]:
    """The arguments by parameter: what they stand for, and where they are."""
    names = iter([a.arg for a in (*function.args.posonlyargs, *function.args.args)])
    known_names = {a.arg for a in arguments(function)}
    found: dict[str, Value] = {}
    named = []
    places = [(next(names, None), argument) for argument in node.args]
    places += [(keyword.arg, keyword.value) for keyword in node.keywords]
    for name, argument in places:
        if name not in known_names or isinstance(argument, ast.Starred) or name is None:
            raise Refused("M-PY", x=f"a call of `{function.name}` with arguments it does not name")
        value = known(operations.nested(w, argument))
        found[name] = blocks.handed(w, value) if isinstance(value, Blocks) else value
        named.append((name, argument))
    return found, named


def _spelled(function: ast.FunctionDef, value: Value) -> str:
    if isinstance(value, VIRTUAL):
        raise Refused("M-PASSED", f=function.name)
    return value.text if isinstance(value, Blocks) else text(value)


def _left_out(function: ast.FunctionDef, given: dict[str, Value]) -> dict[str, Value]:
    """What parameters stand for that keep their defaults."""
    found: dict[str, Value] = {}
    for name, default in defaults(function):
        if name in given or not isinstance(default, ast.Constant):
            continue
        number = default.value
        if isinstance(number, bool | float):
            found[name] = v.Scalar(str(number))
        elif isinstance(number, int):
            found[name] = v.Scalar(str(number), Sym.constant(number))
        else:
            found[name] = Absent("None") if number is None else v.Unknown(repr(number))
    return found


def _returned(w: Walker, function: UserFunction, entrance: crossing.Entrance) -> Value:
    """What the function gives for these arguments."""
    from .function import walked

    if not _gives(function.node):
        return v.Unknown("None")
    key = w.shared.context(function.node.name, entrance.inside)
    results = w.shared.results
    w.shared.cuts += key in w.shared.within
    if key not in results:
        results[key] = v.Unknown("None")  # what a recursive call gives
        depth, name = len(w.shared.within), function.node.name
        w.shared.ways[name] += 1
        cut = depth >= (_DEEP if w.shared.ways[name] > _WAYS else _DEEPEST)
        w.shared.cuts += cut
        if not cut:
            w.shared.within.append(key)
            walk = partial(walked, w.module, w.module.functions[name], w.lines, w.shared, [entrance.inside])
            found = _apart(walk) if depth and depth % _DEEP == 0 else walk()
            w.shared.within.pop()
            lost = bool(found.reasons) and not any(isinstance(x, v.Tensor) for x in found.returned)
            results[key] = Lost("") if lost else _one(list(found.returned))
    found_before: Value = results[key]
    return found_before


def _apart(walk: Callable[[], _Walk]) -> _Walk:
    """What a walk comes to, on a stack of its own, as a thread has: one alone is too small for all."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(walk).result()


@lru_cache(maxsize=512)
def _gives(function: ast.FunctionDef) -> bool:
    """Whether a function returns anything."""
    return any(isinstance(n, ast.Return) and n.value is not None for n in walk(function))


def _one(returned: list[Value]) -> Value:
    """What one of several return statements gives."""
    if not returned:
        return v.Unknown("None")
    first = returned[0]
    if all(_alike(first, value) for value in returned[1:]):
        return first
    if isinstance(first, v.Tensor) and all(_alike_but_for_dtype(first, value) for value in returned[1:]):
        return replace(first, dtype=None)
    if all(isinstance(value, v.Scalar) for value in returned):
        return v.Scalar("")
    return v.Dtype("", None) if all(isinstance(value, v.Dtype) for value in returned) else v.Unknown("")


def _alike_but_for_dtype(one: v.Tensor, two: Value) -> bool:
    return isinstance(two, v.Tensor) and _alike(one, replace(two, dtype=one.dtype))


def _alike(one: Value, two: Value) -> bool:
    """Whether a caller cannot tell two values from each other, which have names of their own inside."""
    if isinstance(one, v.Tensor) and isinstance(two, v.Tensor):
        same_dtype = one.dtype == two.dtype or bool(
            one.dtype and two.dtype and one.dtype.known and one.dtype.known == two.dtype.known
        )
        return same_dtype and (one.shape, one.space, one.whole) == (two.shape, two.space, two.whole)
    if isinstance(one, v.Scalar) and isinstance(two, v.Scalar):
        return one.sym == two.sym and one.real == two.real
    return one == two
