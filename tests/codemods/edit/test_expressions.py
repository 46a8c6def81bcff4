"""Rename, ReplaceString, Wrap and Move, and how they go together."""

from __future__ import annotations

import ast
import sys

import pytest
from marked import KINDS, Edits, edited

from nkimigrate.codemods.edit import EditRefused
from nkimigrate.codemods.edit.apply import apply
from nkimigrate.codemods.model import Edit, EditCall, InsertBefore, Move, Rename, ReplaceString, Span, Wrap
from nkimigrate.codemods.source import Source


def rename(old: str, new: str) -> Edits:
    return lambda *spans: [Rename(span, old, new) for span in spans]


def string(old: str, new: str) -> Edits:
    return lambda span: [ReplaceString(span, old, new)]


def wrap(template: str) -> Edits:
    return lambda span: [Wrap(span, template)]


RENAMES = {
    "name": ("x = «old»\n", "x = new\n"),
    "call": ("«old»(1)\n", "new(1)\n"),
    "store": ("«old» = «old» + 1\n", "new = new + 1\n"),
    "attribute": ("a.b(c).«old»[0]\n", "a.b(c).new[0]\n"),
    "attribute over lines": ("(a\n   .«old»  # c\n)\n", "(a\n   .new  # c\n)\n"),
    "attribute store": ("a.«old» = 1\n", "a.new = 1\n"),
    "spaced attribute": ("a . «old»\n", "a . new\n"),
    "keyword": ("f(a, «old»=1)\n", "f(a, new=1)\n"),
    "parameter": ("def f(a, «old»: int = 1, *, b): pass\n", "def f(a, new: int = 1, *, b): pass\n"),
    "starred parameter": ("def f(*«old»): pass\n", "def f(*new): pass\n"),
    "lambda's parameter": ("lambda «old»: «old»\n", "lambda new: new\n"),
    "class keyword": ("class A(B, «old»=C): pass\n", "class A(B, new=C): pass\n"),
    "import": ("import «old».a\n", "import new.a\n"),
    "imported name": ("from a import b, «old» as c\n", "from a import b, new as c\n"),
    "import alias": (
        "from a import (\n    b as «old»,  # c\n)\n",
        "from a import (\n    b as new,  # c\n)\n",
    ),
    "module part": ("from a.«old».b import c\n", "from a.new.b import c\n"),
    "function": ("def «old»(): pass\n", "def new(): pass\n"),
    "class": ("class «old»: pass\n", "class new: pass\n"),
    "exception": ("try: pass\nexcept A as «old»: pass\n", "try: pass\nexcept A as new: pass\n"),
    "global": ("def f():\n    global a, «old»\n", "def f():\n    global a, new\n"),
    "pattern's attribute": (
        "match a:\n    case V(«old»=1):\n        pass\n",
        "match a:\n    case V(new=1):\n        pass\n",
    ),
    "pattern's class": ("match a:\n    case b.«old»(): pass\n", "match a:\n    case b.new(): pass\n"),
    "pattern's capture": ("match a:\n    case 1 as «old»: pass\n", "match a:\n    case 1 as new: pass\n"),
    "annotation": ("x: a.«old» = 1\n", "x: a.new = 1\n"),
    "decorator": ("@«old»\n@a.«old»(1)\ndef f(): pass\n", "@new\n@a.new(1)\ndef f(): pass\n"),
    "nested blocks": (
        "class A:\n    def f():\n        if a:\n            b\n        elif «old»:\n            «old»()\n",
        "class A:\n    def f():\n        if a:\n            b\n        elif new:\n            new()\n",
    ),
    "else, finally": (
        "try:\n    pass\nexcept A:\n    «old»\nelse:\n    «old»\nfinally:\n    «old»\n",
        "try:\n    pass\nexcept A:\n    new\nelse:\n    new\nfinally:\n    new\n",
    ),
    "same line": ("a; «old»; b; «old»\n", "a; new; b; new\n"),
    "formatted": ("f'a {b} {x.«old»!r:>3}'\n", "f'a {b} {x.new!r:>3}'\n"),
}

