"""Binding of call forms, compared with the interpreter's own."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nkimigrate.codemods.model import EditCall
from nkimigrate.codemods.signature import (
    CallForm,
    Signature,
    Unbindable,
    bind,
    edited,
    first_break,
    positional_from,
    prove,
)

NAMES = st.lists(st.sampled_from("abcdefghij"), unique=True, min_size=1, max_size=7)


def interpreter_binding(signature: Signature, form: CallForm) -> dict[str, int] | None:
    """Parameter → ordinal by :func:`inspect.signature`, or None when the call is an error."""
    namespace: dict[str, Any] = {}
    exec(f"def f{signature.text}: pass", namespace)
    count = len(form.positional)
    named = {k: count + i for i, k in enumerate(form.keywords) if k}
    try:
        return dict(inspect.signature(namespace["f"]).bind(*range(count), **named).arguments)
    except TypeError:
        return None


@st.composite
def signatures(draw: st.DrawFn) -> Signature:
    names = draw(NAMES)
    required = draw(st.integers(0, len(names)))
    keyword_only = draw(st.integers(0, len(names)))
    parts = [n if i < required else f"{n}=None" for i, n in enumerate(names)]
    if keyword_only < len(names):
        parts.insert(keyword_only, "*")
    return Signature(f"({', '.join(parts)})")


@st.composite
def forms(draw: st.DrawFn) -> CallForm:
    keywords = draw(st.lists(st.sampled_from("abcdefghij"), unique=True, max_size=5))
    return CallForm((1,) * draw(st.integers(0, 8)), tuple(keywords))


@given(signatures(), forms())
def test_bind_agrees_with_the_interpreter(signature: Signature, form: CallForm) -> None:
    expected = interpreter_binding(signature, form)
    try:
        assert bind(signature, form) == expected
    except Unbindable:
        assert expected is None


@given(NAMES, st.data())
def test_proven_keywords_bind_as_before(names: list[str], data: st.DataObject) -> None:
    """Insert parameters into a signature, keywordize from the break, and let the interpreter judge."""
    old = Signature("(" + ", ".join(f"{n}=None" for n in names) + ")")
    where = data.draw(st.integers(0, len(names)))
    new_names = [*names[:where], *("new1", "new2"), *names[where:]]
    new = Signature("(" + ", ".join(f"{n}=None" for n in new_names) + ")")
    form = CallForm((1,) * data.draw(st.integers(0, len(names))), ())
    start = first_break(old, new, {})
    assert start == (where if where < len(names) else None)
    edit = EditCall((0, 0), keywords=positional_from(form, start, names) if start is not None else ())
    assert prove(old, new, form, edit, {}) is None
    assert interpreter_binding(new, edited(form, edit)) == interpreter_binding(old, form)


def test_the_unedited_call_is_not_proven() -> None:
    old, new = Signature("(a, b=1)"), Signature("(a, x=0, b=1)")
    assert (
        prove(old, new, CallForm((1, 1), ()), EditCall((0, 0)), {}) == "b, x would not receive the same value"
    )


def test_keywording_an_argument_before_a_positional_one_is_refused() -> None:
    old = new = Signature("(a, b, c)")
    reason = prove(old, new, CallForm((1, 1, 1), ()), EditCall((0, 0), keywords=((1, "b"),)), {})
    assert reason is not None


@pytest.mark.parametrize(
    ("form", "reason"),
    [
        (CallForm((1, None), ()), "may reach positional index 2"),
        (CallForm((1, 3), ()), "reaches positional index 2"),
        (CallForm((1,) * 9, ()), "more positional arguments than the 4 parameters"),
    ],
)
def test_what_cannot_be_decided(form: CallForm, reason: str) -> None:
    with pytest.raises(Unbindable, match=reason):
        positional_from(form, 2, "abcd")


def test_stars_before_the_break_do_no_harm() -> None:
    assert positional_from(CallForm((2, 1), ()), 3, "abcd") == ()
    assert positional_from(CallForm((2, 1, 1), ()), 3, "abcd") == ((2, "d"),)


def test_partial_arguments_count() -> None:
    assert positional_from(CallForm((1, 1), (), first=3), 4, "abcdef") == ((1, "e"),)


def test_defaults_and_required() -> None:
    signature = Signature("(a, b=QuantizationType.NONE, *, c, d=(1, 2))")
    assert signature.required == ("a", "c")
    assert signature.defaults == {"b": "QuantizationType.NONE", "d": "(1, 2)"}
