"""Comprehensions become loops in front of their statements."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Set
from dataclasses import dataclass

from ...fresh_names import Taken
from ...trees import children, walk
from ..translate.layout import flat, laid_out
from . import scopes
from .file import File
from .lines import Line, Text

_KINDS = (ast.ListComp, ast.GeneratorExp, ast.DictComp)
_Comprehension = ast.ListComp | ast.GeneratorExp | ast.DictComp
_PURE = frozenset(("range", "len", "min", "max", "abs", "int", "float", "bool", "str", "tuple", "list"))
_EAGER = frozenset(("tuple", "list", "max", "min"))
_TRACED = ("affine_range", "sequential_range")


@dataclass(frozen=True)
class _Place:
    """A comprehension, and what is to be put in its place.

    Attributes:
        node: the comprehension. whole: the expression that goes, at least that. kind: ``list``, ``all``, ….
    """

    statement: ast.stmt
    node: _Comprehension
    whole: ast.expr
    kind: str


def unrolled(file: File, text: Text, outer: ast.FunctionDef) -> Text | None:
    """A part of the file with one comprehension of a function written as a loop, or one call that adds up,
    multiplies or asks about the items of something; None when none can be.
    """
    nodes, products = scopes.within(outer), file.spellings.products
    if scopes.kinds(outer).isdisjoint(_KINDS) and not any(_folds(node, products) for node in nodes):
        return None
    for statement in statements(outer):
        place = _place(statement, products)
        if place is not None and _fits(file, text, place):
            return _written(text, outer, place, scopes.all_names(outer), file.unit)
    return None


def statements(outer: ast.FunctionDef) -> Iterator[ast.stmt]:
    for node in scopes.within(outer):
        if isinstance(node, ast.Assign | ast.Return | ast.Assert | ast.Expr | ast.If | ast.For):
            yield node


def _place(statement: ast.stmt, products: Set[str]) -> _Place | None:
    """The first comprehension that is evaluated unconditionally, with what is called with it."""
    root = evaluated(statement)
    if root is None:
        return None
    nodes = [n for n in walk(root) if isinstance(n, (ast.Call, *_KINDS))]
    kinds = [_folds(node, products) for node in nodes]
    if not any(kind or isinstance(node, _KINDS) for node, kind in zip(nodes, kinds, strict=True)):
        return None
    parents = {child: parent for parent in walk(root) for child in children(parent)}
    for node, kind in zip(nodes, kinds, strict=True):
        if kind and isinstance(node, ast.Call) and unconditional(node, root, parents):
            return _Place(statement, _items(node.args[0]), node, kind)
        if not isinstance(node, _KINDS) or not unconditional(node, root, parents):
            continue
        call = parents.get(node)
        name = call.func.id if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) else ""
        lists = not isinstance(node, ast.DictComp)
        alone = lists and isinstance(call, ast.Call) and call.args == [node] and not call.keywords
        if alone and name in ("all", "any", "sum"):
            return _Place(statement, node, call, name)  # type: ignore[arg-type]
        if isinstance(node, ast.ListComp | ast.DictComp):
            return _Place(statement, node, node, "list" if isinstance(node, ast.ListComp) else "dict")
        if alone and name in _EAGER:
            return _Place(statement, node, node, "generator")
    return None


def _folds(node: ast.AST, products: Set[str]) -> str:
    """What a call makes of the items of its argument, which is not a comprehension."""
    if not isinstance(node, ast.Call) or len(node.args) != 1 or node.keywords:
        return ""
    multiplies = bool(products) and ast.unparse(node.func) in products
    if isinstance(node.args[0], (ast.Starred, *scopes.COMPREHENSIONS)):
        return "product" if multiplies and isinstance(node.args[0], ast.ListComp | ast.GeneratorExp) else ""
    if multiplies:
        return "product"
    name = node.func.id if isinstance(node.func, ast.Name) else ""
    return name if name in ("all", "any", "sum") else ""


def _items(node: ast.expr) -> _Comprehension:
    """``each for each in`` an expression; a comprehension is that already."""
    if isinstance(node, _KINDS):
        return node
    target, element = ast.Name("each", ast.Store()), ast.Name("each", ast.Load())
    return ast.GeneratorExp(element, [ast.comprehension(target, node, [], 0)])


def evaluated(statement: ast.stmt) -> ast.expr | None:
    """The expression that the statement evaluates before it does anything else."""
    for field in ("test", "iter", "value"):
        found = getattr(statement, field, None)
        if isinstance(found, ast.expr):
            return found
    return None


def unconditional(node: ast.AST, root: ast.AST, parents: dict[ast.AST, ast.AST]) -> bool:
    while node is not root:
        parent = parents[node]
        first = isinstance(parent, ast.BoolOp | ast.IfExp) and node in (
            parent.values[:1] if isinstance(parent, ast.BoolOp) else [parent.test]
        )
        lazy = (ast.BoolOp, ast.IfExp, ast.Lambda, *scopes.COMPREHENSIONS)
        if (isinstance(parent, lazy) and not first) or (
            isinstance(parent, ast.Compare) and len(parent.ops) > 1
        ):
            return False
        node = parent
    return True


def _fits(file: File, text: Text, place: _Place) -> bool:
    """Whether the loop does the same at the place before the statement."""
    node, statement = place.node, place.statement
    before, after = beside(text, statement)
    if before.strip() or not (after.strip() == "" or after.strip().startswith("#")):
        return False  # another statement on the line
    if text.line(statement.lineno).startswith("elif", statement.col_offset):
        return False  # the loop would come before the conditions above it are known
    header = isinstance(statement, ast.If | ast.For)
    last = evaluated(statement).end_lineno if header else statement.end_lineno  # type: ignore[union-attr]
    if header and last != statement.lineno:
        return False
    if any(g.is_async for g in node.generators) or any(
        isinstance(n, ast.NamedExpr | ast.Await | ast.Yield | ast.Lambda) for n in walk(node)
    ):
        return False
    calls = [n for n in walk(node) if isinstance(n, ast.Call)]
    if any(ast.unparse(c.func).rpartition(".")[2] in _TRACED for c in calls):
        return False  # what the former tracer made of those depends on its version
    pure = all(isinstance(c.func, ast.Name) and c.func.id in _PURE for c in calls)
    first = place.whole is evaluated(statement)
    if place.kind in ("all", "any") and not (
        isinstance(statement, ast.Assert) and first and place.kind == "all"
    ):
        first = False  # the loop looks at every element
    named = isinstance(place.whole, ast.Call) and isinstance(place.whole.func, ast.Name)
    builtin = place.kind not in ("product", "list", "dict") and named
    if builtin and not file.is_builtin(place.whole.func.id):  # type: ignore[attr-defined]
        return False
    stored = {n.id for g in node.generators for n in walk(g.target) if isinstance(n, ast.Name)}
    return (
        (pure or first)
        and all(isinstance(g.target, ast.Name | ast.Tuple) for g in node.generators)
        and bool(stored)
    )


def beside(text: Text, statement: ast.stmt) -> tuple[str, str]:
    """What stands before a statement on its first line, and behind it on its last."""
    before = text.line(statement.lineno).encode()[: statement.col_offset].decode()
    if isinstance(statement, ast.If | ast.For):
        return before, ""
    after = text.line(statement.end_lineno or 0).encode()[statement.end_col_offset :].decode()
    return before, after


def _comments(text: Text, first: int, last: int) -> list[str]:
    """Comments of lines that are written anew."""
    found = (text.line(number).partition("#") for number in range(first, last + 1))
    return [f"# {comment.strip()}" for code, sign, comment in found if sign and not {"'", '"'} & set(code)]


# -- the new text -------------------------------------------------------------------------------------


def _written(text: Text, outer: ast.FunctionDef, place: _Place, taken: Taken, unit: str) -> Text:
    statement = place.statement
    indent = text.indentation(statement)
    names = _variables(outer, place, taken)
    last = statement.end_lineno or statement.lineno
    if isinstance(statement, ast.If | ast.For):
        last = statement.lineno
    goal, whole = _goal(place, taken)
    asserted = isinstance(statement, ast.Assert) and place.kind == "all" and statement.test is place.whole
    code = _asserted(text, place, names) if asserted else _loop(text, place, names, goal)
    new = [line for each in code for line in _indented(each, indent, unit)]
    if whole or asserted:
        new = [indent + comment for comment in _comments(text, statement.lineno, last)] + new
    lines: list[Line] = [(line, text.origin(statement.lineno)) for line in new]
    if not (whole or asserted):
        lines += _with_name(text, place, goal, last)
    return text.replaced(statement.lineno, last, lines)


def _indented(code: str, indent: str, unit: str) -> list[str]:
    depth = len(code) - len(code.lstrip("\t"))
    return laid_out(code.lstrip("\t"), indent + unit * depth, unit)


def _goal(place: _Place, taken: Taken) -> tuple[str, bool]:
    """The name that the result gets, and whether that is all that the statement does."""
    statement = place.statement
    if isinstance(statement, ast.Assign) and statement.value is place.whole and len(statement.targets) == 1:
        target = statement.targets[0]
        read = {n.id for n in walk(place.node) if isinstance(n, ast.Name)}
        if isinstance(target, ast.Name) and target.id not in read:
            return target.id, True
    hints = {"all": "every", "any": "some", "sum": "total", "product": "product"}
    return taken.fresh(hints.get(place.kind, "items")), False


def _variables(outer: ast.FunctionDef, place: _Place, taken: Taken) -> dict[str, str]:
    """New names for the comprehension's variables that mean something else around it as well."""
    found = {}
    mine = {n.id for g in place.node.generators for n in walk(g.target) if isinstance(n, ast.Name)}
    for name in sorted(mine):
        if not _only_loops(outer, place, name):
            found[name] = taken.fresh(name)
    return found


