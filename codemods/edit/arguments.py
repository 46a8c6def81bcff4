"""Argument lists with other keywords, fewer arguments, more arguments; the rest as it was written.

libcst gets the list with a stand-in for every value: it knows where white space, comments and commas belong,
and what the values are does not matter for that, however large or deep they are.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import count

import libcst as cst

from ..model import EditCall
from .calls import CallChange
from .layout import NOTHING, CommentInTheWay, Entry, Layout, append, without
from .locate import parse
from .refusal import EditRefused
from .segments import code, parse_expression

_EQUAL = cst.AssignEqual(NOTHING, NOTHING)


@dataclass(frozen=True, slots=True)
class Value:
    """An argument's value: its code, and whether other arguments or a keyword put parentheses around it."""

    text: str
    alone: bool = False


def edit_arguments(gaps: Sequence[str], values: Sequence[Value], change: CallChange, edit: EditCall) -> str:
    """The argument list after the change, from its opening to its closing parenthesis.

    ``gaps`` is what stands before, between and behind the ``values``, one more than these.

    Raises:
        EditRefused: a comment would be lost, or the code is not what libcst reads.
    """
    text, stand_in = _skeleton(gaps, {*change.keywords.values(), *(name for name, _ in change.added)})
    call = parse_expression(edit, f"_{text}")
    if not isinstance(call, cst.Call) or len(call.args) != len(values):
        raise EditRefused(edit, "libcst reads other arguments there")
    _check_comments(call.args, values, change, edit, text)
    args = tuple(_named(arg, change.keywords.get(index)) for index, arg in enumerate(call.args))
    try:
        layout = without(Layout(call.whitespace_before_args, tuple(map(_entry, args))), change.dropped)
    except CommentInTheWay as error:
        raise EditRefused(edit, "a comment stands between a dropped argument and its comma") from error
    for number, (name, _) in enumerate(change.added, len(values)):
        layout = append(layout, cst.Arg(cst.Name(f"{stand_in}{number}_"), cst.Name(name), equal=_EQUAL))
    single = len(layout.entries) == 1
    finals = [_final(arg, value, single) for arg, value in zip(args, values, strict=True)]
    finals += [_checked(name, value, edit) for name, value in change.added]
    new = code(_call(call, layout), text)[1:]
    return re.sub(rf"{stand_in}(\d+)_", lambda match: finals[int(match[1])], new)


def _skeleton(gaps: Sequence[str], keywords: Iterable[str]) -> tuple[str, str]:
    """The list with a name for each value, and how only these names start."""
    around = "".join((*gaps, *keywords))
    stand_in = next(name for name in (f"_{number}_" for number in count()) if name not in around)
    named = (f"{gap}{stand_in}{number}_" for number, gap in enumerate(gaps[:-1]))
    return "".join((*named, gaps[-1])), stand_in


def _check_comments(
    args: Sequence[cst.Arg], values: Sequence[Value], change: CallChange, edit: EditCall, text: str
) -> None:
    """A comment between a keyword and its value goes with them, and so does one in parentheses."""
    for index in change.dropped:
        inside = code(_arg(replace(_entry(args[index]), comma=False, after=NOTHING)), text)
        if "#" in inside or ("#" in values[index].text and not _is_string(values[index].text)):
            raise EditRefused(edit, "a dropped argument contains a comment")


def _is_string(text: str) -> bool:
    return isinstance(ast.literal_eval(text), str) if text[-1] in "'\"" and "\n" not in text else False


def _named(arg: cst.Arg, name: str | None) -> cst.Arg:
    """The argument with another keyword, if ``name`` is one."""
    if name is None:
        return arg
    if arg.keyword is not None:
        return arg.with_changes(keyword=arg.keyword.with_changes(value=name))
    return arg.with_changes(keyword=cst.Name(name), equal=_EQUAL)


def _final(arg: cst.Arg, value: Value, single: bool) -> str:
    """The value's code, with the parentheses it needs next to others or behind a keyword."""
    bare = value.alone and not arg.value.lpar and not (single and arg.keyword is None)
    return f"({value.text})" if bare else value.text


def _entry(arg: cst.Arg) -> Entry[cst.Arg]:
    if isinstance(arg.comma, cst.Comma):
        return Entry(arg, arg.comma.whitespace_before, True, arg.comma.whitespace_after)
    return Entry(arg, NOTHING, False, arg.whitespace_after_arg)


def _arg(entry: Entry[cst.Arg]) -> cst.Arg:
    if entry.comma:
        comma = cst.Comma(entry.before_comma, entry.after)
        return entry.item.with_changes(comma=comma, whitespace_after_arg=NOTHING)
    return entry.item.with_changes(comma=cst.MaybeSentinel.DEFAULT, whitespace_after_arg=entry.after)


def _call(call: cst.Call, layout: Layout[cst.Arg]) -> cst.Call:
    return call.with_changes(whitespace_before_args=layout.first, args=tuple(map(_arg, layout.entries)))


def _checked(name: str, value: str, edit: EditCall) -> str:
    """``value``, provided that ``name=value`` is one argument."""
    try:
        (statement,) = parse(f"_({name}={value})").body
    except SyntaxError as error:
        raise EditRefused(edit, f"{name}={value} is no argument: {error.msg}") from error
    match statement:
        case ast.Expr(value=ast.Call(func=ast.Name(), args=[], keywords=[ast.keyword()])):
            return value
    raise EditRefused(edit, f"{name}={value} is no single argument")
