"""What calls of Python's own functions give: ``functools.partial``, ``getattr``, ``zip``, ``super`` …"""

from __future__ import annotations

import ast
from collections.abc import Callable

from . import containers
from . import values as v
from .annotations import annotated
from .classes import base_of
from .scopes import Scope, Use

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .evaluate import Evaluator


def _partial(evaluator: Evaluator, call: ast.Call, use: Use) -> v.Value:
    if not call.args or isinstance(call.args[0], ast.Starred):
        return None
    function = evaluator.at(call.args[0], use)
    widths = [evaluator.width(a, use) for a in call.args[1:]]
    first = None if None in widths else sum(w for w in widths if w is not None)
    names = tuple(k.arg for k in call.keywords if k.arg)
    return v.Partial(function, first, names)


def _import_module(evaluator: Evaluator, call: ast.Call, use: Use) -> v.Value:
    path = evaluator.at(call.args[0], use) if call.args else None
    if not isinstance(path, v.Constant) or not isinstance(path.value, str):
        return None
    dots = len(path.value) - len(path.value.lstrip("."))
    if not dots:
        return evaluator.symbol(path.value)
    package = _anchor(evaluator, call, use).split(".")
    above = package[: len(package) - dots + 1]
    name = path.value[dots:]
    return evaluator.symbol(".".join([*above, name])) if all(above) and name else None


def _anchor(evaluator: Evaluator, call: ast.Call, use: Use) -> str:
    """The package that ``import_module(".name", package)`` starts from; "" when it is not known."""
    given = [k.value for k in call.keywords if k.arg == "package"] or call.args[1:2]
    package = evaluator.at(given[0], use) if given else None
    return str(package.value) if isinstance(package, v.Constant) and package.value else ""


def _getattr(evaluator: Evaluator, call: ast.Call, use: Use) -> v.Value:
    if len(call.args) < 2:
        return None
    name = evaluator.at(call.args[1], use)
    if not isinstance(name, v.Constant) or not isinstance(name.value, str):
        return None
    return evaluator.attribute(evaluator.at(call.args[0], use), name.value)


def _cast(evaluator: Evaluator, call: ast.Call, use: Use) -> v.Value:
    if len(call.args) != 2:
        return None
    return annotated(evaluator, call.args[0], use.scope)


def _same(evaluator: Evaluator, call: ast.Call, use: Use) -> v.Value:
    return evaluator.at(call.args[0], use) if len(call.args) == 1 else None


def _dunder_import(evaluator: Evaluator, call: ast.Call, use: Use) -> v.Value:
    """``__import__(name)`` gives the top package unless a fromlist is given."""
    full = _import_module(evaluator, call, use)
    if isinstance(full, v.Symbol) and not call.keywords and len(call.args) < 4:
        return evaluator.symbol(full.name.split(".")[0])
    return full


def _converted(evaluator: Evaluator, call: ast.Call, use: Use) -> v.Value:
    return containers.converted(evaluator.at(call.args[0], use)) if call.args else None


def _copied(evaluator: Evaluator, call: ast.Call, use: Use) -> v.Value:
    return containers.copied(evaluator.at(call.args[0], use)) if call.args else None


def _enumerate(evaluator: Evaluator, call: ast.Call, use: Use) -> v.Value:
    if not call.args:
        return None
    return v.Sequence(v.Row((None, containers.element(evaluator.at(call.args[0], use)))))


def _zip(evaluator: Evaluator, call: ast.Call, use: Use) -> v.Value:
    if any(isinstance(argument, ast.Starred) for argument in call.args):
        return None
    return v.Sequence(v.Row(tuple(containers.element(evaluator.at(argument, use)) for argument in call.args)))


def _dict_call(evaluator: Evaluator, call: ast.Call, use: Use) -> v.Value:
    """``dict(name=value, …)``."""
    if call.args or any(keyword.arg is None for keyword in call.keywords):
        return None
    return v.Mapping(tuple((keyword.arg, evaluator.at(keyword.value, use)) for keyword in call.keywords))


def _vars(evaluator: Evaluator, call: ast.Call, use: Use) -> v.Value:
    of = evaluator.at(call.args[0], use) if len(call.args) == 1 else None
    return v.Names(of) if isinstance(of, v.Symbol) else None


def _cached(evaluator: Evaluator, call: ast.Call, use: Use) -> v.Value:
    """``lru_cache(function)``, or with options a decorator, which gives back what can be called alike."""
    given = evaluator.at(call.args[0], use) if len(call.args) == 1 else None
    known = given is not None and not isinstance(given, v.Constant)
    return given if known else v.Symbol("builtins.staticmethod")


def _super(evaluator: Evaluator, _: ast.Call, use: Use) -> v.Value:
    """The object as its class's only base sees it."""
    scope: Scope | None = use.scope
    while scope is not None and scope.kind != "class":
        scope = scope.parent
    if scope is None or not isinstance(scope.node, ast.ClassDef) or len(scope.node.bases) != 1:
        return None
    base = base_of(evaluator, scope.node.bases[0], scope)
    return v.Instance(base) if base else None


KNOWN_CALLS: dict[str, Callable[[Evaluator, ast.Call, Use], v.Value]] = {
    "functools.partial": _partial,
    "importlib.import_module": _import_module,
    "builtins.__import__": _dunder_import,
    "builtins.getattr": _getattr,
    "typing.cast": _cast,
    "builtins.list": _converted,
    "builtins.tuple": _converted,
    "builtins.reversed": _converted,
    "builtins.sorted": _converted,
    "builtins.enumerate": _enumerate,
    "builtins.zip": _zip,
    "builtins.dict": _dict_call,
    "builtins.super": _super,
    "builtins.vars": _vars,
    "functools.cache": _cached,
    "functools.lru_cache": _cached,
    "builtins.staticmethod": _same,
    "copy.copy": _copied,
    "copy.deepcopy": _copied,
}
"""Qualified name of a function → what gives the value of a call of it, which stands in the use."""