def _only_loops(outer: ast.FunctionDef, place: _Place, name: str) -> bool:
    """Whether every other use of the name is in a loop or comprehension that binds it anew."""
    covered: set[int] = {id(n) for n in walk(place.node)}
    for node in walk(outer):
        targets: list[ast.expr] = []
        if isinstance(node, ast.For):
            targets = [node.target]
        elif isinstance(node, scopes.COMPREHENSIONS):
            targets = [g.target for g in node.generators]
        bound = {n.id for t in targets for n in walk(t) if isinstance(n, ast.Name)}
        if name not in bound:
            continue
        inside = {id(n) for n in walk(node)}
        if id(place.node) not in inside:
            covered |= inside - ({id(n) for n in walk(node.iter)} if isinstance(node, ast.For) else set())
    others = [n for n in walk(outer) if isinstance(n, ast.Name) and n.id == name and id(n) not in covered]
    return not others and name not in {a.arg for a in walk(outer) if isinstance(a, ast.arg)}


def _spelled(text: Text, node: ast.expr, names: dict[str, str]) -> str:
    """The code of an expression on one line, with the new names."""
    if isinstance(node, ast.Name):
        return names.get(node.id, node.id)
    if not any(isinstance(n, ast.Name) and n.id in names for n in walk(node)):
        return flat(text.segment(node))
    copy = ast.parse(f"({text.segment(node)})", mode="eval").body
    for inner in walk(copy):
        if isinstance(inner, ast.Name):
            inner.id = names.get(inner.id, inner.id)
    return ast.unparse(copy)


