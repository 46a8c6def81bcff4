"""InsertBefore, ReplaceStatement, RemoveStatement and KeepBody."""

from __future__ import annotations

import pytest
from marked import KINDS, Edits, edited

from nkimigrate.codemods.edit import EditRefused
from nkimigrate.codemods.model import (
    Edit,
    EditImport,
    InsertBefore,
    KeepBody,
    RemoveStatement,
    Rename,
    ReplaceStatement,
    Span,
)


def insert(*lines: str) -> Edits:
    return lambda span: [InsertBefore(span, lines)]


def replace(code: str) -> Edits:
    return lambda span: [ReplaceStatement(span, code)]


INSERTED = {
    "top": ("a\n«b»\n", ("x = 1",), "a\nx = 1\nb\n"),
    "first": ("«b»\n", ("x = 1", "y = 2"), "x = 1\ny = 2\nb\n"),
    "block": ("if a:\n    «b»\n", ("x = 1", "y = 2"), "if a:\n    x = 1\n    y = 2\n    b\n"),
    "before its comment's line": ("# c\n«b»\n", ("x",), "# c\nx\nb\n"),
    "decorated": ("@a\n@c(1)\n«def f(): pass»\n", ("x",), "x\n@a\n@c(1)\ndef f(): pass\n"),
    "odd decorator": ("@ \\\na\n«class f: pass»\n", ("x",), "x\n@ \\\na\nclass f: pass\n"),
    "compound": (
        "if a:\n    «for b in c:\n        d»\n",
        ("x",),
        "if a:\n    x\n    for b in c:\n        d\n",
    ),
    "block of its own": (
        "def f():\n    «b»\n",
        ("if x:", "    y = '''", "  z'''", "", "    # more", "    w"),
        "def f():\n    if x:\n        y = '''\n  z'''\n\n        # more\n        w\n    b\n",
    ),
    "comments": ("if a:\n    «b»\n", ("# x", "", "#  y"), "if a:\n    # x\n\n    #  y\n    b\n"),
    "comment and code": ("if a:\n    «b»\n", ("# x", "y  # z"), "if a:\n    # x\n    y  # z\n    b\n"),
    "brackets": (
        "if a:\n    «b»\n",
        ("x = [", "    1,", "]"),
        "if a:\n    x = [\n        1,\n    ]\n    b\n",
    ),
    "statement with a comment": ("if a:\n    «b»  # c\n", ("x",), "if a:\n    x\n    b  # c\n"),
    "first of a line": ("«a»; b\n", ("x",), "x\na; b\n"),
    "in a case": (
        "match a:\n    case 1:\n        «b»\n",
        ("x",),
        "match a:\n    case 1:\n        x\n        b\n",
    ),
    "comment before a docstring": ("«'''Doc.'''»\n", ("# x",), "# x\n'''Doc.'''\n"),
}

REPLACED = {
    "line": ("a\n«b = 1»  # c\nd\n", "x = 2", "a\nx = 2  # c\nd\n"),
    "lines": ("if a:\n    «b(\n        1\n    )»\n", "x\ny", "if a:\n    x\n    y\n"),
    "by a block": (
        "if a:\n    «b»\n    c\n",
        "for x in y:\n    z = '''\n  w\n'''\n\n    v\n",
        "if a:\n    for x in y:\n        z = '''\n  w\n'''\n\n        v\n    c\n",
    ),
    "block": ("if a:\n    «if b:\n        c»\n", "x", "if a:\n    x\n"),
    "decorated": ("if a:\n    @b\n    «def f():\n        pass»\n", "@c\ndef f():\n    return 1", None),
    "decorated, span from its decorator": ("«@b\ndef f(): pass»\n", "x", "x\n"),
    "trailing semicolon": ("«a»;\nb\n", "x", "x;\nb\n"),
}

KEPT = {
    "import ladder": (
        "«try:\n    from a import b\nexcept ImportError:\n    from c import b»\nx\n",
        "from a import b\nx\n",
    ),
    "in a block": (
        "if x:\n    «try:\n        a\n        b\n    except A:\n        e\n    except:\n        e»\n    d\n",
        "if x:\n    a\n    b\n    d\n",
    ),
    "comments": (
        "«try:  # 1\n    # 2\n    a  # 3\n    # 4\nexcept A:  # 5\n    # 6\n    b»  # 7\nc\n",
        "# 1\n# 2\na  # 3\n# 4\nc\n",
    ),
    "strings and brackets": (
        "«try:\n    a = '''\n    b\n    ''' + (\n  c,\n        d)\nexcept A:\n    b»\n",
        "a = '''\n    b\n    ''' + (\n  c,\n    d)\n",
    ),
    "one line": ("«try: a; b\nexcept A: c»\n", "a; b\n"),
    "blank lines": ("«try:\n\n    a\n\n    b\n\nexcept A:\n\n    c»\n\n\nd\n", "\na\n\nb\n\n\nd\n"),
    "nested": (
        "«try:\n    «try:\n        a\n    except A:\n        b»\n    c\nexcept B:\n    d»\n",
        "a\nc\n",
    ),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("before", "lines", "after"), INSERTED.values(), ids=INSERTED)
def test_insertion(before: str, lines: tuple[str, ...], after: str, kind: str) -> None:
    if kind == "tabs":
        lines = tuple(line.replace("    ", "\t") for line in lines)
    assert edited(before, insert(*lines), kind) == KINDS[kind](after)


def test_insertions_keep_their_order() -> None:
    def edits(*spans: Span) -> list[Edit]:
        return [
            InsertBefore(spans[0], ("x",)),
            InsertBefore(spans[1], ("z",)),
            InsertBefore(spans[0], ("y",)),
        ]

    assert edited("«a»\n«b»\n", edits) == b"x\ny\na\nz\nb\n"


