"""Changed parameters behind something that hides which argument goes where.

What it does
    Reports calls whose ``**`` argument may hold keywords that have another name now, wrappers that hand any
    arguments on to a kernel whose positions changed, calls through such wrappers, calls of what such a kernel
    may be that was stored in an attribute or a container, kernels that something keeps, expectations of mocks
    in a kernel's place, and code that looks at a changed signature itself.

Why
    Nothing at these places shows which arguments are given, so nothing can be rewritten there.

Before
        from nkilib.core.mlp.mlp_tkg.mlp_tkg_utils import input_fused_add


        def add(**options):
            return input_fused_add(**options)

After
    Unchanged, with the keywords to look for where ``options`` is made.

When it stays silent
    When the callable only got new parameters with defaults and no position changed its meaning, when the keys
    are known (then they are renamed, or right already), and for wrappers that are seen through.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..analysis import values as v
from ..analysis.context import FileContext, once
from ..analysis.scopes import Scope, Use
from ..changed_parameters import changed_value
from ..model import Finding, Outcome
from ..sight import calls_with_mappings
from ..trees import last_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..escapes import HandedOn, Reached
    from ..expected_calls import Expected
    from ..handed_over import Hidden
    from ..keyword_dicts import Splat

CODE = "NKM207"
_READERS = {
    "inspect.signature",
    "inspect.getfullargspec",
    "inspect.getcallargs",
    "unittest.mock.create_autospec",
    "mock.create_autospec",
}
_PLAIN = {"staticmethod", "classmethod", "property", "cached_property"}
_DETAILS = {"__code__", "__defaults__", "__kwdefaults__", "__signature__"}


def check(ctx: FileContext) -> Iterator[Finding]:
    """One finding for each such place."""
    if calls_with_mappings(ctx):
        yield from _mappings(ctx)
    if any(changed_value(ctx, ctx.evaluator.use(use)) for use in ctx.uses):
        yield from _handed_over(ctx)
    if ctx.texts:
        yield from _expectations(ctx)
    yield from _getters(ctx)
    yield from _inspected(ctx)


def _mappings(ctx: FileContext) -> Iterator[Finding]:
    from ..keyword_dicts import splats

    for splat in splats(ctx)[1]:
        yield _mapping(ctx, splat)


def _mapping(ctx: FileContext, splat: Splat) -> Finding:
    lost = ", ".join(f"`{name}`" for name in splat.lost)
    renamed = splat.form.renamed
    todo = (f"rename `{n}` to `{renamed[n]}`" if n in renamed else f"remove `{n}`" for n in splat.lost)
    message = f"the `**` argument may hold {lost}, which `{splat.name}` does not take any more"
    return ctx.needs_you(CODE, splat.call.node, message, f"Where the mapping is made, {', '.join(todo)}.")


# -- kernels given to other functions -------------------------------------------------------------------


def _handed_over(ctx: FileContext) -> Iterator[Finding]:
    """Kernels that are named and not called there."""
    from ..escapes import HandedOn, escapes
    from ..handed_over import hidden_calls

    said: set[ast.AST] = set()
    for hidden in hidden_calls(ctx):
        said.add(hidden.node)
        yield _hidden(ctx, hidden)
    for escape in escapes(ctx):
        if isinstance(escape, HandedOn):
            yield from _handed_on(ctx, escape)
        elif escape.node not in said:
            yield _reached(ctx, escape)


def _expectations(ctx: FileContext) -> Iterator[Finding]:
    from ..expected_calls import expected_calls

    for expected in expected_calls(ctx):
        yield _expected(ctx, expected)


def _hidden(ctx: FileContext, hidden: Hidden) -> Finding:
    name, through = hidden.changed.name, hidden.through
    message = f"`{through}` hands arguments on to `{name}`, of which {hidden.changed.summary}"
    step = f"Pass what reaches `{name}` through `{through}` by keyword from there on."
    return ctx.needs_you(CODE, hidden.node, message, step)


def _reached(ctx: FileContext, reached: Reached) -> Finding:
    name, changed = ctx.segment(reached.callee), reached.changed
    message = f"`{name}` may be `{changed.name}`, which was stored there, and of which {changed.summary}"
    step = f"If it is `{changed.name}`, pass what is affected by its name of today."
    return ctx.needs_you(CODE, reached.node, message, step)


def _handed_on(ctx: FileContext, handed: HandedOn) -> Iterator[Finding]:
    changed, through = handed.changed, ctx.segment(handed.through)
    if changed.start is not None and not changed.name[:1].isupper():
        message = f"`{changed.name}` is given to `{through}`, and of it {changed.summary}"
        step = "Wherever it is called then, pass these by keyword."
        yield ctx.finding(CODE, handed.node, message, outcome=Outcome.NOTED, step=step)


def _expected(ctx: FileContext, expected: Expected) -> Finding:
    name, changed = ctx.segment(expected.text), expected.changed
    callee = f"`{changed.name}`, which is patched here"
    message = f"`{name}` may expect a call of {callee}, and of which {changed.summary}"
    step = f"If it is about `{changed.name}`, expect what the migrated call passes."
    return ctx.needs_you(CODE, expected.node, message, step)


def _getters(ctx: FileContext) -> Iterator[Finding]:
    """Functions that return a kernel and are decorated, or a module's ``__getattr__``: whoever calls what
    they give calls the kernel.
    """
    for stmt in ctx.module.bodies:
        if not isinstance(stmt, ast.FunctionDef):
            continue
        if not any(map(_hiding, stmt.decorator_list)) and stmt.name != "__getattr__":
            continue
        for use in _returning(ctx).get(ctx.module.scope_of.get(stmt), ()):
            found = changed_value(ctx, ctx.evaluator.use(use))
            if found is not None and found.start is not None:
                message = f"`{stmt.name}` returns `{found.name}`, of which {found.summary}"
                step = f"Where the result of `{stmt.name}` is called, pass these by keyword."
                yield ctx.finding(CODE, use.top, message, outcome=Outcome.NOTED, step=step)


def _hiding(decorator: ast.expr) -> bool:
    return last_name(decorator) not in _PLAIN


@once
def _returning(ctx: FileContext) -> dict[Scope | None, list[Use]]:
    """What the functions of the file return, by their scope."""
    found: dict[Scope | None, list[Use]] = {}
    for use in ctx.uses:
        if isinstance(use.stmt, ast.Return) and use.stmt.value is use.top:
            found.setdefault(use.scope, []).append(use)
    return found


# -- code that looks at a signature -----------------------------------------------------------------------


def _inspected(ctx: FileContext) -> Iterator[Finding]:
    for call in ctx.calls:
        known = isinstance(call.callee, v.Symbol) and call.callee.name in _READERS
        if known and call.node.args:
            yield from _read(ctx, call.node, ctx.evaluator.at(call.node.args[0], call.use))
    for attribute in ctx.attributes:
        if attribute.node.attr in _DETAILS:
            yield from _read(ctx, attribute.node, attribute.owner)


def _read(ctx: FileContext, node: ast.expr, value: v.Value) -> Iterator[Finding]:
    found = changed_value(ctx, value)
    if found is not None:
        message = f"`{ctx.segment(node)}` reads the parameters of `{found.name}`, of which {found.summary}"
        step = f"Compare what relies on it with `{found.change.signature.text}`."
        yield ctx.needs_you(CODE, node, message, step)