def _heads(text: Text, place: _Place, names: dict[str, str]) -> list[str]:
    """The loops and conditions, each a level deeper than the one before."""
    found: list[str] = []
    for generator in place.node.generators:
        target = _spelled(text, generator.target, names).removeprefix("(").removesuffix(")")
        found.append(f"for {target} in {_spelled(text, generator.iter, names)}:")
        found += [f"if {_spelled(text, test, names)}:" for test in generator.ifs]
    return ["\t" * depth + head for depth, head in enumerate(found)]


def _loop(text: Text, place: _Place, names: dict[str, str], goal: str) -> list[str]:
    heads = _heads(text, place, names)
    deeper = "\t" * len(heads)
    if isinstance(place.node, ast.DictComp):
        key, item = (_spelled(text, part, names) for part in (place.node.key, place.node.value))
        return [f"{goal} = {{}}", *heads, f"{deeper}{goal}[{key}] = {item}"]
    element = _spelled(text, place.node.elt, names)
    if place.kind == "sum":
        return [f"{goal} = 0", *heads, f"{deeper}{goal} = {goal} + {_operand(place.node.elt, element)}"]
    if place.kind == "product":
        return [
            f"{goal} = 1",
            *heads,
            f"{deeper}{goal} = {goal} * {_operand(place.node.elt, element, ast.BinOp)}",
        ]
    if place.kind in ("all", "any"):
        wrong = f"not {_operand(place.node.elt, element)}" if place.kind == "all" else element
        value = place.kind == "all"
        return [f"{goal} = {value}", *heads, f"{deeper}if {wrong}:", f"{deeper}\t{goal} = {not value}"]
    return [f"{goal} = []", *heads, f"{deeper}{goal}.append({element})"]


def _operand(node: ast.expr, code: str, *looser: type) -> str:
    loose = isinstance(node, (ast.BoolOp, ast.IfExp, ast.Compare, ast.Lambda, *looser))
    return f"({code})" if loose else code


def _asserted(text: Text, place: _Place, names: dict[str, str]) -> list[str]:
    """``assert all(…)`` as an assertion about each."""
    heads = _heads(text, place, names)
    assert isinstance(place.statement, ast.Assert)
    message = f", {flat(text.segment(place.statement.msg))}" if place.statement.msg is not None else ""
    assert not isinstance(place.node, ast.DictComp)
    element = _spelled(text, place.node.elt, names)
    return [*heads, "\t" * len(heads) + f"assert {element}{message}"]


def _with_name(text: Text, place: _Place, goal: str, last: int) -> list[Line]:
    """The statement's lines with the name of the result in the place of the comprehension."""
    node, first = place.whole, place.statement.lineno
    new = goal if place.kind != "generator" else _argument(text, node, goal)
    start, end = node.lineno, node.end_lineno or node.lineno
    head = text.line(start).encode()[: node.col_offset].decode()
    tail = text.line(end).encode()[node.end_col_offset :].decode()
    merged: Line = (head + new + tail, text.origin(start))
    return [*text.between(first, start - 1), merged, *text.between(end + 1, last)]


def _argument(text: Text, node: ast.expr, goal: str) -> str:
    """The name in the place of a generator, whose parentheses may be those of the call."""
    return f"({goal})" if text.segment(node).startswith("(") else goal
