"""The walk through a harness: assignments, loops, branches, and calls of its own functions.

What a value may be is in :mod:`.values`. Both arms of a branch are walked through when its test is unknown,
and only the first rounds of a loop.
"""

from __future__ import annotations

import ast
import contextlib
import operator
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ..discover import Kernel as Definition
from ..discover import SourceFile, makes_kernels
from . import arrays
from .operations import BINARY, BUILTINS, COMPARE, computed
from .options import PARSER, Options
from .parametrize import parameter_sets
from .values import (
    PLAIN,
    UNKNOWN,
    Arguments,
    Array,
    Called,
    Dotted,
    Expression,
    Function,
    Kernel,
    Method,
    Wrapper,
    in_spec,
)

STEPS, DEPTH, ROUNDS = 20_000, 12, 8
"""Statements looked at, calls inside of each other, and rounds of a loop, at most."""
_CALLING = ("simulate_kernel", "nki_call")
"""Wrappers that call the kernel with the arguments behind it, instead of giving one to call."""

Scope = dict[str, Any]
"""Name → value."""


class _Return(Exception):
    def __init__(self, value: Any) -> None:
        self.value = value


class _Enough(Exception):
    """So many statements were looked at that the walk ends."""


def calls(file: SourceFile, kernels: dict[str, Definition], local: dict[str, str]) -> list[Called]:
    """The calls of kernels that a file's harness makes, in the order in which it makes them.

    Args:
        file: the file with the harness.
        kernels: the kernels whose calls count, by name.
        local: name in this file → the kernel's name in ``kernels``.
    """
    interpreter = _Interpreter(file, kernels, local)
    with contextlib.suppress(_Enough, RecursionError):
        interpreter.module()
    return interpreter.found


