"""Classes whose objects kernels make or get: they derive from the language's own, ``nl.NKIObject``."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from ...dialect.checker import Module, check_function
from ...model import ReplaceCode
from ...trees import walk
from ..reasons import Change, Reason, Work
from .kernels import Kernels

CODE = "NKL111"
_DATACLASS = ("dataclass", "dataclasses.dataclass")
_DROPPED = frozenset(("frozen", "eq", "order", "repr", "unsafe_hash", "slots"))
"""Options of dataclasses that say nothing about the values of their fields."""
_ENUMS = ("Enum", "IntEnum", "NKIObject")
_FIELDS = (ast.Pass, ast.Assign, ast.AnnAssign, ast.FunctionDef)


def classes(kernels: Kernels) -> Work:
    """What becomes of the file's classes that kernels use."""
    placed = {id(placer.node) for placer in kernels.module.placers.values()}
    work = Work()
    for node in _used(kernels).values():
        if id(node) not in placed and not _is_ready(node):
            reasons = tuple(_against(kernels, node))
            work += Work(reasons=reasons) if reasons else Work(tuple(_converted(kernels, node)))
    return work


def derived(kernels: Kernels, node: ast.ClassDef) -> ReplaceCode:
    """The new code of a class's head, with ``nl.NKIObject`` as its base."""
    kernels.module.needs.add("nl")
    start, end = kernels.ctx.source.span(node)
    found = re.match(r"class\s+\w+\s*(\([^()]*\))?", kernels.ctx.source.utf8[start:end].decode("utf-8"))
    assert found is not None, "a class starts with its name"
    old = found.group()
    new = f"{old.partition('(')[0].rstrip()}(nl.NKIObject)"
    return ReplaceCode((start, start + len(old.encode())), old, new)


# -- which ----------------------------------------------------------------------------------------------


def _used(kernels: Kernels) -> dict[str, ast.ClassDef]:
    """Classes that functions of the language, launches, and other such classes speak of, by name."""
    own = {node.name: node for node in kernels.ctx.tree.body if isinstance(node, ast.ClassDef)}
    if not own:
        return {}
    pending = [name for node in _speaking(kernels) for name in _names(node) if name in own]
    found: dict[str, ast.ClassDef] = {}
    while pending:
        name = pending.pop()
        if name not in found:
            found[name] = own[name]
            pending += [other for other in _names(own[name]) if other in own]
    return {name: node for name, node in own.items() if name in found}


def _speaking(kernels: Kernels) -> Iterator[ast.AST]:
    methods = {
        id(inner) for node in kernels.ctx.tree.body if isinstance(node, ast.ClassDef) for inner in node.body
    }
    yield from (node for node in kernels.functions.values() if id(node) not in methods)
    for launch in kernels.all_launches:
        given = [*launch.call.args, *(keyword.value for keyword in launch.call.keywords)]
        for value in (*given, *_values(kernels, launch.call)):
            yield from _made(value)


def _values(kernels: Kernels, call: ast.Call) -> Iterator[ast.AST]:
    """What variables that a launch passes were bound to."""
    for argument in (*call.args, *(keyword.value for keyword in call.keywords)):
        place = kernels.place(argument) if isinstance(argument, ast.Name) else None
        owner = kernels.ctx.module.lookup(place[0].name, place[0].scope) if place else None
        yield from (b.value for b in (owner[1] if owner else ()) if b.value is not None)


def _made(node: ast.AST) -> Iterator[ast.AST]:
    """What an object comes from: ``Config`` in ``Config(…)`` and ``Config.of(…)``, and its arguments."""
    if isinstance(node, ast.Call):
        function = node.func.value if isinstance(node.func, ast.Attribute) else node.func
        if isinstance(function, ast.Name):
            yield function
            for value in (*node.args, *(keyword.value for keyword in node.keywords)):
                yield from _made(value)


def _names(node: ast.AST) -> Iterator[str]:
    """Names that are read, also in annotations that are strings."""
    for inner in walk(node):
        if isinstance(inner, ast.Name):
            yield inner.id
        elif isinstance(inner, ast.Constant) and isinstance(inner.value, str) and inner.value.isidentifier():
            yield inner.value


def _is_ready(node: ast.ClassDef) -> bool:
    return bool(node.bases) and all(ast.unparse(b).rpartition(".")[2] in _ENUMS for b in node.bases)


