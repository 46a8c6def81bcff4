"""Signatures as data, binding of call forms to them, and the proof that a rewritten call means the same.

Nothing is imported or executed: a signature is the text of a release table, a call form is what the
syntax tree shows. Binding follows the language reference (section "Calls").
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence

from .model import EditCall
from .record import cached_property, record


class Unbindable(Exception):
    """A call form that does not bind to a signature, or cannot be decided; the text says why."""


@record
class Signature:
    """A parameter list as written in source, e.g. ``(a, b=None, *, c=1)``; parsed when first asked for."""

    text: str

    @cached_property
    def _arguments(self) -> ast.arguments:
        tree = ast.parse(f"lambda {self.text.strip()[1:-1]}: 0", mode="eval")
        assert isinstance(tree.body, ast.Lambda)
        return tree.body.args

    @cached_property
    def positional(self) -> tuple[str, ...]:
        """Names that can be passed by position, in order."""
        return tuple(a.arg for a in (*self._arguments.posonlyargs, *self._arguments.args))

    @cached_property
    def keyword_only(self) -> tuple[str, ...]:
        return tuple(a.arg for a in self._arguments.kwonlyargs)

    @cached_property
    def names(self) -> tuple[str, ...]:
        return self.positional + self.keyword_only

    @cached_property
    def known(self) -> frozenset[str]:
        """The names, to look one up."""
        return frozenset(self.names)

    @cached_property
    def defaults(self) -> Mapping[str, str]:
        """Parameters with a default → its source text."""
        args = self._arguments
        tail = self.positional[len(self.positional) - len(args.defaults) :]
        found = {n: ast.unparse(d) for n, d in zip(tail, args.defaults, strict=True)}
        found.update(
            {a.arg: ast.unparse(d) for a, d in zip(args.kwonlyargs, args.kw_defaults, strict=True) if d}
        )
        return found

    @cached_property
    def required(self) -> tuple[str, ...]:
        args = self._arguments
        needed = self.positional[: len(self.positional) - len(args.defaults)]
        named = (a.arg for a, d in zip(args.kwonlyargs, args.kw_defaults, strict=True) if d is None)
        return (*needed, *named)

    @property
    def open_positional(self) -> bool:
        return self._arguments.vararg is not None

    @property
    def open_keywords(self) -> bool:
        return self._arguments.kwarg is not None


@record
class CallForm:
    """The shape of a call's argument list.

    Attributes:
        positional: for each positional argument how many parameters it fills: 1, the known length of a
            starred literal, or None for a starred expression of unknown length.
        keywords: keyword names in order, None for ``**mapping``.
        first: parameters already filled in front by :func:`functools.partial`.
        frozen: keyword names already given by :func:`functools.partial`.
        unfinished: whether more arguments come later (the call of ``partial`` itself).
    """

    positional: tuple[int | None, ...]
    keywords: tuple[str | None, ...]
    first: int = 0
    frozen: tuple[str, ...] = ()
    unfinished: bool = False

    @cached_property
    def bound(self) -> dict[str, dict[str, int] | str]:
        """What has been found out about binding it, by the text of the signature."""
        return {}

    @property
    def complete(self) -> bool:
        """Whether every argument's place is known."""
        return None not in self.positional and None not in self.keywords

    def reach(self) -> int:
        """How many leading parameters are surely filled by position (up to the first unknown star)."""
        count = self.first
        for width in self.positional:
            if width is None:
                return count
            count += width
        return count


def first_break(old: Signature, new: Signature, renamed: Mapping[str, str]) -> int | None:
    """The first position that means another parameter in ``new``; None when all old positions keep their
    meaning.
    """
    for index, name in enumerate(old.positional):
        if index >= len(new.positional) or new.positional[index] != renamed.get(name, name):
            return index
    return None


def bind(signature: Signature, form: CallForm) -> dict[str, int]:
    """Parameter → ordinal of the argument that fills it (positional arguments first, then keywords).

    Arguments frozen by a partial are not listed. Raises :class:`Unbindable`. The rules ask for the same again
    and again: a form is bound once to each signature.
    """
    found = form.bound.get(signature.text)
    if found is None:
        found = form.bound[signature.text] = _bound(signature, form)
    if isinstance(found, str):
        raise Unbindable(found)
    return found