RENAMES_REFUSED = {
    "another name": ("«abc»", "the text there is 'abc', not 'old'"),
    "part of a name": ("«old»er", "'old' is not an identifier of its own"),
    "string": ("x = '«old»'", "'old' is not an identifier of its own"),
    "comment": ("def f(a  # «old»\n): pass", "'old' is not an identifier of its own"),
    "comment of an import": ("from a import (  # «old»\n    old)", "'old' is not an identifier of its own"),
    "part of a module": ("import a.«old»er", "'old' is not an identifier of its own"),
    "base of an attribute": ("«old.x»", "the text there is 'old.x', not 'old'"),
    "keyword that is there": ("f(new=1, «old»=2)", "a keyword argument 'new' already"),
    "nothing": ("«»\nold", "no statement at this place"),
}

STRINGS = {
    "plain": ("f(«'a.old'»)\n", "a.old", "a.new", "f('a.new')\n"),
    "double quotes and prefix": ('x = «r"a.old"»\n', "a.old", "a.new", 'x = r"a.new"\n'),
    "triple": ('«"""a\nold\n"""»\n', "a\nold\n", "a\nnew\n", '"""a\nnew\n"""\n'),
    "escapes stay": (
        r"«'\x61\t.old\u0041\n'»" + "\n",
        "a\t.oldA\n",
        "a\t.newA\n",
        r"'\x61\t.new\u0041\n'" + "\n",
    ),
    "line continuation stays": ("«'a.\\\nold'»\n", "a.old", "a.new", "'a.\\\nnew'\n"),
    "shorter": ("«'a.mlp_kernel'»\n", "a.mlp_kernel", "a.mlp", "'a.mlp'\n"),
    "longer": ("«'a.mlp'»\n", "a.mlp", "a.mlp_kernel", "'a.mlp_kernel'\n"),
    "from empty": ("«''»\n", "", "a", "'a'\n"),
    "to empty": ("«'a'»\n", "a", "", "''\n"),
    "new quote": ("«'a'»\n", "a", "a'b\"", "'a\\'b\"'\n"),
    "new backslash and newline": ("«'a'»\n", "a", "a\\\n\t\0", "'a\\\\\\n\\t\\x00'\n"),
    "second part": ("«'a.b.' 'old'»\n", "a.b.old", "a.b.new", "'a.b.' 'new'\n"),
    "parts over lines": (
        "f(«'a.'  # a\n    r\"old\"  # b\n    'c'»)\n",
        "a.oldc",
        "a.newc",
        "f('a.'  # a\n    r\"new\"  # b\n    'c')\n",
    ),
    "f-string's part": ("«f'a.old.{x}'»\n", "a.old.", "a.new.", "f'a.new.{x}'\n"),
    "f-string without expressions": ("«f'a.old'»\n", "a.old", "a.new", "f'a.new'\n"),
    "f-string with braces": ("«f'{{old}}{x}'»\n", "{old}", "{new}}", "f'{{new}}}}{x}'\n"),
    "part next to an f-string": ("«'a.old' f'{x}'»\n", "a.old", "a.new", "'a.new' f'{x}'\n"),
    "non-ASCII": ("'ä', «'ö.old'», 'ü'\n", "ö.old", "ö.nëw", "'ä', 'ö.nëw', 'ü'\n"),
}

STRINGS_REFUSED = {
    "another value": ("«'abc'»", "old", "new", "the string there is 'abc', not 'old'"),
    "bytes": ("«b'old'»", "old", "new", "no string literal"),
    "number": ("«1»", "old", "new", "no string literal"),
    "name": ("«old»", "old", "new", "no string literal"),
    "several parts": ("«'ol' 'd'»", "old", "new", "spans several parts"),
    "raw cannot": ("«r'old'»", "old", "a'b", "cannot be written"),
    "raw backslash at the end": ("«r'old'»", "old", "a\\", "cannot be written"),
    "raw newline": ("«r'old'»", "old", "a\nb", "cannot be written"),
    "two f-string parts": ("«f'a{x}a'»", "a", "b", "2 parts of the f-string there are 'a'"),
    "no f-string part": ("«f'a{x}'»", "b", "c", "0 parts of the f-string there are 'b'"),
    "octal escape": ("«'a\\1b'»", "a\1b", "a\0012b", "cannot be written"),
}

