"""Which names a function binds, which it takes from around it, and which are certain to be bound where."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from functools import lru_cache

_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def own(node: ast.AST) -> Iterator[ast.AST]:
    """What lies in a node, scopes inside of it left out; those themselves are given."""
    pending = list(ast.iter_child_nodes(node))
    while pending:
        inner = pending.pop()
        yield inner
        if not isinstance(inner, _SCOPES):
            pending += ast.iter_child_nodes(inner)


def parameters(node: ast.FunctionDef | ast.Lambda) -> set[str]:
    """The names of a function's parameters."""
    arguments = node.args
    found = {a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
    return found | {a.arg for a in (arguments.vararg, arguments.kwarg) if a}


@lru_cache(maxsize=512)
def bound(node: ast.FunctionDef | ast.Lambda) -> frozenset[str]:
    """Names that a function binds. Variables of comprehensions count although they end with them."""
    found = parameters(node)
    for inner in own(node):
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store | ast.Del):
            found.add(inner.id)
        elif isinstance(inner, ast.FunctionDef | ast.ClassDef):
            found.add(inner.name)
        elif isinstance(inner, ast.alias):
            found.add((inner.asname or inner.name).partition(".")[0])
        elif isinstance(inner, ast.ExceptHandler) and inner.name:
            found.add(inner.name)
    return frozenset(found)


def free(node: ast.FunctionDef | ast.Lambda) -> list[str]:
    """Names that a function reads and does not bind, in the order in which they come up."""
    body = node.body if isinstance(node.body, list) else [node.body]
    mine = bound(node)
    found: list[str] = []
    for statement in body:
        for inner in _in_order(statement):
            if isinstance(inner, ast.Name):
                found.append(inner.id)
            elif isinstance(inner, ast.FunctionDef | ast.Lambda):
                found += free(inner)
    return [name for name in dict.fromkeys(found) if name not in mine]


def _in_order(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    if isinstance(node, ast.FunctionDef | ast.Lambda):
        return
    for inner in ast.iter_child_nodes(node):
        yield from _in_order(inner)


def certain(function: ast.FunctionDef, place: ast.AST) -> set[str]:
    """Names that are bound wherever ``place``, a node of the function, is reached."""
    return parameters(function) | _before(function.body, place)


def _before(statements: Sequence[ast.stmt], place: ast.AST) -> set[str]:
    found: set[str] = set()
    for statement in statements:
        if any(inner is place for inner in ast.walk(statement)):
            if isinstance(statement, ast.For):
                found |= _targets(statement.target)
            for block in _blocks(statement):
                if any(inner is place for each in block for inner in ast.walk(each)):
                    return found | _before(block, place)
            return found
        found |= _binds(statement)
    return found


def _blocks(statement: ast.stmt) -> list[list[ast.stmt]]:
    return [
        getattr(statement, field)
        for field in ("body", "orelse", "finalbody")
        if getattr(statement, field, None)
    ]


def _binds(statement: ast.stmt) -> set[str]:
    """Names that a statement certainly binds."""
    if isinstance(statement, ast.If):
        arms = [arm for arm in (statement.body, statement.orelse) if not _leaves(arm)]
        each = [set().union(*map(_binds, arm)) for arm in arms]
        return set.intersection(*each) if each else set()
    if isinstance(statement, ast.With):
        return set().union(*map(_binds, statement.body))
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return {statement.name}
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return {(a.asname or a.name).partition(".")[0] for a in statement.names}
    if isinstance(statement, ast.For | ast.While | ast.Try):
        return set()
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    return set().union(*(_targets(target) for target in targets if target is not None))


def _targets(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def binds(statements: Sequence[ast.stmt]) -> set[str]:
    """Names that statements at the top of a file bind, given that it goes on behind them."""
    found: set[str] = set()
    for statement in statements:
        found |= binds(statement.body) if isinstance(statement, ast.Try) else _binds(statement)
    return found


def _leaves(nodes: Sequence[ast.stmt]) -> bool:
    return bool(nodes) and isinstance(nodes[-1], ast.Return | ast.Raise | ast.Continue | ast.Break)


def all_names(tree: ast.AST) -> set[str]:
    """Every name that is spelled somewhere."""
    found = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    found |= {a.arg for a in ast.walk(tree) if isinstance(a, ast.arg)}
    found |= {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    return found | {
        (a.asname or a.name).partition(".")[0] for a in ast.walk(tree) if isinstance(a, ast.alias)
    }


def is_builtin(tree: ast.AST, name: str) -> bool:
    """Whether nothing in the file has the name of this function of Python's."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id == name and not isinstance(node.ctx, ast.Load):
            return False
        if name in (getattr(node, "arg", ""), getattr(node, "asname", ""), getattr(node, "name", "")):
            return False
    return True


def fresh(hint: str, taken: set[str]) -> str:
    """A name like ``hint`` that is not taken; it is from now on."""
    name, number = hint, 2
    while name in taken:
        name, number = f"{hint}_{number}", number + 1
    taken.add(name)
    return name
