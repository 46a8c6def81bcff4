"""Finds the functions of a file that are written in the language: kernels, and what kernels call."""

from __future__ import annotations

import ast
import sys
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set

from ...analysis.context import FileContext
from ...trees import walk
from . import inside
from .names import Names
from .plan import Function

Position = tuple[int, int]
"""A line and a column, as syntax trees have them."""
_LAST = (sys.maxsize, 0)
MAKERS = inside.MAKERS | {
    "torch_neuronx.nki_jit",
    "torch_neuronx.xla_impl.ops.nki_jit",
    "jax_neuronx.nki_call",
}


def functions(ctx: FileContext, names: Names) -> dict[str, Function]:
    """By name, in the order of the file. Of several definitions with one name, the last is meant.

    A kernel that a function of the host defines is under the names of both, with a dot between.
    """
    definitions = {node.name: node for node in _definitions(ctx.tree)}
    handed = _handed_over(names)
    kernels = {name for name, node in definitions.items() if inside.is_decorated(node, names, MAKERS)}
    kernels |= handed & set(definitions)
    every = {name: Function(node, name in kernels) for name, node in definitions.items()}
    told = _Told(definitions, names)
    calls = {
        name: list(_calls(function, definitions, names)) if name in told.calling else []
        for name, function in every.items()
    }
    chosen = _called(kernels, calls)
    speaking = [name for name in every if name not in chosen and name in told.speaking]
    within: dict[str, dict[str, Function]] = {}
    for name in speaking:
        found = list(inside.kernels(every[name].node, handed, names))
        every[name].inner = tuple(found)
        if found and inside.stay(found, names):
            within[name] = _named(name, found)
    moved = {key: function for each in within.values() for key, function in each.items()}
    calls |= {key: list(_calls(function, definitions, names)) for key, function in moved.items()}
    chosen |= _called(set(moved), calls) | set(speaking)
    chosen -= set(within)
    hosts = {name for name in chosen if name in every and every[name].inner}
    chosen |= _only_called_by(ctx, chosen - hosts, calls)
    order = {name: within.get(name, {name: function}) for name, function in every.items()}
    result = {key: f for each in order.values() for key, f in each.items() if key in chosen}
    for name in result:
        for callee, call in calls[name]:
            if callee in result:
                result[callee].callers.append(call)
    return result


def _called(start: Set[str], calls: Mapping[str, Sequence[tuple[str, ast.Call]]]) -> set[str]:
    """Some functions and what they call, directly or through others."""
    found, pending = set(start), list(start)
    while pending:
        for callee, _ in calls[pending.pop()]:
            if callee not in found:
                found.add(callee)
                pending.append(callee)
    return found


def _named(host: str, found: Sequence[Function]) -> dict[str, Function]:
    """Kernels that a function of the host defines, by names that tell them from all others."""
    names = Counter(function.node.name for function in found)
    return {
        f"{host}.{f.node.name}" if names[f.node.name] == 1 else f"{host}.{f.node.name}@{f.node.lineno}": f
        for f in found
    }


def _only_called_by(
    ctx: FileContext, chosen: Set[str], calls: Mapping[str, Sequence[tuple[str, ast.Call]]]
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


def _maker(node: ast.expr, names: Names) -> bool:
    return names.qualified(node) in MAKERS


def _handed_over(names: Names) -> set[str]:
    """Functions given to ``nki.jit(f)``, ``nki.benchmark(…)(f)`` and the like."""
    found = set()
    for call in names.calls:
        given = [a.id for a in call.args if isinstance(a, ast.Name)]
        maker = call.func.func if isinstance(call.func, ast.Call) else call.func
        if given and _maker(maker, names):
            found.update(given)
    return found


class _Told:
    """What is called in definitions, told from the calls of the file without a walk through each of them.

    Attributes:
        calling: those in which a function of the file is called by its name.
        speaking: those in which the language itself is used, other than for launching.
    """

    def __init__(self, definitions: Mapping[str, ast.FunctionDef], names: Names) -> None:
        self._extents = sorted((*_extent(node), name) for name, node in definitions.items())
        by_name = (c for c in names.calls if isinstance(c.func, ast.Name) and c.func.id in definitions)
        self.calling = {self._around(call) for call in by_name}
        self.speaking = {self._around(call) for call in names.calls if inside.is_spoken(call, names)}

    def _around(self, call: ast.Call) -> str:
        """The definition that a call stands in, or ""."""
        place = (call.lineno, call.col_offset)
        number = bisect_right(self._extents, (place, _LAST, "")) - 1
        return self._extents[number][2] if number >= 0 and place < self._extents[number][1] else ""


def _extent(node: ast.FunctionDef) -> tuple[Position, Position]:
    """Where a definition starts, with its decorators, and where it ends."""
    starts = [(node.lineno, node.col_offset), *((d.lineno, d.col_offset) for d in node.decorator_list)]
    return min(starts), (node.end_lineno or 0, node.end_col_offset or 0)


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
