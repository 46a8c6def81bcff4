"""What mocks in the place of changed callables are expected to have been called with."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .analysis import values as v
from .analysis.context import FileContext
from .changed_parameters import Changed, changed_value, shape
from .path_strings import PATCHERS
from .record import record
from .trees import last_name

_ASSERTIONS = {
    "assert_any_call",
    "assert_any_await",
    "assert_awaited_once_with",
    "assert_awaited_with",
    "assert_called_once_with",
    "assert_called_with",
}
_MOCKS = {"mock", "unittest.mock"}


@record
class Expected:
    """An expectation that the calls of the new release do not fulfil, if the mock stands for the callable."""

    node: ast.Call
    text: ast.expr
    changed: Changed


def expected_calls(ctx: FileContext) -> Iterator[Expected]:
    """The expectations of a file that patches changed callables, by what they were called with."""
    patched = [changed for each in _patched(ctx) if (changed := changed_value(ctx, each))]
    for use in ctx.module.uses if patched else ():
        for index, link in enumerate(use.links[1:], start=1):
            if isinstance(link, ast.Call) and _expects(ctx, use.links[index - 1]):
                found = (c for c in patched if c.concerns(*shape(link.args, link.keywords)))
                yield from (Expected(link, use.links[index - 1], changed) for changed in [*found][:1])
                break


def _expects(ctx: FileContext, callee: ast.expr) -> bool:
    if isinstance(callee, ast.Attribute):
        return callee.attr in _ASSERTIONS or (callee.attr == "call" and _imports(ctx, callee.value, _MOCKS))
    return _imports(ctx, callee, {f"{module}.call" for module in _MOCKS})


def _imports(ctx: FileContext, node: ast.expr, paths: set[str]) -> bool:
    """Whether a name is imported as one of the paths."""
    bindings = (b for b in ctx.module.imports if isinstance(node, ast.Name) and b.name == node.id)
    return any(ctx.target(binding) in paths for binding in bindings)


def _patched(ctx: FileContext) -> Iterator[v.Value]:
    """What ``patch("path")``, ``patch.object(module, "name")``, ``monkeypatch.setattr`` and such replace."""
    for text in ctx.texts:
        call = text.inside
        if not isinstance(call, ast.Call) or last_name(call.func) not in PATCHERS | {"object"}:
            continue
        if call.args[:1] == [text.node]:
            yield ctx.evaluator.symbol(text.value)
        elif call.args[1:2] == [text.node]:
            owner = ctx.evaluator.expression_in(call.args[0], text.scope, text.stmt)
            yield ctx.evaluator.attribute(owner, text.value)
