"""EditCall: keywords, renamed, dropped and added arguments."""

from __future__ import annotations

from typing import Any

import pytest
from marked import KINDS, Edits, edited

from nkimigrate.codemods.edit import EditRefused
from nkimigrate.codemods.model import Edit, EditCall, Rename, Span


def keywords(*wanted: tuple[int, str]) -> Edits:
    return lambda call: [EditCall(call, keywords=wanted)]


def dropped(*names: str) -> Edits:
    return lambda call: [EditCall(call, dropped=names)]


def added(*wanted: tuple[str, str]) -> Edits:
    return lambda call: [EditCall(call, added=wanted)]


KEYWORDS = {
    "one": ("«f(a, b)»\n", keywords((1, "y")), "f(a, y=b)\n"),
    "all": ("«f(a, b)»\n", keywords((0, "x"), (1, "y")), "f(x=a, y=b)\n"),
    "none wanted": ("«f(a, b)»\n", keywords(), "f(a, b)\n"),
    "before keywords": ("«f(a, b, k=1, **kw)»\n", keywords((1, "y")), "f(a, y=b, k=1, **kw)\n"),
    "odd spacing": ("«f ( a ,b , c  )»\n", keywords((1, "y"), (2, "z")), "f ( a ,y=b , z=c  )\n"),
    "trailing comma": ("«f(a, b,)»\n", keywords((1, "y")), "f(a, y=b,)\n"),
    "keyword behind its comment": (
        "«f(\n    a,  # about a\n    # about b\n    b,  # more on b\n)»\n",
        keywords((0, "x"), (1, "y")),
        "f(\n    x=a,  # about a\n    # about b\n    y=b,  # more on b\n)\n",
    ),
    "leading commas": ("«f(a  # a\n  , b)»\n", keywords((1, "y")), "f(a  # a\n  , y=b)\n"),
    "parenthesised value": ("«f(a, (\n    b))»\n", keywords((1, "y")), "f(a, y=(\n    b))\n"),
    "lambda and conditional": (
        "«f(lambda: 0, 1 if a else 2)»\n",
        keywords((0, "x"), (1, "y")),
        "f(x=lambda: 0, y=1 if a else 2)\n",
    ),
    "lone generator": ("«f(x for x in y)»\n", keywords((0, "x")), "f(x=(x for x in y))\n"),
    "named expression": ("«f(a, b := 1)»\n", keywords((1, "y")), "f(a, y=(b := 1))\n"),
    "already in parentheses": ("«f((b := 1))»\n", keywords((0, "y")), "f(y=(b := 1))\n"),
    "backslash": ("«f(a, \\\n  b)»\n", keywords((1, "y")), "f(a, \\\n  y=b)\n"),
    "callee in parentheses": ("«(f  # (\n)(a, b)»\n", keywords((1, "y")), "(f  # (\n)(a, y=b)\n"),
    "launch": ("x = «k[2](a, b)»\n", keywords((1, "y")), "x = k[2](a, y=b)\n"),
    "method chain": ("«v.a(1).b(2)»\n", keywords((0, "n")), "v.a(1).b(n=2)\n"),
    "call of a call": ("«jit(k)(a, b)»\n", keywords((1, "y")), "jit(k)(a, y=b)\n"),
    "keywords behind a star are none of ours": ("«f(k=1, *b)»\n", keywords(), "f(k=1, *b)\n"),
    "star behind what stays positional": ("«f(a, *b, k=c)»\n", keywords(), "f(a, *b, k=c)\n"),
    "decorator": ("@«f(a, b)»\ndef g(): pass\n", keywords((1, "y")), "@f(a, y=b)\ndef g(): pass\n"),
    "default": ("def g(x=«f(a, b)»): pass\n", keywords((1, "y")), "def g(x=f(a, y=b)): pass\n"),
    "with item": ("with «f(a, b)» as g: pass\n", keywords((1, "y")), "with f(a, y=b) as g: pass\n"),
    "guard": (
        "match x:\n    case 1 if «f(a, b)»:\n        pass\n",
        keywords((1, "y")),
        "match x:\n    case 1 if f(a, y=b):\n        pass\n",
    ),
    "comprehension": ("[«f(a, b)» for a in c]\n", keywords((1, "y")), "[f(a, y=b) for a in c]\n"),
    "in brackets over lines": (
        "x = [\n    1,\n    «f(a,\n      b)»,  # c\n]\n",
        keywords((1, "y")),
        "x = [\n    1,\n    f(a,\n      y=b),  # c\n]\n",
    ),
    "await": (
        "async def g():\n    return await «f(a, b)»\n",
        keywords((1, "y")),
        "async def g():\n    return await f(a, y=b)\n",
    ),
    "wide characters": ("'ÄÖ', «f('é', 'ü')»\n", keywords((1, "naïve")), "'ÄÖ', f('é', naïve='ü')\n"),
    "strings over lines": ('«f("""\na\n""", b)»\n', keywords((1, "y")), 'f("""\na\n""", y=b)\n'),
}

