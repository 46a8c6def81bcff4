"""What kernels take from the function of the host that defines them: a function of the new language can only
take names of its module.

Index tiles and constants are made in the kernel; other values become parameters, which calls hand over.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence, Set

from ..translate.layout import laid_out
from . import scopes
from .functions import makes_index_tiles
from .leaving import Inner, can_hand_over, comments, has_header, header, header_end, with_calls
from .lines import Text, in_strings, moved

Path = tuple[ast.FunctionDef, ...]
"""Functions, each in the one before; the last one is a kernel."""


def taken_in(
    text: Text, host: ast.FunctionDef, names: Set[str], grids: Set[str], imported: Set[str]
) -> Text | None:
    """The text with one thing less that a kernel takes from around it; None when there is none that can go.

    Args:
        names: of the kernels that the host's function defines. grids: what makes index tiles.
        imported: names of modules.
    """
    imported = imported - scopes.bound(host)
    paths = [*kernels(host, names)]
    for statement in reversed(host.body):  # each goes in front of the ones below it
        if isinstance(statement, ast.Assign) and _stands_alone(text, statement):
            users = [path for path in paths if scopes.stored(statement) & set(_taken(path))]
            tiles = makes_index_tiles(statement.value, grids)
            if (
                users
                and (tiles or _is_constant(statement.value, imported))
                and _is_same(statement, host, users)
            ):
                alone = _is_only_for(statement, host, users)
                if alone or not tiles:
                    return _moved(text, statement, [path[-1] for path in users], alone)
    for path in paths:
        if (inner := _handing(text, path)) is not None:
            return _handed(text, inner)
    return None


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


def _is_only_for(statement: ast.Assign, host: ast.FunctionDef, users: Sequence[Path]) -> bool:
    """Whether nothing but kernels uses what a statement makes."""
    made = scopes.stored(statement)
    inside = {id(n) for path in users for n in scopes.within(path[-1])} | {
        id(n) for n in scopes.within(statement)
    }
    every = (n for n in scopes.within(host) if isinstance(n, ast.Name) and n.id in made)
    return all(id(n) in inside for n in every)


def _stands_alone(text: Text, statement: ast.Assign) -> bool:
    """Whether nothing else is on its lines, other than a comment."""
    behind = text.line(statement.end_lineno or 0).encode()[statement.end_col_offset or 0 :].strip()
    return not text.indentation(statement).strip() and (not behind or behind.startswith(b"#"))


def _moved(text: Text, statement: ast.Assign, into: Sequence[ast.FunctionDef], alone: bool) -> Text | None:
    """The text with a statement in kernels; ``alone``: and not where it was."""
    begin, end = text.above(statement.lineno), statement.end_lineno or statement.lineno
    new = text
    for node in sorted(into, key=lambda n: -n.lineno):
        first = node.body[1 if ast.get_docstring(node, False) and len(node.body) > 1 else 0]
        if first.lineno == node.lineno or text.indentation(first).strip():
            return None
        base, still = text.indentation(first), in_strings(statement)
        numbered = enumerate(text.between(statement.lineno, end), statement.lineno)
        lines = moved(numbered, text.indentation(statement), base, still)
        place = text.above(first.lineno)
        new = new.replaced(place, place - 1, lines)
    if not alone:
        return new
    stand_in = text.stand_in(statement)
    above = text.line(begin - 1).strip() if begin > 1 else ""
    if not above and not stand_in and end < len(text.lines) and not text.line(end + 1).strip():
        end += 1
    return new.replaced(begin, end, stand_in)


# -- values that become parameters ---------------------------------------------------------------------


def _handing(text: Text, path: Path) -> Inner | None:
    """A kernel with what its calls can hand over; None when it takes nothing, or what they cannot."""
    *around, node = path
    taken = _taken(path)
    calls = _calls(around, node) if taken and _are_values(node, taken) else None
    plain = not (node.args.vararg or node.args.kwarg) and has_header(text, node)
    if not calls or not plain or header_end(text, node) >= node.body[0].lineno:
        return None
    if any(not _sees(around[-1], call, taken) for call in calls):
        return None
    return Inner(node, tuple(around), tuple(calls), node.name, (), tuple(taken))


def _are_values(node: ast.FunctionDef, names: Sequence[str]) -> bool:
    """Whether a kernel does nothing with names but read them: no attributes of objects, no calls."""
    odd = {id(n.value) for n in scopes.within(node) if isinstance(n, ast.Attribute | ast.Starred)}
    odd |= {id(n.func) for n in scopes.within(node) if isinstance(n, ast.Call)}
    mentions = [n for n in scopes.within(node) if isinstance(n, ast.Name) and n.id in names]
    nonlocal_ = any(isinstance(n, ast.Nonlocal | ast.Global) for n in scopes.within(node))
    return not nonlocal_ and not any(id(n) in odd for n in mentions)


def _calls(around: Sequence[ast.FunctionDef], node: ast.FunctionDef) -> list[ast.Call] | None:
    """Launches of a kernel; None when something else happens to it, or they cannot hand anything over."""
    every = scopes.within(around[0])
    others = [n for n in every if n is not node and node.name in scopes.given(n)]
    launched: dict[int, ast.Call] = {}
    for call in (n for n in every if isinstance(n, ast.Call)):
        target = call.func.value if isinstance(call.func, ast.Subscript) else call.func
        launched[id(target)] = call
    mentions = [n for n in every if isinstance(n, ast.Name) and n.id == node.name]
    if others or any(id(n) not in launched for n in mentions):
        return None
    calls = [launched[id(n)] for n in mentions]
    return calls if can_hand_over(node, calls) else None


def _sees(around: ast.FunctionDef, call: ast.Call, names: Sequence[str]) -> bool:
    """Whether names mean the same at a call as in the function that defines the kernel."""
    between = [n for n in scopes.within(around) if n is not around and call in scopes.within(n)]
    odd = any(isinstance(n, ast.ClassDef | ast.Lambda | ast.AsyncFunctionDef) for n in between)
    inner = (n for n in between if isinstance(n, ast.FunctionDef))
    return not odd and all(scopes.bound(n).isdisjoint(names) for n in inner)


def _handed(text: Text, inner: Inner) -> Text:
    node, end = inner.node, header_end(text, inner.node)
    changed = with_calls(text, [inner])
    base = text.indentation(node)
    unit = text.indentation(node.body[0])[len(base) :] or "    "
    origin = text.origin(node.lineno)
    lines = [(line, origin) for line in laid_out(header(text, inner), base, unit)]
    lines += [(f"{base}{unit}{comment}", origin) for comment in comments(text, node.lineno, end)]
    return changed.replaced(node.lineno, end, lines)
