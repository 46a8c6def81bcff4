"""A file with kernels, rewritten whole or not at all."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from ...analysis.context import FileContext
from ..reasons import Change, Reason, Work
from ..step import LanguageStep
from . import helpers, inlined, inside, placers
from .body import Lines
from .function import Translated, walked
from .kernels import functions
from .names import Names
from .plan import Function, LanguageModule
from .values import Value
from .writer import Shared

KERNEL = "NKL200"


def language_module(ctx: FileContext, step: LanguageStep) -> LanguageModule:
    """The kernels of a file, and what is known of the rest of it."""
    names = Names(ctx)
    scopes = ctx.module.scope_of.values()
    changing = frozenset(n for scope in scopes for n, kind in scope.declared.items() if kind == "global")
    numbers = {name: number for name, number in _numbers(ctx).items() if name not in changing}
    found = functions(ctx, names)
    placing = placers.placers(ctx, names, found)
    return LanguageModule(ctx, names, step, found, numbers, changing, placing)


def _numbers(ctx: FileContext) -> dict[str, int | float]:
    """Numbers that are bound once at the top of the file."""
    found: dict[str, int | float] = {}
    for name, bindings in ctx.module.top.bindings.items():
        value = bindings[0].value if len(bindings) == 1 else None
        negative = isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.USub)
        literal = value.operand if isinstance(value, ast.UnaryOp) else value
        number = literal.value if isinstance(literal, ast.Constant) else None
        if isinstance(number, int | float) and not isinstance(number, bool):
            found[name] = -number if negative else number
    return found


def translated(module: LanguageModule) -> Work:
    """What becomes of the bodies of a file's functions of the language, and of the helpers these need."""
    work = Work()
    for each in bodies(module):
        work += _work(each)
    return work + helpers.added(module)


def _work(found: Translated) -> Work:
    """What is done to a function, or why it is not."""
    text = f"`{found.function.node.name}` is in the new language"
    change = Change(found.function.node, KERNEL, text, found.edits)
    return Work((change,) if found.edits else (), found.reasons, found.notes)


def bodies(module: LanguageModule) -> list[Translated]:
    """Each function of the language, walked through."""
    lines = Lines(module.ctx.source.text)
    shared = Shared(module.helper, module.import_name)
    given: dict[str, list[Mapping[str, Value]]] = {}
    found: dict[str, Translated] = {}
    for name in _callers_first(module):
        module.needs |= shared.needs
        function = module.functions[name]
        if function.inner:
            found[name] = _with_kernels_inside(function)
            continue
        if name in shared.inlined and name not in given and not module.partial:
            edits = inlined.gone(module, function, lines, shared.inlined[name])
            if edits is not None:
                found[name] = Translated(function, edits, (), (), (), ())
                continue
        found[name] = walked(module, function, lines, shared, given.get(name, ()))
        for callee, arguments in found[name].calls:
            given.setdefault(callee, []).append(arguments)
    methods = [m for placer in module.placers.values() for m in placer.methods.values()]
    placing = [walked(module, method, lines, shared, ()) for method in methods]
    module.needs |= shared.needs
    return [*(found[name] for name in module.functions), *placing]


def _with_kernels_inside(function: Function) -> Translated:
    """A function of the host that defines kernels, for each of which there is a reason."""
    reasons = tuple(_inside(function, kernel) for kernel in function.inner)
    return Translated(function, (), reasons, (), (), ())


def _inside(function: Function, kernel: Function) -> Reason:
    taken = [f"`{name}`" for name in inside.taken(kernel)]
    names = ", ".join(taken)
    given = f", with {names} as arguments or, where they are index tiles, made in it" if taken else ""
    fields = {"name": kernel.node.name, "outer": function.node.name, "given": given}
    return Reason(kernel.node, "M-INSIDE", fields)


def _callers_first(module: LanguageModule) -> list[str]:
    """The functions' names, each behind those that call it."""
    calls = {
        name: [
            n.func.id
            for n in function.nodes.every
            if isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id in module.functions
        ]
        for name, function in module.functions.items()
    }
    order: list[str] = []
    seen: set[str] = set()
    pending = [(name, False) for name in reversed(list(module.functions))]
    while pending:
        name, behind = pending.pop()
        if behind:
            order.append(name)
        elif name not in seen:
            seen.add(name)
            pending.append((name, True))
            pending += [(callee, False) for callee in reversed(calls[name])]
    return order[::-1]
