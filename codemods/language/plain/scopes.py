"""Which names a function binds, which it takes from around it, and which are certain to be bound where."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from ...fresh_names import Taken
from ...trees import children, walk

_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
_NAMING = tuple(
    kind
    for kind in vars(ast).values()
    if isinstance(kind, type) and issubclass(kind, ast.AST) and {"arg", "name"} & {*kind._fields}
)
"""Nodes that have a name of their own as a string."""
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


@lru_cache(maxsize=64)
def within(node: ast.AST) -> tuple[ast.AST, ...]:
    """A node and all below it. Each rule asks it of the same functions until one changes them."""
    return tuple(walk(node))


@lru_cache(maxsize=64)
def kinds(node: ast.AST) -> frozenset[type[ast.AST]]:
    """What kinds of nodes there are at and below one: a rule without any of its own need not look."""
    return frozenset(map(type, within(node)))


@lru_cache(maxsize=64)
def own(node: ast.AST) -> tuple[ast.AST, ...]:
    """What lies in a node, scopes inside of it left out; those themselves are given."""
    found: list[ast.AST] = []
    pending = list(children(node))
    while pending:
        inner = pending.pop()
        found.append(inner)
        if not isinstance(inner, _SCOPES):
            pending += children(inner)
    return tuple(found)


@lru_cache(maxsize=64)
def stores(node: ast.AST) -> Counter[str]:
    """How often something in a node gives a value to each variable."""
    names = (n for n in within(node) if isinstance(n, ast.Name))
    return Counter(n.id for n in names if not isinstance(n.ctx, ast.Load))


@lru_cache(maxsize=64)
def taken(function: ast.FunctionDef) -> Taken:
    """Names that no variable of a function can get: those in it, and those that have been given since it was
    parsed.
    """
    return all_names(function)


@lru_cache(maxsize=64)
def parameters(node: ast.FunctionDef | ast.Lambda) -> frozenset[str]:
    """The names of a function's parameters."""
    arguments = node.args
    found = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
    return frozenset(a.arg for a in (*found, arguments.vararg, arguments.kwarg) if a)


@lru_cache(maxsize=512)
def bound(node: ast.FunctionDef | ast.Lambda) -> frozenset[str]:
    """Names that a function binds. Variables of comprehensions count although they end with them."""
    found = {*parameters(node)}
    for inner in own(node):
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store | ast.Del):
            found.add(inner.id)
        elif isinstance(inner, ast.FunctionDef | ast.ClassDef):
            found.add(inner.name)
        elif isinstance(inner, ast.alias):
            found.add(_brought(inner))
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
    for inner in children(node):
        yield from _in_order(inner)


def certain(function: ast.FunctionDef, place: ast.AST) -> set[str]:
    """Names that are bound wherever ``place``, a node of the function, is reached."""
    return {*parameters(function), *_before(function.body, place)}


def _before(statements: Sequence[ast.stmt], place: ast.AST) -> set[str]:
    found: set[str] = set()
    for statement in statements:
        if _has(statement, place):
            if isinstance(statement, ast.For):
                found |= _targets(statement.target)
            for block in _blocks(statement):
                if any(_has(each, place) for each in block):
                    return found | _before(block, place)
            return found
        found |= _binds(statement)
    return found


def _has(statement: ast.stmt, place: ast.AST) -> bool:
    """Whether a statement has a node in it, or in a decorator."""
    starts = [(n.lineno, n.col_offset) for n in (statement, *getattr(statement, "decorator_list", ()))]
    first, last = getattr(place, "lineno", 0), getattr(place, "end_lineno", 0)
    begins = min(starts) <= (first, getattr(place, "col_offset", 0))
    ends = (statement.end_lineno or 0, statement.end_col_offset or 0)
    return begins and (last, getattr(place, "end_col_offset", 0)) <= ends


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
        return {*map(_brought, statement.names)}
    if isinstance(statement, ast.For | ast.While | ast.Try):
        return set()
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    return set().union(*(_targets(target) for target in targets if target is not None))


def _targets(node: ast.AST) -> set[str]:
    return {n.id for n in walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def binds(statements: Sequence[ast.stmt]) -> set[str]:
    """Names that statements at the top of a file bind, given that it goes on behind them."""
    found: set[str] = set()
    for statement in statements:
        found |= binds(statement.body) if isinstance(statement, ast.Try) else _binds(statement)
    return found


def _leaves(nodes: Sequence[ast.stmt]) -> bool:
    return bool(nodes) and isinstance(nodes[-1], ast.Return | ast.Raise | ast.Continue | ast.Break)


def all_names(tree: ast.AST) -> Taken:
    """Every name that is spelled somewhere, other than those of keyword arguments."""
    found = Taken()
    for node in walk(tree):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.alias):
            found.add(_brought(node))
    return found


@dataclass(frozen=True)
class Names:
    """What names do in some statements.

    Attributes:
        loaded: those that are read. stored: those that get a value, other than by imports and definitions.
        given: those of definitions, parameters and keyword arguments. aliased: those that imports mention.
        certain: those that are bound behind the statements.
        imported: those that imports bring, each with the whole import. importing: the same without it.
    """

    loaded: frozenset[str]
    stored: frozenset[str]
    given: frozenset[str]
    aliased: frozenset[str]
    certain: frozenset[str]
    imported: frozenset[tuple[str, str]]
    importing: tuple[str, ...]

    @classmethod
    def in_all(cls, statements: Sequence[ast.stmt]) -> Names:
        """The names in all of the statements."""
        return cls.of((node for each in statements for node in walk(each)), binds(statements))

    @classmethod
    def of(cls, nodes: Iterable[ast.AST], certain: Iterable[str] = ()) -> Names:
        """The names of these nodes."""
        loaded, stored, given, aliased = set[str](), set[str](), set[str](), set[str]()
        imported = set[tuple[str, str]]()
        for node in nodes:
            if isinstance(node, ast.Name):
                (loaded if isinstance(node.ctx, ast.Load) else stored).add(node.id)
            elif isinstance(node, ast.alias):
                aliased |= {node.asname or "", node.name.partition(".")[0]}
            elif isinstance(node, ast.Import | ast.ImportFrom):
                code = ast.dump(node)
                imported |= {(_brought(alias), code) for alias in node.names}
            elif isinstance(node, _NAMING):
                given |= {getattr(node, "arg", None) or "", getattr(node, "name", None) or ""}
        return cls(
            loaded=frozenset(loaded),
            stored=frozenset(stored),
            given=frozenset(given),
            aliased=frozenset(aliased),
            certain=frozenset(certain),
            imported=frozenset(imported),
            importing=tuple(name for name, _ in imported),
        )


def _brought(alias: ast.alias) -> str:
    """The name that an import binds."""
    return (alias.asname or alias.name).partition(".")[0]