RENAMED = {
    "one": ("«f(a, k=1)»\n", (("k", "l"),), "f(a, l=1)\n"),
    "spacing stays": ("«f(a, k = 1)»\n", (("k", "l"),), "f(a, l = 1)\n"),
    "swapped": ("«f(a=1, b=2)»\n", (("a", "b"), ("b", "a")), "f(b=1, a=2)\n"),
    "comment stays": ("«f(\n    k=  # c\n    1,\n)»\n", (("k", "l"),), "f(\n    l=  # c\n    1,\n)\n"),
}

DROPPED = {
    "middle": ("«f(a, k=1, b=2)»\n", "k", "f(a, b=2)\n"),
    "last": ("«f(a, k=1)»\n", "k", "f(a)\n"),
    "last, trailing comma": ("«f(a, k=1,)»\n", "k", "f(a,)\n"),
    "first": ("«f(k=1, b=2)»\n", "k", "f(b=2)\n"),
    "only": ("«f(k=1)»\n", "k", "f()\n"),
    "only, spaced": ("«f( k=1, )»\n", "k", "f( )\n"),
    "first of lines": ("«f(k=1,\n  b=2)»\n", "k", "f(b=2)\n"),
    "last of lines": ("«f(a,\n  k=1)»\n", "k", "f(a)\n"),
    "line of its own": ("«f(\n    a,\n    k=1,\n    b=2,\n)»\n", "k", "f(\n    a,\n    b=2,\n)\n"),
    "first line": ("«f(\n    k=1,\n    b=2,\n)»\n", "k", "f(\n    b=2,\n)\n"),
    "last line": ("«f(\n    a,\n    k=1,\n)»\n", "k", "f(\n    a,\n)\n"),
    "last line without comma": ("«f(\n    a,\n    k=1\n)»\n", "k", "f(\n    a\n)\n"),
    "only line": ("«f(\n    k=1,\n)»\n", "k", "f(\n)\n"),
    "shared line": ("«f(\n    a, k=1,\n    b=2,\n)»\n", "k", "f(\n    a,\n    b=2,\n)\n"),
    "start of a line": ("«f(a,\n  k=1, b=2)»\n", "k", "f(a,\n  b=2)\n"),
    "comment gets its own line": (
        "«f(\n    a,  # A\n    k=1,  # K\n    b=2,  # B\n)»\n",
        "k",
        "f(\n    a,  # A\n    # K\n    b=2,  # B\n)\n",
    ),
    "last comment gets its own line": (
        "«f(\n    a,  # A\n    k=1,  # K\n    # tail\n)»\n",
        "k",
        "f(\n    a,  # A\n    # K\n    # tail\n)\n",
    ),
    "only comment": ("«f(\n    k=1,  # K\n)»\n", "k", "f(\n    # K\n)\n"),
    "comment above stays": (
        "«f(\n    a,\n    # above\n    k=1,\n    b=2,\n)»\n",
        "k",
        "f(\n    a,\n    # above\n    b=2,\n)\n",
    ),
    "comment of a shared line": ("«f(a, k=1,  # both\n  b=2)»\n", "k", "f(a,  # both\n  b=2)\n"),
    "comment before the last": ("«f(a,  # A\n  k=1)»\n", "k", "f(a  # A\n  )\n"),
    "hash in a string": ("«f(a, k='#')»\n", "k", "f(a)\n"),
    "before stars": ("«f(a, k=1, **kw)»\n", "k", "f(a, **kw)\n"),
}

