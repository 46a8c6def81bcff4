"""What kernels take from the function of the host that defines them: a function of the new language can only
take names of its module.

Index tiles and constants are made in the kernel; other values become parameters, which calls hand over.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Sequence, Set

from ...record import record
from ...trees import children
from ..translate.layout import laid_out
from . import scopes
from .functions import makes_index_tiles
from .leaving import Inner, can_hand_over, comments, has_header, header, header_end, with_calls
from .lines import Line, Text, in_strings, moved

_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
Path = tuple[ast.FunctionDef, ...]
"""Functions, each in the one before; the last one is a kernel."""


def taken_in(
    text: Text, host: ast.FunctionDef, names: Set[str], grids: Set[str], imported: Set[str]
) -> Text | None:
    """The text with less that kernels take from around them; None when there is nothing that can go.

    Args:
        names: of the kernels that the host's function defines. grids: what makes index tiles.
        imported: names of modules.
    """
    paths = [*kernels(host, names)]
    moves = [*_moves(text, host, paths, grids, imported - scopes.bound(host))]
    if moves:
        return _moved(text, moves)
    inners = [*_handing(text, host, paths)]
    return _handed(text, inners) if inners else None


def kernels(host: ast.FunctionDef, names: Set[str], around: Path = ()) -> Iterator[Path]:
    """Paths to the functions inside of one that have one of the names."""
    for node in sorted(
        (n for n in scopes.own(host) if isinstance(n, ast.FunctionDef)), key=lambda n: n.lineno
    ):
        if node.name in names:
            yield (*around, host, node)
        else:
            yield from kernels(node, names, (*around, host))


def _taken(path: Path) -> list[str]:
    outside = set().union(*map(scopes.bound, path[:-1]))
    return [name for name in scopes.free(path[-1]) if name in outside]


# -- statements that move ------------------------------------------------------------------------------


@record
class _Move:
    """A statement that goes into kernels; ``alone``: and is not left where it was."""

    statement: ast.Assign
    into: Sequence[ast.FunctionDef]
    alone: bool


def _moves(
    text: Text, host: ast.FunctionDef, paths: Sequence[Path], grids: Set[str], imported: Set[str]
) -> Iterator[_Move]:
    """Statements that can go into kernels at once, the last one first: none uses what another one makes."""
    taken = {id(path[-1]): set(_taken(path)) for path in paths}
    every = [n for n in scopes.within(host) if isinstance(n, ast.Name)]
    made_below: set[str] = set()
    named_below: set[str] = set()
    for statement in reversed(host.body):
        if not isinstance(statement, ast.Assign) or not _stands_alone(text, statement):
            continue
        made = scopes.stored(statement)
        named = made | {n.id for n in scopes.within(statement) if isinstance(n, ast.Name)}
        users = [path for path in paths if made & taken[id(path[-1])]]
        tiles = makes_index_tiles(statement.value, grids)
        if not users or not (tiles or _is_constant(statement.value, imported)):
            continue
        into = [path[-1] for path in users]
        if named & made_below or made & named_below or not all(_has_room(text, node) for node in into):
            continue
        if _is_same(statement, host, users):
            alone = _is_only_for(statement, every, users)
            if alone or not tiles:
                made_below |= made
                named_below |= named
                yield _Move(statement, into, alone)


def _is_constant(node: ast.expr, imported: Set[str]) -> bool:
    """Whether an expression consists of literal numbers, or is a name of a library."""
    if isinstance(node, ast.BinOp):
        return _is_constant(node.left, imported) and _is_constant(node.right, imported)
    if isinstance(node, ast.UnaryOp):
        return _is_constant(node.operand, imported)
    if isinstance(node, ast.Constant):
        return isinstance(node.value, int | float)
    while isinstance(node, ast.Attribute):
        node = node.value
        if isinstance(node, ast.Name):
            return node.id in imported
    return False


def _is_same(statement: ast.Assign, host: ast.FunctionDef, users: Sequence[Path]) -> bool:
    """Whether a statement makes the same wherever the kernels are called, and in them."""
    made, every = scopes.stored(statement), [n for n in scopes.within(host) if isinstance(n, ast.Name)]
    mine = {id(n) for n in scopes.within(statement)}
    read = {n.id for n in every if id(n) in mine} - made
    between = {name for path in users for f in path[1:] for name in scopes.bound(f)}
    targets = all(isinstance(target, ast.Name | ast.Tuple) for target in statement.targets)
    return (
        targets
        and not between & (made | read)
        and not made & scopes.parameters(host)
        and all(path[1].lineno > (statement.end_lineno or 0) for path in users)
        and _keep(made | read, statement, host)
    )


def _keep(names: Set[str], statement: ast.stmt, host: ast.FunctionDef) -> bool:
    """Whether variables have the value that they have behind a statement for good, and it alone gives it to
    those that it binds.
    """
    for node in scopes.within(host):
        if isinstance(node, ast.Nonlocal | ast.Global) and names & {*node.names}:
            return False
    bound = [n for n in scopes.own(host) if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)]
    inside = {id(n) for n in scopes.within(statement)}
    made = scopes.stored(statement)
    return all(
        n.lineno < statement.lineno and n.id not in made
        for n in bound
        if n.id in names and id(n) not in inside
    )


def _is_only_for(statement: ast.Assign, names: Sequence[ast.Name], users: Sequence[Path]) -> bool:
    """Whether nothing but kernels uses what a statement makes."""
    made = scopes.stored(statement)
    inside = {id(n) for path in users for n in scopes.within(path[-1])} | {
        id(n) for n in scopes.within(statement)
    }
    return all(id(n) in inside for n in names if n.id in made)


def _stands_alone(text: Text, statement: ast.Assign) -> bool:
    """Whether nothing else is on its lines, other than a comment."""
    behind = text.line(statement.end_lineno or 0).encode()[statement.end_col_offset or 0 :].strip()
    return not text.indentation(statement).strip() and (not behind or behind.startswith(b"#"))


def _first(node: ast.FunctionDef) -> ast.stmt:
    """The statement in front of which others go."""
    return node.body[1 if ast.get_docstring(node, False) and len(node.body) > 1 else 0]


def _has_room(text: Text, node: ast.FunctionDef) -> bool:
    """Whether statements can go to the beginning of a kernel."""
    first = _first(node)
    return first.lineno != node.lineno and not text.indentation(first).strip()


def _moved(text: Text, moves: Sequence[_Move]) -> Text:
    """The text with statements in kernels."""
    edits: dict[tuple[int, int], list[Line]] = {}
    gone: list[tuple[int, int]] = []
    for move in reversed(moves):  # in the order in which they stand
        statement = move.statement
        begin, end = text.above(statement.lineno), statement.end_lineno or statement.lineno
        for node in move.into:
            numbered = enumerate(text.between(statement.lineno, end), statement.lineno)
            base = text.indentation(_first(node))
            lines = moved(numbered, text.indentation(statement), base, in_strings(statement))
            place = text.above(_first(node).lineno)
            edits.setdefault((place, place - 1), []).extend(lines)
        if move.alone:
            gone.append((begin, end))
    for begin, end in _joined(gone):
        blank = begin == 1 or not text.line(begin - 1).strip()
        blank = blank and end < len(text.lines) and not text.line(end + 1).strip()
        edits[begin, end + blank] = []
    for (first, last), lines in sorted(edits.items(), reverse=True):
        text = text.replaced(first, last, lines)
    return text


def _joined(lines: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ranges of lines, in order, those together that follow each other."""
    found: list[tuple[int, int]] = []
    for begin, end in lines:
        if found and found[-1][1] + 1 == begin:
            begin = found.pop()[0]
        found.append((begin, end))
    return found


