"""Which functions of a module are code of kernels."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..record import record
from .checker import Function, Module, nodes
from .rule import Scope

_JIT = "nki.jit"
_MARKS = ("nki.isa.",)
"""Whoever calls something in here runs on the device."""


@record
class Kernels:
    """What a module has of kernels.

    Attributes:
        jitted: functions with ``@nki.jit``.
        functions: those, what calls an instruction other than tests, and what they call in the module.
        classes: classes of the module that those make objects of.
    """

    jitted: tuple[Function, ...]
    functions: tuple[Function, ...]
    classes: tuple[ast.ClassDef, ...]


def find(module: Module) -> Kernels:
    """The kernels of a module that imports ``nki``."""
    scope = Scope(module.imports, module.bound)
    defined = {n.name: n for n in module.tree.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}
    classes = {n.name: n for n in module.tree.body if isinstance(n, ast.ClassDef)}
    jitted = [f for f in defined.values() if any(_is_jit(d, scope) for d in f.decorator_list)]
    tested = any(name.partition(".")[0] == "pytest" for name in module.imports.values())
    instructed = (f for f in defined.values() if _runs_instructions(f, scope))
    pending = [*jitted, *(f for f in instructed if not (tested and _is_collected(f, scope)))]
    found: dict[str, Function] = {}
    made: dict[str, ast.ClassDef] = {}
    while pending:
        function = pending.pop()
        if function.name in found:
            continue
        found[function.name] = function
        for name in _called(function):
            if name in classes:
                made[name] = classes[name]
            elif name in defined:
                pending.append(defined[name])
    order = [f for f in defined.values() if f.name in found]
    return Kernels(tuple(jitted), tuple(order), tuple(c for c in classes.values() if c.name in made))


def _is_jit(decorator: ast.expr, scope: Scope) -> bool:
    target = decorator.func if isinstance(decorator, ast.Call) else decorator
    return scope.qualified(target) == _JIT


def _runs_instructions(function: Function, scope: Scope) -> bool:
    calls = (node.func for node in nodes(function) if isinstance(node, ast.Call))
    return any(scope.qualified(called).startswith(_MARKS) for called in calls)


def _is_collected(function: Function, scope: Scope) -> bool:
    """Whether pytest calls it: a test, or a fixture. It may use instructions of a stand-in for ``nki``."""
    decorators = (d.func if isinstance(d, ast.Call) else d for d in function.decorator_list)
    return function.name.startswith("test") or any(
        scope.qualified(d).startswith("pytest.") for d in decorators
    )


def _called(function: Function) -> Iterator[str]:
    for node in nodes(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id
