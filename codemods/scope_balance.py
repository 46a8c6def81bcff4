"""The scope that a norm kernel of the old release left open, and the ``close_scope`` that made up for it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from .analysis.context import FileContext
from .norms import Norm
from .record import record

_OPEN, _CLOSE = "open_scope", "close_scope"


@record
class Close:
    """The surplus statement, if there surely is one, and what to know about scopes."""

    statement: ast.stmt | None
    note: str


def surplus_close(ctx: FileContext, norm: Norm, in_sbuf: Sequence[Norm]) -> Close:
    """The ``close_scope`` to remove for a call whose output stays in SBUF.

    It is sure only in a straight run of statements in which closes outnumber opens by one and which no
    other such call shares.
    """
    known = "2.27 left a scope open for the caller to close, 2.28 leaves none"
    if not norm.in_sbuf or norm.manager is None:
        return Close(None, f"{known}.")
    manager = ast.dump(norm.manager)
    body = _body(norm)
    opened, closed = (_statements(body, manager, name) for name in (_OPEN, _CLOSE))
    everywhere = sum(1 for stmt in body for _ in _nested(stmt, manager))
    others = [other for other in in_sbuf if other.use.scope is norm.use.scope and other.call is not norm.call]
    alone = not any(other.manager is not None and ast.dump(other.manager) == manager for other in others)
    straight = norm.use.stmt in body and everywhere == len(opened) + len(closed)
    if alone and straight and len(closed) == len(opened) + 1:
        later = [stmt for stmt in closed if stmt.lineno > norm.use.stmt.lineno]
        if later:
            return Close(later[0], f"{known}: its {_CLOSE} is removed.")
    step = (
        f"{known}: check each {_CLOSE} of `{ctx.segment(norm.manager)}` here."
        if everywhere
        else (f"{known}: a {_CLOSE} that made up for it elsewhere has to go.")
    )
    return Close(None, step)


def _body(norm: Norm) -> list[ast.stmt]:
    found = getattr(norm.use.scope.node, "body", [])
    return found if isinstance(found, list) else []


def _statements(body: Sequence[ast.stmt], manager: str, method: str) -> list[ast.stmt]:
    return [s for s in body if isinstance(s, ast.Expr) and _is_call(s.value, manager, (method,))]


def _nested(stmt: ast.stmt, manager: str) -> Iterator[ast.AST]:
    return (node for node in ast.walk(stmt) if _is_call(node, manager, (_OPEN, _CLOSE)))


def _is_call(node: ast.AST, manager: str, methods: Sequence[str]) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in methods
        and ast.dump(node.func.value) == manager
    )
