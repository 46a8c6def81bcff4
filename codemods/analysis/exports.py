"""What a module offers to the rest of the project, and which names of other modules it relies on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from . import values as v
from .classes import changed_type
from .context import FileContext
from .scopes import Binding

_STEPS = 4


def exports(context: FileContext) -> Mapping[str, v.Value]:
    """Qualified names of this module (and of its classes' attributes) that denote something affected."""
    if not context.name or not context.affected_names:
        return {}
    return {f"{context.name}.{name}": value for name, value in _pairs(context) if _matters(value, context)}


def _pairs(context: FileContext) -> Iterator[tuple[str, v.Value]]:
    evaluator, module = context.evaluator, context.module
    for name, bindings in module.top.bindings.items():
        if name not in context.affected_names:
            continue
        yield name, v.one_of([evaluator.binding(b) for b in bindings])
        yield from _passed_on(context, name, bindings)
    attributes = _class_names(context)
    for name, bindings in module.top.bindings.items():
        if any(b.kind == "class" for b in bindings):
            qualified = f"{context.name}.{name}"
            inherited = _inherited(context, qualified) if name in context.affected_names else set()
            for attribute in sorted(attributes | inherited):
                value = evaluator.attribute(v.Instance(qualified), attribute)
                if not isinstance(value, v.Method):
                    yield f"{name}.{attribute}", value
    for _, path in context.stars:
        prefix = context.release.canonical(path)
        for name in context.release.stars.get(prefix, ()):
            yield name, evaluator.symbol(f"{path}.{name}")
        start = path + "."
        for key, value in context.outside.items():
            if key.startswith(start) and "." not in key[len(start) :]:
                yield key[len(start) :], value


def _passed_on(context: FileContext, name: str, bindings: list[Binding]) -> Iterator[tuple[str, v.Value]]:
    """What is in a class of another file, or for a package in a module, that is imported under a name."""
    for target in (context.target(b) for b in bindings if b.kind == "import"):
        if target != f"{context.name}.{name}":
            for key in _held(context, target):
                yield name + key[len(target) :], context.outside[key]


def _held(context: FileContext, target: str) -> Iterator[str]:
    """What others export that is looked up on a class, or for a package on a module, which is imported.

    Modules that import each other have each other's names without end: not those behind this one's own, and
    none behind too many modules.
    """
    offered = context.package or target.rpartition(".")[2][:1].isupper()
    if offered and context.leads_outside(target):
        start, own = f"{target}.", f"{context.name}."
        behind = ((key, key[len(start) :]) for key in context.outside if key.startswith(start))
        yield from (key for key, rest in behind if rest.count(".") < _STEPS and not rest.startswith(own))


def _class_names(context: FileContext) -> set[str]:
    """Attribute names that may hold something affected, spelled with a dot by the context or bound in a
    class.
    """
    return {n.lstrip(".") for n in context.affected_names if n.startswith(".")} | {
        b.name
        for b in context.module.bindings
        if b.scope.kind == "class" and b.name in context.affected_names
    }


def _inherited(context: FileContext, of: str) -> set[str]:
    """Renamed attributes of the changed type that a class derives from."""
    kind = changed_type(context.evaluator, of)
    return set(context.release.types[kind].attributes) if kind else set()


def _matters(value: v.Value, context: FileContext) -> bool:
    """Whether another file could be affected through this value."""
    if isinstance(value, v.OneOf):
        return any(_matters(option, context) for option in value.options)
    if isinstance(value, v.Symbol):
        return context.release.affects(value.name)
    if isinstance(value, v.Launched | v.Jitted):
        return _matters(value.kernel, context)
    if isinstance(value, v.Partial):
        return _matters(value.function, context)
    if isinstance(value, v.Instance):
        return context.release.affects(value.of)
    if isinstance(value, v.Sequence):
        return _matters(value.element, context)
    if isinstance(value, v.FormerList):
        return True
    if isinstance(value, v.Row):
        return any(_matters(item, context) for item in value.items)
    if isinstance(value, v.Mapping):
        return any(_matters(item, context) for _, item in value.items)
    if isinstance(value, v.Function):
        return _matters(value.returns, context)
    return False


def pins(context: FileContext) -> frozenset[str]:
    """Qualified names of other modules that must keep existing because this file uses them."""
    if not context.outside:
        return frozenset()
    _ = context.references, context.imports
    for binding in (i.binding for i in context.imports):
        context.evaluator.binding(binding)
    last = {key.rpartition(".")[2]: key for key in context.outside}
    named: set[str] = set(context.evaluator.consulted)
    for path in context.named_paths:
        named |= {
            key for key in context.outside if f"{path}.".startswith(f"{key}.") or key.startswith(f"{path}.")
        }
    for text in context.texts:
        if text.value in last:
            named |= {key for key in context.outside if key.rpartition(".")[2] == text.value}
    for _, path in context.stars:
        named |= {key for key in context.outside if key.startswith(path + ".")}
    for binding in context.module.imports:
        named.update(_held(context, context.target(binding)))
    return frozenset(named)