class _Interpreter:
    def __init__(self, file: SourceFile, kernels: dict[str, Definition], local: dict[str, str]) -> None:
        self.file = file
        self.kernels = kernels
        self.local = local
        self.found: list[Called] = []
        self.steps = 0
        self.depth = 0
        self.scope: Scope = {}

    # -- statements -----------------------------------------------------------------------------------

    def module(self) -> None:
        """The module's own statements with its ``__main__`` block, then its tests."""
        self.block(self.file.tree.body, self.scope)
        for node in self.file.tree.body:
            for function in node.body if isinstance(node, ast.ClassDef) else [node]:
                if isinstance(function, ast.FunctionDef) and function.name.startswith("test"):
                    self.test(function)

    def test(self, node: ast.FunctionDef) -> None:
        """A test function, once for each of its first parameter sets."""
        for given in parameter_sets(node, lambda e: self.value(e, self.scope))[:ROUNDS]:
            self.call(Function(node, self.scope), Arguments([], given), node)

    def block(self, body: Sequence[ast.stmt], scope: Scope) -> None:
        for node in body:
            self.steps += 1
            if self.steps > STEPS:
                raise _Enough
            handler = _STATEMENTS.get(type(node))
            if handler is not None:
                handler(self, node, scope)

    def definition(self, node: ast.FunctionDef, scope: Scope) -> None:
        if node.name not in self.local:
            scope[node.name] = Function(node, scope)

    def assign(self, node: ast.Assign, scope: Scope) -> None:
        value = self.value(node.value, scope)
        for target in node.targets:
            _bind(target, value, scope)

    def ann_assign(self, node: ast.AnnAssign, scope: Scope) -> None:
        if node.value is not None:
            _bind(node.target, self.value(node.value, scope), scope)

    def aug_assign(self, node: ast.AugAssign, scope: Scope) -> None:
        _bind(node.target, self.value(ast.BinOp(_loaded(node.target), node.op, node.value), scope), scope)

    def valued(self, node: ast.Expr, scope: Scope) -> None:
        self.value(node.value, scope)

    def asserted(self, node: ast.Assert, scope: Scope) -> None:
        self.value(node.test, scope)

    def return_(self, node: ast.Return, scope: Scope) -> None:
        raise _Return(self.value(node.value, scope) if node.value else None)

    def branch(self, node: ast.If, scope: Scope) -> None:
        test = True if _is_main(node.test) else self.value(node.test, scope)
        if test is UNKNOWN or not isinstance(test, PLAIN):
            self.block([*node.body, *node.orelse], scope)
        else:
            self.block(node.body if test else node.orelse, scope)

    def loop(self, node: ast.For, scope: Scope) -> None:
        items = self.value(node.iter, scope)
        for item in items[:ROUNDS] if isinstance(items, list | tuple) else [UNKNOWN]:
            _bind(node.target, item, scope)
            self.block(node.body, scope)

    def once(self, node: ast.While | ast.With, scope: Scope) -> None:
        self.block(node.body, scope)

    def try_(self, node: ast.Try, scope: Scope) -> None:
        self.block([*node.body, *node.orelse, *node.finalbody], scope)

    # -- expressions ----------------------------------------------------------------------------------

    def value(self, node: ast.expr, scope: Scope) -> Any:
        """What an expression is; of a kind that is not followed, only the calls inside of it count."""
        handler = _EXPRESSIONS.get(type(node))
        if handler is not None:
            return handler(self, node, scope)
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self.value(child, scope)
        return UNKNOWN

    def constant(self, node: ast.Constant, _scope: Scope) -> Any:
        return node.value if isinstance(node.value, PLAIN) else UNKNOWN

    def name(self, node: ast.Name, scope: Scope) -> Any:
        if node.id in scope:
            return scope[node.id]
        if node.id in self.local:
            return Kernel(self.local[node.id])
        if node.id in self.scope:
            return self.scope[node.id]
        if node.id in self.file.imports:
            return Dotted(self.file.imports[node.id])
        return Dotted(node.id) if node.id in BUILTINS else UNKNOWN

    def attribute(self, node: ast.Attribute, scope: Scope) -> Any:
        owner = self.value(node.value, scope)
        if isinstance(owner, Dotted):
            return Dotted(f"{owner.path}.{node.attr}")
        if isinstance(owner, Options):
            return owner.attribute(node.attr)
        if isinstance(owner, Array):
            return _array_attribute(owner, node.attr)
        return UNKNOWN

    def tuple_(self, node: ast.Tuple, scope: Scope) -> Any:
        return tuple(self.value(item, scope) for item in node.elts)

    def list_(self, node: ast.List, scope: Scope) -> Any:
        return [self.value(item, scope) for item in node.elts]

    def conditional(self, node: ast.IfExp, scope: Scope) -> Any:
        test = self.value(node.test, scope)
        if test is UNKNOWN:
            return UNKNOWN
        return self.value(node.body if test else node.orelse, scope)

    def unary(self, node: ast.UnaryOp, scope: Scope) -> Any:
        value = self.value(node.operand, scope)
        if isinstance(node.op, ast.Not):
            return UNKNOWN if value is UNKNOWN else not value
        if isinstance(value, Array):
            return value
        return -value if isinstance(node.op, ast.USub) and isinstance(value, int | float) else UNKNOWN

    def binary(self, node: ast.BinOp, scope: Scope) -> Any:
        left, right = self.value(node.left, scope), self.value(node.right, scope)
        if isinstance(left, Array) or isinstance(right, Array):
            return arrays.arithmetic(type(node.op), left, right)
        operation = BINARY.get(type(node.op))
        return UNKNOWN if operation is None else computed(operation, left, right)

    def comparison(self, node: ast.Compare, scope: Scope) -> Any:
        if len(node.ops) != 1:
            return UNKNOWN
        left, right = self.value(node.left, scope), self.value(node.comparators[0], scope)
        return computed(COMPARE[type(node.ops[0])], left, right)

    def boolean(self, node: ast.BoolOp, scope: Scope) -> Any:
        values = [self.value(item, scope) for item in node.values]
        if any(value is UNKNOWN for value in values):
            return UNKNOWN
        return all(values) if isinstance(node.op, ast.And) else any(values)

    def unknown(self, _node: ast.expr, _scope: Scope) -> Any:
        return UNKNOWN

    def lambda_(self, node: ast.Lambda, scope: Scope) -> Any:
        return Function(node, scope)

    def subscript(self, node: ast.Subscript, scope: Scope) -> Any:
        owner = self.value(node.value, scope)
        key = self.value(node.slice, scope)
        if isinstance(owner, Kernel):
            extents = key if isinstance(key, tuple | list) else (key,)
            return Kernel(owner.name, tuple(_extent(item) for item in extents))
        if isinstance(owner, Dotted) and owner.path.endswith("typing.tensor") and isinstance(key, tuple):
            return arrays.array(key[0], key[1] if len(key) > 1 else None) or UNKNOWN
        if isinstance(owner, tuple | list | str) and isinstance(key, int):
            return computed(operator.getitem, owner, key)
        return UNKNOWN

    # -- calls ----------------------------------------------------------------------------------------

    def call_node(self, node: ast.Call, scope: Scope) -> Any:
        callee = self.value(node.func, scope)
        given = self.given(node, scope)
        if isinstance(callee, Wrapper) or (isinstance(callee, Dotted) and makes_kernels(callee.path)):
            return self.wrapped(callee, given, node)
        return self.call(callee, given, node)

    def given(self, node: ast.Call, scope: Scope) -> Arguments:
        """The arguments of a call; what ``**`` spreads is left out."""
        positional: list[Any] = []
        for argument in node.args:
            if isinstance(argument, ast.Starred):
                items = self.value(argument.value, scope)
                positional += items if isinstance(items, list | tuple) else [UNKNOWN]
            else:
                positional.append(self.value(argument, scope))
        return Arguments(positional, {k.arg: self.value(k.value, scope) for k in node.keywords if k.arg})

    def wrapped(self, wrapper: Wrapper | Dotted, given: Arguments, node: ast.Call) -> Any:
        """``nki.jit(f)``, ``nki.benchmark(warmup=5)``, ``simulate_kernel(f[grid], x)``."""
        kernel = given.first
        if not isinstance(kernel, Kernel):
            return UNKNOWN if given.positional else Wrapper()
        if isinstance(wrapper, Dotted) and wrapper.last in _CALLING:
            self.record(kernel, Arguments(given.positional[1:], given.named), node.lineno)
            return UNKNOWN
        return kernel

    def call(self, callee: Any, given: Arguments, node: ast.AST) -> Any:
        """What a call gives; the call of a kernel is noted."""
        if isinstance(callee, Kernel):
            self.record(callee, given, getattr(node, "lineno", 0))
            return UNKNOWN
        if isinstance(callee, Function):
            return self.enter(callee, given)
        if isinstance(callee, Method):
            return arrays.method_result(callee.array, callee.name, given)
        if isinstance(callee, Options):
            return callee.called(given)
        if isinstance(callee, Dotted):
            if callee.path == PARSER:
                return Options()
            if callee.path in BUILTINS:
                return computed(BUILTINS[callee.path], *given.positional)
            return arrays.made_by(callee, given)
        return UNKNOWN

    def enter(self, function: Function, given: Arguments) -> Any:
        """Walk through one of the harness's own functions."""
        if self.depth >= DEPTH:
            return UNKNOWN
        node = function.node
        scope = {**function.scope, **self.parameters(function, given)}
        if isinstance(node, ast.Lambda):
            return self.value(node.body, scope)
        self.depth += 1
        try:
            self.block(node.body, scope)
        except _Return as found:
            return found.value
        finally:
            self.depth -= 1
        return None

    def parameters(self, function: Function, given: Arguments) -> Scope:
        """The value of each parameter of a function that is called: given, its default, or unknown."""
        spec = function.node.args
        names = [arg.arg for arg in (*spec.posonlyargs, *spec.args)]
        bound = dict.fromkeys([*names, *(arg.arg for arg in spec.kwonlyargs)], UNKNOWN)
        if spec.defaults:
            for name, default in zip(names[-len(spec.defaults) :], spec.defaults, strict=True):
                bound[name] = self.value(default, function.scope)
        for arg, value in zip(spec.kwonlyargs, spec.kw_defaults, strict=True):
            if value is not None:
                bound[arg.arg] = self.value(value, function.scope)
        bound.update(zip(names, given.positional, strict=False))
        bound.update((name, value) for name, value in given.named.items() if name in bound)
        return bound

    def record(self, kernel: Kernel, given: Arguments, line: int) -> None:
        """Note a call of a kernel."""
        parameters = [parameter.name for parameter in self.kernels[kernel.name].parameters]
        values = {**dict(zip(parameters, given.positional, strict=False)), **given.named}
        inputs = {name: in_spec(values[name]) for name in parameters if name in values}
        self.found.append(Called(kernel.name, inputs, kernel.grid, line))


