"""Functions inside of functions become functions of the file; what they take from around them is handed over.

A closure reads a variable when it is called, and that is when the call hands it over. So the two are the same
for variables that the inner function does not bind itself, wherever it is only ever called by its name.
"""

from __future__ import annotations

import ast
import builtins
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import lru_cache

from ...trees import walk
from ..translate.layout import laid_out
from . import scopes
from .file import SPELLED, File
from .lines import Line, Text, first_line, in_strings, spliced


@dataclass(frozen=True)
class Inner:
    """A function inside of others.

    Attributes:
        node: its definition. around: the functions around it, the outermost first.
        calls: of it. name: what it is called as a function of the file.
        copied: statements of the outer function whose names it reads, which it gets itself.
        handed: names that calls hand over from now on.
    """

    node: ast.FunctionDef
    around: tuple[ast.FunctionDef, ...]
    calls: tuple[ast.Call, ...]
    name: str
    copied: tuple[ast.stmt, ...]
    handed: tuple[str, ...]


def moved_out(file: File, index: int, outer: ast.FunctionDef, top: ast.stmt) -> Text | None:
    """A part of the file with one of a function's inner functions in front of ``top``, the statement that has
    the function; None when it has none that can be moved.
    """
    for path in _inner(outer, ()):
        found = _movable(file, index, path)
        if found is not None and not found.calls:
            return _left_out(file.parts[index].text, found.node)
        if found is not None and _known_before(file, index, found.node):
            return _written(file.parts[index].text, found, top)
    return None


def _left_out(text: Text, node: ast.FunctionDef) -> Text:
    """The file without an inner function that nothing calls: what it would be handed is not known."""
    begin, end = text.above(node.lineno), node.end_lineno or node.lineno
    above = text.line(begin - 1).strip() if begin > 1 else ""
    while end < len(text.lines) and not above and not text.line(end + 1).strip():
        end += 1
    return text.replaced(begin, end, text.stand_in(node))


def _inner(
    outer: ast.FunctionDef, around: tuple[ast.FunctionDef, ...]
) -> Iterator[tuple[ast.FunctionDef, ...]]:
    """Paths to inner functions, innermost first."""
    for node in sorted(
        (n for n in scopes.own(outer) if isinstance(n, ast.FunctionDef)), key=lambda n: n.lineno
    ):
        yield from _inner(node, (*around, outer))
        yield (*around, outer, node)


def _movable(file: File, index: int, path: Sequence[ast.FunctionDef]) -> Inner | None:
    text = file.parts[index].text
    *around, node = path
    arguments = node.args
    plain = not node.decorator_list and not arguments.vararg and not arguments.kwarg
    if (
        not plain
        or not scopes.kinds(node).isdisjoint(_ODD)
        or any(isinstance(n, ast.FunctionDef) for n in scopes.own(node))
    ):
        return None
    calls = _calls(around[-1], node)
    alone = text.line(node.lineno)[: node.col_offset].strip() == "" and has_header(text, node)
    if calls is None or not alone:
        return None
    outside = set().union(*map(scopes.bound, around))
    captured = [n for n in scopes.free(node) if n in outside]
    copied = _copied(around, captured, file.spellings.grids)
    read = {n for s in copied for n in _loaded(s)} | set(captured)
    gone = {n for s in copied for n in _stored(s)}
    handed = [n for n in dict.fromkeys([*captured, *sorted(read - set(captured))]) if n not in gone]
    handed = [n for n in handed if n in outside]
    if not _free_to_hand(around, node, calls, handed, copied):
        return None
    clash = file.is_outside(index, around[0], node.name, *SPELLED, "aliased")
    name = file.taken.fresh(f"{around[0].name}_{node.name}") if clash else node.name
    return Inner(node, tuple(around), tuple(calls), name, tuple(copied), tuple(handed))


def hindrance(outer: ast.FunctionDef, node: ast.FunctionDef) -> str:
    """Why a function inside of another one stays where it is; an empty string when that is not clear."""
    if node.decorator_list:
        return "it is decorated"
    if node.args.vararg or node.args.kwarg:
        return "it takes a variable number of arguments"
    odd = next((n for n in walk(node) if isinstance(n, tuple(_ODD))), None)
    if odd is not None:
        return f"it has {_ODD[type(odd)]}"
    calls = _calls(outer, node)
    if calls is None:
        return "it is not only called by its name and with arguments that stand in the call"
    mine = [name for name in scopes.free(node) if name in scopes.bound(outer)]
    for call in calls:
        missing = [name for name in mine if name not in scopes.certain(outer, call)]
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


def _calls(outer: ast.FunctionDef, node: ast.FunctionDef) -> list[ast.Call] | None:
    """Calls of an inner function; None when something else happens to it too, or a call cannot be right."""
    called: dict[int, ast.Call] = {}
    mentions: list[ast.Name] = []
    for each in _mentions(outer).get(node.name, ()):
        if isinstance(each, ast.Name):
            mentions.append(each)
        elif isinstance(each, ast.Call):
            called[id(each.func)] = each
        elif each is not node:
            return None
    if any(id(n) not in called for n in mentions):
        return None
    calls = list(called.values())
    stars = any(isinstance(a, ast.Starred) for c in calls for a in c.args)
    taken = len(node.args.posonlyargs) + len(node.args.args)
    crowded = node.args.vararg is None and any(len(call.args) > taken for call in calls)
    return None if stars or crowded or any(k.arg is None for c in calls for k in c.keywords) else calls


