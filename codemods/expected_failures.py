"""Where code expects an AssertionError: ``pytest.raises``, ``assertRaises`` and ``try … except``."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .analysis.context import FileContext, once
from .analysis.scopes import Use
from .record import record
from .trees import last_name

_ERROR = "AssertionError"
_EXPECTING = {"raises", "assertRaises", "assertRaisesRegex"}


@record
class Expectation:
    """``with raises(AssertionError, match=…):`` and its pattern, if it has one."""

    stmt: ast.With | ast.AsyncWith
    pattern: ast.Constant | None

    def holds(self, node: ast.expr) -> bool:
        """Whether a node stands in the statement's body."""
        return self.stmt.body[0].lineno <= node.lineno <= (self.stmt.end_lineno or 0)


@once
def expectations(ctx: FileContext) -> list[Expectation]:
    """All ``with`` statements that expect an AssertionError."""
    named = ctx.module.spelling(_ERROR) or ctx.module.spelling(f".{_ERROR}")
    return list(_all(ctx)) if named else []


def _all(ctx: FileContext) -> Iterator[Expectation]:
    for stmt in ctx.module.bodies:
        if isinstance(stmt, ast.With | ast.AsyncWith):
            for item in stmt.items:
                call = item.context_expr
                if isinstance(call, ast.Call) and is_expecting(call):
                    yield Expectation(stmt, _pattern(call))


def is_expecting(call: ast.Call) -> bool:
    """Whether a call expects an AssertionError to be raised."""
    return last_name(call.func) in _EXPECTING and bool(call.args) and _names_error(call.args[0])


def _names_error(node: ast.expr | None) -> bool:
    if isinstance(node, ast.Tuple):
        return any(map(_names_error, node.elts))
    return last_name(node) == _ERROR


def _pattern(call: ast.Call) -> ast.Constant | None:
    given = [k.value for k in call.keywords if k.arg in {"match", "expected_regex"}]
    given += call.args[1:2] if last_name(call.func) == "assertRaisesRegex" else []
    return next((g for g in given if isinstance(g, ast.Constant) and isinstance(g.value, str)), None)


def expected_to_fail(ctx: FileContext, node: ast.expr, use: Use) -> bool:
    """Whether an AssertionError of the node is expected or caught right here."""
    if any(expectation.holds(node) for expectation in expectations(ctx)):
        return True
    blocks = use.block.chain() if use.block else ()
    tries = (b.owner for b in blocks if isinstance(b.owner, ast.Try) and b.arm == "body")
    return any(_names_error(handler.type) for stmt in tries for handler in stmt.handlers)