WRAPS = {
    "call": ("x = «a.shape»\n", "list({})", "x = list(a.shape)\n"),
    "slot of lower precedence": ("x = «lambda: 0»\n", "{} + 1", "x = (lambda: 0) + 1\n"),
    "slot needs none": ("x = «a * b»\n", "{} + 1", "x = a * b + 1\n"),
    "slot in a product": ("x = «a + b»\n", "{} * 2", "x = (a + b) * 2\n"),
    "number with attribute": ("x = «1»\n", "{}.real", "x = (1).real\n"),
    "tuple": ("x = «a, b»\n", "list({})", "x = list((a, b))\n"),
    "tuple with parentheses": ("x = «(a, b)»\n", "list({})", "x = list((a, b))\n"),
    "surroundings need them": ("y = «x» * 2\n", "{} + 1", "y = (x + 1) * 2\n"),
    "surroundings need none": ("y = [«x», 2]\n", "{} + 1", "y = [x + 1, 2]\n"),
    "power": ("y = -«x» ** 2\n", "-{}", "y = -(-x) ** 2\n"),
    "comparison": ("y = a < «x» < b\n", "{} < c", "y = a < (x < c) < b\n"),
    "conditional in a comprehension": (
        "[a for a in «x»]\n",
        "{} if b else c",
        "[a for a in (x if b else c)]\n",
    ),
    "tuple template": ("f(«x»)\n", "{}, 1", "f((x, 1))\n"),
    "tuple template, two values": ("f(«x»)\n", "(a), (b)", "f(((a), (b)))\n"),
    "yield": ("def f():\n    x = «y»\n", "yield {}", "def f():\n    x = (yield y)\n"),
    "await": ("async def f():\n    return «x».a\n", "await {}", "async def f():\n    return (await x).a\n"),
    "own parentheses stay": ("y = («a\n     + b»)\n", "list({})", "y = (list(a\n     + b))\n"),
    "replaced": ("f(«a.b(c)[0]»)\n", "d.e", "f(d.e)\n"),
    "twice": ("f(«a»)\n", "({}, {})", "f((a, a))\n"),
    "lone generator": ("f(«(x for x in y)»)\n", "list({})", "f(list((x for x in y)))\n"),
    "lone generator of a call": ("f«(x for x in y)»\n", "list({})", "f(list((x for x in y)))\n"),
    "next to a word": ("for x in«(a, b)»: pass\n", "list({})", "for x in list((a, b)): pass\n"),
    "before a word": ("x = «(a, b)»if c else d\n", "{}.x or y", "x = (a, b).x or y if c else d\n"),
    "starred": ("f(*«a», b)\n", "c or {}", "f(*c or a, b)\n"),
    "starred assignment": ("x = *«a», b\n", "c or {}", "x = *(c or a), b\n"),
    "slice": ("x[«a»:b]\n", "{} + 1", "x[a + 1:b]\n"),
    "keyword": ("f(k=«a»)\n", "{} if b else c", "f(k=a if b else c)\n"),
    "decorator": ("@«a»\ndef f(): pass\n", "b({})", "@b(a)\ndef f(): pass\n"),
    "assert": ("assert «a», b\n", "lambda: {}", "assert lambda: a, b\n"),
    "pattern's guard": (
        "match a:\n    case b if «c»: pass\n",
        "not {}",
        "match a:\n    case b if not c: pass\n",
    ),
    "string": ("f(«'a'»)\n", "Path({}).name", "f(Path('a').name)\n"),
    "set in an f-string": ("f'{«a»}'\n", "{} | b", "f'{a | b}'\n"),
}