ADDED = {
    "empty": ("«f()»\n", "f(n=v)\n"),
    "behind others": ("«f(a, b)»\n", "f(a, b, n=v)\n"),
    "behind one": ("«f(a)»\n", "f(a, n=v)\n"),
    "trailing comma": ("«f(a, )»\n", "f(a, n=v, )\n"),
    "behind stars": ("«f(*a, **k)»\n", "f(*a, **k, n=v)\n"),
    "inner blanks": ("«f( a )»\n", "f( a, n=v )\n"),
    "lone generator": ("«f(x for x in y)»\n", "f((x for x in y), n=v)\n"),
    "own line, trailing comma": ("«f(\n    a,\n    b,\n)»\n", "f(\n    a,\n    b,\n    n=v,\n)\n"),
    "own line, no comma": ("«f(\n    a,\n    b\n)»\n", "f(\n    a,\n    b,\n    n=v\n)\n"),
    "own line, only": ("«f(\n    a\n)»\n", "f(\n    a,\n    n=v\n)\n"),
    "aligned": ("«f(a,\n  b)»\n", "f(a,\n  b,\n  n=v)\n"),
    "one line inside": ("«f(\n    a, b\n)»\n", "f(\n    a, b, n=v\n)\n"),
    "comment stays with its argument": (
        "«f(\n    a,  # A\n    b,  # B\n)»\n",
        "f(\n    a,  # A\n    b,  # B\n    n=v,\n)\n",
    ),
    "comment without comma": ("«f(\n    a,\n    b  # B\n)»\n", "f(\n    a,\n    b,  # B\n    n=v\n)\n"),
    "behind a last comment": ("«f(\n    a,\n    # more\n)»\n", "f(\n    a,\n    # more\n    n=v,\n)\n"),
}

REFUSED = {
    "no such index": ("«f(a)»", keywords((1, "y")), "no positional argument 1"),
    "negative index": ("«f(a)»", keywords((-1, "y")), "no positional argument -1"),
    "star itself": ("«f(a, *b)»", keywords((1, "y")), "argument 1 is starred and cannot have a keyword"),
    "positional behind": ("«f(a, b)»", keywords((0, "x")), "would follow a new keyword"),
    "star behind": ("«f(a, *b)»", keywords((0, "x")), "would follow a new keyword"),
    "keyword twice": ("«f(a, y=1)»", keywords((0, "y")), "'y' twice"),
    "added twice": ("«f(a, n=1)»", added(("n", "2")), "'n' twice"),
    "no such keyword": ("«f(a)»", dropped("k"), "no keyword argument 'k'"),
    "renamed is not there": (
        "«f(**k)»",
        lambda c: [EditCall(c, renamed=(("k", "l"),))],
        "no keyword argument 'k'",
    ),
    "no call": ("«f»(a)", keywords((0, "y")), "no call at this place"),
    "between statements": ("a\n«»\n\nf(a)", keywords((0, "y")), "no statement at this place"),
    "comment in the value": ("«f(a, k=(  # c\n 1))»", dropped("k"), "contains a comment"),
    "comment before the comma": ("«f(a, k=1  # c\n , b=2)»", dropped("k"), "comment stands between"),
    "comment before the comma that goes": ("«f(a  # c\n , k=1)»", dropped("k"), "comment stands between"),
    "two values": ("«f(a)»", added(("n", "1, 2")), "n=1, 2 is no argument"),
    "broken value": ("«f(a)»", added(("n", "1 +")), "is no argument"),
    "closed too early": ("«f(a)»", added(("n", "1)(n=2")), "no single argument"),
    "contradictory": (
        "«f(a)»",
        lambda c: [EditCall(c, keywords=((0, "x"),)), EditCall(c, keywords=((0, "y"),))],
        "contradict each other: .*'x'.*'y'",
    ),
    "added differently": (
        "«f(a)»",
        lambda c: [EditCall(c, added=(("n", "1"),)), EditCall(c, added=(("n", "2"),))],
        "contradict each other",
    ),
    "renamed and dropped": (
        "«f(k=1)»",
        lambda c: [EditCall(c, renamed=(("k", "l"),), dropped=("k",))],
        "contradict each other",
    ),
}


def check(before: str, edits: Edits, after: str, kind: str) -> None:
    assert edited(before, edits, kind) == KINDS[kind](after)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("before", "edits", "after"), KEYWORDS.values(), ids=KEYWORDS)