@lru_cache(maxsize=64)
def _mentions(outer: ast.FunctionDef) -> Mapping[str, Sequence[ast.AST]]:
    """What there is in a function of each name: its uses, its calls, and what gives it a meaning."""
    found: dict[str, list[ast.AST]] = {}
    for node in scopes.within(outer):
        for name in _mentioned(node):
            found.setdefault(name, []).append(node)
    return found


def _mentioned(node: ast.AST) -> tuple[str, ...]:
    if isinstance(node, ast.Name):
        return (node.id,)
    if isinstance(node, ast.Call):
        return (node.func.id,) if isinstance(node.func, ast.Name) else ()
    if isinstance(node, ast.arg):
        return (node.arg,)
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return (node.name,)
    return (node.asname or node.name,) if isinstance(node, ast.alias) else ()


def _copied(around: Sequence[ast.FunctionDef], names: Sequence[str], grids: Set[str]) -> list[ast.stmt]:
    """Statements that make the index tiles among the names: no function can be handed those."""
    found: list[ast.stmt] = []
    for function in around:
        for statement in function.body:
            if not isinstance(statement, ast.Assign) or not _stored(statement) & set(names):
                continue
            if makes_index_tiles(statement.value, grids):
                found.append(statement)
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


def _stored(node: ast.AST) -> set[str]:
    return {n.id for n in walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def _free_to_hand(
    around: Sequence[ast.FunctionDef],
    node: ast.FunctionDef,
    calls: Sequence[ast.Call],
    handed: Sequence[str],
    copied: Sequence[ast.stmt],
) -> bool:
    """Whether each call can hand the names over, and whether what is copied stays the same."""
    read = {n for s in copied for n in _loaded(s)}
    gone = {n for s in copied for n in _stored(s)}
    outer = around[-1]
    inner = {n.name for f in around for n in scopes.own(f) if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    imported = {
        (a.asname or a.name).partition(".")[0]
        for f in around
        for a in scopes.own(f)
        if isinstance(a, ast.alias)
    }
    if set(handed) & (inner | imported):
        return False
    if evaluated_first(node) & set().union(*map(scopes.bound, around)):
        return False
    nodes = (n for f in around for n in scopes.within(f) if isinstance(n, ast.Name))
    stores = Counter(n.id for n in nodes if isinstance(n.ctx, ast.Store))
    stores.update(name for f in around for name in scopes.parameters(f))
    if any(stores[name] > 1 for name in gone | read) or (gone & scopes.bound(node)):
        return False
    mine = set(handed) & scopes.bound(outer)
    direct = {id(n) for n in scopes.own(outer)}
    return all(mine <= scopes.certain(outer, call) for call in calls if id(call) in direct)


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


def _arguments(node: ast.FunctionDef) -> list[ast.arg]:
    return [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]


# -- the new text -------------------------------------------------------------------------------------


def _written(text: Text, inner: Inner, top: ast.stmt) -> Text:
    node = inner.node
    place = text.above(first_line(top))
    base = text.line(first_line(top))[: top.col_offset]
    begin, end = text.above(node.lineno), node.end_lineno or node.lineno
    changed = with_calls(text, inner)
    new = [*_definition(changed, inner, base, begin), ("", text.origin(end)), ("", text.origin(end))]
    before, after = begin, end
    above = changed.line(before - 1).rstrip() if before > 1 else ""
    if after < len(changed.lines) and not changed.line(after + 1).strip() and (not above or above[-1] == ":"):
        after += 1
    return changed.replaced(before, after, text.stand_in(node)).replaced(place, place - 1, new)


def _definition(text: Text, inner: Inner, base: str, begin: int) -> list[Line]:
    """The function's lines where it moves to, with its new parameters."""
    node = inner.node
    old, still = text.indentation(node), in_strings(node)
    head_end = header_end(text, node)
    found = text.moved(begin, node.lineno - 1, old, base, still)
    if node.body[0].lineno > head_end:
        unit = text.indentation(node.body[0])[len(old) :]
        rest = text.moved(head_end + 1, node.end_lineno or 0, old, base, still)
    else:
        unit = "    "
        start = node.body[0].col_offset
        body = text.line(node.body[0].lineno).encode()[start:].decode()
        rest = [(f"{base}{unit}{body}", text.origin(node.lineno))]
        rest += text.moved(node.body[0].lineno + 1, node.end_lineno or 0, old, base, still)
    found += [
        (line, text.origin(node.lineno)) for line in laid_out(header(text, inner), base, unit or "    ")
    ]
    if node.body[0].lineno > head_end:
        said = comments(text, node.lineno, head_end)
        found += [(f"{base}{unit}{comment}", text.origin(node.lineno)) for comment in said]
    docstring = ast.get_docstring(node) is not None
    split = (node.body[0].end_lineno or 0) - head_end if docstring and node.body[0].lineno > head_end else 0
    copies = [
        (line, text.origin(s.lineno))
        for s in inner.copied
        for line in laid_out(" ".join(ast.unparse(s).split()), base + (unit or "    "), unit or "    ")
    ]
    return found + rest[:split] + copies + rest[split:]


def header(text: Text, inner: Inner) -> str:
    """``def name(…) -> …:`` on one line. New parameters come before those with defaults."""
    arguments = inner.node.args
    positional = [*arguments.posonlyargs, *arguments.args]
    count = len(positional) - len(arguments.defaults)
    defaults = [None] * count + [text.segment(d) for d in arguments.defaults]
    parts = [_parameter(text, a, d) for a, d in zip(positional, defaults, strict=True)]
    parts[count:count] = list(inner.handed)
    if arguments.kwonlyargs:
        parts.append("*")
        parts += [
            _parameter(text, a, text.segment(d) if d else None)
            for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        ]
    returns = f" -> {text.segment(inner.node.returns)}" if inner.node.returns else ""
    return f"def {inner.name}({', '.join(parts)}){returns}:"


def _parameter(text: Text, argument: ast.arg, default: str | None) -> str:
    annotation = f": {text.segment(argument.annotation)}" if argument.annotation else ""
    if default is None:
        return f"{argument.arg}{annotation}"
    return f"{argument.arg}{annotation}{' = ' if annotation else '='}{default}"


def header_end(text: Text, node: ast.FunctionDef) -> int:
    """The number of the line with the header's colon."""
    arguments: list[ast.arg | ast.expr] = [*_arguments(node), *node.args.defaults]
    arguments += [d for d in node.args.kw_defaults if d]
    if node.returns is not None:
        arguments.append(node.returns)
    ends = [n.end_lineno or 0 for n in arguments]
    line = max([node.lineno, *ends])
    while line < node.body[0].lineno and not text.line(line).partition("#")[0].rstrip().endswith(":"):
        line += 1
    return line


def has_header(text: Text, node: ast.FunctionDef) -> bool:
    """Whether it is clear where the header ends."""
    body, end = node.body[0], header_end(text, node)
    return end < body.lineno or text.line(end)[: body.col_offset].rstrip().endswith(":")


def comments(text: Text, first: int, last: int) -> list[str]:
    """Comments in a header."""
    found = (text.line(n).partition("#") for n in range(first, last + 1))
    return [f"# {comment.strip()}" for _, sign, comment in found if sign]


def _pieces(inner: Inner) -> dict[int, list[tuple[int, int, str]]]:
    """What changes in lines: the arguments that calls get."""
    pieces: dict[int, list[tuple[int, int, str]]] = {}
    count = len(inner.node.args.posonlyargs) + len(inner.node.args.args) - len(inner.node.args.defaults)
    names = [a.arg for a in (*inner.node.args.posonlyargs, *inner.node.args.args)]
    for call in inner.calls:
        new = ", ".join(f"{name}={name}" for name in inner.handed)
        line, column = call.end_lineno or 0, (call.end_col_offset or 0) - 1
        if new:
            pieces.setdefault(line, []).append((column, column, new))
        for name, argument in list(zip(names, call.args, strict=False))[count:] if new else ():
            pieces.setdefault(argument.lineno, []).append(
                (argument.col_offset, argument.col_offset, f"{name}=")
            )
        if inner.name != inner.node.name:
            end = call.func.end_col_offset or 0
            pieces.setdefault(call.func.lineno, []).append((call.func.col_offset, end, inner.name))
    return pieces


def _separated(text: Text, inner: Inner) -> dict[int, list[tuple[int, int, str]]]:
    """The same, with the commas that they need where calls have arguments already."""
    found = _pieces(inner)
    for call in inner.calls:
        line, column = call.end_lineno or 0, (call.end_col_offset or 0) - 1
        given = [*call.args, *(k.value for k in call.keywords)]
        if not inner.handed or not given:
            continue
        last = max(given, key=lambda n: (n.end_lineno or 0, n.end_col_offset or 0))
        between = _between(text, last, line, column)
        comma = "" if between.rstrip().endswith(",") else ", "
        if comma == "" and between.endswith(","):
            comma = " "
        found[line] = [
            (s, e, comma + new if (s, e) == (column, column) else new) for s, e, new in found[line]
        ]
    return found


def _between(text: Text, last: ast.expr, line: int, column: int) -> str:
    """The code between a call's last argument and its closing parenthesis, without comments."""
    first, start = last.end_lineno or 0, last.end_col_offset or 0
    parts = []
    for number in range(first, line + 1):
        raw = text.line(number).encode()
        raw = raw[: column if number == line else len(raw)][start if number == first else 0 :]
        parts.append(raw.decode().partition("#")[0])
    return "".join(parts)


def with_calls(text: Text, inner: Inner) -> Text:
    """The file with what calls of the function hand over from now on, also those that it has of itself."""
    pieces = _separated(text, inner)
    lines = enumerate(text.lines, 1)
    return Text(tuple((spliced(line, pieces.get(n, ())), origin) for n, (line, origin) in lines))
