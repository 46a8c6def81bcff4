"""What gives kernels the places of their tiles: functions and objects that return ``ncc.sbuf.mod_alloc(…)``.

They return the address itself now. An object of the file that counts what it gave out becomes one that the
kernel makes: compiled kernels cannot change what is outside of them.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping

from ...analysis.context import FileContext
from ...analysis.scopes import Binding, Use
from ...record import record
from ...trees import walk
from ..analysis import values as v
from .names import Names
from .plan import Function

SPACES = {"ncc.sbuf": v.Space.SBUF, "ncc.psum": v.Space.PSUM}
_ALLOCATED = frozenset({"nl.ndarray", "nl.zeros", "nl.ones", "nl.full"})


@record
class Placer:
    """An object at the top of a file whose methods say where tiles lie.

    Attributes:
        made: the statement that makes it. node: its class. methods: those of the class.
        spaces: methods that give a place, and in which memory.
        kernels: the functions that use it.
    """

    made: ast.Assign
    node: ast.ClassDef
    methods: Mapping[str, Function]
    spaces: Mapping[str, v.Space]
    kernels: frozenset[str]


def space(function: ast.FunctionDef, names: Names) -> v.Space | None:
    """The memory in which a function gives places, and nothing else."""
    returns = [n.value for n in walk(function) if isinstance(n, ast.Return)]
    found = {_space(value, names) for value in returns}
    falls_off = not isinstance(function.body[-1], ast.Return)
    return None if len(found) != 1 or falls_off else found.pop()


def _space(value: ast.expr | None, names: Names) -> v.Space | None:
    if not isinstance(value, ast.Call):
        return None
    owner, _, method = names.short(value.func).rpartition(".")
    return SPACES.get(owner) if method == "mod_alloc" else None


# -- objects ------------------------------------------------------------------------------------------


def placers(ctx: FileContext, names: Names, functions: Mapping[str, Function]) -> dict[str, Placer]:
    """The file's objects that place tiles and do nothing else, by their names."""
    found: dict[str, Placer] = {}
    if not any(isinstance(node, ast.ClassDef) for node in ctx.tree.body):
        return found
    for name, bindings in ctx.module.top.bindings.items():
        made = bindings[0].node if len(bindings) == 1 else None
        node = _class(ctx, made) if isinstance(made, ast.Assign) and len(made.targets) == 1 else None
        if node is None or name in ctx.pinned or node.name in ctx.pinned:
            continue
        assert isinstance(made, ast.Assign)
        methods = {m.name: Function(m, False) for m in node.body if isinstance(m, ast.FunctionDef)}
        spaces = {key: where for key, m in methods.items() if (where := space(m.node, names)) is not None}
        kernels = _kernels(ctx, names, functions, bindings[0], frozenset(spaces)) if spaces else None
        if kernels and not any(f.node is m.node for f in functions.values() for m in methods.values()):
            found[name] = Placer(made, node, methods, spaces, kernels)
    return found


def _class(ctx: FileContext, made: ast.Assign) -> ast.ClassDef | None:
    """The class of an object made of literals, when nothing else is made of it and it is a plain one."""
    call = made.value
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or made not in ctx.tree.body:
        return None
    bindings = ctx.module.top.bindings.get(call.func.id, [])
    node = bindings[0].node if len(bindings) == 1 else None
    if not isinstance(node, ast.ClassDef) or node not in ctx.tree.body or node.decorator_list:
        return None
    literal = all(isinstance(a, ast.Constant) for a in (*call.args, *(k.value for k in call.keywords)))
    bases = [ast.unparse(base) for base in (*node.bases, *node.keywords)]
    plain = all(_is_plain(statement) for statement in node.body)
    alone = [use.links[0] for use in _uses(ctx, bindings[0])] == [call.func]
    return node if literal and plain and alone and bases in ([], ["object"]) else None


def _is_plain(statement: ast.stmt) -> bool:
    """Whether it is a method without decorators, or a docstring."""
    if isinstance(statement, ast.FunctionDef):
        return not statement.decorator_list
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _uses(ctx: FileContext, binding: Binding) -> list[Use]:
    """Where the name of something at the top of the file is read."""
    found = []
    for use in ctx.module.by_name.get(binding.name, ()):
        owner = ctx.module.lookup(use.name, use.scope)
        stored = isinstance(use.links[0], ast.Name) and isinstance(use.links[0].ctx, ast.Store)
        if owner is not None and owner[0] is ctx.module.top and not stored:
            found.append(use)
    return found


def _kernels(
    ctx: FileContext,
    names: Names,
    functions: Mapping[str, Function],
    binding: Binding,
    placing: frozenset[str],
) -> frozenset[str] | None:
    """The kernels that use an object to place tiles; None when it has any other use."""
    found = set()
    for use in _uses(ctx, binding):
        method, call = use.links[1:3] if len(use.links) == 3 else (None, None)
        if not isinstance(method, ast.Attribute) or method.attr not in placing:
            return None
        kernel = next((n for n, f in functions.items() if _places(f, names, call)), None)
        if kernel is None:
            return None
        found.add(kernel)
    return frozenset(found)


def _places(function: Function, names: Names, call: ast.AST | None) -> bool:
    """Whether a call is the ``buffer=`` of a tile that a kernel, which no other calls, allocates."""
    keyword = function.nodes.parents.get(call) if call is not None else None
    around = function.nodes.parents.get(keyword) if isinstance(keyword, ast.keyword) else None
    if not isinstance(keyword, ast.keyword) or not isinstance(around, ast.Call):
        return False
    named = keyword.arg == "buffer" and names.short(around.func) in _ALLOCATED
    return named and function.kernel and not function.callers


def made_in(found: Mapping[str, Placer], ctx: FileContext, function: Function) -> list[str]:
    """The statements at the start of a kernel that make the objects which place its tiles."""
    return [ctx.segment(p.made) for p in found.values() if function.node.name in p.kernels]
