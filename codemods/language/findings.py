"""What the language step says of a file: everything it changes, or every reason why it changes nothing."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping

from ..analysis.context import FileContext
from ..edit.lines import owns_lines
from ..elsewhere import Kernel, Seen
from ..model import LANGUAGE, Finding, InsertBefore, Outcome, Span
from ..private_kernels import home, is_enumeration, is_free, uses_private_kernels
from ..record import replace
from ..trees import children
from . import host
from .migrate import of_module
from .reasons import Change, Reason, Work
from .step import LanguageStep
from .translate.module import language_module
from .translate.plan import LanguageModule
from .wording import has_marks, mark, worded

_MARKED = (
    "Write the marked places of this file by hand and take their comments away; nkimigrate then goes on."
)


def language_findings(
    ctx: FileContext,
    step: LanguageStep,
    wants: Callable[[str], bool],
    elsewhere: Mapping[str, Kernel] | None = None,
    launches: Mapping[str, frozenset[Seen]] | None = None,
    partial: bool = False,
) -> Iterator[Finding]:
    """The findings of one file.

    Args:
        ctx: the file, as the library's rules see it.
        step: what changed in the language.
        wants: which codes were chosen. A file is not rewritten when it takes a change that was not.
        elsewhere: kernels of other files as this one spells them.
        launches: for kernels of this file that others use, the grids they launch them with.
        partial: rewrite what can be, and mark by a comment each place that needs a person. A file that has
            such marks already stays as it is until they are gone.
    """
    module = _surveyed(ctx, step, elsewhere or {})
    module.launches = launches or {}
    module.marked_before = has_marks(ctx.source.text)
    module.partial = partial and not module.marked_before
    yield from _of_module(ctx, module, wants)
    host.forget(module)


def _of_module(ctx: FileContext, module: LanguageModule, wants: Callable[[str], bool]) -> Iterator[Finding]:
    own = ctx.memory["language kernels"]
    assert isinstance(own, dict)
    private = (home(ctx.release, i.target) for i in ctx.imports)
    parted = any(b.name.startswith(host.PREFIX) for b in module.ctx.module.imports)
    others = not module.functions and not parted
    if others and any(e and not is_enumeration(e) and not is_free(ctx, e) for e in private):
        # The compiler's own kernels are launched in the old way; NKM401 says what becomes of them.
        yield from _said(ctx, host.with_others(module), wants)
        return
    work = of_module(module) + _private(ctx, module)
    ctx.memory["language kernels"] = {
        n: Kernel(False) if n in work.staying else work.kernels.get(n, Kernel(True)) for n in own
    }
    if work.reasons and not module.partial:
        found = [_needs_you(ctx, reason) for reason in work.reasons]
        found += [f for f in _said(ctx, host.with_others(module), wants) if f.edits]
    elif module.marked_before:
        found = [
            ctx.needs_you(c.code, c.node, f"waits for the marked places: {c.text}", _MARKED)
            for c in work.changes
        ]
    else:
        chosen = all(wants(change.code) for change in work.changes)
        found = [_changed(ctx, change) for change in work.changes if chosen]
        found += [_noted(ctx, reason) for reason in work.notes if chosen]
        found += [_needs_you(ctx, reason) for reason in work.left if not _reported(ctx, reason)]
        found += [_needs_you(ctx, reason) for reason in work.reasons]
        found += [f for reason in work.reasons if chosen for f in _marked(ctx, module, reason)]
    yield from (f for f in dict.fromkeys(found) if wants(f.code))


def language_survey(
    ctx: FileContext, step: LanguageStep, elsewhere: Mapping[str, Kernel]
) -> Iterator[Finding]:
    """Nothing to be said, but what other files need to know: the kernels of a file, and how it launches those
    of others.
    """
    host.forget(_surveyed(ctx, step, elsewhere))
    yield from ()


def _surveyed(ctx: FileContext, step: LanguageStep, elsewhere: Mapping[str, Kernel]) -> LanguageModule:
    """A file's kernels, noted down for other files as ones that stay, with how it launches theirs."""
    module = language_module(_context(ctx, step), step)
    module.elsewhere = elsewhere
    top = set(ctx.tree.body)
    own = [name for name, function in module.functions.items() if function.node in top]
    ctx.memory["language kernels"] = dict.fromkeys(own, Kernel(False))
    ctx.memory["language launches"] = host.launched(module)
    return module


