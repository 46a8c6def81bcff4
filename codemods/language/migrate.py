"""The language step of one file: all of it, or the reasons why not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..analysis.context import FileContext
from ..model import Finding, Outcome
from . import host
from .lowering.messages import MESSAGES
from .reasons import Change, Reason, Work
from .step import LanguageStep
from .translate.module import language_module, translated

GROUP = "language"
"""Findings of a file's kernels and of what surrounds them are carried out together."""


def findings(ctx: FileContext, step: LanguageStep) -> Iterator[Finding]:
    """What becomes of each place, or why the file stays as it is: every reason, not only the first."""
    work = migrated(ctx, step)
    if work.reasons:
        yield from _told(ctx, work.reasons, Outcome.NEEDS_YOU)
        return
    for change in work.changes:
        yield ctx.finding(change.code, change.node, change.text, edits=change.edits, group=GROUP)
    yield from _told(ctx, work.notes, Outcome.NOTED)
    yield from _told(ctx, work.left, Outcome.NEEDS_YOU)


def migrated(ctx: FileContext, step: LanguageStep) -> Work:
    """Everything that the step does to a file."""
    module = language_module(ctx, step)
    work = host.before(module)
    work += translated(module)
    return work + host.after(module, work)


def _told(ctx: FileContext, reasons: Iterable[Reason], outcome: Outcome) -> Iterator[Finding]:
    for reason in dict.fromkeys((r.node, r.message, tuple(sorted(r.fields.items()))) for r in reasons):
        node, key, fields = reason
        message = MESSAGES[key]
        text = message.text.format_map(_Fields(fields))
        what, _, then = text.partition(". ")
        yield ctx.finding(message.code, node, what.rstrip("."), outcome=outcome, step=then or text)


class _Fields(dict[str, str]):
    """Fields of a message; one that is not given shows as its name."""

    def __missing__(self, key: str) -> str:
        return key


__all__ = ["Change", "findings", "migrated"]
