"""Programs of a launch grid that become loops inside the kernel, and parameters that it returns."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from ...trees import walk
from ..analysis import values as v
from ..analysis.refusal import Refused
from ..analysis.symbols import Sym, ceil_div
from ..lowering.registry import LOWERINGS
from . import carried, statements
from .arithmetic import combined
from .environment import Loop
from .hoisting import hoisted
from .values import VIRTUAL
from .walker import Walker

_CALLS = ("nl.program_id", "nl.num_programs", "nl.program_ndim")
_ALLOCATIONS = frozenset(f"nl.{name}" for name in ("ndarray", "zeros", "ones", "full", "empty_like"))


def walked(w: Walker, node: ast.FunctionDef, after: int, indent: str) -> list[str]:
    """The lines of a kernel's body: with loops around what programs did, and with further results."""
    body = node.body
    if not w.function.plan.grid:
        lines = statements.block(w, body, after, indent)
        return lines if isinstance(body[-1], ast.Return) else lines + _result(w, indent)
    first = next((i for i, s in enumerate(body) if _is_of_programs(w, s)), len(body))
    last = len(body) - isinstance(body[-1], ast.Return)
    lines = statements.block(w, body[:first], after, indent) if first else []
    end = (body[first - 1].end_lineno or 0) if first else after
    if first < last:
        lines += _loops(w, body[first:last], end, indent)
        end = body[last - 1].end_lineno or 0
    if last < len(body):
        return lines + statements.block(w, body[last:], end, indent)
    return lines + _result(w, indent)


def _is_of_programs(w: Walker, node: ast.stmt) -> bool:
    """Whether each program does it for itself: it has to do with its number, or with tiles of its own."""
    return _uses_programs(w, node) or any(
        isinstance(inner, ast.Call) and _works(w, inner) and not _is_shared(w, inner) for inner in walk(node)
    )


def _works(w: Walker, call: ast.Call) -> bool:
    """Whether it is an allocation, or an operation on tiles."""
    name = w.names.short(call.func)
    ours = isinstance(call.func, ast.Name) and call.func.id in w.module.functions
    return ours or name in LOWERINGS or name in _ALLOCATIONS


def _uses_programs(w: Walker, node: ast.AST) -> bool:
    return any(isinstance(n, ast.Call) and w.names.short(n.func) in _CALLS for n in walk(node))


def _loops(w: Walker, nodes: Sequence[ast.stmt], after: int, indent: str) -> list[str]:
    """Loops over the programs around statements."""
    body, left = w.function.node.body, carried.left(nodes).values()
    ahead = hoisted(
        body, nodes, lambda node: _is_of_programs(w, node), lambda node: _shared(w, node), [*left]
    )
    lines = statements.block(w, ahead, after, indent, nodes) if ahead else []
    nodes = [node for node in nodes if node not in ahead]
    for node in nodes:
        _check(w, node)
    for name, statement in carried.left(nodes).items():
        if name in w.env.values and not isinstance(w.env.values[name], VIRTUAL):
            w.refused(statement, Refused("M-LOOP", v=name))
    counters = carried.counters(w, nodes, places=False)
    before, first = carried.again(w, counters)
    w.programs = tuple(_name(w, nodes, axis) for axis in range(len(w.function.plan.grid)))
    lead, after = _leading(w, nodes[0], after)
    lines += [*lead, *(indent + line for line in before)]
    for name, extent in zip(w.programs, w.function.plan.grid, strict=True):
        lines.append(f"{indent}for {name} in nl.affine_range({extent}):")
        indent += w.unit
        w.env.bind(name, v.Unknown(name))
        sym = w.env.atom(name)
        w.env.values[name] = v.Scalar(name, sym)
        size = _size(w, ast.parse(extent, mode="eval").body) or w.env.atom(extent)
        w.env.facts.loop(sym, 0, size)
        loop = Loop(None, name, False, sym, Sym.constant(0), size, Sym.constant(1))
        w.env.loops = (*w.env.loops, loop)
    w.shared.needs.add("nl")
    carried.enter(w, counters)
    lines += [indent + line for line in first]
    lines += statements.block(w, nodes, after, indent, ahead)
    w.env.loops = ()
    return lines


