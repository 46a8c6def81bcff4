"""Which of several signatures a call was written for, by what its arguments evidently are."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from .analysis import values as v
from .analysis.context import FileContext
from .analysis.reaching import reaching
from .analysis.scopes import Binding, Use
from .signature import CallForm, Signature, Unbindable, bind
from .trees import is_none, last_name

_ALLOCATIONS = {"ndarray", "zeros", "ones", "empty", "full"}
_LETTERS = 3


def fit(
    ctx: FileContext, use: Use, signature: Signature, form: CallForm, given: Sequence[ast.expr]
) -> int | None:
    """How well the arguments suit a signature (higher is better); None when they cannot be bound to it.

    ``given``: the argument expressions, positional ones first, then keywords.
    """
    if any(k is not None and k not in signature.names for k in form.keywords):
        return None
    if None in form.positional:
        return 0
    try:
        bound = bind(signature, form)
    except Unbindable:
        return None
    places = [(name, given[o]) for name, o in bound.items() if o < len(form.positional)]
    return sum(_suits(ctx, use, signature, name, node) for name, node in places)


def _suits(ctx: FileContext, use: Use, signature: Signature, name: str, node: ast.expr) -> int:
    default = signature.defaults.get(name)
    said = int(_speaks_of(node, name))
    if default is None:
        return said + 2 * allocated(ctx, use, node) - 2 * (_literal(ctx, use, node) not in {"", "int"})
    wanted, kind = _kind_of(default), _literal(ctx, use, node)
    if kind and wanted:
        same = kind == wanted or {kind, wanted} == {"int", "float"}
        return said + (1 if same else -1)
    if wanted in {"bool", "float"} and allocated(ctx, use, node):
        return said - 2
    return said - (kind in {"float", "bool"})


def _speaks_of(node: ast.expr, name: str) -> bool:
    """Whether a variable is called like a parameter: ``norm_eps`` and ``eps``, ``out`` and ``output``."""
    last = last_name(node)
    return len(last) >= _LETTERS and (name in last.lower() or name.startswith(last.lower()))


def _literal(ctx: FileContext, use: Use, node: ast.expr) -> str:
    """The type of a literal, or of a name that is bound to one; "" for anything else."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute | ast.Name):
        owner = node.value.attr if isinstance(node.value, ast.Attribute) else node.value.id
        return owner if owner[:1].isupper() else ""
    value = ctx.evaluator.at(node, use)
    return type(value.value).__name__ if isinstance(value, v.Constant) else ""


def _kind_of(default: str) -> str:
    """What a default is: the type of a literal, the enumeration of a member; "" for None."""
    try:
        value = ast.literal_eval(default)
    except ValueError:
        return default.rpartition(".")[0].rpartition(".")[2]
    return "" if value is None else type(value).__name__


def allocated(ctx: FileContext, use: Use, node: ast.expr) -> bool:
    """Whether a name is bound to nothing but tensors allocated in this file."""
    bindings = bindings_of(ctx, use, node)
    return bool(bindings) and all(_allocation(b) is not None for b in bindings)


def in_buffer(ctx: FileContext, use: Use, node: ast.expr, buffer: str) -> bool:
    """Whether a name is bound once, to a tensor allocated in a buffer (all allocators' ``alloc`` methods
    included).
    """
    bindings = bindings_of(ctx, use, node)
    call = _allocation(bindings[0]) if len(bindings) == 1 else None
    if call is None:
        return False
    placed = [k.value for k in call.keywords if k.arg == "buffer"]
    if placed:
        return isinstance(placed[0], ast.Attribute) and placed[0].attr == buffer
    return last_name(call.func).startswith("alloc")


def bindings_of(ctx: FileContext, use: Use, node: ast.expr) -> list[Binding]:
    """The bindings that a name sees where a use stands."""
    owner = ctx.module.lookup(node.id, use.scope) if isinstance(node, ast.Name) else None
    return reaching(owner[1], use, owner[0]) if owner else []


def _allocation(binding: Binding) -> ast.Call | None:
    value = binding.value if binding.kind == "assign" and not binding.path else None
    if not isinstance(value, ast.Call):
        return None
    name = last_name(value.func)
    return value if name in _ALLOCATIONS or name.startswith("alloc") else None


def may_be_none(ctx: FileContext, use: Use, node: ast.expr) -> bool:
    """Whether a name may be a parameter that defaults to None."""
    return any(_defaults_to_none(b.node, b.scope.node) for b in bindings_of(ctx, use, node))


def _defaults_to_none(parameter: ast.AST, function: ast.AST) -> bool:
    arguments = getattr(function, "args", None)
    if not isinstance(arguments, ast.arguments):
        return False
    positional = [*arguments.posonlyargs, *arguments.args]
    pairs = [*zip(reversed(positional), reversed(arguments.defaults), strict=False)]
    pairs += [(a, d) for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if d]
    return any(parameter is argument and is_none(default) for argument, default in pairs)
