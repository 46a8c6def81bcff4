"""The dialect check of one file as findings."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..analysis.context import FileContext
from ..language.rules import nki_call, nki_language, nki_name
from ..language.step import LanguageStep
from ..model import Finding, Outcome
from .calls import Found, odd_launches, silent_changes, unfit_calls, unknown_names
from .checker import Breach, Module, check_class, check_function
from .kernels import find

_DOUBTFUL = "Write it another way if the compiler refuses it."
_REFUSED = "Change it before the kernel is compiled for the release."


def dialect_findings(ctx: FileContext, step: LanguageStep, wants: Callable[[str], bool]) -> Iterator[Finding]:
    """What kernels of a file that imports ``nki`` have that the language has not, or means otherwise."""
    module = Module(ctx.tree)
    if not any(name == step.root or name.startswith(f"{step.root}.") for name in module.imports.values()):
        return
    for finding in _all(ctx, module, step):
        if wants(finding.code):
            yield finding


def _all(ctx: FileContext, module: Module, step: LanguageStep) -> Iterator[Finding]:
    kernels = find(module)
    for function in kernels.functions:
        yield from (_breach(ctx, breach, function.name) for breach in check_function(function, module))
    for definition in kernels.classes:
        yield from (_breach(ctx, breach, definition.name) for breach in check_class(definition, module))
    for found in unknown_names(module, step):
        yield _finding(ctx, nki_name.CODE, found)
    for found in odd_launches(kernels, module):
        yield _finding(ctx, nki_call.CODE, found)
    for function in kernels.functions:
        for found in (*unfit_calls(function, module, step), *silent_changes(function, module)):
            yield _finding(ctx, nki_call.CODE, found)


def _breach(ctx: FileContext, breach: Breach, where: str) -> Finding:
    """A construct; what the sources do not settle is a note."""
    outcome = Outcome.NEEDS_YOU if breach.is_error else Outcome.NOTED
    start = ctx.source.offset(breach.line, breach.column)
    line, column = ctx.source.position(start)
    message = f"in `{where}`: {breach.text}"
    step = _REFUSED if breach.is_error else _DOUBTFUL
    return Finding(nki_language.CODE, ctx.path, line, column, line, column + 1, outcome, message, step)


def _finding(ctx: FileContext, code: str, found: Found) -> Finding:
    start, end = ctx.source.span(found.node)
    line, column = ctx.source.position(start)
    end_line, end_column = ctx.source.position(end)
    return Finding(
        code, ctx.path, line, column, end_line, end_column, Outcome.NEEDS_YOU, found.message, found.step
    )
