"""Classes and their objects: bases, constructors and attributes; also of types that the release changed."""

from __future__ import annotations

import ast

from . import values as v
from .scopes import Binding, Scope

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .evaluate import Evaluator


def is_class(evaluator: Evaluator, name: str) -> bool:
    """Whether a qualified name is, or is spelled like, that of a class."""
    if name in evaluator.release.types or name in evaluator.classes or name[:1].isupper():
        return True
    last = name.rpartition(".")[2].lstrip("_")
    return last[:1].isupper() and not last.isupper()


# -- bases --------------------------------------------------------------------------------------------


def base_of(evaluator: Evaluator, base: ast.expr, scope: Scope) -> str:
    """The qualified name of a base of the class whose scope that is; "" when it is not known."""
    value = evaluator.at_end(base, scope.parent or scope)
    return value.name if isinstance(value, v.Symbol) else ""


def bases(evaluator: Evaluator, node: ast.ClassDef) -> list[str]:
    """Qualified names of a class's bases, as far as they are known."""
    scope = evaluator.module.scope_of[node]
    return [name for name in (base_of(evaluator, base, scope) for base in node.bases) if name]


def changed_type(evaluator: Evaluator, of: str, seen: frozenset[str] = frozenset()) -> str | None:
    """The changed type that a class is or derives from: "" when there is none, None when unknown."""
    node = evaluator.classes.get(of)
    if of in evaluator.release.types or node is None or of in seen:
        return of if of in evaluator.release.types else ""
    scope = evaluator.module.scope_of[node]
    names = [base_of(evaluator, base, scope) for base in node.bases]
    found = [changed_type(evaluator, name, seen | {of}) if name else None for name in names]
    return next((changed for changed in found if changed), None if None in found else "")


def constructor(evaluator: Evaluator, name: str) -> str:
    """The class whose constructor a call of ``name`` runs: its nearest base that is not the user's."""
    seen: set[str] = set()
    while name in evaluator.classes and name not in seen:
        seen.add(name)
        node = evaluator.classes[name]
        above = bases(evaluator, node)
        if "__init__" in evaluator.module.scope_of[node].bindings or len(above) != 1:
            break
        name = above[0]
    return name


# -- attributes ---------------------------------------------------------------------------------------


def instance_attribute(evaluator: Evaluator, of: str, name: str) -> v.Value:
    """What an attribute of an object of the class ``of`` denotes."""
    if of in evaluator.release.types:
        return _changed_attribute(evaluator, of, name)
    found = class_attribute(evaluator, of, name, set())
    if found is None and f"{of}.{name}" in evaluator.outside:
        return evaluator.exported(f"{of}.{name}")
    if found is None and not evaluator.classes.get(of):
        return v.Method(of, name)
    return found


def class_attribute(evaluator: Evaluator, of: str, name: str, seen: set[str]) -> v.Value:
    """A class's attribute: every assignment to it in the class and its methods, else its bases'.

    ``seen``: classes that were looked at; those that are now are added.
    """
    node = evaluator.classes.get(of)
    if node is None or of in seen:
        if of in evaluator.release.types:
            return _changed_attribute(evaluator, of, name)
        return evaluator.exported(f"{of}.{name}")
    seen.add(of)
    module = evaluator.module
    scope = module.scope_of[node]
    own = [evaluator.binding(b) for b in scope.bindings.get(name, ())]
    own += [evaluator.binding(b) for b in module.attributes.get(name, ()) if _is_own(b, scope)]
    if own:
        return v.one_of(own)
    found = [class_attribute(evaluator, base, name, seen) for base in bases(evaluator, node)]
    return next((value for value in found if value is not None), None)


def _is_own(binding: Binding, scope: Scope) -> bool:
    """Whether an attribute assignment stands in a method of the class and goes to its first parameter."""
    function = binding.scope
    while function is not None and function.parent is not scope:
        if function.parent is None:
            return False
        function = function.parent
    target = binding.target
    if not isinstance(target, ast.Attribute) or not isinstance(target.value, ast.Name):
        return False
    args = getattr(function.node, "args", None)
    first = [*args.posonlyargs, *args.args][:1] if args else []
    return bool(first) and first[0].arg == target.value.id


# -- types that the release changed -------------------------------------------------------------------


def _changed_attribute(evaluator: Evaluator, of: str, name: str) -> v.Value:
    """An attribute of an object of a type that changed."""
    changed = evaluator.release.types[of]
    if changed.attributes.get(name, name) not in changed.tuples or name in changed.static:
        return v.Method(of, name)
    if name in changed.attributes:
        return v.FormerList(True, "old")
    return v.FormerList(True, "new" if name in changed.attributes.values() else "either")


def method_result(evaluator: Evaluator, of: str, method: str) -> v.Value:
    """What a method of a type that changed gives; None for those of other types."""
    changed = evaluator.release.types.get(of)
    if changed is None:
        return None
    if method in changed.chain:
        return v.Instance(of)
    return v.FormerList(own=False) if method in changed.tuples else None