@pytest.mark.parametrize(
    ("before", "reason"),
    [
        ("a; «b»", "shares its line"),
        ("if a: «b»", "shares its line"),
        ("if a: \\\n  «b»", "shares its line"),
        ("a; \\\n«b»", "shares its line"),
        ("lambda: «b»", "no statement at this place"),
        ("if a:\n    b\nel«if c:\n    d»", "no statement at this place"),
        ("if a:\n    b\n«elif c:\n    d»", "the elif of another"),
        ("«'''Doc.'''»\nx", "before a docstring"),
        ("«from __future__ import annotations»", "before a docstring or a __future__ import"),
    ],
)
def test_insertion_refused(before: str, reason: str) -> None:
    with pytest.raises(EditRefused, match=reason):
        edited(before, insert("x = 1"))


def test_code_that_does_not_parse_is_not_inserted() -> None:
    with pytest.raises(EditRefused, match="the new code does not parse"):
        edited("if a:\n    «b»", insert("x = 1", "y ="))
    with pytest.raises(EditRefused, match="the result does not parse"):
        edited("«b»", insert("x ="))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("before", "code", "after"), REPLACED.values(), ids=REPLACED)
def test_replacement(before: str, code: str, after: str | None, kind: str) -> None:
    after = after or "if a:\n    @c\n    def f():\n        return 1\n"
    if kind == "tabs":
        code = code.replace("    ", "\t")
    assert edited(before, replace(code), kind) == KINDS[kind](after)


@pytest.mark.parametrize(
    ("before", "code", "reason"),
    [
        ("a; «b»", "x", "shares its line"),
        ("«a»; b", "x", "shares its line"),
        ("if a: «b»", "x", "shares its line"),
        ("if a:\n    b\n«elif c:\n    d»", "x", "the elif of another"),
        ("«a.b»()", "x", "no statement at this place"),
        ("«a»", " \n", "no code"),
    ],
)
def test_replacement_refused(before: str, code: str, reason: str) -> None:
    with pytest.raises(EditRefused, match=reason):
        edited(before, replace(code))


def test_nothing_is_edited_inside_of_what_is_replaced() -> None:
    def edits(outer: Span, inner: Span) -> list[Edit]:
        return [ReplaceStatement(outer, "x"), Rename(inner, "b", "c")]

    with pytest.raises(EditRefused, match="contradicts another edit: ReplaceStatement"):
        edited("«if a:\n    «b»»", edits)


def test_nothing_is_inserted_inside_of_what_is_replaced() -> None:
    def edits(outer: Span, inner: Span) -> list[Edit]:
        return [ReplaceStatement(outer, "x"), InsertBefore(inner, ("c",))]

    with pytest.raises(EditRefused, match="overlaps another change"):
        edited("«if a:\n    «b»»", edits)


REMOVED = {
    "between": ("a\n«b()»\nc\n", "a\nc\n"),
    "its comment goes too": ("if x:\n    «b()»  # why\n    c  # d\n", "if x:\n    c  # d\n"),
    "over several lines": ("if x:\n    a\n    «b(\n        1,\n    )»\nc\n", "if x:\n    a\nc\n"),
    "a comment before it stays": ("a\n# b\n«b()»\nc\n", "a\n# b\nc\n"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("before", "after"), REMOVED.values(), ids=REMOVED)
def test_removal(before: str, after: str, kind: str) -> None:
    assert edited(before, lambda span: [RemoveStatement(span)], kind) == KINDS[kind](after)


@pytest.mark.parametrize(
    ("before", "reason"),
    [
        ("if x:\n    «b()»\nc\n", "nothing would be left"),
        ("a; «b()»\n", "shares its line"),
        ("a\n«if b:\n    c»\n", "has a body"),
        ("a\nb(«c»)\n", "no statement"),
    ],
)
def test_removal_refused(before: str, reason: str) -> None:
    with pytest.raises(EditRefused, match=reason):
        edited(before, lambda span: [RemoveStatement(span)])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("before", "after"), KEPT.values(), ids=KEPT)
def test_body_kept(before: str, after: str, kind: str) -> None:
    assert edited(before, lambda *spans: map(KeepBody, spans), kind) == KINDS[kind](after)


def test_edits_of_the_kept_body_count_and_those_of_its_arms_do_not() -> None:
    before = "«try:\n    «from a import b, c»\n    ««x»(b)»\nexcept A:\n    «from d import b»»\n«y»\n"
    after = "import w\nfrom a import e\nimport v\nz\nz(b)\nz\n"

    def edits(block: Span, first: Span, second: Span, x: Span, arm: Span, y: Span) -> list[Edit]:
        return [
            InsertBefore(block, ("import w",)),
            KeepBody(block),
            EditImport(first, names=(("b", ""), ("c", "e")), also=("import v",)),
            InsertBefore(second, ("z",)),
            Rename(x, "x", "z"),
            EditImport(arm, names=(("b", ""),)),
            Rename(y, "y", "z"),
        ]

    assert edited(before, edits).decode() == after


@pytest.mark.parametrize(
    ("before", "reason"),
    [
        ("«try:\n    a\nexcept A:\n    b\nelse:\n    c»", "an else or a finally"),
        ("«try:\n    a\nfinally:\n    c»", "an else or a finally"),
        ("«a»", "no try statement"),
        ("if a: \\\n«b»", "no try statement"),
    ],
)
def test_body_not_kept(before: str, reason: str) -> None:
    with pytest.raises(EditRefused, match=reason):
        edited(before, lambda span: [KeepBody(span)])