# -- values that become parameters ---------------------------------------------------------------------


def _handing(text: Text, host: ast.FunctionDef, paths: Sequence[Path]) -> Iterator[Inner]:
    """Kernels that take something, with what their calls can hand over."""
    uses = None
    for path in paths:
        *around, node = path
        taken = _taken(path)
        plain = not (node.args.vararg or node.args.kwarg) and has_header(text, node)
        if not taken or not plain or header_end(text, node) >= node.body[0].lineno:
            continue
        uses = uses or _Uses(host)
        calls = uses.calls(node) if _are_values(node, taken) else None
        if calls and all(uses.sees(around[-1], call, taken) for call in calls):
            yield Inner(node, tuple(around), tuple(calls), node.name, (), tuple(taken))


def _are_values(node: ast.FunctionDef, names: Sequence[str]) -> bool:
    """Whether a kernel does nothing with names but read them: no attributes of objects, no calls."""
    odd = {id(n.value) for n in scopes.within(node) if isinstance(n, ast.Attribute | ast.Starred)}
    odd |= {id(n.func) for n in scopes.within(node) if isinstance(n, ast.Call)}
    mentions = [n for n in scopes.within(node) if isinstance(n, ast.Name) and n.id in names]
    nonlocal_ = any(isinstance(n, ast.Nonlocal | ast.Global) for n in scopes.within(node))
    return not nonlocal_ and not any(id(n) in odd for n in mentions)


