"""What the language step says of a file: everything it changes, or every reason why it changes nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping

from ..analysis.context import FileContext
from ..model import LANGUAGE, Finding, Outcome
from ..private_kernels import home, uses_private_kernels
from .lowering.messages import MESSAGES
from .migrate import of_module
from .reasons import Change, Reason, Work
from .step import LanguageStep
from .translate.module import language_module
from .translate.plan import LanguageModule

_BY_HAND = "Write this place for the new language by hand; nkimigrate then migrates the rest of the file."


def language_findings(
    ctx: FileContext,
    step: LanguageStep,
    wants: Callable[[str], bool],
    elsewhere: Mapping[str, bool] | None = None,
) -> Iterator[Finding]:
    """The findings of one file.

    Args:
        ctx: the file, as the library's rules see it.
        step: what changed in the language.
        wants: which codes were chosen. A file is not rewritten when it takes a change that was not.
        elsewhere: kernels of other files as this one spells them, and whether they are migrated.
    """
    module = language_module(_context(ctx, step), step)
    module.elsewhere = elsewhere or {}
    ctx.memory["language kernels"] = tuple(n for n, f in module.functions.items() if f.node in ctx.tree.body)
    if uses_private_kernels(ctx) and not module.functions:
        return  # the compiler's own kernels are launched in the old way; NKM401 says what becomes of them
    work = of_module(module) + _private(ctx, module)
    if work.reasons:
        found = [_needs_you(ctx, reason) for reason in work.reasons]
    else:
        chosen = all(wants(change.code) for change in work.changes)
        found = [_changed(ctx, change) for change in work.changes if chosen]
        found += [_noted(ctx, reason) for reason in work.notes if chosen]
        found += [_needs_you(ctx, reason) for reason in work.left if not _reported(ctx, reason)]
    yield from (f for f in dict.fromkeys(found) if wants(f.code))


def _context(ctx: FileContext, step: LanguageStep) -> FileContext:
    """The file with the names of the old language; scopes are the same."""
    own = FileContext(
        ctx.path, ctx.source, ctx.tree, step.resolution, ctx.name, ctx.package, pinned=ctx.pinned
    )
    own.module = ctx.module
    return own


def _private(ctx: FileContext, module: LanguageModule) -> Work:
    """Kernels of the compiler that a file with kernels of its own uses: they keep it as it is."""
    if not uses_private_kernels(ctx):
        return Work()
    found = [
        b
        for b in module.ctx.module.imports
        if (entry := home(ctx.release, ctx.target(b))) and not entry.exact
    ]
    return Work(
        reasons=tuple(Reason(b.alias, "M-INTERNAL", {"name": ctx.target(b)}) for b in found if b.alias)
    )


def _reported(ctx: FileContext, reason: Reason) -> bool:
    """Whether NKM401 has the place."""
    return reason.message == "M-INTERNAL" and home(ctx.release, reason.fields["name"]) is not None


# -- findings -----------------------------------------------------------------------------------------


def _changed(ctx: FileContext, change: Change) -> Finding:
    return ctx.finding(change.code, change.node, change.text, edits=change.edits, group=LANGUAGE)


def _noted(ctx: FileContext, reason: Reason) -> Finding:
    code, message, step = _text(ctx, reason)
    return ctx.finding(code, reason.node, message, outcome=Outcome.NOTED, step=step)


def _needs_you(ctx: FileContext, reason: Reason) -> Finding:
    code, message, step = _text(ctx, reason)
    return ctx.needs_you(code, reason.node, message, step)


def _text(ctx: FileContext, reason: Reason) -> tuple[str, str, str]:
    """Code, what is the matter, and the next step; a field that is not given is the place itself."""
    message = MESSAGES[reason.message]
    here = " ".join(ctx.segment(reason.node).split())
    fields = defaultdict(lambda: here, reason.fields)
    said, _, step = message.text.format_map(fields).partition(". ")
    return message.code, said.rstrip("."), step or _BY_HAND
