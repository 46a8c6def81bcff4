"""Which names a function binds, which it takes from around it, and which are certain to be bound where."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from functools import lru_cache

from ...fresh_names import Taken
from ...record import record
from ...trees import children, walk

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_SCOPES = (*_FUNCTIONS, ast.ClassDef)
_Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_NAMES = ("name", "arg", "rest")
"""Fields in which nodes have a name of their own as a string."""
_NAMING = frozenset(
    kind
    for kind in vars(ast).values()
    if isinstance(kind, type) and issubclass(kind, ast.AST) and {*_NAMES} & {*kind._fields}
)
_GIVING = (_NAMING - {ast.keyword}) | {ast.Name, ast.Global, ast.Nonlocal}
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
def parameters(node: _Function) -> frozenset[str]:
    """The names of a function's parameters."""
    arguments = node.args
    found = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
    return frozenset(a.arg for a in (*found, arguments.vararg, arguments.kwarg) if a)


def given(node: ast.AST) -> Sequence[str]:
    """The names that a node itself gives a meaning, in whatever scope, or says which scope they are of."""
    if node.__class__ not in _GIVING:
        return ()
    if isinstance(node, ast.Name):
        return () if isinstance(node.ctx, ast.Load) else (node.id,)
    if isinstance(node, ast.Global | ast.Nonlocal):
        return node.names
    return (_brought(node),) if isinstance(node, ast.alias) else _names(node)


def _names(node: ast.AST) -> tuple[str, ...]:
    """The name that a node has as a string."""
    found = (getattr(node, field, None) for field in _NAMES)
    return tuple(name for name in found if isinstance(name, str))


@lru_cache(maxsize=512)
def bound(node: _Function | ast.ClassDef) -> frozenset[str]:
    """Names that a function or class binds. Variables of comprehensions count although they end with them."""
    declarations = (inner for inner in own(node) if isinstance(inner, ast.Global | ast.Nonlocal))
    declared = {name for each in declarations for name in each.names}
    return frozenset(name for inner in own(node) for name in given(inner) if name not in declared)


def free(
    node: _Function, handed: Mapping[ast.AST, Sequence[str]] | None = None, gone: Set[ast.AST] = frozenset()
) -> list[str]:
    """Names that a function reads and does not bind, in the order in which they come up; type parameters of
    functions in it count as such where annotations name them.

    Args:
        handed: names that calls get besides what is written. gone: functions in it that are there no more.
    """
    mine = bound(node) | {n for inner in own(node) if isinstance(inner, ast.Global) for n in inner.names}
    found: list[str] = []
    pending: list[ast.AST | str] = [*reversed(node.body)] if isinstance(node.body, list) else [node.body]
    while pending:
        inner = pending.pop()
        if isinstance(inner, str):
            found.append(inner)
        elif isinstance(inner, ast.Name):
            found.append(inner.id)
        elif isinstance(inner, _FUNCTIONS) and inner not in gone:
            found += free(inner, handed, gone)
            pending += header(inner)
        elif isinstance(inner, ast.ClassDef):
            found += _free_in_class(inner)
            pending += [*inner.decorator_list, *inner.bases, *inner.keywords]
        elif inner not in gone:
            pending += reversed((handed or {}).get(inner, ()))
            pending += reversed(children(inner))
    return [name for name in dict.fromkeys(found) if name not in mine]


def _free_in_class(node: ast.ClassDef) -> Iterator[str]:
    """Names that the body of a class reads and does not bind, and those that its methods read."""
    mine = bound(node)
    for inner in own(node):
        if isinstance(inner, ast.Name) and inner.id not in mine:
            yield inner.id
        elif isinstance(inner, _FUNCTIONS):
            yield from (
                *free(inner),
                *(n.id for e in header(inner) for n in walk(e) if isinstance(n, ast.Name)),
            )
        elif isinstance(inner, ast.ClassDef):
            yield from _free_in_class(inner)


def header(node: _Function) -> list[ast.expr]:
    """What the definition of a function evaluates, in the scope around it."""
    arguments = node.args
    every = (
        *arguments.posonlyargs,
        *arguments.args,
        arguments.vararg,
        *arguments.kwonlyargs,
        arguments.kwarg,
    )
    found = [*arguments.defaults, *(default for default in arguments.kw_defaults if default is not None)]
    found += (a.annotation for a in every if a is not None and a.annotation is not None)
    if isinstance(node, ast.Lambda):
        return found
    return [*node.decorator_list, *found, *([node.returns] if node.returns is not None else [])]


@record
class _Spot:
    """Where a statement stands in a function.

    Attributes:
        around: the spot of the one whose block it is in. number: its number in the block.
        binding: name → the number of the first one in the block that certainly binds it.
    """

    around: _Spot | None
    number: int
    binding: Mapping[str, int]


def unbound(function: ast.FunctionDef, place: ast.AST, names: Iterable[str]) -> list[str]:
    """Those of the names that may not be bound where ``place``, a node of the function, is reached."""
    missing = [name for name in names if name not in parameters(function)]
    spot = _spots(function).get(place)
    while spot is not None:
        missing = [name for name in missing if spot.binding.get(name, spot.number) >= spot.number]
        spot = spot.around
    return missing


@lru_cache(maxsize=64)
def _spots(function: ast.FunctionDef) -> Mapping[ast.AST, _Spot]:
    """The spots of a function's statements, which all that stands in them has."""
    found: dict[ast.AST, _Spot] = {}
    pending: list[tuple[list[ast.stmt], _Spot | None, set[str]]] = [(function.body, None, set())]
    while pending:
        block, around, before = pending.pop()
        binding = dict.fromkeys(before, -1)
        for number, statement in enumerate(block):
            spot = _Spot(around, number, binding)
            below = blocks(statement)
            inside = {id(each) for inner in below for each in inner}
            nodes: list[ast.AST] = [statement]
            for node in nodes:
                found[node] = spot
                nodes += (child for child in children(node) if id(child) not in inside)
            targets = {*stored(statement.target)} if isinstance(statement, ast.For) else set()
            pending += ((b, spot, targets if b is below[0] else set()) for b in below)
            for name in _binds(statement):
                binding.setdefault(name, number)
    return found


def blocks(node: ast.AST) -> list[list[ast.stmt]]:
    """The statements in a node, one after the other; those of ``except`` and ``case`` are in nodes in it."""
    found = (getattr(node, field, None) for field in ("body", "orelse", "finalbody"))
    return [block for block in found if isinstance(block, list) and block]


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
    return set().union(*(stored(target) for target in targets if target is not None))


def stored(node: ast.AST) -> frozenset[str]:
    """The names that get a value in a node."""
    return frozenset(n.id for n in walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))


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
        found.update((node.id,) if isinstance(node, ast.Name) else given(node))
    return found


@record
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
            elif node.__class__ in _NAMING:
                given.update(_names(node))
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