WRAPS_REFUSED = {
    "no expression": ("a«.b»", "list({})", "no expression at this place"),
    "broken template": ("«a»", "list({}", "does not give an expression"),
    "statement template": ("«a»", "x = {}", "does not give an expression"),
    "two statements": ("«a»", "{}; b", "does not give an expression"),
    "no longer a target": ("«a» = 1", "f({})", "the result does not parse"),
    "slice": ("x[«a:b»]", "list({})", "does not give an expression"),
    "quotes in an f-string": ("f'{«a»}'", "{}['b']", "stands in an f-string"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("before", "after"), RENAMES.values(), ids=RENAMES)
def test_rename(before: str, after: str, kind: str) -> None:
    assert edited(before, rename("old", "new"), kind) == KINDS[kind](after)


@pytest.mark.parametrize(("before", "reason"), RENAMES_REFUSED.values(), ids=RENAMES_REFUSED)
def test_rename_refused(before: str, reason: str) -> None:
    with pytest.raises(EditRefused, match=reason):
        edited(before, rename("old", "new"))


SEVERAL = "f'a {«old»} b {x.«old»!r:>{w.«old»}}'\n"


@pytest.mark.skipif(sys.version_info < (3, 12), reason="positions in f-strings")
def test_rename_everywhere_in_an_f_string() -> None:
    assert edited(SEVERAL, rename("old", "new")) == b"f'a {new} b {x.new!r:>{w.new}}'\n"


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="positions in f-strings")
def test_uncertain_places_in_f_strings_are_refused() -> None:
    with pytest.raises(EditRefused, match=r"uncertain|not an identifier of its own"):
        edited(SEVERAL, rename("old", "new"))


@pytest.mark.parametrize("new", ["a.b", "", "1a", "class", "a b"])
def test_a_name_has_to_be_an_identifier(new: str) -> None:
    with pytest.raises(EditRefused, match="is not an identifier"):
        edited("«old»", rename("old", new))


def test_identifiers_are_compared_as_python_does() -> None:
    assert edited("«ﬁn» = a.«ﬁn»\n", rename("ﬁn", "end")) == b"end = a.end\n"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("before", "old", "new", "after"), STRINGS.values(), ids=STRINGS)
def test_string(before: str, old: str, new: str, after: str, kind: str) -> None:
    assert edited(before, string(old, new), kind) == KINDS[kind](after)


@pytest.mark.parametrize(
    ("old", "new", "after"), [(old, new, after) for _, old, new, after in STRINGS.values()]
)
def test_the_expected_literals_have_the_new_value(old: str, new: str, after: str) -> None:
    tree = ast.parse(after)
    values = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    assert new in values


@pytest.mark.parametrize(("before", "old", "new", "reason"), STRINGS_REFUSED.values(), ids=STRINGS_REFUSED)
def test_string_refused(before: str, old: str, new: str, reason: str) -> None:
    with pytest.raises(EditRefused, match=reason):
        edited(before, string(old, new))


def test_several_parts_of_one_f_string() -> None:
    def edits(span: Span) -> list[Edit]:
        return [ReplaceString(span, "a.", "b."), ReplaceString(span, ".c", ".d")]

    assert edited("«f'a.{x}.c'»", edits) == b"f'b.{x}.d'"


@pytest.mark.parametrize("parts", [100, 250, 300, 320, 400, 2000])
def test_many_parts_are_edited_or_refused(parts: int) -> None:
    text = " ".join(["'a'"] * parts)
    try:
        assert edited(f"«{text}»", string("a" * parts, "a" * parts + "b")).decode() == text[:-1] + "b'"
    except EditRefused as refused:
        assert parts > 100, refused  # noqa: PT017


def test_a_part_of_an_f_string_by_its_own_span() -> None:
    source = Source.decode(b"x = f'a.old.{y}.b'")
    string = next(node for node in ast.walk(ast.parse(source.text)) if isinstance(node, ast.JoinedStr))
    first = string.values[0]
    assert apply(source, [ReplaceString(source.span(first), "a.old.", "a.new.")]) == "x = f'a.new.{y}.b'"


