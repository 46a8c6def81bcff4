"""Functions inside of functions become functions of the file; what they take from around them is handed over.

A closure reads a variable when it is called, and that is when the call hands it over. So the two are the same
for variables that the inner function does not bind itself, wherever it is only ever called by its name.
"""

from __future__ import annotations

import ast
import builtins
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from functools import lru_cache
from heapq import heappop, heappush

from ...record import replace
from ...trees import walk
from . import scopes
from .file import ANY, File
from .leaving import Inner, can_hand_over, has_header, written
from .lines import Text

_STAYS: Set[str] = frozenset()
"""What a function that stays in any case waits for."""


def moved_out(file: File, index: int, outer: Sequence[tuple[ast.FunctionDef, ast.stmt]]) -> Text | None:
    """A part of the file with the functions inside of others in front of the statements at its top that have
    these; None when there are none that can be moved.
    """
    found: list[tuple[Inner, ast.stmt]] = []
    for function, top in outer:
        paths = [*_inner(function, ())]
        found += [(inner, top) for inner in _Leaving(file, index, paths)] if paths else []
    return written(file.parts[index].text, found) if found else None


def _inner(
    outer: ast.FunctionDef, around: tuple[ast.FunctionDef, ...]
) -> Iterator[tuple[ast.FunctionDef, ...]]:
    """Paths to inner functions, innermost first."""
    for node in sorted(
        (n for n in scopes.own(outer) if isinstance(n, ast.FunctionDef)), key=lambda n: n.lineno
    ):
        yield from _inner(node, (*around, outer))
        yield (*around, outer, node)


class _Around:
    """What there is in a function, without the functions in it that have left.

    Attributes:
        bound: names that it binds. definitions: those of functions and classes. imported: of imports.
        stores: how often variables get a value. direct: what lies in it, but not in a function in it.
        mentions: name → its uses, its calls, and what gives it a meaning.
        assignments: name → the statements, in no branch or loop, that assign to it.
    """

    def __init__(self, node: ast.FunctionDef) -> None:
        own = scopes.own(node)
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        self.node = node
        self.bound = {*scopes.bound(node)}
        self.definitions = {n.name for n in own if isinstance(n, kinds)}
        self.imported = {name for n in own if isinstance(n, ast.alias) for name in scopes.given(n)}
        self.stores = scopes.stores(node).copy()
        self.direct = {*own}
        self.mentions = {name: dict.fromkeys(nodes) for name, nodes in _mentions(node).items()}
        self.assignments: dict[str, list[ast.Assign]] = {}
        for statement in node.body:
            if isinstance(statement, ast.Assign):
                for name in scopes.stored(statement):
                    self.assignments.setdefault(name, []).append(statement)

    def without(self, node: ast.FunctionDef, stores: Counter[str]) -> None:
        """A function in it leaves, in which variables get their values so often."""
        self.stores.subtract(stores)
        for inner in scopes.within(node):
            for name in _mentioned(inner):
                self.mentions[name].pop(inner, None)

    def times_bound(self, name: str) -> int:
        return self.stores[name] + (name in scopes.parameters(self.node))


