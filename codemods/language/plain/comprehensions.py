"""Comprehensions become loops in front of their statements."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from functools import lru_cache

from ...record import record
from ...trees import children, walk
from ..translate.layout import flat, laid_out
from . import scopes
from .file import File
from .lines import Edit, Line, Text

_KINDS = (ast.ListComp, ast.GeneratorExp, ast.DictComp)
_Comprehension = ast.ListComp | ast.GeneratorExp | ast.DictComp
_PURE = frozenset(("range", "len", "min", "max", "abs", "int", "float", "bool", "str", "tuple", "list"))
_EAGER = frozenset(("tuple", "list", "max", "min"))
_TRACED = ("affine_range", "sequential_range")


@record
class _Place:
    """A comprehension, and what is to be put in its place.

    Attributes:
        node: the comprehension. whole: the expression that goes, at least that. kind: ``list``, ``all``, ….
    """

    statement: ast.stmt
    node: _Comprehension
    whole: ast.expr
    kind: str


def unrolled(file: File, text: Text, outer: ast.FunctionDef) -> Iterator[Edit]:
    """A part of the file with comprehensions of a function written as loops, and calls that add up, multiply
    or ask about the items of something.
    """
    nodes, products = scopes.within(outer), file.spellings.products
    if scopes.kinds(outer).isdisjoint(_KINDS) and not any(_folds(node, products) for node in nodes):
        return
    for statement in statements(outer):
        places: list[_Place] = []
        for place in _places(statement, products):
            if not _fits(file, text, place):
                break
            places.append(place)
        if places:
            yield _written(text, outer, places, file.unit)


def statements(outer: ast.FunctionDef) -> Iterator[ast.stmt]:
    for node in scopes.within(outer):
        if isinstance(node, ast.Assign | ast.Return | ast.Assert | ast.Expr | ast.If | ast.For):
            yield node


def _places(statement: ast.stmt, products: Set[str]) -> Iterator[_Place]:
    """Comprehensions that are evaluated unconditionally, with what is called with them; none in another."""
    root = evaluated(statement)
    if root is None:
        return
    nodes = [n for n in walk(root) if isinstance(n, (ast.Call, *_KINDS))]
    kinds = [_folds(node, products) for node in nodes]
    if not any(kind or isinstance(node, _KINDS) for node, kind in zip(nodes, kinds, strict=True)):
        return
    parents = {child: parent for parent in walk(root) for child in children(parent)}
    inside: set[int] = set()
    for node, kind in zip(nodes, kinds, strict=True):
        place = _place(statement, node, kind, parents.get(node))
        if place is not None and id(node) not in inside and unconditional(node, root, parents):
            inside.update(map(id, walk(place.whole)))
            yield place


def _place(statement: ast.stmt, node: ast.AST, kind: str, call: ast.AST | None) -> _Place | None:
    """What a node that is an argument of ``call`` comes to; ``kind``: see :func:`_folds`."""
    if kind and isinstance(node, ast.Call):
        return _Place(statement, _items(node.args[0]), node, kind)
    if not isinstance(node, _KINDS):
        return None
    name = call.func.id if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) else ""
    lists = not isinstance(node, ast.DictComp)
    alone = lists and isinstance(call, ast.Call) and call.args == [node] and not call.keywords
    if alone and isinstance(call, ast.Call) and name in ("all", "any", "sum"):
        return _Place(statement, node, call, name)
    if isinstance(node, ast.ListComp | ast.DictComp):
        return _Place(statement, node, node, "list" if isinstance(node, ast.ListComp) else "dict")
    return _Place(statement, node, node, "generator") if alone and name in _EAGER else None


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


def _written(text: Text, outer: ast.FunctionDef, places: Sequence[_Place], unit: str) -> Edit:
    """The statement that the places are in, behind loops; or a loop instead of it, when it only makes a list
    or asserts something of all.
    """
    statement = places[0].statement
    first, last = statement.lineno, statement.end_lineno or statement.lineno
    if isinstance(statement, ast.If | ast.For):
        last = first
    new: list[str] = []
    results: dict[ast.expr | ast.keyword, str] = {}
    for place in places:
        names = _variables(outer, place)
        name = _target(place)
        if isinstance(statement, ast.Assert) and place.kind == "all" and statement.test is place.whole:
            code = _asserted(text, place, names)
        else:
            goal = name or scopes.taken(outer).fresh(_HINTS.get(place.kind, "items"))
            code = _loop(text, place, names, goal)
            if not name:
                results[place.whole] = _result(text, place, goal)
        new += code
    indent, origin = text.indentation(statement), text.origin(first)
    lines: list[Line] = [(line, origin) for code in new for line in _indented(code, indent, unit)]
    if results:
        return first, last, [*lines, *text.with_code(first, last, results)]
    return first, last, [*((indent + said, origin) for said in _comments(text, first, last)), *lines]


def _indented(code: str, indent: str, unit: str) -> list[str]:
    depth = len(code) - len(code.lstrip("\t"))
    return laid_out(code.lstrip("\t"), indent + unit * depth, unit)


_HINTS = {"all": "every", "any": "some", "sum": "total", "product": "product"}
"""What the results of calls are named."""


def _target(place: _Place) -> str:
    """The variable that gets the result, if that is all that the statement does."""
    statement = place.statement
    if isinstance(statement, ast.Assign) and statement.value is place.whole and len(statement.targets) == 1:
        target = statement.targets[0]
        read = {n.id for n in walk(place.node) if isinstance(n, ast.Name)}
        if isinstance(target, ast.Name) and target.id not in read:
            return target.id
    return ""


def _variables(outer: ast.FunctionDef, place: _Place) -> dict[str, str]:
    """New names for the comprehension's variables that mean something else around it as well."""
    mine = {n.id for g in place.node.generators for n in walk(g.target) if isinstance(n, ast.Name)}
    uses, taken = _uses(outer), scopes.taken(outer)
    return {name: taken.fresh(name) for name in sorted(mine) if uses.is_around(name, place.whole)}