def _bound(signature: Signature, form: CallForm) -> dict[str, int] | str:
    """What :func:`bind` gives, or why it gives nothing."""
    bound: dict[str, int] = {}
    place = form.first
    for ordinal, width in enumerate(form.positional):
        if width is None:
            return "a starred argument of unknown length stands among the positional arguments"
        for _ in range(width):
            if place >= len(signature.positional):
                return f"more positional arguments than the {len(signature.positional)} parameters"
            bound[signature.positional[place]] = ordinal
            place += 1
    taken = {*signature.positional[: form.first], *form.frozen}
    for ordinal, name in enumerate(form.keywords, start=len(form.positional)):
        if name is None:
            continue
        if name not in signature.known:
            return f"it has no parameter named {name!r}"
        if name in bound or name in signature.positional[: form.first]:
            return f"{name!r} is given twice"
        bound[name] = ordinal
    taken |= bound.keys()
    missing = [n for n in signature.required if n not in taken]
    if missing and None not in form.keywords and not form.unfinished:
        return f"it misses {', '.join(missing)}"
    return bound


def may_bind(signature: Signature, form: CallForm) -> bool:
    """Whether the arguments can be bound to the parameters, whatever the starred ones hold."""
    known = tuple(width or 0 for width in form.positional)
    open_ended = form.unfinished or None in form.positional
    found = _bound(signature, CallForm(known, form.keywords, form.first, form.frozen, open_ended))
    return not isinstance(found, str)


def edited(form: CallForm, edit: EditCall) -> CallForm:
    """The form a call has once ``edit`` is applied (added keywords last)."""
    keyed = dict(edit.keywords)
    renamed = dict(edit.renamed)
    kept = tuple(w for i, w in enumerate(form.positional) if i not in keyed and i not in edit.dropped)
    named = tuple(name for _, name in sorted(edit.keywords))
    rest = tuple(renamed.get(k, k) if k else k for k in form.keywords if k not in edit.dropped)
    added = tuple(name for name, _ in edit.added)
    return CallForm(kept, named + rest + added, form.first, form.frozen, form.unfinished)


def prove(
    old: Signature, new: Signature, form: CallForm, edit: EditCall, renamed: Mapping[str, str]
) -> str | None:
    """Why the edited call may not mean what the old one meant; None when it is proven.

    Proven means: every argument that stays fills the same parameter (by its new name), arguments keep
    their order of evaluation, only the dropped ones disappear, and the added ones fill parameters that
    the old signature did not have or that the old call left alone.
    """
    try:
        before = bind(old, form)
        after = bind(new, edited(form, edit))
    except Unbindable as error:
        return str(error)
    order = _order_after(form, edit)
    if order is None:
        return "keywords would change the order in which arguments are evaluated"
    gone = set(edit.dropped)
    expected = {renamed.get(n, n): o for n, o in before.items() if n not in gone and o not in gone}
    added = {name for name, _ in edit.added}
    actual = {n: order[o] for n, o in after.items() if n not in added}
    if expected != actual:
        odd = sorted(expected.keys() ^ actual.keys()) or sorted(
            n for n in expected if expected[n] != actual[n]
        )
        return f"{', '.join(odd)} would not receive the same value"
    return None


def _order_after(form: CallForm, edit: EditCall) -> list[int] | None:
    """For each argument of the edited call the ordinal it had before; None when their order would change."""
    keyed = {i for i, _ in edit.keywords}
    count = len(form.positional)
    kept = [i for i in range(count) if i not in keyed and i not in edit.dropped]
    named = sorted(keyed)
    if kept and named and kept[-1] > named[0]:
        return None
    rest = [count + i for i, k in enumerate(form.keywords) if k is None or k not in edit.dropped]
    return kept + named + rest


def positional_from(form: CallForm, start: int, names: Sequence[str]) -> tuple[tuple[int, str], ...]:
    """Keywords for all positional arguments that fill parameter ``start`` or a later one.

    Raises :class:`Unbindable` when an argument that reaches there is starred.
    """
    pairs: list[tuple[int, str]] = []
    place = form.first
    for index, width in enumerate(form.positional):
        if width is None:
            raise Unbindable(f"the starred argument may reach positional index {start}")
        if place + width > start:
            if width != 1:
                raise Unbindable(f"the starred argument reaches positional index {start}")
            if place >= len(names):
                raise Unbindable(f"more positional arguments than the {len(names)} parameters")
            pairs.append((index, names[place]))
        place += width
    return tuple(pairs)