class _Leaving:
    """The functions inside of one that can leave it, one after the other: each is looked at without those
    before it, and again when one has left that was in its way.
    """

    def __init__(self, file: File, index: int, paths: Sequence[tuple[ast.FunctionDef, ...]]) -> None:
        self._file, self._index, self._paths = file, index, paths
        self._around = {node: _Around(node) for node in {n for path in paths for n in path[:-1]}}
        self._handed: dict[ast.AST, Sequence[str]] = {}
        self._gone: set[ast.AST] = set()
        self._outside: set[str] = set()  # names of those that have left

    def __iter__(self) -> Iterator[Inner]:
        waiting: dict[str, list[int]] = {}
        ready = [*range(len(self._paths))]
        while ready:
            number = heappop(ready)
            path = self._paths[number]
            found = self._movable(path) if path[-1] not in self._gone else _STAYS
            if isinstance(found, Inner):
                for name in self._left(found):
                    for other in waiting.pop(name, ()):
                        heappush(ready, other)
                yield found
            else:
                for name in found:
                    waiting.setdefault(name, []).append(number)

    def _movable(self, path: Sequence[ast.FunctionDef]) -> Inner | Set[str]:
        """A function that can leave; otherwise the names of those, among others, that must do so before."""
        *outer, node = path
        around = [self._around[each] for each in outer]
        inside = {n.name for n in scopes.own(node) if isinstance(n, ast.FunctionDef) and n not in self._gone}
        if inside or not _is_plain(self._file.parts[self._index].text, node):
            return inside
        calls = _calls(node, around[-1].mentions.get(node.name, ()))
        if calls is None:
            return {node.name}
        captured = [n for n in scopes.free(node, self._handed, self._gone) if _is_bound(n, around)]
        copied = _copied(around, captured, self._file.spellings.grids)
        gone, read = ({n for s in copied for n in names(s)} for names in (scopes.stored, _loaded))
        wanted = [*captured, *sorted(read - {*captured})]
        handed = tuple(n for n in dict.fromkeys(wanted) if n not in gone and _is_bound(n, around))
        inner = Inner(node, tuple(outer), tuple(calls), node.name, tuple(copied), handed)
        obstacles = _obstacles(inner, around, gone, read)
        if obstacles is not None:
            return obstacles
        if calls and not _known_before(self._file, self._index, node):
            return _STAYS
        return replace(inner, name=self._name(inner, around)) if calls else inner

    def _name(self, inner: Inner, around: Sequence[_Around]) -> str:
        """What a function is called outside."""
        name, file = inner.node.name, self._file
        shadows = any(name in each.bound for each in around[:-1])
        clash = file.is_outside(self._index, around[0].node, name, *ANY)
        if shadows or clash or name in self._outside:
            return file.taken.fresh(f"{around[0].node.name}_{name}")
        return name

    def _left(self, inner: Inner) -> Set[str]:
        """A function has left; names that it has to do with."""
        node, mine = inner.node, self._around.get(inner.node)
        stores = scopes.stores(node) if mine is None else mine.stores
        for each in inner.around:
            self._around[each].without(node, stores)
        around = self._around[inner.around[-1]]
        around.bound.discard(node.name)
        around.definitions.discard(node.name)
        self._gone.add(node)
        self._handed.update(dict.fromkeys(inner.calls, inner.handed))
        if inner.calls:
            names = scopes.Names.of(scopes.within(node))
            self._outside.update(*(getattr(names, kind) for kind in ANY), inner.handed, (inner.name,))
        return {name for each in scopes.within(node) for name in _mentioned(each)}


def _is_bound(name: str, around: Sequence[_Around]) -> bool:
    return any(name in each.bound for each in around)


def _is_plain(text: Text, node: ast.FunctionDef) -> bool:
    """Whether nothing in a function itself keeps it where it is."""
    arguments = node.args
    plain = not node.decorator_list and not arguments.vararg and not arguments.kwarg
    alone = text.line(node.lineno)[: node.col_offset].strip() == "" and has_header(text, node)
    return plain and scopes.kinds(node).isdisjoint(_ODD) and alone


def _calls(node: ast.FunctionDef, mentions: Iterable[ast.AST]) -> list[ast.Call] | None:
    """Calls of an inner function; None when something else happens to it too, or a call cannot be right."""
    called: dict[int, ast.Call] = {}
    named: list[ast.Name] = []
    for each in mentions:
        if isinstance(each, ast.Name):
            named.append(each)
        elif isinstance(each, ast.Call):
            called[id(each.func)] = each
        elif each is not node:
            return None
    if any(id(n) not in called for n in named):
        return None
    calls = list(called.values())
    return calls if can_hand_over(node, calls) else None


@lru_cache(maxsize=64)
def _mentions(outer: ast.FunctionDef) -> Mapping[str, Sequence[ast.AST]]:
    """What there is in a function of each name: its uses, its calls, and what gives it a meaning."""
    found: dict[str, list[ast.AST]] = {}
    for node in scopes.within(outer):
        for name in _mentioned(node):
            found.setdefault(name, []).append(node)
    return found


def _mentioned(node: ast.AST) -> Sequence[str]:
    if isinstance(node, ast.Name):
        return (node.id,)
    if isinstance(node, ast.Call):
        return (node.func.id,) if isinstance(node.func, ast.Name) else ()
    return scopes.given(node)


def _copied(around: Sequence[_Around], names: Iterable[str], grids: Set[str]) -> list[ast.Assign]:
    """Statements that make the index tiles among the names: no function can be handed those."""
    found: list[ast.Assign] = []
    for each in around:
        assigning = {statement for name in names for statement in each.assignments.get(name, ())}
        tiles = (s for s in assigning if makes_index_tiles(s.value, grids))
        found += sorted(tiles, key=lambda s: (s.lineno, s.col_offset))
    return found