def _context(ctx: FileContext, step: LanguageStep) -> FileContext:
    """The file with the names of the old language; scopes are the same."""
    own = FileContext(
        ctx.path, ctx.source, ctx.tree, step.resolution, ctx.name, ctx.package, pinned=ctx.pinned
    )
    own.module = ctx.module
    return own


def _private(ctx: FileContext, module: LanguageModule) -> Work:
    """Kernels of the compiler that a file uses: what its own kernels use keeps it as it is, others stay."""
    if not uses_private_kernels(ctx):
        return Work()
    found = [
        b
        for b in module.ctx.module.imports
        if (entry := home(ctx.release, ctx.target(b))) and not entry.exact
    ]
    kernels = host.kernels_of(module)
    work = Work()
    for binding in found:
        uses = module.ctx.module.by_name.get(binding.name, ())
        inside = any(kernels.in_language(use.links[0]) for use in uses)
        if binding.alias:
            reason = Reason(binding.alias, "M-INTERNAL", {"name": ctx.target(binding)})
            work += Work(reasons=(reason,)) if inside else Work(left=(reason,))
    return work


def _reported(ctx: FileContext, reason: Reason) -> bool:
    """Whether NKM401 has the place."""
    return reason.message == "M-INTERNAL" and home(ctx.release, reason.fields["name"]) is not None


# -- findings -----------------------------------------------------------------------------------------


def _changed(ctx: FileContext, change: Change) -> Finding:
    return ctx.finding(change.code, change.node, change.text, edits=change.edits, group=LANGUAGE)


def _said(ctx: FileContext, work: Work, wants: Callable[[str], bool]) -> Iterator[Finding]:
    """What becomes of launches of other files' kernels in a file that stays as it is otherwise."""
    changed = (replace(_changed(ctx, change), group="") for change in work.changes)
    yield from (f for f in (*changed, *(_needs_you(ctx, r) for r in work.reasons)) if wants(f.code))


def _noted(ctx: FileContext, reason: Reason) -> Finding:
    code, message, step = _text(ctx, reason)
    return ctx.finding(code, reason.node, message, outcome=Outcome.NOTED, step=step)


def _needs_you(ctx: FileContext, reason: Reason) -> Finding:
    code, message, step = _text(ctx, reason)
    return ctx.needs_you(code, reason.node, message, step)


def _marked(ctx: FileContext, module: LanguageModule, reason: Reason) -> Iterator[Finding]:
    """The comment at a place outside of the kernels' bodies, which have theirs already."""
    if (reason.message, id(reason.node)) in module.marked or not hasattr(reason.node, "lineno"):
        return
    code, said, _ = _text(ctx, reason)
    around = [s for s in _around(ctx, ctx.source.span(reason.node)) if _can_be_headed(ctx, s)]
    if around:
        statement = max(around, key=lambda s: _begin(ctx, s))
        edit = InsertBefore(ctx.source.span(statement), tuple(mark(reason, ctx.segment(reason.node))))
        yield ctx.finding(code, statement, f"marked: {said}", edits=(edit,), group=LANGUAGE)


def _around(ctx: FileContext, place: Span) -> list[ast.stmt]:
    """The statements that a place stands in, from the outside to the inside."""
    found: list[ast.stmt] = []
    pending: list[ast.AST] = [ctx.tree]
    while pending:
        for node in children(pending.pop()):
            inside = not isinstance(node, ast.expr)
            if isinstance(node, ast.stmt):
                inside = _begin(ctx, node) <= place[0] and place[1] <= ctx.source.span(node)[1]
                found += [node] if inside else []
            pending += [node] if inside else []
    return found


def _begin(ctx: FileContext, statement: ast.stmt) -> int:
    """Where a statement begins, with its decorators."""
    return min(ctx.source.span(n)[0] for n in (statement, *getattr(statement, "decorator_list", ())))


def _can_be_headed(ctx: FileContext, statement: ast.stmt) -> bool:
    """Whether a comment can stand in front of a statement, in lines of its own."""
    span = ctx.source.span(statement)
    return owns_lines(ctx.source.utf8, span) and not ctx.source.utf8.startswith(b"elif", span[0])


def _text(ctx: FileContext, reason: Reason) -> tuple[str, str, str]:
    return worded(reason, ctx.segment(reason.node))
