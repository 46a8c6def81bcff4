"""Loops over ranges."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from ...record import replace
from ..analysis import values as v
from ..analysis.refusal import Refused
from ..analysis.symbols import ONE, ZERO, Sym
from ..reasons import Reason
from . import blocks, carried, compound, expressions
from .environment import Environment, Loop
from .iterations import RANGES, HandedOn
from .values import VIRTUAL
from .walker import Walker, integer, known, text
from .writer import Goal

_PASSES = 4


def loop(w: Walker, node: ast.For, indent: str) -> list[str]:
    """``for i in nl.affine_range(n):``; one that keeps the order of its instructions says so around it."""
    if not _keeps_order(w, node.iter):
        return _loop(w, node, indent)
    w.shared.needs.add("nl")
    return [f"{indent}with nl.no_reorder():", *_loop(w, node, indent + w.unit)]


def _keeps_order(w: Walker, node: ast.expr) -> bool:
    """Whether the former compiler was told by a directive to keep the order of instructions in a loop."""
    directives = _directives(node)
    return isinstance(directives, ast.Call) and w.names.short(directives.func) == "ncc.no_reorder"


def _directives(node: ast.expr) -> ast.expr | None:
    """What a loop's range is given as ``directives=``, other than ``None``."""
    given = (k.value for k in getattr(node, "keywords", ()) if k.arg == "directives")
    found = next(given, None)
    return None if isinstance(found, ast.Constant) and found.value is None else found


def _loop(w: Walker, node: ast.For, indent: str) -> list[str]:
    if node.orelse:
        raise Refused("M-PY", x="for … else")
    if not isinstance(node.target, ast.Name):
        raise Refused("M-PY", x="a loop over several variables")
    w.start(Goal("range"))
    name = w.names.short(node.iter.func) if isinstance(node.iter, ast.Call) else ""
    if name in RANGES:
        bounds, spelled = _range(w, node.iter, name)  # type: ignore[arg-type]
    else:
        bounds, spelled = None, expressions.code(w, node.iter)
    if w.writer.touched:
        raise Refused("M-PY", x="a loop over what a tile holds")
    traced_once = RANGES.get(name, False)
    counters = carried.counters(w, node.body, places=True) if traced_once else []
    before, first = carried.again(w, counters)
    if traced_once:
        _check_carried(w, node)
    for counter in counters:
        w.notes.add(Reason(node, "M-LOOP", {"v": counter}))
    lines, after = compound.header(w, node, f"for {node.target.id} in {spelled}", node.body, indent)
    inner = indent + w.unit
    body = _body(w, node, node.target.id, bounds, traced_once, counters, after, inner)
    return [indent + line for line in before] + lines + [inner + line for line in first] + body


def _check_carried(w: Walker, node: ast.For) -> None:
    """Names that an iteration hands to the next one, where the former tracer ran the body once."""
    for name, statement in carried.names(node).items():
        before = w.env.values.get(name)
        if before is not None and not isinstance(before, VIRTUAL):
            w.refused(statement, Refused("M-LOOP", v=name))


def _range(w: Walker, call: ast.Call, name: str) -> tuple[list[Sym | None], str]:
    """The bounds, and the new code: without the options."""
    limits = [*call.args, *(k for k in call.keywords if k.arg in (None, "start", "stop", "step"))]
    if not 1 <= len(limits) <= 3 or any(
        isinstance(a, ast.Starred) or not getattr(a, "arg", "-") for a in limits
    ):
        raise Refused("M-ARGUMENT", fn=name, parameter="*", value=w.segment(call))
    found = [known(expressions.evaluate(w, argument)) for argument in call.args]
    named = {k.arg: k.value for k in call.keywords if k.arg in ("start", "stop", "step")}
    directives = _directives(call)
    if directives is not None and not _keeps_order(w, call):
        raise Refused("M-MULTIBUF", n=w.segment(directives))
    found += [known(expressions.evaluate(w, named[key])) for key in ("start", "stop", "step") if key in named]
    syms = [integer(w, value) for value in found]
    if not call.keywords:
        return syms, w.respelled(call, [(a, text(x)) for a, x in zip(call.args, found, strict=True)])
    return syms, f"{w.segment(call.func)}({', '.join(text(value) for value in found)})"


def _body(
    w: Walker,
    node: ast.For,
    variable: str,
    bounds: list[Sym | None] | None,
    traced_once: bool,
    counters: list[str],
    after: int,
    indent: str,
) -> list[str]:
    """The body, walked until what names stand for at its start is what they stand for at its end."""
    before, known = w.env, w.handed_on.setdefault(node, HandedOn())
    start = _assumed(before, w.function.nodes.stored_in(node.body))
    known.expected(start)
    for _ in range(_PASSES):
        attempt = w.attempt()
        known.walks += 1
        w.env = start.copy()
        _enter(w.env, Loop(node, variable, traced_once, branches=before.branches), bounds)
        carried.enter(w, counters)
        lines = blocks.at_start(w, node, indent) + compound.body(w, node.body, after, indent)
        end = w.env
        merged = start.copy()
        if not known.met(merged, end) or attempt.refused:
            break
        attempt.undo()
        if known.endless:
            w.env = before
            raise Refused("M-NEST", n=str(len(before.loops)))
        start = merged
    kept = {"loops": before.loops, "facts": before.facts, "sizes": before.sizes}  # it may run no time at all
    changed = tuple(end.values.changed)
    end.values.changed.update(start.values.changed)
    before.follow(end, **kept)
    _after(before, start, changed)
    w.env = before
    return lines


def _enter(env: Environment, loop: Loop, bounds: list[Sym | None] | None) -> None:
    """The environment inside of the loop."""
    env.bind(loop.variable, v.Unknown(loop.variable))
    if bounds is None:
        env.loops = (*env.loops, loop)
        return
    sym = env.atom(loop.variable)
    env.values[loop.variable] = v.Scalar(loop.variable, sym)
    start, stop, step = (ZERO, bounds[0], ONE) if len(bounds) == 1 else (*bounds, ONE)[:3]
    env.loops = (*env.loops, replace(loop, sym=sym, start=start, stop=stop, step=step))
    if start is not None and stop is not None and step is not None:
        env.facts.loop(sym, start, stop, step)


def _assumed(env: Environment, stored: Iterable[str]) -> Environment:
    """What holds at the start of every iteration: integers that the body changes have no known value."""
    found = env.copy()
    for name in stored:
        value = found.values.get(name)
        if isinstance(value, v.Scalar):
            found.bind(name, value)
            found.values[name] = v.Scalar(name, found.atom(name) if value.sym is not None else None)
        elif value is not None and name in found.often:
            found.rebound(name)
    return found


def _after(before: Environment, start: Environment, changed: Iterable[str]) -> None:
    """After the loop, integers that the body binds have one of several values."""
    for name in changed:
        value = before.values[name]
        if name in start.values and isinstance(value, v.Scalar) and value != start.values[name]:
            before.bind(name, value)
            before.values[name] = v.Scalar(name, before.atom(name) if value.sym is not None else None)
