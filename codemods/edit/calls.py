"""What EditCalls mean for one particular call: which of its arguments gets which keyword, and which go."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce

from ..model import Edit, EditCall, Rename, Span
from ..source import Source
from .refusal import EditRefused

Argument = ast.expr | ast.keyword


@dataclass(frozen=True, slots=True)
class CallChange:
    """EditCalls resolved: arguments are counted in the order they are written in, of any kind.

    Attributes:
        keywords: argument → its keyword from now on.
        dropped: arguments that go.
        added: ``(name, expression)`` at the end.
    """

    keywords: dict[int, str] = field(default_factory=dict)
    dropped: frozenset[int] = frozenset()
    added: tuple[tuple[str, str], ...] = ()


def arguments(call: ast.Call) -> list[Argument]:
    """All arguments of a call in the order they are written in."""
    return sorted([*call.args, *call.keywords], key=lambda argument: (argument.lineno, argument.col_offset))


def resolve(call: ast.Call, edits: Sequence[EditCall]) -> CallChange:
    """One change for all EditCalls of a call.

    Raises:
        EditRefused: the call has not got what they name, they contradict one another, or the result would
            bind otherwise (a positional or starred argument behind a new keyword, a keyword twice).
    """
    written = arguments(call)
    change = reduce(lambda change, edit: _merged(change, edit, edits, call, written), edits, CallChange())
    _check_order(call, written, change, edits[-1])
    _check_names(written, change, edits[-1])
    return change


def _merged(
    change: CallChange, edit: EditCall, edits: Sequence[Edit], call: ast.Call, written: Sequence[Argument]
) -> CallChange:
    wanted = {written.index(_positional(call, index, edit)): name for index, name in edit.keywords}
    wanted |= {_keyword(written, old, edit): new for old, new in edit.renamed}
    dropped = change.dropped | {_argument(call, written, key, edit) for key in edit.dropped}
    keywords, added = {**change.keywords, **wanted}, dict(change.added)
    clash = any(wanted[index] != name for index, name in change.keywords.items() if index in wanted)
    clash |= any(added.get(name, value) != value for name, value in edit.added)
    if clash or dropped & keywords.keys():
        raise EditRefused(edit, f"the edits of one call contradict each other: {list(edits)}")
    return CallChange(keywords, dropped, tuple({**added, **dict(edit.added)}.items()))


def _positional(call: ast.Call, index: int, edit: EditCall) -> ast.expr:
    if not 0 <= index < len(call.args):
        raise EditRefused(edit, f"the call has no positional argument {index}")
    if isinstance(call.args[index], ast.Starred):
        raise EditRefused(edit, f"argument {index} is starred and cannot have a keyword")
    return call.args[index]


def _argument(call: ast.Call, written: Sequence[Argument], key: str | int, edit: EditCall) -> int:
    if isinstance(key, str):
        return _keyword(written, key, edit)
    return written.index(_positional(call, key, edit))


def _keyword(written: Sequence[Argument], name: str, edit: EditCall) -> int:
    for index, argument in enumerate(written):
        if isinstance(argument, ast.keyword) and argument.arg == name:
            return index
    raise EditRefused(edit, f"the call has no keyword argument {name!r}")


def _check_order(call: ast.Call, written: Sequence[Argument], change: CallChange, edit: EditCall) -> None:
    """Python binds positional arguments before keywords, wherever a starred one is written."""
    new = [argument in call.args and index in change.keywords for index, argument in enumerate(written)]
    for index, argument in enumerate(written):
        stays = argument in call.args and not new[index] and index not in change.dropped
        if stays and any(new[:index]):
            raise EditRefused(edit, "a positional or starred argument would follow a new keyword argument")


def _check_names(written: Sequence[Argument], change: CallChange, edit: EditCall) -> None:
    names = [
        change.keywords.get(index, argument.arg if isinstance(argument, ast.keyword) else None)
        for index, argument in enumerate(written)
        if index not in change.dropped
    ]
    names += [name for name, _ in change.added]
    for name in names:
        if name is not None and names.count(name) > 1:
            raise EditRefused(edit, f"the call would have the keyword argument {name!r} twice")


def dropped_spans(edit: EditCall, source: Source, call: ast.Call) -> list[Span]:
    """The spans of the arguments that the EditCall drops."""
    positional = [argument for index, argument in enumerate(call.args) if index in edit.dropped]
    named = [argument for argument in call.keywords if argument.arg in edit.dropped]
    return [source.span(argument) for argument in (*positional, *named)]


def renames_again(rename: Rename, edits: Sequence[Edit]) -> bool | None:
    """Whether the EditCalls of a call give a renamed keyword the same new name; None if none at all."""
    names = {dict(edit.renamed).get(rename.old) for edit in edits if isinstance(edit, EditCall)} - {None}
    return None if not names else names == {rename.new}