def test_a_deep_expression_is_wrapped_or_refused() -> None:
    with pytest.raises(EditRefused, match="nested too deeply"):
        edited("+".join(["a"] * 1500) + " + «b»", wrap("{} + 1"))
    before, after = "+".join(["a"] * 1500) + " + «b»", "+".join(["a"] * 1500) + " + list(b)"
    assert edited(before, wrap("list({})")).decode() == after


def test_edits_nested_too_deeply_are_refused() -> None:
    depth = 90
    calls = edited(
        "«f(" * depth + "a" + ")»" * depth, lambda *s: [EditCall(x, keywords=((0, "k"),)) for x in s]
    )
    assert calls.decode() == "f(k=" * depth + "a" + ")" * depth


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("before", "template", "after"), WRAPS.values(), ids=WRAPS)
def test_wrap(before: str, template: str, after: str, kind: str) -> None:
    assert edited(before, wrap(template), kind) == KINDS[kind](after)


@pytest.mark.parametrize(("before", "template", "reason"), WRAPS_REFUSED.values(), ids=WRAPS_REFUSED)
def test_wrap_refused(before: str, template: str, reason: str) -> None:
    with pytest.raises(EditRefused, match=reason):
        edited(before, wrap(template))


TOGETHER = {
    "name and its wrap": (
        "«a» + 1",
        lambda s: [Wrap(s, "f({})"), Rename(s, "a", "b")],
        "f(b) + 1",
    ),
    "call and its wrap": (
        "x = «f(a)».y",
        lambda s: [Wrap(s, "g({})"), EditCall(s, keywords=((0, "k"),))],
        "x = g(f(k=a)).y",
    ),
    "callee, keyword, value": (
        "«m.«old»(a, «k»=1, l=«v.«sizes»»)»",
        lambda call, old, k, v, sizes: [
            EditCall(call, keywords=((0, "x"),), renamed=(("l", "shape"),)),
            Rename(old, "old", "new"),
            Rename(k, "k", "n"),
            Wrap(v, "list({})"),
            Rename(sizes, "sizes", "shape"),
        ],
        "m.new(x=a, n=1, shape=list(v.shape))",
    ),
    "call in a call in a callee": (
        "««f(a)»(«g(b)», c)»",
        lambda outer, f, g: [
            EditCall(outer, keywords=((0, "x"), (1, "y"))),
            EditCall(f, keywords=((0, "p"),)),
            EditCall(g, keywords=((0, "q"),)),
        ],
        "f(p=a)(x=g(q=b), y=c)",
    ),
    "same keyword twice over": (
        "«f(«k»=1)»",
        lambda call, k: [EditCall(call, renamed=(("k", "l"),)), Rename(k, "k", "l")],
        "f(l=1)",
    ),
    "wrap in a wrap": (
        "y = «x + «z»»",
        lambda outer, inner: [Wrap(outer, "{} * 2"), Wrap(inner, "a if {} else b")],
        "y = (x + (a if z else b)) * 2",
    ),
    "string in a call": (
        "«patch(«'a.old'», new)»",
        lambda call, text: [EditCall(call, keywords=((1, "n"),)), ReplaceString(text, "a.old", "a.new")],
        "patch('a.new', n=new)",
    ),
    "equal edits": ("«a»", lambda s: [Rename(s, "a", "b"), Rename(s, "a", "b")], "b"),
    "dropped argument that lives on": (
        "y = «V(t, «g(«old»)», k=1)» + 1",
        lambda call, part, old: [
            EditCall(call, dropped=(1,)),
            Wrap(call, "{}.copy(shape=tuple({0}), twice={0})", (part,)),
            Rename(old, "old", "new"),
        ],
        "y = V(t, k=1).copy(shape=tuple(g(new)), twice=g(new)) + 1",
    ),
    "one part for the whole": (
        "f(«jit(«m.«old»»)»)",
        lambda call, part, old: [Wrap(call, "{0}", (part,)), Rename(old, "old", "new")],
        "f(m.new)",
    ),
    "part that needs parentheses": (
        "f(«g(«x := 1»)», h)",
        lambda s, t: [Wrap(s, "{0} + 1", (t,))],
        "f((x := 1) + 1, h)",
    ),
    "parts with braces": (
        "«f(«{}», «a»)»",
        lambda s, t, u: [Wrap(s, "[{1}, {0}, {}]", (t, u))],
        "[a, {}, f({}, a)]",
    ),
    "moved to a line before": (
        "def f():\n    «return «g(«h(«old»)», k=«x»)»»",
        lambda stmt, call, part, old, x: [
            Move(part, "y", stmt),
            InsertBefore(stmt, ("z = y",)),
            EditCall(call, keywords=((0, "new"),)),
            Rename(old, "old", "new"),
            Rename(x, "x", "w"),
        ],
        "def f():\n    y = h(new)\n    z = y\n    return g(new=y, k=w)",
    ),
    "moved over lines": (
        "if a:\n    «y = f((\n        «b  # c\n        + 1»\n    ))»\n",
        lambda stmt, part: [Move(part, "x", stmt)],
        "if a:\n    x = (b  # c\n            + 1)\n    y = f((\n        x\n    ))\n",
    ),
    "moved to a line of its own, with a wrap": (
        "«f(«a»)»",
        lambda stmt, part: [Move(part, "x", stmt), Wrap(part, "int({})")],
        "x = int(a)\nf(x)",
    ),
    "name in an f-string with a new part": (
        "«f'old {«x»}'»",
        lambda text, x: [ReplaceString(text, "old ", "new "), Rename(x, "x", "y")],
        "f'new {y}'",
    ),
}

