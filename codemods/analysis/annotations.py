"""What a type annotation says about the value of what it annotates."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from ..trees import is_none, last_name
from . import values as v
from .classes import is_class
from .scopes import Scope

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .evaluate import Evaluator

_TUPLES = {"tuple", "Tuple"}
_CONTAINERS = {*_TUPLES, "list", "set", "frozenset", "List", "Set", "Sequence", "Iterable", "Iterator"}
_MAPPINGS = {"dict", "Dict", "Mapping", "MutableMapping", "OrderedDict", "defaultdict"}
# What they hold says as much as if it stood alone.
_LENIENT = {"Optional", "Final", "ClassVar", "Annotated"}
# Annotations that do not say which of all callables it is.
_ANY = {"typing.Any", "typing.Callable", "collections.abc.Callable"}


def annotated(evaluator: Evaluator, node: ast.expr, scope: Scope) -> v.Value:
    """An instance of the annotated class, or a container of such; None when nothing useful is said.

    ``scope``: the one that the annotation stands in.
    """
    if isinstance(node, ast.Constant):
        spelled = _parsed(node.value)
        return None if spelled is None else annotated(evaluator, spelled, scope)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        sides = [annotated(evaluator, side, scope) for side in (node.left, node.right) if not is_none(side)]
        return v.one_of(sides) if None not in sides else None
    if isinstance(node, ast.Subscript):
        inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        parts = [annotated(evaluator, p, scope) for p in inner if not _is_ellipsis(p) and not is_none(p)]
        return _generic(last_name(node.value), parts, whole=len(inner) == len(parts))
    value = _dotted(evaluator, node, scope)
    if not isinstance(value, v.Symbol) or value.name in _ANY:
        return None
    return v.Instance(value.name) if is_class(evaluator, value.name) else None


def _parsed(text: object) -> ast.expr | None:
    """The annotation that a string spells."""
    if not isinstance(text, str):
        return None
    try:
        return ast.parse(text.strip(), mode="eval").body
    except SyntaxError:
        return None


def _generic(head: str, parts: Sequence[v.Value], whole: bool) -> v.Value:
    """What ``head[parts]`` says; ``whole``: whether nothing but the parts stands in the brackets."""
    if head in _CONTAINERS and parts and None not in parts:
        return v.Sequence(v.one_of(list(parts)))
    if head in _LENIENT and parts:
        return parts[0]
    if head == "Union":
        return v.one_of(list(parts)) if None not in parts else None
    if head in _MAPPINGS and len(parts) == 2 and parts[1] is not None:
        return v.Mapping(((..., parts[1]),))
    return v.Row(tuple(parts)) if head in _TUPLES and whole and any(parts) else None


def _dotted(evaluator: Evaluator, node: ast.expr, scope: Scope) -> v.Value:
    """A dotted name looked up from a scope, wherever its class is bound: annotations may come before it."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    owner = evaluator.module.lookup(node.id, scope)
    if owner is None:
        return v.Symbol(f"builtins.{node.id}")
    value = v.one_of([evaluator.binding(b) for b in owner[1]])
    for name in reversed(names):
        value = evaluator.attribute(value, name)
    return value


def _is_ellipsis(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is ...
