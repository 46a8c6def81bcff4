"""Operations that callers hand to kernels: names of ``nl`` instead of functions of NumPy."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ...model import ReplaceCode
from ..lowering.instructions import NOT_OPERATIONS
from ..lowering.tokens import numpy_token
from ..reasons import Change, Reason, Work
from ..translate.parameters import Uses
from .kernels import Kernels, Launch

CODE = "NKL208"
_NUMPY = "numpy."


def operations(kernels: Kernels) -> Work:
    """What launches pass for parameters that are operations of instructions."""
    work = Work()
    for name, node in kernels.functions.items():
        taken = Uses(kernels.module.functions[name], kernels.names, kernels.module.functions).operations()
        if not taken or not kernels.launched(name):
            continue
        mine = kernels.launches_of[name]
        for launch in mine:
            work += Work(tuple(_renamed(kernels, launch, node, taken)))
        if kernels.escapes(name) or not mine:
            place = next(a for a in _arguments(node) if a.arg in taken)
            work += Work(notes=(Reason(place, "M-HANDED", {"p": ", ".join(sorted(taken))}),))
    return work


def _arguments(node: ast.FunctionDef) -> list[ast.arg]:
    return [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]


def _renamed(
    kernels: Kernels, launch: Launch, node: ast.FunctionDef, taken: frozenset[str]
) -> Iterator[Change]:
    positional = [a.arg for a in (*node.args.posonlyargs, *node.args.args)]
    given = [*zip(positional, launch.call.args, strict=False)]
    given += [(k.arg or "", k.value) for k in launch.call.keywords]
    for parameter, argument in given:
        qualified = kernels.names.qualified(argument)
        token = numpy_token(qualified.removeprefix(_NUMPY)) if qualified.startswith(_NUMPY) else None
        if parameter in taken and token is not None and token.name not in NOT_OPERATIONS:
            old = kernels.ctx.segment(argument)
            edit = ReplaceCode(kernels.ctx.source.span(argument), old, token.name)
            yield Change(argument, CODE, f"instructions take `{token.name}`, not `{old}`", (edit,))