CONTRADICTIONS = {
    "two names": ("«a»", lambda s: [Rename(s, "a", "b"), Rename(s, "a", "c")]),
    "two wraps": ("«a»", lambda s: [Wrap(s, "f({})"), Wrap(s, "g({})")]),
    "two strings": ("«'a'»", lambda s: [ReplaceString(s, "a", "b"), ReplaceString(s, "a", "c")]),
    "edit inside what is replaced": ("«f(«a»)»", lambda s, t: [Wrap(s, "g"), Rename(t, "a", "b")]),
    "edit of what is replaced": ("«a»", lambda s: [Wrap(s, "g"), Rename(s, "a", "b")]),
    "edit of a dropped argument": (
        "«f(k=«a»)»",
        lambda s, t: [EditCall(s, dropped=("k",)), Rename(t, "a", "b")],
    ),
    "edit beside the parts": (
        "«f(«a», «b»)»",
        lambda s, t, u: [Wrap(s, "{0}", (t,)), Rename(u, "b", "c")],
    ),
    "two moves": ("«f(«a»)»", lambda s, t: [Move(t, "x", s), Move(t, "y", s)]),
    "two names for a keyword": (
        "«f(«k»=1)»",
        lambda s, t: [EditCall(s, renamed=(("k", "l"),)), Rename(t, "k", "m")],
    ),
}


@pytest.mark.parametrize(("before", "edits", "after"), TOGETHER.values(), ids=TOGETHER)
@pytest.mark.parametrize("backwards", [False, True])
def test_edits_of_one_expression_compose_in_any_order(
    before: str, edits: Edits, after: str, backwards: bool
) -> None:
    ordered: Edits = (lambda *spans: list(edits(*spans))[::-1]) if backwards else edits
    assert edited(before, ordered).decode() == after


@pytest.mark.parametrize(("before", "edits"), CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_contradictory_edits_are_named(before: str, edits: Edits) -> None:
    with pytest.raises(EditRefused, match=r"contradicts another edit: [A-Z]") as refused:
        edited(before, edits)
    assert repr(refused.value.edit) not in refused.value.reason
