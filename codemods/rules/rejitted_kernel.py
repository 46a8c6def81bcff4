"""Kernels that the library jits itself now, jitted or called by kernels of your own.

What it does
    Takes a plain ``nki.jit`` off such a kernel. A jit with options keeps them and gets the function behind
    the library's own jit, ``kernel.__wrapped__``, which is noted. Calls of such a kernel from a jitted
    function of your own are reported.

Why
    What was a plain function is decorated with ``@nki.jit`` in the new release. Jitting it once more and
    calling one jitted kernel from another are not what the compiler is made for.

Before
        import nki
        from nkilib.core.attention.attention_cte import attention_cte

        cte = nki.jit(attention_cte)

After
        import nki
        from nkilib.core.attention.attention_cte import attention_cte

        cte = attention_cte

When it stays silent
    For kernels that were jitted before or are not now, for wrappers other than ``nki.jit``, and for launches
    and calls from the host.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..analysis import values as v
from ..analysis.context import Call, FileContext, Import
from ..jits import makes_jits, traced
from ..model import Finding, Outcome, Wrap

CODE = "NKM208"


def check(ctx: FileContext) -> Iterator[Finding]:
    """One finding for each jit of a jitted kernel, and each call of one from a jitted kernel."""
    for call in ctx.calls:
        if makes_jits(call.callee):
            for node in (*call.node.args, *(k.value for k in call.node.keywords)):
                yield from _jit(ctx, call, node)
        elif _jitted_now(ctx, _direct(call)) and traced(ctx, call.use.scope):
            yield _nested(ctx, call)


def _jitted_now(ctx: FileContext, value: v.Value) -> set[str]:
    """The newly jitted kernels that a value may be, be it jitted again or partly called."""
    found: set[str] = set()
    for option in v.options(value):
        if isinstance(option, v.Symbol) and option.name in ctx.release.newly_jitted:
            found.add(option.name)
        elif isinstance(option, v.Partial):
            found |= _jitted_now(ctx, option.function)
        elif isinstance(option, v.Jitted) and option.kernel is not None:
            found |= _jitted_now(ctx, option.kernel)
    return found


# -- jits ---------------------------------------------------------------------------------------------


def _jit(ctx: FileContext, call: Call, node: ast.expr) -> Iterator[Finding]:
    value = ctx.evaluator.at(node, call.use)
    names = _jitted_now(ctx, value)
    if not names:
        return
    text = ctx.segment(node)
    if not isinstance(value, v.Symbol):
        message = f"`{_short(names)}` is jitted by the library now, and `{text}` stands for it or holds it"
        step = f"Use `{_short(names)}` without your jit, or give that `{_short(names)}.__wrapped__`."
        yield ctx.needs_you(CODE, call.node, message, step)
    elif _plain(ctx, call, node):
        edit = Wrap(ctx.source.span(call.node), text)
        yield ctx.finding(
            CODE, call.node, f"`{text}` is jitted by the library now, without your jit", edits=[edit]
        )
    else:
        yield ctx.finding(
            CODE,
            call.node,
            f"`{text}` is jitted by the library now; your jit gets `{text}.__wrapped__`",
            outcome=Outcome.NOTED,
            step="The kernel can be used as it is where the options of your jit are not needed.",
            edits=[Wrap(ctx.source.span(node), "{}.__wrapped__")],
        )


def _plain(ctx: FileContext, call: Call, node: ast.expr) -> bool:
    """Whether the jit has no options, and nothing but the kernel's name has to stay of it."""
    maker = call.node.func if isinstance(call.node.func, ast.Call) else call.node
    made = call.callee if maker is call.node else ctx.evaluator.at(maker.func, call.use)
    known = isinstance(made, v.Symbol) and made.name.rpartition(".")[2] == "jit"
    bare = maker is call.node or not (maker.args or maker.keywords)
    alone = call.node.args == [node] and not call.node.keywords
    return known and bare and alone and "#" not in ctx.segment(call.node) and not _respelled(ctx, node)


def _respelled(ctx: FileContext, node: ast.expr) -> bool:
    """Whether the kernel is spelled by a dotted path that changes."""
    return isinstance(node, ast.Attribute) and any(_legacy_path(ctx, found, node) for found in ctx.imports)


def _legacy_path(ctx: FileContext, found: Import, node: ast.Attribute) -> bool:
    plain = isinstance(found.node, ast.Import) and not found.alias.asname
    return plain and f"{ctx.segment(node)}.".startswith(f"{found.local}.") and found.local != ctx.release.root


# -- calls from kernels -------------------------------------------------------------------------------


def _direct(call: Call) -> v.Value:
    """What is called, unless it is the undecorated function."""
    peeled = isinstance(call.node.func, ast.Attribute) and call.node.func.attr == "__wrapped__"
    launched = [o.kernel for o in v.options(call.callee) if isinstance(o, v.Launched)]
    if launched:
        return v.one_of(launched) if isinstance(call.node.func, ast.Subscript) else None
    return None if peeled else call.callee


def _nested(ctx: FileContext, call: Call) -> Finding:
    short = _short(_jitted_now(ctx, _direct(call)))
    message = f"`{short}` is jitted by the library now, and a jitted kernel calls it here"
    step = (
        f"Test this kernel on a device; where the compiler refuses it, call `{short}.__wrapped__(…)`, "
        "the function without the library's jit."
    )
    return ctx.needs_you(CODE, call.node, message, step)


def _short(names: set[str]) -> str:
    return ", ".join(sorted(name.rpartition(".")[2] for name in names))