_STATEMENTS: dict[type, Callable[[_Interpreter, Any, Scope], None]] = {
    ast.FunctionDef: _Interpreter.definition,
    ast.Assign: _Interpreter.assign,
    ast.AnnAssign: _Interpreter.ann_assign,
    ast.AugAssign: _Interpreter.aug_assign,
    ast.Expr: _Interpreter.valued,
    ast.Assert: _Interpreter.asserted,
    ast.Return: _Interpreter.return_,
    ast.If: _Interpreter.branch,
    ast.For: _Interpreter.loop,
    ast.While: _Interpreter.once,
    ast.With: _Interpreter.once,
    ast.Try: _Interpreter.try_,
}
_EXPRESSIONS: dict[type, Callable[[_Interpreter, Any, Scope], Any]] = {
    ast.Constant: _Interpreter.constant,
    ast.Name: _Interpreter.name,
    ast.Attribute: _Interpreter.attribute,
    ast.Tuple: _Interpreter.tuple_,
    ast.List: _Interpreter.list_,
    ast.IfExp: _Interpreter.conditional,
    ast.UnaryOp: _Interpreter.unary,
    ast.BinOp: _Interpreter.binary,
    ast.Compare: _Interpreter.comparison,
    ast.BoolOp: _Interpreter.boolean,
    ast.JoinedStr: _Interpreter.unknown,
    ast.Lambda: _Interpreter.lambda_,
    ast.Subscript: _Interpreter.subscript,
    ast.Call: _Interpreter.call_node,
}


def _array_attribute(owner: Array, name: str) -> Any:
    if name == "shape":
        return owner.shape
    if name == "dtype":
        return owner.dtype
    if name == "T":
        return replace(owner, shape=owner.shape[::-1])
    return Method(owner, name)


def _extent(item: Any) -> Any:
    """An extent of a launch grid as a spec file writes it."""
    if isinstance(item, int):
        return item
    return item.text if isinstance(item, Expression) and item.text.startswith("nc(") else UNKNOWN


def _is_main(node: ast.expr) -> bool:
    return isinstance(node, ast.Compare) and isinstance(node.left, ast.Name) and node.left.id == "__name__"


def _loaded(target: ast.expr) -> ast.expr:
    return ast.Name(target.id, ast.Load()) if isinstance(target, ast.Name) else target


def _bind(target: ast.expr, value: Any, scope: Scope) -> None:
    if isinstance(target, ast.Name):
        scope[target.id] = value
    elif isinstance(target, ast.Tuple | ast.List):
        known = isinstance(value, list | tuple) and len(value) == len(target.elts)
        for index, item in enumerate(target.elts):
            _bind(item, value[index] if known else UNKNOWN, scope)
