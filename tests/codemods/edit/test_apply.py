"""apply as a whole: no-ops, what it imports, other files, f-strings, and random calls."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from marked import KINDS, edited, unmarked

from nkimigrate.codemods.edit import EditRefused
from nkimigrate.codemods.edit.apply import apply
from nkimigrate.codemods.model import Edit, EditCall, Rename, ReplaceText, Span, Wrap
from nkimigrate.codemods.source import Source


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", ["", "\n", "x = 1\n", "f(a,\n  b)  \n\x0c\n\tz\n", "if x:\n    y"])
def test_nothing_to_do_gives_the_identical_text(text: str, kind: str) -> None:
    source = Source.decode(KINDS[kind](text))
    assert apply(source, []) is source.text


def test_a_tree_that_the_caller_has_is_used() -> None:
    source = Source.decode(b"a + b")
    tree = ast.parse(source.text)
    assert apply(source, [Rename((0, 1), "a", "c")], tree) == "c + b"


def test_a_file_that_does_not_parse_is_refused() -> None:
    with pytest.raises(EditRefused, match="the file does not parse"):
        apply(Source.decode(b"a b"), [Rename((0, 1), "a", "c")])


def test_the_edit_that_breaks_the_file_is_named() -> None:
    def edits(*spans: Span) -> list[Edit]:
        good, bad, last = spans
        return [Rename(good, "a", "b"), Wrap(bad, "f({})"), Rename(last, "c", "d")]

    with pytest.raises(EditRefused, match="the result does not parse") as refused:
        edited("«a»\n«b» = 2\n«c»\n", edits)
    assert isinstance(refused.value.edit, Wrap)


def test_warnings_about_the_user_s_code_are_not_ours() -> None:
    assert edited("x = '\\d' is 1; «a»", lambda span: [Rename(span, "a", "b")]) == b"x = '\\d' is 1; b"


def test_edits_of_the_other_kind_of_file_are_refused() -> None:
    with pytest.raises(EditRefused, match="the file is Python"):
        apply(Source.decode(b"a"), [ReplaceText((0, 1), "a", "b")])


def test_libcst_is_imported_for_layouts_only() -> None:
    code = (
        "import sys; from nkimigrate.codemods.edit.apply import apply\n"
        "from nkimigrate.codemods.model import *; from nkimigrate.codemods.source import Source\n"
        "apply(Source.decode(b'f(a)'), [Rename((2, 3), 'a', 'b'), Wrap((0, 4), 'g({})')])\n"
        "print('libcst' in sys.modules)\n"
        "apply(Source.decode(b'f(a)'), [EditCall((0, 4), keywords=((0, 'x'),))])\n"
        "print('libcst' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


VALUES = [
    "a",
    "é.b",
    "f(x, y=1)",
    "'# no'",
    "(\n 1)",
    "[1,\n2]",
    "lambda: 0",
    "{**d}",
    "'É' 'b'",
    "g(\n  # c\n  z)",
]
GAPS = ["", " ", "\n    ", "  # c1\n  ", "\n# c2\n\n\t", " \\\n "]
KEYS = ["k", "l", "ñ", "m"]


@st.composite
def calls(draw: st.DrawFn) -> tuple[str, int, int]:
    """A call in any layout, the number of its plain positional arguments and of all its arguments."""
    plain = draw(st.lists(st.sampled_from(VALUES), max_size=4))
    starred = draw(st.booleans())
    named = [
        f"{key}{draw(gaps)}={draw(gaps)}{draw(values)}"
        for key in draw(st.lists(keys, unique=True, max_size=3))
    ]
    double = ["**kw"] if draw(st.booleans()) else []
    written = [*plain, *(["*args"] if starred else []), *named, *double]
    text = "fn(" + draw(gaps)
    for index, argument in enumerate(written):
        comma = index < len(written) - 1 or draw(st.booleans())
        text += argument + draw(gaps) + ("," + draw(gaps) if comma else "")
    return text + ")", len(plain) if not starred else 0, len(written)


gaps, values, keys = st.sampled_from(GAPS), st.sampled_from(VALUES), st.sampled_from(KEYS)


def arguments(call: ast.expr) -> list[tuple[str | None, str]]:
    """All arguments in order with their keywords; ``*`` and ``**`` for the starred."""
    assert isinstance(call, ast.Call)
    written = sorted([*call.args, *call.keywords], key=lambda a: (a.lineno, a.col_offset))
    return [
        (a.arg or "**", ast.dump(a.value))
        if isinstance(a, ast.keyword)
        else ("*" if isinstance(a, ast.Starred) else None, ast.dump(a))
        for a in written
    ]


def parsed(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


@given(calls(), st.data())
@settings(max_examples=120, deadline=None)
@example(("fn(a)", 1, 1), None)
def test_keywords_keep_values_order_and_every_other_byte(
    drawn: tuple[str, int, int], data: st.DataObject
) -> None:
    text, plain, _ = drawn
    first = data.draw(st.integers(0, plain)) if data else 0
    names = [(index, f"p{index}") for index in range(first, plain)]
    kind = data.draw(st.sampled_from(sorted(KINDS))) if data else "lf"
    before = f"x = [\n    «{text}»  # end\n]\n"
    after = edited(before, lambda span: [EditCall(span, keywords=tuple(names))], kind)

    old = arguments(parsed(text))
    expected = [(dict(names).get(i, key), value) for i, (key, value) in enumerate(old)]
    new = ast.parse(after.decode("latin-1") if kind == "latin-1" else after)
    assert isinstance(new.body[-1], ast.Assign)
    assert isinstance(new.body[-1].value, ast.List)
    assert arguments(new.body[-1].value.elts[0]) == expected
    untouched = KINDS[kind](before.replace("«", "").replace("»", ""))
    for _, name in names:
        after = after.replace(f"{name}=".encode(), b"", 1)
    assert after == untouched


@given(calls(), st.sampled_from(["n", "né"]))
@settings(max_examples=120, deadline=None)
def test_an_added_argument_is_the_last_and_all_comments_stay(drawn: tuple[str, int, int], name: str) -> None:
    text, _, count = drawn
    after = edited(f"«{text}»", lambda span: [EditCall(span, added=((name, "-v"),))]).decode()
    assert arguments(parsed(after)) == [*arguments(parsed(text)), (name, ast.dump(parsed("-v")))]
    squeezed = "".join(after.replace(f"{name}=-v", "", 1).split())
    commas = squeezed.count(",") - "".join(text.split()).count(",")
    assert commas in (0, 1)
    assert squeezed.replace(",", "") == "".join(text.split()).replace(",", "")
    assert (count == 0) <= (commas == 0)


@given(calls(), st.data())
@settings(max_examples=120, deadline=None)
def test_a_dropped_argument_takes_no_comment_with_it(
    drawn: tuple[str, int, int], data: st.DataObject
) -> None:
    text, _, _ = drawn
    old = arguments(parsed(text))
    named = [key for key, _ in old if key and key.strip("*")]
    if not named:
        return
    name = data.draw(st.sampled_from(named))
    try:
        after = edited(f"«{text}»", lambda span: [EditCall(span, dropped=(name,))]).decode()
    except EditRefused:
        assert "#" in text
        return
    assert arguments(parsed(after)) == [entry for entry in old if entry[0] != name]
    assert after.count("# c") == text.count("# c")


def test_marks_are_spans_in_bytes() -> None:
    assert unmarked("é«a«b»»") == ("éab", [(2, 4), (3, 4)])