def test_positional_arguments_get_keywords(before: str, edits: Edits, after: str, kind: str) -> None:
    check(before, edits, after, kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("before", "renamed", "after"), RENAMED.values(), ids=RENAMED)
def test_keywords_get_other_names(
    before: str, renamed: tuple[tuple[str, str]], after: str, kind: str
) -> None:
    check(before, lambda call: [EditCall(call, renamed=renamed)], after, kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("before", "name", "after"), DROPPED.values(), ids=DROPPED)
def test_arguments_go_and_comments_stay(before: str, name: str, after: str, kind: str) -> None:
    check(before, dropped(name), after, kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("before", "after"), ADDED.values(), ids=ADDED)
def test_arguments_are_added_in_the_call_s_layout(before: str, after: str, kind: str) -> None:
    check(before, added(("n", "v")), after, kind)


@pytest.mark.parametrize(("before", "edits", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_exact_is_refused(before: str, edits: Edits, reason: str) -> None:
    with pytest.raises(EditRefused, match=reason):
        edited(before, edits)


def test_edits_of_one_call_are_merged() -> None:
    before = "«f(\n    a,\n    b,  # b\n    k=None,\n    l=2,\n)»\n"
    after = "f(\n    a,\n    y=b,  # b\n    m=2,\n    n=-a,\n)\n"

    def edits(call: Span) -> list[Edit]:
        return [
            EditCall(call, keywords=((1, "y"),), dropped=("k",)),
            EditCall(call, renamed=(("l", "m"),), added=(("n", "-a"),)),
            EditCall(call, keywords=((1, "y"),), added=(("n", "-a"),)),
        ]

    assert edited(before, edits).decode() == after


def test_several_added_arguments_keep_their_order() -> None:
    assert edited("«f(a)»", added(("x", "1"), ("y", "g(b, c)"))) == b"f(a, x=1, y=g(b, c))"


@pytest.mark.parametrize("indent", ["    ", "\t"])
def test_added_where_only_a_comment_is(indent: str) -> None:
    before = f"if a:\n{indent}«f(  # none\n{indent})»"
    assert (
        edited(before, added(("n", "v"))).decode() == f"if a:\n{indent}f(  # none\n{indent * 2}n=v\n{indent})"
    )


def test_wide_characters_around_and_inside() -> None:
    before, after = "'日本', «f('🎉', '日')» # 本\n", "'日本', f('🎉', 数='日') # 本\n"
    assert edited(before, keywords((1, "数"))).decode() == after


@pytest.mark.parametrize(
    "value", ["-" * 80 + "a", "+".join("a" * 900), "x" + ".a(1)" * 90, f"'{'a' * 300_000}'"]
)
def test_values_may_be_large_and_deep(value: str) -> None:
    before, after = f"«f({value}, b, k=1)»", f"f(x={value}, y=b, n=0)"
    wanted = ((0, "x"), (1, "y"))
    edits: Edits = lambda call: [EditCall(call, keywords=wanted, dropped=("k",), added=(("n", "0"),))]  # noqa: E731
    assert edited(before, edits).decode() == after


@pytest.mark.parametrize(
    ("before", "edit", "after"),
    [
        ("«f(a, b, c)»", {"dropped": (1,)}, "f(a, c)"),
        ("«f(a, b, c)»", {"dropped": (2, 0)}, "f(b)"),
        ("«f(a, b, c)»", {"dropped": (1,), "keywords": ((2, "z"),)}, "f(a, z=c)"),
        ("«f(a, b, c)»", {"dropped": (2,), "keywords": ((1, "y"),)}, "f(a, y=b)"),
    ],
)
def test_positional_arguments_go(before: str, edit: dict[str, Any], after: str) -> None:
    assert edited(before, lambda call: [EditCall(call, **edit)]).decode() == after


def test_a_dropped_positional_argument_is_not_edited() -> None:
    def edits(call: Span, argument: Span) -> list[Edit]:
        return [EditCall(call, dropped=(1,)), Rename(argument, "b", "c")]

    with pytest.raises(EditRefused, match="contradicts another edit"):
        edited("«f(a, «b»)»", edits)


def test_all_dropped() -> None:
    assert edited("«f(a=1, b=2, c=3)»", dropped("c", "a", "b")) == b"f()"
