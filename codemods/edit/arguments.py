"""Argument lists with other keywords, fewer arguments, more arguments; the rest as it was written."""

from __future__ import annotations

import libcst as cst

from ..model import EditCall
from .calls import CallChange
from .layout import NOTHING, CommentInTheWay, Entry, Layout, append, without
from .refusal import EditRefused
from .segments import code, parse_expression

_ANY = cst.Name("_")
_EQUAL = cst.AssignEqual(NOTHING, NOTHING)
_BARE = (cst.GeneratorExp, cst.NamedExpr)
"""Values that a lone argument may be without parentheses, but not one of several or one with a keyword."""


def edit_arguments(text: str, change: CallChange, edit: EditCall) -> str:
    """The argument list ``text``, from its opening to its closing parenthesis, after the change.

    Raises:
        EditRefused: a comment would be lost, or the code is not what libcst reads.
    """
    call = parse_expression(edit, f"_{text}")
    assert isinstance(call, cst.Call)
    layout = _layout(call)
    _check_comments(layout, change, edit, text)
    layout = Layout(
        layout.first,
        tuple(_named(entry, change.keywords.get(index)) for index, entry in enumerate(layout.entries)),
    )
    try:
        layout = without(layout, change.dropped)
    except CommentInTheWay as error:
        raise EditRefused(edit, "a comment stands between a dropped argument and its comma") from error
    for name, value in change.added:
        layout = append(_parenthesised(layout), _argument(name, value, edit))
    return code(_call(call, layout), text)[1:]


def _layout(call: cst.Call) -> Layout[cst.Arg]:
    return Layout(call.whitespace_before_args, tuple(map(_entry, call.args)))


def _entry(arg: cst.Arg) -> Entry[cst.Arg]:
    if isinstance(arg.comma, cst.Comma):
        return Entry(arg, arg.comma.whitespace_before, True, arg.comma.whitespace_after)
    return Entry(arg, NOTHING, False, arg.whitespace_after_arg)


def _call(call: cst.Call, layout: Layout[cst.Arg]) -> cst.Call:
    return call.with_changes(whitespace_before_args=layout.first, args=tuple(map(_arg, layout.entries)))


def _arg(entry: Entry[cst.Arg]) -> cst.Arg:
    if entry.comma:
        comma = cst.Comma(entry.before_comma, entry.after)
        return entry.item.with_changes(comma=comma, whitespace_after_arg=NOTHING)
    return entry.item.with_changes(comma=cst.MaybeSentinel.DEFAULT, whitespace_after_arg=entry.after)


def _named(entry: Entry[cst.Arg], name: str | None) -> Entry[cst.Arg]:
    if name is None:
        return entry
    arg = entry.item
    if arg.keyword is not None:
        arg = arg.with_changes(keyword=arg.keyword.with_changes(value=name))
    else:
        arg = _closed(arg).with_changes(keyword=cst.Name(name), equal=_EQUAL)
    return Entry(arg, entry.before_comma, entry.comma, entry.after)


def _closed(arg: cst.Arg) -> cst.Arg:
    """With parentheses around a value that needs them next to others."""
    if not isinstance(arg.value, _BARE) or arg.value.lpar:
        return arg
    return arg.with_changes(value=arg.value.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()]))


def _parenthesised(layout: Layout[cst.Arg]) -> Layout[cst.Arg]:
    entries = (Entry(_closed(e.item), e.before_comma, e.comma, e.after) for e in layout.entries)
    return Layout(layout.first, tuple(entries))


def _argument(name: str, value: str, edit: EditCall) -> cst.Arg:
    call = parse_expression(edit, f"_({name}={value})")
    if not isinstance(call, cst.Call) or len(call.args) != 1 or call.args[0].keyword is None:
        raise EditRefused(edit, f"{value!r} is no single argument")
    return call.args[0]


def _check_comments(layout: Layout[cst.Arg], change: CallChange, edit: EditCall, text: str) -> None:
    for index in change.dropped:
        arg = layout.entries[index].item
        value = "_" if isinstance(arg.value, cst.SimpleString) else code(arg.value, text)
        if "#" in value + code(_arg(Entry(arg.with_changes(value=_ANY), NOTHING, False, NOTHING)), text):
            raise EditRefused(edit, "a dropped argument contains a comment")
