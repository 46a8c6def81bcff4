"""Walks a function's tree and asks the rules about each node."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from .conditions import is_slice
from .rule import ERROR, Rule, Scope
from .rules import CLASS_RULES, RULES, SIGNATURE_RULES

Function = ast.FunctionDef | ast.AsyncFunctionDef
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


@dataclass(frozen=True)
class Breach:
    """A place where a rule is broken; line from 1, column from 0."""

    code: str
    level: str
    line: int
    column: int
    text: str

    @property
    def is_error(self) -> bool:
        return self.level == ERROR


class Module:
    """The tree of a module, for what its functions see."""

    def __init__(self, tree: ast.Module) -> None:
        self.tree = tree

    @cached_property
    def imports(self) -> dict[str, str]:
        """Name → qualified name; later imports win."""
        found: dict[str, str] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    first = alias.name.partition(".")[0]
                    found[alias.asname or first] = alias.name if alias.asname else first
            elif isinstance(node, ast.ImportFrom):
                origin = "." * node.level + (node.module or "")
                for alias in node.names:
                    found[alias.asname or alias.name] = f"{origin}.{alias.name}"
        return found

    @cached_property
    def bound(self) -> frozenset[str]:
        """Names that the module itself defines."""
        names = {n.name for n in self.tree.body if isinstance(n, (*_SCOPES[:2], ast.ClassDef))}
        for statement in self.tree.body:
            if isinstance(statement, ast.Assign | ast.AnnAssign):
                names.update(_stored(statement))
        return frozenset(names)


def check_function(function: Function, module: Module) -> Iterator[Breach]:
    """What the language does not have in this function; annotations and decorators do not count.

    What is inside an inner function, a lambda or a comprehension is reported as that only.
    """
    scope = _scope(function, module)
    for rule in SIGNATURE_RULES:
        yield from _applied(rule, function, scope)
    for node in nodes(function):
        for rule in RULES:
            yield from _applied(rule, node, scope)


def check_class(definition: ast.ClassDef, module: Module) -> Iterator[Breach]:
    """What the language does not have in this class; its methods are functions to check."""
    scope = Scope(module.imports, module.bound)
    for rule in CLASS_RULES:
        yield from _applied(rule, definition, scope)


def _applied(rule: Rule, node: ast.AST, scope: Scope) -> Iterator[Breach]:
    if not isinstance(node, rule.nodes):
        return
    found = rule.found(node, scope)
    if found is not False:
        text = rule.text.format(found if isinstance(found, str) else "")
        line, column = getattr(node, "lineno", 0), getattr(node, "col_offset", 0)
        yield Breach(rule.code, rule.level, line, column, text)


def _scope(function: Function, module: Module) -> Scope:
    arguments = function.args
    parameters = {a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
    stored = {name for statement in function.body for name in _stored(statement)}
    return Scope(module.imports, module.bound | parameters | stored, _sliced(function) - parameters)


def _stored(node: ast.AST) -> Iterator[str]:
    return (n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))


def _sliced(function: Function) -> frozenset[str]:
    """Names whose every assignment is a slice of something."""
    slices: set[str] = set()
    others: set[str] = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            (slices if is_slice(node.value) else others).add(node.targets[0].id)
        elif isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign | ast.For):
            others.update(_stored(node))
    return frozenset(slices - others)


def nodes(function: Function) -> Iterator[ast.AST]:
    """The nodes of the body, in order of the text, without annotations and without what is nested."""
    pending: list[ast.AST] = [*function.args.defaults, *function.body][::-1]
    while pending:
        node = pending.pop()
        yield node
        if isinstance(node, (*_SCOPES, *_COMPREHENSIONS)):
            continue
        skipped = node.annotation if isinstance(node, ast.AnnAssign) else None
        pending.extend(child for child in [*ast.iter_child_nodes(node)][::-1] if child is not skipped)
