"""Classes and stand-ins that rely on how a class or function of the library was made.

What it does
    Reports classes that derive from a class whose constructor, methods or attributes changed, calls of such a
    constructor through ``super()``, objects that stand in for a tensor without an attribute that is read now,
    functions put in a kernel's place whose parameters are those of the old release, and reads of a class's
    fields by position.

Why
    What a subclass overrides, and what a fake takes, is decided by its author; no call shows it.

Before
    ``class Tile(TensorView):`` with ``super().__init__(tensor, sizes=sizes)``

After
    The same class, with what to do: call ``super().__init__(tensor)`` and make other views with the methods.

When it stays silent
    For subclasses without a body of their own, classes that only hold such an object, and stand-ins that have
    what is needed or take any arguments.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..analysis.context import FileContext
from ..model import Finding, Outcome

CODE = "NKM306"


def check(ctx: FileContext) -> Iterator[Finding]:
    """One finding for each such class or place."""
    table = ctx.release.behaviours_of("subclass")
    for node in _derived(ctx):
        for name in ctx.evaluator.bases(node):
            for behaviour in table.get(name, ()):
                yield ctx.finding(
                    CODE,
                    node.bases[0],
                    behaviour.message,
                    outcome=Outcome(behaviour.outcome),
                    step=behaviour.step,
                )


def _derived(ctx: FileContext) -> Iterator[ast.ClassDef]:
    for stmt in ctx.module.bodies:
        if isinstance(stmt, ast.ClassDef) and stmt.bases and any(map(_own, stmt.body)):
            yield stmt


def _own(stmt: ast.stmt) -> bool:
    """Whether a statement of a class body is more than a placeholder or a documentation."""
    return not isinstance(stmt, ast.Pass) and not (
        isinstance(stmt, ast.Expr) and isinstance(stmt.value, ast.Constant)
    )
