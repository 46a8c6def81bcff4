"""What is done inside of expressions and needs a statement: assignments, functions without a name, folds."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ...trees import children, walk
from ..translate.layout import flat, laid_out
from . import scopes
from .comprehensions import beside, evaluated, statements, unconditional
from .file import File
from .lines import Edit, Line, Text

ODD = (ast.NamedExpr, ast.Lambda)
_PURE = frozenset(("len", "min", "max", "abs", "int", "float", "bool", "str", "tuple", "list", "isinstance"))
_NO_LOOPS = (ast.NamedExpr, ast.Lambda, ast.Await, ast.Yield, *scopes.COMPREHENSIONS)


def spelled_out(file: File, text: Text, outer: ast.FunctionDef) -> Iterator[Edit]:
    """A part of the file with such things of a function as statements; at most one of each statement."""
    kinds = scopes.kinds(outer)
    for statement in statements(outer):
        new = (
            (_function(text, outer, statement, file.unit) if ast.Lambda in kinds else None)
            or (_assigned(text, statement) if ast.NamedExpr in kinds else None)
            or (_folded(file, text, outer, statement) if file.spellings.folds else None)
            or _at_once(text, outer, statement)
        )
        if new is not None:
            yield new


def _stands_alone(text: Text, statement: ast.stmt) -> bool:
    """Whether statements can be put in front of it."""
    before, after = beside(text, statement)
    if before.strip() or not (after.strip() == "" or after.strip().startswith("#")):
        return False
    header = isinstance(statement, ast.If | ast.For)
    root = evaluated(statement)
    on_one_line = not header or (root is not None and root.end_lineno == statement.lineno)
    return on_one_line and not text.line(statement.lineno).startswith("elif", statement.col_offset)


def _in_front(text: Text, statement: ast.stmt, code: list[str], node: ast.expr, new: str) -> Edit:
    """The statement with other code in the place of a node, behind new lines."""
    first, last = statement.lineno, statement.end_lineno or statement.lineno
    if isinstance(statement, ast.If | ast.For):
        last = first
    indent, origin = text.indentation(statement), text.origin(first)
    changed = text.with_code(first, last, {node: new}, bare=True)
    return first, last, [*((indent + line, origin) for line in code), *changed]


# -- assignments ----------------------------------------------------------------------------------------


def _assigned(text: Text, statement: ast.stmt) -> Edit | None:
    """``if (n := f(x)) > 2`` → ``n = f(x)`` in front of ``if n > 2``."""
    root = evaluated(statement)
    found = next((n for n in walk(root) if isinstance(n, ast.NamedExpr)), None) if root is not None else None
    if root is None or found is None or not _stands_alone(text, statement):
        return None
    parents = {child: parent for parent in walk(root) for child in children(parent)}
    inner = next((n for n in walk(found.value) if isinstance(n, ast.NamedExpr)), None)
    if inner is not None or not unconditional(found, root, parents) or not _comes_first(found, root, parents):
        return None
    name = found.target.id
    return _in_front(text, statement, [f"{name} = {flat(text.segment(found.value))}"], found, name)


def _comes_first(node: ast.NamedExpr, root: ast.AST, parents: dict[ast.AST, ast.AST]) -> bool:
    """Whether nothing that is evaluated before it reads the name, or does anything."""
    place = (node.lineno, node.col_offset)
    around, up = set(), parents.get(node)
    while up is not None:
        around.add(up)
        up = parents.get(up)
    for other in walk(root):
        if other in around or (getattr(other, "lineno", 0), getattr(other, "col_offset", 0)) >= place:
            continue
        if isinstance(other, ast.Name) and other.id == node.target.id:
            return False
        if isinstance(other, ast.Call) and not (isinstance(other.func, ast.Name) and other.func.id in _PURE):
            return False
    return True


# -- functions without a name ---------------------------------------------------------------------------


def _function(text: Text, outer: ast.FunctionDef, statement: ast.stmt, unit: str) -> Edit | None:
    """``f = lambda x: …`` → ``def f(x): return …``."""
    if not isinstance(statement, ast.Assign) or not isinstance(statement.value, ast.Lambda):
        return None
    target = statement.targets[0]
    if len(statement.targets) > 1 or not isinstance(target, ast.Name) or not _stands_alone(text, statement):
        return None
    if scopes.stores(outer)[target.id] > 1:
        return None
    return statement.lineno, statement.end_lineno or 0, [*_definition(text, statement, unit)]


def _definition(text: Text, statement: ast.Assign, unit: str) -> Iterator[Line]:
    function, target = statement.value, statement.targets[0]
    assert isinstance(function, ast.Lambda)
    assert isinstance(target, ast.Name)
    indent, origin = text.indentation(statement), text.origin(statement.lineno)
    code = {
        indent: f"def {target.id}({ast.unparse(function.args)}):",
        indent + unit: f"return {flat(text.segment(function.body))}",
    }
    yield from ((line, origin) for i, each in code.items() for line in laid_out(each, i, unit))


# -- folds ----------------------------------------------------------------------------------------------


def _folded(file: File, text: Text, outer: ast.FunctionDef, statement: ast.stmt) -> Edit | None:
    """``functools.reduce(lambda a, b: …, items, start)`` → a loop over the items."""
    root = evaluated(statement)
    calls = [n for n in walk(root) if isinstance(n, ast.Call)] if root is not None else []
    call = next((c for c in calls if ast.unparse(c.func) in file.spellings.folds), None)
    if root is None or call is None or not _stands_alone(text, statement):
        return None
    parents = {child: parent for parent in walk(root) for child in children(parent)}
    if call.keywords or len(call.args) not in (2, 3) or not unconditional(call, root, parents):
        return None
    taken = scopes.taken(outer)
    given = taken.given
    goal, item = taken.fresh("folded"), taken.fresh("each")
    body = _combined(file, call.args[0], goal, item)
    rest = call.args[1:]
    pure = all(
        _is_pure(n) for n in (*rest, *([call.args[0]] if isinstance(call.args[0], ast.Lambda) else []))
    )
    if body is None or not (pure or call is root):
        taken.give_back(given)
        return None
    return _in_front(text, statement, _loop(text, rest, goal, item, body, file.unit), call, goal)


def _loop(text: Text, given: list[ast.expr], goal: str, item: str, body: str, unit: str) -> list[str]:
    items = flat(text.segment(given[0]))
    if len(given) == 2:
        return [
            f"{goal} = {flat(text.segment(given[1]))}",
            f"for {item} in {items}:",
            f"{unit}{goal} = {body}",
        ]
    first = [] if isinstance(given[0], ast.Name) else [f"{item}_items = {items}"]
    source = f"{item}_items" if first else items
    head = f"for {item}_index in range(1, len({source})):"
    return [
        *first,
        f"{goal} = {source}[0]",
        head,
        f"{unit}{item} = {source}[{item}_index]",
        f"{unit}{goal} = {body}",
    ]


def _combined(file: File, function: ast.expr, goal: str, item: str) -> str | None:
    """What a step of the fold gives; None when that is not an expression of two names."""
    sign = file.spellings.operators.get(ast.unparse(function))
    if sign:
        return f"{goal} {sign} {item}"
    if not isinstance(function, ast.Lambda) or any(isinstance(n, _NO_LOOPS) for n in walk(function.body)):
        return None
    names = [argument.arg for argument in function.args.args]
    if len(names) != 2 or function.args.defaults or len(scopes.parameters(function)) != 2:
        return None
    new = dict(zip(names, (goal, item), strict=True))
    copy = ast.parse(ast.unparse(function.body), mode="eval").body
    for inner in walk(copy):
        if isinstance(inner, ast.Name):
            inner.id = new.get(inner.id, inner.id)
    return ast.unparse(copy)


def _is_pure(node: ast.expr) -> bool:
    calls = (n for n in walk(node) if isinstance(n, ast.Call))
    return all(isinstance(c.func, ast.Name) and c.func.id in _PURE for c in calls)


# -- several at once ------------------------------------------------------------------------------------


def is_parallel(node: ast.Assign) -> bool:
    """Whether it assigns to items or attributes among others."""
    target = node.targets[0]
    parts = target.elts if isinstance(target, ast.Tuple | ast.List) else []
    return any(isinstance(part, ast.Subscript | ast.Attribute) for part in parts)


def _at_once(text: Text, outer: ast.FunctionDef, statement: ast.stmt) -> Edit | None:
    """``a[i], a[j] = a[j], a[i]`` → both values first, then one assignment after the other."""
    target = (
        statement.targets[0] if isinstance(statement, ast.Assign) and len(statement.targets) == 1 else None
    )
    if not isinstance(statement, ast.Assign) or not isinstance(target, ast.Tuple | ast.List):
        return None
    if not isinstance(statement.value, ast.Tuple | ast.List) or not _stands_alone(text, statement):
        return None
    places, values = target.elts, statement.value.elts
    if (
        not is_parallel(statement)
        or len(places) != len(values)
        or any(isinstance(n, ast.Starred) for n in (*places, *values))
    ):
        return None
    taken = scopes.taken(outer)
    names = [taken.fresh("value") for _ in values]
    code = [f"{name} = {flat(text.segment(value))}" for name, value in zip(names, values, strict=True)]
    code += [f"{flat(text.segment(place))} = {name}" for name, place in zip(names, places, strict=True)]
    indent, origin = text.indentation(statement), text.origin(statement.lineno)
    lines: list[Line] = [(indent + line, origin) for line in code]
    return statement.lineno, statement.end_lineno or 0, lines
