"""Kernels that functions of the host define: which there are, and which can be migrated where they are."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence, Set

from ...trees import walk
from ..plain import functions, scopes
from .names import BETA1, Names
from .plan import Function

MAKERS = frozenset(
    f"{BETA1}.{name}" for name in ("jit", "trace", "baremetal", "benchmark", "profile", "simulate_kernel")
)
"""What makes a kernel of a function."""
_LANGUAGE = (f"{BETA1}.language.", f"{BETA1}.isa.")
_HOST = tuple(f"{BETA1}.language.{name}" for name in ("nc", "spmd_dim", "static_cast"))


def speaks(nodes: Iterable[ast.AST], names: Names) -> bool:
    """Whether code uses the language itself, other than for launching."""
    return any(isinstance(inner, ast.Call) and is_spoken(inner, names) for inner in nodes)


def is_spoken(call: ast.Call, names: Names) -> bool:
    """Whether a call is one of the language's functions, other than for launching."""
    name = names.qualified(call.func)
    return name.startswith(_LANGUAGE) and not name.startswith(_HOST)


def is_decorated(node: ast.FunctionDef, names: Names, makers: Set[str] = MAKERS) -> bool:
    """Whether a decorator makes a kernel of a function."""
    makes = (d.func if isinstance(d, ast.Call) else d for d in node.decorator_list)
    return any(names.qualified(maker) in makers for maker in makes)


# -- which there are -----------------------------------------------------------------------------------


def kernels(
    node: ast.FunctionDef, handed: Set[str], names: Names, around: tuple[ast.FunctionDef, ...] = ()
) -> Iterator[Function]:
    """The kernels that a function defines: what is made one there, and, in a function that does not use the
    language otherwise, what uses it and is given away.
    """
    mine = scopes.own(node)
    definitions = [n for n in mine if isinstance(n, ast.FunctionDef)]
    host = not speaks(mine, names)
    for definition in sorted(definitions, key=lambda n: n.lineno):
        made = definition.name in handed or is_decorated(definition, names)
        given = host and _given_away(definition, mine) and speaks(scopes.within(definition), names)
        if made or given:
            yield Function(definition, True, around=(*around, node))
        else:
            yield from kernels(definition, handed, names, (*around, node))


def _given_away(definition: ast.FunctionDef, around: Sequence[ast.AST]) -> bool:
    """Whether something other than a call has a function's name."""
    called = {id(n.func) for n in around if isinstance(n, ast.Call)}
    return any(isinstance(n, ast.Name) and n.id == definition.name and id(n) not in called for n in around)


# -- which can stay there ------------------------------------------------------------------------------


def taken(function: Function) -> list[str]:
    """Names of a kernel that are variables of the functions around it."""
    outside = set().union(*map(scopes.bound, function.around))
    return [name for name in scopes.free(function.node) if name in outside]


def stay(found: Sequence[Function], names: Names) -> bool:
    """Whether kernels that one function of the host defines can be migrated where they are.

    They take nothing from it: the new language looks a kernel's names up in its module, and nowhere else. Nor
    does the host's code around them use the language.
    """
    inner = {id(n) for function in found for n in function.nodes.every}
    host = (n for n in walk(found[0].around[0]) if id(n) not in inner)
    return all(is_made(function, names) for function in found) and not (
        any(map(taken, found)) or any(map(_reads_in_header, found)) or speaks(host, names)
    )


def _reads_in_header(function: Function) -> bool:
    outside = set().union(*map(scopes.bound, function.around))
    return not outside.isdisjoint(functions.evaluated_first(function.node))


def is_made(function: Function, names: Names) -> bool:
    """Whether the old language makes a kernel of it where it is defined, or right around."""
    return is_decorated(function.node, names) or _is_handed(function, names)


def _is_handed(function: Function, names: Names) -> bool:
    """Whether the function around it makes a kernel of it: ``nki.jit(f)``, ``nki.benchmark(…)(f)``."""
    for call in scopes.own(function.around[-1]):
        if isinstance(call, ast.Call) and any(_is(function.node.name, a) for a in call.args):
            maker = call.func.func if isinstance(call.func, ast.Call) else call.func
            if names.qualified(maker) in MAKERS:
                return True
    return False


def _is(name: str, node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id == name