def _size(w: Walker, node: ast.expr) -> Sym | None:
    """The extent of a grid's axis, in terms of the kernel's parameters, as an integer."""
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return Sym.constant(node.value)
    if isinstance(node, ast.Name):
        value = w.env.values.get(node.id)
        return value.sym if isinstance(value, v.Scalar) else None
    if isinstance(node, ast.Subscript):  # x.shape[0]
        return w.env.of_tensor(ast.unparse(node))
    if isinstance(node, ast.BinOp):
        left, right = _size(w, node.left), _size(w, node.right)
        return None if left is None or right is None else combined(node.op, left, right)
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "math.ceil":
        (quotient,) = node.args
        if isinstance(quotient, ast.BinOp) and isinstance(quotient.op, ast.Div):
            left, right = _size(w, quotient.left), _size(w, quotient.right)
            return None if left is None or right is None else ceil_div(left, right)
    return None


def _leading(w: Walker, node: ast.stmt, after: int) -> tuple[list[str], int]:
    """Blank lines above the first statement stay above the loops."""
    lines = w.lines.between(after + 1, node.lineno - 1)
    count = 0
    while count < len(lines) and not lines[count].strip():
        count += 1
    return lines[:count], after + count


def _name(w: Walker, nodes: Sequence[ast.stmt], axis: int) -> str:
    """The variable that the kernel itself keeps a program's number in, or a new one."""
    for node in nodes:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            call = node.value
            if isinstance(call, ast.Call) and w.names.short(call.func) == "nl.program_id":
                given = [*call.args, *(k.value for k in call.keywords)]
                name = node.targets[0].id
                numbered = given and isinstance(given[0], ast.Constant) and given[0].value == axis
                if numbered and name not in w.env.often:
                    return name
    return w.shared.fresh("program" if len(w.function.plan.grid) == 1 else f"program_{'xyzw'[axis % 4]}")


def _check(w: Walker, node: ast.stmt) -> None:
    """What programs share must be allocated before the loops."""
    for inner in walk(node):
        if _is_shared(w, inner):
            w.refused(inner, Refused("M-GRID", grid=", ".join(w.function.plan.grid)))


def _is_shared(w: Walker, node: ast.AST) -> bool:
    """Whether it allocates what all programs see."""
    if not isinstance(node, ast.Call) or w.names.short(node.func) not in _ALLOCATIONS:
        return False
    buffers = [k.value for k in node.keywords if k.arg == "buffer"]
    return any(w.names.short(b) in ("nl.shared_hbm", "nl.hbm") for b in buffers)


def _shared(w: Walker, node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and _is_shared(w, node.value)


def is_settled(w: Walker, test: ast.expr) -> bool:
    """Whether it asks for the number of a grid's axes, which are loops now, and that is right."""
    if not w.function.plan.grid or not isinstance(test, ast.Compare) or not isinstance(test.ops[0], ast.Eq):
        return False
    sides = [test.left, *test.comparators]
    asked = [s for s in sides if isinstance(s, ast.Call) and w.names.short(s.func) == "nl.program_ndim"]
    said = [s.value for s in sides if isinstance(s, ast.Constant)]
    return len(sides) == 2 and len(asked) == 1 and said == [len(w.function.plan.grid)]


def _result(w: Walker, indent: str) -> list[str]:
    """The return statement of a kernel that had none and wrote to its parameters."""
    names = w.function.plan.returned
    return [f"{indent}return {', '.join(names)}"] if names else []


def returned(w: Walker, spelled: str) -> str:
    """What a return statement gives, with the parameters that are written in place."""
    more = list(w.function.plan.returned)
    if not more:
        return spelled
    own = [] if spelled in ("", "None") else [spelled.strip("()") if _is_tuple(spelled) else spelled]
    return ", ".join([*own, *more])


def _is_tuple(spelled: str) -> bool:
    return isinstance(ast.parse(spelled, mode="eval").body, ast.Tuple)
