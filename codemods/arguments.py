"""Which parameter gets which argument of a call, as far as it can be told."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from .analysis import values as v
from .analysis.context import Call, FileContext
from .calls import chosen_signature
from .record import record
from .signature import Signature
from .sites import PARTIAL


@record
class Reached:
    """A callable that a call may reach, and the arguments it gets there.

    Attributes:
        name: qualified name.
        node: the call.
        given: parameter → argument, of this call alone.
        passed: all parameters that are known to be passed, by a ``partial`` before this call too.
        closed: whether no other parameter can be passed, now or later.
    """

    name: str
    node: ast.Call
    given: Mapping[str, ast.expr]
    passed: frozenset[str]
    closed: bool


def reached(ctx: FileContext, call: Call, known: Mapping[str, Signature | None]) -> Iterator[Reached]:
    """Every callable among ``known`` that a call may reach; None stands for a signature of the table."""
    target, arguments = call.callee, call.node.args
    if target == PARTIAL and arguments:
        target, arguments = ctx.evaluator.at(arguments[0], call.use), arguments[1:]
    for option in v.options(target):
        for callee in v.callees(option) or ():
            if callee.name in known:
                unbound = isinstance(option, v.Symbol) and callee.name.rpartition(".")[0] in ctx.release.types
                rest = arguments[1:] if unbound else arguments
                signature = known[callee.name] or chosen_signature(ctx, call, callee, rest)
                yield _bound(call, callee, rest, signature)


def _bound(call: Call, callee: v.Callee, arguments: list[ast.expr], signature: Signature | None) -> Reached:
    names = signature.positional if signature else ()
    plain = next((i for i, a in enumerate(arguments) if isinstance(a, ast.Starred)), len(arguments))
    first = callee.first
    given = {} if first is None else dict(zip(names[first:], arguments[:plain], strict=False))
    given.update({k.arg: k.value for k in call.node.keywords if k.arg})
    before = names[: first or 0]
    stars = plain < len(arguments) or first is None or any(k.arg is None for k in call.node.keywords)
    closed = not stars and signature is not None and call.callee != PARTIAL
    return Reached(callee.name, call.node, given, frozenset({*given, *before, *callee.frozen}), closed)
