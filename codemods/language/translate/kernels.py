"""Finds the functions of a file that are written in the language: kernels, and what kernels call."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set

from ...analysis.context import FileContext
from ...trees import walk
from ..plain.scopes import own
from .names import BETA1, Names
from .plan import Function

MAKERS = {
    f"{BETA1}.{name}" for name in ("jit", "trace", "baremetal", "benchmark", "profile", "simulate_kernel")
}
MAKERS |= {"torch_neuronx.nki_jit", "torch_neuronx.xla_impl.ops.nki_jit", "jax_neuronx.nki_call"}
_LANGUAGE = (f"{BETA1}.language.", f"{BETA1}.isa.")
_HOST = tuple(f"{BETA1}.language.{name}" for name in ("nc", "spmd_dim", "static_cast"))


def functions(ctx: FileContext, names: Names) -> dict[str, Function]:
    """By name, in the order of the file. Of several definitions with one name, the last is meant."""
    definitions = {node.name: node for node in _definitions(ctx.tree)}
    chosen = {name for name, node in definitions.items() if _decorated(node, names)}
    handed = _handed_over(ctx, names)
    chosen |= handed & set(definitions)
    kernels = set(chosen)
    every = {name: Function(node, False) for name, node in definitions.items()}
    calls = {name: list(_calls(function, definitions, names)) for name, function in every.items()}
    pending = list(chosen)
    while pending:
        for callee, _ in calls[pending.pop()]:
            if callee not in chosen:
                chosen.add(callee)
                pending.append(callee)
    speaking = {name for name in every if name not in chosen and _speaks(every[name].nodes.every, names)}
    for name in speaking:
        every[name].inner = tuple(_inner(every[name].node, handed, names))
    chosen |= speaking
    chosen |= _only_called_by(ctx, {name for name in chosen if not every[name].inner}, calls)
    found = {name: function for name, function in every.items() if name in chosen}
    for name in found:
        found[name].kernel = name in kernels
        for callee, call in calls[name]:
            if callee in found:
                found[callee].callers.append(call)
    return found


def _only_called_by(
    ctx: FileContext, chosen: set[str], calls: Mapping[str, Sequence[tuple[str, ast.Call]]]
) -> set[str]:
    """Functions that nothing but these uses, and that they only call."""
    mentioned = Counter(
        use.name for use in ctx.module.uses if use.name in calls and isinstance(use.links[0], ast.Name)
    )
    found: set[str] = set()
    while True:
        called = Counter(callee for name in chosen | found for callee, _ in calls[name])
        more = {name for name in called if called[name] == mentioned[name]} - chosen - found
        if not more:
            return found
        found |= more


def _definitions(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    """Functions at the top of the file or of a class, also in arms of ``if`` and ``try``."""
    pending: list[ast.stmt] = list(reversed(tree.body))
    while pending:
        node = pending.pop()
        if isinstance(node, ast.FunctionDef):
            yield node
        elif isinstance(node, ast.If | ast.Try | ast.ClassDef | ast.With):
            inner = [*node.body, *getattr(node, "orelse", ())]
            inner += [s for h in getattr(node, "handlers", ()) for s in h.body]
            pending += reversed(inner)


def _decorated(node: ast.FunctionDef, names: Names) -> bool:
    return any(_maker(d.func if isinstance(d, ast.Call) else d, names) for d in node.decorator_list)


def _maker(node: ast.expr, names: Names) -> bool:
    return names.qualified(node) in MAKERS


def _handed_over(ctx: FileContext, names: Names) -> set[str]:
    """Functions given to ``nki.jit(f)``, ``nki.benchmark(…)(f)`` and the like."""
    found = set()
    for node in (link for use in ctx.module.uses for link in use.links):
        given = [a.id for a in node.args if isinstance(a, ast.Name)] if isinstance(node, ast.Call) else ()
        if not given or not isinstance(node, ast.Call):
            continue
        maker = node.func.func if isinstance(node.func, ast.Call) else node.func
        if _maker(maker, names):
            found.update(given)
    return found


def _calls(
    function: Function, definitions: dict[str, ast.FunctionDef], names: Names
) -> Iterator[tuple[str, ast.Call]]:
    calls = [node for node in function.nodes.every if isinstance(node, ast.Call)]
    placing = {id(n) for call in calls if _places(call, names) for n in walk(call)}
    for call in calls:
        name = call.func.id if isinstance(call.func, ast.Name) else ""
        if name in definitions and definitions[name] is not function.node and id(call) not in placing:
            yield name, call


def _places(call: ast.Call, names: Names) -> bool:
    """Whether it is a call of ``alloc``: what makes the function for it runs on the host."""
    if not isinstance(call.func, ast.Attribute) or call.func.attr != "alloc":
        return False
    return names.short(call.func) in ("ncc.sbuf.alloc", "ncc.psum.alloc")


def _speaks(nodes: Iterable[ast.AST], names: Names) -> bool:
    """Whether code uses the language itself, other than for launching."""
    for inner in nodes:
        if isinstance(inner, ast.Call):
            name = names.qualified(inner.func)
            if name.startswith(_LANGUAGE) and not name.startswith(_HOST):
                return True
    return False


# -- kernels inside of functions of the host -----------------------------------------------------------


def _inner(node: ast.FunctionDef, handed: Set[str], names: Names) -> Iterator[ast.FunctionDef]:
    """The kernels that a function defines: what is made one there, and, in a function that does not use the
    language otherwise, what uses it and is given away.
    """
    mine = own(node)
    definitions = [n for n in mine if isinstance(n, ast.FunctionDef)]
    speaks = _speaks(mine, names)
    for definition in sorted(definitions, key=lambda n: n.lineno):
        made = definition.name in handed or _decorated(definition, names)
        given = not speaks and _given_away(definition, mine) and _speaks(walk(definition), names)
        if made or given:
            yield definition
        else:
            yield from _inner(definition, handed, names)


def _given_away(definition: ast.FunctionDef, around: Sequence[ast.AST]) -> bool:
    """Whether something other than a call has a function's name."""
    called = {id(n.func) for n in around if isinstance(n, ast.Call)}
    return any(isinstance(n, ast.Name) and n.id == definition.name and id(n) not in called for n in around)