def makes_index_tiles(node: ast.expr, grids: Set[str]) -> bool:
    """Whether an expression consists of index tiles and sizes, so that it is the same wherever it stands."""
    grid = False
    for inner in walk(node):
        made = isinstance(inner, ast.Call) and _spelled(inner.func) in grids
        made |= isinstance(inner, ast.Subscript) and _spelled(inner.value) in grids
        grid |= made
        if (
            isinstance(inner, ast.Call)
            and not made
            and _spelled(inner.func) not in ("len", "min", "max", "int")
        ):
            return False
        if isinstance(inner, ast.Subscript) and not made and not _is_size(inner, grids):
            return False
    return grid


def _is_size(node: ast.Subscript, grids: Set[str]) -> bool:
    """``x.shape[0]``, or another view of an index tile that is made here."""
    inner = node.value
    shape = isinstance(inner, ast.Attribute) and inner.attr == "shape"
    return shape or (isinstance(inner, ast.Call) and _spelled(inner.func) in grids)


def _spelled(node: ast.expr) -> str:
    return ast.unparse(node) if isinstance(node, ast.Attribute | ast.Name) else ""


def _loaded(node: ast.AST) -> set[str]:
    return {n.id for n in walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}


def _obstacles(inner: Inner, around: Sequence[_Around], gone: Set[str], read: Set[str]) -> Set[str] | None:
    """What keeps calls from handing the names over, or what is copied from staying the same: names of
    functions that could still leave, among others; None when there is nothing.

    Args:
        gone: names that the function makes itself from now on. read: those that this reads.
    """
    node, handed = inner.node, {*inner.handed}
    if any(name in each.imported for each in around for name in handed):
        return _STAYS
    waits = {name for each in around for name in handed if name in each.definitions}
    waits |= {n for n in gone | read if sum(each.times_bound(n) for each in around) > 1}
    waits |= {n for n in evaluated_first(node) if _is_bound(n, around)}
    if waits:
        return waits
    mine = handed & around[-1].bound
    direct = (call for call in inner.calls if call in around[-1].direct)
    if gone & scopes.bound(node) or any(scopes.unbound(around[-1].node, call, mine) for call in direct):
        return _STAYS
    return None


def evaluated_first(node: ast.FunctionDef) -> set[str]:
    """Names that a definition reads: in defaults and annotations."""
    returns = _loaded(node.returns) if node.returns is not None else set()
    return _loaded(node.args) | returns


def _known_before(file: File, index: int, node: ast.FunctionDef) -> bool:
    """Whether what the definition reads is there before the part of the file that it moves to."""
    return all(
        (file.is_builtin(name) and hasattr(builtins, name)) or file.binds_above(index, name)
        for name in evaluated_first(node)
    )


# -- why one stays -------------------------------------------------------------------------------------


def hindrance(outer: ast.FunctionDef, node: ast.FunctionDef) -> str:
    """Why a function inside of another one stays where it is; an empty string when that is not clear."""
    if node.decorator_list:
        return "it is decorated"
    if node.args.vararg or node.args.kwarg:
        return "it takes a variable number of arguments"
    odd = next((n for n in walk(node) if isinstance(n, tuple(_ODD))), None)
    if odd is not None:
        return f"it has {_ODD[type(odd)]}"
    calls = _calls(node, _mentions(outer).get(node.name, ()))
    if calls is None:
        return "it is not only called by its name and with arguments that stand in the call"
    mine = [name for name in scopes.free(node) if name in scopes.bound(outer)]
    for call in calls:
        missing = scopes.unbound(outer, call, mine)
        if missing:
            return f"`{missing[0]}` may not be bound when it is called"
    return ""


_ODD: dict[type, str] = {
    ast.Yield: "yield",
    ast.YieldFrom: "yield",
    ast.Nonlocal: "nonlocal",
    ast.Global: "global",
    ast.Lambda: "a lambda",
    ast.AsyncFunctionDef: "an async function",
    ast.ClassDef: "a class",
    ast.ListComp: "a comprehension",
    ast.SetComp: "a comprehension",
    ast.DictComp: "a comprehension",
    ast.GeneratorExp: "a comprehension",
}
"""What keeps a function where it is."""
