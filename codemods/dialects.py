"""Which dialect of the old release a call was written in: what its file's import roots and itself say."""

from __future__ import annotations

import ast

from .analysis.context import FileContext
from .record import replace
from .release import CallChange, OldForm
from .signature import CallForm, Signature, Unbindable, bind

Pair = tuple[CallChange, OldForm]


def fitting(ctx: FileContext, pairs: tuple[Pair, ...], form: CallForm) -> tuple[Pair, ...]:
    """The dialects the file may be written in that know all of the call's keywords; else others that do."""
    named = {k for k in form.keywords if k}
    possible = tuple(p for p in pairs if _possible(ctx, *p))
    if not named:
        return possible or pairs
    new = any(named <= change.signature.known for change, _ in pairs)
    knowing = tuple(p for p in pairs if named <= p[1].signature.known)
    both = tuple(p for p in possible if p in knowing)
    return both or (() if new else knowing) or possible or pairs


def likely(
    ctx: FileContext,
    pairs: tuple[Pair, ...],
    form: CallForm,
    arguments: list[ast.expr],
    keywords: list[ast.keyword],
) -> tuple[Pair, ...]:
    """The forms to try: those that the import root allows, unless the call itself speaks for others.

    Empty when the root says that the callable did not change since, and nothing speaks against that.
    """
    others = _ruled_out(ctx, pairs)
    fits = fitting(ctx, pairs, form)
    if not others:
        return fits
    evident = tuple(p for p in others if _speaks_old(*p, form, arguments, keywords))
    if evident:
        return evident
    if not any(binds(change.signature, form) or binds(old.signature, form) for change, old in fits):
        return tuple(p for p in others if binds(p[1].signature, form)) or fits
    return () if all(p in others for p in fits) and binds(fits[0][0].signature, form) else fits


def unclear_from(
    ctx: FileContext, pairs: tuple[Pair, ...], form: CallForm, arguments: list[ast.expr]
) -> int | None:
    """The first position that a dialect reads otherwise which only the file's root rules out; None if none.

    Once the root is rewritten nothing tells any more how such a position is meant.
    """
    starts = [
        old.first_break(change.signature)
        for change, old in _ruled_out(ctx, pairs)
        if not already_new(change, old, form, arguments) and (binds(old.signature, form) or not form.complete)
    ]
    return min((start for start in starts if start is not None), default=None)


def same_as_new(change: CallChange, old: OldForm) -> Pair:
    """The form of a dialect in which the callable is what it is in the new release."""
    nothing: dict[str, str] = {}
    return change, replace(
        old,
        name=change.name,
        signature=change.signature,
        renamed=nothing,
        added=nothing,
        dropped=nothing,
        flags={},
    )


def already_new(change: CallChange, old: OldForm, form: CallForm, arguments: list[ast.expr]) -> bool:
    """Whether the call is surely written for the new signature: by a new keyword, or by what stands at the
    break.
    """
    return old.name == change.name and speaks_new(change, old, form, arguments)


def speaks_new(change: CallChange, old: OldForm, form: CallForm, arguments: list[ast.expr]) -> bool:
    """Whether a keyword, or what stands at the break, evidently is the new signature's."""
    if any(k in change.signature.known and k not in old.signature.known for k in form.keywords):
        return True
    kind, before, after = _kinds_at_break(change, old, form, arguments)
    return bool(kind) and kind == after != before


def binds(signature: Signature, form: CallForm) -> bool:
    """Whether the arguments can be bound to the parameters."""
    try:
        bind(signature, form)
    except Unbindable:
        return False
    return True


def _possible(ctx: FileContext, change: CallChange, old: OldForm) -> bool:
    """Whether the file's import roots allow for a form; a name that only this form has says so itself."""
    if old.name != change.name or old.rewrite == "human":
        return True
    return ctx.release.dialect_possible(old.dialect, ctx.legacy_roots)


def _ruled_out(ctx: FileContext, pairs: tuple[Pair, ...]) -> tuple[Pair, ...]:
    """The forms that would be possible were it not for the legacy root that the file spells."""
    return tuple(
        (change, old)
        for change, old in pairs
        if not _possible(ctx, change, old) and ctx.release.dialect_possible(old.dialect, frozenset())
    )


def _speaks_old(
    change: CallChange,
    old: OldForm,
    form: CallForm,
    arguments: list[ast.expr],
    keywords: list[ast.keyword],
) -> bool:
    """Whether what stands at the break, or an argument or a value that is gone, evidently is the old
    signature's.
    """
    if any(k in old.dropped and k not in change.signature.known for k in form.keywords):
        return True
    if old.dropped and binds(old.signature, form) and dropped(old, form, arguments, keywords):
        return True
    kind, before, after = _kinds_at_break(change, old, form, arguments)
    return bool(kind) and kind == before != after


def dropped(
    old: OldForm, form: CallForm, arguments: list[ast.expr], keywords: list[ast.keyword]
) -> tuple[str | int, ...]:
    """Arguments whose value is the literal that may go: keywords by name, positional ones by index."""
    named = [k.arg for k in keywords if k.arg and old.dropped.get(k.arg) == ast.unparse(k.value)]
    bound = bind(old.signature, form)
    places = {p: bound[p] for p in old.dropped if bound.get(p, len(arguments)) < len(arguments)}
    by_place = [i for p, i in places.items() if ast.unparse(arguments[i]) == old.dropped[p]]
    return (*named, *by_place)


def _kinds_at_break(
    change: CallChange, old: OldForm, form: CallForm, arguments: list[ast.expr]
) -> tuple[str, str, str]:
    """What stands at the first position that changed, and what the old and the new signature take there."""
    start = old.first_break(change.signature)
    place = -1 if start is None else start - form.first
    if start is None or not 0 <= place < len(arguments) or form.reach() <= start:
        return "", "", ""
    new_name = change.signature.positional[start] if start < len(change.signature.positional) else ""
    after = change.signature.defaults.get(new_name) or old.added.get(new_name)
    before = old.signature.defaults.get(old.signature.positional[start])
    return _kind(arguments[place]), _default(before), _default(after)


def _default(text: str | None) -> str:
    return _kind(ast.parse(text, mode="eval").body) if text and "{" not in text else ""


def _kind(node: ast.expr) -> str:
    """What an argument evidently is: the enum it comes from, or the type of a literal; else ""."""
    if isinstance(node, ast.Attribute):
        owner = node.value
        return (
            owner.attr
            if isinstance(owner, ast.Attribute)
            else owner.id
            if isinstance(owner, ast.Name)
            else ""
        )
    if isinstance(node, ast.UnaryOp):
        return _kind(node.operand)
    if isinstance(node, ast.Constant) and node.value is not None:
        number = isinstance(node.value, int | float) and not isinstance(node.value, bool)
        return "number" if number else type(node.value).__name__
    return ""