# -- what kernels do not have ---------------------------------------------------------------------------


def _against(kernels: Kernels, node: ast.ClassDef) -> Iterator[Reason]:
    base = next((b for b in node.bases if ast.unparse(b) != "object"), None) or next(
        iter(node.keywords), None
    )
    if base is not None:
        yield _reason(base, f"the base `{ast.unparse(base)}` of a class")
    for decorator in node.decorator_list:
        if not _is_dataclass(kernels, decorator):
            yield _reason(decorator, f"the decorator `@{ast.unparse(decorator)}` of a class")
    if _is_default(kernels, node):
        yield _reason(node, f"an object of `{node.name}` as a default")
    for statement in node.body:
        yield from _inside(kernels, node, statement)


def _inside(kernels: Kernels, node: ast.ClassDef, statement: ast.stmt) -> Iterator[Reason]:
    """What a statement of a class's body has that is not in the language."""
    text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    if not text and not isinstance(statement, _FIELDS):
        yield _reason(statement, "this statement in a class")
    elif isinstance(statement, ast.AnnAssign) and isinstance(statement.value, ast.Call):
        yield _reason(statement, f"a field with the default `{ast.unparse(statement.value)}`")
    elif isinstance(statement, ast.FunctionDef):
        for decorator in statement.decorator_list:
            if ast.unparse(decorator) != "staticmethod":
                yield _reason(decorator, f"`@{ast.unparse(decorator)}` of a method")
        if kernels.functions.get(statement.name) is not statement:
            raised = {n.lineno for n in walk(statement) if isinstance(n, ast.Raise) and _message(n)}
            for breach in check_function(statement, Module(kernels.ctx.tree)):
                if breach.is_error and breach.line not in raised:
                    place = ast.Pass(lineno=breach.line, col_offset=breach.column)
                    place.end_lineno, place.end_col_offset = breach.line, breach.column
                    yield _reason(place, f"a method of `{node.name}`, where {breach.text},")


def _reason(node: ast.AST, what: str) -> Reason:
    return Reason(node, "M-PY", {"x": what})


def _is_dataclass(kernels: Kernels, decorator: ast.expr) -> bool:
    call = decorator if isinstance(decorator, ast.Call) else None
    name = kernels.names.qualified(call.func if call else decorator)
    options = {keyword.arg for keyword in call.keywords} if call else set()
    return name in _DATACLASS and options <= _DROPPED and not (call and call.args)


def _is_default(kernels: Kernels, node: ast.ClassDef) -> bool:
    """Whether an object of it is the default of a field, for which a dataclass must be frozen."""
    return any(
        isinstance(field, ast.AnnAssign)
        and isinstance(field.value, ast.Call)
        and ast.unparse(field.value.func) == node.name
        for other in kernels.ctx.tree.body
        if isinstance(other, ast.ClassDef)
        for field in other.body
    )


def _message(node: ast.Raise) -> ast.expr | None:
    """What an exception is made of, if that is one message."""
    call = node.exc
    plain = isinstance(call, ast.Call) and len(call.args) == 1 and not call.keywords and node.cause is None
    return call.args[0] if plain and isinstance(call, ast.Call) else None


# -- the class in the language --------------------------------------------------------------------------


def _converted(kernels: Kernels, node: ast.ClassDef) -> Iterator[Change]:
    source, segment = kernels.ctx.source, kernels.ctx.segment
    said = f"`{node.name}` is a class of the language"
    for decorator in node.decorator_list:
        if isinstance(decorator, ast.Call):
            start, end = source.span(decorator.func)[1], source.span(decorator)[1]
            edit = ReplaceCode((start, end), source.utf8[start:end].decode("utf-8"), "")
            yield Change(decorator, CODE, f"{said}, whose decorator takes no options", (edit,))
    yield Change(node, CODE, said, (derived(kernels, node),))
    methods = (s for s in node.body if isinstance(s, ast.FunctionDef))
    own = (method for method in methods if kernels.functions.get(method.name) is not method)
    for inner in (n for method in own for n in walk(method)):
        message = _message(inner) if isinstance(inner, ast.Raise) else None
        if message is not None:
            edit = ReplaceCode(source.span(inner), segment(inner), f"assert False, {segment(message)}")
            yield Change(inner, CODE, f"{said}, which has no exceptions", (edit,))
