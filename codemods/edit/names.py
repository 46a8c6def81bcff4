"""The layout of import statements: other module, other names, fewer names, more names."""

from __future__ import annotations

from collections.abc import Sequence

import libcst as cst

from ..model import Edit
from .imports import ImportChange
from .layout import BLANK, NOTHING, CommentInTheWay, Entry, Layout, append, without
from .refusal import EditRefused
from .segments import code, parse_statement


def edit_import(text: str, change: ImportChange, edit: Edit) -> str:
    """The import statement ``text`` after the change, which leaves it at least one name.

    Raises:
        EditRefused: a comment would be lost, or the code is not what libcst reads.
    """
    statement = _statement(text, edit)
    if change.module is not None and isinstance(statement, cst.ImportFrom):
        statement = _from(statement, change.module, edit)
    if change.names or change.removed:
        layout = _layout(statement, edit)
        entries = (_renamed(entry, change.names.get(i), edit) for i, entry in enumerate(layout.entries))
        try:
            layout = without(Layout(layout.first, tuple(entries)), change.removed)
        except CommentInTheWay as error:
            raise EditRefused(edit, "a comment stands between a removed name and its comma") from error
        statement = _with(statement, layout)
    return code(statement, text)


def add_names(text: str, names: Sequence[str], edit: Edit) -> str:
    """The import statement ``text`` with more names, each ``name`` or ``name as alias``, at its end."""
    statement = _statement(text, edit)
    layout = _layout(statement, edit)
    for name in names:
        layout = append(layout, _alias(name, edit))
    return code(_with(statement, layout), text)


def _statement(text: str, edit: Edit) -> cst.Import | cst.ImportFrom:
    statement = parse_statement(edit, text)
    assert isinstance(statement, cst.Import | cst.ImportFrom)
    return statement


def _from(statement: cst.ImportFrom, module: str, edit: Edit) -> cst.ImportFrom:
    """The statement importing from another module, with the blanks that the new one needs."""
    new = _statement(f"from {module} import _", edit)
    assert isinstance(new, cst.ImportFrom)
    space, before = statement.whitespace_after_from, statement.whitespace_before_import
    return statement.with_changes(
        module=new.module,
        relative=new.relative,
        whitespace_after_from=BLANK if space.empty else space,
        whitespace_before_import=BLANK if before.empty else before,
    )


def _layout(statement: cst.Import | cst.ImportFrom, edit: Edit) -> Layout[cst.ImportAlias]:
    names = statement.names
    if isinstance(names, cst.ImportStar):
        raise EditRefused(edit, "the statement imports everything")
    if isinstance(statement, cst.Import):
        return Layout(statement.whitespace_after_import, tuple(_entry(alias, NOTHING) for alias in names))
    closing = statement.rpar.whitespace_before if statement.rpar else NOTHING
    first = statement.lpar.whitespace_after if statement.lpar else statement.whitespace_after_import
    return Layout(first, tuple(_entry(alias, closing) for alias in names))


def _entry(alias: cst.ImportAlias, closing: cst.BaseParenthesizableWhitespace) -> Entry[cst.ImportAlias]:
    if isinstance(alias.comma, cst.Comma):
        return Entry(alias, alias.comma.whitespace_before, True, alias.comma.whitespace_after)
    return Entry(alias, NOTHING, False, closing)


def _with(
    statement: cst.Import | cst.ImportFrom, layout: Layout[cst.ImportAlias]
) -> cst.Import | cst.ImportFrom:
    names = [
        entry.item.with_changes(
            comma=cst.Comma(entry.before_comma, entry.after) if entry.comma else cst.MaybeSentinel.DEFAULT
        )
        for entry in layout.entries
    ]
    last = layout.entries[-1]
    if isinstance(statement, cst.Import) or statement.lpar is None or statement.rpar is None:
        return statement.with_changes(names=names, whitespace_after_import=layout.first)
    closing = NOTHING if last.comma else last.after
    return statement.with_changes(
        names=names,
        lpar=statement.lpar.with_changes(whitespace_after=layout.first),
        rpar=statement.rpar.with_changes(whitespace_before=closing),
    )


def _renamed(entry: Entry[cst.ImportAlias], name: str | None, edit: Edit) -> Entry[cst.ImportAlias]:
    """With another name; the spacing of an ``as`` stays."""
    if name is None:
        return entry
    new, old = _alias(name, edit), entry.item
    asname = new.asname
    if old.asname is not None and asname is not None:
        asname = old.asname.with_changes(name=asname.name)
    item = old.with_changes(name=new.name, asname=asname)
    return Entry(item, entry.before_comma, entry.comma, entry.after)


def _alias(name: str, edit: Edit) -> cst.ImportAlias:
    statement = _statement(f"import {name}", edit)
    if isinstance(statement.names, cst.ImportStar) or len(statement.names) != 1:
        raise EditRefused(edit, f"{name!r} is no single name")
    return statement.names[0]
