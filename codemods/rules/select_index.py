"""NumPy integers where a Python int is required now.

What it does
    Wraps the index in ``int(…)`` where it is proven to be an integer of NumPy's and the object a view. Where
    one of both is likely only, the call is reported.

Why
    The new release takes anything but an ``int`` for an index that is known at run time only: the offset
    stays zero, without an error.

Before
        import numpy as np
        from nkilib.core.utils.tensor_view import TensorView

        view = TensorView(tensor)
        rows = [view.select(0, i) for i in np.arange(4)]

After
        import numpy as np
        from nkilib.core.utils.tensor_view import TensorView

        view = TensorView(tensor)
        rows = [view.select(0, int(i)) for i in np.arange(4)]

When it stays silent
    For Python ints, for tensors, and for an index of which nothing is known.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..analysis import values as v
from ..analysis.context import FileContext
from ..analysis.scopes import Use
from ..model import Finding, Wrap
from ..numpy_values import Number, number
from ..receivers import Receiver, receiver
from ..release import TypeChange
from ..sight import uses_type

CODE = "NKM304"


def check(ctx: FileContext) -> Iterator[Finding]:
    """One finding for each index that is a NumPy integer."""
    if b"numpy" not in ctx.source.utf8:
        return
    for kind in ctx.release.types.values():
        if kind.integers and uses_type(ctx, kind.name):
            for use in ctx.module.uses:
                yield from _calls(ctx, kind, use)


def _calls(ctx: FileContext, kind: TypeChange, use: Use) -> Iterator[Finding]:
    for index, link in enumerate(use.links[1:], 1):
        method = use.links[index - 1]
        if not isinstance(link, ast.Call) or not isinstance(method, ast.Attribute):
            continue
        if method.attr not in kind.integers or index < 2:
            continue
        owner = ctx.evaluator.use(use, index - 1)
        unbound = owner == v.Symbol(kind.name)
        parameter, position = kind.integers[method.attr]
        argument = _argument(link, parameter, position + unbound)
        if argument is not None:
            verdict = Receiver.SURE if unbound else receiver(ctx, owner, kind.name)
            yield from _index(ctx, use, kind, argument, verdict, ctx.segment(method.value))


def _argument(call: ast.Call, parameter: str, position: int) -> ast.expr | None:
    named = [keyword.value for keyword in call.keywords if keyword.arg == parameter]
    before = call.args[: position + 1]
    if named or len(before) <= position or any(isinstance(a, ast.Starred) for a in before):
        return named[0] if named else None
    return before[position]


def _index(
    ctx: FileContext, use: Use, kind: TypeChange, node: ast.expr, verdict: Receiver, owner: str
) -> Iterator[Finding]:
    what = number(ctx, use, node)
    if verdict is Receiver.OTHER or what not in {Number.NUMPY, Number.EITHER, Number.ARRAY}:
        return
    text = ctx.segment(node)
    short = kind.name.rpartition(".")[2]
    if verdict is Receiver.SURE and what is not Number.ARRAY:
        yield ctx.finding(
            CODE,
            node,
            f"`{text}` is an integer of NumPy's, and {short} takes only an `int` for a fixed index now",
            edits=[Wrap(ctx.source.span(node), "int({})")],
        )
    else:
        sure = "" if verdict is Receiver.SURE else f", and `{owner}` may be a {short}"
        message = f"`{text}` may be an integer of NumPy's, which is no index for a {short} now{sure}"
        yield ctx.needs_you(CODE, node, message, f"Write `int({text})` if it is a number.")