@record
class _Uses:
    """The uses of names in a function.

    Attributes:
        parameters: of the function and of those in it.
        counts: how many uses of a name the loop or comprehension that binds it last has; None for no such.
        around: node → the loop or comprehension that it is in.
    """

    parameters: frozenset[str]
    counts: Mapping[tuple[ast.AST | None, str], int]
    around: Mapping[ast.AST, ast.AST | None]

    def is_around(self, name: str, node: ast.expr) -> bool:
        """Whether a name is used where neither a node binds it nor a loop that the node is not in."""
        owner = self.around[node]
        while owner is not None and not self.counts.get((owner, name)):
            owner = self.around[owner]
        return name in self.parameters or bool(self.counts.get((owner, name)))


@lru_cache(maxsize=64)
def _uses(outer: ast.FunctionDef) -> _Uses:
    counts = Counter[tuple[ast.AST | None, str]]()
    around: dict[ast.AST, ast.AST | None] = {}
    pending: list[tuple[ast.AST, Mapping[str, ast.AST], ast.AST | None]] = [(outer, {}, None)]
    while pending:
        node, binding, loop = pending.pop()
        if node in around:
            continue  # what is looped over, which is evaluated before the loop binds anything
        around[node] = loop
        if isinstance(node, ast.Name):
            counts[binding.get(node.id), node.id] += 1
        elif isinstance(node, (ast.For, *scopes.COMPREHENSIONS)):
            loops = [node] if isinstance(node, ast.For) else node.generators
            names = [n.id for each in loops for n in walk(each.target) if isinstance(n, ast.Name)]
            inner = [(child, {**binding, **dict.fromkeys(names, node)}, node) for child in children(node)]
            pending += [*inner, (loops[0].iter, binding, node)]
            continue
        pending += ((child, binding, loop) for child in children(node))
    parameters = frozenset(n.arg for n in scopes.within(outer) if isinstance(n, ast.arg))
    return _Uses(parameters, counts, around)


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
        items = _spelled(text, generator.iter, names if found else {})  # the first is evaluated outside
        found.append(f"for {target} in {items}:")
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


def _result(text: Text, place: _Place, goal: str) -> str:
    """The name in the place of what it stands for; a generator's parentheses may be those of the call."""
    bare = place.kind != "generator" or not text.segment(place.whole).startswith("(")
    return goal if bare else f"({goal})"