class _Uses:
    """What becomes of the names of a function of the host."""

    def __init__(self, host: ast.FunctionDef) -> None:
        self._given: dict[str, list[ast.AST]] = defaultdict(list)
        self._mentions: dict[str, list[ast.Name]] = defaultdict(list)
        self._launched: dict[int, ast.Call] = {}
        self._scopes: dict[int, tuple[ast.AST, ...]] = {}
        pending: list[tuple[ast.AST, tuple[ast.AST, ...]]] = [(host, ())]
        while pending:
            node, scopes_ = pending.pop()
            for name in scopes.given(node):
                self._given[name].append(node)
            if isinstance(node, ast.Name):
                self._mentions[node.id].append(node)
            elif isinstance(node, ast.Call):
                target = node.func.value if isinstance(node.func, ast.Subscript) else node.func
                self._launched[id(target)] = node
                self._scopes[id(node)] = scopes_
            elif isinstance(node, _SCOPES):
                scopes_ = (*scopes_, node)
            pending += [(child, scopes_) for child in reversed([*children(node)])]

    def calls(self, node: ast.FunctionDef) -> list[ast.Call] | None:
        """Launches of a kernel; None when something else happens to it, or they cannot hand anything over."""
        mentions = self._mentions[node.name]
        others = any(given is not node for given in self._given[node.name])
        if others or any(id(n) not in self._launched for n in mentions):
            return None
        calls = [self._launched[id(n)] for n in mentions]
        return calls if can_hand_over(node, calls) else None

    def sees(self, around: ast.FunctionDef, call: ast.Call, names: Sequence[str]) -> bool:
        """Whether names mean the same at a call as in the function that defines the kernel."""
        found = self._scopes[id(call)]
        between = found[found.index(around) + 1 :] if around in found else ()
        plain = (isinstance(n, ast.FunctionDef) and scopes.bound(n).isdisjoint(names) for n in between)
        return all(plain)


def _handed(text: Text, inners: Sequence[Inner]) -> Text:
    changed = with_calls(text, inners)
    for inner in sorted(inners, key=lambda i: -i.node.lineno):
        node, end = inner.node, header_end(text, inner.node)
        base = text.indentation(node)
        unit = text.indentation(node.body[0])[len(base) :] or "    "
        origin = text.origin(node.lineno)
        lines = [(line, origin) for line in laid_out(header(text, inner), base, unit)]
        lines += [(f"{base}{unit}{comment}", origin) for comment in comments(text, node.lineno, end)]
        changed = changed.replaced(node.lineno, end, lines)
    return changed
